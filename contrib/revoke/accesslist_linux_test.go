package revoke_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/seed-50e21e88/cookiesession/contrib/revoke"
)

// Whom an access control list lets in, nobody else is let in after a compaction: without the list the mode's group bits,
// which are the most that anybody in the list may do, would be the group's.
func TestFileCompactionKeepsAccessList(t *testing.T) {
	const access, ofNew, nobody = "system.posix_acl_access", "system.posix_acl_default", 1<<32 - 1
	list := binary.LittleEndian.AppendUint32(nil, 2) // user 1 may read and write, the group nothing (linux/posix_acl_xattr.h)
	for _, entry := range []struct {
		tag, permissions uint16
		id               uint32
	}{{0x01, 6, nobody}, {0x02, 6, 1}, {0x04, 0, nobody}, {0x10, 6, nobody}, {0x20, 0, nobody}} {
		list = binary.LittleEndian.AppendUint16(list, entry.tag)
		list = binary.LittleEndian.AppendUint16(list, entry.permissions)
		list = binary.LittleEndian.AppendUint32(list, entry.id)
	}
	for _, test := range []struct {
		name       string
		file, want []byte
	}{
		{"the file has one", list, list},
		{"new files in the directory get one", nil, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "revocations")
			publish(t, revoke.File(path), 1)
			set, attribute := path, access
			if test.file == nil {
				set, attribute = filepath.Dir(path), ofNew
			}
			if err := syscall.Setxattr(set, attribute, list, 0); errors.Is(err, syscall.ENOTSUP) {
				t.Skip("the file system has no access control lists")
			} else {
				must(t, err)
			}
			compacted(t, path)
			got := make([]byte, 100)
			n, err := syscall.Getxattr(path, access, got)
			if n = max(n, 0); !bytes.Equal(got[:n], test.want) || test.want != nil && err != nil {
				t.Errorf("got list %x, %v, want %x", got[:n], err, test.want)
			}
		})
	}
}
