package main

import (
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-50e21e88/cookiesession"
	"github.com/seed-50e21e88/cookiesession/cookiesessiontest"
)

const (
	password      = "correct horse battery staple"
	otherPassword = "another horse, another staple"
	linuxFirefox  = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
	androidChrome = "Mozilla/5.0 (Linux; Android 16) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Mobile Safari/537.36"
)

// means are the ways to end sessions. What is true of one must be true of all.
func means(t *testing.T) []string {
	return []string{revokeByVersion, revokeByMemory, revokeByFile + filepath.Join(t.TempDir(), "revoked")}
}

// eachMeans runs a test with each of the ways to end sessions, in a bubble whose time passes as it sleeps.
func eachMeans(t *testing.T, test func(t *testing.T, s *site)) {
	for _, name := range means(t) {
		kind, _, _ := strings.Cut(name, ":")
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(t, newSite(t, name)) })
		})
	}
}

// A site is the application, on as many servers as app says.
type site struct {
	t    *testing.T
	keys *cookiesession.Keyring
	*app
}

func newSite(t *testing.T, means string) *site {
	t.Helper()
	keys, err := cookiesession.NewKeyring(cookiesession.GenerateKey("test"))
	if err != nil {
		t.Fatal(err)
	}
	st, err := openStore("")
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	rv, err := openRevoker(t.Context(), means, st, false, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := rv.close(); err != nil {
			t.Error(err)
		}
		if err := st.close(); err != nil {
			t.Error(err)
		}
	})
	s := &site{t: t, keys: keys, app: &app{store: st, revoker: rv, log: log}}
	s.app = s.server()
	return s
}

// server returns another server of the site. Its hasher is as fast as argon2id can be, and does one thing at a time.
func (s *site) server() *app {
	s.t.Helper()
	h := newHasher(8, 1)
	h.turns = make(chan struct{}, 1)
	a, err := newApp(s.keys, s.store, s.revoker, h, s.log)
	if err != nil {
		s.t.Fatal(err)
	}
	return a
}

// A visitor is somebody's browser, and the page that it shows.
type visitor struct {
	t       *testing.T
	client  http.Client
	jar     *cookiesessiontest.Jar
	site    http.Handler
	origin  string
	agent   string
	address string
	shown
}

// shown is what a visitor sees.
type shown struct {
	status int
	path   string
	header http.Header
	body   string
}

const origin = "http://localhost:8080"

func newVisitor(t *testing.T, a *app) *visitor {
	v := &visitor{t: t, jar: cookiesessiontest.NewJar(), origin: origin, agent: linuxFirefox, address: "192.0.2.1:1234"}
	v.at(a)
	return v
}

// at makes a server of the site the one that answers from now on.
func (v *visitor) at(a *app) {
	v.site = a.handler()
	v.client = http.Client{Jar: v.jar, Transport: v}
}

// RoundTrip hands a request to the site, so that all happens in one bubble.
func (v *visitor) RoundTrip(r *http.Request) (*http.Response, error) {
	got := r.Clone(r.Context())
	got.RequestURI, got.RemoteAddr, got.Host = r.URL.RequestURI(), v.address, r.URL.Host
	if r.Body == nil {
		got.Body = http.NoBody
	}
	w := httptest.NewRecorder()
	v.site.ServeHTTP(w, got)
	resp := w.Result()
	resp.Request = r
	return resp, nil
}

// copied returns somebody who has all of v's cookies as they are now.
func (v *visitor) copied() *visitor {
	c := *v
	c.jar = v.jar.Clone()
	c.client = http.Client{Jar: c.jar, Transport: &c}
	return &c
}

func (v *visitor) do(method, path string, form url.Values) {
	v.t.Helper()
	r, err := http.NewRequestWithContext(v.t.Context(), method, v.origin+path, strings.NewReader(form.Encode()))
	if err != nil {
		v.t.Fatal(err)
	}
	r.Header.Set("User-Agent", v.agent)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := v.client.Do(r)
	if err != nil {
		v.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	v.shown = shown{resp.StatusCode, resp.Request.URL.RequestURI(), resp.Header, string(body)}
}

// open loads a page, and follows redirects.
func (v *visitor) open(path string) *visitor {
	v.t.Helper()
	v.do(http.MethodGet, path, nil)
	return v
}

var (
	formTag   = regexp.MustCompile(`(?s)<form[^>]* action="([^"]*)">.*?</form>`)
	hiddenTag = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)"`)
	noticeTag = regexp.MustCompile(`<p class="notice[^>]*>([^<]*)</p>`)
	titleTag  = regexp.MustCompile(`<h1[^>]*>([^<]*)</h1>`)
	lineTag   = regexp.MustCompile(`(?s)<li(?: [^>]*)?>.*?</li>`)
	deviceTag = regexp.MustCompile(`<strong>([^<]*)</strong>`)
)

func first(tag *regexp.Regexp, body string) string {
	if m := tag.FindStringSubmatch(body); m != nil {
		return html.UnescapeString(m[1])
	}
	return ""
}

func (p *shown) notice() string { return first(noticeTag, p.body) }
func (p *shown) title() string  { return first(titleTag, p.body) }

// form returns the hidden fields of the page's first form for action that holds text.
func (p *shown) form(action, text string) (fields url.Values, found bool) {
	for _, form := range formTag.FindAllStringSubmatch(p.body, -1) {
		if form[1] != action || !strings.Contains(form[0], text) {
			continue
		}
		fields = url.Values{}
		for _, field := range hiddenTag.FindAllStringSubmatch(form[0], -1) {
			fields.Set(field[1], html.UnescapeString(field[2]))
		}
		return fields, true
	}
	return nil, false
}

// submit fills in the page's form for action with pairs of name and value, and sends it. submitTo takes the form that
// holds text.
func (v *visitor) submit(action string, pairs ...string) *visitor {
	v.t.Helper()
	return v.submitTo(action, "", pairs...)
}

func (v *visitor) submitTo(action, text string, pairs ...string) *visitor {
	v.t.Helper()
	fields, found := v.form(action, text)
	if !found {
		v.t.Fatalf("the page %s, %q, has no form for %s with %q", v.path, v.title(), action, text)
	}
	for pair := range slices.Chunk(pairs, 2) {
		fields.Set(pair[0], pair[1])
	}
	v.do(http.MethodPost, action, fields)
	return v
}

func (v *visitor) register(name string) *visitor {
	v.t.Helper()
	v.open("/register").submit("/register", "name", name, "password", password, "again", password)
	v.wantMember(name)
	return v
}

// logIn logs in, with further pairs of name and value.
func (v *visitor) logIn(name, password string, pairs ...string) *visitor {
	v.t.Helper()
	return v.open("/login").submit("/login", append(pairs, "name", name, "password", password)...)
}

// confirm goes to a page, and gives the password if that is asked for.
func (v *visitor) confirm(path string) *visitor {
	v.t.Helper()
	if v.open(path); strings.HasPrefix(v.path, "/confirm") {
		v.submit("/confirm", "password", password)
	}
	if v.path != path {
		v.t.Fatalf("confirmed, and led to %s (%q), want %s", v.path, v.notice(), path)
	}
	return v
}

// sessions returns the list of "my sessions", the one in use marked.
func (v *visitor) sessions() (list []string) {
	v.t.Helper()
	v.open("/sessions")
	for _, line := range lineTag.FindAllString(v.body, -1) {
		device := first(deviceTag, line)
		if strings.Contains(line, `<span class="tag">this one</span>`) {
			device += " *"
		}
		list = append(list, device)
	}
	return list
}

// sessionCookie returns the cookie that holds v's session.
func (v *visitor) sessionCookie(a *app) string {
	for _, c := range v.jar.All() {
		if c.Name == a.sessions.CookieName() {
			return c.Value
		}
	}
	return ""
}

// user returns whose name the first page shows.
func (v *visitor) user() string {
	v.t.Helper()
	name, _ := strings.CutPrefix(v.open("/").title(), "Hello, ")
	if name == v.title() {
		return ""
	}
	return name
}

func (v *visitor) wantMember(name string) {
	v.t.Helper()
	if got := v.user(); got != name {
		v.t.Errorf("logged in as %q, want %q", got, name)
	}
}

// want checks the page that the visitor sees.
func (v *visitor) want(status int, path, notice string) {
	v.t.Helper()
	if v.status != status || v.path != path || v.notice() != notice {
		v.t.Errorf("got %d %s with %q, want %d %s with %q", v.status, v.path, v.notice(), status, path, notice)
	}
}

// phone returns another browser in which the same person logs in.
func phone(t *testing.T, s *site, name string) *visitor {
	t.Helper()
	v := newVisitor(t, s.app)
	v.agent = androidChrome
	v.logIn(name, password)
	v.wantMember(name)
	return v
}

// midway begins what do does, and returns when it waits for its turn to compute a hash on the server a; finish lets it
// go on and end.
func midway(a *app, do func()) (finish func()) {
	a.hasher.turns <- struct{}{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		do()
	}()
	synctest.Wait()
	return func() {
		<-a.hasher.turns
		<-done
	}
}

func TestMidwayWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, revokeByVersion)
		ended := false
		finish := midway(s.app, func() {
			if _, err := s.hasher.hash(t.Context(), password); err != nil {
				t.Error(err)
			}
			ended = true
		})
		time.Sleep(time.Hour)
		if ended {
			t.Error("it did not wait")
		}
		if finish(); !ended {
			t.Error("it did not end")
		}
	})
}
