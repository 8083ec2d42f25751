package value

import (
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"
)

// What Append accepts comes back equal, and what wouldn't it refuses. Nothing is lost without a word.

type (
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

	// Coding methods for one way only, on structs and on plain kinds, by value and by pointer.
	textOut   struct{ A int }
	textOutN  int
	textOutS  string
	textOutP  struct{ A int }
	textIn    struct{ A int }
	textInN   int
	textInS   string
	binaryOut struct{ A int }
	binaryIn  struct{ A int }
	rawOut    struct{ A int }
	rawIn     struct{ A int }
	ownOut    struct{ A int }
	ownIn     struct{ A int }

	// Coding methods for both ways.
	uuid    [16]byte
	lower   string // a string in lower case
	half    struct{ A, B int }
	private struct{ a, b int }
	same    struct{ A int } // is equal only to what has the same A, modulo 10
	unlike  struct{ A int } // isn't equal to itself
	broken  struct{ A int } // its Equal panics

	swallowed struct { // encoding a time is what the outer struct does, too
		time.Time
		Name string
	}
	swallowedByPointer struct {
		*time.Time
		Name string
	}
	wrapped  struct{ time.Time }
	restored struct { // has methods of its own for that
		time.Time
		Name string
	}

	tree struct {
		Name     string
		Parent   *tree
		Children []tree
		Index    map[string]*tree
	}
)

func (textOut) MarshalText() ([]byte, error)          { return []byte("1"), nil }
func (textOutN) MarshalText() ([]byte, error)         { return []byte("1"), nil }
func (v textOutS) MarshalText() ([]byte, error)       { return []byte(v), nil }
func (*textOutP) MarshalText() ([]byte, error)        { return []byte("1"), nil }
func (*textIn) UnmarshalText([]byte) error            { return nil }
func (*textInN) UnmarshalText([]byte) error           { return nil }
func (v *textInS) UnmarshalText(b []byte) error       { *v = textInS(b); return nil }
func (binaryOut) MarshalBinary() ([]byte, error)      { return []byte("1"), nil }
func (*binaryIn) UnmarshalBinary([]byte) error        { return nil }
func (rawOut) MarshalMsgpack() ([]byte, error)        { return []byte{1}, nil }
func (*rawIn) UnmarshalMsgpack([]byte) error          { return nil }
func (ownOut) EncodeMsgpack(e *msgpack.Encoder) error { return e.EncodeInt(1) }
func (*ownIn) DecodeMsgpack(d *msgpack.Decoder) error { return d.Skip() }
func (v uuid) MarshalText() ([]byte, error)           { return hex.AppendEncode(nil, v[:]), nil }
func (v *uuid) UnmarshalText(b []byte) (err error)    { _, err = hex.Decode(v[:], b); return err }
func (v lower) MarshalText() ([]byte, error)          { return []byte(strings.ToLower(string(v))), nil }
func (v *lower) UnmarshalText(b []byte) error         { *v = lower(b); return nil }
func (v half) MarshalText() ([]byte, error)           { return fmt.Append(nil, v.A), nil }
func (v *half) UnmarshalText(b []byte) (err error)    { _, err = fmt.Sscan(string(b), &v.A); return err }
func (v private) MarshalText() ([]byte, error)        { return fmt.Append(nil, v.a, v.b), nil }
func (v *private) UnmarshalText(b []byte) (err error) {
	_, err = fmt.Sscan(string(b), &v.a, &v.b)
	return err
}
func (v same) EncodeMsgpack(e *msgpack.Encoder) error   { return e.EncodeInt(int64(v.A % 10)) }
func (v *same) DecodeMsgpack(d *msgpack.Decoder) error  { a, err := d.DecodeInt(); v.A = a; return err }
func (v same) Equal(w same) bool                        { return v.A%10 == w.A%10 }
func (v unlike) EncodeMsgpack(e *msgpack.Encoder) error { return e.EncodeInt(int64(v.A)) }
func (v *unlike) DecodeMsgpack(d *msgpack.Decoder) error {
	a, err := d.DecodeInt()
	v.A = a
	return err
}
func (v unlike) Equal(unlike) bool                      { return false }
func (v broken) EncodeMsgpack(e *msgpack.Encoder) error { return e.EncodeInt(int64(v.A)) }
func (v *broken) DecodeMsgpack(d *msgpack.Decoder) error {
	a, err := d.DecodeInt()
	v.A = a
	return err
}
func (v broken) Equal(broken) bool { panic("secret") }
func (v restored) EncodeMsgpack(e *msgpack.Encoder) error {
	return errors.Join(e.EncodeArrayLen(2), e.EncodeTime(v.Time), e.EncodeString(v.Name))
}

func (v *restored) DecodeMsgpack(d *msgpack.Decoder) (err error) {
	_, err = d.DecodeArrayLen()
	at, err2 := d.DecodeTime()
	name, err3 := d.DecodeString()
	v.Time, v.Name = at.UTC(), name
	return errors.Join(err, err2, err3)
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
	lost(t, array{}, "is stored as a list, but may leave out fields")
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

func TestOneWayMethods(t *testing.T) {
	lost(t, textOut{5}, cantReadBack)
	lost(t, textOutN(5), cantReadBack)
	lost(t, textOutP{5}, cantReadBack)
	lost(t, &textOutP{5}, cantReadBack)
	lost(t, textIn{5}, cantReadBack)
	lost(t, textInN(5), cantReadBack)
	lost(t, binaryOut{5}, cantReadBack)
	lost(t, binaryIn{5}, cantReadBack)
	lost(t, rawOut{5}, cantReadBack)
	lost(t, rawIn{5}, cantReadBack)
	lost(t, ownOut{5}, cantReadBack)
	lost(t, ownIn{5}, cantReadBack)
	lost(t, struct{ V any }{ownOut{5}}, cantReadBack)
	lost(t, []map[string]*textOutP{{"a": {5}}}, cantReadBack)
	// Where the other way is that of the kind, and does the same, nothing is lost.
	equal(t, textOutS("a"))
	equal(t, textInS("a"))
	equal(t, []textOut{})
	equal(t, (*textOutP)(nil))
}

func TestOwnMethods(t *testing.T) {
	equal(t, uuid{1, 15: 255})
	equal(t, map[string]*uuid{"a": {1}, "b": nil})
	equal(t, private{1, 2})
	equal(t, restored{time.Unix(5, 6).UTC(), "name"})
	equal(t, lower("a"))
	lost(t, lower("A"), losesAPart)
	equal(t, half{5, 0})
	lost(t, half{5, 6}, losesAPart)
	lost(t, struct{ H []half }{[]half{{}, {5, 6}}}, losesAPart)
	// The method Equal says what is lost, if it makes sense.
	if got := roundTrip(t, same{15}); got != (same{5}) {
		t.Errorf("got %v, want 5, which is equal to 15", got)
	}
	equal(t, unlike{5})
	equal(t, broken{5})

	lost(t, swallowed{time.Unix(5, 0), "name"}, losesAPart)
	equal(t, swallowed{time.Unix(5, 0).UTC(), ""})
	now := time.Unix(5, 0).UTC()
	lost(t, swallowedByPointer{&now, "name"}, cantReadBack)
	lost(t, swallowedByPointer{}, "encoding it failed")
	equal(t, wrapped{now})
	// Two embedded types of the same methods: neither's are the outer's, and both are fields.
	equal(t, struct {
		time.Time
		netip.Addr
	}{now, netip.MustParseAddr("::1")})
}

func TestTypesOfTheStandardLibrary(t *testing.T) {
	parse := func(s string) url.URL { u, _ := url.Parse(s); return *u }
	equal(t, url.URL{})
	equal(t, parse("https://user:word@example.com:8080/a%2Fb?q=1#f"))
	equal(t, &url.URL{Scheme: "mailto", Opaque: "a@example.com"})
	lost(t, url.URL{Host: "example.com", Path: "a"}, losesAPart) // comes back as /a
	lost(t, url.URL{Host: "example.com", Path: "a", User: url.User("secret")}, losesAPart)
	lost(t, struct{ U *url.URL }{&url.URL{Scheme: "HTTPS", Host: "example.com"}}, cantReadBack)

	equal(t, netip.Addr{})
	equal(t, netip.MustParseAddrPort("[fe80::1%eth0]:80"))
	equal(t, net.IP(nil))
	equal(t, net.ParseIP("10.0.0.1"))
	equal(t, net.IPNet{IP: net.ParseIP("10.0.0.0"), Mask: net.CIDRMask(8, 32)})
	lost(t, net.IP{}, cantReadBack)
	if got := roundTrip(t, net.IP{10, 0, 0, 1}); !got.Equal(net.IP{10, 0, 0, 1}) {
		t.Errorf("an address of 4 bytes: got %v", got)
	}

	number := func(bits uint, s string) *big.Float { f, _ := new(big.Float).SetPrec(bits).SetString(s); return f }
	for _, f := range []*big.Float{nil, new(big.Float), big.NewFloat(0.5), number(64, "0.1"), number(200, "0.25"), number(64, "-Inf")} {
		if got := roundTrip(t, f); (f == nil) != (got == nil) || f != nil && f.Cmp(got) != 0 {
			t.Errorf("got %v, want %v", got, f)
		}
	}
	lost(t, number(65, "18446744073709551617"), cantReadBack) // 2^64 + 1, which is read with 64 bits
	lost(t, number(200, "0.1"), losesAPart)
	lost(t, big.NewFloat(0.1), losesAPart) // 53 bits of 0.1 are written as 0.1, which has other bits behind them
	lost(t, struct{ F big.Float }{*big.NewFloat(0.1)}, losesAPart)
	equal(t, big.NewRat(1, 3))
	equal(t, new(big.Int).Lsh(big.NewInt(1), 100))
	equal(t, struct{ N big.Int }{*big.NewInt(-5)})

	equal(t, json.Number("1.50"))
	equal(t, json.RawMessage(`{"a": 1}`))
	equal(t, sql.NullString{String: "a", Valid: true})
	equal(t, sql.NullString{})
	equal(t, sql.NullTime{Time: time.Unix(5, 0).UTC(), Valid: true})
	equal(t, sql.Null[[]int]{V: []int{1}, Valid: true})
	equal(t, http.Header{"Accept": {"a", "b"}})
	equal(t, msgpack.RawMessage{0x05})
	lost(t, msgpack.RawMessage{0xd0, 0x05}, "") // 5 in another form than the one that is stored
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
