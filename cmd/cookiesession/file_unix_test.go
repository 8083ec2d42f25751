//go:build unix

package main

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Only root can show this: the file belongs to the service's user, and does so afterwards.
func TestOwnerStays(t *testing.T) {
	inWorld(t, func(w world) {
		w.run(exitOK, "", "keys", "new", "-file", "keys.json")
		want := 1
		if os.Getuid() != 0 {
			want = os.Getuid()
		}
		if err := os.Chown("keys.json", want, -1); err != nil {
			w.Fatal(err)
		}
		w.run(exitOK, "", "keys", "rotate", "-file", "keys.json")
		info, err := os.Stat("keys.json")
		if err != nil {
			w.Fatal(err)
		}
		if got := int(info.Sys().(*syscall.Stat_t).Uid); got != want {
			w.Errorf("owner %d, want %d", got, want)
		}
	})
}

// Only root can show this: the owner alone can't keep a group that the owner isn't in, and is told so.
func TestGroupOfOthers(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can give a file to others")
	}
	binary := buildProgram(t)
	file := filepath.Join(filepath.Dir(binary), "keys.json")
	if output, err := exec.Command(binary, "keys", "new", "-file", file).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	const owner, group = 1, 2
	err := errors.Join(os.Chown(file, owner, group), os.Chmod(filepath.Dir(file), 0o777), os.Chmod(filepath.Dir(filepath.Dir(file)), 0o755))
	if err != nil {
		t.Fatal(err)
	}
	rotate := exec.Command(binary, "keys", "rotate", "-file", file)
	rotate.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: owner, Gid: owner}}
	output, err := rotate.CombinedOutput()
	if errors.Is(err, fs.ErrPermission) {
		t.Skip("others can't reach the directory for temporary files")
	}
	want := "cookiesession: owner and group of " + file + " can't be kept (operation not permitted); do this as root, or as its owner if that is in its group\n"
	if string(output) != want {
		t.Errorf("got %s, want %s", output, want)
	}
}

// A file may be writable while nothing can be made beside it: then it isn't the file's own mode that is to blame.
func TestNothingCanBeMadeBesideTheFile(t *testing.T) {
	inWorld(t, func(w world) {
		longest := strings.Repeat("k", 255) // bytes that a file's name may have; ".new" doesn't fit
		w.run(exitOK, "", "keys", "new", "-file", "keys.json")
		if err := os.Rename("keys.json", longest); err != nil {
			w.Fatal(err)
		}
		before := w.read(longest)
		w.expect(exitProblem, "cookiesession: no new file can be made in the key file's directory: file name too long\n", "keys", "rotate", "-file", longest)
		if w.read(longest) != before || w.files() != longest {
			w.Errorf("the file changed, or something is left: %s", w.files())
		}
	})
}
