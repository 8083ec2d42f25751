package value

import "time"

// Decode returns the value at the start of b in its canonical Go type: nil, bool, int64 (uint64 above math.MaxInt64),
// float64, string, []byte, time.Time in UTC, []any or map[string]any. It shares no memory with b. Skip must have
// accepted b.
func Decode(b []byte) any {
	v, _ := decode(b, false)
	return v
}

// decode is Decode and also returns the encoded length. The order of a map's keys doesn't matter. If narrow is set,
// floats of 32 bits are float32.
func decode(b []byte, narrow bool) (v any, n int) {
	switch kindOf(b) {
	case kindNil:
		return nil, 1
	case kindBool:
		return b[0] == 0xc3, 1
	case kindInt:
		v, negative, n, _ := readInt(b)
		if int64(v) >= 0 || negative {
			return int64(v), n
		}
		return v, n
	case kindFloat:
		v, n, _ := readFloat(b)
		if narrow && b[0] == 0xca {
			return float32(v), n
		}
		return v, n
	case kindString:
		s, n, _ := ReadString(b)
		return string(s), n
	case kindBytes:
		data, n, _ := ReadBin(b)
		return append([]byte{}, data...), n
	case kindTime:
		sec, nsec, n, _ := readTime(b)
		return time.Unix(sec, int64(nsec)).UTC(), n
	case kindList:
		return decodeList(b, narrow)
	case kindMap:
		return decodeMap(b, narrow)
	}
	panic("cookiesession: internal error: decoding a value that was not checked")
}

func decodeList(b []byte, narrow bool) ([]any, int) {
	count, n, _ := ReadArrayHeader(b)
	list := make([]any, count)
	for i := range list {
		v, size := decode(b[n:], narrow)
		list[i] = v
		n += size
	}
	return list, n
}

func decodeMap(b []byte, narrow bool) (map[string]any, int) {
	count, n, _ := ReadMapHeader(b)
	m := make(map[string]any, count)
	for range count {
		key, size, _ := ReadString(b[n:])
		n += size
		m[string(key)], size = decode(b[n:], narrow)
		n += size
	}
	return m, n
}
