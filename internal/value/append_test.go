package value

import (
	"bytes"
	"encoding/hex"
	"math"
	"math/rand/v2"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"
)

// mustAppend returns the encoding of v, checked by Skip.
func mustAppend(t testing.TB, v any) []byte {
	t.Helper()
	b, err := Append(nil, v, 0)
	if err != nil {
		t.Fatalf("Append(%T): %v", v, err)
	}
	if n, err := Skip(b, 0); n != len(b) || err != nil {
		t.Fatalf("Skip of what Append made of a %T: got %d, %v, want %d", v, n, err, len(b))
	}
	return b
}

// viaMsgpack returns the encoding of v as it would be if msgpack/v5 were asked for it.
func viaMsgpack(v any, depth int) ([]byte, error) {
	addressable := reflect.New(reflect.TypeOf(v)).Elem()
	addressable.Set(reflect.ValueOf(v))
	stored, _, err := encodeSelf(addressable, depth)
	if err != nil {
		return nil, err
	}
	return Append(nil, stored, depth)
}

// rewritten returns the canonical form of the value at the start of b.
func rewritten(b []byte, depth int) ([]byte, error) {
	if _, err := skipLoose(b, depth); err != nil {
		return nil, err
	}
	v, _ := decode(b, true)
	return Append(nil, v, depth)
}

func TestAppendIntegers(t *testing.T) {
	for _, test := range []struct {
		v    int64
		want string
	}{
		{0, "00"},
		{126, "7e"},
		{127, "7f"},
		{128, "cc80"},
		{254, "ccfe"},
		{255, "ccff"},
		{256, "cd0100"},
		{math.MaxUint16 - 1, "cdfffe"},
		{math.MaxUint16, "cdffff"},
		{math.MaxUint16 + 1, "ce00010000"},
		{math.MaxUint32 - 1, "cefffffffe"},
		{math.MaxUint32, "ceffffffff"},
		{math.MaxUint32 + 1, "cf0000000100000000"},
		{math.MaxInt64, "cf7fffffffffffffff"},
		{-1, "ff"},
		{-31, "e1"},
		{-32, "e0"},
		{-33, "d0df"},
		{-127, "d081"},
		{-128, "d080"},
		{-129, "d1ff7f"},
		{math.MinInt16 + 1, "d18001"},
		{math.MinInt16, "d18000"},
		{math.MinInt16 - 1, "d2ffff7fff"},
		{math.MinInt32 + 1, "d280000001"},
		{math.MinInt32, "d280000000"},
		{math.MinInt32 - 1, "d3ffffffff7fffffff"},
		{math.MinInt64 + 1, "d38000000000000001"},
		{math.MinInt64, "d38000000000000000"},
	} {
		values := []any{test.v, time.Duration(test.v), &test.v, struct{ A int64 }{test.v}}
		for _, narrow := range []any{int(test.v), int8(test.v), int16(test.v), int32(test.v)} {
			if reflect.ValueOf(narrow).Int() == test.v {
				values = append(values, narrow)
			}
		}
		for _, narrow := range []any{uint8(test.v), uint16(test.v), uint32(test.v), uint(test.v), uint64(test.v)} {
			if test.v >= 0 && reflect.ValueOf(narrow).Uint() == uint64(test.v) {
				values = append(values, narrow)
			}
		}
		for _, v := range values {
			want := test.want
			if reflect.TypeOf(v).Kind() == reflect.Struct {
				want = "81a141" + want
			}
			if got := hex.EncodeToString(mustAppend(t, v)); got != want {
				t.Errorf("%T(%d): got %s, want %s", v, test.v, got, want)
			}
		}
		if got := Decode(mustAppend(t, test.v)); got != test.v {
			t.Errorf("Decode: got %T(%v), want int64(%d)", got, got, test.v)
		}
	}
	for v, want := range map[uint64]any{math.MaxInt64: int64(math.MaxInt64), 1 << 63: uint64(1 << 63), math.MaxUint64: uint64(math.MaxUint64)} {
		if got := Decode(mustAppend(t, v)); got != want {
			t.Errorf("Decode: got %T(%v), want %T(%v)", got, got, want, want)
		}
	}
}

func TestAppendForms(t *testing.T) {
	long := func(n int) string { return strings.Repeat("x", n) }
	list := func(n int) []any { return make([]any, n) }
	pairs := func(n int) map[string]any {
		m := map[string]any{}
		for i := range n {
			m[strconv.Itoa(i)] = nil
		}
		return m
	}
	for _, test := range []struct {
		name string
		v    any
		want string // the first bytes
	}{
		{"nil", nil, "c0"},
		{"nil bytes", []byte(nil), "c0"},
		{"nil list", []any(nil), "c0"},
		{"nil strings", []string(nil), "c0"},
		{"nil map", map[string]any(nil), "c0"},
		{"nil string map", map[string]string(nil), "c0"},
		{"nil pointer", (*int)(nil), "c0"},
		{"true", true, "c3"},
		{"false", false, "c2"},
		{"float32", float32(1), "ca3f800000"},
		{"float64", 1.0, "cb3ff0000000000000"},
		{"NaN", math.Float64frombits(0xfff0000000000001), "cb7ff8000000000000"},
		{"float32 NaN", math.Float32frombits(0x7f800001), "ca7fc00000"},
		{"string of 31", long(31), "bf78"},
		{"string of 32", long(32), "d92078"},
		{"string of 255", long(255), "d9ff78"},
		{"string of 256", long(256), "da010078"},
		{"string of 65535", long(65535), "daffff78"},
		{"string of 65536", long(65536), "db0001000078"},
		{"bin of 0", []byte{}, "c400"},
		{"bin of 255", []byte(long(255)), "c4ff78"},
		{"bin of 256", []byte(long(256)), "c5010078"},
		{"bin of 65535", []byte(long(65535)), "c5ffff78"},
		{"bin of 65536", []byte(long(65536)), "c60001000078"},
		{"list of 0", list(0), "90"},
		{"list of 15", list(15), "9fc0"},
		{"list of 16", list(16), "dc0010c0"},
		{"list of 65535", list(65535), "dcffffc0"},
		{"list of 65536", list(65536), "dd00010000c0"},
		{"map of 0", pairs(0), "80"},
		{"map of 15", pairs(15), "8fa130"},
		{"map of 16", pairs(16), "de0010a130"},
		{"strings", []string{"a", "b"}, "92a161a162"},
		{"string map", map[string]string{"b": "2", "a": "1"}, "82a161a131a162a132"},
		{"the epoch", time.Unix(0, 0), "d6ff00000000"},
		{"2^32-1 s", time.Unix(1<<32-1, 0), "d6ffffffffff"},
		{"2^32 s", time.Unix(1<<32, 0), "d7ff0000000100000000"},
		{"1 ns", time.Unix(0, 1), "d7ff0000000400000000"},
		{"2^34-1 s", time.Unix(1<<34-1, 999999999), "d7ffee6b27ffffffffff"},
		{"2^34 s", time.Unix(1<<34, 0), "c70cff000000000000000400000000"},
		{"before the epoch", time.Unix(-1, 999999999), "c70cff3b9ac9ffffffffffffffffff"},
		{"the zero time", time.Time{}, "c70cff00000000fffffff1886e0900"},
		{"the last second", time.Unix(math.MaxInt64, 0), "c70cff000000007fffffffffffffff"},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := mustAppend(t, test.v)
			if got := hex.EncodeToString(b); !strings.HasPrefix(got, test.want) {
				t.Errorf("got %.40s, want %s", got, test.want)
			}
			if test.v == nil {
				return
			}
			if other, err := viaMsgpack(test.v, 0); err != nil || !bytes.Equal(other, b) {
				t.Errorf("through msgpack/v5: got %.20x, %v, want %.20x", other, err, b)
			}
			e := encoder{budget: maxCost}
			if other, err := e.other(nil, test.v, 0); err != nil || !bytes.Equal(other, b) {
				t.Errorf("by reflection: got %.20x, %v, want %.20x", other, err, b)
			}
			if want, ok := test.v.(time.Time); ok && !Decode(b).(time.Time).Equal(want) {
				t.Errorf("Decode: got %v, want %v", Decode(b), want)
			}
		})
	}
}

func TestAppendDepth(t *testing.T) {
	type node struct{ Next any }
	for name, wrap := range map[string]func(any) any{
		"list":          func(v any) any { return []any{v} },
		"map":           func(v any) any { return map[string]any{"": v} },
		"pointer":       func(v any) any { list := []any{v}; return &list },
		"struct":        func(v any) any { return node{v} },
		"array":         func(v any) any { return [1]any{v} },
		"pointer to it": func(v any) any { return &node{&v} },
	} {
		for depth := range 36 {
			var v any = 1
			for range depth {
				v = wrap(v)
			}
			for outer := range 3 {
				_, err := Append(nil, v, outer)
				if fits := outer+depth <= MaxDepth || depth == 0; fits != (err == nil) {
					t.Errorf("%s, %d levels in a container of depth %d: got %v, want an error: %v", name, depth, outer, err, !fits)
				}
			}
		}
	}
}

func TestAppendCost(t *testing.T) {
	for _, test := range []struct {
		name string
		v    func(n int) any
		most int
	}{
		{"nils", func(n int) any { return make([]any, n) }, maxCost - 1},
		{"numbers", func(n int) any { return make([]int, n) }, maxCost - 1},
		{"strings", func(n int) any { return make([]string, n) }, maxCost - 1},
		{"one string", func(n int) any { return strings.Repeat("x", n) }, maxCost<<7 - 1},
		{"bytes", func(n int) any { return make([]byte, n) }, maxCost<<7 - 1},
	} {
		for n := test.most - 256; n <= test.most+256; n += 128 {
			_, err := Append(nil, test.v(n), 0)
			if n <= test.most-256 && err != nil || n > test.most && err == nil {
				t.Errorf("%s: %d of them: got %v", test.name, n, err)
			}
		}
	}
}

func TestAppendUnfoldsNoBomb(t *testing.T) {
	type node struct{ A, B any }
	for name, fork := range map[string]func(any) any{
		"lists":    func(v any) any { return []any{v, v} },
		"maps":     func(v any) any { return map[string]any{"a": v, "b": v} },
		"structs":  func(v any) any { return &node{v, v} },
		"text":     func(v any) any { return []any{v, strings.Repeat("x", 1<<20)} },
		"own list": func(v any) any { type list []any; return list{v, v} },
	} {
		var v any
		for range 30 {
			v = fork(v)
		}
		if _, err := Append(nil, v, 0); err == nil || !strings.Contains(err.Error(), "too large") {
			t.Errorf("%s shared 2^30 times: got %v, want an error that it is too large", name, err)
		}
	}
}

func TestAppendErrorsLeaveDst(t *testing.T) {
	for name, v := range map[string]any{
		"channel":        make(chan int),
		"after a string": []any{"secret", make(chan int)},
		"in a struct":    struct{ A, B any }{"secret", make(chan int)},
		"in a map":       map[string]any{"secret": func() {}},
		"cyclic":         func() any { m := map[string]any{"secret": "secret"}; m["m"] = m; return m }(),
	} {
		dst := make([]byte, 2, 1000)
		got, err := Append(dst, v, 1)
		if err == nil || len(got) != 2 || &got[0] != &dst[0] {
			t.Errorf("%s: got %x, %v, want dst and an error", name, got, err)
		}
		if name == "in a struct" && !strings.HasSuffix(err.Error(), ": it holds a chan int") {
			t.Errorf("%s: got error %q", name, err)
		}
		if !strings.HasPrefix(err.Error(), "cookiesession: ") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: got error %q", name, err)
		}
		list := mustAppend(t, []any{1})
		if got, err = AppendElement(dst, list, v, 1); err == nil || len(got) != 2 {
			t.Errorf("%s, appended to a list: got %x, %v, want dst and an error", name, got, err)
		}
	}
}

func TestAppendElement(t *testing.T) {
	for _, n := range []int{0, 1, 14, 15, 16, 65534, 65535, 65536} {
		list := make([]any, n)
		got, err := AppendElement([]byte("dst"), mustAppend(t, list), "new", 0)
		if want := append([]byte("dst"), mustAppend(t, append(list, "new"))...); !bytes.Equal(got, want) || err != nil {
			t.Errorf("%d elements: got %.20x, %v, want %.20x", n, got, err, want)
		}
	}
	for _, digits := range []string{"", "c0", "80", "a0", "dd ffffffff"} {
		if got, err := AppendElement([]byte("dst"), unhex(t, digits), 1, 0); err != errNoList || string(got) != "dst" {
			t.Errorf("%q: got %q, %v, want dst, %v", digits, got, err, errNoList)
		}
	}
	for outer := 29; outer < 33; outer++ {
		_, err := AppendElement(nil, mustAppend(t, []any{}), []any{}, outer)
		if fits := outer+2 <= MaxDepth; fits != (err == nil) {
			t.Errorf("a list in a list in a container of depth %d: got %v, want an error: %v", outer, err, !fits)
		}
	}
}

func TestAppendAllocatesNothingForPlainValues(t *testing.T) {
	dst := make([]byte, 0, 1024)
	for _, v := range []any{
		nil, true, 1000, int8(-100), int64(math.MinInt64), uint64(math.MaxUint64), float32(1.5), 1.5, "text", []byte("bytes"),
		time.Unix(1e9, 1), time.Hour,
		[]string{"a", "b"},
		[]any{1000, "a", nil},
		map[string]any{"b": 1000, "a": "b"},
		map[string]string{"a": "b"},
	} {
		if n := testing.AllocsPerRun(100, func() {
			if _, err := Append(dst, v, 1); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%T: got %v allocations, want 0", v, n)
		}
	}
}

func TestAppendIsASnapshot(t *testing.T) {
	data := []byte("data")
	b := mustAppend(t, []any{data, &data, map[string]any{"k": data}})
	before := bytes.Clone(b)
	copy(data, "XXXX")
	if !bytes.Equal(b, before) {
		t.Error("the encoding changed with the value")
	}
}

// shuffled returns a map whose keys were inserted in random order, after others that are gone.
func shuffled[V any](r *rand.Rand, from map[string]V) map[string]V {
	m := map[string]V{}
	keys := make([]string, 0, len(from))
	for key := range from {
		keys = append(keys, key)
	}
	r.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	var zero V
	for i := range r.IntN(50) {
		m["gone"+strconv.Itoa(i)] = zero
	}
	for _, key := range keys {
		m[key] = from[key]
	}
	for i := range 50 {
		delete(m, "gone"+strconv.Itoa(i))
	}
	return m
}

func TestAppendIsDeterministic(t *testing.T) {
	type name string
	type inner struct {
		Z    map[string]int
		A    map[name]any
		Text map[string]string
	}
	r := rand.New(rand.NewPCG(1, 2))
	numbers, texts, values := map[string]int{}, map[string]string{}, map[string]any{}
	for i := range 40 {
		key := strings.Repeat("k", i%5) + strconv.Itoa(i)
		numbers[key], texts[key], values[key] = i, key, float64(i)
	}
	var want []byte
	for i := range 1000 {
		anys := shuffled(r, values)
		anys["numbers"] = shuffled(r, numbers)
		named := map[name]any{}
		for key, v := range shuffled(r, values) {
			named[name(key)] = v
		}
		got := mustAppend(t, map[string]any{
			"plain": anys, "typed": shuffled(r, texts), "struct": &inner{shuffled(r, numbers), named, shuffled(r, texts)},
			"list": []map[string]int{shuffled(r, numbers)},
		})
		if i == 0 {
			want = got
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("encoding %d of the same value differs", i)
		}
	}
}
