package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// accessList is the attribute that holds a file's access control list (acl(5)).
const accessList = "system.posix_acl_access"

// keepAccessList gives file the access control list of old. If that has none, file loses the one that it may have from
// its directory.
func keepAccessList(file, old *os.File) error {
	list := make([]byte, 1<<16) // the most that an attribute holds (xattr(7))
	n, err := syscall.Getxattr(itself(old), accessList, list)
	switch {
	case err == nil:
		return syscall.Setxattr(itself(file), accessList, list[:n], 0)
	case errors.Is(err, syscall.ENODATA):
		err = syscall.Removexattr(itself(file), accessList)
	}
	if errors.Is(err, syscall.ENODATA) || errors.Is(err, syscall.ENOTSUP) { // there are none, or none in this file system
		return nil
	}
	return err
}

// itself returns a name of an open file (proc_pid_fd(5)). Its own name may be another file's by now: whoever may write
// in the directory can have put a link there.
func itself(file *os.File) string { return fmt.Sprintf("/proc/self/fd/%d", file.Fd()) }
