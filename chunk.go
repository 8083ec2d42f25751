package cookiesession

import (
	"iter"
	"net/textproto"
	"slices"
	"strings"

	"github.com/seed-50e21e88/cookiesession/internal/base64dot"
)

// One text is spread over up to nine cookies: NAME holds one digit, their number, and the first part; NAME.1 to NAME.8
// hold a tag, by which parts of one write know each other, and a part each (FORMAT.md, 5).
const (
	maxChunks     = 9
	tagLen        = 4    // characters of text, of tagBytes bytes
	minTagged     = 28   // characters of text in cookie 0 from which the tag can be read
	maxLine       = 3900 // bytes of a Set-Cookie line: Safari counts attributes and keeps 4,093, so leave room
	maxCandidates = 4    // texts that may be tried per compartment and request
	maxNumbered   = 32   // numbered cookies of one compartment that are looked at: all that so many texts can have
)

// ownCookies yields the cookies of a request whose name is name or starts with name and a dot: what follows name, and
// the value. It reads the header as net/http does: of a value in quotes, what stands between them (RFC 6265, 4.1.1), since
// Java's CookieManager sends cookies that have Max-Age so.
func ownCookies(lines []string, name string) iter.Seq2[string, string] {
	return func(yield func(suffix, value string) bool) {
		for _, line := range lines {
			for from := 0; ; {
				// Looking for the name first makes others' cookies nearly free.
				i := strings.Index(line[from:], name)
				if i < 0 {
					break
				}
				i += from
				from = i + len(name)
				if before := trimRight(line[:i]); before != "" && before[len(before)-1] != ';' {
					continue // in the middle of another name or value
				}
				end := len(line)
				if n := strings.IndexByte(line[from:], ';'); n >= 0 {
					end = from + n
				}
				rest, value, _ := strings.Cut(trimRight(line[from:end]), "=")
				from = end
				suffix := textproto.TrimString(rest)
				if suffix != "" && rest[0] != '.' {
					continue
				}
				if !yield(suffix, unquote(value)) {
					return
				}
			}
		}
	}
}

func unquote(value string) string {
	if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
		return value[1 : len(value)-1]
	}
	return value
}

// trimRight cuts what net/http cuts from the ends of cookies: textproto.TrimString does it at both.
func trimRight(s string) string {
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t' || s[len(s)-1] == '\r' || s[len(s)-1] == '\n') {
		s = s[:len(s)-1]
	}
	return s
}

// A chunkSet is what a request brought of one compartment. Everything in it comes from the visitor.
type chunkSet struct {
	heads     [maxCandidates]string // distinct values of cookie 0, in the order in which they came
	nHeads    int
	numbered  [maxChunks - 1]numbered // in the order in which they came
	more      []numbered              // those for which numbered has no room
	nNumbered int
	came      nameSet
	tooMany   bool // more heads or numbered cookies than are looked at
	fewWillDo bool // so that too many refuse nothing
	siblings  siblings

	room []byte // for the bytes of the first token, if there is enough
}

// siblings says which cookies came whose names go on after the session cookie's with a dot and a word.
type siblings struct{ flash, lease, ended bool }

// numbered is cookie i, for i from 1 to 8.
type numbered struct {
	i     int
	value string
}

// A nameSet has bit i set if cookie i of a compartment is meant.
type nameSet uint16

func (s nameSet) has(i int) bool { return s>>i&1 != 0 }

// collect finds the cookies whose names are name and infix, and numbers behind that. It does a bounded amount of work
// for each cookie and keeps a bounded number. It's cheaper to look for name, and then for infix, than for both at once,
// because no values are searched of cookies that have the name.
func (c *chunkSet) collect(lines []string, name, infix string) {
	for suffix, value := range ownCookies(lines, name) {
		if infix != "" {
			rest, ok := strings.CutPrefix(suffix, infix)
			if !ok {
				continue
			}
			suffix = rest
		}
		switch {
		case suffix == "":
			c.came |= 1
			c.addHead(value)
		case len(suffix) == 2 && suffix[0] == '.' && suffix[1] >= '1' && suffix[1] < '0'+maxChunks:
			i := int(suffix[1] - '0')
			c.came |= 1 << i
			if c.nNumbered == maxNumbered {
				c.tooMany = true
				continue
			}
			if c.nNumbered < len(c.numbered) {
				c.numbered[c.nNumbered] = numbered{i, value}
			} else {
				c.more = append(c.more, numbered{i, value})
			}
			c.nNumbered++
		case strings.HasPrefix(suffix, flashInfix):
			c.siblings.flash = true
		case strings.HasPrefix(suffix, leaseInfix):
			c.siblings.lease = true
		case strings.HasPrefix(suffix, endedInfix):
			c.siblings.ended = true
		}
	}
}

func (c *chunkSet) addHead(value string) {
	if slices.Contains(c.heads[:c.nHeads], value) {
		return
	}
	if c.nHeads == maxCandidates {
		c.tooMany = true
		return
	}
	c.heads[c.nHeads] = value
	c.nHeads++
}

// chunksOf returns how many cookies the text takes that begins with head, or 0 if head doesn't say.
func chunksOf(head string) int {
	if head == "" || head[0] < '1' || head[0] > '0'+maxChunks {
		return 0
	}
	return int(head[0] - '0')
}

// token returns the bytes that the text beginning with head stands for. Where head can be joined to several texts,
// which picks among these choices. The reason is 0, ReasonMalformed or ReasonTorn. It allocates no more than what came.
func (c *chunkSet) token(head string, which int) (token []byte, choices int, reason Reason) {
	n := chunksOf(head)
	if n == 0 {
		return nil, 1, ReasonMalformed
	}
	if n == 1 {
		if token, ok := c.decode(head[1:]); ok {
			return token, 1, 0
		}
		return nil, 1, ReasonMalformed
	}
	text, reason := c.join(head[1:], n, which)
	if reason != 0 {
		return nil, 1, reason
	}
	token, ok := text.decode()
	if !ok {
		return nil, text.choices, ReasonMalformed
	}
	return token, text.choices, 0
}

// decode returns the token of a text that is in one part.
func (c *chunkSet) decode(text string) (token []byte, ok bool) {
	room := c.room
	c.room = nil
	if n, _ := base64dot.DecodedLen(len(text)); n > cap(room) {
		room = make([]byte, 0, n)
	}
	return base64dot.AppendDecode(room, text)
}

// part returns the kth numbered cookie that came.
func (c *chunkSet) part(k int) numbered {
	if k < len(c.numbered) {
		return c.numbered[k]
	}
	return c.more[k-len(c.numbered)]
}

// A joined text is in parts that follow one another. All but the last hold whole groups of four characters.
type joined struct {
	parts   [maxChunks]string
	n       int
	choices int // how many texts the first part can be joined to: more than one if parts with its tag differ
}

// join puts the parts together, n of them and more than one, of which first is the first. Where several parts of one
// number carry the first one's tag, which picks among them. The reason is 0, ReasonMalformed or ReasonTorn.
func (c *chunkSet) join(first string, n, which int) (j joined, reason Reason) {
	j.n, j.choices = n, 1
	j.parts[0] = first
	tag, ok := readTag(first)
	if !ok {
		return j, ReasonMalformed
	}
	for i := 1; i < j.n; i++ {
		fits := c.tagged(i, tag, i == j.n-1)
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

func (c *chunkSet) tagged(i int, tag [tagLen]byte, last bool) (a alternatives) {
	for k := range c.nNumbered {
		cookie := c.part(k)
		if cookie.i != i || len(cookie.value) < tagLen || cookie.value[:tagLen] != string(tag[:]) {
			continue
		}
		part := cookie.value[tagLen:]
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

func tagOf(token []byte) (tag [tagLen]byte) {
	base64dot.AppendEncode(tag[:0], token[tagStart:tagStart+tagBytes])
	return tag
}

// decode returns the token that the text stands for.
func (j *joined) decode() (token []byte, ok bool) {
	length := 0
	for _, part := range j.parts[:j.n] {
		length += len(part)
	}
	token = make([]byte, 0, length/4*3+2)
	for _, part := range j.parts[:j.n] {
		if token, ok = base64dot.AppendDecode(token, part); !ok {
			return nil, false
		}
	}
	return token, true
}

// A splitter knows how much of a text fits into each cookie of one compartment.
type splitter struct {
	name        string
	head, other int // characters of text in cookie 0 and in cookies 1 to 8, whole groups of four
}

// newSplitter leaves room bytes of each Set-Cookie line to what follows name and value.
func newSplitter(name string, room int) splitter {
	text := maxLine - room - len(name) - len("=")
	return splitter{name, (text - 1) &^ 3, (text - len(".1") - tagLen) &^ 3}
}

// count returns how many cookies a token of n bytes takes, and what they add to the Cookie header with "; " counted once a cookie.
func (s *splitter) count(n int) (cookies, size int) {
	text := base64dot.EncodedLen(n)
	cookies = 1
	if text > s.head {
		cookies += (text - s.head + s.other - 1) / s.other
	}
	size = cookies*(len(s.name)+len("=; ")) + len("1") + text + (cookies-1)*(len(".1")+tagLen)
	return cookies, size
}

// full returns what the largest token in maxChunks cookies adds to the Cookie header.
func (s *splitter) full() int {
	_, size := s.count((s.head + (maxChunks-1)*s.other) / 4 * 3)
	return size
}

// appendChunk appends name and value of cookie i of n that token is split over.
func (s *splitter) appendChunk(dst, token []byte, i, n int) []byte {
	dst = appendName(dst, s.name, i)
	dst = append(dst, '=')
	from, bytes := 0, s.head/4*3
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
func appendName(dst []byte, name string, i int) []byte {
	dst = append(dst, name...)
	if i > 0 {
		dst = append(dst, '.', byte('0'+i))
	}
	return dst
}
