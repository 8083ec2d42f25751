package cookiesession_test

import (
	"bytes"
	"fmt"
	"math"
	"net/http"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

// A payload that breaks the format anywhere is refused whole, before anything is decoded. Whoever holds a key can write
// one: a server of another version, or with a bug. What msgpack/v5 does with some of these is said beside them.
func TestSessionPayload(t *testing.T) {
	m := newManager(t, nil)
	now := time.Now().Unix()
	head := pack(packArray(7), packID(1), packTimes(now, now, now+1000), 0, packBytes(nil)) // all but the values
	values := packMap("k", "v")
	nested := func(depth int) []byte { // lists of one element, and in the innermost a map
		return pack(strings.Repeat("\x91", depth-1), 0x80)
	}
	tests := []struct {
		name    string
		payload []byte
		want    string
	}{
		{"as written", pack(head, values), ""},
		{"no values", pack(head, 0x80), ""},
		{"remembered", pack(packArray(7), packID(1), packTimes(now, now, now+1000), 2, packBytes(nil), values), ""},
		{"with a CSRF secret", pack(packArray(7), packID(1), packTimes(now, now, now+1000), 0, packID(2), values), ""},

		{"empty", nil, "malformed"},
		{"only a header", pack(packArray(7)), "malformed"},
		{"a map", pack(packMap("k", "v")), "malformed"},
		{"six fields", pack(packArray(6), head[1:], values), "malformed"},
		{"eight fields", pack(packArray(8), head[1:], values, 0xc0), "malformed"},
		{"a field too many", pack(head, values, 0xc0), "malformed"},
		{"cut short", pack(head, values[:len(values)-1]), "malformed"},
		{"without values", head, "malformed"},
		{"ID of 15 bytes", pack(packArray(7), packBytes(make([]byte, 15)), head[19:], values), "malformed"},
		{"ID of 17 bytes", pack(packArray(7), packBytes(make([]byte, 17)), head[19:], values), "malformed"},
		{"ID a string", pack(packArray(7), 0xb0, head[3:], values), "malformed"},
		{"ID nil", pack(packArray(7), 0xc0, head[19:], values), "malformed"},
		{"a time below zero", pack(packArray(7), packID(1), 0xff, packTimes(now, now+1000), 0, packBytes(nil), values), "malformed"},
		{"a time that is a float", pack(packArray(7), packID(1), 0xca, "\x00\x00\x00\x00", packTimes(now, now+1000), 0, packBytes(nil), values), "malformed"},
		{"a time that is a timestamp", pack(packArray(7), packID(1), 0xd6, "\xff\x00\x00\x00\x00", packTimes(now, now+1000), 0, packBytes(nil), values), "malformed"},
		{"a time beyond int64", pack(packArray(7), packID(1), packTimes(now, now), 0xcf, "\xff\xff\xff\xff\xff\xff\xff\xff", 0, packBytes(nil), values), "malformed"},
		{"mode 3", pack(packArray(7), packID(1), packTimes(now, now, now+1000), 3, packBytes(nil), values), "malformed"},
		{"mode 256", pack(packArray(7), packID(1), packTimes(now, now, now+1000), 0xcd, "\x01\x00", packBytes(nil), values), "malformed"},
		{"CSRF secret of 15 bytes", pack(packArray(7), packID(1), packTimes(now, now, now+1000), 0, packBytes(make([]byte, 15)), values), "malformed"},
		{"no CSRF secret", pack(packArray(7), packID(1), packTimes(now, now, now+1000), 0, values), "malformed"},
		{"CSRF secret nil", pack(packArray(7), packID(1), packTimes(now, now, now+1000), 0, 0xc0, values), "malformed"},
		{"values nil", pack(head, 0xc0), "malformed"},
		{"values a list", pack(head, 0x90), "malformed"},
		{"created in the future", pack(packArray(7), packID(1), packTimes(now+100, now, now+1000), 0, packBytes(nil), values), "future"},
		{"sealed in the future", pack(packArray(7), packID(1), packTimes(now, now+100, now+1000), 0, packBytes(nil), values), "future"},
		{"expired", pack(packArray(7), packID(1), packTimes(now-9, now-9, now), 0, packBytes(nil), values), "expired"},

		{"keys not in order", pack(head, packMap("b", "", "a", "")), "malformed"},
		{"keys not in order, by length", pack(head, packMap("b", "", "aa", "")), "malformed"},
		{"a key twice (msgpack/v5 takes the last)", pack(head, packMap("a", "", "a", "")), "malformed"},
		{"a key that is nil (msgpack/v5 reads an empty string)", pack(head, 0x81, 0xc0, 0xc0), "malformed"},
		{"a key that is a number (msgpack/v5 writes it but can't read it)", pack(head, 0x81, 1, 0xc0), "malformed"},
		{"a key that is a byte string", pack(head, 0x81, packBytes([]byte("a")), 0xc0), "malformed"},
		{"nested keys not in order", pack(head, 0x81, packString("m"), packMap("b", "", "a", "")), "malformed"},
		{"a nested key twice", pack(head, 0x81, packString("m"), packMap("a", "", "a", "")), "malformed"},
		{"a nested key that is nil", pack(head, 0x81, packString("m"), 0x81, 0xc0, 0xc0), "malformed"},
		{"a map behind an extension's header (msgpack/v5 reads through it)", pack(head, 0x81, packString("m"), 0xc7, 1, 5, 0x80), "malformed"},
		{"an extension", pack(head, 0x81, packString("m"), 0xd4, 1, 0), "malformed"},
		{"the code that is never used", pack(head, 0x81, packString("m"), 0xc1), "malformed"},
		{"a timestamp of too many nanoseconds", pack(head, 0x81, packString("m"), 0xd7, 0xff, "\xff\xff\xff\xfc\x00\x00\x00\x00"), "malformed"},
		{"invalid UTF-8 is no mistake", pack(head, packMap("\xff", "\xfe")), ""},

		{"32 maps and lists in each other", pack(head, 0x81, packString("m"), nested(31)), ""},
		{"33 maps and lists in each other", pack(head, 0x81, packString("m"), nested(32)), "malformed"},
		{"3,000 lists in each other (msgpack/v5 allocates a gigabyte)", pack(head, 0x81, packString("m"), nested(3000)), "malformed"},
		{"3,000 lists of 4 billion (likewise)", pack(head, 0x81, packString("m"), strings.Repeat("\xdd\xff\xff\xff\xff", 600)), "malformed"},
		{"a list of 4 billion (msgpack/v5 dies of it)", pack(head, 0x81, packString("m"), "\xdd\xff\xff\xff\xff"), "malformed"},
		{"a map of 4 billion", pack(head, 0x81, packString("m"), "\xdf\xff\xff\xff\xff"), "malformed"},
		{"values of 4 billion", pack(head, "\xdf\xff\xff\xff\xff"), "malformed"},
		{"a string of 4 billion", pack(head, 0x81, packString("m"), "\xdb\xff\xff\xff\xff"), "malformed"},
		{"a byte string of 4 billion", pack(head, 0x81, packString("m"), "\xc6\xff\xff\xff\xff"), "malformed"},
		{"an extension of 4 billion", pack(head, 0x81, packString("m"), "\xc9\xff\xff\xff\xff"), "malformed"},
		{"a key of 4 billion", pack(head, 0x81, "\xdb\xff\xff\xff\xff"), "malformed"},
		{"a list that says one more than there are", pack(head, 0x81, packString("m"), "\x92\x01"), "malformed"},
		{"a map that says one more than there are", pack(head, 0x82, packString("m"), 1), "malformed"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			header := m.SealPayload("session", test.payload)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			got := rejected(m, header)
			runtime.ReadMemStats(&after)
			if got != test.want {
				t.Errorf("rejected as %q, want %q", got, test.want)
			}
			if got := after.TotalAlloc - before.TotalAlloc; got > 64<<10 {
				t.Errorf("allocated %d bytes for a payload of %d", got, len(test.payload))
			}
		})
	}

	// A flash message's values are read by the same rules.
	for _, test := range tests {
		values, ok := strings.CutPrefix(string(test.payload), string(head))
		if !ok || values == "" || values == "\x80" {
			continue
		}
		s := load(m, m.SealPayload("flash", pack(packArray(2), packTimes(now+100), values)))
		if got := len(s.Flashes()); got != map[bool]int{true: 1}[test.want == ""] {
			t.Errorf("%s: %d flash messages", test.name, got)
		}
	}
}

// Time 0 is 1970, as every other number is its second, and not Go's zero Time.
func TestCreatedAtTheEpoch(t *testing.T) {
	m := newManager(t, nil)
	header := m.SealPayload("session", pack(packArray(7), packID(1), packTimes(0, 0, time.Now().Unix()+9), 0, packBytes(nil), 0x80))
	if got, want := load(m, header).CreatedAt(), time.Unix(0, 0).UTC(); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

// Nobody draws an ID of zeros, but an implementation that forgets to draw one may write it. It is an ID like others: the
// same in every request, and one that Destroy ends.
func TestIDOfZeros(t *testing.T) {
	m := newManager(t, nil)
	now := time.Now().Unix()
	header := m.SealPayload("session", pack(packArray(7), packID(0), packTimes(now, now, now+9), 0, packBytes(nil), 0x80))
	s := load(m, header)
	if got, want := s.ID(), strings.Repeat("0", 32); got != want {
		t.Errorf("ID is %s, want %s", got, want)
	}
	s.Destroy()
	h := http.Header{}
	if err := m.Save(h, s); err != nil {
		t.Fatal(err)
	}
	if got, want := cookieNames(h), "-"+cookieName+" "+cookieName+".ended.AAAAAAAAAAA"; got != want {
		t.Errorf("Destroy set %s, want %s", got, want)
	}
	s.Put("n", 1)
	if got := s.ID(); got == strings.Repeat("0", 32) {
		t.Error("the session after Destroy has the same ID")
	}
}

func TestFlashPayload(t *testing.T) {
	m := newManager(t, nil)
	now := time.Now().Unix()
	tests := []struct {
		name    string
		payload []byte
		want    string
	}{
		{"as written", pack(packArray(2), packTimes(now+9), packMap("k", "v")), ""},
		{"empty", nil, "malformed"},
		{"one field", pack(packArray(1), packTimes(now+9)), "malformed"},
		{"three fields", pack(packArray(3), packTimes(now+9), packMap("k", "v"), 0xc0), "malformed"},
		{"trailing bytes", pack(packArray(2), packTimes(now+9), packMap("k", "v"), 0xc0), "malformed"},
		{"expires below zero", pack(packArray(2), 0xff, packMap("k", "v")), "malformed"},
		{"expired", pack(packArray(2), packTimes(now), packMap("k", "v")), "expired"},
		{"values nil", pack(packArray(2), packTimes(now+9), 0xc0), "malformed"},
	}
	for _, test := range tests {
		before := m.Stats().Rejected
		got := load(m, m.SealPayload("flash", test.payload)).Flashed("k")
		if (got == "v") != (test.want == "") {
			t.Errorf("%s: holds %v", test.name, got)
		}
		for reason, n := range m.Stats().Rejected {
			if n != before[reason] && reason != test.want {
				t.Errorf("%s: rejected as %q, want %q", test.name, reason, test.want)
			}
		}
	}
}

func TestLeasePayload(t *testing.T) {
	const idle = time.Hour
	m := newManager(t, func(c *cookiesession.Config) { c.IdleTimeout = idle })
	start := time.Now().Truncate(time.Second)
	now := start
	m.SetClock(func() time.Time { return now })
	v := newVisitor(t, m)
	v.visit(put("v", 1))
	own := v.load().ID()
	now = start.Add(idle + time.Minute)
	seen := start.Add(idle / 2).Unix()
	tests := []struct {
		name    string
		payload []byte
		counts  bool
	}{
		{"as written", packLease(own, seen), true},
		{"just long enough ago", packLease(own, now.Add(-idle).Unix()), true},
		{"a second too long ago", packLease(own, now.Add(-idle).Unix()-1), false},
		{"a minute ahead", packLease(own, now.Unix()+60), true},
		{"more than a minute ahead", packLease(own, now.Unix()+61), false},
		{"another session's", packLease(strings.Repeat("ab", 16), seen), false},
		{"another session's of the same origin", packLease(own[:16]+strings.Repeat("ab", 8), seen), false},
		{"trailing bytes", append(packLease(own, seen), 0xc0), false},
		{"one field", pack(packArray(1), packLease(own, seen)[1:19]), false},
		{"empty", nil, false},
		{"seen a string", pack(packArray(2), packLease(own, seen)[1:19], packString("now")), false},
		{"seen below zero", pack(packArray(2), packLease(own, seen)[1:19], 0xff), false},
		{"seen beyond int64", pack(packArray(2), packLease(own, seen)[1:19], 0xcf, "\xff\xff\xff\xff\xff\xff\xff\xff"), false},
	}
	for _, test := range tests {
		got := rejected(m, v.header()+"; "+m.SealPayload("lease", test.payload))
		if want := map[bool]string{true: "", false: "idle"}[test.counts]; got != want {
			t.Errorf("%s: rejected as %q, want %q", test.name, got, want)
		}
	}
}

// A payload that ends earlier, wherever that is, is none.
func TestPayloadCutShort(t *testing.T) {
	now := time.Now().Unix()
	for purpose, payload := range map[string][]byte{
		"session": pack(packArray(7), packID(1), packTimes(now, now, now+1000), 0, packID(2), packMap("k", "v")),
		"flash":   pack(packArray(2), packTimes(now), packMap("k", "v")),
		"lease":   packLease(strings.Repeat("ab", 16), now),
	} {
		for n := range len(payload) + 1 {
			if _, _, ok := cookiesession.DecodePayload(purpose, bytes.Clone(payload[:n])); ok != (n == len(payload)) {
				t.Errorf("%s: %d of %d bytes are accepted: %v", purpose, n, len(payload), ok)
			}
		}
	}
}

// What is written can be read, and means the same: every length at which an encoding changes its form, of keys, strings
// and maps.
func TestPayloadLengths(t *testing.T) {
	m := newManager(t, withMaxSize(defaultCapacity.size(9)))
	for _, n := range []int{0, 1, 15, 16, 23, 24, 25, 31, 32, 33, 255, 256, 257, 2000} {
		want := map[string]any{}
		for i := range n {
			want[fmt.Sprintf("k%0*d", i%3, i)] = int64(i)
		}
		s := load(m)
		for key, v := range want {
			s.Put(key, v)
		}
		s.Put("", strings.Repeat("v", n))
		s.Put(strings.Repeat("k", n+2), []byte(strings.Repeat("b", n)))
		want[""], want[strings.Repeat("k", n+2)] = strings.Repeat("v", n), []byte(strings.Repeat("b", n))
		v := newVisitor(t, m)
		v.visit(func(into *cookiesession.Session) {
			for key, v := range s.All() {
				into.Put(key, v)
			}
		})
		if got := v.load().All(); !reflect.DeepEqual(got, want) {
			t.Errorf("%d keys: %d come back, want %d", n, len(got), len(want))
		}
	}
	v := newVisitor(t, m)
	v.visit(put("v", []any{int64(math.MaxInt64), uint64(math.MaxUint64), int64(math.MinInt64)}))
	if got, want := v.get("v"), []any{int64(math.MaxInt64), uint64(math.MaxUint64), int64(math.MinInt64)}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestMalformedBesideGood is for what a payload may leave behind that turns out to be malformed only after its head.
func TestMalformedBesideGood(t *testing.T) {
	m := newManager(t, nil)
	now := time.Now()
	at := now.Unix()
	good := m.SealPayload("session", pack(packArray(7), packID(1), packTimes(at, at, at+1000), 0, packBytes(nil), packMap("k", "v")))
	bad := m.SealPayload("session", pack(packArray(7), packID(2), packTimes(at, at, at+1000), 2, packID(3), 0x81))
	want := m.PayloadOf(load(m, good), now)
	for _, header := range []string{bad + "; " + good, good + "; " + bad} {
		if got := m.PayloadOf(load(m, header), now); !reflect.DeepEqual(got, want) {
			t.Errorf("got %x, want %x", got, want)
		}
	}
}

// checkUsualHead checks that what is read fast is what is read otherwise, and tells whether it is read fast.
func checkUsualHead(t *testing.T, payload []byte) (usual bool) {
	t.Helper()
	got, rest, usual := cookiesession.ReadHead(payload, true)
	want, wantRest, ok := cookiesession.ReadHead(payload, false)
	if usual && (!ok || rest != wantRest || !reflect.DeepEqual(got, want)) {
		t.Fatalf("%x: read fast as %+v with %d bytes behind, else as %+v, %d, %t", payload, got, rest, want, wantRest, ok)
	}
	return usual
}

func TestUsualHead(t *testing.T) {
	for _, csrf := range [][]byte{packBytes(nil), packID(2)} {
		for mode := range 3 {
			for _, at := range []int64{1 << 16, 1_800_000_000, math.MaxUint32} {
				head := pack(packArray(7), packID(1), packTimes(at, at, at), mode, csrf)
				payload := pack(head, packMap("key", "a value of some length"))
				if !checkUsualHead(t, payload) {
					t.Errorf("%x isn't read fast", payload)
				}
				for i, was := range head {
					for c := range 256 {
						payload[i] = byte(c)
						checkUsualHead(t, payload)
					}
					payload[i] = was
				}
				for n := range payload {
					checkUsualHead(t, payload[:n])
				}
			}
		}
	}
}
