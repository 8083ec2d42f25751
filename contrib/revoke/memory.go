package revoke

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Memory returns an Engine for one process, and for tests: several Lists may share it.
func Memory() Engine { return &memory{changed: make(chan struct{})} }

type memory struct {
	mu      sync.Mutex
	log     []Entry
	epoch   int // of the log: it changes when the log is compacted
	kept    int // entries that the last compaction left
	last    uint64
	changed chan struct{} // closed at the next change
}

func (m *memory) Publish(ctx context.Context, e Entry, only *Condition) (Entry, error) {
	if err := ctx.Err(); err != nil {
		return e, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if only != nil {
		at, err := m.offset(only.Cursor)
		if err != nil || only.brokenBy(e.Key, m.log[at:]) {
			return e, ErrConflict
		}
	}
	e.Pos = max(e.Pos, m.last+1, uint64(time.Now().UnixMicro()))
	m.add(e)
	return e, nil
}

func (m *memory) PutBack(ctx context.Context, es []Entry) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range es {
		m.add(e)
	}
	return ctx.Err()
}

func (m *memory) add(e Entry) {
	m.last = max(m.last, e.Pos)
	m.log = append(m.log, e)
	if len(m.log) >= 2*m.kept+1024 {
		m.log = compact(m.log, time.Now().Unix())
		m.kept = len(m.log)
		m.epoch++
	}
	close(m.changed)
	m.changed = make(chan struct{})
}

func (m *memory) Read(ctx context.Context, cursor string, sink func([]Entry)) (next string, more bool, err error) {
	m.mu.Lock()
	at, err := m.offset(cursor)
	log, epoch := m.log, m.epoch
	m.mu.Unlock()
	if err != nil {
		return "", false, err
	}
	sink(log[at:])
	return fmt.Sprintf("%d:%d", epoch, len(log)), false, ctx.Err()
}

// offset returns where in the log a cursor stands. m.mu is held.
func (m *memory) offset(cursor string) (at int, err error) {
	if cursor == "" {
		return 0, nil
	}
	epoch := 0
	n, err := fmt.Sscanf(cursor, "%d:%d", &epoch, &at)
	if n != 2 || err != nil || epoch != m.epoch {
		return 0, ErrLost
	}
	return at, nil
}

func (m *memory) Follow(ctx context.Context, read func(context.Context) (string, error)) error {
	for {
		m.mu.Lock()
		changed := m.changed
		m.mu.Unlock()
		if _, err := read(ctx); err != nil {
			return err
		}
		select {
		case <-changed:
		case <-time.After(time.Second):
		case <-ctx.Done():
			return nil
		}
	}
}

// compact joins entries of the same key and drops those that may be forgotten at a time in Unix seconds.
func compact(log []Entry, now int64) []Entry {
	at := make(map[Key]int)
	var kept []Entry
	for _, e := range log {
		if e.Forgotten(now) {
			continue
		}
		if i, ok := at[e.Key]; ok {
			kept[i] = kept[i].Join(e)
			continue
		}
		at[e.Key] = len(kept)
		kept = append(kept, e)
	}
	return kept
}
