package cookiesession_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/seed-50e21e88/cookiesession"
)

// A session does what a map of encoded values would, and has changed exactly if it differs from what came: random
// changes, with few keys so that they meet, held against a map after each.
func TestSessionIsAMap(t *testing.T) {
	values := []any{nil, false, int64(0), int64(1), "", "x", random(40), []byte{}, []any{}, []any{int64(1)}, map[string]any{}, map[string]any{"a": int64(1), "b": "x"}}
	for seed := range uint64(60) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		keys := make([]string, 1+rnd.IntN(40)) // more than fit into a Session's own storage, and fewer
		for i := range keys {
			keys[i] = fmt.Sprint("key", rnd.IntN(2*len(keys)))
		}
		m := newManager(t, withMaxSize(defaultCapacity.size(9)))
		v := newVisitor(t, m)
		saved, opened := map[string]any{}, false
		for range 12 {
			s := v.load()
			want := maps.Clone(saved)
			for range rnd.IntN(30) {
				key, value := keys[rnd.IntN(len(keys))], values[rnd.IntN(len(values))]
				switch op := rnd.IntN(12); op {
				case 0:
					s.Clear()
					clear(want)
				case 1, 2:
					s.Delete(key)
					delete(want, key)
				case 3:
					if got := s.Pull(key); !reflect.DeepEqual(got, want[key]) {
						t.Fatalf("seed %d: Pull gave %v, want %v", seed, got, want[key])
					}
					delete(want, key)
				case 4: // put back what came
					if old, ok := saved[key]; ok {
						s.Put(key, old)
						want[key] = old
					}
				case 5: // put everything back
					s.Clear()
					clear(want)
					for key, old := range saved {
						s.Put(key, old)
						want[key] = old
					}
				default:
					s.Put(key, value)
					want[key] = value
				}
				checkAgainst(t, s, want)
				if got, want := s.Changed(), !reflect.DeepEqual(saved, want); got != want {
					t.Fatalf("seed %d: Changed is %t, want %t", seed, got, want)
				}
			}
			changed := s.Changed()
			lines, err := v.answer(s)
			if err != nil || (len(lines) > 0) != changed {
				t.Fatalf("seed %d: %d cookies written and error %v, Changed was %t", seed, len(lines), err, changed)
			}
			saved, opened = want, opened || changed
			s = v.load()
			if s.IsNew() == opened {
				t.Fatalf("seed %d: IsNew is %t, rejected %v", seed, s.IsNew(), s.Rejected())
			}
			checkAgainst(t, s, saved)
		}
	}
}

// checkAgainst compares every way to read a session's values with a map.
func checkAgainst(t *testing.T, s *cookiesession.Session, want map[string]any) {
	t.Helper()
	if got := s.All(); !reflect.DeepEqual(got, want) {
		t.Fatalf("All gave %v, want %v", got, want)
	}
	keys := slices.Sorted(maps.Keys(want))
	if got := s.Keys(); !slices.Equal(got, keys) {
		t.Fatalf("Keys gave %q, want %q", got, keys)
	}
	if got := s.IsEmpty(); got != (len(want) == 0) {
		t.Fatalf("IsEmpty gave %t for %d values", got, len(want))
	}
	for i := range 4 {
		key := fmt.Sprint("key", i)
		value, has := want[key]
		if got := s.Get(key); !reflect.DeepEqual(got, value) {
			t.Fatalf("Get gave %v, want %v", got, value)
		}
		if got := s.Has(key); got != has {
			t.Fatalf("Has gave %t, want %t", got, has)
		}
	}
}

// To decode one value takes as much memory among 300 as among 10, and nothing else is decoded.
func TestReadingOneOfMany(t *testing.T) {
	m := newManager(t, withMaxSize(defaultCapacity.size(9)))
	among := func(n int) (opening, reading, changing float64) {
		v := newVisitor(t, m)
		v.visit(func(s *cookiesession.Session) {
			for i := range n {
				s.Put(fmt.Sprintf("key%03d", i), map[string]any{"a": "some text", "b": []any{1, 2, 3}})
			}
			s.Put("name", "ada lovelace")
			s.Put("zero", 0)
		})
		header := v.header()
		opening = testing.AllocsPerRun(100, func() { load(m, header).Has("zero") })
		s := load(m, header)
		reading = testing.AllocsPerRun(100, func() { s.Get("name") })
		changing = testing.AllocsPerRun(100, func() { s.Put("zero", 1); s.Put("zero", 0) })
		return opening, reading, changing
	}
	openFew, readFew, changeFew := among(10)
	openMany, readMany, changeMany := among(300)
	if readFew != readMany || readMany > 2 {
		t.Errorf("Get allocates %v times among 10 keys and %v among 300, want at most 2 in both", readFew, readMany)
	}
	if changeFew != changeMany || changeMany > 8 {
		t.Errorf("two changes allocate %v times among 10 keys and %v among 300, want at most 8 in both", changeFew, changeMany)
	}
	if openMany > openFew+1 { // the index of where keys are
		t.Errorf("opening allocates %v times with 10 keys and %v with 300, want at most one more", openFew, openMany)
	}
	t.Logf("10 keys: %v to open, %v to read, %v to change; 300 keys: %v, %v, %v", openFew, readFew, changeFew, openMany, readMany, changeMany)
}
