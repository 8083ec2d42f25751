package cookiesession_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

// A fit is one type that a value is asked for as: what comes out, or that it doesn't fit.
type fit struct {
	typ  string
	want any // nil: an error
	look func(s *cookiesession.Session) (value, get, or any, err error)
}

func as[T any](want ...T) fit {
	f := fit{typ: reflect.TypeFor[T]().String()}
	if len(want) > 0 {
		f.want = want[0]
	}
	f.look = func(s *cookiesession.Session) (value, get, or any, err error) {
		field := cookiesession.Field[T]("v")
		v, err := field.Lookup(s)
		var zero, def T
		if err != nil && !reflect.DeepEqual(v, zero) {
			return v, zero, zero, errors.New("an error, but the value isn't zero")
		}
		return v, field.Get(s), field.Or(s, def), err
	}
	return f
}

type (
	userID     [4]byte
	score      float32
	flags      []string
	couple     struct{ A, B any }
	box[T any] struct{ In T }
	base       struct{ ID int }
	derived    struct {
		base
		Name string
	}
	// one version of a struct, and a later one
	cartV1 struct {
		Items []string
		Total int
		Note  string
	}
	cartV2 struct {
		Items    []string
		Total    int
		Currency string
		Coupons  []string
	}
	cartV3 struct {
		Items map[string]int
		Total int
	}
)

// Typed decoding in msgpack/v5 makes 44 of 300 for an int8, the greatest uint64 of −1, and takes every kind for every
// other. Here a value fits or is an error.
func TestFieldFits(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 1, time.FixedZone("", 3600))
	three, name := 3, "Ada"
	var noInt *int
	tests := []struct {
		name   string
		stored any
		fits   []fit
	}{
		{"300", 300, []fit{
			as(300), as(int16(300)), as(int32(300)), as(int64(300)), as(uint(300)), as(uint16(300)), as(uint64(300)), as(time.Duration(300)), as[any](int64(300)),
			as[int8](), as[uint8](), as[level](), as[float64](), as[float32](), as[string](), as[bool](), as[[]byte](), as[[]int](), as[time.Time](), as[address](),
		}},
		{"127", 127, []fit{as(int8(127)), as(uint8(127)), as(level(127))}},
		{"128", 128, []fit{as[int8](), as(uint8(128)), as(level(128))}},
		{"-1", -1, []fit{as(-1), as(int8(-1)), as(int64(-1)), as[uint](), as[uint8](), as[uint16](), as[uint32](), as[uint64](), as[level]()}},
		{"-129", -129, []fit{as[int8](), as(int16(-129))}},
		{"2^31", int64(1 << 31), []fit{as[int32](), as(uint32(1 << 31)), as(int64(1 << 31))}},
		{"2^32", int64(1 << 32), []fit{as[int32](), as[uint32](), as(int64(1 << 32)), as(uint64(1 << 32))}},
		{"the least int64", int64(math.MinInt64), []fit{as[int32](), as(int64(math.MinInt64)), as[uint64]()}},
		{"the greatest uint64", uint64(math.MaxUint64), []fit{as[int64](), as[int](), as[uint32](), as(uint64(math.MaxUint64)), as[any](uint64(math.MaxUint64)), as[time.Duration]()}},
		{"0.5", 0.5, []fit{as(0.5), as(float32(0.5)), as[int](), as[string]()}},
		{"a named float32", score(0.1), []fit{as(score(0.1)), as(float32(0.1)), as(float64(float32(0.1)))}},
		{"0.1", 0.1, []fit{as(0.1), as[float32](), as[score]()}},
		{"1e300", 1e300, []fit{as(1e300), as[float32]()}},
		{"3.0", 3.0, []fit{as(3.0), as[int](), as[uint8]()}},
		{"infinity", math.Inf(1), []fit{as(math.Inf(1)), as(float32(math.Inf(1))), as[int]()}},
		{"true", true, []fit{as(true), as[int](), as[string]()}},
		{"a string", "Ada", []fit{as("Ada"), as(color("Ada")), as(&name), as[any]("Ada"), as[[]byte](), as[json.RawMessage](), as[int](), as[time.Time](), as[[]string]()}},
		{"digits", "5", []fit{as("5"), as[int](), as[float64]()}},
		{"bytes", []byte{1, 2, 3, 4}, []fit{as([]byte{1, 2, 3, 4}), as(userID{1, 2, 3, 4}), as(json.RawMessage{1, 2, 3, 4}), as[[3]byte](), as[[5]byte](), as[string](), as[[]int]()}},
		{"a time", at, []fit{as(at.UTC()), as[any](at.UTC()), as[int64](), as[string](), as[address]()}},
		{"nil", nil, []fit{as(noInt), as([]string(nil)), as([]byte(nil)), as(map[string]int(nil)), as((*person)(nil)), as[int](), as[string](), as[bool](), as[time.Time](), as[address](), as[[2]int]()}},
		{"a pointer", &three, []fit{as(3), as(&three), as[string]()}},
		{"a list", []int{1, 300}, []fit{as([]int{1, 300}), as([2]int{1, 300}), as([]any{int64(1), int64(300)}), as([]uint16{1, 300}), as[[]int8](), as[[]string](), as[[1]int](), as[[3]int](), as[map[string]int](), as[int]()}},
		{"a mixed list", []any{"a", 1}, []fit{as([]any{"a", int64(1)}), as[[]string](), as[[]int]()}},
		{"a named list", flags{"a"}, []fit{as(flags{"a"}), as([]string{"a"}), as([]color{"a"})}},
		{"a map", map[string]int{"a": 1, "b": 300}, []fit{
			as(map[string]int{"a": 1, "b": 300}), as(map[color]uint16{"a": 1, "b": 300}), as(map[string]any{"a": int64(1), "b": int64(300)}),
			as[map[string]int8](), as[map[string]string](), as[[]int](), as(address{}),
		}},
		{"a struct", address{Street: "A", Number: 3}, []fit{
			as(address{Street: "A", Number: 3}), as(&address{Street: "A", Number: 3}), as(map[string]any{"street": "A", "number": int64(3)}),
			as(struct {
				Number int8 `msgpack:"number"`
			}{3}),
			as[struct {
				Number string `msgpack:"number"`
			}](),
			as[map[string]int](), as[[]any](),
		}},
		{"a struct of any", couple{A: uint8(5), B: []any{int8(1), at, map[string]any{"x": uint16(9)}}}, []fit{
			as(couple{A: int64(5), B: []any{int64(1), at.UTC(), map[string]any{"x": int64(9)}}}),
		}},
		{"a struct with more in it", person{Name: "Ada", Born: at, Homes: []address{{Street: "A"}}, Tags: map[string]any{"n": 1}, Partner: &person{Name: "Bob"}, Extra: uint8(1)}, []fit{
			as(person{Name: "Ada", Born: at.UTC(), Homes: []address{{Street: "A"}}, Tags: map[string]any{"n": int64(1)}, Partner: &person{Name: "Bob"}, Extra: int64(1)}),
		}},
		{"a generic struct", box[box[int]]{box[int]{7}}, []fit{as(box[box[int]]{box[int]{7}}), as(box[box[uint8]]{box[uint8]{7}}), as[box[box[string]]](), as[box[int]]()}},
		{"an embedded struct", derived{base{7}, "Ada"}, []fit{as(derived{base{7}, "Ada"}), as(base{7})}},
		{"a struct of an earlier version", cartV1{Items: []string{"tea"}, Total: 5, Note: "gift"}, []fit{as(cartV2{Items: []string{"tea"}, Total: 5}), as[cartV3]()}},
		{"a struct of a later version", cartV2{Items: []string{"tea"}, Total: 5, Currency: "EUR"}, []fit{as(cartV1{Items: []string{"tea"}, Total: 5}), as[cartV3]()}},
	}
	for _, test := range tests {
		v := newVisitor(t, newManager(t, nil))
		v.visit(put("v", test.stored))
		for _, fit := range test.fits {
			s := v.load()
			got, get, or, err := fit.look(s)
			switch {
			case fit.want == nil && (err == nil || errors.Is(err, cookiesession.ErrNoValue)):
				t.Errorf("%s as %s: got %#v and error %v, want another error", test.name, fit.typ, got, err)
			case fit.want == nil:
				if text := err.Error(); !strings.HasPrefix(text, `cookiesession: value of "v": `) || !strings.Contains(text, fit.typ) {
					t.Errorf("%s as %s: error %q doesn't name key and type", test.name, fit.typ, text)
				}
			case err != nil || !reflect.DeepEqual(got, fit.want) || !reflect.DeepEqual(get, fit.want) || !reflect.DeepEqual(or, fit.want):
				t.Errorf("%s as %s: Lookup %#v, %v; Get %#v; Or %#v; want %#v", test.name, fit.typ, got, err, get, or, fit.want)
			}
			if s.Changed() || s.Err() != nil {
				t.Errorf("%s as %s: reading changed the session or left error %v", test.name, fit.typ, s.Err())
			}
		}
	}
}

func TestFieldMethods(t *testing.T) {
	const views, absent = cookiesession.Field[int]("views"), cookiesession.Field[int]("absent")
	const name = cookiesession.Field[string]("views") // of another type
	v := newVisitor(t, newManager(t, nil))
	v.visit(func(s *cookiesession.Session) { views.Put(s, 5) })

	s := v.load()
	if got := views.Get(s); got != 5 {
		t.Errorf("Get gave %d, want 5", got)
	}
	if got := views.Or(s, 7); got != 5 {
		t.Errorf("Or gave %d, want 5", got)
	}
	if got, err := views.Lookup(s); got != 5 || err != nil {
		t.Errorf("Lookup gave %d, %v, want 5", got, err)
	}
	if got, err := absent.Lookup(s); got != 0 || err != cookiesession.ErrNoValue {
		t.Errorf("Lookup of nothing gave %d, %v, want ErrNoValue", got, err)
	}
	if absent.Get(s) != 0 || absent.Or(s, 7) != 7 || absent.Pull(s) != 0 || absent.Has(s) {
		t.Error("Get, Or, Pull or Has of nothing gave something")
	}
	if name.Get(s) != "" || name.Or(s, "x") != "x" || !name.Has(s) {
		t.Error("Get, Or or Has of another type's value")
	}
	if s.Changed() || s.Err() != nil {
		t.Errorf("reading changed the session or left error %v", s.Err())
	}
	if got := views.Pull(s); got != 5 || views.Has(s) || !s.Changed() {
		t.Errorf("Pull gave %d, want 5 and nothing left", got)
	}
	views.Put(s, 6)
	if got := name.Pull(s); got != "" || views.Has(s) {
		t.Errorf("Pull as another type gave %q, want nothing, and nothing left", got)
	}
	views.Put(s, 6)
	views.Delete(s)
	if views.Has(s) || s.Get("views") != nil {
		t.Error("Delete left the value")
	}

	for _, got := range []int{
		absent.Update(s, func(n int) int { return n + 1 }),
		absent.Update(s, func(n int) int { return n + 1 }) - 1,
	} {
		if got != 1 {
			t.Errorf("Update of nothing, and again, gave %d and one more, want 1 and 2", got)
		}
	}
	s.Put("views", "a string")
	if got := views.Update(s, func(n int) int { return n + 3 }); got != 3 || s.Get("views") != int64(3) {
		t.Errorf("Update of another type's value gave %d, want 3", got)
	}

	views.Flash(s, 8)
	if views.Flashed(s) != 0 {
		t.Error("Flashed gave what is for the next request")
	}
	views.FlashNow(s, 9)
	if got := views.Flashed(s); got != 9 {
		t.Errorf("Flashed gave %d, want 9", got)
	}
	if _, err := v.answer(s); err != nil {
		t.Fatal(err)
	}
	s = v.load()
	if got := name.Flashed(s); got != "" {
		t.Errorf("Flashed as another type gave %q, want nothing", got)
	}
	if got := views.Flashed(s); got != 8 {
		t.Errorf("Flashed gave %d, want 8", got)
	}
	if got := absent.Flashed(s); got != 0 {
		t.Errorf("Flashed of nothing gave %d", got)
	}
}

// What lies in an interface with methods can't be read back as one, but for a time; so it isn't stored, whichever way.
func TestFieldOfAnInterface(t *testing.T) {
	const f = cookiesession.Field[fmt.Stringer]("s")
	at := time.Unix(5, 0).UTC()
	for name, store := range map[string]func(s *cookiesession.Session, v fmt.Stringer){
		"Put":      f.Put,
		"Flash":    f.Flash,
		"FlashNow": f.FlashNow,
		"Update": func(s *cookiesession.Session, v fmt.Stringer) {
			f.Update(s, func(fmt.Stringer) fmt.Stringer { return v })
		},
	} {
		s := load(newManager(t, nil))
		if store(s, at); s.Err() != nil {
			t.Errorf("%s of a time: %v", name, s.Err())
		}
		if store(s, nil); s.Err() != nil {
			t.Errorf("%s of nil: %v", name, s.Err())
		}
		if store(s, time.Hour); s.Err() == nil || !strings.Contains(s.Err().Error(), "can't be read back") {
			t.Errorf("%s of a time.Duration: got %v, want an error that it can't be read back", name, s.Err())
		}
	}
	s := load(newManager(t, nil))
	f.Put(s, at)
	if got, err := f.Lookup(s); got != at || err != nil {
		t.Errorf("got %v, %v, want %v", got, err, at)
	}
}

// Update is atomic among goroutines: whatever changes the key between reading and storing makes the function run again.
func TestUpdateIsAtomic(t *testing.T) {
	const field = cookiesession.Field[int]("n")
	s := load(newManager(t, nil))
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 50 {
				field.Update(s, func(n int) int {
					s.Get("other") // may use the session
					return n + 1
				})
				s.Increment("n", 1)
				s.Push("list", 1)
				s.Put("other", 1)
			}
		})
	}
	group.Wait()
	if got := field.Get(s); got != 800 {
		t.Errorf("800 additions came to %d", got)
	}
	if got := len(s.Get("list").([]any)); got != 400 {
		t.Errorf("400 pushes came to %d elements", got)
	}

	calls := 0
	got := field.Update(s, func(n int) int {
		calls++
		if calls == 1 {
			s.Put("n", 10)
		}
		return n + 1
	})
	if got != 11 || field.Get(s) != 11 || calls != 2 {
		t.Errorf("changed in between: Update gave %d after %d calls, want 11 after 2", got, calls)
	}
	deleted := 0
	field.Update(s, func(n int) int {
		if deleted++; deleted == 1 {
			field.Delete(s)
		}
		return n + 1
	})
	if got := field.Get(s); got != 1 {
		t.Errorf("deleted in between: got %d, want 1", got)
	}
}

// pushesBefore pushes another element when it is encoded for the first time.
type pushesBefore struct{ other *func() }

func (p pushesBefore) MarshalText() ([]byte, error) {
	if do := *p.other; do != nil {
		*p.other = nil
		do()
	}
	return []byte("last"), nil
}

func (p *pushesBefore) UnmarshalText([]byte) error {
	*p = pushesBefore{new(func())}
	return nil
}

// Push loses nothing that is pushed while its element is being encoded.
func TestPushIsAtomic(t *testing.T) {
	s := load(newManager(t, nil))
	s.Push("v", "first")
	other := func() { s.Push("v", "meanwhile") }
	s.Push("v", pushesBefore{&other})
	if got, want := fmt.Sprintf("%s", s.Get("v")), "[first meanwhile last]"; got != want || s.Err() != nil {
		t.Errorf("got %s, %v; want %s", got, s.Err(), want)
	}
}

// What may be called at once, is, for the race detector to see: every method, all at once, and each beside each other,
// since what both of them lock tells the race detector that they follow each other, even if only a third needs it.
func TestConcurrentUse(t *testing.T) {
	v := newVisitor(t, newManager(t, nil))
	v.visit(both([]any{1}, "x"))
	uses := map[string]func(s *cookiesession.Session){
		"Get":                 func(s *cookiesession.Session) { s.Get("v") },
		"Put":                 put("w", 1),
		"Push":                func(s *cookiesession.Session) { s.Push("v", 1) },
		"Increment":           func(s *cookiesession.Session) { s.Increment("n", 1) },
		"Pull":                func(s *cookiesession.Session) { s.Pull("w") },
		"Has":                 func(s *cookiesession.Session) { s.Has("w") },
		"Delete":              func(s *cookiesession.Session) { s.Delete("w") },
		"Clear":               func(s *cookiesession.Session) { s.Clear() },
		"Keys":                func(s *cookiesession.Session) { s.Keys() },
		"All":                 func(s *cookiesession.Session) { s.All() },
		"Size":                func(s *cookiesession.Session) { s.Size() },
		"Changed":             func(s *cookiesession.Session) { s.Changed() },
		"IsEmpty":             func(s *cookiesession.Session) { s.IsEmpty() },
		"IsNew":               func(s *cookiesession.Session) { s.IsNew() },
		"Err":                 func(s *cookiesession.Session) { s.Err() },
		"ID":                  func(s *cookiesession.Session) { s.ID() },
		"CreatedAt":           func(s *cookiesession.Session) { s.CreatedAt() },
		"ExpiresAt":           func(s *cookiesession.Session) { s.ExpiresAt() },
		"IdleAt":              func(s *cookiesession.Session) { s.IdleAt() },
		"Passive":             func(s *cookiesession.Session) { s.Passive() },
		"Rejected":            func(s *cookiesession.Session) { s.Rejected() },
		"Format":              func(s *cookiesession.Session) { _ = fmt.Sprint(s) },
		"Flash":               flash("f", 1),
		"FlashNow":            func(s *cookiesession.Session) { s.FlashNow("g", 1) },
		"Flashed":             func(s *cookiesession.Session) { s.Flashed("f") },
		"Flashes":             asked,
		"Keep":                func(s *cookiesession.Session) { s.Keep("f") },
		"Reflash":             func(s *cookiesession.Session) { s.Reflash() },
		"CSRFToken":           func(s *cookiesession.Session) { s.CSRFToken() },
		"VerifyCSRFToken":     func(s *cookiesession.Session) { s.VerifyCSRFToken(strings.Repeat("A", 43)) },
		"RegenerateCSRFToken": func(s *cookiesession.Session) { s.RegenerateCSRFToken() },
		"Regenerate":          func(s *cookiesession.Session) { s.Regenerate() },
		"Remember":            func(s *cookiesession.Session) { s.Remember(time.Hour) },
		"Remembered":          func(s *cookiesession.Session) { s.Remembered() },
		"ExpireIn":            func(s *cookiesession.Session) { s.ExpireIn(time.Hour) },
		"Persist":             func(s *cookiesession.Session) { s.Persist(true) },
		"DeviceProven":        func(s *cookiesession.Session) { s.DeviceProven() },
		"Destroy":             destroy,
	}
	for methods, i := reflect.TypeFor[*cookiesession.Session](), 0; i < methods.NumMethod(); i++ {
		if name := methods.Method(i).Name; uses[name] == nil {
			t.Errorf("%s isn't called", name)
		}
	}
	uses["Save"] = func(s *cookiesession.Session) { _ = v.m.Save(map[string][]string{}, s) }
	uses["Field.Get"] = func(s *cookiesession.Session) { cookiesession.Field[[]int]("v").Get(s) }
	uses["Field.Update"] = func(s *cookiesession.Session) {
		cookiesession.Field[int]("n").Update(s, func(n int) int { return n + 1 })
	}

	s := v.load()
	s2 := load(v.m, v.header()) // opened by whoever comes first
	var group sync.WaitGroup
	for _, use := range uses {
		for _, s := range []*cookiesession.Session{s, s2} {
			group.Go(func() {
				for range 20 {
					use(s)
				}
			})
		}
	}
	group.Wait()
	if _, err := v.answer(s); err != nil {
		t.Error(err)
	}

	header := v.header()
	for name, use := range uses {
		for other, beside := range uses {
			if name > other {
				continue
			}
			s := load(v.m, header)
			s.CSRFToken() // for Verify- and RegenerateCSRFToken
			var two sync.WaitGroup
			two.Go(func() { use(s) })
			two.Go(func() { beside(s) })
			two.Wait()
			if err := v.m.Save(http.Header{}, s); err != nil {
				t.Errorf("%s beside %s: %v", name, other, err)
			}
		}
	}
}
