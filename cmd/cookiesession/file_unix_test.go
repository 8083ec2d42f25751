//go:build unix

package main

import (
	"os"
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
