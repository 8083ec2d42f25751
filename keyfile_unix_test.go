//go:build unix

package cookiesession_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/seed-50e21e88/cookiesession"
)

// A pipe in the place of the key file is refused, since opening it would wait for a writer.
func TestKeyFileBecomesAPipe(t *testing.T) {
	captureLog(t)
	path := writeKeys(t, filepath.Join(t.TempDir(), "keys"), "a="+secretA)
	ring, err := cookiesession.OpenKeyFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Skip("no pipes here: ", err)
	}
	want := "cookiesession: key file " + path + ": not a regular file"
	for _, err := range []error{ring.RereadForUnknownKey(t.Context()), ring.Reload()} {
		if fmt.Sprint(err) != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if labels(ring) != "a" {
		t.Errorf("in force: %s, want a", labels(ring))
	}
}

// A read that hangs in the system, here in opening a pipe that nobody writes to, ends with its request for who waits.
func TestReadHangsInTheSystem(t *testing.T) {
	captureLog(t)
	path := filepath.Join(t.TempDir(), "keys")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Skip("no pipes here: ", err)
	}
	opened := false
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	ring, err := cookiesession.OpenTestKeyFile(func(string) ([]byte, error) {
		if !opened {
			opened = true
			return []byte("a=" + secretA), nil
		}
		cancel()
		defer close(ended)
		return os.ReadFile(path)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := ring.RereadForUnknownKey(ctx); err == nil {
		t.Error("got no error from a read that hangs")
	}
	writeKeys(t, path, "b="+secretB) // what the read has waited for
	<-ended
}
