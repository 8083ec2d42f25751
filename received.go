package cookiesession

import (
	"iter"
	"net/textproto"
	"slices"
	"strings"

	"github.com/seed-50e21e88/cookiesession/internal/cookiename"
)

// received is what one pass over a request's Cookie header found, sorted by kind. Everything in it comes from the
// visitor, so it keeps a bounded number of cookies, whatever was sent. Markers of ended sessions are not kept, only
// that some were received: there may be any number, and few requests look at them (see endedMarkers).
type received struct {
	cookies []receivedCookie // the first cookies of texts, and parts, in the order of the header
	names   [cookiename.Kinds]nameSet
	crowded [cookiename.Kinds]bool // more were received than are kept
	parts   [cookiename.Kinds]uint8
	firsts  [cookiename.Kinds]uint8
}

type receivedCookie struct {
	value  string
	kind   cookiename.Kind
	part   uint8  // 0 for the cookie that a text begins with
	origin origin // from the cookie's name, if its kind is tagged
}

const (
	maxCandidates = 4  // texts that may be tried per compartment and request
	maxNumbered   = 32 // numbered cookies kept of one compartment: as many as maxCandidates texts can have
	maxTagged     = 16 // device cookies that are kept, and proofs: a login deletes those of other origins
)

// A nameSet has bit i set if cookie i of a compartment is meant.
type nameSet uint16

func (s nameSet) has(i int) bool { return s>>i&1 != 0 }

// receive sorts the cookies in header whose name is name, or starts with name and a dot. It uses storage as long as
// they fit.
func receive(header, name string, storage []receivedCookie) received {
	r := received{cookies: storage[:0]}
	for suffix, value := range cookiesNamed(header, name) {
		kind, part, tag := cookiename.Parse(suffix)
		if kind == cookiename.Other {
			continue
		}
		c := receivedCookie{value: value, kind: kind, part: uint8(part)}
		most := uint8(maxCandidates)
		if tag != "" {
			c.origin, _ = cookiename.ParseTag(tag)
			most = maxTagged
		}
		r.names[kind] |= 1 << part
		switch {
		case kind == cookiename.Ended || kind == cookiename.Here:
			continue
		case part > 0:
			if r.parts[kind] == maxNumbered {
				r.crowded[kind] = true
				continue
			}
			r.parts[kind]++
		case r.holds(c):
			continue
		case r.firsts[kind] == most:
			r.crowded[kind] = true
			continue
		default:
			r.firsts[kind]++
		}
		r.cookies = append(r.cookies, c)
	}
	return r
}

// holds reports whether an equal first cookie is kept already.
func (r *received) holds(first receivedCookie) bool {
	return r.firsts[first.kind] > 0 && slices.Contains(r.cookies, first)
}

// only returns what was received of one kind, in memory of its own.
func (r *received) only(kind cookiename.Kind) received {
	of := received{crowded: r.crowded}
	for _, c := range r.cookies {
		if c.kind == kind {
			of.cookies = append(of.cookies, c)
		}
	}
	return of
}

// first returns the first of the cookies that a text of this kind begins with, or "".
func (r *received) first(kind cookiename.Kind) string {
	for i := range r.cookies {
		if c := &r.cookies[i]; c.kind == kind && c.part == 0 {
			return c.value
		}
	}
	return ""
}

// size returns how many bytes the cookies of one kind add to a Cookie header, counting "; " once per cookie, if the
// session cookie's name is name.
func (r *received) size(kind cookiename.Kind, name string) (n int) {
	for i := range r.cookies {
		if c := &r.cookies[i]; c.kind == kind {
			n += len(name) + len(kind.Suffix()) + len("=; ") + len(c.value)
			if c.part > 0 {
				n += len(".1")
			}
		}
	}
	return n
}

// cookiesNamed yields the cookies of a Cookie header whose name is name or starts with name and a dot: what follows
// name, and the value. It reads the header as net/http does; a value in double quotes loses them (RFC 6265, 4.1.1).
func cookiesNamed(header, name string) iter.Seq2[string, string] {
	return func(yield func(suffix, value string) bool) {
		for from := 0; ; {
			// Searching for the name first makes other cookies cost next to nothing.
			i := strings.Index(header[from:], name)
			if i < 0 {
				return
			}
			i += from
			from = i + len(name)
			if before := trimRight(header[:i]); before != "" && before[len(before)-1] != ';' {
				continue // in the middle of another name or value
			}
			end := len(header)
			if n := strings.IndexByte(header[from:], ';'); n >= 0 {
				end = from + n
			}
			rest, value, _ := strings.Cut(trimRight(header[from:end]), "=")
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

// trimRight cuts from the end the white space that net/http cuts from both ends, by textproto.TrimString.
func trimRight(s string) string {
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t' || s[len(s)-1] == '\r' || s[len(s)-1] == '\n') {
		s = s[:len(s)-1]
	}
	return s
}

// unquote drops a pair of double quotes around a value.
func unquote(value string) string {
	if n := len(value); n > 1 && value[0] == '"' && value[n-1] == '"' {
		return value[1 : n-1]
	}
	return value
}
