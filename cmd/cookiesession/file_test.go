package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

// Rotations at the same time wait for one another, and none loses another's key. Readers see a whole file throughout.
func TestConcurrentRotations(t *testing.T) {
	t.Chdir(t.TempDir())
	w := world{t, nil} // in real time: while a goroutine reads, that of testing/synctest stands still
	w.run(exitOK, "", "keys", "new", "-file", "keys.json", "-label", "first")
	ring, err := cookiesession.OpenKeyFile("keys.json")
	if err != nil {
		w.Fatal(err)
	}
	stop := make(chan struct{})
	var readers, rotations sync.WaitGroup
	readers.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if err := ring.Reload(); err != nil {
				w.Error(err)
				return
			}
		}
	})
	for i := range 12 {
		rotations.Go(func() { w.run(exitOK, "", "keys", "rotate", "-file", "keys.json", "-label", fmt.Sprint("key-", i)) })
	}
	rotations.Wait()
	close(stop)
	readers.Wait()
	if err := ring.Reload(); err != nil {
		w.Fatal(err)
	}
	if got := len(ring.Keys()); got != 13 {
		w.Errorf("%d keys, want 13", got)
	}
	if w.files() != "keys.json" {
		w.Errorf("something is left: %s", w.files())
	}
}

// A link that changes while a rotation waits for another one isn't followed half: the key would get into a file that
// nobody reads any more.
func TestLinkChangesDuringRotation(t *testing.T) {
	inWorld(t, func(w world) {
		for _, directory := range []string{"one", "two"} {
			if err := os.Mkdir(directory, 0o700); err != nil {
				w.Fatal(err)
			}
			w.run(exitOK, "", "keys", "new", "-file", directory+"/keys.json")
		}
		if err := os.Symlink("one", "current"); err != nil {
			w.Fatal(err)
		}
		one, two := w.read("one/keys.json"), w.read("two/keys.json")
		w.write("one/keys.json.new", "another rotation")
		var rotation sync.WaitGroup
		rotation.Go(func() {
			w.expect(exitProblem, "cookiesession: key file current/keys.json: it has been replaced by another file; try again\n",
				"keys", "rotate", "-file", "current/keys.json")
		})
		time.Sleep(time.Second)
		if err := errors.Join(os.Remove("current"), os.Symlink("two", "current"), os.Remove("one/keys.json.new")); err != nil {
			w.Fatal(err)
		}
		rotation.Wait()
		if w.read("one/keys.json") != one || w.read("two/keys.json") != two {
			w.Error("a file changed")
		}
		if left, err := filepath.Glob("*/*.new"); err != nil || left != nil {
			w.Errorf("left %q, %v", left, err)
		}
	})
}

// Who may read the new file is what the file said whose secrets are in it, not one that has its name by now.
func TestFileChangesDuringRotation(t *testing.T) {
	inWorld(t, func(w world) {
		w.write("file", "old")
		w.write("other", "other")
		if err := os.Chmod("other", 0o640); err != nil {
			w.Fatal(err)
		}
		_, err := changeFile("file", func(old []byte) ([]byte, error) {
			return append(old, " and new"...), os.Rename("other", "file")
		})
		if err != nil {
			w.Fatal(err)
		}
		w.mode("file", 0o600)
		if got, want := w.read("file"), "old and new"; got != want {
			w.Errorf("got %s, want %s", got, want)
		}
	})
}

// What an interrupted rotation left is not taken for the file, nor overwritten.
func TestInterruptedRotation(t *testing.T) {
	inWorld(t, func(w world) {
		w.run(exitOK, "", "keys", "new", "-file", "keys.json")
		before := w.read("keys.json")
		w.write("keys.json.new", "half of a fi")
		path, err := filepath.EvalSymlinks("keys.json")
		if err != nil {
			w.Fatal(err)
		}
		w.expect(exitProblem, "cookiesession: "+path+".new exists: another cookiesession is changing the file, or was interrupted; if none runs, remove it\n",
			"keys", "rotate", "-file", "keys.json")
		if w.read("keys.json") != before || w.read("keys.json.new") != "half of a fi" {
			w.Error("a file changed")
		}
	})
}

// Whatever fails, the old file stays and nothing else is left.
func TestFailedChange(t *testing.T) {
	inWorld(t, func(w world) {
		w.write("file", "old")
		failed := errors.New("failed")
		for name, change := range map[string]func([]byte) ([]byte, error){
			"change fails": func([]byte) ([]byte, error) { return nil, failed },
			"the file becomes a directory, so rename fails": func([]byte) ([]byte, error) {
				if err := errors.Join(os.Rename("file", "moved"), os.Mkdir("file", 0o700)); err != nil {
					w.Fatal(err)
				}
				return []byte("new"), nil
			},
		} {
			if _, err := changeFile("file", change); err == nil {
				w.Errorf("%s: no error", name)
			}
			if _, err := os.Stat("moved"); err == nil {
				if err := errors.Join(os.Remove("file"), os.Rename("moved", "file")); err != nil {
					w.Fatal(err)
				}
			}
			if w.read("file") != "old" || w.files() != "file" {
				w.Errorf("%s: left %s", name, w.files())
			}
		}
	})
}

// A file system may give all files one mode. What is said of it is what it is.
func TestReplacementKeepsNoMode(t *testing.T) {
	for _, test := range []struct {
		before, given os.FileMode
		want          []string
	}{
		{0o755, 0o755, []string{"file has mode 0755: everybody on this machine can read the secrets"}},
		{0o600, 0o644, []string{"file has mode 0644: everybody on this machine can read the secrets"}},
		{0o770, 0o770, nil},
		{0o755, 0o700, []string{"the mode was 0755 and is 0700 now: only its owner can read the file"}},
	} {
		inWorld(t, func(w world) {
			w.write("file", "old")
			if err := os.Chmod("file", test.before); err != nil {
				w.Fatal(err)
			}
			notes, err := changeFile("file", func([]byte) ([]byte, error) { return []byte("new"), os.Chmod("file.new", test.given) })
			if err != nil {
				w.Fatal(err)
			}
			w.mode("file", test.given)
			if !slices.Equal(notes, test.want) {
				w.Errorf("mode %04o, then %04o: got notes %q, want %q", test.before, test.given, notes, test.want)
			}
		})
	}
}

// Through a symbolic link the target is replaced, beside itself. Mode and owner are kept, except that others lose
// access.
func TestReplacement(t *testing.T) {
	inWorld(t, func(w world) {
		if err := errors.Join(os.Mkdir("target", 0o700), os.Symlink("target/keys.json", "keys.json")); err != nil {
			w.Fatal(err)
		}
		w.run(exitOK, "", "keys", "new", "-file", "target/keys.json")
		for _, test := range []struct {
			mode, want os.FileMode
			note       string
		}{
			{0o600, 0o600, ""},
			{0o400, 0o600, ""},
			{0o640, 0o640, ""},
			{0o644, 0o600, "note: the mode was 0644 and is 0600 now: only its owner can read the file\n"},
			{0o660, 0o600, "note: the mode was 0660 and is 0600 now: only its owner can read the file\n"},
		} {
			if err := os.Chmod("target/keys.json", test.mode); err != nil {
				w.Fatal(err)
			}
			stdout, _ := w.run(exitOK, "", "keys", "rotate", "-file", "keys.json")
			if !strings.HasSuffix(stdout, test.note) || strings.Contains(stdout, "note:") != (test.note != "") {
				w.Errorf("mode %04o: got %s", test.mode, stdout)
			}
			w.mode("target/keys.json", test.want)
		}
		if link, err := os.Readlink("keys.json"); err != nil || link != "target/keys.json" {
			w.Errorf("the link is now %q, %v", link, err)
		}
		if files, err := filepath.Glob("target/*"); err != nil || len(files) != 1 {
			w.Errorf("left %q, %v", files, err)
		}
		w.expect(exitProblem, "cookiesession: key file: no such file or directory; make one with: cookiesession keys new -file NAME\n", "keys", "rotate", "-file", "none")
		if err := os.Symlink("nowhere", "dangling"); err != nil {
			w.Fatal(err)
		}
		w.expect(exitProblem, "cookiesession: dangling exists and is left alone; add a key to it with: cookiesession keys rotate -file dangling\n", "keys", "new", "-file", "dangling")
	})
}
