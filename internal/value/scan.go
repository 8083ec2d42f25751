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
	errDeep      = errors.New("cookiesession: malformed value: nested too deeply")
	errKey       = errors.New("cookiesession: malformed value: a map key is not a string")
	errOrder     = errors.New("cookiesession: malformed value: map keys are not in ascending order, or not distinct")
	errMore      = errors.New("cookiesession: malformed value: bytes follow it")
)

// sizes holds, by code, the length of values of which the code alone tells it, and 0 for others.
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
// length is compared with what remains of b before anything is read, and nothing is allocated.
//
// The other functions that take encoded values rely on Skip having accepted them.
func Skip(b []byte, depth int) (n int, err error) { return skip(b, 0, depth) }

// skip is Skip for the value at b[at], and returns where it ends.
//
// Apart from decryption, the loops that check values one after the other take most of the time of opening a session.
// That is why positions are compared in a form that lets the compiler omit its own checks, and why rare cases are in
// other functions: a loop with few calls keeps its variables in registers.
func skip(b []byte, at, depth int) (end int, err error) {
	if uint(at) >= uint(len(b)) {
		return 0, errTruncated
	}
	if size := int(sizes[b[at]]); size > 0 {
		if end = at + size; end > len(b) {
			return 0, errTruncated
		}
		return end, nil
	}
	return skipUnsized(b, at, depth)
}

// skipUnsized is skip for values for which sizes has 0; b[at] must exist.
func skipUnsized(b []byte, at, depth int) (end int, err error) {
	switch c := b[at]; {
	case c&0xf0 == 0x80:
		return skipEntries(b, at+1, int(c&0x0f), depth, nil)
	case c&0xf0 == 0x90:
		return skipElements(b, at+1, int(c&0x0f), depth)
	case c == 0xd9 && at+1 < len(b): // a string of up to 255 bytes
		if end = at + 2 + int(b[at+1]); end > len(b) {
			return 0, errTruncated
		}
		return end, nil
	}
	return skipLong(b, at, depth)
}

// skipLong is skipUnsized for values whose length, or number of entries, isn't in the code.
func skipLong(b []byte, at, depth int) (end int, err error) {
	var count, n int
	var ok bool
	switch kindOf(b[at:]) {
	case kindMap:
		if count, n, ok = ReadMapHeader(b[at:]); ok {
			return skipEntries(b, at+n, count, depth, nil)
		}
	case kindList:
		if count, n, ok = ReadArrayHeader(b[at:]); ok {
			return skipElements(b, at+n, count, depth)
		}
	case kindString:
		_, n, ok = ReadString(b[at:])
	case kindBytes:
		_, n, ok = ReadBin(b[at:])
	case kindTime:
		if _, _, n, ok = readTime(b[at:]); !ok {
			return 0, errTime
		}
	default:
		return 0, errCode
	}
	if !ok {
		return 0, errTruncated
	}
	return at + n, nil
}

// Starts says where each entry of a map starts, counted from the end of the map's header. Two bytes for each let it fit
// into a little spare memory.
type Starts []byte

// Len returns the number of entries.
func (s Starts) Len() int { return len(s) / 2 }

// At returns where entry i starts.
func (s Starts) At(i int) int { return int(binary.BigEndian.Uint16(s[2*i:])) }

// Entries checks the map at the start of b as Skip does. It returns its length, that of its header, and where each
// entry starts, counted from the header's end, in storage if that is large enough. A map longer than 65,535 bytes is
// refused.
func Entries(b []byte, depth int, storage []byte) (n, header int, starts Starts, err error) {
	count, header, ok := ReadMapHeader(b)
	if !ok || len(b) > math.MaxUint16 {
		return 0, 0, nil, errTruncated
	}
	if cap(storage) < 2*count {
		storage = make([]byte, 2*count) // b is long enough for so many
	}
	starts = Starts(storage[:0])
	n, err = skipEntries(b[header:], 0, count, depth, &starts)
	return header + n, header, starts, err
}

// skipEntries checks the count entries of a map that start at b[at], and returns where they end. depth is that of the
// container that holds the map. It appends to starts, if that isn't nil, where each entry starts.
func skipEntries(b []byte, at, count, depth int, starts *Starts) (end int, err error) {
	if depth >= MaxDepth {
		return 0, errDeep
	}
	var before uint64 // the last key's prefix
	last := -1        // where that key is
	for range count {
		if starts != nil {
			*starts = binary.BigEndian.AppendUint16(*starts, uint16(at))
		}
		start, keyEnd := shortKey(b, at)
		if keyEnd == 0 {
			if start, keyEnd, err = longKey(b, at); err != nil {
				return 0, err
			}
		}
		if start <= before && last >= 0 && (start < before || !ascending(b, last, at)) {
			return 0, errOrder
		}
		before, last, at = start, at, keyEnd
		if uint(at) >= uint(len(b)) {
			return 0, errTruncated
		}
		if size := int(sizes[b[at]]); size > 0 {
			at += size
		} else if at, err = skipUnsized(b, at, depth+1); err != nil {
			return 0, err
		}
	}
	if at > len(b) {
		return 0, errTruncated
	}
	return at, nil
}

// shortKey returns the prefix of the key at b[at], and where the key ends. The end is 0 if the key is longer than 31
// bytes, or isn't a string, or if fewer than eight bytes follow its code.
func shortKey(b []byte, at int) (start uint64, end int) {
	if at >= 0 && at < len(b)-8 && b[at]&0xe0 == 0xa0 {
		size := b[at] & 0x1f
		return binary.BigEndian.Uint64(b[at+1:]) & prefixes[size], at + 1 + int(size)
	}
	return 0, 0
}

// longKey is shortKey for every key.
func longKey(b []byte, at int) (start uint64, end int, err error) {
	if at >= len(b) {
		return 0, 0, errTruncated
	}
	key, n, ok := ReadString(b[at:])
	if !ok {
		return 0, 0, errKey
	}
	return prefix(key), at + n, nil
}

// ascending reports whether the key at b[last] is less than the one at b[at], or the latter is cut off, which is found
// later.
func ascending(b []byte, last, at int) bool {
	one, _, _ := ReadString(b[last:])
	other, _, whole := ReadString(b[at:])
	return !whole || bytes.Compare(one, other) < 0
}

// skipElements is skipEntries for a list.
func skipElements(b []byte, at, count, depth int) (end int, err error) {
	if depth >= MaxDepth {
		return 0, errDeep
	}
	for range count {
		if uint(at) >= uint(len(b)) {
			return 0, errTruncated
		}
		if size := int(sizes[b[at]]); size > 0 {
			at += size
		} else if at, err = skipUnsized(b, at, depth+1); err != nil {
			return 0, err
		}
	}
	if at > len(b) {
		return 0, errTruncated
	}
	return at, nil
}

// prefixes[n] is the mask of the bytes, of eight, that belong to a string of n bytes.
var prefixes = func() (p [32]uint64) {
	for n := range p {
		p[n] = ^uint64(0) << max(64-8*n, 0)
	}
	return p
}()

// prefix returns the first eight bytes of s, padded with zeros, as a number. Two strings have the order of their
// prefixes, unless these are equal.
func prefix(s []byte) uint64 {
	var word [8]byte
	copy(word[:], s)
	return binary.BigEndian.Uint64(word[:])
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
	return readBody(b, 0xc4)
}

// ReadString returns the string at the start of b, as a part of b, and its encoded length.
func ReadString(b []byte) (s []byte, n int, ok bool) {
	if len(b) == 0 || b[0]&0xe0 != 0xa0 {
		return readBody(b, 0xd9)
	}
	if n = 1 + int(b[0]&0x1f); n > len(b) {
		return nil, 0, false
	}
	return b[1:n], n, true
}

// readBody reads a string or a byte string; code is that of one with an 8-bit length.
func readBody(b []byte, code byte) (body []byte, n int, ok bool) {
	if len(b) == 0 || b[0] < code || b[0] > code+2 {
		return nil, 0, false
	}
	size, n, ok := sized(b, b[0]-code)
	if !ok || size > uint64(len(b)-n) {
		return nil, 0, false
	}
	return b[n : n+int(size)], n + int(size), true
}

// ReadArrayHeader returns the number of elements of the list at the start of b, and the header's length. The number is
// at most that of the bytes that follow.
func ReadArrayHeader(b []byte) (count, n int, ok bool) { return readHeader(b, 0x90, 0xdc, 1) }

// ReadMapHeader returns the number of pairs of the map at the start of b, and the header's length. The number is at most
// half of that of the bytes that follow.
func ReadMapHeader(b []byte) (count, n int, ok bool) { return readHeader(b, 0x80, 0xde, 2) }

// readHeader reads a container's header. short is the code of an empty one, long that of one with a 16-bit count, and
// each the number of bytes that an entry takes at least.
func readHeader(b []byte, short, long byte, each uint64) (count, n int, ok bool) {
	var size uint64
	switch {
	case len(b) == 0:
		return 0, 0, false
	case b[0]&0xf0 == short:
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

// readInt returns the integer at the start of b, a negative one as its two's complement.
func readInt(b []byte) (v uint64, negative bool, n int, ok bool) {
	if len(b) == 0 || b[0] < 0xd0 || b[0] > 0xd3 && b[0] < 0xe0 {
		v, n, ok = ReadUint(b)
		return v, false, n, ok
	}
	if b[0] >= 0xe0 {
		return uint64(int8(b[0])), true, 1, true
	}
	if v, n, ok = sized(b, b[0]-0xd0); ok {
		shift := 72 - 8*n
		v = uint64(int64(v<<shift) >> shift)
	}
	return v, int64(v) < 0, n, ok
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

// readTime returns the timestamp at the start of b; no other extension is ok.
func readTime(b []byte) (sec int64, nsec uint32, n int, ok bool) {
	var size uint64
	switch {
	case len(b) == 0:
		return 0, 0, 0, false
	case b[0] == 0xd6 || b[0] == 0xd7:
		size, n = 4<<(b[0]-0xd6), 1
	case b[0] >= 0xc7 && b[0] <= 0xc9:
		if size, n, ok = sized(b, b[0]-0xc7); !ok {
			return 0, 0, 0, false
		}
	default:
		return 0, 0, 0, false
	}
	if uint64(len(b)-n) <= size || b[n] != 0xff {
		return 0, 0, 0, false
	}
	body := b[n+1:]
	switch size {
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
	return sec, nsec, n + 1 + int(size), nsec < uint32(time.Second)
}

// sized returns the big-endian number of 1<<log bytes that follows the code at the start of b, and the length of both.
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
