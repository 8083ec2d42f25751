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
