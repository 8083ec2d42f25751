package revoke

import (
	"bytes"
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// accessList is the attribute that holds a file's access control list (acl(5)).
const accessList = "system.posix_acl_access"

// keepAccessList gives f the access control list of the file at, or none. In such a list the mode's group bits don't say
// what the group may do, so without it the group could do what a single user may. It goes by descriptors, not by names:
// whoever may write to the directory could let these lead to a file of root's, and so be let in there by root.
func keepAccessList(f, at *os.File) error {
	before, err := accessListOf(at)
	if err != nil {
		return err
	}
	now, err := accessListOf(f)
	switch {
	case err != nil || bytes.Equal(before, now):
		return err
	case before == nil:
		return os.NewSyscallError("fremovexattr", unix.Fremovexattr(int(f.Fd()), accessList))
	default:
		return os.NewSyscallError("fsetxattr", unix.Fsetxattr(int(f.Fd()), accessList, before, 0))
	}
}

// accessListOf returns nil if the file has no access control list, or the file system knows none.
func accessListOf(f *os.File) ([]byte, error) {
	list := make([]byte, 1<<16) // the most that an attribute holds (xattr(7))
	n, err := unix.Fgetxattr(int(f.Fd()), accessList, list)
	if errors.Is(err, unix.ENODATA) || errors.Is(err, unix.ENOTSUP) {
		return nil, nil
	}
	if err != nil {
		return nil, os.NewSyscallError("fgetxattr", err)
	}
	return list[:n], nil
}
