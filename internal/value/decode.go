package value

import "time"

// Decode returns the value at the start of b in its canonical Go type: nil, bool, int64 (uint64 above math.MaxInt64),
// float64, string, []byte, time.Time in UTC, []any or map[string]any. It shares no memory with b. Skip must have
// accepted b.
func Decode(b []byte) any {
	v, _, err := decode(b, 0, false)
	if err != nil {
		panic("cookiesession: internal error: decoding a value that was not checked")
	}
	return v
}

// decode is Decode in a container of the given depth, and returns the encoded length too. It takes nothing about b for
// granted: Skip's rules apply, but for the order of keys. If narrow is set, floats of 32 bits are float32.
func decode(b []byte, depth int, narrow bool) (v any, n int, err error) {
	var ok bool
	switch kindOf(b) {
	case kindNil:
		return nil, 1, nil
	case kindBool:
		return b[0] == 0xc3, 1, nil
	case kindInt:
		var i uint64
		var negative bool
		if i, negative, n, ok = readInt(b); int64(i) >= 0 || negative {
			v = int64(i)
		} else {
			v = i
		}
	case kindFloat:
		var f float64
		if f, n, ok = readFloat(b); narrow && b[0] == 0xca {
			v = float32(f)
		} else {
			v = f
		}
	case kindString:
		var s []byte
		s, n, ok = ReadString(b)
		v = string(s)
	case kindBytes:
		var data []byte
		data, n, ok = ReadBin(b)
		v = append([]byte{}, data...)
	case kindTime:
		sec, nsec, n, ok := readTime(b)
		if !ok {
			return nil, 0, errTime
		}
		return time.Unix(sec, int64(nsec)).UTC(), n, nil
	case kindList:
		return decodeList(b, depth, narrow)
	case kindMap:
		return decodeMap(b, depth, narrow)
	default:
		if len(b) > 0 {
			return nil, 0, errCode
		}
	}
	if !ok {
		return nil, 0, errTruncated
	}
	return v, n, nil
}

func decodeList(b []byte, depth int, narrow bool) (v any, n int, err error) {
	count, n, ok := ReadArrayHeader(b)
	switch {
	case !ok:
		return nil, 0, errTruncated
	case depth >= MaxDepth:
		return nil, 0, errDeep
	}
	list := make([]any, count)
	for i := range list {
		element, size, err := decode(b[n:], depth+1, narrow)
		if err != nil {
			return nil, 0, err
		}
		list[i] = element
		n += size
	}
	return list, n, nil
}

func decodeMap(b []byte, depth int, narrow bool) (v any, n int, err error) {
	count, n, ok := ReadMapHeader(b)
	switch {
	case !ok:
		return nil, 0, errTruncated
	case depth >= MaxDepth:
		return nil, 0, errDeep
	}
	m := make(map[string]any, count)
	for range count {
		key, size, ok := ReadString(b[n:])
		if !ok {
			return nil, 0, errKey
		}
		n += size
		element, size, err := decode(b[n:], depth+1, narrow)
		if err != nil {
			return nil, 0, err
		}
		m[string(key)] = element
		n += size
	}
	if len(m) < count {
		return nil, 0, errOrder
	}
	return m, n, nil
}
