//go:build unix

package main

import (
	"os"
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
