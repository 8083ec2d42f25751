//go:build unix

package revoke_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-50e21e88/cookiesession/contrib/revoke"
)

// readFile returns everything that an engine shows from the cursor on.
func readFile(t testing.TB, e revoke.Engine, cursor string) (es []revoke.Entry, next string, err error) {
	t.Helper()
	for more := true; more && err == nil; {
		next, more, err = e.Read(t.Context(), cursor, func(page []revoke.Entry) { es = append(es, page...) })
		cursor = next
	}
	return es, next, err
}

func keysOf(es []revoke.Entry) map[revoke.Key]uint64 {
	keys := map[revoke.Key]uint64{}
	for _, e := range es {
		keys[e.Key] = max(keys[e.Key], e.Pos)
	}
	return keys
}

func entry(n byte) revoke.Entry {
	return revoke.Entry{Key: revoke.Key{n, 1}, Before: 1, Expires: uint32(time.Now().Unix() + 3600)}
}

func publish(t testing.TB, e revoke.Engine, n byte) revoke.Entry {
	t.Helper()
	published, err := e.Publish(t.Context(), entry(n), nil)
	must(t, err)
	return published
}

const (
	recordSize = 36
)

// Whatever happens to the file, what was acknowledged and is still in it is read, and what is gone is noticed.
func TestFile(t *testing.T) {
	for _, test := range []struct {
		name   string
		happen func(t *testing.T, path string, content []byte) // to a file of three entries, which were read
		lost   bool                                            // the cursor is
		want   string                                          // entries that are there, as digits
	}{
		{"nothing", func(t *testing.T, path string, content []byte) {}, false, "123"},
		{"torn record", func(t *testing.T, path string, content []byte) {
			write(t, path, append(content, content[recordSize:recordSize+20]...))
		}, false, "123"},
		{"a full record of zeros at the end", func(t *testing.T, path string, content []byte) {
			write(t, path, append(content, make([]byte, recordSize)...))
		}, false, "123"},
		{"truncated by a record", func(t *testing.T, path string, content []byte) {
			must(t, os.Truncate(path, int64(len(content)-recordSize)))
		}, true, "12"},
		{"truncated by a byte", func(t *testing.T, path string, content []byte) {
			must(t, os.Truncate(path, int64(len(content)-1)))
		}, true, "12"},
		{"truncated to nothing", func(t *testing.T, path string, content []byte) { must(t, os.Truncate(path, 0)) }, true, ""},
		{"truncated within the header", func(t *testing.T, path string, content []byte) { must(t, os.Truncate(path, 5)) }, true, ""},
		{"deleted", func(t *testing.T, path string, content []byte) { must(t, os.Remove(path)) }, true, ""},
		{"an older copy is renamed there", func(t *testing.T, path string, content []byte) {
			write(t, path+".old", content[:2*recordSize])
			must(t, os.Rename(path+".old", path))
		}, true, "1"},
		{"an older copy, and another server puts back the last entry only", func(t *testing.T, path string, content []byte) {
			write(t, path, content[:2*recordSize])
			third, err := revoke.ParseEntry(content[3*recordSize : 3*recordSize+revoke.EntrySize])
			must(t, err)
			must(t, revoke.File(path).PutBack(t.Context(), []revoke.Entry{third}))
		}, true, "13"},
		{"replaced in place, and grown again", func(t *testing.T, path string, content []byte) {
			write(t, path, content[:2*recordSize])
			publish(t, revoke.File(path), 8)
			publish(t, revoke.File(path), 9)
		}, true, "189"},
		{"another file is renamed there, of the same size", func(t *testing.T, path string, content []byte) {
			other := revoke.File(path + ".other")
			for n := range byte(3) {
				publish(t, other, n+7)
			}
			must(t, os.Rename(path+".other", path))
		}, true, "789"},
		{"a record in the middle rots", func(t *testing.T, path string, content []byte) {
			content[2*recordSize+3]++
			write(t, path, content)
		}, false, "13"},
		{"the checksum of the one before the last rots", func(t *testing.T, path string, content []byte) {
			content[3*recordSize-1]++
			write(t, path, content)
			publish(t, revoke.File(path), 8)
		}, false, "1238"},
		{"the first checksum rots", func(t *testing.T, path string, content []byte) {
			content[2*recordSize-1]++
			write(t, path, content)
		}, false, "123"},
		{"two checksums rot", func(t *testing.T, path string, content []byte) {
			content[2*recordSize-1]++
			content[3*recordSize-1]++
			write(t, path, content)
			publish(t, revoke.File(path), 8) // where the reader's cursor must not be good any more
		}, true, "8"},
		{"the last record rots", func(t *testing.T, path string, content []byte) {
			content[len(content)-1]++
			write(t, path, content)
		}, true, "12"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "revocations")
			writer, reader := revoke.File(path), revoke.File(path)
			for n := range byte(3) {
				publish(t, writer, n+1)
			}
			es, cursor, err := readFile(t, reader, "")
			if err != nil || len(keysOf(es)) != 3 {
				t.Fatalf("got %d entries, %v", len(es), err)
			}
			content, err := os.ReadFile(path)
			must(t, err)
			test.happen(t, path, content)
			if _, _, err = readFile(t, reader, cursor); errors.Is(err, revoke.ErrLost) != test.lost || err != nil && !test.lost {
				t.Errorf("got %v from the cursor, want lost: %v", err, test.lost)
			}
			for _, then := range []string{"", "4"} {
				want := test.want + then
				if then != "" {
					publish(t, writer, 4)
				}
				es, _, err := readFile(t, reader, "")
				must(t, err)
				got := keysOf(es)
				for _, digit := range []byte(want) {
					if got[revoke.Key{digit - '0', 1}] == 0 {
						t.Errorf("entry %c is missing", digit)
					}
				}
				if len(got) != len(want) {
					t.Errorf("got %d entries, want %q", len(got), want)
				}
			}
			info, err := os.Stat(path)
			must(t, err)
			if info.Size()%recordSize != 0 {
				t.Errorf("got a file of %d bytes after another entry", info.Size())
			}
		})
	}
}

func write(t testing.TB, path string, content []byte) {
	t.Helper()
	must(t, os.WriteFile(path, content, 0o600))
}

// A file that is something else stays as it is.
func TestFileForeign(t *testing.T) {
	path := filepath.Join(t.TempDir(), "revocations")
	publish(t, revoke.File(path), 1)
	earlier, err := os.ReadFile(path)
	must(t, err)
	earlier[len("revocations v")]-- // the version
	for _, content := range []string{
		"x", "something of the user's, longer than a record of 36 bytes", strings.Repeat("\x00", 36), string(earlier),
	} {
		path := filepath.Join(t.TempDir(), "precious")
		write(t, path, []byte(content))
		e := revoke.File(path)
		_, err := e.Publish(t.Context(), entry(1), nil)
		if err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("published into a foreign file: got %v, want an error that names it", err)
		}
		_, _, err = readFile(t, e, "")
		if err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("read a foreign file: got %v, want an error that names it", err)
		}
		if got, err := os.ReadFile(path); string(got) != content {
			t.Errorf("got %q, %v; want it untouched", got, err)
		}
	}
	if _, err := revoke.File(filepath.Join(t.TempDir(), "no", "directory")).Publish(t.Context(), entry(1), nil); err == nil {
		t.Error("published into no directory")
	}
}

// Others can't read the file. A server whose clock is behind gives no pos that is below what is there.
func TestFileModeAndOrder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "revocations")
	e := revoke.File(path)
	if _, _, err := readFile(t, e, ""); err != nil { // whoever reads first creates it
		t.Fatal(err)
	}
	ahead := entry(1)
	ahead.Pos = uint64(time.Now().Add(time.Hour).UnixMicro())
	first, err := e.Publish(t.Context(), ahead, nil)
	must(t, err)
	second := publish(t, revoke.File(path), 1)
	must(t, e.PutBack(t.Context(), []revoke.Entry{{Key: revoke.Key{9}, Pos: 5, Expires: second.Expires}}))
	third := publish(t, e, 1)
	if first.Pos != ahead.Pos || second.Pos != first.Pos+1 || third.Pos <= second.Pos {
		t.Errorf("got pos %d, %d, %d; want at least %d, then rising", first.Pos, second.Pos, third.Pos, ahead.Pos)
	}
	info, err := os.Stat(path)
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("got mode %v", info.Mode())
	}
}

// Compaction drops what may be forgotten and what is there twice, under the eyes of writers and readers.
func TestFileCompaction(t *testing.T) {
	path := filepath.Join(t.TempDir(), "revocations")
	now := uint32(time.Now().Unix())
	const n = 1500 // of each kind: the file would be three times as large as the first compaction's limit
	lasting := func(i int) revoke.Entry {
		return revoke.Entry{Key: revoke.Key{1, byte(i >> 8), byte(i)}, Pos: 1, Expires: now + 3600}
	}
	reader := revoke.File(path)
	seen := map[revoke.Key]uint64{}
	_, cursor, err := readFile(t, reader, "")
	must(t, err)
	var writers sync.WaitGroup
	for w := range 2 {
		writers.Go(func() {
			e := revoke.File(path)
			for i := w; i < n; i += 2 {
				batch := []revoke.Entry{
					lasting(i),
					{Key: revoke.Key{2, byte(i >> 8), byte(i)}, Pos: 1, Expires: now - 61}, // may be forgotten
					{Key: revoke.Key{3}, Pos: uint64(i + 1), Expires: now + 3600},          // always the same
				}
				if err := e.PutBack(t.Context(), batch); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { writers.Wait(); close(done) }()
	losses := 0
	for last := false; ; {
		select {
		case <-done:
			last = true
		default:
		}
		es, next, err := readFile(t, reader, cursor)
		if errors.Is(err, revoke.ErrLost) {
			losses++
			cursor = ""
			continue
		}
		must(t, err)
		for k, pos := range keysOf(es) {
			seen[k] = max(seen[k], pos)
		}
		if cursor = next; last {
			break
		}
	}
	for i := range n {
		if seen[lasting(i).Key] == 0 {
			t.Errorf("the reader missed entry %d", i)
		}
	}
	if seen[revoke.Key{3}] != n {
		t.Errorf("got pos %d, want %d", seen[revoke.Key{3}], n)
	}
	info, err := os.Stat(path)
	must(t, err)
	if full := int64(3 * n * recordSize); info.Size() >= full || losses == 0 {
		t.Errorf("got %d bytes and %d compactions; want fewer than %d", info.Size(), losses, full)
	}
	if _, err := os.Stat(path + ".new"); err == nil {
		t.Error("a compaction has left its file")
	}
}

// A process that has just begun doesn't compact a file that another has compacted until that is worth it: at twice what
// it was created with, and 64 KiB.
func TestFileCompactionAfterRestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "revocations")
	content := func() []byte {
		b, err := os.ReadFile(path)
		must(t, err)
		return b
	}
	var last uint16
	next := func() revoke.Entry {
		last++
		return revoke.Entry{Key: revoke.Key{byte(last >> 8), byte(last)}, Pos: uint64(last), Expires: entry(0).Expires}
	}
	publish := func() { // by a new process
		_, err := revoke.File(path).Publish(t.Context(), next(), nil)
		must(t, err)
	}
	fill := func(records int) { // likewise
		var es []revoke.Entry
		for range records - len(content())/recordSize - 1 { // the last one follows them, once more
			es = append(es, next())
		}
		must(t, revoke.File(path).PutBack(t.Context(), es))
	}
	publish()
	kept := 1 // the header
	for _, name := range []string{"a new file", "a compacted one", "one that was compacted twice"} {
		limit := 2*kept + (64<<10+recordSize-1)/recordSize
		fill(limit - 2)
		for _, records := range []int{limit - 1, limit} {
			before := content()[:recordSize]
			publish()
			now := content()
			compacted := !bytes.Equal(now[:recordSize], before)
			if compacted != (records == limit) || !compacted && len(now) != records*recordSize {
				t.Errorf("%s: got %d bytes, compacted: %v, at %d records; want that at %d", name, len(now), compacted, records, limit)
			}
			kept = len(now) / recordSize
		}
		es, _, err := readFile(t, revoke.File(path), "")
		must(t, err)
		if got := len(keysOf(es)); got != int(last) || got != kept-1 {
			t.Errorf("%s: got %d entries in %d records, want %d once", name, got, kept, last)
		}
	}
}

// Somebody who holds the lock for ever keeps nobody longer than its context.
func TestFileLocked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "revocations")
	e := revoke.File(path)
	publish(t, e, 1)
	f, err := os.Open(path)
	must(t, err)
	defer f.Close()
	flock(t, f)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := e.Publish(ctx, entry(2), nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want DeadlineExceeded", err)
	}
	if es, _, err := readFile(t, e, ""); err != nil || len(keysOf(es)) != 1 {
		t.Errorf("got %d entries, %v: reading needs no lock", len(es), err)
	}
}

// Two Lists over one file hear of each other.
func TestFileLists(t *testing.T) {
	path := filepath.Join(t.TempDir(), "revocations")
	synctest.Test(t, func(t *testing.T) {
		open := func() *revoke.List {
			l, err := revoke.Open(t.Context(), revoke.Config{Engine: revoke.File(path), Keys: []string{"user"}, MaxLifetime: time.Hour})
			must(t, err)
			t.Cleanup(func() { l.Close() })
			return l
		}
		here, there := open(), open()
		must(t, here.End(t.Context(), "user", "ada"))
		must(t, there.Sync(t.Context()))
		if got := there.Stats().Entries; got != 1 {
			t.Errorf("got %d entries, want 1", got)
		}
		must(t, os.Remove(path))
		time.Sleep(15 * time.Second)
		if es, _, err := readFile(t, revoke.File(path), ""); err != nil || len(es) == 0 { // both may put it back
			t.Errorf("got %d entries, %v: nobody has put back what was lost", len(es), err)
		}
	})
}

// What a file holds never panics, and what was valid in it before is read.
func FuzzFile(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(bytes.Repeat([]byte{0}, recordSize))
	f.Add(bytes.Repeat([]byte("a"), recordSize-1))
	f.Fuzz(func(t *testing.T, tail []byte) {
		path := filepath.Join(t.TempDir(), "revocations")
		e := revoke.File(path)
		publish(t, e, 1)
		content, err := os.ReadFile(path)
		must(t, err)
		write(t, path, append(content, tail...))
		publish(t, e, 2)
		es, cursor, err := readFile(t, e, "")
		must(t, err)
		keys := keysOf(es)
		if keys[revoke.Key{1, 1}] == 0 || keys[revoke.Key{2, 1}] == 0 {
			t.Errorf("got %v", keys)
		}
		if _, _, err := readFile(t, e, cursor); err != nil {
			t.Errorf("got %v from the cursor", err)
		}
	})
}
