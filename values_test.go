package cookiesession_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

// A session does what a map of encoded values would, and has changed exactly if it differs from what was received:
// random changes, with few keys so that they meet, held against a map after each.
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
				case 4: // put back what was received
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

// To find a key takes no memory, however long it is: who looks for it would have to pay for that at each step.
func TestFindingKeysTakesNoMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("the builds of package mutation, which run with -short, compare strings by functions that need memory")
	}
	m := newManager(t, nil)
	for _, length := range []int{31, 32, 33, 300} {
		name := func(n int) string { return strings.Repeat("k", length-1) + string(rune('a'+n)) }
		v := newVisitor(t, m)
		v.visit(func(s *cookiesession.Session) {
			for n := range 8 {
				s.Put(name(n), n)
			}
		})
		s := v.load()
		s.Put(name(1), "changed")
		s.Delete(name(2))
		there, deleted, missing := name(6), name(2), name(8)
		if got := testing.AllocsPerRun(100, func() {
			if !s.Has(there) || s.Has(deleted) || s.Has(missing) {
				t.Fatal("a key isn't found, or is")
			}
		}); got > 0 {
			t.Errorf("keys of %d bytes: finding three allocates %v times, want 0", length, got)
		}
	}
}

// A session has changed exactly if bytes differ from what was received, and exactly then cookies are written.
// rack-session #52 compares ciphertext, which always differs; msgpack/v5 writes maps in random order, so equal values
// look changed.
func TestChanged(t *testing.T) {
	type inner struct {
		C int `msgpack:"c"`
	}
	type outer struct {
		B inner `msgpack:"b"`
		A int   `msgpack:"a"`
	}
	at := time.Date(2026, 3, 1, 12, 0, 0, 5, time.UTC)
	big := map[string]int{}
	for _, key := range strings.Split("zyxwvutsrqponmlkjihgfedcba0123456789", "") {
		big[key] = len(big)
	}
	base := map[string]any{
		"n": 1, "s": "x", "b": []byte("x"), "list": []any{1, "a"}, "map": map[string]any{"a": 1, "b": map[string]any{"c": 2}},
		"nil": nil, "t": at, "big": big, "f": 1.5,
	}
	tests := []struct {
		name   string
		change func(s *cookiesession.Session)
		want   bool
	}{
		{"nothing", nothing, false},
		{"every way to read", func(s *cookiesession.Session) {
			s.Get("n")
			s.Has("n")
			s.All()
			s.Keys()
			s.Size()
			s.ID()
			s.IsEmpty()
			s.CreatedAt()
			s.ExpiresAt()
			s.VerifyCSRFToken("x")
			s.RegenerateCSRFToken()
			s.Flashed("f")
			s.Flashes()
			s.Keep("f")
			s.Reflash()
			cookiesession.Field[int]("n").Or(s, 2)
		}, false},
		{"all put again", func(s *cookiesession.Session) {
			for key, v := range base {
				s.Put(key, v)
			}
		}, false},
		{"all put again as they came out", func(s *cookiesession.Session) {
			for key, v := range s.All() {
				s.Put(key, v)
			}
		}, false},
		{"an equal integer of another type", put("n", uint8(1)), false},
		{"an equal time in another zone", put("t", at.In(time.FixedZone("", 3600))), false},
		{"an equal map of another type", put("map", outer{inner{2}, 1}), false},
		{"an equal list of another type", put("list", [2]any{int8(1), color("a")}), false},
		{"a map in another order", put("big", reversed(big)), false},
		{"put and put back", func(s *cookiesession.Session) { s.Put("n", 2); s.Put("n", 1) }, false},
		{"deleted and put back", func(s *cookiesession.Session) { s.Delete("n", "s"); s.Put("s", "x"); s.Put("n", 1) }, false},
		{"pulled and put back", func(s *cookiesession.Session) { s.Put("map", s.Pull("map")) }, false},
		{"cleared and put back", func(s *cookiesession.Session) {
			all := s.All()
			s.Clear()
			for key, v := range all {
				s.Put(key, v)
			}
		}, false},
		{"put and deleted", func(s *cookiesession.Session) { s.Put("new", 1); s.Delete("new") }, false},
		{"put and pulled", func(s *cookiesession.Session) { s.Push("new", 1); s.Pull("new") }, false},
		{"absent ones deleted and pulled", func(s *cookiesession.Session) { s.Delete(); s.Delete("x", "y"); s.Pull("z") }, false},
		{"counted up and down", func(s *cookiesession.Session) { s.Increment("n", 2); s.Increment("n", -2) }, false},
		{"counted by nothing", func(s *cookiesession.Session) { s.Increment("n", 0) }, false},
		{"updated to the same", func(s *cookiesession.Session) {
			cookiesession.Field[outer]("map").Update(s, func(o outer) outer { return o })
		}, false},
		{"flashed", func(s *cookiesession.Session) { s.Flash("f", 1); s.FlashNow("g", 1) }, false},

		{"another integer", put("n", 2), true},
		{"a float for an integer", put("n", 1.0), true},
		{"a string for bytes", put("b", "x"), true},
		{"bytes for a string", put("s", []byte("x")), true},
		{"a float32 for a float64", put("f", float32(1.5)), true},
		{"false for nil", put("nil", false), true},
		{"a nil for none", put("new", nil), true},
		{"none for a nil", func(s *cookiesession.Session) { s.Delete("nil") }, true},
		{"an empty list for nil", put("nil", []any{}), true},
		{"a time a nanosecond later", put("t", at.Add(1)), true},
		{"a list in another order", put("list", []any{"a", 1}), true},
		{"a longer list", func(s *cookiesession.Session) { s.Push("list", nil) }, true},
		{"a nested value", put("map", outer{inner{3}, 1}), true},
		{"a nested key less", put("map", map[string]any{"a": 1}), true},
		{"the same under another key", func(s *cookiesession.Session) { s.Put("m", s.Pull("n")) }, true},
		{"cleared", func(s *cookiesession.Session) { s.Clear() }, true},
		{"counted", func(s *cookiesession.Session) { s.Increment("n", 1) }, true},
		{"a CSRF token", func(s *cookiesession.Session) { s.CSRFToken() }, true},
		{"regenerated", func(s *cookiesession.Session) { s.Regenerate() }, true},
		{"remembered", func(s *cookiesession.Session) { s.Remember(time.Hour) }, true},
		{"destroyed", destroy, true},
		{"destroyed and put back", func(s *cookiesession.Session) {
			s.Destroy()
			for key, v := range base {
				s.Put(key, v)
			}
		}, true},
	}
	m := newManager(t, nil)
	start := newVisitor(t, m)
	start.visit(func(s *cookiesession.Session) {
		for key, v := range base {
			s.Put(key, v)
		}
	})
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			v := &visitor{t, m, start.jar.Clone()}
			s := v.load()
			test.change(s)
			if got := s.Changed(); got != test.want {
				t.Errorf("Changed is %t, want %t", got, test.want)
			}
			lines, err := v.answer(s)
			if err != nil {
				t.Fatal(err)
			}
			wrote := strings.Contains(strings.Join(lines, "\n")+"=", cookieName+"=")
			if wrote != test.want {
				t.Errorf("wrote the session's cookie: %t, want %t", wrote, test.want)
			}
		})
	}
}

// reversed returns a copy that was filled in another order.
func reversed(m map[string]int) map[string]int {
	byValue := make([]string, len(m))
	for key, v := range m {
		byValue[len(m)-1-v] = key
	}
	other := map[string]int{}
	for _, key := range byValue {
		other[key] = m[key]
	}
	return other
}

// express-session's saveUninitialized: here an empty session sets no cookie, whatever is done with it.
func TestEmptySessionSetsNoCookie(t *testing.T) {
	v := newVisitor(t, newManager(t, withIdle(time.Hour)))
	for name, change := range map[string]func(s *cookiesession.Session){
		"nothing":           nothing,
		"read":              func(s *cookiesession.Session) { s.Get("x"); s.ID(); s.Flashes(); s.Reflash() },
		"cleared":           func(s *cookiesession.Session) { s.Clear(); s.Delete("x"); s.Pull("y") },
		"put and cleared":   func(s *cookiesession.Session) { s.Put("x", 1); s.Clear() },
		"regenerated":       func(s *cookiesession.Session) { s.Regenerate() },
		"remembered":        func(s *cookiesession.Session) { s.Remember(time.Hour) },
		"destroyed":         destroy,
		"put and destroyed": func(s *cookiesession.Session) { s.Put("x", 1); s.Destroy() },
		"flashed for now":   func(s *cookiesession.Session) { s.FlashNow("x", 1) },
	} {
		s := v.load()
		change(s)
		if s.Changed() || !s.IsEmpty() || !s.IsNew() {
			t.Errorf("%s: changed %t, empty %t, new %t", name, s.Changed(), s.IsEmpty(), s.IsNew())
		}
		if lines, err := v.answer(s); len(lines) > 0 || err != nil {
			t.Errorf("%s: %d cookies, error %v", name, len(lines), err)
		}
	}
	s := v.load()
	token := s.CSRFToken()
	if _, err := v.answer(s); err != nil || !v.load().VerifyCSRFToken(token) {
		t.Errorf("a session that holds only a CSRF secret isn't saved: %v", err)
	}
}

type panics struct{}

func (panics) MarshalBinary() ([]byte, error) { panic("top secret") }

type fails struct{}

func (fails) MarshalText() ([]byte, error) { return nil, errors.New("top secret") }

// unstorable holds what can't be encoded. Cycles make msgpack/v5 overflow the stack, which no recover survives; a map
// with integer keys it writes but can't read back, so that the whole session would be gone at the next request.
func unstorable() map[string]any {
	cyclicMap := map[string]any{"top": "secret"}
	cyclicMap["self"] = cyclicMap
	cyclicList := []any{"top secret", nil}
	cyclicList[1] = cyclicList
	type node struct {
		Name string
		Next *node
	}
	cyclicPointer := &node{Name: "top secret"}
	cyclicPointer.Next = &node{Next: cyclicPointer}
	type pointer *pointer
	var endless pointer
	endless = &endless
	deep := any("top secret")
	for range 32 {
		deep = []any{deep}
	}
	return map[string]any{
		"channel":             make(chan int),
		"function":            func() {},
		"complex number":      complex(1, 2),
		"nested channel":      []any{"top secret", map[string]any{"c": make(chan int)}},
		"channel in a struct": struct{ C chan int }{make(chan int)},
		"cyclic map":          cyclicMap,
		"cyclic list":         cyclicList,
		"cyclic pointer":      cyclicPointer,
		"endless pointer":     endless,
		"32 lists in a list":  deep,
		"map of int keys":     map[int]string{1: "top secret"},
		"map of any keys":     map[any]any{"top": "secret"},
		"nested map of int":   []any{map[int]int{1: 1}},
		"panics":              panics{},
		"fails":               fails{},
		"too much":            strings.Repeat("top secret", 3<<20),
	}
}

// What can't be encoded is an error that names key and type and nothing of the value; nothing crashes, nothing changes.
func TestUnstorableValues(t *testing.T) {
	m := newManager(t, nil)
	v := newVisitor(t, m)
	v.visit(func(s *cookiesession.Session) { s.Put("v", []any{"before"}); s.Flash("v", "before") })
	for name, bad := range unstorable() {
		for how, change := range map[string]func(s *cookiesession.Session){
			"Put":        put("v", bad),
			"Push":       func(s *cookiesession.Session) { s.Push("v", bad) },
			"Flash":      flash("v", bad),
			"FlashNow":   func(s *cookiesession.Session) { s.FlashNow("v", bad) },
			"Field.Put":  func(s *cookiesession.Session) { cookiesession.Field[any]("v").Put(s, bad) },
			"Update":     func(s *cookiesession.Session) { cookiesession.Field[any]("v").Update(s, func(any) any { return bad }) },
			"Put, twice": func(s *cookiesession.Session) { s.Put("v", bad); s.Put("v", bad) },
		} {
			s := v.load()
			change(s)
			err := s.Err()
			if err == nil {
				t.Errorf("%s of a %s: no error", how, name)
				continue
			}
			if text := err.Error(); !strings.HasPrefix(text, "cookiesession: ") || !strings.Contains(text, `"v"`) || strings.Contains(text, "secret") {
				t.Errorf("%s of a %s: error %q, want one that names the key and not the value", how, name, text)
			}
			if got := s.Get("v"); !reflect.DeepEqual(got, []any{"before"}) || s.Changed() {
				t.Errorf("%s of a %s changed the value to %v", how, name, got)
			}
			if got := s.Flashed("v"); got != "before" {
				t.Errorf("%s of a %s changed the flash message to %v", how, name, got)
			}
		}
	}
	s := load(m)
	deep := any("x")
	for range 31 {
		deep = []any{deep}
	}
	if s.Put("v", deep); s.Err() != nil {
		t.Errorf("31 lists in each other: %v", s.Err())
	}
}

// The first error stays, and a session with one isn't saved: the browser keeps what it has. Destroy clears it.
func TestErr(t *testing.T) {
	m := newManager(t, nil)
	v := newVisitor(t, m)
	v.visit(put("v", 1))
	before := v.header()

	s := v.load()
	s.Put("v", 2)
	s.Increment("missing", 1)
	s.Put("bad", make(chan int))
	first := s.Err()
	s.Put("worse", func() {})
	s.Put("v", 3)
	s.Put("bad", 1)
	s.Regenerate()
	s.Flash("f", 1)
	if first == nil || s.Err() != first {
		t.Errorf("Err is %v, want the first error %v", s.Err(), first)
	}
	if s.Get("v") != int64(3) || s.Get("bad") != int64(1) {
		t.Error("after an error other changes are lost")
	}
	h := http.Header{}
	for range 2 {
		if err := m.Save(h, s); err != first {
			t.Errorf("Save gave %v, want %v", err, first)
		}
		if len(h["Set-Cookie"]) > 0 {
			t.Errorf("a session with an error wrote %d cookies", len(h["Set-Cookie"]))
		}
	}
	v.jar.SetHeader(site, h)
	if v.header() != before {
		t.Error("a session with an error changed the browser's cookies")
	}

	s.Destroy()
	if s.Err() != nil {
		t.Errorf("after Destroy Err is %v", s.Err())
	}
	s.Put("v", 4)
	if _, err := v.answer(s); err != nil {
		t.Errorf("after Destroy Save gave %v", err)
	}
	if got := v.get("v"); got != int64(4) {
		t.Errorf("after Destroy and Put the value is %v, want 4", got)
	}

	// An error after Destroy: the logout is delivered all the same.
	s = v.load()
	s.Destroy()
	s.Put("bad", make(chan int))
	lines, err := v.answer(s)
	if err == nil || v.chunks() != 0 || len(lines) != 2 {
		t.Errorf("error %v and %d cookies, want an error, a deletion and a marker", err, len(lines))
	}
}
