package revoke

import (
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
)

// key returns a key as a digest would have it, all in one shard if few.
func testKey(n int, few bool) Key {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(n))
	k := digest("test", b[:])
	if few {
		k[0] = 7
	}
	return k
}

// The table does what a map does.
func TestTable(t *testing.T) {
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, seed))
		var got table
		want, shown := map[Key]Entry{}, map[Key]bool{}
		now := int64(1000)
		for step := range 3000 {
			switch random.IntN(300) {
			case 0:
				now += int64(random.IntN(200))
				got.forget(now)
				for k, e := range want {
					if e.Forgotten(now) {
						delete(want, k)
						delete(shown, k)
					}
				}
			case 1:
				got.unsee()
				clear(shown)
			default:
				e := Entry{
					Key:     testKey(random.IntN(400), seed%2 == 0),
					Pos:     random.Uint64N(5),
					Before:  random.Uint32N(5),
					Expires: uint32(now) + random.Uint32N(500),
				}
				fromEngine := random.IntN(2) == 0
				old := want[e.Key]
				rose := got.raise(e, fromEngine)
				if rose != (e.Pos > old.Pos) {
					t.Fatalf("seed %d, step %d: got rose %v", seed, step, rose)
				}
				if e.Pos == 0 {
					break
				}
				shown[e.Key] = fromEngine && e.Pos >= old.Pos || shown[e.Key] && !rose
				old.Key = e.Key
				want[e.Key] = old.Join(e)
			}
		}
		if int(got.count.Load()) != len(want) {
			t.Errorf("seed %d: got %d entries, want %d", seed, got.count.Load(), len(want))
		}
		unseen := map[Key]Entry{}
		for i := range got.shards {
			for _, e := range got.unseen(i, got.applied.Load(), 0) {
				unseen[e.Key] = e
			}
		}
		for i := range 400 {
			k := testKey(i, seed%2 == 0)
			if e := got.lookup(&k); e.Entry != want[k] {
				t.Errorf("seed %d: got %v, want %v", seed, e.Entry, want[k])
			}
			held, ok := want[k]
			if awaits := got.awaits(&k, held.Pos); ok && awaits == shown[k] {
				t.Errorf("seed %d: got awaits %v, want %v", seed, awaits, !shown[k])
			}
			if got.awaits(&k, held.Pos+1) || held.Pos > 0 && got.awaits(&k, held.Pos-1) {
				t.Errorf("seed %d: awaits a pos that isn't held", seed)
			}
			if e, ok := unseen[k]; ok && (shown[k] || e != want[k]) || !ok && want[k].Pos > 0 && !shown[k] {
				t.Errorf("seed %d: got unseen %v, want %v, shown: %v", seed, e, want[k], shown[k])
			}
		}
	}
}

// unseen leaves out what came later or has expired.
func TestTableUnseen(t *testing.T) {
	var table table
	for i := range 10 {
		table.raise(Entry{Key: testKey(i, true), Pos: 1, Expires: uint32(100 + i)}, false)
	}
	for _, test := range []struct {
		seq  uint64
		now  int64
		want int
	}{{10, 0, 10}, {9, 0, 9}, {0, 0, 0}, {10, 100, 9}, {10, 99, 10}, {10, 109, 0}} {
		if got := len(table.unseen(7, test.seq, test.now)); got != test.want {
			t.Errorf("seq %d, now %d: got %d, want %d", test.seq, test.now, got, test.want)
		}
	}
}

// Lookups see a pos that never falls, while the table grows, is swept and is searched.
func TestTableConcurrent(t *testing.T) {
	var table table
	var stop atomic.Bool
	var readers sync.WaitGroup
	const keys = 2000
	for range 4 {
		readers.Go(func() {
			last := make([]uint64, keys)
			for i := 0; !stop.Load(); i = (i + 1) % keys {
				k := testKey(i, false)
				e := table.lookup(&k)
				if e.Pos < last[i] || e.Pos > 0 && (e.Key != k || e.seq == 0) {
					t.Errorf("got %+v after pos %d", e, last[i])
					return
				}
				last[i] = e.Pos
			}
		})
	}
	for pos := range uint64(5) {
		for i := range keys {
			table.raise(Entry{Key: testKey(i, false), Pos: pos + 1, Expires: 1000}, i%2 == 0)
		}
		table.forget(10)
		table.unsee()
	}
	stop.Store(true)
	readers.Wait()
}
