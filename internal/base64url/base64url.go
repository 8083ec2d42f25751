// Package base64url encodes and decodes base64 in the alphabet for URLs and file names, without padding (RFC 4648,
// section 5), and strictly: every byte string has exactly one text, and whatever isn't that text is refused. There are
// no exceptions for line breaks, for '=' or for unused bits that aren't zero (sections 3.2, 3.3 and 3.5).
//
// It looks up tables at indexes that depend on the data, so its timing can tell what passes through it. Use it for what
// is public anyway, such as ciphertext, never for keys or plaintext. On amd64, assembly does most of the
// work; build with the tag purego to do without.
//
// All functions are safe for concurrent use.
package base64url

import (
	"encoding/binary"
	"slices"
)

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// pairs holds the two characters that stand for 12 bits, the first in the low byte.
var pairs = func() (t [1 << 12]uint16) {
	for i := range t {
		t[i] = uint16(alphabet[i>>6]) | uint16(alphabet[i&63])<<8
	}
	return t
}()

// values holds, for each of the four places in a group of characters, the character's six bits where they belong in the
// group's 24. What isn't in the alphabet sets a bit above those.
var values = func() (t [4][256]uint32) {
	for place := range t {
		for c := range t[place] {
			t[place][c] = 1 << 24
		}
		for i := range len(alphabet) {
			t[place][alphabet[i]] = uint32(i) << (18 - 6*place)
		}
	}
	return t
}()

// accelerated tells whether decodeBlocks and encodeBlocks do anything.
var accelerated = hasSSSE3()

// EncodedLen returns the number of characters that encode n bytes.
func EncodedLen(n int) int {
	return n/3*4 + (n%3*4+2)/3
}

// DecodedLen returns the number of bytes that n characters encode, or false if no text has that length.
func DecodedLen(n int) (int, bool) {
	return n/4*3 + n%4*3/4, n%4 != 1
}

// AppendEncode appends the text of src to dst and returns the extended buffer. The two must not overlap.
func AppendEncode(dst, src []byte) []byte {
	n := EncodedLen(len(src))
	dst = slices.Grow(dst, n)[:len(dst)+n]
	encode(dst[len(dst)-n:], src)
	return dst
}

// encode fills out, which has exactly the length of src's text. Like decode, it is a function of its own because the
// compiler then keeps what the loop needs in registers.
func encode(out, src []byte) {
	n := encodeBlocks(out, src)
	out, src = out[16*n:], src[12*n:]
	t := &pairs
	// Each load takes eight bytes and uses six. Two at a time keep the processor busier than one.
	for len(src) >= 14 && len(out) >= 16 {
		a, b := binary.BigEndian.Uint64(src), binary.BigEndian.Uint64(src[6:])
		binary.LittleEndian.PutUint64(out, uint64(t[a>>52])|
			uint64(t[a>>40&0xfff])<<16|uint64(t[a>>28&0xfff])<<32|uint64(t[a>>16&0xfff])<<48)
		binary.LittleEndian.PutUint64(out[8:], uint64(t[b>>52])|
			uint64(t[b>>40&0xfff])<<16|uint64(t[b>>28&0xfff])<<32|uint64(t[b>>16&0xfff])<<48)
		src, out = src[12:], out[16:]
	}
	for len(src) >= 3 && len(out) >= 4 {
		v := uint32(src[0])<<16 | uint32(src[1])<<8 | uint32(src[2])
		binary.LittleEndian.PutUint32(out, uint32(t[v>>12])|uint32(t[v&0xfff])<<16)
		src, out = src[3:], out[4:]
	}
	switch len(src) {
	case 1:
		binary.LittleEndian.PutUint16(out, t[uint32(src[0])<<4])
	case 2:
		v := uint32(src[0])<<8 | uint32(src[1])
		binary.LittleEndian.PutUint16(out, t[v>>4])
		out[2] = alphabet[v<<2&63]
	}
}

// AppendDecode appends the bytes that src encodes to dst and returns the extended buffer. If src isn't the text of any
// byte string, it returns dst as it was and false; the spare capacity of dst may have been written to.
//
// A text that comes in parts can be decoded by one call for each, if all parts but the last hold whole groups of four
// characters.
func AppendDecode(dst []byte, src string) ([]byte, bool) {
	n, ok := DecodedLen(len(src))
	if !ok {
		return dst, false
	}
	grown := slices.Grow(dst, n)[:len(dst)+n]
	if !decode(grown[len(dst):], src) {
		return dst, false
	}
	return grown, true
}

// decode fills out, which has exactly the length that src decodes to, and reports whether src is strict.
func decode(out []byte, src string) bool {
	n, ok := decodeBlocks(out, src)
	if !ok {
		return false
	}
	out, src = out[12*n:], src[16*n:]
	// The bits of all groups gather in seen, so that one check at the end finds any foreign character.
	t, seen := &values, uint32(0)
	// Each store writes eight bytes of which six stay: the next one overwrites the rest.
	for len(src) >= 16 && len(out) >= 14 {
		a := t[0][src[0]] | t[1][src[1]] | t[2][src[2]] | t[3][src[3]]
		b := t[0][src[4]] | t[1][src[5]] | t[2][src[6]] | t[3][src[7]]
		binary.BigEndian.PutUint64(out, uint64(a)<<40|uint64(b)<<16)
		seen |= a | b
		a = t[0][src[8]] | t[1][src[9]] | t[2][src[10]] | t[3][src[11]]
		b = t[0][src[12]] | t[1][src[13]] | t[2][src[14]] | t[3][src[15]]
		binary.BigEndian.PutUint64(out[6:], uint64(a)<<40|uint64(b)<<16)
		seen |= a | b
		src, out = src[16:], out[12:]
	}
	for len(src) >= 4 && len(out) >= 3 {
		v := t[0][src[0]] | t[1][src[1]] | t[2][src[2]] | t[3][src[3]]
		out[0], out[1], out[2] = byte(v>>16), byte(v>>8), byte(v)
		seen |= v
		src, out = src[4:], out[3:]
	}
	// In an incomplete group, the bits below the last whole byte must be zero: they are moved to where foreign
	// characters show.
	switch len(src) {
	case 2:
		v := t[0][src[0]] | t[1][src[1]]
		out[0] = byte(v >> 16)
		seen |= v | v<<16
	case 3:
		v := t[0][src[0]] | t[1][src[1]] | t[2][src[2]]
		out[0], out[1] = byte(v>>16), byte(v>>8)
		seen |= v | v<<24
	}
	return seen < 1<<24
}
