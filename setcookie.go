package cookiesession

import (
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"time"
)

// headerFields holds the values of one response header, to save the allocation of a slice for each.
type headerFields struct {
	lines, vary, caching [1]string
}

// A lineWriter collects the Set-Cookie lines of a response in one buffer.
type lineWriter struct {
	buf  []byte
	ends []int // where each line ends in buf
}

func (w *lineWriter) endLine() { w.ends = append(w.ends, len(w.buf)) }

func (w *lineWriter) reset() { w.buf, w.ends = w.buf[:0], w.ends[:0] }

// appendTo appends the lines, which share one string.
func (w *lineWriter) appendTo(lines []string) []string {
	all := string(w.buf)
	start := 0
	for _, end := range w.ends {
		lines = append(lines, all[start:end])
		start = end
	}
	return lines
}

// setLines puts the writer's lines into h in place of all that this Manager has put there before. Others' lines stay.
// If one line is all, own holds it.
func (m *Manager) setLines(h http.Header, w *lineWriter, own *[1]string) {
	old := h["Set-Cookie"]
	lines := own[:0]
	if n := len(old) + len(w.ends); n > len(own) {
		lines = make([]string, 0, n)
	}
	for _, line := range old {
		if !m.owns(line) {
			lines = append(lines, line)
		}
	}
	if lines = w.appendTo(lines); len(lines) > 0 {
		h["Set-Cookie"] = lines
	} else if old != nil {
		delete(h, "Set-Cookie")
	}
}

// owns reports whether a Set-Cookie line is one that this Manager writes.
func (m *Manager) owns(line string) bool {
	if m.importDeletions[line] {
		return true
	}
	name, _, _ := strings.Cut(line, "=")
	suffix, ok := strings.CutPrefix(textproto.TrimString(name), m.name)
	if !ok {
		return false
	}
	if tag, ok := strings.CutPrefix(suffix, endedInfix); ok {
		_, ok := parseOrigin(tag)
		return ok
	}
	if rest, ok := strings.CutPrefix(suffix, flashInfix); ok {
		suffix = rest
	} else if rest, ok := strings.CutPrefix(suffix, leaseInfix); ok {
		suffix = rest
	}
	return suffix == "" || len(suffix) == 2 && suffix[0] == '.' && suffix[1] >= '1' && suffix[1] < '0'+maxChunks
}

// varyCookie adds Vary: Cookie unless it's there (RFC 9110, 12.5.5): who may share the response depends on the cookie.
// own is the slice to use if there is no Vary yet.
func varyCookie(h http.Header, own *[1]string) {
	old := h["Vary"]
	for _, line := range old {
		for field := range strings.SplitSeq(line, ",") {
			if field = textproto.TrimString(field); field == "*" || strings.EqualFold(field, "Cookie") {
				return
			}
		}
	}
	if old == nil {
		own[0] = "Cookie"
		h["Vary"] = own[:]
		return
	}
	h["Vary"] = append(slices.Clone(old), "Cookie")
}

// keepPrivate makes a response that writes cookies uncacheable for shared caches (RFC 9111, 5.2.2): private is added
// unless private or no-store is there, public and s-maxage go. own is the slice to use if there is no Cache-Control
// yet.
func keepPrivate(h http.Header, own *[1]string) {
	old := h["Cache-Control"]
	if len(old) == 0 {
		own[0] = "private"
		h["Cache-Control"] = own[:]
		return
	}
	var kept []string
	private := false
	for _, directive := range splitDirectives(strings.Join(old, ",")) {
		name, _, hasArgument := strings.Cut(directive, "=")
		switch name = strings.ToLower(textproto.TrimString(name)); {
		case name == "public", name == "s-maxage":
			continue
		case name == "no-store", name == "private" && !hasArgument: // with an argument it speaks of some fields only
			private = true
		}
		kept = append(kept, directive)
	}
	if !private {
		kept = append(kept, "private")
	}
	h["Cache-Control"] = []string{strings.Join(kept, ", ")}
}

// splitDirectives splits at commas outside quoted strings and drops empty members.
func splitDirectives(list string) []string {
	var directives []string
	add := func(directive string) {
		if directive = textproto.TrimString(directive); directive != "" {
			directives = append(directives, directive)
		}
	}
	quoted, start := false, 0
	for i := 0; i < len(list); i++ {
		switch {
		case list[i] == ',' && !quoted:
			add(list[start:i])
			start = i + 1
		case list[i] == '"':
			quoted = !quoted
		case list[i] == '\\' && quoted:
			i++
		}
	}
	add(list[start:])
	return directives
}

// entityHeaders describe the body that a handler meant to send, or lead elsewhere; they would lie about an error page.
var entityHeaders = []string{
	"Accept-Ranges", "Cache-Control", "Content-Digest", "Content-Disposition", "Content-Encoding", "Content-Language",
	"Content-Length", "Content-Location", "Content-Range", "Content-Type", "Etag", "Expires", "Last-Modified", "Location",
	"Refresh", "Repr-Digest", "Trailer",
}

func dropEntityHeaders(h http.Header) {
	for _, name := range entityHeaders {
		delete(h, name)
	}
}

// attributes are what every Set-Cookie line of a Manager ends with, but for Max-Age.
type attributes struct {
	before, after string
}

// Values of Max-Age that aren't seconds.
const (
	untilBrowserCloses = -1
	deleteCookie       = 0
)

const maxAgeLimit = 400 * 24 * time.Hour // RFC 6265bis, 5.5: what browsers cut a longer Max-Age to

func newAttributes(c *Config) attributes {
	var a attributes
	a.before = "; Path=" + c.Path
	if c.Domain != "" {
		a.before += "; Domain=" + c.Domain
	}
	a.after = "; HttpOnly"
	if !c.Insecure {
		a.after += "; Secure"
	}
	switch c.SameSite {
	case http.SameSiteStrictMode:
		a.after += "; SameSite=Strict"
	case http.SameSiteNoneMode:
		a.after += "; SameSite=None"
	default:
		a.after += "; SameSite=Lax"
	}
	if c.Partitioned {
		a.after += "; Partitioned"
	}
	return a
}

// append appends the attributes. maxAge is in seconds, untilBrowserCloses for none, or deleteCookie, which sets
// Expires too.
func (a *attributes) append(dst []byte, maxAge int64) []byte {
	dst = append(dst, a.before...)
	switch {
	case maxAge == deleteCookie:
		dst = append(dst, "; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0"...)
	case maxAge > 0:
		dst = append(dst, "; Max-Age="...)
		dst = strconv.AppendInt(dst, maxAge, 10)
	}
	return append(dst, a.after...)
}

// room returns what append adds at most to a line that sets a cookie.
func (a *attributes) room() int {
	return len(a.append(nil, int64(maxAgeLimit/time.Second)))
}
