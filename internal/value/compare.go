package value

import (
	"bytes"
	"math"
)

// compare tells why again, which was encoded from what stored was decoded to, isn't the same value; "" if it is. Keys
// that only one of two maps has don't count. n and m are the lengths of stored and again, if they are the same.
func compare(stored, again []byte) (why reason, n, m int) {
	k := kindOf(stored)
	if k != kindOf(again) {
		return changed, 0, 0
	}
	same := false
	switch k {
	case kindInt:
		var v, w uint64
		var negative, negative2 bool
		v, negative, n, _ = readInt(stored)
		w, negative2, m, _ = readInt(again)
		same = v == w && negative == negative2
	case kindFloat:
		var v, w float64
		v, n, _ = readFloat(stored)
		w, m, _ = readFloat(again)
		same = v == w || math.IsNaN(v) && math.IsNaN(w)
	case kindString:
		var s, t []byte
		s, n, _ = ReadString(stored)
		t, m, _ = ReadString(again)
		same = bytes.Equal(s, t)
	case kindBytes:
		var s, t []byte
		s, n, _ = ReadBin(stored)
		t, m, _ = ReadBin(again)
		same = bytes.Equal(s, t)
	case kindTime:
		var sec, sec2 int64
		var nsec, nsec2 uint32
		sec, nsec, n, _ = readTime(stored)
		sec2, nsec2, m, _ = readTime(again)
		same = sec == sec2 && nsec == nsec2
	case kindList:
		return compareLists(stored, again)
	case kindMap:
		return compareMaps(stored, again)
	default: // nil and booleans
		n, m = 1, 1
		same = stored[0] == again[0]
	}
	if !same {
		return changed, 0, 0
	}
	return "", n, m
}

func compareLists(stored, again []byte) (why reason, n, m int) {
	count, n, _ := ReadArrayHeader(stored)
	count2, m, _ := ReadArrayHeader(again)
	if count != count2 {
		return "a list in it has another length", 0, 0
	}
	for range count {
		why, size, size2 := compare(stored[n:], again[m:])
		if why != "" {
			return why, 0, 0
		}
		n += size
		m += size2
	}
	return "", n, m
}

func compareMaps(stored, again []byte) (why reason, n, m int) {
	left, n, _ := ReadMapHeader(stored)
	left2, m, _ := ReadMapHeader(again)
	for left > 0 || left2 > 0 {
		key, size, _ := ReadString(stored[n:])
		key2, size2, _ := ReadString(again[m:])
		order := bytes.Compare(key, key2)
		if left == 0 {
			order = 1
		} else if left2 == 0 {
			order = -1
		}
		switch {
		case order < 0:
			n += size
			size, _ = Skip(stored[n:], 0)
			n += size
			left--
			continue
		case order > 0:
			m += size2
			size2, _ = Skip(again[m:], 0)
			m += size2
			left2--
			continue
		}
		n, m = n+size, m+size2
		if why, size, size2 = compare(stored[n:], again[m:]); why != "" {
			return why, 0, 0
		}
		n, m = n+size, m+size2
		left--
		left2--
	}
	return "", n, m
}
