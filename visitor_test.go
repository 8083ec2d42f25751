package cookiesession_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/seed-50e21e88/cookiesession"
	"github.com/seed-50e21e88/cookiesession/cookiesessiontest"
)

// Visitors, whose requests a Manager answers without a server.

// The cookies' names under the zero Config.
const (
	cookieName = "__Host-session"
	flashName  = cookieName + ".flash"
	leaseName  = cookieName + ".lease"
)

// site is what visitors visit.
var site = &url.URL{Scheme: "https", Host: "shop.example", Path: "/"}

// A visitor is a strict browser whose requests m answers.
type visitor struct {
	t   testing.TB
	m   *cookiesession.Manager
	jar *cookiesessiontest.Jar
}

// newVisitor returns one without cookies.
func newVisitor(t testing.TB, m *cookiesession.Manager) *visitor {
	return &visitor{t, m, cookiesessiontest.NewJar()}
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

// visitInto answers a request as visit does, and gives the response to another browser too.
func (v *visitor) visitInto(other *visitor, fn func(s *cookiesession.Session)) {
	v.t.Helper()
	for _, line := range v.visit(fn) {
		other.jar.SetHeader(site, http.Header{"Set-Cookie": {line}})
	}
}

// get returns what a session that only reads holds under key.
func (v *visitor) get(key string) any { return v.load().Get(key) }

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

// wantState checks what state returns.
func (v *visitor) wantState(want string) {
	v.t.Helper()
	if got := v.state(); got != want {
		v.t.Errorf("the session is %s, want %s", got, want)
	}
}

// clone returns the same browser at another server.
func (v *visitor) clone(m *cookiesession.Manager) *visitor { return &visitor{v.t, m, v.jar.Clone()} }

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

// setCookie puts a cookie into the jar, by the name that names has.
func (v *visitor) setCookie(suffix, value string) {
	v.jar.SetCookies(site, []*http.Cookie{{Name: v.m.CookieName() + suffix, Value: value, Path: "/", Secure: true}})
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

// markers returns the tags of the markers in the jar.
func (v *visitor) markers() (tags []string) {
	for _, name := range v.names() {
		if tag, ok := strings.CutPrefix(name, ".ended."); ok {
			tags = append(tags, tag)
		}
	}
	return tags
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

// What a request does with its session.

// put is a change for visit, as what follows is.
func put(key string, value any) func(*cookiesession.Session) {
	return func(s *cookiesession.Session) { s.Put(key, value) }
}

// destroy logs out.
func destroy(s *cookiesession.Session) { s.Destroy() }

// nothing doesn't use the session.
func nothing(*cookiesession.Session) {}

// touched opens the session, which counts as use, and changes nothing.
func touched(s *cookiesession.Session) { s.IsEmpty() }

// login logs in.
func login(s *cookiesession.Session) {
	s.Put("user", "ada")
	s.Regenerate()
}

// flash leaves a message.
func flash(key string, value any) func(*cookiesession.Session) {
	return func(s *cookiesession.Session) { s.Flash(key, value) }
}

// both stores a value and leaves a message.
func both(value, message any) func(*cookiesession.Session) {
	return func(s *cookiesession.Session) { s.Put("v", value); s.Flash("f", message) }
}

// asked reads all messages.
func asked(s *cookiesession.Session) { s.Flashes() }

// fill makes a session's payload n bytes long, if it holds nothing else.
func fill(t testing.TB, m *cookiesession.Manager, n int) func(*cookiesession.Session) {
	return put("v", filler(t, m, n))
}

// filler returns a string with which a session that holds nothing else has a payload of n bytes.
func filler(t testing.TB, m *cookiesession.Manager, n int) string {
	t.Helper()
	s := load(m)
	s.Put("v", random(1000))
	length := 1000 + n - len(m.PayloadOf(s, s.CreatedAt()))
	s.Put("v", random(length))
	if got := len(m.PayloadOf(s, s.CreatedAt())); got != n {
		t.Fatalf("payload has %d bytes, want %d", got, n)
	}
	return random(length)
}

// tooLarge is a value that no session of the default size can hold, and that doesn't occur by chance.
var tooLarge = strings.Repeat("large secret ", 1000)

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
