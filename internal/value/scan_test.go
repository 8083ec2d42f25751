package value

import (
	"bytes"
	"encoding/hex"
	"math"
	"slices"
	"strings"
	"testing"
)

// unhex decodes hex digits, spaces allowed.
func unhex(t testing.TB, digits string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(digits, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSkipAccepts(t *testing.T) {
	for name, digits := range map[string]string{
		"nil": "c0", "false": "c2", "true": "c3", "fixint": "7f", "negative fixint": "e0",
		"uint8": "cc ff", "uint16": "cd ffff", "uint32": "ce ffffffff", "uint64": "cf ffffffffffffffff",
		"int8": "d0 80", "int16": "d1 8000", "int32": "d2 80000000", "int64": "d3 8000000000000000",
		"float32": "ca 7fc00000", "float64": "cb 7ff8000000000000",
		"empty string": "a0", "fixstr": "a3 616263", "str8": "d9 01 61", "str16": "da 0001 61", "str32": "db 00000001 61",
		"invalid UTF-8": "a2 fffe",
		"bin8":          "c4 01 00", "bin16": "c5 0001 00", "bin32": "c6 00000001 00",
		"timestamp 32": "d6ff 00000001", "timestamp 64": "d7ff ee6b27fc 00000001", "timestamp 96": "c7 0c ff 3b9ac9ff 8000000000000000",
		"timestamp 32, long header": "c8 0004 ff 00000001", "timestamp 64, long header": "c9 00000008 ff 0000000000000001",
		"empty list": "90", "list": "92 01 a1 61", "array16": "dc 0001 c0", "array32": "dd 00000001 c0",
		"empty map": "80", "map": "82 a1 61 01 a1 62 91 02", "map16": "de 0001 a0 c0", "map32": "df 00000001 a0 c0",
		"keys by bytes": "83 a0 00 a1 61 00 a2 6161 00", "long key encodings": "82 d9 01 61 00 a1 62 00",
		"integers in long form":           "93 cc01 cd0001 d30000000000000001",
		"long keys, the longer one first": "82 d9 21" + strings.Repeat("61", 33) + "c0 d9 20" + strings.Repeat("61", 31) + "62 c0",
	} {
		t.Run(name, func(t *testing.T) {
			b := unhex(t, digits)
			if n, err := Skip(b, 0); n != len(b) || err != nil {
				t.Errorf("got %d, %v, want %d", n, err, len(b))
			}
			if n, err := Skip(append(b, 0xc1, 0xc1), 0); n != len(b) || err != nil {
				t.Errorf("followed by other bytes: got %d, %v, want %d", n, err, len(b))
			}
			for short := range len(b) {
				if n, err := Skip(b[:short:short], 0); err == nil {
					t.Errorf("the first %d bytes: got %d, want an error", short, n)
				}
			}
		})
	}
}

func TestSkipRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		digits string
		want   error
	}{
		"nothing":                                     {"", errTruncated},
		"c1":                                          {"c1", errCode},
		"extension 5":                                 {"d6 05 00000000", errTime},
		"interned string":                             {"d4 80 00", errTime},
		"timestamp of 1 byte":                         {"d4 ff 00", errTime},
		"timestamp of 2 bytes":                        {"d5 ff 0000", errTime},
		"timestamp of 16 bytes":                       {"d8 ff" + strings.Repeat("00", 16), errTime},
		"timestamp of 0 bytes":                        {"c7 00 ff", errTime},
		"timestamp of 4 GiB":                          {"c9 ffffffff ff 00000000", errTime},
		"1e9 ns in 64 bits":                           {"d7ff ee6b2800 00000000", errTime},
		"1e9 ns in 96 bits":                           {"c7 0c ff 3b9aca00 0000000000000000", errTime},
		"integer key":                                 {"81 01 c0", errKey},
		"nil key":                                     {"81 c0 c0", errKey},
		"bin key":                                     {"81 c4 01 61 c0", errKey},
		"keys in descending order":                    {"82 a1 62 c0 a1 61 c0", errOrder},
		"one key twice":                               {"82 a1 61 c0 a1 61 c0", errOrder},
		"one key twice, two encodings":                {"82 a1 61 c0 d9 01 61 c0", errOrder},
		"disorder in a nested map":                    {"91 81 a1 61 82 a1 62 c0 a1 61 c0", errOrder},
		"list of 2^32-1":                              {"dd ffffffff", errTruncated},
		"list of 2^32-1 and some":                     {"dd ffffffff c0c0c0c0", errTruncated},
		"map of 2^32-1":                               {"df ffffffff", errTruncated},
		"map of 2^31 on 32 bits":                      {"df 80000000", errTruncated},
		"string of 2^32-1":                            {"db ffffffff 61", errTruncated},
		"bin of 2^32-1":                               {"c6 ffffffff 61", errTruncated},
		"map with more pairs than room":               {"82 a1 61 c0", errTruncated},
		"map cut in its first value":                  {"82 a1 61 cf 00", errTruncated},
		"map cut in its first key":                    {"82 a3 61 61", errKey},
		"map cut in its last key":                     {"82 a1 61 c0 a3 62", errKey},
		"map cut in its last value":                   {"82 a1 61 c0 a1 62 cf 00", errTruncated},
		"map cut in a last key like the first":        {"82 a8" + strings.Repeat("61", 8) + "c0 bf" + strings.Repeat("61", 8), errTruncated},
		"nested map cut in its value":                 {"91 81 a1 61 cf 00", errTruncated},
		"list cut in its first element":               {"92 cf 00", errTruncated},
		"list cut in its last element":                {"92 c0 cf 00", errTruncated},
		"keys in descending order, at the ninth byte": {"82 a9" + strings.Repeat("61", 8) + "62 c0 a9" + strings.Repeat("61", 9) + "c0", errOrder},
		"long keys in descending order":               {"82 d9 20" + strings.Repeat("61", 31) + "62 c0 d9 21" + strings.Repeat("61", 33) + "c0", errOrder},
		"keys of which one has a zero byte more":      {"82 a2 6100 c0 a1 61 c0 c0 c0 c0 c0 c0 c0 c0", errOrder},
		"empty key after one of a zero byte":          {"82 a1 00 c0 a0 c0 c0 c0 c0 c0 c0 c0 c0 c0", errOrder},
	} {
		t.Run(name, func(t *testing.T) {
			b := slices.Clip(unhex(t, test.digits)) // or what is read behind it wouldn't show
			if n, err := Skip(b, 0); n != 0 || err != test.want {
				t.Errorf("got %d, %v, want %v", n, err, test.want)
			}
			if _, err := skipLoose(b, 0); err == nil && test.want != errOrder {
				t.Errorf("skipLoose accepts it")
			}
		})
	}
}

// TestEntriesLength is for where entries start, which 16 bits must hold.
func TestEntriesLength(t *testing.T) {
	for _, length := range []int{math.MaxUint16 - 1, math.MaxUint16, math.MaxUint16 + 1} {
		const head, entry = "\x82\xa1a\xda", "\xa1b\xc0" // a string with a 16-bit length, and what is behind it
		size := length - len(head) - 2 - len(entry)
		b := append([]byte(head), byte(size>>8), byte(size))
		b = append(append(b, make([]byte, size)...), entry...)
		n, header, starts, err := Entries(b, 0, nil)
		if length > math.MaxUint16 {
			if err != errTruncated {
				t.Errorf("a map of %d bytes: got %d, %v, %v, want %v", length, n, starts, err, errTruncated)
			}
			continue
		}
		if want := length - 1 - len(entry); n != length || header != 1 || starts.Len() != 2 || starts.At(0) != 0 || starts.At(1) != want || err != nil {
			t.Errorf("a map of %d bytes: got %d, %d, %v, %v, want two entries, the second at %d", length, n, header, starts, err, want)
		}
	}
}

func TestEntriesRefuses(t *testing.T) {
	for name, b := range map[string]string{
		"a list":            "\x90",
		"too short":         "\x81\xa1a",
		"keys out of order": "\x82\xa1b\xc0\xa1a\xc0",
		"unknown type":      "\x81\xa1a\xc1",
	} {
		if n, _, starts, err := Entries([]byte(b), 0, nil); err == nil {
			t.Errorf("%s: got %d, %v, want an error", name, n, starts)
		}
	}
}

// Whatever follows a code that isn't a timestamp's, such as a list's next elements, it is none.
func TestReadTimeKnowsItsCodes(t *testing.T) {
	for code := range 256 {
		for _, size := range []byte{4, 8, 12} {
			for at := 1; at < 12; at++ {
				b := make([]byte, 64)
				b[0], b[at], b[at+1] = byte(code), size, 0xff
				_, _, _, got := readTime(b)
				want := code == 0xd6 && at == 0 || code >= 0xc7 && code <= 0xc9 && at == 1<<(code-0xc7)
				if got != want {
					t.Errorf("code %#x, size %d at %d: got accepted %v, want %v", code, size, at, got, want)
				}
			}
		}
	}
}

func TestReadStringOfNothing(t *testing.T) {
	if s, n, ok := ReadString(nil); s != nil || n != 0 || ok {
		t.Errorf("got %q, %d, %v, want nothing", s, n, ok)
	}
}

// nested returns depth lists or maps in each other.
func nested(depth int, maps bool) []byte {
	if maps {
		return append(bytes.Repeat([]byte{0x81, 0xa0}, depth), 0xc0)
	}
	return append(bytes.Repeat([]byte{0x91}, depth), 0xc0)
}

func TestSkipDepth(t *testing.T) {
	for _, maps := range []bool{false, true} {
		for outer := range 3 {
			for depth := 30 - outer; depth <= 33-outer; depth++ {
				b := nested(depth, maps)
				_, err := Skip(b, outer)
				_, err2 := skipLoose(b, outer)
				if want := outer+depth > MaxDepth; (err == errDeep) != want || (err2 == errDeep) != want {
					t.Errorf("%d levels in a container of depth %d: got %v and %v, want refusal: %v", depth, outer, err, err2, want)
				}
			}
		}
	}
	empty := append(bytes.Repeat([]byte{0x91}, 32), 0x90)
	if _, err := Skip(empty, 0); err != errDeep {
		t.Errorf("an empty list at depth 33: got %v, want %v", err, errDeep)
	}
	if _, err := Skip(bytes.Repeat([]byte{0x91}, 1<<20), 0); err != errDeep {
		t.Errorf("a million levels: got %v, want %v", err, errDeep)
	}
}

func TestSkipAllocatesNothing(t *testing.T) {
	b := unhex(t, "82 a1 61 93 01 c4 01 00 d6ff 00000001 a1 62 81 a1 63 cb 0000000000000000")
	deep := nested(33, true)
	hostile := unhex(t, "dd ffffffff")
	if n := testing.AllocsPerRun(100, func() {
		Skip(b, 1)
		Skip(deep, 1)
		Skip(hostile, 1)
	}); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}

func TestReadersRefuseOtherKinds(t *testing.T) {
	for c := range 256 {
		b := append([]byte{byte(c)}, make([]byte, 40)...)
		k := kindOf(b)
		if _, n, ok := ReadUint(b); ok != (k == kindInt && (c < 0x80 || c >= 0xcc && c <= 0xcf)) || ok == (n == 0) {
			t.Errorf("ReadUint of code %#x: got %d, %v", c, n, ok)
		}
		if _, _, n, ok := readInt(b); ok != (k == kindInt) || ok == (n == 0) {
			t.Errorf("readInt of code %#x: got %d, %v", c, n, ok)
		}
		if _, n, ok := ReadBin(b); ok != (k == kindBytes) || ok == (n == 0) {
			t.Errorf("ReadBin of code %#x: got %d, %v", c, n, ok)
		}
		if _, n, ok := ReadString(b); ok != (k == kindString) || ok == (n == 0) {
			t.Errorf("ReadString of code %#x: got %d, %v", c, n, ok)
		}
		if _, n, ok := ReadArrayHeader(b); ok != (k == kindList) || ok == (n == 0) {
			t.Errorf("ReadArrayHeader of code %#x: got %d, %v", c, n, ok)
		}
		if _, n, ok := ReadMapHeader(b); ok != (k == kindMap) || ok == (n == 0) {
			t.Errorf("ReadMapHeader of code %#x: got %d, %v", c, n, ok)
		}
		if _, n, ok := readFloat(b); ok != (k == kindFloat) || ok == (n == 0) {
			t.Errorf("readFloat of code %#x: got %d, %v", c, n, ok)
		}
	}
}

// The values of a payload were scanned when it was received; that isn't asked of what readInt and readTime get.
func TestReadersOfIntegersAndTimesRefuseWhatIsCutOff(t *testing.T) {
	for _, digits := range []string{"05", "cd 0102", "d0 00", "d1 ff00", "d2 80000000", "d3 8000000000000000", "e0"} {
		b := unhex(t, digits)
		for n := range len(b) {
			if _, _, _, ok := readInt(b[:n]); ok {
				t.Errorf("%d bytes of the integer %s are accepted", n, digits)
			}
		}
		if _, negative, n, ok := readInt(b); !ok || n != len(b) || negative != (b[0] > 0xd0) {
			t.Errorf("integer %s: got negative %t, %d bytes, %t", digits, negative, n, ok)
		}
	}
	for _, digits := range []string{"d6 ff 00000001", "d7 ff 0000000000000001", "c7 0c ff 000000000000000000000001"} {
		b := unhex(t, digits)
		for n := range len(b) {
			if _, _, _, ok := readTime(b[:n]); ok {
				t.Errorf("%d bytes of the timestamp %s are accepted", n, digits)
			}
		}
		if sec, _, n, ok := readTime(b); sec != 1 || n != len(b) || !ok {
			t.Errorf("timestamp %s: got %d s, %d bytes, %t", digits, sec, n, ok)
		}
	}
	if _, _, _, ok := readTime(unhex(t, "c6 0000000c ff 000000000000000000000001")); ok {
		t.Error("a byte string is accepted as a timestamp")
	}
}

func TestReadersHoldLengthsAgainstTheRest(t *testing.T) {
	for _, test := range []struct {
		name, digits string
		ok           bool
	}{
		{"bin of 2", "c4 02 0000", true},
		{"bin of 2, 1 there", "c4 02 00", false},
		{"string of 2", "a2 6161", true},
		{"string of 2, 1 there", "a2 61", false},
		{"long string of 2", "db 00000002 6161", true},
		{"long string of 2, 1 there", "db 00000002 61", false},
		{"list of 2", "92 0000", true},
		{"list of 2, 1 there", "92 00", false},
		{"map of 2", "82 00000000", true},
		{"map of 2, 3 bytes there", "82 000000", false},
		{"long map of 2", "df 00000002 00000000", true},
		{"long map of 2, 3 bytes there", "df 00000002 000000", false},
	} {
		b := unhex(t, test.digits)
		_, _, bin := ReadBin(b)
		_, _, str := ReadString(b)
		_, _, list := ReadArrayHeader(b)
		_, _, pairs := ReadMapHeader(b)
		if ok := bin || str || list || pairs; ok != test.ok {
			t.Errorf("%s: got %v, want %v", test.name, ok, test.ok)
		}
	}
}

func TestReadInt(t *testing.T) {
	for _, test := range []struct {
		digits   string
		want     uint64
		negative bool
	}{
		{"00", 0, false},
		{"7f", 127, false},
		{"e0", negative(-32), true},
		{"ff", negative(-1), true},
		{"cc 80", 128, false},
		{"cf ffffffffffffffff", math.MaxUint64, false},
		{"d0 05", 5, false},
		{"d0 80", negative(-128), true},
		{"d1 8000", negative(math.MinInt16), true},
		{"d2 ffffffff", negative(-1), true},
		{"d3 7fffffffffffffff", math.MaxInt64, false},
		{"d3 8000000000000000", negative(math.MinInt64), true},
	} {
		if v, negative, _, ok := readInt(unhex(t, test.digits)); v != test.want || negative != test.negative || !ok {
			t.Errorf("%s: got %d, %v, %v, want %d, %v", test.digits, int64(v), negative, ok, int64(test.want), test.negative)
		}
	}
}

func negative(v int64) uint64 { return uint64(v) }
