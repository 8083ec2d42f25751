package cookiesession

import (
	"slices"

	"github.com/seed-50e21e88/cookiesession/internal/base64dot"
	"github.com/seed-50e21e88/cookiesession/internal/cookiename"
)

// A text is split over up to nine cookies: NAME holds one digit, their number, and the first part; NAME.1 to NAME.8
// hold a tag, which is the same for all parts of one write, and one part each (FORMAT.md, 5).
const (
	maxChunks = cookiename.MaxParts
	tagLen    = 4    // characters, of tagBytes bytes
	minTagged = 28   // characters of text in cookie 0 that are needed to read the tag
	maxLine   = 3900 // bytes of a Set-Cookie line: less than Safari's limit of 4,093, which includes attributes
)

// chunksOf returns how many cookies hold the text that begins with first, or 0 if first doesn't say.
func chunksOf(first string) int {
	if first == "" || first[0] < '1' || first[0] > '0'+maxChunks {
		return 0
	}
	return int(first[0] - '0')
}

// token joins and decodes the text of one kind that begins with first. If first can be joined to several texts, choices
// is their number, and which picks one. The reason is 0, ReasonMalformed or ReasonTorn. It decodes into storage if that
// is large enough, and allocates at most 48 bytes more than the token has.
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

// storageFor returns memory for the token of a text of n characters: storage, if it is large enough, or else new
// memory, with space behind the token for the index that values.read writes there.
func storageFor(n int, storage []byte) []byte {
	const index = 48 // bytes; with the 16 of the authentication tag enough for 32 entries
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

// A joined text consists of parts in their order. All but the last hold whole groups of four characters.
type joined struct {
	parts   [maxChunks]string
	choices int // how many texts the first part can be joined to: more than one if parts with its tag differ
}

// join finds the n parts of the text that begins with first. If several different parts of one number have its tag,
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

// alternatives are different parts that have the same number and the same tag.
type alternatives struct {
	parts     [maxCandidates + 1]string
	n         int
	misshapen bool // others are empty, or not of whole groups, which only the last part may be
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

// readTag returns the tag that the other parts of the text that begins with first have.
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

// newSplitter keeps reserved bytes of each Set-Cookie line free for the attributes.
func newSplitter(name string, reserved int) splitter {
	text := maxLine - reserved - len(name) - len("=")
	return splitter{name, (text - 1) &^ 3, (text - len(".1") - tagLen) &^ 3}
}

// count returns how many cookies a token of n bytes takes, and how many bytes they add to the Cookie header, counting
// "; " once per cookie.
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
