package cookiesessiontest_test

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-50e21e88/cookiesession"
	"github.com/seed-50e21e88/cookiesession/cookiesessiontest"
)

// newManager returns a Manager with a key of its own.
func newManager(t testing.TB, change func(*cookiesession.Config)) *cookiesession.Manager {
	t.Helper()
	keys, err := cookiesession.NewKeyring(cookiesession.GenerateKey("test"))
	if err != nil {
		t.Fatal(err)
	}
	c := cookiesession.Config{Keys: keys, Logger: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&c)
	}
	m, err := cookiesession.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// serve answers r with h inside m's Handler. The response knows its request.
func serve(m *cookiesession.Manager, r *http.Request, h http.HandlerFunc) *http.Response {
	w := httptest.NewRecorder()
	m.Handler(h).ServeHTTP(w, r)
	resp := w.Result()
	resp.Request = r
	return resp
}

func TestRequest(t *testing.T) {
	m := newManager(t, nil)
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Cookie", "theme=dark; lang=\"en\"")
	got := cookiesessiontest.Request(t, m, r, map[string]any{"user": "grace", "n": 3})
	if s := r.Header.Get("Cookie"); s != `theme=dark; lang="en"` {
		t.Errorf("Request changed its argument: Cookie is %q", s)
	}
	if s := got.Header.Get("Cookie"); !strings.HasPrefix(s, `theme=dark; lang="en"; `+m.CookieName()+"=") {
		t.Errorf("Cookie is %q, want the session behind the others", s)
	}
	serve(m, got, func(_ http.ResponseWriter, r *http.Request) {
		s := m.Get(r)
		if s.IsNew() || s.Get("user") != "grace" || s.Get("n") != int64(3) {
			t.Errorf("handler got %v, new %t", s.All(), s.IsNew())
		}
	})
}

func TestRequestWithoutValues(t *testing.T) {
	m := newManager(t, nil)
	for _, r := range []*http.Request{httptest.NewRequest("GET", "/", nil), {URL: &url.URL{Path: "/"}}} {
		r = cookiesessiontest.Request(t, m, r, nil)
		if _, ok := r.Header["Cookie"]; ok {
			t.Errorf("Cookie is %q, want none: an empty session sets no cookie", r.Header["Cookie"])
		}
	}
}

func TestRequestOfAnySize(t *testing.T) {
	m := newManager(t, func(c *cookiesession.Config) { c.MaxSize = 30000 })
	r := httptest.NewRequest("GET", "/", nil)
	for _, n := range []int{10, 20000, 5000, 100} { // growing and shrinking: the chunks must be one session's
		value := strings.Repeat("x", n)
		r = cookiesessiontest.Request(t, m, r, map[string]any{"value": value})
		if want := n*4/3 + 1000; len(r.Header.Get("Cookie")) > want {
			t.Errorf("%d bytes: Cookie has %d bytes, want under %d: what is deleted must go", n, len(r.Header.Get("Cookie")), want)
		}
		s, err := m.Load(r)
		if err != nil || s.Get("value") != value {
			t.Errorf("%d bytes: got %d, error %v", n, len(cookiesession.Field[string]("value").Get(s)), err)
		}
	}
}

func TestRequestsFollowOneAnother(t *testing.T) {
	m := newManager(t, func(c *cookiesession.Config) { c.IdleTimeout = time.Hour })
	other := newManager(t, func(c *cookiesession.Config) { c.Name = "admin" })
	r := httptest.NewRequest("GET", "/", nil)
	r = cookiesessiontest.Request(t, other, r, map[string]any{"admin": true})
	r = cookiesessiontest.Request(t, m, r, map[string]any{"a": 1})
	r = cookiesessiontest.RequestWith(t, m, r, func(s *cookiesession.Session) {
		s.Put("b", s.Increment("a", 1))
		s.Flash("notice", "hello")
	})
	old := r
	s, err := m.Load(r)
	if err != nil || s.Get("b") != int64(2) || s.Flashed("notice") != "hello" {
		t.Errorf("got %v, error %v", s.All(), err)
	}
	r = cookiesessiontest.RequestWith(t, m, r, (*cookiesession.Session).Destroy)
	if s, err := m.Load(r); err != nil || !s.IsNew() || s.Flashed("notice") != "hello" {
		t.Errorf("after Destroy: new %t, error %v", s.IsNew(), err)
	}
	r.Header.Set("Cookie", old.Header.Get("Cookie")+"; "+r.Header.Get("Cookie")) // a slow response brings it back
	if _, err := m.Load(r); err == nil || err.(*cookiesession.RejectError).Reason != cookiesession.ReasonEnded {
		t.Errorf("after Destroy and a slow response: got %v, want ended", err)
	}
	r = cookiesessiontest.Request(t, m, r, map[string]any{"c": 3})
	if s, err := m.Load(r); err != nil || s.Get("c") != int64(3) || s.Has("a") {
		t.Errorf("after a new login: got %v, error %v", s.All(), err)
	}
	if s, err := other.Load(r); err != nil || s.Get("admin") != true {
		t.Errorf("the other Manager's session: got %v, error %v", s.All(), err)
	}
}

func TestRequestReplacesWhatIsRefused(t *testing.T) {
	m, stranger := newManager(t, nil), newManager(t, nil)
	r := cookiesessiontest.Request(t, stranger, httptest.NewRequest("GET", "/", nil), map[string]any{"user": "mallory"})
	r = cookiesessiontest.Request(t, m, r, map[string]any{"user": "grace"})
	if s, err := m.Load(r); err != nil || s.Get("user") != "grace" {
		t.Errorf("got %v, error %v", s.Get("user"), err)
	}
}

func TestRequestWithImport(t *testing.T) {
	m := newManager(t, func(c *cookiesession.Config) {
		c.ImportCookies = []string{"old"}
		c.Import = func(r *http.Request) (map[string]any, error) {
			c, err := r.Cookie("old")
			if err != nil {
				return nil, nil
			}
			return map[string]any{"user": c.Value}, nil
		}
	})
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Cookie", "old=grace")
	r = cookiesessiontest.RequestWith(t, m, r, func(s *cookiesession.Session) {
		if s.Get("user") != "grace" {
			t.Errorf("fn got %v, want what was imported", s.All())
		}
		s.Put("n", 1)
	})
	if got := r.Header.Get("Cookie"); strings.Contains(got, "old=") {
		t.Errorf("Cookie is %q, want the imported one gone", got)
	}
	if s, err := m.Load(r); err != nil || s.IsNew() || s.Get("user") != "grace" || s.Get("n") != int64(1) {
		t.Errorf("got %v, new %t, error %v", s.All(), s.IsNew(), err)
	}
}

func TestRequestBehindProtectCSRF(t *testing.T) {
	m := newManager(t, nil)
	h := m.Handler(m.ProtectCSRF(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, m.Get(r).Get("user"))
	})))
	var token string
	login := func(s *cookiesession.Session) {
		s.Put("user", "grace")
		token = s.CSRFToken()
	}
	ask := func(r *http.Request) (int, string) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}

	r := cookiesessiontest.RequestWith(t, m, httptest.NewRequest("POST", "/", nil), login)
	if status, _ := ask(r); status != http.StatusForbidden {
		t.Errorf("without a token: got %d, want 403", status)
	}
	r.Header.Set(cookiesession.CSRFHeader, token)
	if status, body := ask(r); status != http.StatusOK || body != "grace" {
		t.Errorf("with a token in the header: got %d %s, want 200 grace", status, body)
	}

	r = cookiesessiontest.RequestWith(t, m, httptest.NewRequest("POST", "/", nil), login)
	r.Body = io.NopCloser(strings.NewReader(url.Values{cookiesession.CSRFField: {token}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if status, body := ask(r); status != http.StatusOK || body != "grace" {
		t.Errorf("with a token in the form: got %d %s, want 200 grace", status, body)
	}
}

func TestSession(t *testing.T) {
	m := newManager(t, nil)
	r := cookiesessiontest.Request(t, m, httptest.NewRequest("GET", "/", nil), map[string]any{"user": "grace"})
	tests := []struct {
		name    string
		handler func(*cookiesession.Session)
		new     bool
		user    any
		flash   any
	}{
		{"reads", func(s *cookiesession.Session) { s.Get("user") }, false, "grace", nil},
		{"ignores it", func(*cookiesession.Session) {}, false, "grace", nil},
		{"changes a value", func(s *cookiesession.Session) { s.Put("user", "ada") }, false, "ada", nil},
		{"flashes", func(s *cookiesession.Session) { s.Flash("notice", "hello") }, false, "grace", "hello"},
		{"logs out", func(s *cookiesession.Session) { s.Flash("notice", "bye"); s.Destroy() }, true, nil, "bye"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			resp := serve(m, r, func(_ http.ResponseWriter, r *http.Request) { tt.handler(m.Get(r)) })
			s := cookiesessiontest.Session(t, m, resp)
			if s.IsNew() != tt.new || s.Get("user") != tt.user || s.Flashed("notice") != tt.flash || s.Rejected() != nil {
				t.Errorf("got %v, new %t, rejected %v", s.All(), s.IsNew(), s.Rejected())
			}
		})
	}
}

func TestSessionOfResponseAlone(t *testing.T) {
	m := newManager(t, nil)
	resp := serve(m, httptest.NewRequest("GET", "/", nil), func(_ http.ResponseWriter, r *http.Request) { m.Get(r).Put("user", "grace") })
	resp.Request = nil
	if s := cookiesessiontest.Session(t, m, resp); s.Get("user") != "grace" {
		t.Errorf("got %v", s.All())
	}
	resp = serve(m, httptest.NewRequest("GET", "/", nil), func(http.ResponseWriter, *http.Request) {})
	if s := cookiesessiontest.Session(t, m, resp); !s.IsNew() || !s.IsEmpty() {
		t.Errorf("got %v, want a new session", s.All())
	}
}

func TestSessionOfClientResponse(t *testing.T) {
	m := newManager(t, nil)
	server := httptest.NewTLSServer(m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/login" {
			m.Get(r).Put("user", "grace")
			m.Get(r).Flash("notice", "hello")
			http.Redirect(w, r, "/", http.StatusSeeOther)
		}
	})))
	defer server.Close()
	client := server.Client()
	client.Jar = cookiesessiontest.NewJar()
	resp, err := client.Get(server.URL + "/login")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	s := cookiesessiontest.Session(t, m, resp) // the page after the redirect set nothing
	if s.Get("user") != "grace" || s.Flashed("notice") != "hello" {
		t.Errorf("got %v", s.All())
	}
}

func TestSessionExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, nil)
		resp := serve(m, httptest.NewRequest("GET", "/", nil), func(_ http.ResponseWriter, r *http.Request) { m.Get(r).Put("user", "grace") })
		sent := httptest.NewRequest("GET", "/", nil)
		for _, c := range resp.Cookies() {
			sent.AddCookie(c)
		}
		time.Sleep(25 * time.Hour)
		s := cookiesessiontest.Session(t, m, &http.Response{Request: sent})
		if why := s.Rejected(); !s.IsNew() || why == nil || why.Reason != cookiesession.ReasonExpired {
			t.Errorf("got new %t, rejected %v, want expired", s.IsNew(), why)
		}
	})
}

// A doomed is a test that is expected to fail.
type doomed struct {
	testing.TB
	message string
}

func (d *doomed) Helper() {}

func (d *doomed) Fatalf(format string, args ...any) {
	d.message = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// fatal returns the message with which fn fails its test, or "".
func fatal(t *testing.T, fn func(t testing.TB)) string {
	d := &doomed{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		fn(d)
	}()
	<-done
	return d.message
}

func TestFailures(t *testing.T) {
	m, stranger := newManager(t, nil), newManager(t, nil)
	failing := newManager(t, func(c *cookiesession.Config) {
		c.Import = func(*http.Request) (map[string]any, error) { return nil, errors.New("the old store is down") }
	})
	r := httptest.NewRequest("GET", "/", nil)
	tests := []struct {
		name string
		fn   func(t testing.TB)
		want string
	}{
		{"a value that can't be stored", func(t testing.TB) {
			cookiesessiontest.Request(t, m, r, map[string]any{"f": func() {}})
		}, `cookiesessiontest: session not saved: cookiesession: value of "f"`},
		{"too large", func(t testing.TB) {
			cookiesessiontest.Request(t, m, r, map[string]any{"s": strings.Repeat("x", 10000)})
		}, "cookiesessiontest: session not saved: cookiesession: session needs"},
		{"Import fails", func(t testing.TB) {
			cookiesessiontest.Request(t, failing, r, nil)
		}, "cookiesessiontest: session of the request: the old store is down"},
		{"another Manager's response", func(t testing.TB) {
			cookiesessiontest.Session(t, m, serve(stranger, r, func(_ http.ResponseWriter, r *http.Request) { stranger.Get(r).Put("a", 1) }))
		}, "cookiesessiontest: session that the response set: cookiesession: cookie __Host-session refused: unknown-key"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := fatal(t, tt.fn); !strings.HasPrefix(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
