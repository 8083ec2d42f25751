// Package base64dot encodes and decodes the text that cookies and tokens are written in: base64url (RFC 4648, section
// 5) with '.' in the place of '-', without padding. Two '-' in a row look like an SQL comment to web application
// firewalls, which then refuse the request. Decoding is strict: every byte string has exactly one text, and whatever
// isn't that text is refused, without exceptions for line breaks, for '=' or for unused bits that aren't zero (sections
// 3.2, 3.3 and 3.5).
//
// It uses the data as indexes of tables, so its timing can reveal them. Use it for what is public anyway, such as
// ciphertext, never for keys or plaintext. All functions are safe for concurrent use.
package base64dot

import (
	"encoding/binary"
	"slices"
)

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._"

// pairs holds the two characters that stand for 12 bits, the first in the low byte.
var pairs = func() (t [1 << 12]uint16) {
	for i := range t {
		t[i] = uint16(alphabet[i>>6]) | uint16(alphabet[i&63])<<8
	}
	return t
}()

const foreign = 1 << 24 // a bit above a group's 24, set for characters outside the alphabet

// values holds, for each of the four places in a group, each character's six bits, shifted to where they belong in the
// group's 24.
var values = func() (t [4][256]uint32) {
	for place := range t {
		for c := range t[place] {
			t[place][c] = foreign
		}
		for i := range len(alphabet) {
			t[place][alphabet[i]] = uint32(i) << (18 - 6*place)
		}
	}
	return t
}()

// EncodedLen returns the number of characters that encode n bytes.
func EncodedLen(n int) int { return n/3*4 + (n%3*4+2)/3 }

// DecodedLen returns the number of bytes that n characters encode, or false if no text has that length.
func DecodedLen(n int) (int, bool) { return n/4*3 + n%4*3/4, n%4 != 1 }

// AppendEncode appends the text of src to dst and returns the extended buffer. The two must not overlap.
func AppendEncode(dst, src []byte) []byte {
	n := EncodedLen(len(src))
	dst = slices.Grow(dst, n)[:len(dst)+n]
	encode(dst[len(dst)-n:], src)
	return dst
}

// encode fills out, which has exactly the length of src's text.
func encode(out, src []byte) {
	t := &pairs
	// Each load reads eight bytes and uses six. Here and in decode, a round needs more than it takes: so the compiler
	// knows that no slice becomes empty, and omits the code that keeps a pointer inside its memory.
	for len(src) > 14 && len(out) > 16 {
		a, b := binary.BigEndian.Uint64(src), binary.BigEndian.Uint64(src[6:])
		binary.LittleEndian.PutUint16(out, t[a>>52])
		binary.LittleEndian.PutUint16(out[2:], t[a>>40&0xfff])
		binary.LittleEndian.PutUint16(out[4:], t[a>>28&0xfff])
		binary.LittleEndian.PutUint16(out[6:], t[a>>16&0xfff])
		binary.LittleEndian.PutUint16(out[8:], t[b>>52])
		binary.LittleEndian.PutUint16(out[10:], t[b>>40&0xfff])
		binary.LittleEndian.PutUint16(out[12:], t[b>>28&0xfff])
		binary.LittleEndian.PutUint16(out[14:], t[b>>16&0xfff])
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
		binary.LittleEndian.PutUint16(out, t[uint32(src[0])<<4|uint32(src[1])>>4])
		out[2] = alphabet[src[1]<<2&63]
	}
}

// AppendDecode appends the bytes that src encodes to dst and returns the extended buffer. If src isn't the text of any
// byte string, it returns dst as it was and false, and may have written to the spare capacity that it would have used.
// A text in parts can be decoded by one call for each, if all parts but the last hold whole groups of four characters.
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

// decode fills out, which has exactly the length that src decodes to, and reports whether src is a strict encoding. The
// bits of all groups are collected in seen, so that one check at the end finds any foreign character.
func decode(out []byte, src string) bool {
	t, seen := &values, uint32(0)
	for len(src) > 16 && len(out) > 12 {
		a := t[0][src[0]] | t[1][src[1]] | t[2][src[2]] | t[3][src[3]]
		b := t[0][src[4]] | t[1][src[5]] | t[2][src[6]] | t[3][src[7]]
		c := t[0][src[8]] | t[1][src[9]] | t[2][src[10]] | t[3][src[11]]
		d := t[0][src[12]] | t[1][src[13]] | t[2][src[14]] | t[3][src[15]]
		binary.BigEndian.PutUint64(out, uint64(a)<<40|uint64(b)<<16|uint64(c)>>8)
		binary.BigEndian.PutUint32(out[8:], c<<24|d)
		seen |= a | b | c | d
		src, out = src[16:], out[12:]
	}
	for len(src) >= 4 && len(out) >= 3 {
		v := t[0][src[0]] | t[1][src[1]] | t[2][src[2]] | t[3][src[3]]
		out[0], out[1], out[2] = byte(v>>16), byte(v>>8), byte(v)
		seen |= v
		src, out = src[4:], out[3:]
	}
	// In an incomplete group, the bits below the last whole byte must be zero: they are shifted to where foreign
	// characters are found.
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
	return seen < foreign
}
