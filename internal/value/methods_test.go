package value

import (
	"bytes"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"
)

type (
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

// local decodes itself, so its time is its own affair.
type local struct{ At time.Time }

var east = time.FixedZone("east", 3600)

func (l local) EncodeMsgpack(e *msgpack.Encoder) error { return e.EncodeTime(l.At) }

func (l *local) DecodeMsgpack(d *msgpack.Decoder) error {
	at, err := d.DecodeTime()
	l.At = at.In(east)
	return err
}

func TestDecodeIntoLeavesTypesToThemselves(t *testing.T) {
	want := []local{{time.Unix(1700000000, 5).In(east)}}
	if got := roundTrip(t, want); got[0] != want[0] {
		t.Errorf("got %v, want %v", got, want)
	}
}

// wild's methods do what the test asks for.
type wild struct{ encode func() }

func (w wild) EncodeMsgpack(e *msgpack.Encoder) error {
	if w.encode != nil {
		w.encode()
	}
	return e.EncodeString("secret")
}

func (w *wild) DecodeMsgpack(d *msgpack.Decoder) error {
	panic("secret")
}

// meddler's method for encoding calls what the test has put there.
type meddler struct{ N int }

var meddle func()

func (meddler) MarshalText() ([]byte, error)  { meddle(); return []byte("1"), nil }
func (*meddler) UnmarshalText(b []byte) error { return nil }

// A method that changes what it is a part of makes neither a panic nor bytes that can't be read.
func TestChangingWhileEncoded(t *testing.T) {
	type fields struct {
		A    meddler
		B, C int `msgpack:",omitempty"`
	}
	grown, shrunk := &fields{}, &fields{B: 1, C: 1}
	list := &struct{ List []meddler }{make([]meddler, 3)}
	m := map[string]meddler{"a": {}, "b": {}}
	for name, test := range map[string]struct {
		v      any
		meddle func()
	}{
		"a field more":     {grown, func() { grown.B = 1 }},
		"fields less":      {shrunk, func() { shrunk.B, shrunk.C = 0, 0 }},
		"elements less":    {list, func() { list.List = list.List[:1] }},
		"pairs less":       {m, func() { clear(m) }},
		"in a list of any": {[]any{grown}, func() { grown.B = 1 - grown.B; grown.C = 1 }},
	} {
		meddle = test.meddle
		if b, err := Append(nil, test.v, 1); err == nil || !strings.HasSuffix(err.Error(), string(changing)) {
			t.Errorf("%s: got %x, %v, want an error that it changes", name, b, err)
		}
	}
}

// raw encodes itself to whatever it holds.
type raw struct{ b []byte }

func (r raw) MarshalMsgpack() ([]byte, error) {
	if len(r.b) == 0 {
		return nil, errSecret
	}
	return r.b, nil
}

func (r *raw) UnmarshalMsgpack(b []byte) error {
	r.b = bytes.Clone(b)
	return nil
}

var errSecret = errors.New("secret")

func TestMethodsOfTheUsers(t *testing.T) {
	for name, v := range map[string]any{
		"panics":                 wild{encode: func() { panic("secret") }},
		"panics deep inside":     []any{map[string]wild{"a": {encode: func() { panic(errSecret) }}}},
		"fails":                  raw{},
		"an extension":           raw{unhex(t, "d4 05 00")},
		"a code that isn't one":  raw{[]byte{0xc1}},
		"two values":             raw{[]byte{1, 2}},
		"half a value":           raw{[]byte{0xa2, 'a'}},
		"a list of 2^32-1":       raw{unhex(t, "dd ffffffff")},
		"integer keys":           raw{unhex(t, "81 01 01")},
		"one key twice":          raw{unhex(t, "82 a1 61 01 a1 61 02")},
		"too large":              raw{append([]byte{0xdb, 0, 4, 0, 0}, make([]byte, maxSelf)...)},
		"too deep":               raw{nested(33, false)},
		"too deep where it lies": []raw{{nested(32, false)}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Append(nil, v, 0)
			if err == nil || strings.Contains(err.Error(), "secret") || !strings.HasPrefix(err.Error(), "cookiesession: a value of type ") {
				t.Errorf("got %v, want an error without the content", err)
			}
			if name == "fails" && !errors.Is(err, errSecret) {
				t.Errorf("got %v, which doesn't wrap what the method returned", err)
			}
		})
	}
	if b := mustAppend(t, raw{append([]byte{0xdb, 0, 3, 0xff, 0xfb}, make([]byte, maxSelf-5)...)}); len(b) != maxSelf {
		t.Errorf("as large as it may be: got %d bytes", len(b))
	}
	if b := mustAppend(t, []raw{{nested(31, false)}}); len(b) != 33 {
		t.Errorf("31 levels in a list: got %x", b)
	}
	if got := fmt.Sprintf("%x", mustAppend(t, raw{unhex(t, "82 a1 62 cd0001 d9 01 61 d30000000000000002")})); got != "82a16102a16201" {
		t.Errorf("not canonical: got %s", got)
	}
	refused[wild](t, "secret", "decoding it failed")
	refused[[]wild](t, []string{"secret"}, "decoding it failed")
}
