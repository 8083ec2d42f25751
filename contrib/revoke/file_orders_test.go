//go:build unix

package revoke

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var orders = flag.Int("orders", 3, "how many steps TestFileOrders takes, in every order: each more takes ten times as long, and one is left out where there is no /dev/shm")

// A stepper is a server whose List does nothing by itself, so that a test says what comes next.
type stepper struct {
	*file
	list    *List
	locked  func() bool // happens next when the file's lock is held, before it is looked at
	written func() bool // happens next when something was written, before anybody sees it
}

func newStepper(t *testing.T, path string) *stepper {
	t.Helper()
	s := &stepper{file: File(path).(*file)}
	var err error
	s.list, err = newList(Config{Engine: s, Keys: []string{"user"}, MaxLifetime: time.Hour, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *stepper) Publish(ctx context.Context, e Entry, _ *Condition) (Entry, error) {
	err := s.write(ctx, func(last Entry) []Entry {
		e.Pos = max(e.Pos, last.Pos+1)
		return []Entry{e}
	})
	return e, err
}

func (s *stepper) PutBack(ctx context.Context, es []Entry) error {
	return s.write(ctx, func(last Entry) []Entry { return withLast(es, last) })
}

func (s *stepper) write(ctx context.Context, entries func(last Entry) []Entry) error {
	at, err := s.openLocked(ctx)
	if err != nil {
		return err
	}
	defer at.Close()
	locked, written := s.locked, s.written
	s.locked, s.written = nil, nil
	if locked != nil {
		locked()
	}
	err = s.append(at, entries)
	if written != nil {
		written()
	}
	return err
}

func (s *stepper) knows(k Key) bool { return s.list.entries.lookup(&k).Pos > 0 }

// A fileWorld is two servers over a file that somebody replaces, and what has been acknowledged.
type fileWorld struct {
	t       *testing.T
	path    string
	servers [2]*stepper
	damaged bool // the file was, so that it may lack something
	acked   []Key
	excused int // of them, since nobody runs who knew, and the file lacked them
}

// newFileWorld returns one in which both servers know a revocation, and each has added another that the other hasn't read.
func newFileWorld(t *testing.T, dir string) *fileWorld {
	w := &fileWorld{t: t, path: filepath.Join(dir, "revocations")}
	os.Remove(w.path)
	for i := range w.servers {
		w.servers[i] = newStepper(t, w.path)
		w.look(w.servers[i])
	}
	w.end(w.servers[0])
	w.look(w.servers[0])
	w.look(w.servers[1])
	w.end(w.servers[0])
	w.end(w.servers[1])
	return w
}

func (w *fileWorld) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *fileWorld) end(s *stepper) bool {
	k := Key{0, byte(len(w.acked)+w.excused) + 1} // all in one shard, since shards are put back in no order
	_, err := s.list.publish(w.t.Context(), k, time.Hour, nil)
	w.must(err)
	w.acked = append(w.acked, k)
	return true
}

// look reads, after which the server must know all that the file holds. It returns false if that has told it nothing.
func (w *fileWorld) look(s *stepper) bool {
	before, awaited := s.list.cursor, len(s.list.awaited)
	_, err := s.list.read(w.t.Context())
	w.must(err)
	for _, k := range w.held() {
		if !s.knows(k) {
			w.t.Errorf("a server has looked, and doesn't know %v, which is there", k)
		}
	}
	return s.list.cursor != before || len(s.list.awaited) != awaited
}

// held returns what the file holds for who reads it from the beginning.
func (w *fileWorld) held() (keys []Key) {
	_, _, err := File(w.path).Read(w.t.Context(), "", func(es []Entry) {
		for _, e := range es {
			keys = append(keys, e.Key)
		}
	})
	w.must(err)
	return keys
}

func (w *fileWorld) putBack(s *stepper) bool {
	select {
	case <-s.list.putBack:
		w.must(s.list.restoreUpTo(s.list.lost.Load()))
		return true
	default:
		s.locked = nil
		return false
	}
}

// replace puts another file there, made of what the old one holds in records, unless it holds too little.
func (w *fileWorld) replace(records int, by func(content []byte) []byte) bool {
	content, err := os.ReadFile(w.path)
	if err != nil || len(content) < records*recordSize {
		return false
	}
	w.must(os.WriteFile(w.path+".old", by(content), 0o600))
	w.must(os.Rename(w.path+".old", w.path))
	w.damaged = true
	return true
}

// half is an older copy: the header and an entry at least.
func (w *fileWorld) half() bool {
	return w.replace(3, func(content []byte) []byte { return content[:max(2, len(content)/(2*recordSize))*recordSize] })
}

// hole is what is left if an older copy is written there just before a server writes behind what was there.
func (w *fileWorld) hole() bool {
	return w.replace(4, func(content []byte) []byte {
		clear(content[len(content)/(2*recordSize)*recordSize : len(content)-recordSize])
		return content
	})
}

func (w *fileWorld) remove() bool {
	w.damaged = true
	return os.Remove(w.path) == nil
}

func (w *fileWorld) compact() bool {
	f := w.servers[0].file
	at, err := f.openLocked(w.t.Context())
	w.must(err)
	defer at.Close()
	info, err := at.Stat()
	w.must(err)
	if info.Size() == 0 {
		return false
	}
	w.must(f.compact(at))
	return true
}

// kill ends a server and starts another. What it alone knew of, and the file lacks, nobody promises.
func (w *fileWorld) kill(i int) bool {
	held := w.held()
	before := len(w.acked)
	w.acked = slices.DeleteFunc(w.acked, func(k Key) bool { return !w.servers[1-i].knows(k) && !slices.Contains(held, k) })
	w.excused += before - len(w.acked)
	if w.excused > 0 && !w.damaged {
		w.t.Error("a server was killed, and the file has lost what it had acknowledged, though nobody touched it")
	}
	w.servers[i] = newStepper(w.t, w.path)
	w.look(w.servers[i])
	return true
}

// A fileStep is something that can happen. It returns false if nothing did.
type fileStep struct {
	name string
	do   func(w *fileWorld) bool
}

var fileSteps = func() (steps []fileStep) {
	add := func(name string, do func(w *fileWorld) bool) { steps = append(steps, fileStep{name, do}) }
	for i := range 2 {
		named := func(name string, do func(w *fileWorld, s *stepper) bool) {
			add(fmt.Sprintf("%d %s", i, name), func(w *fileWorld) bool { return do(w, w.servers[i]) })
		}
		named("ends", (*fileWorld).end)
		named("ends, half when locked", func(w *fileWorld, s *stepper) bool { s.locked = w.half; return w.end(s) })
		named("ends, removed when locked", func(w *fileWorld, s *stepper) bool { s.locked = w.remove; return w.end(s) })
		named("ends behind a hole", func(w *fileWorld, s *stepper) bool { s.written = w.hole; return w.end(s) })
		named("looks", (*fileWorld).look)
		named("puts back", (*fileWorld).putBack)
		named("puts back, half when locked", func(w *fileWorld, s *stepper) bool { s.locked = w.half; return w.putBack(s) })
		add(fmt.Sprintf("%d is killed", i), func(w *fileWorld) bool { return w.kill(i) })
	}
	add("half", (*fileWorld).half)
	add("removed", (*fileWorld).remove)
	add("compacted", (*fileWorld).compact)
	return steps
}()

// settle lets the servers do what they do by themselves, the first always first, until there is nothing left to do.
func (w *fileWorld) settle(first int) {
	const limit = 20
	for quiet, round := 0, 0; quiet < 2; quiet, round = quiet+1, round+1 {
		if round == limit {
			w.t.Errorf("the servers still put back after %d rounds", limit)
			return
		}
		for i := range w.servers {
			s := w.servers[(first+i)%2]
			w.look(s)
			if w.putBack(s) {
				quiet = -1
			}
		}
	}
}

// Whatever happens to the file, in whatever order, and between a server's lock and its write too: what was acknowledged,
// and somebody who runs on knew or the file held, is in the end known to all, old and new.
func TestFileOrders(t *testing.T) {
	steps := *orders
	dir, err := os.MkdirTemp("/dev/shm", "revoke") // where fsync takes no time
	if err != nil {
		dir, steps = t.TempDir(), steps-1
	}
	defer os.RemoveAll(dir)
	n, excused := 0, 0
	var try func(order []fileStep)
	try = func(order []fileStep) {
		for first := range 2 {
			w := newFileWorld(t, dir)
			for i, step := range order {
				if happened := step.do(w); !happened && i == len(order)-1 {
					return
				}
			}
			w.settle(first)
			n, excused = n+1, excused+w.excused
			fresh := newStepper(t, w.path)
			w.look(fresh)
			for _, s := range append(w.servers[:], fresh) {
				for _, k := range w.acked {
					if !s.knows(k) {
						t.Errorf("%v is missing", k)
					}
				}
			}
			if t.Failed() {
				var names []string
				for _, step := range order {
					names = append(names, step.name)
				}
				t.Fatalf("after: %s; then %d first", strings.Join(names, "; "), first)
			}
		}
		if len(order) < steps {
			for _, step := range fileSteps {
				try(append(order[:len(order):len(order)], step))
			}
		}
	}
	try(nil)
	t.Logf("%d orders, %d revocations that nobody promised", n, excused)
}

// A link may lead elsewhere before a compaction is done. The file there has a lock of its own, which nobody holds, and
// entries that the replacement lacks.
func TestFileCompactionWhileLinkChanges(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Symlink("one", link))
	f := File(link).(*file)
	at, err := f.openLocked(t.Context())
	must(err)
	defer at.Close()
	must(os.Remove(link))
	must(os.Symlink("two", link))
	theirs := Entry{Key: Key{2}, Pos: 1, Expires: uint32(time.Now().Unix() + 3600)}
	must(f.PutBack(t.Context(), []Entry{theirs}))
	must(f.append(at, func(Entry) []Entry { return make([]Entry, 2*compactFrom/recordSize) }))
	var got []Entry
	_, _, err = f.Read(t.Context(), "", func(es []Entry) { got = append(got, es...) })
	if must(err); !slices.Contains(got, theirs) {
		t.Errorf("got %d entries without the one that the link's new file had", len(got))
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*.new")); err != nil || left != nil {
		t.Errorf("left %q, %v", left, err)
	}
}
