//go:build (unix && !aix && !solaris) || illumos

package revoke

import (
	"os"
	"syscall"
)

// tryLock reports whether nobody else, through another open file, holds the lock. Closing f releases it.
func tryLock(f *os.File) (bool, error) {
	switch err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err {
	case nil:
		return true, nil
	case syscall.EWOULDBLOCK, syscall.EINTR:
		return false, nil
	default:
		return false, os.NewSyscallError("flock", err)
	}
}

// giveTo lets f be read and written by whom a file with that info may be. What is so already isn't asked for: some file
// systems refuse any change.
func giveTo(f *os.File, info os.FileInfo) error {
	is, err := f.Stat()
	if err != nil {
		return err
	}
	before, now := info.Sys().(*syscall.Stat_t), is.Sys().(*syscall.Stat_t)
	if before.Uid != now.Uid || before.Gid != now.Gid {
		if err := f.Chown(int(before.Uid), int(before.Gid)); err != nil {
			return err
		}
	}
	if info.Mode().Perm() == is.Mode().Perm() {
		return nil
	}
	return f.Chmod(info.Mode().Perm())
}
