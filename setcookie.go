package cookiesession

import (
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"time"
)

// headerFields has storage for the values of three fields of a response header, to save a slice for each.
type headerFields struct {
	lines, vary, caching [1]string
}

// lines are the Set-Cookie lines of a response, in one buffer. All code that sets or deletes a cookie adds a line here.
type lines struct {
	buf  []byte
	ends []int // where each line ends in buf
}

// end ends a line whose name and value have been appended to buf. maxAge is as in attributes.append.
func (l *lines) end(a *attributes, maxAge int64) {
	l.buf = a.append(l.buf, maxAge)
	l.ends = append(l.ends, len(l.buf))
}

// add adds a line.
func (l *lines) add(name, value string, a *attributes, maxAge int64) {
	l.buf = append(l.buf, name...)
	l.buf = append(l.buf, '=')
	l.buf = append(l.buf, value...)
	l.end(a, maxAge)
}

func (l *lines) empty() bool { return len(l.ends) == 0 }

func (l *lines) reset() { l.buf, l.ends = l.buf[:0], l.ends[:0] }

// putInto puts the lines into h. They replace lines for the same cookies, whoever wrote those, and all in earlier,
// which an earlier Save has written; nothing else is removed. a are the attributes of the lines' cookies. It returns
// the lines that it put there. If h then has a single line, storage holds it.
func (l *lines) putInto(h http.Header, a *attributes, earlier []string, storage *[1]string) (own []string) {
	if l.empty() && len(earlier) == 0 {
		return nil
	}
	old := h["Set-Cookie"]
	all := storage[:0]
	if n := len(old) + len(l.ends); n > len(storage) {
		all = make([]string, 0, n)
	}
	for _, line := range old {
		if !slices.Contains(earlier, line) && !(a.isFor(line) && l.sets(cookieNameOf(line))) {
			all = append(all, line)
		}
	}
	others := len(all)
	text := string(l.buf) // shared by the lines
	start := 0
	for _, end := range l.ends {
		all = append(all, text[start:end])
		start = end
	}
	if len(all) == 0 {
		delete(h, "Set-Cookie")
		return nil
	}
	h["Set-Cookie"] = all
	return all[others:len(all):len(all)]
}

// sets reports whether one of the lines sets or deletes the cookie called name.
func (l *lines) sets(name string) bool {
	start := 0
	for _, end := range l.ends {
		if line := l.buf[start:end]; len(line) > len(name) && line[len(name)] == '=' && string(line[:len(name)]) == name {
			return true
		}
		start = end
	}
	return false
}

// cookieNameOf returns the name in a Set-Cookie line.
func cookieNameOf(line string) string {
	pair, _, _ := strings.Cut(line, ";")
	name, _, _ := strings.Cut(pair, "=")
	return textproto.TrimString(name)
}

// attributeOf returns an attribute's value in a Set-Cookie line, and whether it has the attribute. The last one counts
// (RFC 6265, 5.3).
func attributeOf(line, attribute string) (value string, ok bool) {
	_, rest, _ := strings.Cut(line, ";")
	for part := range strings.SplitSeq(rest, ";") {
		name, v, _ := strings.Cut(part, "=")
		if strings.EqualFold(textproto.TrimString(name), attribute) {
			value, ok = textproto.TrimString(v), true
		}
	}
	return value, ok
}

// varyCookie adds Vary: Cookie unless it's there (RFC 9110, 12.5.5): who may share the response depends on the cookie.
// storage is the slice to use if there is no Vary yet.
func varyCookie(h http.Header, storage *[1]string) {
	old := h["Vary"]
	for _, line := range old {
		for field := range strings.SplitSeq(line, ",") {
			if field = textproto.TrimString(field); field == "*" || strings.EqualFold(field, "Cookie") {
				return
			}
		}
	}
	if old == nil {
		storage[0] = "Cookie"
		h["Vary"] = storage[:]
		return
	}
	h["Vary"] = append(slices.Clone(old), "Cookie")
}

// defaultToPrivate sets Cache-Control: private, since some shared caches ignore Vary, unless the handler has set
// Cache-Control. It reports whether it did. storage is the slice to use.
func defaultToPrivate(h http.Header, storage *[1]string) bool {
	if len(h["Cache-Control"]) > 0 {
		return false
	}
	storage[0] = "private"
	h["Cache-Control"] = storage[:]
	return true
}

// targetedCaching is how the names end of fields that mean some caches only (RFC 9213, 2.4).
const targetedCaching = "-Cache-Control"

// stopSharedCaching disarms header fields that shared caches prefer to Cache-Control. It removes those of RFC 9213,
// CDN-Cache-Control and what caches have called after it (Cloudflare-CDN-Cache-Control, Akamai-, Fastly-, Souin-; some
// let their operator choose a name), and Surrogate-Control, their forerunner. nginx's, LiteSpeed's and Akamai's own
// fields it makes forbid caching, where they are: who uses them may have told the server to ignore Cache-Control. It
// does so in any spelling: if a handler writes "CDN-Cache-Control" into the map, net/http sends it like that.
func stopSharedCaching(h http.Header) {
	for name := range h {
		start := len(name) - len(targetedCaching)
		switch {
		case strings.EqualFold(name, "X-Accel-Expires"):
			h[name] = []string{"0"}
		case strings.EqualFold(name, "X-LiteSpeed-Cache-Control"):
			h[name] = []string{"no-cache"}
		case strings.EqualFold(name, "Edge-Control"):
			h[name] = []string{"no-store"}
		case start >= 0 && strings.EqualFold(name[start:], targetedCaching), strings.EqualFold(name, "Surrogate-Control"):
			delete(h, name)
		}
	}
}

// forbidStoring keeps a response of the library's own out of every cache, whatever was set for the one it replaces.
func forbidStoring(h http.Header) {
	h.Set("Cache-Control", "no-store")
	stopSharedCaching(h)
}

// keepPrivate makes a response that writes cookies uncacheable for shared caches (RFC 9111, 5.2.2): it adds private
// unless private or no-store is there, removes public and s-maxage, and does as stopSharedCaching. storage is as in
// defaultToPrivate.
func keepPrivate(h http.Header, storage *[1]string) {
	stopSharedCaching(h)
	if defaultToPrivate(h, storage) {
		return
	}
	var kept []string
	private := false
	for _, directive := range splitDirectives(strings.Join(h["Cache-Control"], ",")) {
		name, _, hasArgument := strings.Cut(directive, "=")
		switch name = strings.ToLower(textproto.TrimString(name)); {
		case name == "public", name == "s-maxage":
			continue
		case name == "no-store", name == "private" && !hasArgument: // with an argument it applies to some fields only
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

// attributes are those of a Set-Cookie line but for Max-Age and Expires, which stand between before and after.
type attributes struct {
	path, domain  string
	partitioned   bool
	before, after string
}

// isFor reports whether a Set-Cookie line is for the same cookie as one with these attributes, if their names are
// equal: browsers distinguish cookies by name, Domain, Path and Partitioned (RFC 6265bis, 5.7; CHIPS). A line without
// Path counts as having the same one, since the path then depends on the request. So does one whose Path doesn't begin
// with /: browsers ignore that (RFC 6265, 5.2.4).
func (a *attributes) isFor(line string) bool {
	path, _ := attributeOf(line, "Path")
	domain, _ := attributeOf(line, "Domain")
	_, partitioned := attributeOf(line, "Partitioned")
	samePath := path == a.path || !strings.HasPrefix(path, "/")
	return samePath && strings.EqualFold(strings.TrimPrefix(domain, "."), a.domain) && partitioned == a.partitioned
}

// Values of Max-Age that aren't seconds.
const (
	untilBrowserCloses = -1
	deleteCookie       = 0
)

func newAttributes(c *Config, site http.SameSite) attributes {
	a := attributes{path: c.Path, domain: c.Domain, partitioned: c.Partitioned}
	a.before = "; Path=" + c.Path
	if c.Domain != "" {
		a.before += "; Domain=" + c.Domain
	}
	a.after = "; HttpOnly"
	if !c.Insecure {
		a.after += "; Secure"
	}
	a.after += sameSiteAttribute(site)
	if c.Partitioned {
		a.after += "; Partitioned"
	}
	return a
}

func sameSiteAttribute(site http.SameSite) string {
	switch site {
	case http.SameSiteStrictMode:
		return "; SameSite=Strict"
	case http.SameSiteNoneMode:
		return "; SameSite=None"
	}
	return "; SameSite=Lax"
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

// maxLen returns what append adds at most to a line that sets a cookie.
func (a *attributes) maxLen() int {
	return len(a.append(nil, int64(maxAgeLimit/time.Second)))
}
