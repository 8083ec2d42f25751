package cookiesession_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/seed-50e21e88/cookiesession"
)

type (
	color   string
	level   uint8
	address struct {
		Street string `msgpack:"street"`
		Number int    `msgpack:"number,omitempty"`
		secret string
	}
	person struct {
		Name    string
		Born    time.Time
		Homes   []address
		Tags    map[string]any
		Partner *person
		Extra   any
	}
)

// msgpack/v5 gives back an int8 for int(5) and a uint8 for 200, a string for []byte, and times in the zone of the
// server. Get gives one type for each kind, in the request that put and in the next.
func TestGetIsCanonical(t *testing.T) {
	zone := time.FixedZone("", 5*3600)
	at := time.Date(2026, 3, 1, 12, 30, 15, 123456789, zone)
	var nilPerson *person
	five := 5
	tests := []struct {
		name    string
		in, out any
	}{
		{"nil", nil, nil},
		{"bool", true, true},
		{"int", 5, int64(5)},
		{"int, negative", -5, int64(-5)},
		{"int, one byte unsigned", 200, int64(200)},
		{"int8", int8(-128), int64(-128)},
		{"int16", int16(math.MinInt16), int64(math.MinInt16)},
		{"int32", int32(math.MaxInt32), int64(math.MaxInt32)},
		{"int64, least", int64(math.MinInt64), int64(math.MinInt64)},
		{"int64, most", int64(math.MaxInt64), int64(math.MaxInt64)},
		{"uint", uint(300), int64(300)},
		{"uint8", uint8(255), int64(255)},
		{"uint16", uint16(math.MaxUint16), int64(math.MaxUint16)},
		{"uint32", uint32(math.MaxUint32), int64(math.MaxUint32)},
		{"uint64, small", uint64(7), int64(7)},
		{"uint64, MaxInt64", uint64(math.MaxInt64), int64(math.MaxInt64)},
		{"uint64, above", uint64(math.MaxInt64) + 1, uint64(math.MaxInt64) + 1},
		{"uint64, most", uint64(math.MaxUint64), uint64(math.MaxUint64)},
		{"float32", float32(0.5), 0.5},
		{"float64", math.Pi, math.Pi},
		{"float64, whole", 3.0, 3.0},
		{"float64, infinite", math.Inf(-1), math.Inf(-1)},
		{"rune", 'ä', int64('ä')},
		{"string", "grüß", "grüß"},
		{"string of any bytes", "\x00\xff\xfe; \r\n", "\x00\xff\xfe; \r\n"},
		{"[]byte", []byte{0, 255}, []byte{0, 255}},
		{"[]byte, empty", []byte{}, []byte{}},
		{"[]byte, nil", []byte(nil), nil},
		{"time", at, at.UTC()},
		{"time, zero", time.Time{}, time.Time{}},
		{"time, before 1970", time.Date(1815, 12, 10, 0, 0, 0, 0, time.UTC), time.Date(1815, 12, 10, 0, 0, 0, 0, time.UTC)},
		{"time with a monotonic clock", time.Unix(1e9, 5), time.Unix(1e9, 5).UTC()},
		{"duration", time.Minute, int64(time.Minute)},
		{"named string", color("red"), "red"},
		{"named integer", level(3), int64(3)},
		{"pointer", &five, int64(5)},
		{"pointer, nil", nilPerson, nil},
		{"[]string", []string{"a", "b"}, []any{"a", "b"}},
		{"[]int", []int{1, 300}, []any{int64(1), int64(300)}},
		{"[]any", []any{1, "a", nil, 2.5, []byte{1}}, []any{int64(1), "a", nil, 2.5, []byte{1}}},
		{"array", [2]bool{true, false}, []any{true, false}},
		{"list, empty", []int{}, []any{}},
		{"list, nil", []string(nil), nil},
		{"map[string]int", map[string]int{"b": 1, "a": 200}, map[string]any{"a": int64(200), "b": int64(1)}},
		{"map[string]string", map[string]string{"a": "b"}, map[string]any{"a": "b"}},
		{"map of named strings", map[color]level{"red": 1}, map[string]any{"red": int64(1)}},
		{"map[string]any", map[string]any{"t": at, "n": map[string]any{"u": uint8(1)}}, map[string]any{"t": at.UTC(), "n": map[string]any{"u": int64(1)}}},
		{"map, empty", map[string]any{}, map[string]any{}},
		{"map, nil", map[string]any(nil), nil},
		{"struct", address{"High Street", 3, "hidden"}, map[string]any{"street": "High Street", "number": int64(3)}},
		{"struct, omitempty", address{"High Street", 0, ""}, map[string]any{"street": "High Street"}},
		{"[]struct", []address{{"A", 1, ""}}, []any{map[string]any{"street": "A", "number": int64(1)}}},
		{"struct with more in it", person{Name: "Ada", Born: at, Extra: uint8(9)}, map[string]any{
			"Name": "Ada", "Born": at.UTC(), "Homes": nil, "Tags": nil, "Partner": nil, "Extra": int64(9),
		}},
		{"json.RawMessage", json.RawMessage("{}"), []byte("{}")},
		{"a type that marshals itself", netip.MustParseAddr("192.0.2.1"), []byte{192, 0, 2, 1}},
	}
	m := newManager(t, nil)
	v := newVisitor(t, m)
	v.visit(func(s *cookiesession.Session) {
		for _, test := range tests {
			s.Put(test.name, test.in)
			if got := s.Get(test.name); !reflect.DeepEqual(got, test.out) || s.Err() != nil {
				t.Errorf("%s: got %#v, want %#v; error %v", test.name, got, test.out, s.Err())
			}
		}
		s.Put("NaN", math.NaN())
	})
	s := v.load()
	for _, test := range tests {
		if got := s.Get(test.name); !reflect.DeepEqual(got, test.out) {
			t.Errorf("%s, next request: got %#v, want %#v", test.name, got, test.out)
		}
		if s.Put(test.name, test.in); s.Changed() {
			t.Fatalf("%s, put again: Changed", test.name)
		}
		if s.Put(test.name, s.Get(test.name)); s.Changed() && test.name != "float32" && test.name != "struct with more in it" {
			t.Fatalf("%s, put as it came out: Changed", test.name)
		}
		s.Put(test.name, test.in)
	}
	if got, ok := s.Get("NaN").(float64); !ok || !math.IsNaN(got) {
		t.Errorf("NaN comes back as %v", s.Get("NaN"))
	}
	if s.Put("NaN", math.NaN()); s.Changed() {
		t.Error("NaN put again: Changed")
	}
}

// The session never shares memory with its caller, in neither direction.
func TestValuesAreCopies(t *testing.T) {
	m := newManager(t, nil)
	s := load(m)
	bytes, list, dict := []byte("bytes"), []any{"x", []any{"y"}}, map[string]any{"a": []string{"z"}}
	human := &person{Name: "Ada", Tags: map[string]any{"k": "v"}, Homes: []address{{Street: "A"}}}
	s.Put("bytes", bytes)
	s.Put("list", list)
	s.Put("map", dict)
	s.Put("person", human)
	s.Push("pushed", bytes)
	s.Flash("flash", list)
	s.FlashNow("now", list)
	want := s.All()

	bytes[0], list[0], list[1].([]any)[0] = 'X', "X", "X"
	dict["a"].([]string)[0], dict["b"] = "X", "X"
	human.Name, human.Tags["k"], human.Homes[0].Street = "X", "X", "X"
	if got := s.All(); !reflect.DeepEqual(got, want) {
		t.Errorf("after changing what was put: %v, want %v", got, want)
	}

	s.Get("bytes").([]byte)[0] = 'X'
	s.Get("list").([]any)[1].([]any)[0] = "X"
	s.Get("map").(map[string]any)["a"] = "X"
	s.Get("pushed").([]any)[0].([]byte)[0] = 'X'
	all := s.All()
	all["list"].([]any)[0] = "X"
	clear(all)
	s.Keys()[0] = "X"
	s.Flashed("now").([]any)[0] = "X"
	p := cookiesession.Field[person]("person")
	got := p.Get(s)
	got.Tags["k"], got.Homes[0].Street = "X", "X"
	updated := p.Update(s, func(p person) person { return p })
	updated.Tags["k"], updated.Homes[0].Street = "X", "X"
	if got := s.All(); !reflect.DeepEqual(got, want) {
		t.Errorf("after changing what came out: %v, want %v", got, want)
	}
	if got := s.Flashed("now"); !reflect.DeepEqual(got, []any{"x", []any{"y"}}) {
		t.Errorf("flash after changing what came out: %v", got)
	}
}

func TestPutNil(t *testing.T) {
	v := newVisitor(t, newManager(t, nil))
	v.visit(put("nothing", nil))
	s := v.load()
	if s.IsNew() || !s.Has("nothing") || s.Get("nothing") != nil || s.IsEmpty() || !slices.Equal(s.Keys(), []string{"nothing"}) {
		t.Errorf("a nil that was put: Has %t, Get %v, Keys %q", s.Has("nothing"), s.Get("nothing"), s.Keys())
	}
	if s.Pull("nothing") != nil || s.Has("nothing") {
		t.Error("Pull didn't delete the nil")
	}
}

func TestKeysAreAnyStrings(t *testing.T) {
	v := newVisitor(t, newManager(t, nil))
	keys := []string{"", "\x00", " ", "a", "a.b", strings.Repeat("k", 300), "ä", "\xff\xfe"} // in order
	v.visit(func(s *cookiesession.Session) {
		for i, key := range slices.Backward(keys) {
			s.Put(key, i)
		}
	})
	s := v.load()
	if got := s.Keys(); !slices.Equal(got, keys) {
		t.Errorf("Keys gave %q, want %q", got, keys)
	}
	for i, key := range keys {
		if got := s.Get(key); got != int64(i) {
			t.Errorf("%q: got %v, want %d", key, got, i)
		}
	}
}

func TestPush(t *testing.T) {
	v := newVisitor(t, newManager(t, nil))
	v.visit(func(s *cookiesession.Session) {
		s.Push("new", "a")
		s.Push("new", address{Street: "b"})
		s.Put("ints", []int{1, 2})
		s.Push("ints", "three")
		s.Put("string", "x")
		s.Put("none", []string(nil))
		s.Push("none", "first")
	})
	v.visit(func(s *cookiesession.Session) {
		for i := range 40 { // past the lengths at which a list's header changes its form
			s.Push("ints", i)
		}
		s.Push("new", nil)
	})
	s := v.load()
	if got, want := s.Get("new"), []any{"a", map[string]any{"street": "b"}, nil}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got, want := s.Get("none"), []any{"first"}; !reflect.DeepEqual(got, want) {
		t.Errorf("pushed to a nil slice: got %v, want %v", got, want)
	}
	if got := s.Get("ints").([]any); len(got) != 43 || got[2] != "three" || got[42] != int64(39) {
		t.Errorf("%d elements, want 43", len(got))
	}

	for key, value := range map[string]any{"string": 1, "ints": make(chan int), "absent": func() {}} {
		s := v.load()
		before := s.Get(key)
		s.Push(key, value)
		if s.Err() == nil || !strings.Contains(s.Err().Error(), key) {
			t.Errorf("Push of a %T to %s: error %v, want one that names the key", value, key, s.Err())
		}
		if !reflect.DeepEqual(s.Get(key), before) || s.Changed() {
			t.Errorf("Push of a %T changed %s to %v", value, key, s.Get(key))
		}
	}
}

func TestIncrement(t *testing.T) {
	tests := []struct {
		name   string
		before any // "absent" for no value
		by     int64
		want   int64
		after  any
		fails  bool
	}{
		{"absent", "absent", 3, 3, int64(3), false},
		{"absent by 0", "absent", 0, 0, int64(0), false},
		{"down", 5, -7, -2, int64(-2), false},
		{"by 0", 5, 0, 5, int64(5), false},
		{"uint64 in range", uint64(5), 1, 6, int64(6), false},
		{"to the most", int64(math.MaxInt64 - 1), 1, math.MaxInt64, int64(math.MaxInt64), false},
		{"beyond the most", int64(math.MaxInt64), 1, math.MaxInt64, int64(math.MaxInt64), true},
		{"far beyond the most", 1, math.MaxInt64, 1, int64(1), true},
		{"to the least", int64(math.MinInt64 + 1), -1, math.MinInt64, int64(math.MinInt64), false},
		{"beyond the least", int64(math.MinInt64), -1, math.MinInt64, int64(math.MinInt64), true},
		{"far beyond the least", -1, math.MinInt64, -1, int64(-1), true},
		{"from the least by the most", int64(math.MinInt64), math.MaxInt64, -1, int64(-1), false},
		{"uint64 above int64", uint64(math.MaxUint64), -1, 0, uint64(math.MaxUint64), true},
		{"float", 5.0, 1, 0, 5.0, true},
		{"string", "5", 1, 0, "5", true},
		{"nil", nil, 1, 0, nil, true},
		{"list", []any{}, 1, 0, []any{}, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			v := newVisitor(t, newManager(t, nil))
			v.visit(func(s *cookiesession.Session) {
				s.Put("other", 1)
				if test.before != "absent" {
					s.Put("n", test.before)
				}
			})
			s := v.load()
			if got := s.Increment("n", test.by); got != test.want {
				t.Errorf("returned %d, want %d", got, test.want)
			}
			if got := s.Get("n"); !reflect.DeepEqual(got, test.after) {
				t.Errorf("then n is %v, want %v", got, test.after)
			}
			if (s.Err() != nil) != test.fails {
				t.Errorf("error %v", s.Err())
			}
			if want := !test.fails && (test.before == "absent" || test.by != 0); s.Changed() != want {
				t.Errorf("Changed is %t, want %t", s.Changed(), want)
			}
		})
	}
}

// An ID names a session from its start to Regenerate or Destroy, and times say how long it lasts.
func TestIdentity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, func(c *cookiesession.Config) { c.Lifetime = time.Hour })
		v := newVisitor(t, m)
		start := time.Now().UTC().Truncate(time.Second)
		var first string
		v.visit(func(s *cookiesession.Session) {
			first = s.ID()
			if !s.IsNew() || !s.IsEmpty() || s.Changed() || s.Rejected() != nil || s.Err() != nil {
				t.Error("a new session isn't new, empty, unchanged and without a fault")
			}
			if !s.CreatedAt().Equal(start) || !s.ExpiresAt().Equal(start.Add(time.Hour)) || s.CreatedAt().Location() != time.UTC {
				t.Errorf("created %v and expires %v, want %v and an hour later", s.CreatedAt(), s.ExpiresAt(), start)
			}
			s.Put("v", 1)
			if !s.Changed() || s.IsEmpty() || !s.IsNew() || s.ID() != first {
				t.Error("a first value: not changed, empty, not new, or of another ID")
			}
		})
		time.Sleep(10 * time.Minute)
		s := v.load()
		if s.ID() != first || s.IsNew() || !s.CreatedAt().Equal(start) || !s.ExpiresAt().Equal(start.Add(time.Hour)) {
			t.Errorf("next request: ID %s, new %t, created %v, expires %v", s.ID(), s.IsNew(), s.CreatedAt(), s.ExpiresAt())
		}
		s.Clear()
		if s.ID() != first || !s.ExpiresAt().Equal(start.Add(time.Hour)) || !s.IsEmpty() || !s.Changed() {
			t.Error("Clear changed more than the values")
		}
		s.Regenerate()
		if s.ID() == first || s.ID()[:16] != first[:16] || !s.CreatedAt().Equal(start.Add(10*time.Minute)) || !s.ExpiresAt().Equal(start.Add(70*time.Minute)) {
			t.Errorf("Regenerate: ID %s after %s, created %v, expires %v", s.ID(), first, s.CreatedAt(), s.ExpiresAt())
		}
		second := s.ID()
		s.Destroy()
		s.Put("v", 2)
		if id := s.ID(); id[:16] == first[:16] || id == second || !s.IsNew() {
			t.Errorf("after Destroy: ID %s, new %t, want another origin", id, s.IsNew())
		}
		s = v.load()
		s.Remember(30 * 24 * time.Hour)
		if !s.ExpiresAt().Equal(start.Add(10*time.Minute+30*24*time.Hour)) || s.ID() != first || !s.CreatedAt().Equal(start) {
			t.Errorf("Remember: ID %s, created %v, expires %v", s.ID(), s.CreatedAt(), s.ExpiresAt())
		}
	})
}

// Whatever prints a session, a manager, its parts, or an error, in whichever way, shows no secret, no value and no
// cookie.
func TestNothingPrintsSecrets(t *testing.T) {
	const plaintext, message = "the plaintext of a value", "the text of a message"
	key := cookiesession.GenerateKey("main")
	ring := newRing(t, key)
	config := cookiesession.Config{Keys: ring, Logger: slog.New(slog.DiscardHandler), MaxSize: 2000}
	m, err := cookiesession.New(config)
	if err != nil {
		t.Fatal(err)
	}
	v := newVisitor(t, m)
	v.visit(func(s *cookiesession.Session) { s.Put("key", plaintext); s.Flash("key", message); s.CSRFToken() })
	needles := map[string]string{
		"the session's cookie": v.cookie("")[:40],
		"the flash cookie":     v.cookie(".flash")[:40],
	}
	for name, secret := range map[string][]byte{"the secret": key.Secret[:8], "a value": []byte(plaintext)[:8], "a message": []byte(message)[4:12]} {
		needles[name+", as it is"] = string(secret)
		needles[name+" in hexadecimal"] = fmt.Sprintf("%x", secret)
		needles[name+" in upper hexadecimal"] = fmt.Sprintf("%X", secret)
		needles[name+" in base64"] = base64.StdEncoding.EncodeToString(secret)[:10]
		needles[name+" in numbers"] = strings.Trim(fmt.Sprint(secret), "[]")
		needles[name+" in JSON numbers"] = strings.ReplaceAll(strings.Trim(fmt.Sprint(secret), "[]"), " ", ",")
		needles[name+" in Go"] = strings.Trim(fmt.Sprintf("%#v", secret), "[]byte{}")
	}

	things := map[string]any{
		"*Manager": m, "Config": config, "*Config": &config, "*Keyring": ring, "Key": key, "*Key": &key, "[]Key": []cookiesession.Key{key},
		"map of Keys": map[string]cookiesession.Key{"k": key}, "[]KeyInfo": ring.Keys(), "Stats": m.Stats(),
	}
	used := func(s *cookiesession.Session) {
		s.Put("new", plaintext)
		s.Flashed("key")
		s.Flash("new", message)
		s.FlashNow("now", message)
	}
	s := v.load()
	used(s)
	things["*Session"] = s
	things["*Session in a struct"] = struct{ S *cookiesession.Session }{s}
	handler := m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		used(m.Get(r))
		things["ResponseWriter"] = w
		things["request's context"] = r.Context()
		things["context derived from it"] = context.WithValue(r.Context(), color("key"), 1)
		if u, ok := w.(interface{ Unwrap() http.ResponseWriter }); ok {
			things["unwrapped ResponseWriter"] = u.Unwrap()
		}
	}))
	handler.ServeHTTP(httptest.NewRecorder(), requestWith(v.header()))
	handler.ServeHTTP(struct{ http.ResponseWriter }{httptest.NewRecorder()}, requestWith(v.header()))

	s = v.load()
	s.Put("key", func() string { return plaintext })
	things["error of a function"] = s.Err()
	s = v.load()
	s.Increment("key", 1)
	things["error of Increment"] = s.Err()
	s = v.load()
	s.Push("key", 1)
	things["error of Push"] = s.Err()
	_, err = cookiesession.Field[int]("key").Lookup(s)
	things["error of Lookup"] = err
	s = v.load()
	s.Put("big", strings.Repeat(plaintext, 100))
	_, err = v.answer(s)
	things["SizeError"] = err
	broken := v.header()[:60] + "!" + v.header()[61:]
	things["RejectError"] = load(m, broken).Rejected()
	_, err = cookiesession.ParseSecret(base64.StdEncoding.EncodeToString(key.Secret) + "!")
	things["error of ParseSecret"] = err
	_, err = cookiesession.NewKeyring(key, key)
	things["error of NewKeyring"] = err
	for name, thing := range things {
		if thing == nil {
			t.Fatalf("there is no %s", name)
		}
	}

	if got, want := fmt.Sprint(s), "cookiesession.Session"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	ways := map[string]func(thing any) string{
		"slog text": func(thing any) string {
			return logged(func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, nil) }, thing)
		},
		"slog JSON": func(thing any) string {
			return logged(func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, nil) }, thing)
		},
		"JSON":    func(thing any) string { b, err := json.Marshal(thing); return fmt.Sprint(string(b), err) },
		"XML":     func(thing any) string { b, err := xml.Marshal(thing); return fmt.Sprint(string(b), err) },
		"Println": func(thing any) string { return fmt.Sprintln(thing) },
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%o", "%b", "%c", "%U", "%e", "%t", "%T", "%10.3v"} {
		ways[verb] = func(thing any) string { return fmt.Sprintf(verb, thing) }
	}
	for name, thing := range things {
		for way, show := range ways {
			shown := show(thing)
			for what, needle := range needles {
				if strings.Contains(shown, needle) {
					t.Errorf("%s of %s shows %s", way, name, what)
				}
			}
		}
	}
}

// logged returns what a handler of package slog writes of thing.
func logged(handler func(io.Writer) slog.Handler, thing any) string {
	var b strings.Builder
	slog.New(handler(&b)).Info("shown", "thing", thing, slog.Group("group", "thing", thing))
	return b.String()
}

// A key is copied when it is stored: Fiber's c.Params, and other parsers, use a string's memory again.
func TestKeysAreCopied(t *testing.T) {
	for name, test := range map[string]struct {
		do   func(s *cookiesession.Session, key string)
		want any
	}{
		"Put":                {func(s *cookiesession.Session, key string) { s.Put(key, "x") }, "x"},
		"Put nil, then more": {func(s *cookiesession.Session, key string) { s.Put(key, nil); s.Put(key, "x") }, "x"},
		"Increment":          {func(s *cookiesession.Session, key string) { s.Increment(key, 1) }, int64(1)},
		"Push":               {func(s *cookiesession.Session, key string) { s.Push(key, "x"); s.Push(key, "y") }, []any{"x", "y"}},
		"Field.Put":          {func(s *cookiesession.Session, key string) { cookiesession.Field[string](key).Put(s, "x") }, "x"},
		"Field.Update": {func(s *cookiesession.Session, key string) {
			cookiesession.Field[int](key).Update(s, func(n int) int { return n + 1 })
		}, int64(1)},
		"Delete, then Put": {func(s *cookiesession.Session, key string) { s.Put(key, 1); s.Delete(key); s.Put(key, "x") }, "x"},
		"Flash":            {func(s *cookiesession.Session, key string) { s.Flash(key, "x") }, nil},
		"Field.Flash":      {func(s *cookiesession.Session, key string) { cookiesession.Field[string](key).Flash(s, "x") }, nil},
		"Keep":             {func(s *cookiesession.Session, key string) { s.FlashNow(key, "x"); s.Keep(key) }, nil},
		"Reflash":          {func(s *cookiesession.Session, key string) { s.FlashNow(key, "x"); s.Reflash() }, nil},
	} {
		for _, before := range []string{"a", "key-0", "zz"} { // sorted before and behind
			v := newVisitor(t, newManager(t, nil))
			v.visit(put(before, "old"))
			v.visit(func(s *cookiesession.Session) {
				memory := []byte("key-1")
				test.do(s, unsafe.String(&memory[0], len(memory)))
				copy(memory, "zzz-9") // what the next request holds
				if test.want != nil && !reflect.DeepEqual(s.Get("key-1"), test.want) {
					t.Errorf("%s: got %v in the same request, want %v", name, s.Get("key-1"), test.want)
				}
				s.Put("key-2", 2)
			})
			v.wantState("valid")
			s := v.load()
			if test.want == nil && s.Flashed("key-1") != "x" {
				t.Errorf("%s: got messages %v", name, s.Flashes())
			}
			if !reflect.DeepEqual(s.Get("key-1"), test.want) || s.Get(before) != "old" || s.Get("key-2") != int64(2) {
				t.Errorf("%s: got %v, want %v under key-1", name, s.All(), test.want)
			}
		}
	}
	// What is said of a key later is of the one that was meant.
	m := newManager(t, withMaxSize(512))
	s := load(m)
	memory := []byte("key-1")
	s.Put(unsafe.String(&memory[0], len(memory)), random(1000))
	copy(memory, "zzz-9")
	if err := m.Save(http.Header{}, s); err == nil || !strings.Contains(err.Error(), `"key-1"`) {
		t.Errorf("got %v, want a SizeError that names key-1", err)
	}
}

// To clear what is empty is no change, so it is never too late for it.
func TestClearOfNothingAfterCommit(t *testing.T) {
	m := newManager(t, nil)
	inHandler(m, requestWith(), func(w http.ResponseWriter, r *http.Request) {
		s := m.Get(r)
		s.IsEmpty()
		w.WriteHeader(http.StatusOK)
		if s.Clear(); s.Err() != nil {
			t.Errorf("got %v, want no error", s.Err())
		}
	})
}

// TestGoroutinesOfOneRequest share a session, as they may (gorilla/sessions: a data race).
func TestGoroutinesOfOneRequest(t *testing.T) {
	const workers, rounds = 16, 10
	onEachProtocol(t, func(t *testing.T, proto string) {
		m := newWeb(t, nil)
		v := m.serve(t, proto, m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet {
				return
			}
			var wg sync.WaitGroup
			for i := range workers {
				wg.Go(func() {
					s := m.Get(r)
					for round := range rounds {
						s.Put(fmt.Sprint("own", i), round)
						s.Increment("sum", 1)
						cookiesession.Field[int]("product").Update(s, func(n int) int { return n + 2 })
						s.FlashNow("now", i)
						s.Flashed("now")
						s.Flash(fmt.Sprint("note", i), round)
						s.VerifyCSRFToken(s.CSRFToken())
						s.Put("gone", i)
						s.Pull("gone")
						s.All()
						s.Keys()
						s.Size()
						s.Changed()
						s.ID()
						s.Has("sum")
						s.ExpiresAt()
						if err := m.Save(http.Header{}, s); err != nil || s.Err() != nil {
							t.Errorf("got %v, %v", err, s.Err())
						}
						if round == rounds/2 {
							s.Regenerate()
						}
					}
					s.Push("list", i)
				})
			}
			wg.Wait()
		})))
		v.get()
		v.do(v.request(http.MethodPost, ""))
		s := v.session()
		if s.Get("sum") != int64(workers*rounds) || s.Get("product") != int64(2*workers*rounds) || s.Has("gone") {
			t.Errorf("got sum %v and product %v of %d workers", s.Get("sum"), s.Get("product"), workers)
		}
		if list, _ := s.Get("list").([]any); len(list) != workers {
			t.Errorf("got a list of %d, want %d", len(list), workers)
		}
		for i := range workers {
			if s.Get(fmt.Sprint("own", i)) != int64(rounds-1) || s.Flashed(fmt.Sprint("note", i)) != int64(rounds-1) {
				t.Errorf("got %v and %v of worker %d", s.Get(fmt.Sprint("own", i)), s.Flashed(fmt.Sprint("note", i)), i)
			}
		}
	})
}

// TestGoroutineOutlivesHandler changes the session until it's told that it's too late: what it could change by then is
// exactly what the browser gets.
func TestGoroutineOutlivesHandler(t *testing.T) {
	onEachProtocol(t, func(t *testing.T, proto string) {
		m := newWeb(t, nil)
		last := make(chan any, 1)
		v := m.serve(t, proto, m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			s := m.Get(r)
			running := make(chan struct{})
			go func() {
				s.Put("n", 0)
				close(running)
				for s.Err() == nil && r.Context().Err() == nil {
					s.Increment("n", 1)
				}
				if s.Err() == nil { // the context ended, after the commit, between two changes
					s.Increment("n", 1)
				}
				if !errors.Is(s.Err(), cookiesession.ErrCommitted) {
					t.Errorf("got %v, want ErrCommitted", s.Err())
				}
				last <- s.Get("n")
			}()
			<-running
		})))
		for range 20 {
			v.get()
			if got, want := v.session().Get("n"), <-last; got != want {
				t.Errorf("the browser got n = %v, want %v", got, want)
			}
		}
		if late := m.Stats().Late; late != 20 {
			t.Errorf("got Late %d, want 20", late)
		}
	})
}

// TestFirstUseAtTheEnd has another goroutine open the session while the handler returns, or takes over the connection:
// its change is sent, or refused.
func TestFirstUseAtTheEnd(t *testing.T) {
	m := newManager(t, nil)
	for round := range 20000 {
		w := httptest.NewRecorder()
		var wg sync.WaitGroup
		var changeErr error
		m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s := m.Get(r)
			wg.Go(func() {
				s.Put("n", 2)
				changeErr = s.Err()
			})
			for range round % 5 { // the change comes before the end, or after it, or meanwhile
				runtime.Gosched()
			}
			if round%2 > 0 {
				w.(http.Hijacker).Hijack()
			}
		})).ServeHTTP(hijackable{w}, requestWith())
		wg.Wait()
		sent := cookieNames(w.Header())
		if refused := errors.Is(changeErr, cookiesession.ErrCommitted); refused != (sent == "") {
			t.Fatalf("got %v and cookies %q", changeErr, sent)
		}
	}
}

// TestFirstUseAtOnce has goroutines open the session at once: one of them does, and none sees one that isn't open yet.
func TestFirstUseAtOnce(t *testing.T) {
	const rounds = 1000
	var asked atomic.Int64
	m := newManager(t, func(c *cookiesession.Config) {
		c.Revoked = func(context.Context, *cookiesession.Session) (bool, error) {
			asked.Add(1)
			for range 10 { // the others come meanwhile
				runtime.Gosched()
			}
			return false, nil
		}
	})
	sender := newVisitor(t, m)
	sender.visit(put("n", 1))
	for header, want := range map[string]any{"": nil, cookieName + "=1forged": nil, sender.header(): int64(1)} {
		for range rounds {
			inHandler(m, requestWith(header), func(_ http.ResponseWriter, r *http.Request) {
				var wg sync.WaitGroup
				for range 4 {
					wg.Go(func() {
						s := m.Get(r)
						if until, n := time.Until(s.ExpiresAt()), s.Get("n"); until < time.Hour || n != want {
							t.Errorf("got a session for %v with n = %v, want a day and %v", until, n, want)
						}
					})
				}
				runtime.Gosched()
				wg.Wait()
			})
		}
	}
	if got := asked.Load(); got != rounds {
		t.Errorf("Revoked was asked %d times, want %d", got, rounds)
	}
}

// TestLateChangesAtOnce has goroutines change the session after the commit: all are told, and the log has one line.
func TestLateChangesAtOnce(t *testing.T) {
	const workers, rounds = 8, 1000
	m := newWeb(t, nil)
	for range rounds {
		inHandler(m.Manager, requestWith(), func(w http.ResponseWriter, r *http.Request) {
			s := m.Get(r)
			s.Has("n")
			w.WriteHeader(http.StatusOK)
			var wg sync.WaitGroup
			for i := range workers {
				wg.Go(func() {
					if s.Put("n", i); !errors.Is(s.Err(), cookiesession.ErrCommitted) {
						t.Errorf("got %v, want ErrCommitted", s.Err())
					}
				})
			}
			wg.Wait()
		})
	}
	if got := strings.Count(m.log.String(), "\n"); got != rounds || m.Stats().Late != workers*rounds {
		t.Errorf("got %d lines logged and Late %d, want %d and %d", got, m.Stats().Late, rounds, workers*rounds)
	}
}
