package value

import (
	"bytes"
	"slices"
)

// canonical appends the value at the start of b to dst in its canonical form and returns its length in b. b is what
// msgpack/v5 or a method of the user's wrote, so nothing about it is taken for granted: Skip's rules apply, but for the
// order of keys. If wide is set, timestamps get their 12-byte form instead of the shortest.
func canonical(dst, b []byte, depth int, wide bool) (out []byte, n int, err error) {
	k := kindOf(b)
	if k == kindMap {
		return canonicalMap(dst, b, depth, wide)
	}
	if k == kindList {
		count, n, ok := ReadArrayHeader(b)
		if !ok {
			return nil, 0, errTruncated
		}
		if depth >= MaxDepth {
			return nil, 0, errDeep
		}
		dst = AppendArrayHeader(dst, count)
		for range count {
			var size int
			if dst, size, err = canonical(dst, b[n:], depth+1, wide); err != nil {
				return nil, 0, err
			}
			n += size
		}
		return dst, n, nil
	}
	if n, err = Skip(b, depth); err != nil {
		return nil, 0, err
	}
	switch k {
	case kindInt:
		v, negative, _, _ := readInt(b)
		if negative {
			return AppendInt(dst, int64(v)), n, nil
		}
		return AppendUint(dst, v), n, nil
	case kindFloat:
		v, _, _ := readFloat(b)
		if b[0] == 0xca {
			return appendFloat32(dst, float32(v)), n, nil
		}
		return appendFloat64(dst, v), n, nil
	case kindString:
		s, _, _ := ReadString(b)
		return AppendString(dst, s), n, nil
	case kindBytes:
		data, _, _ := ReadBin(b)
		return AppendBin(dst, data), n, nil
	case kindTime:
		sec, nsec, _, _ := readTime(b)
		if wide {
			return appendWideTime(dst, sec, nsec), n, nil
		}
		return appendTime(dst, sec, nsec), n, nil
	}
	return append(dst, b[:n]...), n, nil
}

// canonicalMap is canonical for a map: its pairs are sorted.
func canonicalMap(dst, b []byte, depth int, wide bool) (out []byte, n int, err error) {
	count, n, ok := ReadMapHeader(b)
	if !ok {
		return nil, 0, errTruncated
	}
	if depth >= MaxDepth {
		return nil, 0, errDeep
	}
	dst = AppendMapHeader(dst, count)
	type pair struct {
		key        []byte
		start, end int // in dst
	}
	pairs, body := make([]pair, count), len(dst)
	for i := range pairs {
		key, size, ok := ReadString(b[n:])
		if !ok {
			return nil, 0, errKey
		}
		n += size
		start := len(dst)
		if dst, size, err = canonical(AppendString(dst, key), b[n:], depth+1, wide); err != nil {
			return nil, 0, err
		}
		n += size
		pairs[i] = pair{key, start, len(dst)}
	}
	byKey := func(p, q pair) int { return bytes.Compare(p.key, q.key) }
	if !slices.IsSortedFunc(pairs, byKey) {
		slices.SortFunc(pairs, byKey)
		unsorted := bytes.Clone(dst[body:])
		dst = dst[:body]
		for _, p := range pairs {
			dst = append(dst, unsorted[p.start-body:p.end-body]...)
		}
	}
	for i := 1; i < len(pairs); i++ {
		if byKey(pairs[i-1], pairs[i]) == 0 {
			return nil, 0, errOrder
		}
	}
	return dst, n, nil
}
