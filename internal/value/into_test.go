package value

import (
	"fmt"
	"math"
	"math/big"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"
)

// Everything that lies in an interface, or is a time, arrives as Decode would have made it.
func TestDecodeIntoSettles(t *testing.T) {
	at := time.Unix(1700000000, 5).In(east)
	type inner struct{ V any }
	type outer struct {
		inner
		At    time.Time
		Ptr   *time.Time
		Times [1]time.Time
		In    []inner
		M     map[string]inner
		P     *inner
	}
	v := inner{[]any{int8(1), uint16(2), uint64(3), float32(0.5), at, map[string]int{"a": 1}, role("r"), &at}}
	got := roundTrip(t, outer{v, at, &at, [1]time.Time{at}, []inner{v}, map[string]inner{"m": v}, &v})
	utc := at.UTC()
	settled := inner{[]any{int64(1), int64(2), int64(3), 0.5, utc, map[string]any{"a": int64(1)}, "r", utc}}
	want := outer{settled, utc, &utc, [1]time.Time{utc}, []inner{settled}, map[string]inner{"m": settled}, &settled}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %#v, want %#v", got, want)
	}
	if got := roundTrip(t, at); got != utc {
		t.Errorf("got %#v, want %#v", got, utc)
	}
}

func pointer[T any](v T) *T { return &v }

// refused decodes what v is stored as into a T, which must fail and leave it zero.
func refused[T any](t *testing.T, v any, why reason) {
	t.Helper()
	into := reflect.New(reflect.TypeFor[T]()).Interface().(*T)
	var zero T
	err := DecodeInto(mustAppend(t, v), into)
	if err == nil || !strings.HasSuffix(err.Error(), string(why)) || !strings.Contains(err.Error(), reflect.TypeFor[T]().String()) {
		t.Errorf("%#v into %T: got %#v, %v, want %q", v, zero, *into, err, why)
	}
	if !reflect.DeepEqual(*into, zero) {
		t.Errorf("%#v into %T: got %#v, want the zero value", v, zero, *into)
	}
}

func TestDecodeIntoRefusesOtherTypes(t *testing.T) {
	refused[int](t, "5", otherType)
	refused[int](t, 5.0, otherType)
	refused[int](t, true, otherType)
	refused[int](t, nil, otherType)
	refused[uint8](t, []byte{5}, otherType)
	refused[float64](t, 5, otherType)
	refused[float64](t, nil, otherType)
	refused[float32](t, 5, otherType)
	refused[bool](t, 1, otherType)
	refused[bool](t, nil, otherType)
	refused[string](t, []byte("a"), otherType)
	refused[string](t, nil, otherType)
	refused[string](t, 5, otherType)
	refused[[]byte](t, "a", otherType)
	refused[[]byte](t, []any{1}, otherType)
	refused[time.Time](t, 5, otherType)
	refused[time.Time](t, "2020-01-01T00:00:00Z", otherType)
	refused[time.Time](t, []int{1, 2}, otherType)
	refused[time.Time](t, nil, otherType)
	refused[time.Duration](t, "1h", otherType)
	refused[[]string](t, "a", otherType)
	refused[[]string](t, []any{"a", 1}, otherType)
	refused[[]string](t, []any{"a", nil}, otherType)
	refused[[]any](t, map[string]any{}, otherType)
	refused[map[string]any](t, []any{}, otherType)
	refused[map[string]any](t, time.Unix(0, 0), otherType)

	refused[role](t, []byte("a"), otherType)
	refused[role](t, nil, otherType)
	refused[level](t, "5", otherType)
	refused[level](t, 5.0, otherType)
	refused[level](t, nil, otherType)
	refused[[]float64](t, []int{1}, otherType)
	refused[[]int](t, []float64{1}, otherType)
	refused[[]int](t, []any{nil}, otherType)
	refused[[]bool](t, []any{nil}, otherType)
	refused[[][]byte](t, []string{"a"}, otherType)
	refused[[]role](t, [][]byte{{1}}, otherType)
	refused[map[string]int](t, map[string]string{"a": "b"}, otherType)
	refused[map[string]int](t, []int{1}, otherType)
	refused[map[string]int](t, time.Unix(0xdfffffff, 0), otherType)
	refused[struct{}](t, nil, otherType)
	refused[struct{ A int }](t, []int{1}, otherType)
	refused[struct{ A int }](t, "A", otherType)
	refused[struct{ A int }](t, map[string]any{"A": nil}, otherType)
	refused[struct{ A string }](t, map[string]any{"A": nil}, otherType)
	refused[struct{ A []int }](t, map[string]any{"A": map[string]int{}}, otherType)
	refused[[]time.Time](t, []any{"2020-01-01T00:00:00Z"}, otherType)
	refused[[]time.Time](t, []any{nil}, otherType)
	refused[[2]time.Time](t, []int{1, 2}, otherType)
	refused[fmt.Stringer](t, "a", otherType)
	refused[chan int](t, 5, otherType)
	refused[func()](t, nil, otherType)
	refused[uintptr](t, 5, otherType)
	refused[complex128](t, 5, otherType)
	refused[netip.Addr](t, "10.0.0.1", "decoding it failed")
	refused[url.URL](t, "https://example.com/", otherType)
	refused[big.Int](t, 5, "decoding it failed")
}

func TestDecodeIntoRefusesWhatIsOutOfRange(t *testing.T) {
	refused[int8](t, 128, outOfRange)
	refused[int8](t, -129, outOfRange)
	refused[int8](t, 300, outOfRange)
	refused[int8](t, uint64(math.MaxUint64), outOfRange)
	refused[int16](t, math.MaxInt16+1, outOfRange)
	refused[int16](t, math.MinInt16-1, outOfRange)
	refused[int32](t, int64(math.MaxInt32+1), outOfRange)
	refused[int32](t, int64(math.MinInt32-1), outOfRange)
	refused[int64](t, uint64(math.MaxInt64)+1, outOfRange)
	refused[int](t, uint64(math.MaxUint64), outOfRange)
	refused[time.Duration](t, uint64(math.MaxInt64)+1, outOfRange)
	refused[uint8](t, 256, outOfRange)
	refused[uint8](t, -1, outOfRange)
	refused[uint16](t, math.MaxUint16+1, outOfRange)
	refused[uint16](t, -1, outOfRange)
	refused[uint32](t, int64(math.MaxUint32+1), outOfRange)
	refused[uint32](t, -1, outOfRange)
	refused[uint64](t, -1, outOfRange)
	refused[uint](t, int64(math.MinInt64), outOfRange)
	refused[float32](t, 0.1, outOfRange)
	refused[float32](t, 1e300, outOfRange)

	refused[level](t, 128, outOfRange)
	refused[level](t, -129, outOfRange)
	refused[[]int8](t, []int{300}, outOfRange)
	refused[[]uint64](t, []int{-1}, outOfRange)
	refused[[]int64](t, []uint64{math.MaxInt64 + 1}, outOfRange)
	refused[map[string]uint8](t, map[string]int{"a": 256}, outOfRange)
	refused[struct{ A, B int8 }](t, map[string]int{"A": 1, "B": 300, "C": 7}, outOfRange)
	refused[struct{ P *struct{ N uint16 } }](t, map[string]any{"P": map[string]int{"N": -1}}, outOfRange)
	refused[[3]int](t, []int{1, 2}, otherLength)
	refused[[3]int](t, []int{1, 2, 3, 4}, otherLength)
	refused[[3]byte](t, []byte{1, 2}, otherLength)
	refused[[3]byte](t, []byte{1, 2, 3, 4}, otherLength)
	refused[[]float32](t, []float64{0.1}, outOfRange)
}

func TestDecodeIntoWidens(t *testing.T) {
	var f float64
	if err := DecodeInto(mustAppend(t, float32(0.1)), &f); f != float64(float32(0.1)) || err != nil {
		t.Errorf("float32 into float64: got %v, %v", f, err)
	}
	var f32 float32
	if err := DecodeInto(mustAppend(t, 0.5), &f32); f32 != 0.5 || err != nil {
		t.Errorf("0.5 into float32: got %v, %v", f32, err)
	}
	var list []float64
	if err := DecodeInto(mustAppend(t, []float32{0.1}), &list); len(list) != 1 || list[0] != float64(float32(0.1)) || err != nil {
		t.Errorf("[]float32 into []float64: got %v, %v", list, err)
	}
	var u uint64
	if err := DecodeInto(unhex(t, "d3 0000000000000005"), &u); u != 5 || err != nil {
		t.Errorf("a signed 5 in long form into uint64: got %v, %v", u, err)
	}
	var m map[string][]uint8
	if err := DecodeInto(unhex(t, "de 0001 d9 01 61 c5 0001 07"), &m); len(m) != 1 || m["a"][0] != 7 || err != nil {
		t.Errorf("long forms: got %v, %v", m, err)
	}
}

// ownV1 and ownV2 are two versions of a type that encodes itself as a map.
type (
	ownV1 struct{ A, B int }
	ownV2 struct{ B, C int }
)

func (v ownV1) EncodeMsgpack(e *msgpack.Encoder) error {
	return e.Encode(map[string]int{"A": v.A, "B": v.B})
}

func (v *ownV1) DecodeMsgpack(d *msgpack.Decoder) error {
	var m map[string]int
	err := d.Decode(&m)
	v.A, v.B = m["A"], m["B"]
	return err
}

func (v ownV2) EncodeMsgpack(e *msgpack.Encoder) error {
	return e.Encode(map[string]int{"B": v.B, "C": v.C})
}

func (v *ownV2) DecodeMsgpack(d *msgpack.Decoder) error {
	var m map[string]int
	err := d.Decode(&m)
	v.B, v.C = m["B"], m["C"]
	return err
}

// Fields come and go between the versions of a program.
func TestDecodeIntoEvolves(t *testing.T) {
	type v1 struct{ A, B int }
	type v2 struct {
		B, C int
		D    *string
		E    []string
	}
	var got v2
	if err := DecodeInto(mustAppend(t, v1{1, 2}), &got); err != nil || !reflect.DeepEqual(got, v2{B: 2}) {
		t.Errorf("got %+v, %v, want B only", got, err)
	}
	var back v1
	if err := DecodeInto(mustAppend(t, v2{B: 2, C: 3}), &back); err != nil || back != (v1{B: 2}) {
		t.Errorf("got %+v, %v, want B only", back, err)
	}
	var lists []v2
	if err := DecodeInto(mustAppend(t, []v1{{1, 2}, {3, 4}}), &lists); err != nil || len(lists) != 2 || lists[1].B != 4 {
		t.Errorf("in a list: got %+v, %v", lists, err)
	}
	var own2 ownV2
	if err := DecodeInto(mustAppend(t, ownV1{A: 1, B: 2}), &own2); err != nil || own2 != (ownV2{B: 2}) {
		t.Errorf("with methods of its own: got %+v, %v, want B only", own2, err)
	}
	type renamed struct {
		New int `msgpack:",alias:B"`
	}
	var after renamed
	if err := DecodeInto(mustAppend(t, v1{1, 2}), &after); err != nil || after.New != 2 {
		t.Errorf("with an alias: got %+v, %v, want 2", after, err)
	}
	type array struct {
		_msgpack struct{} `msgpack:",as_array"`
		A, B     int
	}
	equal(t, array{struct{}{}, 1, 2})
	refused[array](t, []int{1, 2, 3}, otherLength)
}

func TestDecodeIntoSharesNoMemory(t *testing.T) {
	type all struct {
		S string
		B []byte
		A any
		M map[string]any
	}
	v := all{"string", []byte("bytes"), []byte("any"), map[string]any{"key": []byte("x")}}
	b := mustAppend(t, v)
	var into all
	if err := DecodeInto(b, &into); err != nil {
		t.Fatal(err)
	}
	loose := Decode(b)
	var raw []byte
	list := mustAppend(t, []byte("bytes"))
	if err := DecodeInto(list, &raw); err != nil {
		t.Fatal(err)
	}
	clear(b)
	clear(list)
	if !reflect.DeepEqual(into, v) || string(raw) != "bytes" {
		t.Errorf("got %+v and %q after the source was cleared", into, raw)
	}
	want := map[string]any{"S": "string", "B": []byte("bytes"), "A": []byte("any"), "M": map[string]any{"key": []byte("x")}}
	if !reflect.DeepEqual(loose, want) {
		t.Errorf("Decode: got %+v after the source was cleared", loose)
	}
}

func TestDecodeIntoAllocatesNothingForNumbers(t *testing.T) {
	number, float, flag, at := mustAppend(t, 100), mustAppend(t, 1.5), mustAppend(t, true), mustAppend(t, time.Unix(1, 1))
	if n := testing.AllocsPerRun(100, func() {
		var i int
		var i8 int8
		var u64 uint64
		var d time.Duration
		var f float64
		var f32 float32
		var b bool
		var tm time.Time
		for _, err := range [...]error{
			DecodeInto(number, &i), DecodeInto(number, &i8), DecodeInto(number, &u64), DecodeInto(number, &d),
			DecodeInto(float, &f), DecodeInto(float, &f32), DecodeInto(flag, &b), DecodeInto(at, &tm),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}
