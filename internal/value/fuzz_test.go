package value

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"
)

// sampleValues are values of every kind.
func sampleValues() []any {
	at := time.Unix(1700000000, 123456789).UTC()
	return []any{
		nil, true, false, 0, 127, 128, -1, -33, 300, 70000, int64(math.MinInt64), uint64(math.MaxUint64), float32(0.1), 0.1, math.NaN(),
		"", "text", "\xff", string(make([]byte, 40)),
		[]byte{},
		[]byte("bytes"), at,
		time.Time{},
		time.Unix(1<<33, 0), time.Hour,
		[]any{},
		[]any{1, "a", nil, []any{at}},
		[]string{"b", "a"},
		map[string]any{},
		map[string]string{"b": "", "a": "x"},
		map[string]any{"z": map[string]any{"y": []byte{1}}, "a": []any{1.5, map[string]any{"b": nil}}},
		account{Name: "name", Tags: tags{"x"}, Any: at, Parent: &account{}},
	}
}

// FuzzSkipDecode: Skip accepts nothing that the rest of the package can't handle, whatever the bytes.
func FuzzSkipDecode(f *testing.F) {
	for _, v := range sampleValues() {
		f.Add(mustAppend(f, v))
	}
	for _, digits := range []string{
		"dd ffffffff", "df ffffffff", "c1", "82 a1 62 c0 a1 61 c0", "82 a1 61 c0 a1 61 c0", "d6 05 00000000", "c8 0008 ff 0000000000000000",
		"d7ff ee6b2800 00000000", "de 0001 d9 01 61 c5 0001 07", "93 d3 0000000000000005 cd 0001 ca 7fc00000", "81 a1 4d d7 ff dfffffff ffffffff",
	} {
		f.Add(unhex(f, digits))
	}
	f.Add(nested(32, false))
	f.Add(nested(33, true))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<16 {
			return // Append has a limit of its own
		}
		before := bytes.Clone(b)
		n, err := Skip(b, 0)
		if want, ok := plainSkip(b, 0); n != want || (err == nil) != ok {
			t.Fatalf("got %d, %v, want %d, %v", n, err, want, ok)
		}
		if err != nil {
			if n != 0 {
				t.Fatalf("got %d with error %v", n, err)
			}
			if c, err := rewritten(b, 0); err == nil {
				if k, err := Skip(c, 0); k != len(c) || err != nil {
					t.Fatalf("what a method may write became %x, which Skip refuses: %v", c, err)
				}
			}
			return
		}
		if n <= 0 || n > len(b) {
			t.Fatalf("got length %d of %d bytes", n, len(b))
		}
		b = b[:n]
		for _, deeper := range []int{MaxDepth, MaxDepth + 1} {
			if _, err := Skip(b, deeper); err == nil && kindOf(b) >= kindList {
				t.Fatalf("accepted in a container of depth %d", deeper)
			}
		}
		v := Decode(b)
		first := mustAppend(t, v)
		if second := mustAppend(t, Decode(first)); !bytes.Equal(first, second) {
			t.Fatalf("encoded %x, then %x", first, second)
		}
		c, err := rewritten(b, 0)
		if err != nil || !agree(v, Decode(c)) || len(c) > len(b)+len(b)/2 {
			t.Fatalf("%x decodes to another value, %x: %v", b, c, err)
		}
		into[any](t, b)
		into[int8](t, b)
		into[uint64](t, b)
		into[float32](t, b)
		into[string](t, b)
		into[[]byte](t, b)
		into[time.Time](t, b)
		into[[]string](t, b)
		into[map[string]any](t, b)
		into[role](t, b)
		into[[]int8](t, b)
		into[[3]uint16](t, b)
		into[[]any](t, b)
		into[tags](t, b)
		into[map[role]*any](t, b)
		into[map[string]map[string]int](t, b)
		into[*account](t, b)
		into[[]account](t, b)
		if !bytes.Equal(b, before[:n]) {
			t.Fatal("the bytes have changed")
		}
	})
}

// plainSkip is Skip without anything that makes it fast.
func plainSkip(b []byte, depth int) (n int, ok bool) {
	k := kindOf(b)
	switch k {
	case kindNil, kindBool:
		return 1, true
	case kindInt:
		_, _, n, ok = readInt(b)
	case kindFloat:
		_, n, ok = readFloat(b)
	case kindString:
		_, n, ok = ReadString(b)
	case kindBytes:
		_, n, ok = ReadBin(b)
	case kindTime:
		_, _, n, ok = readTime(b)
	case kindList, kindMap:
		count, header, ok := ReadArrayHeader(b)
		if k == kindMap {
			count, header, ok = ReadMapHeader(b)
		}
		if !ok || depth >= MaxDepth {
			return 0, false
		}
		n = header
		var last []byte
		for i := range count {
			if k == kindMap {
				key, size, ok := ReadString(b[n:])
				if !ok || i > 0 && bytes.Compare(last, key) >= 0 {
					return 0, false
				}
				last = key
				n += size
			}
			size, ok := plainSkip(b[n:], depth+1)
			if !ok {
				return 0, false
			}
			n += size
		}
		return n, true
	}
	if !ok {
		return 0, false
	}
	return n, true
}

// into checks what DecodeInto says about b.
func into[T any](t *testing.T, b []byte) {
	var v, zero T
	err := DecodeInto(b, &v)
	if err != nil {
		if !reflect.DeepEqual(v, zero) {
			t.Fatalf("%T: got %v with error %v", v, v, err)
		}
		return
	}
	again := mustAppend(t, v)
	if !agree(Decode(b), Decode(again)) {
		t.Fatalf("%T: got %#v, which is %x and not %x", v, v, again, b)
	}
	if _, same := any(v).(account); !same && reflect.TypeFor[T]().Kind() != reflect.Pointer {
		var second T
		if err := DecodeInto(again, &second); err != nil {
			t.Fatalf("%T: got %#v, which doesn't decode again: %v", v, v, err)
		}
	}
}

// maker makes Go values out of bytes.
type maker struct{ b []byte }

func (m *maker) byte() byte {
	if len(m.b) == 0 {
		return 0
	}
	c := m.b[0]
	m.b = m.b[1:]
	return c
}

func (m *maker) uint64() uint64 {
	var b [8]byte
	m.b = m.b[copy(b[:], m.b):]
	return binary.BigEndian.Uint64(b[:]) >> (m.byte() & 63)
}

func (m *maker) text() string {
	n := min(int(m.byte()), len(m.b))
	s := string(m.b[:n])
	m.b = m.b[n:]
	return s
}

// value makes a value at most levels deep.
func (m *maker) value(levels int) any {
	kinds := byte(30)
	if levels == 0 {
		kinds = 19
	}
	n := int(m.byte() >> 5)
	switch m.byte() % kinds {
	case 1:
		return m.byte()&1 == 1
	case 2:
		return int(m.uint64())
	case 3:
		return int8(m.uint64())
	case 4:
		return int16(m.uint64())
	case 5:
		return int32(m.uint64())
	case 6:
		return -int64(m.uint64())
	case 7:
		return uint(m.uint64())
	case 8:
		return m.byte()
	case 9:
		return uint16(m.uint64())
	case 10:
		return uint32(m.uint64())
	case 11:
		return m.uint64()
	case 12:
		return math.Float32frombits(uint32(m.uint64()))
	case 13:
		return math.Float64frombits(m.uint64())
	case 14, 15:
		return m.text()
	case 16:
		return []byte(m.text())
	case 17:
		return time.Unix(int64(m.uint64()), int64(m.uint64()))
	case 18:
		return time.Duration(m.uint64())
	case 19:
		return []string(nil)
	case 20:
		return []byte(nil)
	case 21, 22:
		list := make([]string, n)
		for i := range list {
			list[i] = m.text()
		}
		return list
	case 23, 24, 25:
		list := make([]any, n)
		for i := range list {
			list[i] = m.value(levels - 1)
		}
		return list
	case 26:
		texts := map[string]string{}
		for range n {
			texts[m.text()] = m.text()
		}
		return texts
	case 27, 28:
		values := map[string]any{}
		for range n {
			values[m.text()] = m.value(levels - 1)
		}
		return values
	case 29:
		var v any
		for range m.byte() % 40 {
			v = []any{v}
		}
		return v
	}
	return nil
}

// FuzzAppendAgrees: plain values have the same encoding whether this package writes them or msgpack/v5 does.
func FuzzAppendAgrees(f *testing.F) {
	for kind := range 30 {
		f.Add([]byte{0x60, byte(kind), 3, 1, 2, 3, 0xff, 0xfe, 5, 9, 0x40, 27, 1, 'b', 0x20, 14, 2, 'a', 'b', 1, 'a', 0, 2, 200}, uint8(kind))
	}
	f.Fuzz(func(t *testing.T, b []byte, depth uint8) {
		m := maker{b}
		v := m.value(6)
		if v == nil {
			return // has no type for msgpack/v5
		}
		outer := int(depth % 34)
		plain, err := Append(nil, v, outer)
		e := encoder{budget: maxCost}
		other, err2 := e.other(nil, v, outer)
		if (err == nil) != (err2 == nil) || !bytes.Equal(plain, other) {
			t.Fatalf("%#v: got %x, %v, and by reflection %x, %v", v, plain, err, other, err2)
		}
		other, err2 = viaMsgpack(v, outer)
		if (err == nil) != (err2 == nil) || !bytes.Equal(plain, other) {
			t.Fatalf("%#v: got %x, %v, and through msgpack/v5 %x, %v", v, plain, err, other, err2)
		}
		if err != nil {
			return
		}
		if n, err := Skip(plain, outer); n != len(plain) || err != nil {
			t.Fatalf("%#v: Skip of %x: got %d, %v", v, plain, n, err)
		}
		type box struct{ V any }
		boxed, err := Append(nil, box{v}, outer)
		if want := append([]byte{0x81, 0xa1, 'V'}, plain...); err == nil && !bytes.Equal(boxed, want) {
			t.Fatalf("%#v in a struct: got %x, want %x", v, boxed, want)
		}
		var got box
		if err != nil {
			return // too deep by one
		}
		if err := DecodeInto(boxed, &got); err != nil {
			t.Fatalf("%#v in a struct: %v", v, err)
		}
		if got, want := mustAppend(t, got.V), mustAppend(t, Decode(plain)); !bytes.Equal(got, want) {
			t.Fatalf("%#v in a struct: DecodeInto gives %x, and Decode %x", v, got, want)
		}
	})
}

// specimen has fields of every kind and with every tag that both this package and msgpack/v5 write alike.
type specimen struct {
	nicked
	Flag    bool    `msgpack:"flag"`
	Int8    int8    `msgpack:"z,omitempty"`
	Int     int     `msgpack:",omitempty"`
	Uint16  uint16  `msgpack:"sixteen,alias:16"`
	Uint    uint64  `msgpack:"alias:64"`
	Float32 float32 `msgpack:", omitempty"`
	Float   float64
	Role    role
	Text    *string `msgpack:",omitempty"`
	Data    []byte
	Raw     json.RawMessage
	Hash    [3]byte
	At      time.Time
	AtPtr   *time.Time
	Wait    time.Duration
	Levels  []level
	Tags    tags
	Grid    [2][]int16
	Limits  map[role]uint8
	Pairs   map[string]*pair[string, []bool]
	ID      uuid
	base    // its ID has no place, so it is stored as a field
	Prof    `msgpack:",noinline"`
	More    *struct {
		Deeper specimens
		Secret string `msgpack:"-"`
		_      int
		note   string
	}
	List listed
	Self *specimen
}

type (
	nicked struct {
		Nick string
		Rank *int8
	}
	specimens []specimen
	listed    struct {
		_msgpack struct{} `msgpack:",as_array"`
		B        string
		A        *int
	}
)

var _ = listed{_msgpack: struct{}{}} // a field that nothing but its tag is for

// fill sets v to a value with at most levels of pointers, lists and maps in each other.
func (m *maker) fill(v reflect.Value, levels int) {
	n := int(m.byte()) % 4
	switch v.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		if n == 0 || levels == 0 {
			return
		}
		n--
	}
	switch kind := v.Kind(); {
	case v.Type() == timeType:
		v.Set(reflect.ValueOf(time.Unix(int64(m.uint64()), int64(m.uint64()%1e9)).UTC()))
	case kind == reflect.Bool:
		v.SetBool(n > 1)
	case v.CanInt():
		v.SetInt(int64(m.uint64()) >> m.byte())
	case v.CanUint():
		v.SetUint(m.uint64())
	case v.CanFloat():
		v.SetFloat(float64(float32(int64(m.uint64())) / 8))
	case kind == reflect.String:
		v.SetString(m.text())
	case kind == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		m.fill(v.Elem(), levels-1)
	case kind == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		fallthrough
	case kind == reflect.Array:
		for i := range v.Len() {
			m.fill(v.Index(i), levels-1)
		}
	case kind == reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range n {
			key, element := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			m.fill(key, levels-1)
			m.fill(element, levels-1)
			v.SetMapIndex(key, element)
		}
	case kind == reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); (f.IsExported() || f.Anonymous) && f.Tag.Get("msgpack") != "-" {
				m.fill(v.Field(i), levels)
			}
		}
	}
}

// FuzzStructAgrees: a struct has the encoding that msgpack/v5 gives it, and comes back equal.
func FuzzStructAgrees(f *testing.F) {
	f.Add([]byte{})
	for seed := range byte(8) {
		b := make([]byte, 600)
		for i := range b {
			b[i] = byte(i*i)*seed + seed + byte(i>>3)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var v, back specimen
		m := maker{b}
		m.fill(reflect.ValueOf(&v).Elem(), 6)
		got := mustAppend(t, v)
		if want, err := viaMsgpack(v, 0); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%+v: got %x, and through msgpack/v5 %x, %v", v, got, want, err)
		}
		if err := DecodeInto(got, &back); err != nil || !reflect.DeepEqual(back, v) {
			t.Fatalf("got %+v, %v, want %+v", back, err, v)
		}
		var theirs specimen
		if err := msgpack.Unmarshal(got, &theirs); err != nil || !bytes.Equal(mustAppend(t, theirs), got) {
			t.Fatalf("msgpack/v5 reads %+v, %v, want %+v", theirs, err, v)
		}
	})
}
