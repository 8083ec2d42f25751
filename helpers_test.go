package cookiesession_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/seed-50e21e88/cookiesession"
	"github.com/seed-50e21e88/cookiesession/cookiesessiontest"
)

var site = &url.URL{Scheme: "https", Host: "shop.example", Path: "/"}

// fixedRing returns a Keyring that is the same in every process: fuzzing needs one.
func fixedRing(t testing.TB) *cookiesession.Keyring {
	t.Helper()
	secret := make([]byte, 32)
	for i := range secret {
		secret[i] = byte(i)
	}
	ring, err := cookiesession.NewKeyring(cookiesession.Key{Label: "test", Secret: secret})
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// newManager returns a Manager with fixedRing's keys, unless change sets others.
func newManager(t testing.TB, change func(*cookiesession.Config)) *cookiesession.Manager {
	t.Helper()
	c := cookiesession.Config{Keys: fixedRing(t), Logger: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&c)
	}
	m, err := cookiesession.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// withMaxSize is a change for newManager.
func withMaxSize(n int) func(*cookiesession.Config) {
	return func(c *cookiesession.Config) { c.MaxSize = n }
}

// A visitor is a strict browser whose requests m answers.
type visitor struct {
	t   testing.TB
	m   *cookiesession.Manager
	jar *cookiesessiontest.Jar
}

func newVisitor(t testing.TB, m *cookiesession.Manager) *visitor {
	return &visitor{t, m, cookiesessiontest.NewJar()}
}

// header returns the Cookie header that the visitor would send now.
func (v *visitor) header() string { return v.jar.Header(site) }

// names returns the names of the cookies in the jar, sorted, without the Manager's prefix to all of them: "" is cookie
// 0.
func (v *visitor) names() []string {
	var names []string
	for _, c := range v.jar.All() {
		names = append(names, strings.TrimPrefix(c.Name, v.m.CookieName()))
	}
	slices.Sort(names)
	return names
}

// cookie returns the value of a cookie in the jar, by the name that names has.
func (v *visitor) cookie(suffix string) string {
	v.t.Helper()
	for _, c := range v.jar.All() {
		if c.Name == v.m.CookieName()+suffix {
			return c.Value
		}
	}
	v.t.Fatalf("no cookie %s%s among %q", v.m.CookieName(), suffix, v.names())
	return ""
}

// chunks returns how many session cookies are in the jar, in which no number may be left out.
func (v *visitor) chunks() int {
	v.t.Helper()
	n := 0
	for _, name := range v.names() {
		if name == "" || len(name) == 2 && name[0] == '.' {
			want := ""
			if n > 0 {
				want = "." + string(rune('0'+n))
			}
			if name != want {
				v.t.Fatalf("session cookies %q, cookie %d is missing", v.names(), n)
			}
			n++
		}
	}
	return n
}

// visit answers one request: fn changes the session, and the browser gets the response. It returns the Set-Cookie
// lines.
func (v *visitor) visit(fn func(s *cookiesession.Session)) []string {
	v.t.Helper()
	lines, err := v.try(fn)
	if err != nil {
		v.t.Fatalf("Save: %v", err)
	}
	return lines
}

// try is visit for what may fail to be saved.
func (v *visitor) try(fn func(s *cookiesession.Session)) ([]string, error) {
	v.t.Helper()
	s := v.load()
	fn(s)
	return v.answer(s)
}

// load begins a request that answer ends.
func (v *visitor) load() *cookiesession.Session {
	return load(v.m, v.header())
}

// answer sends the response of a request that load began.
func (v *visitor) answer(s *cookiesession.Session) ([]string, error) {
	v.t.Helper()
	h := http.Header{}
	err := v.m.Save(h, s)
	checkLines(v.t, h["Set-Cookie"])
	v.jar.SetHeader(site, h)
	return h["Set-Cookie"], err
}

// get returns what a session that only reads holds under key.
func (v *visitor) get(key string) any { return v.load().Get(key) }

// load opens the session of a request with the given Cookie header lines.
func load(m *cookiesession.Manager, cookies ...string) *cookiesession.Session {
	s, _ := m.Load(requestWith(cookies...))
	return s
}

func requestWith(cookies ...string) *http.Request {
	r := &http.Request{Method: http.MethodGet, URL: site, Host: site.Host, Header: http.Header{}}
	if strings.Join(cookies, "") != "" {
		r.Header["Cookie"] = cookies
	}
	return r
}

// rejected returns the reason for which a request with these Cookie header lines gets no session, or "".
func rejected(m *cookiesession.Manager, cookies ...string) string {
	if err := load(m, cookies...).Rejected(); err != nil {
		return err.Reason.String()
	}
	return ""
}

// checkLines holds Set-Cookie lines against what every browser takes.
func checkLines(t testing.TB, lines []string) {
	t.Helper()
	seen := map[string]bool{}
	for _, line := range lines {
		if len(line) > 3900 {
			t.Errorf("Set-Cookie line of %d bytes, want at most 3900", len(line))
		}
		pair, _, _ := strings.Cut(line, ";")
		name, value, _ := strings.Cut(pair, "=")
		if len(name)+len(value) > 4096 {
			t.Errorf("cookie %s: name and value have %d bytes, want at most 4096", name, len(name)+len(value))
		}
		if seen[name] {
			t.Errorf("cookie %s is set twice in one response", name)
		}
		seen[name] = true
	}
}

var deletion = regexp.MustCompile(`^[^=;]+=; .*Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0`)

// countLines returns how many Set-Cookie lines set a cookie and how many delete one.
func countLines(lines []string) (set, deleted int) {
	for _, line := range lines {
		if deletion.MatchString(line) {
			deleted++
		} else {
			set++
		}
	}
	return set, deleted
}

// put is a change for visit.
func put(key string, value any) func(*cookiesession.Session) {
	return func(s *cookiesession.Session) { s.Put(key, value) }
}

// destroy is a change for visit.
func destroy(s *cookiesession.Session) { s.Destroy() }

// nothing is a change for visit.
func nothing(*cookiesession.Session) {}

// random returns n characters that don't repeat themselves much, the same for every run.
func random(n int) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	b := make([]byte, n)
	x := uint64(n)*0x9e3779b97f4a7c15 + 1
	for i := range b {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b[i] = letters[x>>58]
	}
	return string(b)
}

// wrote returns the names that Set-Cookie lines set, sorted, without the Manager's prefix to all of them; those that
// are deleted come with a minus sign.
func (v *visitor) wrote(lines []string) string {
	var names []string
	for _, line := range lines {
		name, _, _ := strings.Cut(line, "=")
		name = "[" + strings.TrimPrefix(name, v.m.CookieName()) + "]"
		if deletion.MatchString(line) {
			name = "-" + name
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// setCookie puts a cookie into the jar, by the name that names has.
func (v *visitor) setCookie(suffix, value string) {
	v.jar.SetCookies(site, []*http.Cookie{{Name: v.m.CookieName() + suffix, Value: value, Path: "/", Secure: true}})
}

// clone returns the same browser at another server.
func (v *visitor) clone(m *cookiesession.Manager) *visitor { return &visitor{v.t, m, v.jar.Clone()} }

// state returns what the next request gets: "valid", "new" or the reason for which it is refused.
func (v *visitor) state() string {
	s := v.load()
	switch {
	case s.Rejected() != nil:
		return s.Rejected().Reason.String()
	case s.IsNew():
		return "new"
	}
	return "valid"
}

func (v *visitor) wantState(want string) {
	v.t.Helper()
	if got := v.state(); got != want {
		v.t.Errorf("the session is %s, want %s", got, want)
	}
}

// visitInto answers a request as visit does, and gives the response to another browser too.
func (v *visitor) visitInto(other *visitor, fn func(s *cookiesession.Session)) {
	v.t.Helper()
	for _, line := range v.visit(fn) {
		other.jar.SetHeader(site, http.Header{"Set-Cookie": {line}})
	}
}

// inManagersHandler answers r within m's Handler and returns the response's header.
func inManagersHandler(m *cookiesession.Manager, r *http.Request, fn http.HandlerFunc) http.Header {
	rec := httptest.NewRecorder()
	m.Handler(fn).ServeHTTP(rec, r)
	return rec.Result().Header
}
