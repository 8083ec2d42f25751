package revoke

import (
	"bytes"
	"encoding/hex"
	"math"
	"slices"
	"testing"
)

func TestMark(t *testing.T) {
	k := digest("a", nil)
	all := claim{key: keyOfAll, marked: true}
	for _, test := range []struct {
		claims []claim
		size   int
	}{
		{[]claim{all}, 2},
		{[]claim{all, {key: k, marked: true}}, 19},
		{[]claim{{keyOfAll, math.MaxUint64, true, false}, {k, 1 << 50, true, false}, {Key{}, 127, true, false}}, 1 + 10 + 16 + 8 + 17},
	} {
		b := appendMark(nil, test.claims)
		if got := parseMark(nil, b); !slices.Equal(got, test.claims) || len(b) != test.size {
			t.Errorf("got %v of %d bytes, want %v of %d", got, len(b), test.claims, test.size)
		}
		for n := range b {
			if got := parseMark(nil, b[:n]); n == 0 && got != nil || slices.Equal(got, test.claims) {
				t.Errorf("got %v of the first %d bytes of %d", got, n, len(b))
			}
		}
	}
	if got := parseMark(nil, append([]byte{2}, appendMark(nil, []claim{all})[1:]...)); got != nil {
		t.Errorf("got %v of another version", got)
	}
}

func FuzzParseMark(f *testing.F) {
	f.Add([]byte{1, 0})
	f.Add(appendMark(nil, []claim{{}, {key: keyOfAll, pos: 1 << 60}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		claims := parseMark(nil, b)
		if claims == nil {
			return
		}
		if again := parseMark(nil, appendMark(nil, claims)); !slices.Equal(again, claims) {
			t.Errorf("got %v, then %v", claims, again)
		}
	})
}

func FuzzParseEntry(f *testing.F) {
	f.Add(Entry{Key: keyOfAll, Pos: 1, Before: 2, Expires: 3}.Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := ParseEntry(b)
		if (err == nil) != (len(b) == EntrySize) || err == nil && !bytes.Equal(e.Append(nil), b) {
			t.Errorf("got %v, %v of %x", e, err, b)
		}
	})
}

// What is encoded stays as it is: servers of several versions share an engine. The digests are sha256sum's.
func TestEntryEncoding(t *testing.T) {
	key, ok := keyOfValue("user", "ada")
	b := Entry{Key: key, Pos: 1, Before: 2, Expires: 3}.Append(nil)
	if got := hex.EncodeToString(b); !ok || got != "c9300b713fb89293a7abc9e0081971f7"+"0000000000000001"+"00000002"+"00000003" {
		t.Errorf("got %s", got)
	}
	if got := hex.EncodeToString(keyOfAll[:]); got != "6cc99cd24a91be5c22defbdabd018e57" {
		t.Errorf("got %s", got)
	}
}
