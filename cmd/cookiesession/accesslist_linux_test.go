package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// Who may read the file by an access control list may still do so afterwards, and nobody else: in such a list the
// mode's group bits don't say what the group may do.
func TestAccessListStays(t *testing.T) {
	const read, write = 4, 2
	for _, test := range []struct {
		name        string
		list        []byte // of the file; nil for none
		inDirectory []byte // that new files get; nil for none
		want        []byte
		mode        os.FileMode
	}{
		{"one user may read", listOf(0, read, read), nil, listOf(0, read, read), 0o640},
		{"and the group", listOf(read, read, read), nil, listOf(read, read, read), 0o640},
		{"one may write", listOf(0, read|write, read|write), nil, nil, 0o600},
		{"none, but new files in the directory get one", nil, listOf(0, read, read), nil, 0o640},
	} {
		t.Run(test.name, func(t *testing.T) {
			inWorld(t, func(w world) {
				w.run(exitOK, "", "keys", "new", "-file", "keys.json")
				if err := os.Chmod("keys.json", 0o640); err != nil {
					w.Fatal(err)
				}
				w.setList("keys.json", accessList, test.list)
				w.setList(".", "system.posix_acl_default", test.inDirectory)
				w.run(exitOK, "", "keys", "rotate", "-file", "keys.json")
				w.mode("keys.json", test.mode)
				list := make([]byte, 100)
				n, err := syscall.Getxattr("keys.json", accessList, list)
				if n = max(n, 0); !bytes.Equal(list[:n], test.want) || test.want != nil && err != nil {
					w.Errorf("got list %x, %v, want %x", list[:n], err, test.want)
				}
			})
		})
	}
}

// In a directory of somebody else both names may lead elsewhere by now, also to a file that only root can change.
func TestAccessListOfNoOtherFile(t *testing.T) {
	for name, list := range map[string][]byte{"given": listOf(0, 4, 4), "taken": nil} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w world) {
				w.write("keys.json", "old")
				w.write("victim", "")
				if err := os.Chmod("keys.json", 0o640); err != nil {
					w.Fatal(err)
				}
				w.setList("keys.json", accessList, list)
				want := listOf(4, 0, 4)
				w.setList("victim", accessList, want)
				_, err := changeFile("keys.json", func([]byte) ([]byte, error) {
					return []byte("new"), errors.Join(
						os.Rename("keys.json.new", "moved"), os.Symlink("victim", "keys.json.new"),
						os.Rename("keys.json", "read"), os.Symlink("victim", "keys.json"),
					)
				})
				if err != nil {
					w.Fatal(err)
				}
				for file, want := range map[string][]byte{"victim": want, "moved": list} {
					got := make([]byte, 100)
					n, err := syscall.Getxattr(file, accessList, got)
					if n = max(n, 0); !bytes.Equal(got[:n], want) {
						w.Errorf("%s: got list %x, %v, want %x", file, got[:n], err, want)
					}
				}
			})
		})
	}
}

// Some file systems refuse any change of owner and mode, though these are what they should be: that isn't asked for.
func TestOwnerAndModeAlreadyKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o640); err != nil {
		t.Fatal(err)
	}
	const pathOnly = 0x200000 // O_PATH (open(2)): what is open so refuses all changes
	file, err := os.OpenFile(path, pathOnly, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Chmod(0o600); err == nil {
		t.Fatal("the file can be changed")
	}
	if err := errors.Join(keepOwner(file, info), setMode(file, info.Mode().Perm())); err != nil {
		t.Error(err)
	}
}

// setList sets an access control list, unless it is nil.
func (w world) setList(name, attribute string, list []byte) {
	w.Helper()
	if list == nil {
		return
	}
	if err := syscall.Setxattr(name, attribute, list, 0); errors.Is(err, syscall.ENOTSUP) {
		w.Skip("the file system has no access control lists")
	} else if err != nil {
		w.Fatal(err)
	}
}

// listOf returns an access control list by which the owner may read and write, the group and user 1 as much as said, if
// the mask has it, and others nothing (linux/posix_acl_xattr.h).
func listOf(group, user, mask uint16) []byte {
	const nobody = 1<<32 - 1 // in entries that are of nobody in particular
	list := binary.LittleEndian.AppendUint32(nil, 2)
	for _, entry := range []struct {
		tag, permissions uint16
		id               uint32
	}{{0x01, 6, nobody}, {0x02, user, 1}, {0x04, group, nobody}, {0x10, mask, nobody}, {0x20, 0, nobody}} {
		list = binary.LittleEndian.AppendUint16(list, entry.tag)
		list = binary.LittleEndian.AppendUint16(list, entry.permissions)
		list = binary.LittleEndian.AppendUint32(list, entry.id)
	}
	return list
}
