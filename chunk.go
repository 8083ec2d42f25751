package cookiesession

import (
	"slices"

	"github.com/seed-50e21e88/cookiesession/internal/base64dot"
	"github.com/seed-50e21e88/cookiesession/internal/cookiename"
)

// One text is spread over up to nine cookies: NAME holds one digit, their number, and the first part; NAME.1 to NAME.8
// hold a tag, by which parts of one write know each other, and a part each (FORMAT.md, 5).
const (
	maxChunks = cookiename.MaxParts
	tagLen    = 4    // characters, of tagBytes bytes
	minTagged = 28   // characters of text in cookie 0 from which the tag can be read
	maxLine   = 3900 // bytes of a Set-Cookie line: Safari counts attributes and keeps 4,093, so leave some
)

// chunksOf returns how many cookies the text takes that begins with first, or 0 if first doesn't say.
func chunksOf(first string) int {
	if first == "" || first[0] < '1' || first[0] > '0'+maxChunks {
		return 0
	}
	return int(first[0] - '0')
}

// token returns the bytes that the text of one kind beginning with first stands for. Where first can be joined to several
// texts, which picks among these choices. The reason is 0, ReasonMalformed or ReasonTorn. It decodes into storage if
// that is large enough, and never allocates more than what was received.
func (r *received) token(kind cookiename.Kind, first string, which int, storage []byte) (token []byte, choices int, reason Reason) {
	n := chunksOf(first)
	if n == 0 {
		return nil, 1, ReasonMalformed
	}
	if n == 1 {
		token, ok := decodeText(storageFor(len(first)-1, storage), first[1:])
		if !ok {
			return nil, 1, ReasonMalformed
		}
		return token, 1, 0
	}
	text, reason := r.join(kind, first[1:], n, which)
	if reason != 0 {
		return nil, 1, reason
	}
	length := 0
	for _, part := range text.parts[:n] {
		length += len(part)
	}
	token, ok := decodeText(storageFor(length, storage), text.parts[:n]...)
	if !ok {
		return nil, text.choices, ReasonMalformed
	}
	return token, text.choices, 0
}

// storageFor returns storage, or if that is too small new memory, for the token of a text of n characters. New memory has
// space behind the token where values.read notes where entries start.
func storageFor(n int, storage []byte) []byte {
	const index = 48 // bytes, for 32 entries with the 16 of the authentication tag
	if size, _ := base64dot.DecodedLen(n); size > cap(storage) {
		return make([]byte, 0, size+index)
	}
	return storage[:0]
}

// decodeText appends the token whose text is in parts, of which all but the last hold whole groups of four characters.
func decodeText(dst []byte, parts ...string) (token []byte, ok bool) {
	for _, part := range parts {
		if dst, ok = base64dot.AppendDecode(dst, part); !ok {
			return nil, false
		}
	}
	return dst, true
}

// A joined text is in parts that follow one another. All but the last hold whole groups of four characters.
type joined struct {
	parts   [maxChunks]string
	choices int // how many texts the first part can be joined to: more than one if parts with its tag differ
}

// join finds the n parts of the text beginning with first. Where several parts of one number carry the first one's tag,
// which picks among them. The reason is 0, ReasonMalformed or ReasonTorn.
func (r *received) join(kind cookiename.Kind, first string, n, which int) (j joined, reason Reason) {
	j.parts[0], j.choices = first, 1
	tag, ok := readTag(first)
	if !ok {
		return j, ReasonMalformed
	}
	for i := 1; i < n; i++ {
		fits := r.tagged(kind, i, tag, i == n-1)
		if fits.n == 0 {
			if fits.misshapen {
				return j, ReasonMalformed
			}
			return j, ReasonTorn
		}
		j.parts[i] = fits.parts[which%fits.n]
		which /= fits.n
		j.choices = min(j.choices*fits.n, maxCandidates+1)
	}
	return j, 0
}

// alternatives are distinct parts of one number that carry one tag.
type alternatives struct {
	parts     [maxCandidates + 1]string
	n         int
	misshapen bool // others are empty, or not of whole groups though not the last
}

func (r *received) tagged(kind cookiename.Kind, i int, tag [tagLen]byte, last bool) (a alternatives) {
	for k := range r.cookies {
		c := &r.cookies[k]
		if c.kind != kind || int(c.part) != i || len(c.value) < tagLen || c.value[:tagLen] != string(tag[:]) {
			continue
		}
		part := c.value[tagLen:]
		switch {
		case part == "" || !last && len(part)%4 != 0:
			a.misshapen = true
		case a.n < len(a.parts) && !slices.Contains(a.parts[:a.n], part):
			a.parts[a.n] = part
			a.n++
		}
	}
	return a
}

// readTag returns the tag that the other parts of the text beginning with first carry.
func readTag(first string) (tag [tagLen]byte, ok bool) {
	if len(first) < minTagged || len(first)%4 != 0 {
		return tag, false
	}
	var token [minTagged / 4 * 3]byte
	if _, ok := base64dot.AppendDecode(token[:0], first[:minTagged]); !ok {
		return tag, false
	}
	return tagOf(token[:]), true
}

// tagOf returns the text of a token's tag.
func tagOf(token []byte) (tag [tagLen]byte) {
	base64dot.AppendEncode(tag[:0], token[tagStart:tagStart+tagBytes])
	return tag
}

// A splitter knows how much of a text fits into each cookie of one compartment.
type splitter struct {
	name         string
	first, other int // characters of text in cookie 0 and in cookies 1 to 8, whole groups of four
}

// newSplitter leaves reserved bytes of each Set-Cookie line to what follows name and value.
func newSplitter(name string, reserved int) splitter {
	text := maxLine - reserved - len(name) - len("=")
	return splitter{name, (text - 1) &^ 3, (text - len(".1") - tagLen) &^ 3}
}

// count returns how many cookies a token of n bytes takes, and what they add to the Cookie header with "; " counted once
// a cookie.
func (s *splitter) count(n int) (cookies, size int) {
	text := base64dot.EncodedLen(n)
	cookies = 1
	if text > s.first {
		cookies += (text - s.first + s.other - 1) / s.other
	}
	size = cookies*(len(s.name)+len("=; ")) + len("1") + text + (cookies-1)*(len(".1")+tagLen)
	return cookies, size
}

// full returns what the largest token in maxChunks cookies adds to the Cookie header.
func (s *splitter) full() int {
	_, size := s.count((s.first + (maxChunks-1)*s.other) / 4 * 3)
	return size
}

// split appends name and value of cookie i of the n that token takes.
func (s *splitter) split(dst, token []byte, i, n int) []byte {
	dst = s.appendName(dst, i)
	dst = append(dst, '=')
	from, bytes := 0, s.first/4*3
	if i == 0 {
		dst = append(dst, byte('0'+n))
	} else {
		tag := tagOf(token)
		dst = append(dst, tag[:]...)
		from, bytes = bytes+(i-1)*(s.other/4*3), s.other/4*3
	}
	return base64dot.AppendEncode(dst, token[from:min(from+bytes, len(token))])
}

// appendName appends the name of cookie i.
func (s *splitter) appendName(dst []byte, i int) []byte {
	return cookiename.AppendPart(append(dst, s.name...), i)
}
