package value

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"
)

// The traps of msgpack/v5 v5.4.1, one test each.

// msgpack/v5: int(5) comes back as int8, 200 as uint8, and loosely decoded 100 as int64 but 200 as uint64.
func TestTrapIntegersChangeTypeWithSize(t *testing.T) {
	for _, n := range []int64{5, 100, 200, 300, 70000, 1 << 40, -5, -200, -70000} {
		for _, v := range []any{n, []int64{n}, map[string]int64{"n": n}, struct{ N any }{n}} {
			got := Decode(mustAppend(t, v))
			switch v := got.(type) {
			case []any:
				got = v[0]
			case map[string]any:
				for _, got = range v {
				}
			}
			if got != n {
				t.Errorf("%d in a %T: got %T(%v), want int64", n, v, got, got)
			}
			var into []any
			if err := DecodeInto(mustAppend(t, []any{v, n}), &into); err != nil || into[1] != n {
				t.Errorf("%d in a list: got %v, %v", n, into, err)
			}
		}
	}
}

// msgpack/v5: loose decoding turns []byte into string.
func TestTrapBytesBecomeText(t *testing.T) {
	for _, v := range []any{[]byte("a"), struct{ B any }{[]byte("a")}} {
		b := mustAppend(t, v)
		var into struct{ B any }
		got := Decode(b)
		if m, ok := got.(map[string]any); ok {
			got = m["B"]
			if err := DecodeInto(b, &into); err != nil || !reflect.DeepEqual(into.B, []byte("a")) {
				t.Errorf("DecodeInto: got %#v, %v, want a []byte", into.B, err)
			}
		}
		if !reflect.DeepEqual(got, []byte("a")) {
			t.Errorf("Decode: got %#v, want a []byte", got)
		}
	}
}

// msgpack/v5: interned strings silently corrupt values in map[string]any. Nothing can switch them on.
func TestTrapInternedStrings(t *testing.T) {
	type tagged struct {
		A, B string `msgpack:",intern"`
	}
	if _, err := Append(nil, tagged{"first", "first"}, 0); err == nil || !strings.Contains(err.Error(), "interned") {
		t.Errorf("a field with the tag: got %v, want an error", err)
	}
	if _, err := Append(nil, map[string]any{"a": []*tagged{{}}}, 0); err == nil {
		t.Error("a field with the tag in a list: no error")
	}
	if err := DecodeInto(mustAppend(t, map[string]string{"A": "a"}), new(tagged)); err == nil {
		t.Error("decoding into a field with the tag: no error")
	}
	if _, err := Append(nil, []any{interning{}, "first", interning{}}, 0); err == nil {
		t.Error("switched on by a method: no error")
	}
	// Another user of the library leaves the flag set in a pooled encoder.
	pooled := msgpack.GetEncoder()
	pooled.UseInternedStrings(true)
	msgpack.PutEncoder(pooled)
	if got := roundTrip(t, [][2]string{{"first", "second"}, {"first", "second"}}); got[1] != [2]string{"first", "second"} {
		t.Errorf("got %q", got)
	}
}

type interning struct{}

func (interning) EncodeMsgpack(e *msgpack.Encoder) error {
	e.UseInternedStrings(true)
	return errors.Join(e.EncodeArrayLen(2), e.EncodeString("first"), e.EncodeString("first"))
}

// msgpack/v5: dd ff ff ff ff tries to allocate 64 GiB and dies beyond recover.
func TestTrapClaimedLengths(t *testing.T) {
	for _, digits := range []string{"dd ffffffff", "df ffffffff", "db ffffffff", "c6 ffffffff", "91 dd ffffffff", "81 a1 61 df ffffffff"} {
		if _, err := Skip(unhex(t, digits), 0); err != errTruncated {
			t.Errorf("%s: got %v, want %v", digits, err, errTruncated)
		}
		if _, err := Append(nil, msgpack.RawMessage(unhex(t, digits)), 0); err == nil {
			t.Errorf("%s from a method: no error", digits)
		}
	}
	// Where it looks for a map, msgpack/v5 skips the header of an extension and takes the content for a map's header.
	// These times look like maps of 2^28-1 and 2^32-1 pairs.
	for _, at := range []time.Time{time.Unix(0x30fffffff, 0x37c00000), time.Unix(1<<34-1, 0x37ffffff)} {
		b := mustAppend(t, struct{ M time.Time }{at})
		var into struct{ M map[string]any }
		var typed map[string]map[string]int
		var own map[string]ownMap
		if err, err2, err3 := DecodeInto(b, &into), DecodeInto(b, &typed), DecodeInto(b, &own); err == nil || err2 == nil || err3 == nil {
			t.Errorf("%v as a map: got %v, %v, %v", at, into, typed, own)
		}
	}
}

// ownMap reads itself as a map.
type ownMap map[string]any

func (m ownMap) EncodeMsgpack(e *msgpack.Encoder) error        { return e.EncodeMapSorted(m) }
func (m *ownMap) DecodeMsgpack(d *msgpack.Decoder) (err error) { *m, err = d.DecodeMap(); return err }

// Types with a method for decoding only.
type (
	readerMap  map[string]any
	readerNode struct{ Next, Other *readerNode }
)

func (*readerMap) UnmarshalText([]byte) error    { return nil }
func (*readerNode) UnmarshalBinary([]byte) error { return nil }

// msgpack/v5: encoding a cyclic map is a stack overflow beyond recover. So is a type that embeds or points to itself.
func TestTrapCycles(t *testing.T) {
	type node struct {
		Name string
		Next *node
	}
	type own []any
	type endless *endless
	type link map[string]link
	loop := &node{}
	loop.Next = loop
	m := map[string]any{}
	m["m"] = map[string]any{"m": m}
	list := []any{nil}
	list[0] = list
	named := own{nil}
	named[0] = named
	var p endless
	p = &p
	var anything any
	anything = &anything
	typed := link{}
	typed["self"] = typed
	coded := ownMap{}
	coded["self"] = coded
	reader := readerMap{}
	reader["self"] = reader
	readers := &readerNode{}
	readers.Next = readers
	fork := &readerNode{}
	for range 30 {
		fork = &readerNode{fork, fork}
	}
	for name, v := range map[string]any{
		"map": m, "list": list, "pointer in a struct": loop, "map in a struct": struct{ M map[string]any }{m},
		"map that encodes itself": coded, "map that decodes itself": reader, "struct that decodes itself": readers,
		"struct that decodes itself, shared 2^30 times": fork,
		"list of its own type":                          named, "pointer": p, "interface": anything, "typed map": typed,
		"embedded": EmbedsItself{}, "embedded in a list": []EmbedsItself{{}}, "embedded by way of another": EmbedsOther{},
		"pointers in a field": struct{ P endless }{}, "nil pointer": endless(nil),
	} {
		if _, err := Append(nil, v, 0); err == nil {
			t.Errorf("%s: no error", name)
		}
		if _, err := Append(nil, []any{v}, 0); err == nil {
			t.Errorf("%s in a list: no error", name)
		}
	}
	b := mustAppend(t, map[string]any{"P": nil})
	for name, err := range map[string]error{
		"pointer": DecodeInto(b, new(endless)), "pointer in a struct": DecodeInto(b, &struct{ P endless }{}),
		"embedded": DecodeInto(b, new(EmbedsItself)), "embedded by way of another": DecodeInto(b, new([]*EmbedsOther)),
	} {
		if err == nil {
			t.Errorf("decoding into %s: no error", name)
		}
	}
	equal(t, node{"a", &node{"b", nil}})
	equal(t, link{"a": {"b": nil}})
}

type (
	EmbedsItself struct {
		*EmbedsItself
		A int
	}
	EmbedsOther struct{ *Other }
	Other       struct{ *EmbedsOther }
)

// msgpack/v5: map[int]string encodes but doesn't decode, and then the whole session is gone.
func TestTrapKeysThatAreNotStrings(t *testing.T) {
	type table struct{ M map[int]string }
	for _, v := range []any{
		map[int]string{1: "a"},
		map[int]string(nil),
		table{},
		[]table{{}},
		&table{},
		[]any{map[bool]int{}},
		map[any]any{"a": 1},
		map[[2]string]int{},
		map[time.Time]int{},
		map[string]map[rune]int{"a": nil},
		struct{ V any }{map[uint8]int{}},
	} {
		if _, err := Append(nil, v, 0); err == nil || !strings.Contains(err.Error(), "keys that are not strings") {
			t.Errorf("%T: got %v, want an error about its keys", v, err)
		}
	}
	if _, err := Append(nil, map[textKey]int{"a": 1}, 0); err == nil {
		t.Error("keys that encode themselves to something else: no error")
	}
	if err := DecodeInto(mustAppend(t, map[string]string{"1": "a"}), new(map[int]string)); err == nil {
		t.Error("DecodeInto: no error")
	}
}

type textKey string

func (k textKey) MarshalText() ([]byte, error) { return []byte(k), nil }

// msgpack/v5 accepts trailing bytes, duplicate keys, nil keys, a map behind an extension header and invalid UTF-8. The
// last is allowed here too, and kept.
func TestTrapAcceptedSilently(t *testing.T) {
	for name, digits := range map[string]string{
		"trailing bytes": "a1 61 00", "duplicate keys": "82 a1 61 01 a1 61 02", "nil key": "81 c0 01",
		"map behind an extension header": "d4 05 81 a1 61 01",
	} {
		b := unhex(t, digits)
		if n, err := Skip(b, 0); err == nil && n == len(b) {
			t.Errorf("Skip accepts %s", name)
		}
		if _, err := Append(nil, msgpack.RawMessage(b), 0); err == nil {
			t.Errorf("Append accepts %s", name)
		}
	}
	equal(t, "\xff\xfe")
	equal(t, map[role]role{"\xff": "\xfe"})
	type twice struct {
		A int
		B int `msgpack:"A"`
	}
	if _, err := Append(nil, twice{}, 0); err == nil {
		t.Error("Append accepts two fields of one name")
	}
}

// msgpack/v5: 300 into int8 is 44, -1 into uint64 the greatest number.
func TestTrapTypedDecodingTruncates(t *testing.T) {
	refused[int8](t, 300, outOfRange)
	refused[uint64](t, -1, outOfRange)
	refused[level](t, 300, outOfRange)
	refused[struct{ N int8 }](t, map[string]int{"N": 300}, outOfRange)
	refused[map[string]uint64](t, map[string]int{"N": -1}, outOfRange)
	refused[pair[*[]int8, any]](t, map[string]any{"First": []int{1, 300}}, outOfRange)
}

// msgpack/v5 is lossy: Duration to int64, named types, struct to map, []string to []any, times lose their zone. A typed
// read gives the type back, an untyped one Decode's type, and a time is always in UTC.
func TestTrapLossy(t *testing.T) {
	equal(t, time.Hour)
	equal(t, role("r"))
	equal(t, []string{"a"})
	equal(t, pair[role, time.Duration]{"a", time.Hour})
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.FixedZone("east", 3600))
	if got := roundTrip(t, []time.Time{at}); got[0] != at.UTC() {
		t.Errorf("got %v, want %v", got[0], at.UTC())
	}
	for _, test := range []struct{ v, want any }{
		{time.Hour, int64(time.Hour)},
		{role("r"), "r"},
		{[]string{"a"}, []any{"a"}},
		{at, at.UTC()},
		{struct{ A int }{1}, map[string]any{"A": int64(1)}},
		{[]time.Time{at}, []any{at.UTC()}},
	} {
		if got := Decode(mustAppend(t, test.v)); !reflect.DeepEqual(got, test.want) {
			t.Errorf("%T: got %#v, want %#v", test.v, got, test.want)
		}
	}
	// What would be lost without a trace is refused.
	type birthday time.Time
	type embedded struct {
		*role
		A int
	}
	for _, v := range []any{birthday(at), struct{ B birthday }{}, errors.New("text"), &sync.Mutex{}, embedded{role: nil}} {
		if _, err := Append(nil, v, 0); err == nil {
			t.Errorf("%T: no error", v)
		}
	}
	type locked struct {
		sync.Mutex
		A int
	}
	if got := roundTrip(t, &locked{A: 1}); got.A != 1 {
		t.Errorf("a struct with a lock: got %v, want 1", got.A)
	}
}

type extension struct{ N byte }

func (e *extension) MarshalMsgpack() ([]byte, error) { return []byte{e.N}, nil }
func (e *extension) UnmarshalMsgpack(b []byte) error { e.N = b[0]; return nil }

// msgpack/v5's registry of extensions is global: another package can register types, or take over the timestamp.
func TestTrapExtensionRegistry(t *testing.T) {
	type diary struct{ At time.Time }
	at := time.Unix(1700000000, 0).UTC()
	plain, written := mustAppend(t, at), mustAppend(t, diary{at})

	msgpack.RegisterExt(5, (*extension)(nil))
	if _, err := Append(nil, &extension{7}, 0); err == nil {
		t.Error("a registered type: no error")
	}
	msgpack.UnregisterExt(5)
	if n, err := Skip([]byte{0xd4, 5, 7}, 0); err == nil {
		t.Errorf("a registered extension: got %d, want an error", n)
	}

	msgpack.RegisterExt(-1, (*extension)(nil))
	var read diary
	if got := mustAppend(t, diary{at}); !bytes.Equal(got, written) || DecodeInto(written, &read) != nil || read.At != at {
		t.Errorf("a time in a struct: got %x and %v, want %x and %v", got, read, written, at)
	}
	if got := mustAppend(t, at); !bytes.Equal(got, plain) || Decode(got) != at {
		t.Errorf("a plain time: got %x, want %x", got, plain)
	}
	restoreTimes()
}

// restoreTimes registers time.Time as msgpack/v5 does at its start.
func restoreTimes() {
	msgpack.RegisterExtEncoder(-1, time.Time{}, func(_ *msgpack.Encoder, v reflect.Value) ([]byte, error) {
		at := v.Interface().(time.Time)
		b := appendTime(nil, at.Unix(), uint32(at.Nanosecond()))
		if b[0] == 0xc7 {
			b = b[1:]
		}
		return b[2:], nil
	})
	msgpack.RegisterExtDecoder(-1, time.Time{}, func(d *msgpack.Decoder, v reflect.Value, n int) error {
		b := make([]byte, n)
		if err := d.ReadFull(b); err != nil {
			return err
		}
		sec, nsec, _, _ := readTime(append([]byte{0xc7, byte(n), 0xff}, b...))
		*v.Addr().Interface().(*time.Time) = time.Unix(sec, int64(nsec))
		return nil
	})
}

// msgpack/v5: a reused encoder keeps the flags of its last use, and the order of maps is random.
func TestTrapFlagsAndOrder(t *testing.T) {
	v := struct {
		F    float64
		N    int8
		Omit string
		Map  map[string]int
	}{2, 5, "", map[string]int{"c": 3, "a": 1, "b": 2}}
	want := mustAppend(t, v)
	for range 10 {
		pooled := msgpack.GetEncoder()
		pooled.UseCompactFloats(true)
		pooled.SetOmitEmpty(true)
		pooled.UseArrayEncodedStructs(true)
		pooled.SetCustomStructTag("json")
		msgpack.PutEncoder(pooled)
		if got := mustAppend(t, v); !bytes.Equal(got, want) {
			t.Fatalf("got %x, want %x", got, want)
		}
	}
}

func TestConcurrency(t *testing.T) {
	v := account{base: base{ID: 1}, Limits: map[role]uint8{"a": 1, "b": 2}, Any: []any{1, time.Unix(1, 1)}}
	want := mustAppend(t, v)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				if got, err := Append(nil, v, 0); err != nil || !bytes.Equal(got, want) {
					t.Errorf("got %x, %v, want %x", got, err, want)
				}
				if err := DecodeInto(want, new(account)); err != nil {
					t.Error(err)
				}
				// A type that only this goroutine has seen so far, now and then.
				if _, err := Append(nil, []pair[[1]int, map[string]account]{{Second: map[string]account{"a": v}}}, 0); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}
