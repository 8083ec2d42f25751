package cookiesessiontest

import (
	"cmp"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// What Chromium and Firefox keep.
const (
	maxPair      = 4096                 // bytes of name and value together (RFC 6265bis, 5.7)
	maxAttribute = 1024                 // bytes of an attribute's value (RFC 6265bis, 5.6)
	maxAge       = 400 * 24 * time.Hour // RFC 6265bis, 5.5

	maxSite   = 180 // cookies of one site; with one more,
	purgeSite = 150 // this many stay

	maxPartition      = 180   // partitioned cookies of one site
	maxPartitionBytes = 10240 // of their names and values
)

// A Jar is an [http.CookieJar] that keeps and sends cookies as Chromium and
// Firefox do. [net/http/cookiejar] enforces neither sizes nor prefixes, so a
// session that only fails in a browser passes there.
//
// The rules are those of RFC 6265bis (draft-ietf-httpbis-rfc6265bis), 5.4 to 5.8,
// with the limits of the two browsers:
//
//   - A cookie whose name and value have more than 4,096 bytes together is
//     ignored; one of the same name stays as it was. A Path or Domain over 1,024
//     bytes counts as absent.
//   - A name that begins with __Secure- requires Secure; __Host- requires Secure,
//     Path=/ and no Domain. Upper and lower case are the same here.
//   - A Secure cookie is accepted and sent over https, and over http on localhost,
//     its subdomains and loopback addresses. Elsewhere http can neither set,
//     replace, delete nor shadow one.
//   - SameSite=None and Partitioned require Secure. A partitioned cookie and one
//     that isn't are two, even under one name, domain and path.
//   - Domain must be the host or a parent of it, with a dot inside. Of an IP
//     address or a host without dots only the name itself will do, and the cookie is
//     host-only.
//   - Max-Age outranks Expires. Neither keeps a cookie longer than 400 days.
//   - A site keeps 180 cookies. With one more, 150 stay: those without Secure go
//     first, then the least recently used. Beside them it keeps 180 partitioned
//     cookies of 10,240 bytes in all, names and values counted; beyond, the least
//     recently used go. A site is the last two labels of a host name.
//
// A refused cookie leaves no error: look at [Jar.All] or [Jar.Header].
//
// Not modelled are public suffixes of several labels (co.uk), SameSite and
// partition keys (each request counts as same-site, under one top-level site),
// HttpOnly (there are no scripts), and internationalized host names unless in
// Punycode. A replaced cookie keeps its place in the order of sending, as in
// Firefox; Chromium moves it behind the others if its value is another. What
// [http.ParseSetCookie] can't parse is ignored, though browsers accept some of it.
//
// Time is [time.Now], so that [testing/synctest] can let cookies expire. A Jar is
// safe for concurrent use.
type Jar struct {
	mu      sync.Mutex
	tick    uint64   // counts uses: many can share one reading of the clock
	cookies []stored // in the order of creation
}

// stored is a cookie in the jar. Its Domain begins with a dot unless the cookie is
// host-only; its Expires is zero if it ends with the browser session.
type stored struct {
	http.Cookie
	used uint64 // Jar.tick at the last use
	gone bool   // evicted
}

// NewJar returns an empty [Jar].
func NewJar() *Jar {
	return new(Jar)
}

// SetCookies receives cookies of a response to a request for u, as net/http has
// parsed them. It implements [http.CookieJar].
func (j *Jar) SetCookies(u *url.URL, cookies []*http.Cookie) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, c := range cookies {
		j.set(u, c)
	}
}

// SetHeader receives the Set-Cookie lines of h, the header of a response to a
// request for u.
func (j *Jar) SetHeader(u *url.URL, h http.Header) {
	var cookies []*http.Cookie
	for _, line := range h.Values("Set-Cookie") {
		if c, err := http.ParseSetCookie(line); err == nil {
			cookies = append(cookies, c)
		}
	}
	j.SetCookies(u, cookies)
}

// Cookies returns the cookies that a request for u carries, in the order of
// sending, with no more than name and value. It implements [http.CookieJar].
//
// An [http.Client] puts a value that contains a space or a comma between double
// quotes. Browsers don't: see [Jar.Header].
func (j *Jar) Cookies(u *url.URL) []*http.Cookie {
	var cookies []*http.Cookie
	for _, c := range j.retrieve(u) {
		cookies = append(cookies, &http.Cookie{Name: c.Name, Value: c.Value, Quoted: c.Quoted})
	}
	return cookies
}

// Header returns the Cookie header with which a browser would send a request for
// u, byte by byte, or "" if it would send none.
func (j *Jar) Header(u *url.URL) string {
	var pairs []string
	for _, c := range j.retrieve(u) {
		pairs = append(pairs, c.Name+"="+text(c))
	}
	return strings.Join(pairs, "; ")
}

// All returns the jar's cookies, first created first, as a browser's developer
// tools list them. Path is what is in force; Domain begins with a dot if
// subdomains get the cookie too; Expires is when it ends, Max-Age included, or
// zero if that is with the browser session.
func (j *Jar) All() []*http.Cookie {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.expire(time.Now())
	var cookies []*http.Cookie
	for _, c := range j.cookies {
		cookies = append(cookies, &c.Cookie)
	}
	return cookies
}

// Clone returns a copy of the jar as it is now. Neither sees what happens to the
// other: so a test can replay old cookies, or play two browsers.
func (j *Jar) Clone() *Jar {
	j.mu.Lock()
	defer j.mu.Unlock()
	return &Jar{tick: j.tick, cookies: slices.Clone(j.cookies)}
}

// Restart closes the browser and opens it again: cookies without Max-Age and
// Expires are gone.
func (j *Jar) Restart() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.cookies = slices.DeleteFunc(j.cookies, func(c stored) bool { return c.Expires.IsZero() })
}

// retrieve returns copies of the cookies for u in the order of sending
// (RFC 6265bis, 5.8.3).
func (j *Jar) retrieve(u *url.URL) []http.Cookie {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.expire(time.Now())
	j.tick++
	var cookies []http.Cookie
	for i := range j.cookies {
		c := &j.cookies[i]
		if (c.Secure && !secure(u)) || !pathMatch(path(u), c.Path) {
			continue
		}
		domain, wide := strings.CutPrefix(c.Domain, ".")
		if host(u) == domain || (wide && domainMatch(host(u), domain)) {
			c.used = j.tick
			cookies = append(cookies, c.Cookie)
		}
	}
	slices.SortStableFunc(cookies, func(a, b http.Cookie) int { return cmp.Compare(len(b.Path), len(a.Path)) })
	return cookies
}

// set stores, replaces or deletes one cookie, or ignores it (RFC 6265bis, 5.7).
func (j *Jar) set(u *url.URL, received *http.Cookie) {
	now := time.Now()
	j.expire(now)
	c, ok := accept(u, received, now)
	if !ok || (!secure(u) && slices.ContainsFunc(j.cookies, c.shadows)) {
		return
	}
	j.tick++
	c.used = j.tick
	// Partitioned and unpartitioned cookies live in stores of their own, so a
	// browser can hold both under one name.
	i := slices.IndexFunc(j.cookies, func(old stored) bool {
		return old.Name == c.Name && old.Domain == c.Domain && old.Path == c.Path && old.Partitioned == c.Partitioned
	})
	if i < 0 {
		j.cookies = append(j.cookies, c)
	} else {
		j.cookies[i] = c // a replaced cookie keeps its place among the created
	}
	j.expire(now)
	j.evict(site(c.Domain))
}

// accept returns the cookie to store for one received from u, and false if it is
// to be ignored whatever the jar holds.
func accept(u *url.URL, received *http.Cookie, now time.Time) (stored, bool) {
	c := stored{Cookie: http.Cookie{
		Name: received.Name, Value: received.Value, Quoted: received.Quoted,
		Domain: host(u), Path: defaultPath(u),
		Secure: received.Secure, HttpOnly: received.HttpOnly,
		SameSite: received.SameSite, Partitioned: received.Partitioned,
	}}
	if host(u) == "" || size(c.Cookie) > maxPair {
		return stored{}, false
	}

	if strings.HasPrefix(received.Path, "/") && len(received.Path) <= maxAttribute {
		c.Path = received.Path
	}
	domain := strings.ToLower(strings.TrimPrefix(received.Domain, "."))
	switch {
	case len(received.Domain) > maxAttribute:
		domain = ""
	case domain == "":
	case domain == host(u) && (isIP(domain) || !hasDot(domain)):
	case !hasDot(domain) || !domainMatch(host(u), domain):
		return stored{}, false
	default:
		c.Domain = "." + domain
	}

	switch {
	case c.Secure && !secure(u),
		!c.Secure && (c.SameSite == http.SameSiteNoneMode || c.Partitioned),
		!c.Secure && (hasPrefix(c.Name, "__Secure-") || hasPrefix(c.Name, "__Host-")),
		hasPrefix(c.Name, "__Host-") && (received.Path != "/" || domain != ""):
		return stored{}, false
	}

	latest := now.Add(maxAge)
	switch {
	case received.MaxAge < 0:
		c.Expires = now
	case received.MaxAge > 0 && received.MaxAge < int(maxAge/time.Second):
		c.Expires = now.Add(time.Duration(received.MaxAge) * time.Second)
	case received.MaxAge > 0 || received.Expires.After(latest):
		c.Expires = latest
	default:
		c.Expires = received.Expires
	}
	return c, true
}

// shadows reports whether c, from an insecure origin, would reach requests in the
// place of old, a Secure cookie ("leave Secure cookies alone": RFC 6265bis, 5.7).
func (c stored) shadows(old stored) bool {
	a, b := strings.TrimPrefix(c.Domain, "."), strings.TrimPrefix(old.Domain, ".")
	return old.Secure && old.Name == c.Name && pathMatch(c.Path, old.Path) && (domainMatch(a, b) || domainMatch(b, a))
}

// expire removes what has expired by now.
func (j *Jar) expire(now time.Time) {
	j.cookies = slices.DeleteFunc(j.cookies, func(c stored) bool {
		return !c.Expires.IsZero() && !c.Expires.After(now)
	})
}

// evict brings a site back under the limits, in the order of Chromium's garbage
// collection. What has expired must be gone by then.
func (j *Jar) evict(of string) {
	var plain, partitioned []*stored
	bytes := 0 // of partitioned
	for i := range j.cookies {
		c := &j.cookies[i]
		switch {
		case site(c.Domain) != of:
		case c.Partitioned:
			partitioned = append(partitioned, c)
			bytes += size(c.Cookie)
		default:
			plain = append(plain, c)
		}
	}

	leastUsed := func(a, b *stored) int { return cmp.Compare(a.used, b.used) }
	slices.SortStableFunc(plain, leastUsed)
	slices.SortStableFunc(partitioned, leastUsed)
	if len(plain) > maxSite {
		slices.SortStableFunc(plain, func(a, b *stored) int {
			switch {
			case a.Secure == b.Secure:
				return 0
			case b.Secure:
				return -1
			}
			return 1
		})
		for _, c := range plain[:len(plain)-purgeSite] {
			c.gone = true
		}
	}
	for len(partitioned) > maxPartition || bytes > maxPartitionBytes {
		partitioned[0].gone = true
		bytes -= size(partitioned[0].Cookie)
		partitioned = partitioned[1:]
	}
	j.cookies = slices.DeleteFunc(j.cookies, func(c stored) bool { return c.gone })
}

// text returns the value as it came and goes, with the double quotes that net/http
// takes off and a browser doesn't.
func text(c http.Cookie) string {
	if c.Quoted {
		return `"` + c.Value + `"`
	}
	return c.Value
}

// size returns the bytes that browsers count.
func size(c http.Cookie) int {
	return len(c.Name) + len(text(c))
}

// secure reports whether u's origin may have Secure cookies.
func secure(u *url.URL) bool {
	h := host(u)
	ip, err := netip.ParseAddr(h)
	return u.Scheme == "https" || h == "localhost" || strings.HasSuffix(h, ".localhost") || (err == nil && ip.IsLoopback())
}

// host returns u's host without port, in lower case; "" if u can't have cookies.
func host(u *url.URL) string {
	if u.Scheme != "http" && u.Scheme != "https" {
		return ""
	}
	return strings.ToLower(u.Hostname())
}

// site returns the part of a stored Domain that shares the limits.
func site(domain string) string {
	domain = strings.TrimPrefix(domain, ".")
	if dot := strings.LastIndexByte(domain, '.'); dot >= 0 && !isIP(domain) {
		return domain[strings.LastIndexByte(domain[:dot], '.')+1:]
	}
	return domain
}

// domainMatch reports whether host is domain or under it (RFC 6265bis, 5.1.3).
func domainMatch(host, domain string) bool {
	return host == domain || (strings.HasSuffix(host, "."+domain) && !isIP(host))
}

// hasDot reports whether domain has two labels or more; "com." has one.
func hasDot(domain string) bool {
	return strings.Contains(strings.TrimSuffix(domain, "."), ".")
}

func isIP(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

// path returns u's path as a request line carries it: escaped, from "/" on.
func path(u *url.URL) string {
	if p := u.EscapedPath(); strings.HasPrefix(p, "/") {
		return p
	}
	return "/"
}

// defaultPath returns the Path of a cookie that has none (RFC 6265bis, 5.1.4).
func defaultPath(u *url.URL) string {
	p := path(u)
	return cmp.Or(p[:strings.LastIndexByte(p, '/')], "/")
}

// pathMatch reports whether path is prefix or under it (RFC 6265bis, 5.1.4).
func pathMatch(path, prefix string) bool {
	rest, ok := strings.CutPrefix(path, prefix)
	return ok && (rest == "" || rest[0] == '/' || strings.HasSuffix(prefix, "/"))
}

// hasPrefix ignores case, since servers that do would else take a cookie for a
// prefixed one (RFC 6265bis, 5.4).
func hasPrefix(name, prefix string) bool {
	return len(name) >= len(prefix) && strings.EqualFold(name[:len(prefix)], prefix)
}
