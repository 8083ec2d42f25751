package revoke

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// Whoever may write to the directory can put a link to any file in place of the new one, while root compacts: the list,
// which may be theirs too, goes to the file that was opened, and comes from that which is locked.
func TestAccessListFollowsNoName(t *testing.T) {
	dir := t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	create := func(name string) (string, *os.File) {
		f, err := os.Create(filepath.Join(dir, name))
		must(err)
		t.Cleanup(func() { f.Close() })
		return f.Name(), f
	}
	list := binary.LittleEndian.AppendUint32(nil, 2) // user 1 may read and write (linux/posix_acl_xattr.h)
	for _, entry := range []uint64{0xffffffff<<32 | 6<<16 | 0x01, 1<<32 | 6<<16 | 0x02, 0xffffffff<<32 | 0x04, 0xffffffff<<32 | 6<<16 | 0x10, 0xffffffff<<32 | 0x20} {
		list = binary.LittleEndian.AppendUint64(list, entry)
	}
	has := func(path string) bool {
		n, err := syscall.Getxattr(path, accessList, make([]byte, 100))
		return err == nil && n > 0
	}
	path, at := create("revocations")
	if err := syscall.Setxattr(path, accessList, list, 0); errors.Is(err, syscall.ENOTSUP) {
		t.Skip("the file system has no access control lists")
	} else {
		must(err)
	}
	precious, _ := create("precious")
	added, next := create("revocations.new")
	must(os.Rename(added, added+".moved"))
	must(os.Symlink(precious, added))
	must(os.Rename(path, path+".moved"))
	must(os.Symlink(precious, path))

	must(keepAccessList(next, at))
	if has(precious) || !has(added+".moved") {
		t.Errorf("got a list on the file that the name leads to: %v, on that which was opened: %v", has(precious), has(added+".moved"))
	}
	must(syscall.Removexattr(path+".moved", accessList))
	must(syscall.Setxattr(precious, accessList, list, 0))
	must(keepAccessList(next, at))
	if !has(precious) || has(added+".moved") {
		t.Errorf("got a list on the file that the name leads to: %v, on that which was opened: %v; want it taken away from this one", has(precious), has(added+".moved"))
	}
}
