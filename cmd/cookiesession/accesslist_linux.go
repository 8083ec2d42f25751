package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// accessList is the attribute that holds a file's access control list (acl(5)).
const accessList = "system.posix_acl_access"

// keepAccessList gives file the access control list of the file at path. If that has none, file loses the one that it
// may have from its directory.
func keepAccessList(file *os.File, path string) error {
	list := make([]byte, 1<<16) // the most that an attribute holds (xattr(7))
	n, err := syscall.Getxattr(path, accessList, list)
	// The file itself (proc_pid_fd(5)), not its name: who may write in the directory can have made that a link to another
	// file, which then would get the list.
	itself := fmt.Sprintf("/proc/self/fd/%d", file.Fd())
	switch {
	case err == nil:
		return syscall.Setxattr(itself, accessList, list[:n], 0)
	case errors.Is(err, syscall.ENODATA):
		err = syscall.Removexattr(itself, accessList)
	}
	if errors.Is(err, syscall.ENODATA) || errors.Is(err, syscall.ENOTSUP) { // there are none, or none in this file system
		return nil
	}
	return err
}
