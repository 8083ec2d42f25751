package value

import (
	"bytes"
	"slices"
)

// canonical appends the value at the start of b to dst in its canonical form and returns its length in b. b is what
// msgpack/v5 or a method of the user's wrote: nothing about it is taken for granted, and Skip's rules apply but for the
// order of keys. With wide set, timestamps get their 12-byte form instead.
func canonical(dst, b []byte, depth int, wide bool) (out []byte, n int, err error) {
	switch kindOf(b) {
	case kindNil, kindBool, kindFloat:
		if n, err = Skip(b, depth); err != nil {
			return nil, 0, err
		}
		return append(dst, b[:n]...), n, nil
	case kindInt:
		v, negative, n, ok := readInt(b)
		switch {
		case !ok:
			return nil, 0, errTruncated
		case negative:
			return AppendInt(dst, int64(v)), n, nil
		}
		return AppendUint(dst, v), n, nil
	case kindString:
		s, n, ok := ReadString(b)
		if !ok {
			return nil, 0, errTruncated
		}
		return AppendString(dst, s), n, nil
	case kindBytes:
		data, n, ok := ReadBin(b)
		if !ok {
			return nil, 0, errTruncated
		}
		return AppendBin(dst, data), n, nil
	case kindTime:
		sec, nsec, n, ok := readTime(b)
		switch {
		case !ok:
			return nil, 0, errTime
		case wide:
			return appendWideTime(dst, sec, nsec), n, nil
		}
		return appendTime(dst, sec, nsec), n, nil
	case kindList:
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
	case kindMap:
		return canonicalMap(dst, b, depth, wide)
	}
	return nil, 0, errCode
}

// canonicalMap is canonical for a map.
func canonicalMap(dst, b []byte, depth int, wide bool) (out []byte, n int, err error) {
	count, n, ok := ReadMapHeader(b)
	if !ok {
		return nil, 0, errTruncated
	}
	if depth >= MaxDepth {
		return nil, 0, errDeep
	}
	type pair struct {
		key        []byte
		start, end int // in dst
	}
	dst = AppendMapHeader(dst, count)
	body := len(dst)
	pairs := make([]pair, count)
	for i := range pairs {
		key, size, ok := ReadString(b[n:])
		if !ok {
			return nil, 0, errKey
		}
		n += size
		start := len(dst)
		dst, size, err = canonical(AppendString(dst, key), b[n:], depth+1, wide)
		if err != nil {
			return nil, 0, err
		}
		n += size
		pairs[i] = pair{key, start, len(dst)}
	}
	byKey := func(p, q pair) int { return bytes.Compare(p.key, q.key) }
	if !slices.IsSortedFunc(pairs, byKey) {
		slices.SortFunc(pairs, byKey)
		written := bytes.Clone(dst)
		dst = dst[:body]
		for _, p := range pairs {
			dst = append(dst, written[p.start:p.end]...)
		}
	}
	for i := 1; i < len(pairs); i++ {
		if bytes.Equal(pairs[i-1].key, pairs[i].key) {
			return nil, 0, errTwice
		}
	}
	return dst, n, nil
}
