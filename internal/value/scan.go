package value

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"time"
)

var (
	errTruncated = errors.New("cookiesession: malformed value: it ends too early")
	errCode      = errors.New("cookiesession: malformed value: unknown type")
	errTime      = errors.New("cookiesession: malformed value: not a timestamp")
	errDeep      = errors.New("cookiesession: malformed value: lists and maps nested too deeply")
	errKey       = errors.New("cookiesession: malformed value: a map key is not a string")
	errOrder     = errors.New("cookiesession: malformed value: map keys are not in ascending order")
	errTwice     = errors.New("cookiesession: malformed value: a map key comes twice")
)

// sizes holds the encoded length of every value whose code alone tells it, and 0 for the others.
var sizes = func() (s [256]uint8) {
	for c := range s {
		switch {
		case c < 0x80, c >= 0xe0, c == 0xc0, c == 0xc2, c == 0xc3:
			s[c] = 1
		case c >= 0xa0 && c < 0xc0:
			s[c] = 1 + uint8(c&0x1f)
		case c == 0xca:
			s[c] = 5
		case c == 0xcb:
			s[c] = 9
		case c >= 0xcc && c <= 0xd3:
			s[c] = 1 + 1<<(c&3)
		}
	}
	return s
}()

// Skip checks the value at the start of b and returns its length. It accepts nil, booleans, integers, floats, strings,
// byte strings, timestamps, lists, and maps with strictly ascending string keys, at most MaxDepth levels deep; depth is
// that of the container that holds the value, 0 for none. Longer encodings than needed are accepted. Every declared
// length is held against what remains of b before anything is read, and nothing is allocated.
//
// The other functions of this package that take encoded values rely on Skip having accepted them.
func Skip(b []byte, depth int) (n int, err error) {
	if len(b) == 0 {
		return 0, errTruncated
	}
	if n = int(sizes[b[0]]); n == 0 {
		return skipLong(b, depth)
	}
	if n > len(b) {
		return 0, errTruncated
	}
	return n, nil
}

// skipLong is Skip for values whose code doesn't tell their length.
func skipLong(b []byte, depth int) (n int, err error) {
	var ok bool
	var count int
	switch kindOf(b) {
	case kindString:
		if _, n, ok = ReadString(b); !ok {
			return 0, errTruncated
		}
		return n, nil
	case kindBytes:
		if _, n, ok = ReadBin(b); !ok {
			return 0, errTruncated
		}
		return n, nil
	case kindTime:
		if _, _, n, ok = readTime(b); !ok {
			return 0, errTime
		}
		return n, nil
	case kindList:
		if count, n, ok = ReadArrayHeader(b); !ok {
			return 0, errTruncated
		}
		if depth >= MaxDepth {
			return 0, errDeep
		}
		for range count {
			size, err := Skip(b[n:], depth+1)
			if err != nil {
				return 0, err
			}
			n += size
		}
		return n, nil
	case kindMap:
		if count, n, ok = ReadMapHeader(b); !ok {
			return 0, errTruncated
		}
		if depth >= MaxDepth {
			return 0, errDeep
		}
		var last []byte
		for i := range count {
			key, size, ok := ReadString(b[n:])
			if !ok {
				return 0, errKey
			}
			if i > 0 && bytes.Compare(last, key) >= 0 {
				return 0, errOrder
			}
			last = key
			n += size
			if size, err = Skip(b[n:], depth+1); err != nil {
				return 0, err
			}
			n += size
		}
		return n, nil
	}
	return 0, errCode
}

// ReadUint returns the unsigned integer at the start of b and its encoded length.
func ReadUint(b []byte) (v uint64, n int, ok bool) {
	switch {
	case len(b) == 0:
		return 0, 0, false
	case b[0] < 0x80:
		return uint64(b[0]), 1, true
	case b[0] >= 0xcc && b[0] <= 0xcf:
		return sized(b, b[0]-0xcc)
	}
	return 0, 0, false
}

// ReadBin returns the byte string at the start of b, as a part of b, and its encoded length.
func ReadBin(b []byte) (data []byte, n int, ok bool) {
	if len(b) == 0 || b[0] < 0xc4 || b[0] > 0xc6 {
		return nil, 0, false
	}
	size, n, ok := sized(b, b[0]-0xc4)
	if !ok || size > uint64(len(b)-n) {
		return nil, 0, false
	}
	return b[n : n+int(size)], n + int(size), true
}

// ReadString returns the string at the start of b, as a part of b, and its encoded length.
func ReadString(b []byte) (s []byte, n int, ok bool) {
	if len(b) == 0 {
		return nil, 0, false
	}
	if c := b[0]; c&0xe0 == 0xa0 {
		if n = 1 + int(c&0x1f); n > len(b) {
			return nil, 0, false
		}
		return b[1:n], n, true
	}
	if b[0] < 0xd9 || b[0] > 0xdb {
		return nil, 0, false
	}
	size, n, ok := sized(b, b[0]-0xd9)
	if !ok || size > uint64(len(b)-n) {
		return nil, 0, false
	}
	return b[n : n+int(size)], n + int(size), true
}

// ReadArrayHeader returns the number of elements of the list at the start of b, which is at most the number of bytes
// that follow, and the header's length.
func ReadArrayHeader(b []byte) (count, n int, ok bool) { return readHeader(b, 0x90, 0xdc, 1) }

// ReadMapHeader returns the number of pairs of the map at the start of b, which is at most half the number of bytes
// that follow, and the header's length.
func ReadMapHeader(b []byte) (count, n int, ok bool) { return readHeader(b, 0x80, 0xde, 2) }

// readHeader reads a container's header: fix is the code of an empty one, long that with a 16-bit count, each the least
// number of bytes that an entry takes.
func readHeader(b []byte, fix, long byte, each uint64) (count, n int, ok bool) {
	var size uint64
	switch {
	case len(b) == 0:
		return 0, 0, false
	case b[0]&0xf0 == fix:
		size, n = uint64(b[0]&0x0f), 1
	case b[0] == long || b[0] == long+1:
		if size, n, ok = sized(b, 1+b[0]-long); !ok {
			return 0, 0, false
		}
	default:
		return 0, 0, false
	}
	if size*each > uint64(len(b)-n) {
		return 0, 0, false
	}
	return int(size), n, true
}

// readInt returns the integer at the start of b. A negative one is returned as its two's complement.
func readInt(b []byte) (v uint64, negative bool, n int, ok bool) {
	if len(b) == 0 {
		return 0, false, 0, false
	}
	switch c := b[0]; {
	case c >= 0xe0:
		return uint64(int8(c)), true, 1, true
	case c >= 0xd0 && c <= 0xd3:
		if v, n, ok = sized(b, c-0xd0); ok {
			shift := 64 - 8<<(c-0xd0)
			v = uint64(int64(v<<shift) >> shift)
		}
		return v, int64(v) < 0, n, ok
	}
	v, n, ok = ReadUint(b)
	return v, false, n, ok
}

// readFloat returns the float at the start of b.
func readFloat(b []byte) (f float64, n int, ok bool) {
	switch {
	case len(b) >= 5 && b[0] == 0xca:
		return float64(math.Float32frombits(binary.BigEndian.Uint32(b[1:]))), 5, true
	case len(b) >= 9 && b[0] == 0xcb:
		return math.Float64frombits(binary.BigEndian.Uint64(b[1:])), 9, true
	}
	return 0, 0, false
}

// readTime returns the timestamp at the start of b. No other extension is ok.
func readTime(b []byte) (sec int64, nsec uint32, n int, ok bool) {
	if len(b) == 0 {
		return 0, 0, 0, false
	}
	var size uint64
	switch c := b[0]; {
	case c == 0xd6 || c == 0xd7:
		size, n = 4<<(c-0xd6), 1
	case c >= 0xc7 && c <= 0xc9:
		if size, n, ok = sized(b, c-0xc7); !ok {
			return 0, 0, 0, false
		}
	default:
		return 0, 0, 0, false
	}
	if size > 12 || uint64(len(b)-n) < 1+size || b[n] != 0xff {
		return 0, 0, 0, false
	}
	body := b[n+1:]
	switch n += 1 + int(size); size {
	case 4:
		sec = int64(binary.BigEndian.Uint32(body))
	case 8:
		v := binary.BigEndian.Uint64(body)
		sec, nsec = int64(v&(1<<34-1)), uint32(v>>34)
	case 12:
		sec, nsec = int64(binary.BigEndian.Uint64(body[4:])), binary.BigEndian.Uint32(body)
	default:
		return 0, 0, 0, false
	}
	return sec, nsec, n, nsec < uint32(time.Second)
}

// sized returns the big-endian number of 1<<log bytes after the code at the start of b, and the length of both.
func sized(b []byte, log byte) (v uint64, n int, ok bool) {
	n = 1 + 1<<log
	if len(b) < n {
		return 0, 0, false
	}
	switch log {
	case 0:
		v = uint64(b[1])
	case 1:
		v = uint64(binary.BigEndian.Uint16(b[1:]))
	case 2:
		v = uint64(binary.BigEndian.Uint32(b[1:]))
	default:
		v = binary.BigEndian.Uint64(b[1:])
	}
	return v, n, true
}
