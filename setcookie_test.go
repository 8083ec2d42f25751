package cookiesession_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

// checkSetCookie compares the lines that a Manager of c writes by hand with what package http would write: those that
// create cookies and those that delete them. It does nothing if New refuses c.
func checkSetCookie(t *testing.T, c cookiesession.Config) (accepted bool) {
	t.Helper()
	c.Keys, c.Logger = newRing(t), slog.New(slog.DiscardHandler)
	m, err := cookiesession.New(c)
	if err != nil {
		return false
	}
	now := time.Unix(1_800_000_000, 0)
	m.SetClock(func() time.Time { return now })

	s := load(m)
	s.Put("v", random(4000)) // two cookies, or three if the attributes are long
	s.Flash("note", "x")
	h := http.Header{}
	if err := m.Save(h, s); err != nil {
		t.Fatal(err)
	}
	var received []string
	for _, line := range h["Set-Cookie"] {
		maxAge := 0
		if c.Persistent {
			maxAge = int((c.Lifetime + time.Second - 1) / time.Second)
			if c.Lifetime == 0 {
				maxAge = 86400
			}
		}
		if strings.HasPrefix(line, m.CookieName()+".flash") {
			maxAge = 600
		}
		received = append(received, checkLine(t, c, line, maxAge, time.Time{}))
	}
	if !strings.HasPrefix(received[1], m.CookieName()+".1=") || !strings.HasPrefix(received[len(received)-1], m.CookieName()+".flash=1") {
		t.Fatalf("got %d cookies, want parts and a flash", len(received))
	}

	s = load(m, strings.Join(received, "; "))
	if s.Get("v") != random(4000) || s.Flashed("note") != "x" {
		t.Errorf("got a session that doesn't come back")
	}
	s.Destroy()
	h = http.Header{}
	if err := m.Save(h, s); err != nil {
		t.Fatal(err)
	}
	deleted := 0
	for _, line := range h["Set-Cookie"] {
		if strings.Contains(line, ".ended.") {
			checkLine(t, c, line, 400*86400, time.Time{})
			continue
		}
		deleted++
		if cookie := checkLine(t, c, line, -1, time.Unix(0, 0)); !strings.HasSuffix(cookie, "=") {
			t.Errorf("got a deletion with a value")
		}
	}
	if deleted != len(received) {
		t.Errorf("got %d deletions, want %d", deleted, len(received))
	}
	return true
}

// checkLine compares one line with that of an http.Cookie, and has package http parse it. It returns name and value.
func checkLine(t *testing.T, c cookiesession.Config, line string, maxAge int, expires time.Time) string {
	t.Helper()
	pair, _, _ := strings.Cut(line, ";")
	name, value, _ := strings.Cut(pair, "=")
	want := &http.Cookie{
		Name: name, Value: value, Path: c.Path, Domain: c.Domain, MaxAge: maxAge, Expires: expires,
		Secure: !c.Insecure, HttpOnly: true, SameSite: c.SameSite, Partitioned: c.Partitioned,
	}
	if want.Path == "" {
		want.Path = "/"
	}
	if want.SameSite == 0 || want.SameSite == http.SameSiteDefaultMode {
		want.SameSite = http.SameSiteLaxMode
	}
	if strings.HasSuffix(name, ".here") {
		want.SameSite = http.SameSiteLaxMode // or it wouldn't come where the session doesn't
	}
	if err := want.Valid(); err != nil {
		t.Errorf("package http says %v", err)
	}
	if line != want.String() {
		t.Errorf("got  %q\nwant %q", line, want.String())
	}
	got, err := http.ParseSetCookie(line)
	if err != nil {
		t.Fatalf("package http can't parse %q: %v", line, err)
	}
	if got.Name != name || got.Value != value || got.Path != want.Path || got.Domain != c.Domain || got.MaxAge != maxAge ||
		!got.Expires.Equal(expires) && !expires.IsZero() || got.Secure == c.Insecure || !got.HttpOnly || got.SameSite != want.SameSite ||
		got.Partitioned != c.Partitioned || len(got.Unparsed) > 0 {
		t.Errorf("package http parses %q as %+v", line, got)
	}
	return pair
}

// TestSetCookie tries every combination of settings (gin-contrib, echo: Partitioned was dropped).
func TestSetCookie(t *testing.T) {
	accepted := 0
	for _, name := range []string{"", "sid"} {
		for _, domain := range []string{"", "Shop.example"} {
			for _, path := range []string{"", "/", "/app"} {
				for sameSite := range http.SameSiteNoneMode + 1 {
					for flags := range 8 {
						if checkSetCookie(t, cookiesession.Config{
							Name: name, Domain: domain, Path: path, SameSite: sameSite,
							Partitioned: flags&1 > 0, Insecure: flags&2 > 0, Persistent: flags&4 > 0,
						}) {
							accepted++
						}
					}
				}
			}
		}
	}
	// Of the flags' 8 values, 6 go with any SameSite but None, and 4 with None.
	if want := 2 * 2 * 3 * (4*6 + 4); accepted != want {
		t.Errorf("got %d combinations accepted, want %d", accepted, want)
	}
}

// FuzzSetCookie tries whatever New accepts.
func FuzzSetCookie(f *testing.F) {
	for _, seed := range []struct {
		name, domain, path string
		seconds            int64
		sameSite, flags    byte
	}{
		{"", "", "", 0, 0, 0},
		{"sid", "shop.example", "/app", 3600, 2, 4},
		{"!#$%&'*+-^_`|~", "192.0.2.1", "/a,b=%20", 1, 3, 4},
		{"n", "xn--bcher-kva.example", "//", 34560000, 4, 5},
		{"n", "a.b.c.d.e", "/" + strings.Repeat("p", 1023), 86400, 1, 2},
		{"a.b", "example.com:80", "/;", -1, 9, 255},
		{"a b", ".example", "x", 34560001, 0, 0},
		{strings.Repeat("n", 64), "shop.example.", `/"`, 60, 0, 3},
	} {
		f.Add(seed.name, seed.domain, seed.path, seed.seconds, seed.sameSite, seed.flags)
	}
	f.Fuzz(func(t *testing.T, name, domain, path string, seconds int64, sameSite, flags byte) {
		checkSetCookie(t, cookiesession.Config{
			Name: name, Domain: domain, Path: path, SameSite: http.SameSite(sameSite), Lifetime: time.Duration(seconds) * time.Second,
			Partitioned: flags&1 > 0, Insecure: flags&2 > 0, Persistent: flags&4 > 0,
		})
	})
}

// seshcookie deletes cookies with other attributes than it sets them with, which deletes nothing; rallly #2843 relies
// on Max-Age alone.
func TestAttributes(t *testing.T) {
	tests := []struct {
		config cookiesession.Config
		name   string
		set    string
		delete string
	}{
		{
			cookiesession.Config{},
			"__Host-session",
			"; Path=/; HttpOnly; Secure; SameSite=Lax",
			"; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; HttpOnly; Secure; SameSite=Lax",
		},
		{
			cookiesession.Config{Name: "id", Domain: "example.org", Path: "/app", SameSite: http.SameSiteStrictMode},
			"__Secure-id",
			"; Path=/app; Domain=example.org; HttpOnly; Secure; SameSite=Strict",
			"; Path=/app; Domain=example.org; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; HttpOnly; Secure; SameSite=Strict",
		},
		{
			cookiesession.Config{Persistent: true, Lifetime: 90 * time.Second, SameSite: http.SameSiteNoneMode, Partitioned: true},
			"__Host-session",
			"; Path=/; Max-Age=90; HttpOnly; Secure; SameSite=None; Partitioned",
			"; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; HttpOnly; Secure; SameSite=None; Partitioned",
		},
		{
			cookiesession.Config{Insecure: true, Persistent: true, SameSite: http.SameSiteDefaultMode},
			"session",
			"; Path=/; Max-Age=86400; HttpOnly; SameSite=Lax",
			"; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; HttpOnly; SameSite=Lax",
		},
	}
	for _, test := range tests {
		m := newManager(t, func(c *cookiesession.Config) {
			keys, logger := c.Keys, c.Logger
			*c = test.config
			c.Keys, c.Logger = keys, logger
		})
		now := time.Now()
		m.SetClock(func() time.Time { return now })
		lines, err := response(m, put("v", 1))
		if err != nil || len(withoutHint(lines)) != 1 {
			t.Fatalf("%d lines, error %v", len(lines), err)
		}
		value, attributes, _ := strings.Cut(lines[0], ";")
		if !strings.HasPrefix(value, test.name+"=1") || ";"+attributes != test.set {
			t.Errorf("set by    %.20s…;%s\nwant %s=1…%s", value, attributes, test.name, test.set)
		}
		s := load(m, value)
		s.Destroy()
		h := http.Header{}
		if err := m.Save(h, s); err != nil {
			t.Fatal(err)
		}
		if got, want := h["Set-Cookie"][0], test.name+"="+test.delete; got != want {
			t.Errorf("deleted by %s\nwant       %s", got, want)
		}
	}
}

// saveInto saves the session of an empty request, as changed, into h.
func saveInto(t *testing.T, m *cookiesession.Manager, h http.Header, change func(s *cookiesession.Session)) {
	t.Helper()
	s := load(m)
	change(s)
	if err := m.Save(h, s); err != nil {
		t.Fatal(err)
	}
}

// TestWrittenLinesReplaceTheSameCookies has lines in the header before (gorilla/sessions: two Saves sent two Set-Cookie
// lines): a response never has two for one cookie that it writes. Lines for all other cookies stay where they are,
// whoever wrote them and whatever they are called, and where nothing is written, all do.
func TestWrittenLinesReplaceTheSameCookies(t *testing.T) {
	import1 := "legacy=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; HttpOnly; Secure; SameSite=Lax"
	for _, test := range []struct {
		line     string
		replaced bool // by a write of cookie 0
	}{
		{"__Host-session=1AAAA; Path=/", true},
		{"__Host-session=", true},
		{"__Host-session", true},
		{" __Host-session =1", true},
		{"__Host-session=1AAAA; HttpOnly; path=/ ; domain=", true},
		{"__Host-session=; Max-Age=0", true},

		{"__Host-session=1AAAA; Path=/app", false},
		{"__Host-session=1AAAA; Path=/; Path=/app", false},
		{"__Host-session=1AAAA; Domain=shop.example", false},
		{"__Host-session.1=AAAA", false},
		{"__Host-session.8=AAAA", false},
		{"__Host-session.flash=1AAAA", false},
		{"__Host-session.flash.1=1AAAA", false},
		{"__Host-session.flash.8=1AAAA", false},
		{"__Host-session.lease=1AAAA", false},
		{"__Host-session.lease.1=1AAAA", false},
		{"__Host-session.here=1", false},
		{"__Host-session.ended.AAAAAAAAAAA=1", false},
		{"__Host-session.ended..........AA=1", false},
		{import1, false},
		{"__Host-session2=1", false},
		{"__Host-sessionx=1", false},
		{"__Host-session-=1", false},
		{"__Host-session_flash=1", false},
		{"__Host-session.other=1", false},
		{"__Host-session.=1", false},
		{"__Host-session.0=1", false},
		{"__Host-session.9=1", false},
		{"__Host-session.10=1", false},
		{"__Host-session.1.1=1", false},
		{"__Host-session..1=1", false},
		{"__Host-session.flashy=1", false},
		{"__Host-session.flash.9=1", false},
		{"__Host-session.flash.flash=1", false},
		{"__Host-session.flash.lease=1", false},
		{"__Host-session.ended=1", false},
		{"__Host-session.ended.=1", false},
		{"__Host-session.ended.AAAAAAAAAA=1", false},
		{"__Host-session.ended.AAAAAAAAAAAA=1", false},
		{"__Host-session.ended.AAAAAAAAAAB=1", false}, // bits that no tag has
		{"__Host-session.ended.AAAAAAAAA-A=1", false},
		{"__host-session=1", false},
		{"__Host-sessio=1", false},
		{"__Secure-session=1", false},
		{"session=1", false},
		{"x__Host-session=1", false},
		{"x=__Host-session=1", false},
		{"legacy=1; Path=/", false},
		{strings.Replace(import1, "legacy", "legacy2", 1), false},
		{"=__Host-session", false},
		{"", false},
	} {
		m := newManager(t, func(c *cookiesession.Config) { c.ImportCookies = []string{"legacy"} })
		for name, change := range map[string]func(s *cookiesession.Session){
			"write":   put("n", 1),
			"nothing": nothing,
		} {
			for place, before := range map[string][]string{
				"alone": {test.line},
				"among": {"a=1", test.line, "b=2; Path=/"},
				"twice": {test.line, "a=1", test.line},
			} {
				kept := slices.Clone(before)
				if test.replaced && name == "write" {
					kept = slices.DeleteFunc(kept, func(line string) bool { return line == test.line })
				}
				h := http.Header{"Set-Cookie": slices.Clone(before)}
				passed := h["Set-Cookie"]
				saveInto(t, m, h, change)
				got := h["Set-Cookie"]
				if name == "write" {
					if len(got) != len(kept)+1 || !strings.HasPrefix(got[len(got)-1], "__Host-session=1") {
						t.Errorf("%q %s, %s: got %d lines: %s", test.line, place, name, len(got), cookieNames(h))
						continue
					}
					got = got[:len(got)-1]
				}
				if !slices.Equal(got, kept) {
					t.Errorf("%q %s, %s: got %q, want %q", test.line, place, name, got, kept)
				}
				if !slices.Equal(passed, before) {
					t.Errorf("%q: Save wrote into a slice that isn't its own", test.line)
				}
			}
		}
	}
}

// TestSameCookie has what tells two cookies of one name apart in browsers: an application that moves its session to
// another Domain, say, can delete the old cookie itself in the response that writes the new one.
func TestSameCookie(t *testing.T) {
	type config = cookiesession.Config
	for _, test := range []struct {
		change   func(c *config)
		line     string // but for the name
		replaced bool
	}{
		{func(*config) {}, "=; Max-Age=0", true},
		{func(*config) {}, "=; Path=/; Max-Age=0; Secure; HttpOnly", true},
		{func(*config) {}, "=; Path=/; Domain=; Max-Age=0", true},
		{func(*config) {}, "=; Path=/; Domain=shop.example", false},
		{func(*config) {}, "=; Path=/x", false},
		{func(*config) {}, "=; Path=x", true}, // no path for a browser, which takes that of the request
		{func(*config) {}, `=; Path="/x"`, true},
		{func(*config) {}, "=; Path=/; Partitioned", false},
		{func(c *config) { c.Domain = "shop.example" }, "=; Path=/; Max-Age=0", false},
		{func(c *config) { c.Domain = "shop.example" }, "=; Path=/; Domain=.Shop.Example; Max-Age=0", true},
		{func(c *config) { c.Domain = "shop.example" }, "=; Path=/; Domain=www.shop.example", false},
		{func(c *config) { c.Path = "/app" }, "=; Path=/", false},
		{func(c *config) { c.Path = "/app" }, "=; Path=/app/", false},
		{func(c *config) { c.Path = "/app" }, "=; Path=/App", false},
		{func(c *config) { c.Path = "/app" }, "=; path=/app", true},
		{func(c *config) { c.Partitioned = true }, "=; Path=/; Max-Age=0", false},
		{func(c *config) { c.Partitioned = true }, "=; Path=/; Partitioned; Max-Age=0", true},
		{func(c *config) { c.Partitioned = true }, "=; Path=/; partitioned=x", true},
		{func(c *config) { c.SameSite = http.SameSiteStrictMode }, "=; Path=/; SameSite=None", true},
	} {
		m := newManager(t, test.change)
		for what, change := range map[string]func(*cookiesession.Session){"write": put("n", 1), "read": touched} {
			before := m.CookieName() + test.line
			h := http.Header{"Set-Cookie": {before}}
			saveInto(t, m, h, change)
			if got, want := slices.Contains(h["Set-Cookie"], before), what == "read" || !test.replaced; got != want {
				t.Errorf("%s of %s beside %q left %q", what, m.CookieName(), before, cookieNames(h))
			}
		}
	}
}

// Lines with a name that is longer than the library's own lines, or with none, stay as they are.
func TestStrangeCookieNames(t *testing.T) {
	for _, line := range []string{strings.Repeat("n", 5000) + "=1; Path=/", "=1; Path=/", ""} {
		h := http.Header{"Set-Cookie": {line}}
		saveInto(t, newManager(t, nil), h, put("n", 1))
		if got := h["Set-Cookie"]; len(got) != 2 || got[0] != line {
			t.Errorf("beside a line of %d bytes: got %d lines", len(line), len(got))
		}
	}
}

// TestVary has every way of saying it before (Flask CVE-2023-30861: without it, a cache hands one visitor's page to
// another).
func TestVary(t *testing.T) {
	for _, test := range []struct{ before, want []string }{
		{nil, []string{"Cookie"}},
		{[]string{}, []string{"Cookie"}},
		{[]string{""}, []string{"", "Cookie"}},
		{[]string{"Cookie"}, nil},
		{[]string{"cookie"}, nil},
		{[]string{"COOKIE"}, nil},
		{[]string{"*"}, nil},
		{[]string{"Accept, *"}, nil},
		{[]string{"Accept-Encoding"}, []string{"Accept-Encoding", "Cookie"}},
		{[]string{"Accept-Encoding, Cookie"}, nil},
		{[]string{"Accept-Encoding,cookie"}, nil},
		{[]string{" Cookie\t,Accept"}, nil},
		{[]string{"Accept", "Cookie"}, nil},
		{[]string{"Accept", "Origin"}, []string{"Accept", "Origin", "Cookie"}},
		{[]string{"Cookies"}, []string{"Cookies", "Cookie"}},
		{[]string{"X-Cookie, Cookie-X"}, []string{"X-Cookie, Cookie-X", "Cookie"}},
	} {
		want := test.want
		if want == nil {
			want = test.before
		}
		h := http.Header{}
		if test.before != nil {
			h["Vary"] = test.before
		}
		m := newManager(t, nil)
		saveInto(t, m, h, func(s *cookiesession.Session) { s.Get("n") })
		saveInto(t, m, h, put("n", 1))
		if !slices.Equal(h["Vary"], want) {
			t.Errorf("after %q: got Vary %q, want %q", test.before, h["Vary"], want)
		}
	}
}

// A handler's slice may be one that all responses share.
func TestVaryIsNotWrittenInto(t *testing.T) {
	shared := append(make([]string, 0, 2), "Accept")
	h := http.Header{"Vary": shared}
	saveInto(t, newManager(t, nil), h, put("n", 1))
	if rest := shared[:2][1]; rest != "" || len(h["Vary"]) != 2 {
		t.Errorf("got %q behind the handler's Vary, want nothing, and Vary %q", rest, h["Vary"])
	}
}

// TestCacheControl has every way in which a response that sets cookies might be kept for others (Flask CVE-2026-27205).
func TestCacheControl(t *testing.T) {
	for _, test := range []struct {
		before []string
		want   string
	}{
		{nil, "private"},
		{[]string{}, "private"},
		{[]string{""}, "private"},
		{[]string{"private"}, "private"},
		{[]string{"Private"}, "Private"},
		{[]string{"no-store"}, "no-store"},
		{[]string{"No-Store"}, "No-Store"},
		{[]string{"no-cache"}, "no-cache, private"},
		{[]string{"max-age=60"}, "max-age=60, private"},
		{[]string{"public"}, "private"},
		{[]string{"PUBLIC"}, "private"},
		{[]string{"public, max-age=60"}, "max-age=60, private"},
		{[]string{"max-age=60,public,immutable"}, "max-age=60, immutable, private"},
		{[]string{"s-maxage=60"}, "private"},
		{[]string{"S-MaxAge = 60, max-age=1"}, "max-age=1, private"},
		{[]string{"public, no-store"}, "no-store"},
		{[]string{"private, s-maxage=60"}, "private"},
		{[]string{"public", "max-age=60", "s-maxage=5"}, "max-age=60, private"},
		{[]string{"no-cache", "private"}, "no-cache, private"},
		{[]string{`private="x"`}, `private="x", private`},
		{[]string{`private="x", public`}, `private="x", private`},
		{[]string{`private=x, private`}, `private=x, private`},
		{[]string{`no-cache="a, b"`}, `no-cache="a, b", private`},
		{[]string{`ext="a, private, public", public`}, `ext="a, private, public", private`},
		{[]string{`ext="a\", private", public`}, `ext="a\", private", private`},
		{[]string{`ext="a\\", public`}, `ext="a\\", private`},
		{[]string{`ext=a\, public`}, `ext=a\, private`}, // a backslash means nothing outside of quotation marks
		{[]string{`ext="a`, `private"`, `public`}, `ext="a,private", private`},
		{[]string{" , ,max-age=60, ,"}, "max-age=60, private"},
		{[]string{"publicly, s-maxage2=1, xprivate"}, "publicly, s-maxage2=1, xprivate, private"},
	} {
		m := newManager(t, nil)
		h := http.Header{}
		if test.before != nil {
			h["Cache-Control"] = slices.Clone(test.before)
		}
		saveInto(t, m, h, func(s *cookiesession.Session) { s.Get("n") })
		read := test.before
		if len(read) == 0 {
			read = []string{"private"}
		}
		if !slices.Equal(h["Cache-Control"], read) {
			t.Errorf("a response that only read made %q of %q, want %q", h["Cache-Control"], test.before, read)
		}
		for range 2 {
			saveInto(t, m, h, put("n", 1))
			if got := h["Cache-Control"]; len(got) != 1 || got[0] != test.want {
				t.Errorf("after %q: got Cache-Control %q, want %q", test.before, got, test.want)
			}
		}
	}
}

// After an error of Save, what the application sends under the header that it has prepared isn't for others either.
func TestCacheControlAfterError(t *testing.T) {
	m := newManager(t, nil)
	for name, value := range map[string]any{"too large": tooLarge, "can't be encoded": func() {}} {
		s, _ := m.Load(requestWith())
		s.Put("n", value)
		h := http.Header{"Cache-Control": {"public, max-age=60"}, "Surrogate-Control": {"max-age=60"}}
		if err := m.Save(h, s); err == nil {
			t.Errorf("%s: no error", name)
		}
		if got := fmt.Sprint(h); got != "map[Cache-Control:[max-age=60, private] Vary:[Cookie]]" {
			t.Errorf("%s: got %s", name, got)
		}
	}
}

// TestHeadersShareNothing writes one session into two headers, of which the first is changed in place.
func TestHeadersShareNothing(t *testing.T) {
	m := newManager(t, nil)
	s := load(m)
	s.Put("n", 1)
	first, second := http.Header{}, http.Header{}
	if err := m.Save(first, s); err != nil {
		t.Fatal(err)
	}
	for name, values := range first {
		for i := range values {
			values[i] = "mine"
		}
		first[name] = append(values, "more")
	}
	if err := m.Save(second, s); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(first) != "map[Cache-Control:[mine more] Set-Cookie:[mine more] Vary:[mine more]]" {
		t.Errorf("got the first header changed to %v", first)
	}
	if cookieNames(second) != "__Host-session" || second.Get("Vary") != "Cookie" || second.Get("Cache-Control") != "private" {
		t.Errorf("got a second header %v %v with %s", second["Vary"], second["Cache-Control"], cookieNames(second))
	}
}

// TestDeletionLines deletes every kind of cookie under every Config: a deletion has the creation's Path, Domain, Secure
// and Partitioned (seshcookie: others, so that the cookie stayed), and both Max-Age=0 and Expires in 1970 (rallly:
// Max-Age alone).
func TestDeletionLines(t *testing.T) {
	for name, change := range someConfigs {
		t.Run(name, func(t *testing.T) {
			full := func(c *cookiesession.Config) {
				change(c)
				c.IdleTimeout = time.Hour
				c.ImportCookies = []string{"legacy"}
				c.MaxSize = 9600
			}
			now := time.Now()
			m := newManager(t, full)
			m.SetClock(func() time.Time { return now })
			v := newVisitor(t, m)
			address := *site
			if name == "Insecure" {
				address.Scheme = "http"
			}
			address.Path = "/app/page"
			visit := func(change func(s *cookiesession.Session)) []*http.Cookie {
				t.Helper()
				r := httptest.NewRequest(http.MethodGet, address.String(), nil)
				if line := v.jar.Header(&address); line != "" {
					r.Header.Set("Cookie", line)
				}
				s, err := m.Load(r)
				if err != nil {
					t.Fatal(err)
				}
				change(s)
				h := http.Header{}
				if err := m.Save(h, s); err != nil {
					t.Fatal(err)
				}
				v.jar.SetHeader(&address, h)
				var cookies []*http.Cookie
				for _, line := range h["Set-Cookie"] {
					c, err := http.ParseSetCookie(line)
					if err != nil || len(c.Unparsed) > 0 {
						t.Fatalf("%v in %s", err, cookieNames(h))
					}
					cookies = append(cookies, c)
				}
				return cookies
			}
			created := make(map[string]*http.Cookie)
			deleted := make(map[string]bool)
			see := func(cookies []*http.Cookie) {
				t.Helper()
				for _, c := range cookies {
					if c.MaxAge >= 0 {
						if !c.Expires.IsZero() {
							t.Errorf("got a cookie with Expires %v beside Max-Age", c.Expires)
						}
						created[c.Name] = c
						continue
					}
					deleted[c.Name] = true
					if c.Value != "" || !strings.Contains(c.Raw, "; Max-Age=0;") || !strings.Contains(c.Raw, "; Expires=Thu, 01 Jan 1970 00:00:00 GMT;") {
						t.Errorf("got deletion %q", c.Raw)
					}
					as := created[c.Name]
					if as == nil {
						t.Fatalf("got %s deleted, which was never set", c.Name)
					}
					if c.Path != as.Path || c.Domain != as.Domain || c.Secure != as.Secure || c.Partitioned != as.Partitioned ||
						c.HttpOnly != as.HttpOnly || c.SameSite != as.SameSite {
						t.Errorf("got deletion %q of %q", c.Raw, as.Raw)
					}
				}
			}
			see(visit(put("v", random(5000))))
			see(visit(func(s *cookiesession.Session) { s.Put("v", 1); s.Flash("note", random(3500)) }))
			ended := m.CookieName() + endedSuffix(t, load(m, v.jar.Header(&address)).ID())
			see(visit(func(s *cookiesession.Session) { s.Flashes(); s.Destroy() }))
			created["legacy"] = &http.Cookie{
				Name: "legacy", Path: created[ended].Path, Domain: created[ended].Domain, Secure: created[ended].Secure,
				HttpOnly: true, SameSite: created[ended].SameSite, Partitioned: created[ended].Partitioned,
			}
			v.jar.SetCookies(&address, []*http.Cookie{created["legacy"]})
			see(visit(put("v", 1)))
			now = now.Add(20 * time.Minute)
			see(visit(func(s *cookiesession.Session) { s.Get("v") })) // a lease; the old marker goes
			second := m.CookieName() + endedSuffix(t, load(m, v.jar.Header(&address)).ID())
			see(visit(destroy))
			for _, suffix := range []string{"", ".1", ".flash", ".flash.1", ".lease"} {
				if !deleted[m.CookieName()+suffix] {
					t.Errorf("got %s never deleted", m.CookieName()+suffix)
				}
			}
			if !deleted[ended] || !deleted["legacy"] {
				t.Errorf("got the old marker and the imported cookie not both deleted")
			}
			for _, c := range v.jar.All() {
				if c.Name != second {
					t.Errorf("the browser still holds %s", c.Name)
				}
			}
		})
	}
}

// someConfigs are settings that change the attributes.
var someConfigs = map[string]func(c *cookiesession.Config){
	"zero":        func(*cookiesession.Config) {},
	"Domain":      func(c *cookiesession.Config) { c.Domain = "shop.example" },
	"Path":        func(c *cookiesession.Config) { c.Path = "/app" },
	"Partitioned": func(c *cookiesession.Config) { c.Partitioned, c.SameSite = true, http.SameSiteNoneMode },
	"Insecure":    func(c *cookiesession.Config) { c.Insecure = true },
	"Persistent":  func(c *cookiesession.Config) { c.Persistent = true },
	"Strict":      func(c *cookiesession.Config) { c.SameSite = http.SameSiteStrictMode },
	"all": func(c *cookiesession.Config) {
		c.Name, c.Domain, c.Path, c.SameSite, c.Partitioned, c.Persistent = "id", "shop.example", "/app/", http.SameSiteNoneMode, true, true
	},
}

// A response that depends on the session is private, for caches that ignore Vary, unless the handler has said what they
// may do. One that didn't look at the session is nobody's business.
func TestUsedSessionMakesResponsePrivate(t *testing.T) {
	m := newManager(t, nil)
	idle := newManager(t, withIdle(time.Hour))
	const refusal = "ProtectCSRF of a POST"
	for name, test := range map[string]struct {
		use  func(m *cookiesession.Manager, w http.ResponseWriter, r *http.Request)
		used bool
	}{
		"nothing":     {func(*cookiesession.Manager, http.ResponseWriter, *http.Request) {}, false},
		"Manager.Get": {func(m *cookiesession.Manager, _ http.ResponseWriter, r *http.Request) { m.Get(r) }, false},
		"FromContext": {func(_ *cookiesession.Manager, _ http.ResponseWriter, r *http.Request) {
			cookiesession.FromContext(r.Context())
		}, false},
		"Session.Get": {func(m *cookiesession.Manager, _ http.ResponseWriter, r *http.Request) { m.Get(r).Get("n") }, true},
		"Has":         {func(m *cookiesession.Manager, _ http.ResponseWriter, r *http.Request) { m.Get(r).Has("n") }, true},
		"IsNew":       {func(m *cookiesession.Manager, _ http.ResponseWriter, r *http.Request) { m.Get(r).IsNew() }, true},
		"ID":          {func(m *cookiesession.Manager, _ http.ResponseWriter, r *http.Request) { m.Get(r).ID() }, true},
		"IdleAt":      {func(m *cookiesession.Manager, _ http.ResponseWriter, r *http.Request) { m.Get(r).IdleAt() }, true},
		"Passive":     {func(m *cookiesession.Manager, _ http.ResponseWriter, r *http.Request) { m.Get(r).Passive() }, true},
		"Remembered":  {func(m *cookiesession.Manager, _ http.ResponseWriter, r *http.Request) { m.Get(r).Remembered() }, true},
		"Rejected":    {func(m *cookiesession.Manager, _ http.ResponseWriter, r *http.Request) { m.Get(r).Rejected() }, true},
		"Err":         {func(m *cookiesession.Manager, _ http.ResponseWriter, r *http.Request) { m.Get(r).Err() }, true},
		"Size":        {func(m *cookiesession.Manager, _ http.ResponseWriter, r *http.Request) { m.Get(r).Size() }, true},
		"All":         {func(m *cookiesession.Manager, _ http.ResponseWriter, r *http.Request) { m.Get(r).All() }, true},
		"a Field": {func(m *cookiesession.Manager, _ http.ResponseWriter, r *http.Request) {
			cookiesession.Field[int]("n").Get(m.Get(r))
		}, true},
		"an equal Put":    {func(m *cookiesession.Manager, _ http.ResponseWriter, r *http.Request) { m.Get(r).Put("n", 1) }, true},
		"Flashed":         {func(m *cookiesession.Manager, _ http.ResponseWriter, r *http.Request) { m.Get(r).Flashed("f") }, true},
		"Flashes":         {func(m *cookiesession.Manager, _ http.ResponseWriter, r *http.Request) { m.Get(r).Flashes() }, true},
		"FlashNow":        {func(m *cookiesession.Manager, _ http.ResponseWriter, r *http.Request) { m.Get(r).FlashNow("f", 1) }, true},
		"CSRFToken":       {func(m *cookiesession.Manager, _ http.ResponseWriter, r *http.Request) { m.Get(r).CSRFToken() }, true},
		"VerifyCSRFToken": {func(m *cookiesession.Manager, _ http.ResponseWriter, r *http.Request) { m.Get(r).VerifyCSRFToken("x") }, true},
		"FromContext, Get": {func(_ *cookiesession.Manager, _ http.ResponseWriter, r *http.Request) {
			cookiesession.FromContext(r.Context()).Get("n")
		}, true},
		"Manager.FromContext, Get": {func(m *cookiesession.Manager, _ http.ResponseWriter, r *http.Request) {
			m.FromContext(r.Context()).Get("n")
		}, true},
		"Load": {func(m *cookiesession.Manager, _ http.ResponseWriter, r *http.Request) { m.Load(r) }, true},
		"Load and Save": {func(m *cookiesession.Manager, w http.ResponseWriter, r *http.Request) {
			s, _ := m.Load(r)
			if err := m.Save(w.Header(), s); err != nil {
				t.Error(err)
			}
		}, true},
		"ProtectCSRF of a GET": {func(m *cookiesession.Manager, w http.ResponseWriter, r *http.Request) {
			m.ProtectCSRF(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, r)
		}, false},
		refusal: {func(m *cookiesession.Manager, w http.ResponseWriter, r *http.Request) {
			r.Method = "POST"
			m.ProtectCSRF(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, r)
		}, true},
	} {
		for _, visitor := range []*visitor{newVisitor(t, m), newVisitor(t, idle)} {
			for _, received := range []string{"a session", "nothing", "garbage", "a marker"} {
				switch received {
				case "a session": // with a token, so that no response here writes
					visitor.visit(func(s *cookiesession.Session) { s.Put("n", 1); s.CSRFToken() })
				case "nothing":
					visitor.jar.Restart()
				case "garbage":
					visitor.setCookie("", "1AAAA")
				case "a marker":
					visitor.setCookie("", "1AAAA")
					visitor.setCookie(".ended.AAAAAAAAAAA", "1")
				}
				for _, own := range [][]string{nil, {"public, max-age=60"}, {"no-cache"}, {"max-age=0", "must-revalidate"}, {""}} {
					for _, when := range []string{"before", "after", "taken back"} {
						if name == refusal && when != "before" {
							continue // it has been sent then
						}
						h := inHandler(visitor.m, requestWith(visitor.header()), func(w http.ResponseWriter, r *http.Request) {
							if own != nil && when != "after" {
								w.Header()["Cache-Control"] = slices.Clone(own)
							}
							test.use(visitor.m, w, r)
							if own != nil && when == "after" {
								w.Header()["Cache-Control"] = slices.Clone(own)
							}
							if when == "taken back" {
								w.Header().Del("Cache-Control")
							}
							io.WriteString(w, "page")
						})
						if len(h["Set-Cookie"]) > 0 {
							if name != "CSRFToken" && name != "an equal Put" {
								t.Errorf("%s, %s received: wrote %s", name, received, cookieNames(h))
							}
							continue
						}
						want, vary := own, []string(nil)
						if when == "taken back" {
							want = nil
						}
						if test.used {
							vary = []string{"Cookie"}
							if want == nil {
								want = []string{"private"}
							}
						}
						if !slices.Equal(h["Cache-Control"], want) || !slices.Equal(h["Vary"], vary) {
							t.Errorf("%s, %s received, handler's %q %s: got Cache-Control %q, Vary %q; want %q, %q", name, received, own, when, h["Cache-Control"], h["Vary"], want, vary)
						}
					}
				}
			}
		}
	}
}

// cdnSpellings are the ways in which a handler may come to a header that shared caches put above Cache-Control.
var cdnSpellings = func() (spellings []func(h http.Header, value string)) {
	for _, name := range []string{
		"CDN-Cache-Control", "Cloudflare-CDN-Cache-Control", "Netlify-CDN-Cache-Control", "Vercel-CDN-Cache-Control",
		"Akamai-Cache-Control", "Fastly-Cache-Control", "Souin-Cache-Control", "-Cache-Control", "Surrogate-Control",
		"X-Accel-Expires", "X-LiteSpeed-Cache-Control", "Edge-Control",
	} {
		for _, spelled := range []string{name, strings.ToLower(name), strings.ToUpper(name), http.CanonicalHeaderKey(name)} {
			spellings = append(spellings,
				func(h http.Header, value string) { h.Set(spelled, value) },
				func(h http.Header, value string) { h.Add(spelled, "max-age=1"); h.Add(spelled, value) },
				func(h http.Header, value string) { h[spelled] = []string{value} })
		}
	}
	return spellings
}()

// neighboursOfCDN are header fields with similar names, in which an application may keep what it likes.
var neighboursOfCDN = []string{"Cdncache-Control", "CDN-Cache-Control-Info", "X-Surrogate-Control", "Surrogate-Key", "X-Edge-Control", "Control"}

// A shared cache goes by what is meant for it alone rather than by Cache-Control (RFC 9213). So that goes where cookies
// are written, however it is spelled, and from an error page; what only reads leaves it to the handler.
func TestCDNCachingGoesWithCookies(t *testing.T) {
	m := newManager(t, withIdle(time.Hour))
	v := newVisitor(t, m)
	v.visit(func(s *cookiesession.Session) { s.Put("n", 1); s.Flash("f", 1) })
	old := newVisitor(t, newManager(t, withIdle(time.Hour)))
	old.m.SetClock(func() time.Time { return time.Now().Add(-5 * time.Minute) })
	old.visit(put("n", 1))
	for name, test := range map[string]struct {
		header string
		do     func(s *cookiesession.Session)
		stays  bool
		status int
	}{
		"unused":              {v.header(), nothing, true, 200},
		"read":                {v.header(), touched, true, 200},
		"read by nobody":      {"", touched, true, 200},
		"equal value":         {v.header(), put("n", 1), true, 200},
		"written":             {v.header(), put("n", 2), false, 200},
		"started":             {"", put("n", 2), false, 200},
		"destroyed":           {v.header(), destroy, false, 200},
		"message left":        {"", flash("f", 2), false, 200},
		"message read":        {v.header(), asked, false, 200},
		"leased":              {old.header(), touched, false, 200},
		"can't be saved":      {v.header(), put("n", tooLarge), false, 500},
		"can't be encoded":    {"", put("n", func() {}), false, 500},
		"ended, can't be put": {v.header(), func(s *cookiesession.Session) { s.Destroy(); s.Put("n", tooLarge) }, false, 500},
	} {
		for i, set := range cdnSpellings {
			rec := httptest.NewRecorder()
			for _, name := range neighboursOfCDN {
				rec.Header().Set(name, "stays")
			}
			set(rec.Header(), "max-age=4711") // outside
			m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				set(w.Header(), "max-age=4712")
				test.do(m.Get(r))
			})).ServeHTTP(rec, requestWith(test.header))
			h := rec.Result().Header
			text := strings.ToLower(fmt.Sprint(h))
			there := strings.Contains(text, "max-age=4712") || strings.Contains(text, "max-age=4711")
			for _, name := range neighboursOfCDN {
				if h.Get(name) != "stays" {
					t.Errorf("%s, spelling %d: got %s %q, want it left alone", name, i, name, h.Get(name))
				}
			}
			if there != test.stays || rec.Code != test.status {
				t.Errorf("%s, spelling %d: got %d, caching for shared caches stays %v, want %d, %v: %s", name, i, rec.Code, there, test.status, test.stays, text)
			}
			if wantsPrivate := name != "unused"; test.status == 200 && (h.Get("Cache-Control") == "private") != wantsPrivate {
				t.Errorf("%s: got Cache-Control %q", name, h.Get("Cache-Control"))
			}
			if test.status == 500 && h.Get("Cache-Control") != "no-store" {
				t.Errorf("%s: got Cache-Control %q, want no-store", name, h.Get("Cache-Control"))
			}
		}
	}
}

// nginx, LiteSpeed and Akamai go by fields of their own, and may have been told to ignore Cache-Control: so these aren't
// removed, which could turn "0" into the time that nginx's file says, but forbid caching.
func TestServersOwnCachingIsForbidden(t *testing.T) {
	m := newManager(t, nil)
	for name, forbids := range map[string]string{"X-Accel-Expires": "0", "X-LiteSpeed-Cache-Control": "no-cache", "Edge-Control": "no-store"} {
		for _, spelled := range []string{http.CanonicalHeaderKey(name), strings.ToLower(name)} {
			for do, want := range map[string]string{"written": forbids, "can't be saved": forbids, "read": "60", "absent": ""} {
				rec := httptest.NewRecorder()
				m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if do != "absent" {
						w.Header()[spelled] = []string{"60"}
					}
					switch s := m.Get(r); do {
					case "can't be saved":
						s.Put("n", tooLarge)
					case "read":
						s.Get("n")
					default:
						s.Put("n", 1)
					}
				})).ServeHTTP(rec, httptest.NewRequest("GET", "/", nil))
				if got := strings.Join(rec.Header()[spelled], ", "); got != want {
					t.Errorf("%s, %s: got %q, want %q", spelled, do, got, want)
				}
			}
		}
	}
}

// Nor does a shared cache store what answers under DevicePath.
func TestCDNCachingOfDevicePath(t *testing.T) {
	m := newManager(t, func(c *cookiesession.Config) { c.DeviceProof, c.DevicePath = 10*time.Minute, "/device" })
	for _, h := range []http.Handler{m.Handler(http.NotFoundHandler()), m.DeviceHandler()} {
		for _, method := range []string{"GET", "POST"} {
			for i, set := range cdnSpellings {
				rec := httptest.NewRecorder()
				set(rec.Header(), "max-age=4711")
				h.ServeHTTP(rec, httptest.NewRequest(method, "/device", nil))
				if got := rec.Header(); rec.Code == 404 || got.Get("Cache-Control") != "no-store" || strings.Contains(fmt.Sprint(got), "4711") {
					t.Errorf("%s, spelling %d: got %d, %v", method, i, rec.Code, got)
				}
			}
		}
	}
}

// On the wire too, where HTTP/2 has names in lower case.
func TestCDNCachingOnTheWire(t *testing.T) {
	onEachProtocol(t, func(t *testing.T, proto string) {
		m := newWeb(t, nil)
		reads := false
		v := m.serve(t, proto, m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header()["CDN-Cache-Control"] = []string{"max-age=4712"}
			w.Header().Set("surrogate-control", "max-age=4712")
			if s := m.Get(r); reads {
				s.Get("n")
			} else {
				s.Put("n", 1)
			}
			w.(http.Flusher).Flush()
		})))
		for _, reads = range []bool{false, true} {
			want := ""
			if reads {
				want = "max-age=4712"
			}
			h := v.get().Header
			if h.Get("CDN-Cache-Control") != want || h.Get("Surrogate-Control") != want || h.Get("Cache-Control") != "private" {
				t.Errorf("reads %v: got %v", reads, h)
			}
		}
	})
}
