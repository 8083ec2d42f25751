package revoke

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"
)

// File returns an Engine for the processes of one machine, which share the file at path. It is created, with mode 0600,
// if it isn't there; its directory must be, and be readable and writable. It must be on a local file system, where flock
// works: Unix only, and neither AIX nor Solaris. Other processes hear of a revocation within about a tenth of a second.
// It is on the disk when it is acknowledged. Now and then the file is replaced by one without what may be forgotten, with
// the same owner and mode, and on Linux access control list: by root or that owner. Symbolic links to it are followed;
// hard links would lead to the old one.
func File(path string) Engine { return &file{path: path, sync: (*os.File).Sync} }

type file struct {
	path   string
	sync   func(*os.File) error
	found  atomic.Uint64 // of the file, by its header, that is sure to be found at the path after a power failure
	failed atomic.Int64  // bytes that the file had when it last could not be compacted
}

const (
	filePause   = 100 * time.Millisecond
	filePage    = recordSize << 15 // what is read at once, about a megabyte
	compactFrom = 64 << 10         // bytes that a compaction must be worth
)

// foreign returns the error for a file that is something else.
func foreign(at *os.File) error {
	return fmt.Errorf("revoke: %s is not a list of revocations, or one of another version", at.Name())
}

func (f *file) Publish(ctx context.Context, e Entry, only *Condition) (Entry, error) {
	at, err := f.openLocked(ctx)
	if err != nil {
		return e, err
	}
	defer at.Close() // and so unlock
	if only != nil {
		if err := only.check(ctx, at, e.Key); err != nil {
			return e, err
		}
	}
	err = f.append(at, func(last Entry) []Entry {
		e.Pos = max(e.Pos, last.Pos+1, uint64(time.Now().UnixMicro()))
		return []Entry{e}
	})
	return e, err
}

// check returns ErrConflict if the condition for a key doesn't hold in the file, whose lock is held.
func (c *Condition) check(ctx context.Context, at *os.File, k Key) error {
	broken := false
	for cursor, more := c.Cursor, true; more; {
		var err error
		cursor, more, err = readFrom(ctx, at, cursor, func(es []Entry) { broken = broken || c.brokenBy(k, es) })
		if broken || errors.Is(err, ErrLost) {
			return ErrConflict
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (f *file) PutBack(ctx context.Context, es []Entry) error {
	at, err := f.openLocked(ctx)
	if err != nil {
		return err
	}
	defer at.Close()
	return f.append(at, func(last Entry) []Entry { return withLast(es, last) })
}

// withLast returns es and the last entry of the file, if there is one, so that they can follow it.
func withLast(es []Entry, last Entry) []Entry {
	es = slices.Clone(es)
	if last.Pos > 0 {
		es = append(es, last)
	}
	return byPos(es)
}

// byPos sorts entries so that the last one of the file has the greatest pos.
func byPos(es []Entry) []Entry {
	slices.SortFunc(es, func(a, b Entry) int { return cmp.Compare(a.Pos, b.Pos) })
	return es
}

// append adds to the file, whose lock is held, the entries that it gets for the file's last one, if there is one.
func (f *file) append(at *os.File, entries func(last Entry) []Entry) error {
	info, err := at.Stat()
	if err != nil {
		return err
	}
	head, ok, err := readHeader(at, info.Size())
	if err != nil {
		return err
	}
	var end int64
	var last Entry
	var added records
	if ok {
		end, last, added, err = recordsEnd(at, info.Size())
	} else {
		head = newHeader(0)
		added.add(head)
	}
	if err != nil {
		return err
	}
	for _, e := range entries(last) {
		added.add(e)
	}
	if info.Size() > end {
		// What is no record must not stay behind the new ones: a cursor that stands there would not show that they came.
		err = at.Truncate(end)
	}
	if err == nil {
		_, err = at.WriteAt(added.encoded, end)
	}
	if err == nil {
		err = f.sync(at)
	}
	if err == nil && f.found.Load() != head.Pos {
		// Whoever has created the file, or compacted it, may not have come so far (fsync(2)).
		if err = f.syncDirectory(); err == nil {
			f.found.Store(head.Pos)
		}
	}
	if err != nil {
		at.Truncate(end) // nobody may find later what wasn't acknowledged
		return err
	}
	end += int64(len(added.encoded))
	if end >= 2*max(keptBy(head), f.failed.Load())+compactFrom {
		if err := f.compact(at); err != nil {
			f.failed.Store(end) // the entries are safe, so that waits until the file has doubled
		}
	}
	return nil
}

// openLocked returns the file, which nobody else may change until it's closed.
func (f *file) openLocked(ctx context.Context) (*os.File, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		at, err := os.OpenFile(f.path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, err
		}
		locked, err := tryLock(at)
		if err == nil && locked && f.is(at) {
			return at, nil
		}
		at.Close()
		if err != nil {
			return nil, err
		}
		select {
		case <-time.After(time.Millisecond): // who holds the lock may have been stopped, and ctx may end
		case <-ctx.Done():
		}
	}
}

// is reports whether at is still the file at the path: it may have been compacted while we waited.
func (f *file) is(at *os.File) bool {
	opened, err := at.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(f.path)
	return err == nil && os.SameFile(opened, there)
}

// recordsEnd returns where the records of a file of that size, which has a header, end, the last entry if there is one,
// and records that go on from there.
func recordsEnd(at *os.File, size int64) (end int64, last Entry, added records, err error) {
	var storage [3 * recordSize]byte // a record and those before
	for end = size / recordSize * recordSize; end > recordSize; end -= recordSize {
		b := storage[:min(end, int64(len(storage)))]
		if _, err := at.ReadAt(b, end-int64(len(b))); err != nil {
			return 0, last, added, err
		}
		if last, _, ok := parseNext(b); ok {
			return end, last, records{sum: checksum(b[len(b)-recordSize:])}, nil
		}
	}
	_, err = at.ReadAt(storage[:recordSize], 0)
	return end, last, records{sum: checksum(storage[:recordSize])}, err
}

// readHeader returns the header of the file, or false if it has none yet.
func readHeader(at *os.File, size int64) (head Entry, ok bool, err error) {
	b := make([]byte, min(size, recordSize))
	if _, err := at.ReadAt(b, 0); err != nil && err != io.EOF {
		return head, false, err
	}
	if len(b) < recordSize { // being created, or that was interrupted
		if n := min(len(b), len(magic)); !bytes.Equal(b[:n], magic[:n]) {
			return head, false, foreign(at)
		}
		return head, false, nil
	}
	head, ok = parseRecord(0, b)
	if !ok || head.Key != magic {
		return head, false, foreign(at)
	}
	return head, true, nil
}

// compact replaces the file, whose lock is held, by one without what may be forgotten.
func (f *file) compact(at *os.File) error {
	content, err := io.ReadAll(io.NewSectionReader(at, 0, 1<<62))
	if err != nil {
		return err
	}
	if len(content) < recordSize {
		return foreign(at) // somebody has truncated it meanwhile
	}
	info, err := at.Stat()
	if err != nil {
		return err
	}
	path := f.place()
	if there, err := os.Stat(path); err != nil || !os.SameFile(info, there) {
		return fmt.Errorf("revoke: %s has been replaced by another file", path) // which others may have locked, to write to it
	}
	es, _ := parseRecords(nil, content)
	es = byPos(compact(es, time.Now().Unix()))
	var kept records
	kept.add(newHeader(len(es)))
	for _, e := range es {
		kept.add(e)
	}
	os.Remove(path + ".new") // of a compaction that was interrupted, or somebody's link to another file
	next, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = next.Write(kept.encoded)
	if err == nil {
		err = keepAccessList(next, at) // before the mode, whose group bits may be this list's
	}
	if err == nil {
		err = giveTo(next, info)
	}
	if err == nil {
		err = f.sync(next)
	}
	err = errors.Join(err, next.Close())
	if err == nil {
		err = os.Rename(next.Name(), path)
	}
	if err != nil {
		os.Remove(next.Name())
		return err
	}
	return f.syncDirectory()
}

// place returns where the file is, behind symbolic links: a new one in place of a link would be found by that link only.
func (f *file) place() string {
	if path, err := filepath.EvalSymlinks(f.path); err == nil {
		return path
	}
	return f.path // which somebody has removed
}

func (f *file) syncDirectory() error {
	d, err := os.Open(filepath.Dir(f.place()))
	if err != nil {
		return err
	}
	return errors.Join(f.sync(d), d.Close())
}

// A fileCursor says how far a file was read.
type fileCursor struct {
	id     uint64 // of the file, by its header
	offset int64
	last   uint32 // checksum of the record before offset, and so of all up to it
}

func (c fileCursor) String() string { return fmt.Sprintf("%x:%d:%x", c.id, c.offset, c.last) }

func (f *file) Read(ctx context.Context, cursor string, sink func([]Entry)) (next string, more bool, err error) {
	at, err := os.Open(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		at, err = os.OpenFile(f.path, os.O_RDWR|os.O_CREATE, 0o600)
	}
	if err != nil {
		return "", false, err
	}
	defer at.Close()
	return readFrom(ctx, at, cursor, sink)
}

// readFrom is Read of a file that is open.
func readFrom(ctx context.Context, at *os.File, cursor string, sink func([]Entry)) (next string, more bool, err error) {
	if err := ctx.Err(); err != nil {
		return "", false, err
	}
	info, err := at.Stat()
	if err != nil {
		return "", false, err
	}
	head, ok, err := readHeader(at, info.Size())
	if err != nil {
		return "", false, err
	}
	var from fileCursor // where to go on reading
	if cursor != "" {
		fmt.Sscanf(cursor, "%x:%d:%x", &from.id, &from.offset, &from.last)
	}
	if from.offset > 0 && (!ok || from.id != head.Pos) {
		return "", false, ErrLost
	}
	if !ok {
		return fileCursor{}.String(), false, nil
	}
	page, err := from.page(at, info.Size())
	if err != nil {
		return "", false, err
	}
	start := max(from.offset-recordSize, 0)
	more = start+int64(len(page)) < info.Size()/recordSize*recordSize
	es, taken := parseRecords(nil, page)
	if more {
		taken = len(page)
	}
	sink(es)
	from = fileCursor{id: head.Pos, offset: start + int64(taken), last: checksum(page[taken-recordSize : taken])}
	return from.String(), more, nil
}

// page returns the record before the cursor, or the header, and what follows. The error is ErrLost if what was read isn't
// all there: then the file was replaced by another with this header.
func (c fileCursor) page(at *os.File, size int64) ([]byte, error) {
	start := max(c.offset-recordSize, 0)
	b := make([]byte, max(min(size-start, filePage)/recordSize*recordSize, 0))
	if n, err := at.ReadAt(b, start); err == io.EOF {
		return nil, ErrLost // it was truncated since
	} else if err != nil {
		return b[:n], err
	}
	if len(b) == 0 || c.offset > 0 && checksum(b[:recordSize]) != c.last {
		return nil, ErrLost
	}
	return b, nil
}

func (f *file) Follow(ctx context.Context, read func(context.Context) (string, error)) error {
	for {
		if _, err := read(ctx); err != nil {
			return err
		}
		select {
		case <-time.After(filePause):
		case <-ctx.Done():
			return nil
		}
	}
}
