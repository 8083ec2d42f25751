package value

import (
	"bytes"
	"math"
)

// compare tells whether again is the value that stored is. Both are canonical. Floats of different width may be the
// same, and keys that only one of two maps has don't count.
func compare(stored, again []byte) bool {
	if bytes.Equal(stored, again) {
		return true
	}
	k := kindOf(stored)
	if k != kindOf(again) {
		return false
	}
	switch k {
	case kindFloat:
		v, _, _ := readFloat(stored)
		w, _, _ := readFloat(again)
		return v == w || math.IsNaN(v) && math.IsNaN(w)
	case kindList:
		count, n, _ := ReadArrayHeader(stored)
		count2, m, _ := ReadArrayHeader(again)
		stored, again = stored[n:], again[m:]
		for range min(count, count2) {
			var v, w []byte
			v, stored = next(stored)
			w, again = next(again)
			if !compare(v, w) {
				return false
			}
		}
		return count == count2
	case kindMap:
		_, n, _ := ReadMapHeader(stored)
		_, m, _ := ReadMapHeader(again)
		for stored, again = stored[n:], again[m:]; len(stored) > 0 && len(again) > 0; {
			key, rest := next(stored)
			key2, rest2 := next(again)
			v, after := next(rest)
			w, after2 := next(rest2)
			s, _, _ := ReadString(key)
			t, _, _ := ReadString(key2)
			order := bytes.Compare(s, t)
			if order == 0 && !compare(v, w) {
				return false
			}
			if order <= 0 {
				stored = after
			}
			if order >= 0 {
				again = after2
			}
		}
		return true
	}
	return false
}

// next returns the value at the start of b and what follows it.
func next(b []byte) (v, rest []byte) {
	n, _ := Skip(b, 0)
	return b[:n], b[n:]
}
