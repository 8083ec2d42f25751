package main

import (
	"errors"
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
	switch {
	case err == nil:
		return syscall.Setxattr(file.Name(), accessList, list[:n], 0)
	case errors.Is(err, syscall.ENODATA):
		err = syscall.Removexattr(file.Name(), accessList)
	}
	if errors.Is(err, syscall.ENODATA) || errors.Is(err, syscall.ENOTSUP) { // there are none, or none in this file system
		return nil
	}
	return err
}
