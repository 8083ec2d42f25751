package value

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/big"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"
)

// What Append accepts comes back equal, and what wouldn't it refuses. Nothing is lost without a word.

type (
	role  string
	level int8
	tags  []string
	// pair stands for a generic type.
	pair[A, B any] struct {
		First  A
		Second B
	}
	base struct {
		ID      int
		Created time.Time
	}
	account struct {
		base
		Name     string `msgpack:"name"`
		Role     role   `msgpack:",omitempty"`
		Level    level
		Tags     tags
		Hash     [4]byte
		Grid     [2][2]int16
		Limits   map[role]uint8
		Parent   *account
		Note     *string
		Any      any
		Anys     map[string]any
		Wait     time.Duration
		Addr     netip.Addr
		Seen     map[string]time.Time
		Choice   pair[float32, []byte]
		Failure  error
		Password string         `msgpack:"-"`
		Hooks    map[int]func() `msgpack:"-"`
		cache    int
	}

	Prof struct {
		Title string
		Years int
	}
	Sparse struct {
		A string `msgpack:",omitempty"`
		B []int  `msgpack:",omitempty"`
	}
	Outer struct {
		*Prof
		Own int
	}
	Hollow  struct{ *Prof }
	Nothing struct{}
	Stamp   time.Time

	tree struct {
		Name     string
		Parent   *tree
		Children []tree
		Index    map[string]*tree
	}
)

// roundTrip stores v and decodes it into a value of the same type.
func roundTrip[T any](t *testing.T, v T) (got T) {
	t.Helper()
	if err := DecodeInto(mustAppend(t, v), &got); err != nil {
		t.Errorf("%T: %v", v, err)
	}
	return got
}

func equal[T any](t *testing.T, v T) {
	t.Helper()
	if got := roundTrip(t, v); !reflect.DeepEqual(got, v) {
		t.Errorf("%T: got %#v, want %#v", v, got, v)
	}
}

func TestRoundTrips(t *testing.T) {
	now := time.Unix(1700000000, 123456789).UTC()
	text, seven := "text", 7
	equal(t, "")
	equal(t, "\xff\x00")
	equal(t, true)
	equal(t, []byte{})
	equal(t, []byte(nil))
	equal(t, []byte{0, 1})
	equal(t, now)
	equal(t, time.Time{})
	equal(t, []string{})
	equal(t, []string(nil))
	equal(t, []string{"a", ""})
	equal(t, []any{int64(1), "a", nil, []any{}, map[string]any{}, now, []byte{1}, 1.5, uint64(math.MaxUint64)})
	equal(t, []any(nil))
	equal(t, map[string]any{"a": map[string]any{"b": int64(-1)}})
	equal(t, map[string]any(nil))
	equal[any](t, map[string]any{"a": []any{int64(300)}})
	equal[any](t, nil)
	equal(t, math.Inf(-1))
	equal(t, float32(0.1))
	equal(t, int8(math.MinInt8))
	equal(t, int16(math.MinInt16))
	equal(t, int32(math.MinInt32))
	equal(t, int64(math.MinInt64))
	equal(t, math.MaxInt)
	equal(t, uint8(math.MaxUint8))
	equal(t, uint16(math.MaxUint16))
	equal(t, uint32(math.MaxUint32))
	equal(t, uint64(math.MaxUint64))
	equal(t, uint(math.MaxUint))
	equal(t, time.Hour)
	// By reflection.
	equal(t, role("admin"))
	equal(t, level(-3))
	equal(t, tags{"a"})
	equal(t, [3]int{1, 2, 3})
	equal(t, [2]role{"a", "b"})
	equal(t, [4]byte{1, 2, 3, 4})
	equal(t, []time.Time{now})
	equal(t, [][]uint64{{math.MaxUint64}, {}, nil})
	equal(t, map[role]level{"a": 1})
	equal(t, map[string]string{"a": "b"})
	equal(t, &seven)
	equal(t, (*int)(nil))
	equal(t, map[string]***int{"a": pointer(pointer(&seven))})
	equal(t, []*string{&text, nil})
	equal(t, struct{}{})
	equal(t, map[string]struct{}{"a": {}})
	equal(t, pair[role, *pair[int, time.Time]]{"a", &pair[int, time.Time]{1, now}})
	equal(t, netip.MustParseAddr("2001:db8::1"))
	equal(t, *big.NewInt(1 << 40))
	equal(t, big.NewInt(-7))
	equal(t, map[string]netip.Prefix{"net": netip.MustParsePrefix("10.0.0.0/8")})
	equal(t, url.URL{Scheme: "https", Host: "example.com", Path: "/a"})
	equal(t, json.RawMessage("{}"))
	equal(t, account{
		base: base{7, now}, Name: "name", Role: "r", Level: -4, Tags: tags{"x"}, Hash: [4]byte{1}, Grid: [2][2]int16{{1, -300}, {0, 9}},
		Limits: map[role]uint8{"b": 255, "a": 0}, Parent: &account{Any: int64(5)}, Note: &text,
		Any:  map[string]any{"list": []any{int64(1), now}},
		Anys: map[string]any{"n": uint64(math.MaxUint64), "f": 1.5, "b": []byte("b")},
		Wait: time.Minute, Addr: netip.MustParseAddr("10.0.0.1"), Seen: map[string]time.Time{"x": now},
		Choice: pair[float32, []byte]{0.1, []byte{}},
	})
	if got := roundTrip(t, math.NaN()); !math.IsNaN(got) {
		t.Errorf("NaN: got %v", got)
	}
	if got := roundTrip(t, float32(math.NaN())); got == got {
		t.Errorf("float32 NaN: got %v", got)
	}
	if got := roundTrip(t, []float32{float32(math.NaN())}); len(got) != 1 || got[0] == got[0] {
		t.Errorf("NaN in a list: got %v", got)
	}
}

// lost is what Append must refuse, with the reason in words.
func lost[T any](t *testing.T, v T, why string) {
	t.Helper()
	b, err := Append(nil, v, 0)
	if err == nil {
		var got T
		err = DecodeInto(b, &got)
		t.Errorf("%T: stored, and comes back as %#v, %v, want the error that %s", v, got, err, why)
	} else if !strings.HasPrefix(err.Error(), "cookiesession: a value of type ") || !strings.Contains(err.Error(), why) ||
		strings.Contains(err.Error(), "secret") {
		t.Errorf("%T: got %v, want an error that %s", v, err, why)
	}
}

const (
	cantReadBack = "what it encodes to can't be read back"
	losesAPart   = "its methods for encoding lose a part of it"
	toNil        = "to nil, which would come back as nil"
	asInterface  = "which can't be read back"
)

func TestEmbeddedPointersComeBack(t *testing.T) {
	equal(t, struct {
		*Prof
		Name string
	}{nil, "name"})
	equal(t, struct {
		*Prof
		Name string
	}{&Prof{}, "name"})
	equal(t, struct {
		*Sparse
		Name string
	}{&Sparse{}, "name"})
	equal(t, struct {
		*Sparse
		Name string
	}{nil, "name"})
	equal(t, struct{ *Outer }{})
	equal(t, struct{ *Outer }{&Outer{}})
	equal(t, struct{ *Outer }{&Outer{Prof: &Prof{Years: 1}}})
	equal(t, []struct{ *Prof }{{nil}, {&Prof{}}, {nil}})
	if b := mustAppend(t, Outer{Own: 1}); string(b) != "\x81\xa3Own\x01" {
		t.Errorf("a nil pointer's fields: got %x, want none", b)
	}
	// Nothing of it is stored that would tell whether it is nil.
	lost(t, struct {
		*Nothing
		Name string
	}{}, "embeds a pointer to a struct without fields")
	lost(t, struct{ *Hollow }{}, "embeds a pointer to a struct without fields")
	lost(t, struct{ *base }{}, "embeds an unexported type")
	type array struct {
		_msgpack struct{} `msgpack:",as_array"`
		*Prof
	}
	lost(t, array{_msgpack: struct{}{}}, "is stored as a list, but may leave out fields")
}

func TestEmbeddedStructsWithTheSameNames(t *testing.T) {
	equal(t, struct {
		Title string
		Prof
	}{"outer", Prof{Title: "inner"}}) // the embedded one is stored as a field
	equal(t, struct {
		Title string
		*Prof
	}{"outer", nil})
	lost(t, struct {
		Prof
		Title string
	}{}, "has two fields of one name")
	lost(t, struct {
		Title string
		Prof  `msgpack:",inline"`
	}{}, "has two fields of one name")
	equal(t, struct {
		Prof  `msgpack:",noinline"`
		Title string
	}{Prof{Title: "inner"}, "outer"})
}

func TestInterfaces(t *testing.T) {
	at := time.Unix(5, 0).UTC()
	equal(t, struct{ S fmt.Stringer }{})
	equal(t, struct{ S fmt.Stringer }{at})
	equal(t, []error{nil})
	lost(t, struct{ S fmt.Stringer }{time.Hour}, asInterface)
	lost(t, struct{ S fmt.Stringer }{&at}, asInterface)
	lost(t, map[string]fmt.Stringer{"a": big.NewInt(1)}, asInterface)
	lost(t, struct{ Err error }{io.EOF}, asInterface) // errors are compared by identity
	lost(t, struct{ error }{}, "embeds an unexported type")
	// An interface without methods holds what Decode returns for it.
	got := roundTrip(t, struct{ V any }{[]any{Prof{"a", 1}, &at, uuid{1}, role("r")}})
	want := []any{map[string]any{"Title": "a", "Years": int64(1)}, at, []byte("01000000000000000000000000000000"), "r"}
	if !reflect.DeepEqual(got.V, want) {
		t.Errorf("got %#v, want %#v", got.V, want)
	}
}

func TestPointersComeBack(t *testing.T) {
	one, list, none := 1, []int{}, []int(nil)
	p := &one
	pp := &p
	equal(t, struct{ P ***int }{&pp})
	equal(t, struct{ P *[]int }{&list})
	equal(t, struct{ P, Q **int }{})
	p = nil
	lost(t, struct{ P ***int }{&pp}, toNil)
	lost(t, struct{ P **int }{&p}, toNil)
	lost(t, struct{ P *[]int }{&none}, toNil)
	lost(t, []*map[string]int{new(map[string]int)}, toNil)
	lost(t, &none, toNil)
	lost(t, new(any), toNil)
}

func TestEmptyAndNilComeBack(t *testing.T) {
	type all struct {
		List   []int
		Bytes  []byte
		Named  json.RawMessage
		Texts  []string
		Map    map[string]int
		Map2   map[role]string
		Any    any
		Anys   []any
		Pairs  map[string]any
		Array  [0]int
		Array2 [0]byte
	}
	equal(t, all{})
	equal(t, all{[]int{}, []byte{}, json.RawMessage{}, []string{}, map[string]int{}, map[role]string{}, []any{}, []any{}, map[string]any{}, [0]int{}, [0]byte{}})
	zero, at := 0, time.Time{}
	type omit struct {
		List  []int          `msgpack:",omitempty"`
		Bytes []byte         `msgpack:",omitempty"`
		Map   map[string]int `msgpack:",omitempty"`
		Any   any            `msgpack:",omitempty"`
		Ptr   *int           `msgpack:",omitempty"`
		At    time.Time      `msgpack:",omitempty"`
		AtPtr *time.Time     `msgpack:",omitempty"`
		Sub   Sparse         `msgpack:",omitempty"`
	}
	if b := mustAppend(t, omit{}); len(b) != 1 {
		t.Errorf("all omitted: got %x", b)
	}
	equal(t, omit{})
	for _, v := range []any{int64(0), "", false, []any{}} {
		equal(t, omit{[]int{}, []byte{}, map[string]int{}, v, &zero, at, &at, Sparse{B: []int{}}})
	}
}

func TestTypesThatAreMadeOfThemselves(t *testing.T) {
	leaf := &tree{Name: "leaf", Children: []tree{}}
	equal(t, tree{"root", leaf, []tree{{Name: "a", Index: map[string]*tree{"x": leaf, "y": nil}}}, nil})
	equal(t, pair[pair[int, []role], map[string]*pair[uuid, any]]{pair[int, []role]{1, []role{"a"}}, map[string]*pair[uuid, any]{"a": {uuid{2}, "b"}}})
}

// Times come back as the same instant in UTC: their zone and the monotonic clock aren't part of a stored value.
func TestTimesComeBackInUTC(t *testing.T) {
	now := time.Now()
	for _, at := range []time.Time{now, now.In(east), time.Unix(-1, 1), time.Time{}.In(east)} {
		got := roundTrip(t, struct {
			At   time.Time
			Wait time.Duration
		}{at, time.Hour})
		if got.At != at.Round(0).UTC() || got.Wait != time.Hour {
			t.Errorf("got %v, want %v and an hour", got, at)
		}
	}
}

// What is not stored is so by the type's own words.
func TestFieldsThatAreNotStored(t *testing.T) {
	if got := roundTrip(t, account{Password: "secret", Hooks: map[int]func(){1: nil}, cache: 5}); !reflect.DeepEqual(got, account{}) {
		t.Errorf("got %+v, want it empty", got)
	}
	lost(t, Stamp(time.Now()), "has no fields that are stored")
	lost(t, struct{ S Stamp }{}, "has no fields that are stored")
	lost(t, struct{ F func() }{}, "it holds a func()")
	lost(t, struct{ C *chan int }{new(chan int)}, "it holds a chan int")
	lost(t, struct {
		A int `msgpack:"'a'"`
	}{}, "has a field tag with quotes")
}
