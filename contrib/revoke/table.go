package revoke

import (
	"encoding/binary"
	"math/bits"
	"sync"
	"sync/atomic"
)

// A table holds entries by key for lookups from many goroutines. A lookup waits for at most the change of one slot.
type table struct {
	shards  [64]shard
	count   atomic.Int64
	applied atomic.Uint64 // counts changes of a pos, and so orders them for this process
	gone    atomic.Int64  // the latest Expires of what was forgotten: before that time, something is missing

	changing sync.Mutex // held by whoever changes anything
}

// A shard is a hash table with linear probing. Nothing is ever removed from it: to forget is to build it anew.
type shard struct {
	mu    sync.RWMutex
	slots []slot
	seen  []bool // of each slot: the engine has shown this pos since its last snapshot began
	used  int
}

type slot struct {
	Entry        // unused if Pos is 0
	seq   uint64 // of table.applied, when Pos last rose
}

func (t *table) shard(k *Key) *shard { return &t.shards[k[0]%64] }

// find returns where k's slot is, or would be. Keys are digests, so their bytes are as good as random.
func find(slots []slot, k *Key) int {
	high, _ := bits.Mul64(binary.BigEndian.Uint64(k[8:]), uint64(len(slots)))
	i := int(high)
	for slots[i].Pos != 0 && slots[i].Key != *k {
		if i++; i == len(slots) {
			i = 0
		}
	}
	return i
}

// lookup returns k's slot, with a Pos of 0 if there is none.
func (t *table) lookup(k *Key) (found slot) {
	s := t.shard(k)
	s.mu.RLock()
	if len(s.slots) > 0 {
		found = s.slots[find(s.slots, k)]
	}
	s.mu.RUnlock()
	return found
}

// raise joins e with what is held under its key and returns whether the pos rose. shown says that it comes from the
// engine. Without a pos it is nothing.
func (t *table) raise(e Entry, shown bool) bool {
	if e.Pos == 0 {
		return false
	}
	t.changing.Lock()
	defer t.changing.Unlock()
	s := t.shard(&e.Key)
	if s.used >= len(s.slots)*4/5 {
		s.rebuild(len(s.slots)*3/2+4, func(*slot) bool { return true })
	}
	i := find(s.slots, &e.Key)
	old := s.slots[i]
	next := slot{e, old.seq}
	if old.Pos != 0 {
		next.Entry = old.Entry.Join(e)
	} else {
		s.used++
		t.count.Add(1)
	}
	rose := next.Pos > old.Pos
	if rose {
		next.seq = t.applied.Add(1)
		s.seen[i] = false
	}
	s.seen[i] = s.seen[i] || shown && e.Pos == next.Pos
	if next != old {
		s.mu.Lock()
		s.slots[i] = next
		s.mu.Unlock()
	}
	return rose
}

// rebuild makes the shard anew with so many slots, of those that keep accepts. table.changing is held.
func (s *shard) rebuild(n int, keep func(*slot) bool) {
	slots, seen, used := make([]slot, n), make([]bool, n), 0
	for i := range s.slots {
		if old := &s.slots[i]; old.Pos != 0 && keep(old) {
			to := find(slots, &old.Key)
			slots[to], seen[to] = *old, s.seen[i]
			used++
		}
	}
	s.mu.Lock()
	s.slots, s.seen, s.used = slots, seen, used
	s.mu.Unlock()
}

// forget drops the entries that may be forgotten at a time in Unix seconds.
func (t *table) forget(now int64) {
	for i := range t.shards {
		t.changing.Lock()
		s, kept := &t.shards[i], 0
		for j := range s.slots {
			switch e := &s.slots[j]; {
			case e.Pos == 0:
			case e.Forgotten(now):
				t.forgotten(e.Entry)
			default:
				kept++
			}
		}
		if kept < s.used {
			t.count.Add(int64(kept - s.used))
			s.rebuild(kept*3/2+4, func(e *slot) bool { return !e.Forgotten(now) })
		}
		t.changing.Unlock()
	}
}

// forgotten notes that an entry isn't held, since it may be forgotten.
func (t *table) forgotten(e Entry) {
	expires := int64(e.Expires)
	for old := t.gone.Load(); expires > old && !t.gone.CompareAndSwap(old, expires); old = t.gone.Load() {
	}
}

// unsee begins a snapshot: the engine has shown nothing yet.
func (t *table) unsee() {
	t.changing.Lock()
	defer t.changing.Unlock()
	for i := range t.shards {
		clear(t.shards[i].seen)
	}
}

// awaits reports whether the engine has yet to show a pos of k. One that has risen since, or was forgotten, it needn't.
func (t *table) awaits(k *Key, pos uint64) bool {
	t.changing.Lock()
	defer t.changing.Unlock()
	s := t.shard(k)
	if len(s.slots) == 0 {
		return false
	}
	i := find(s.slots, k)
	return s.slots[i].Pos == pos && !s.seen[i]
}

// unseen returns the entries of shard i that the engine hasn't shown though they were held when table.applied was seq,
// and that haven't expired.
func (t *table) unseen(i int, seq uint64, now int64) (es []Entry) {
	t.changing.Lock()
	defer t.changing.Unlock()
	s := &t.shards[i]
	for j := range s.slots {
		if e := &s.slots[j]; e.Pos != 0 && !s.seen[j] && e.seq <= seq && int64(e.Expires) > now {
			es = append(es, e.Entry)
		}
	}
	return es
}
