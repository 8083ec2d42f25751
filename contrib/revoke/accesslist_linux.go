package revoke

import (
	"bytes"
	"errors"
	"os"
	"syscall"
)

// accessList is the attribute that holds a file's access control list (acl(5)).
const accessList = "system.posix_acl_access"

// keepAccessList gives f the access control list of the file at path, or none. In such a list the mode's group bits don't
// say what the group may do, so without it the group could do what a single user may.
func keepAccessList(f *os.File, path string) error {
	before, err := accessListOf(path)
	if err != nil {
		return err
	}
	now, err := accessListOf(f.Name())
	switch {
	case err != nil || bytes.Equal(before, now):
		return err
	case before == nil:
		return syscall.Removexattr(f.Name(), accessList)
	default:
		return syscall.Setxattr(f.Name(), accessList, before, 0)
	}
}

// accessListOf returns nil if the file has no access control list, or the file system knows none.
func accessListOf(path string) ([]byte, error) {
	list := make([]byte, 1<<16) // the most that an attribute holds (xattr(7))
	n, err := syscall.Getxattr(path, accessList, list)
	if errors.Is(err, syscall.ENODATA) || errors.Is(err, syscall.ENOTSUP) {
		return nil, nil
	}
	if err != nil {
		return nil, os.NewSyscallError("getxattr", err)
	}
	return list[:n], nil
}
