//go:build unix && !aix && !solaris

package revoke

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// After a power failure a file is found under its name only if its directory was synced. The process that created it, or
// compacted it, may have been killed just before, or be just about to: so nobody acknowledges anything in a file before
// having done that.
func TestFileIsFoundAfterPowerFailure(t *testing.T) {
	path := filepath.Join(t.TempDir(), "revocations")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	publish := func(f *file) error {
		_, err := f.Publish(t.Context(), Entry{Key: Key{1}, Expires: uint32(time.Now().Unix() + 3600)}, nil)
		return err
	}
	other, f := File(path).(*file), File(path).(*file)
	var synced []string
	f.sync = func(at *os.File) error {
		synced = append(synced, filepath.Base(at.Name()))
		return at.Sync()
	}
	name, directory := filepath.Base(path), filepath.Base(filepath.Dir(path))
	must(publish(other))
	for _, step := range []struct {
		name   string
		before func()
		want   []string
	}{
		{"created by another process", func() {}, []string{name, directory}},
		{"again", func() {}, []string{name}},
		{"compacted by another process", func() {
			at, err := other.openLocked(t.Context())
			must(err)
			defer at.Close()
			must(other.compact(at))
		}, []string{name, directory}},
		{"deleted", func() { must(os.Remove(path)) }, []string{name, directory}},
	} {
		step.before()
		synced = nil
		must(publish(f))
		if !slices.Equal(synced, step.want) {
			t.Errorf("%s: synced %q, want %q", step.name, synced, step.want)
		}
	}

	failing := File(path).(*file)
	failed := errors.New("failed")
	failing.sync = func(at *os.File) error {
		if filepath.Base(at.Name()) == directory {
			return failed
		}
		return at.Sync()
	}
	before, err := os.Stat(path)
	must(err)
	for range 2 {
		if err := publish(failing); !errors.Is(err, failed) {
			t.Errorf("got %v from a process that can't sync the directory, want an error", err)
		}
	}
	if after, err := os.Stat(path); err != nil || after.Size() != before.Size() {
		t.Errorf("got %d bytes, %v, want %d: what was refused has gone", after.Size(), err, before.Size())
	}
}
