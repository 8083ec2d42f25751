package cookiesession_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/seed-50e21e88/cookiesession"
)

// A hook that panics leaves an anonymous visitor and a session that works: what recovers from the panic inside
// Handler, to answer with a page of its own, may use it.
func TestHookPanics(t *testing.T) {
	v := newVisitor(t, newManager(t, nil))
	v.visit(put("user", "ada"))
	forged := strings.Repeat("A", 100)
	for _, test := range []struct {
		name   string
		change func(c *cookiesession.Config)
		header string
		use    func(s *cookiesession.Session)
	}{
		{"Revoked", func(c *cookiesession.Config) {
			c.Revoked = func(context.Context, *cookiesession.Session) (bool, error) { panic("oops") }
		}, v.header(), func(s *cookiesession.Session) { s.Get("user") }},
		{"Import", func(c *cookiesession.Config) {
			c.Import = func(*http.Request) (map[string]any, error) { panic("oops") }
		}, "", func(s *cookiesession.Session) { s.Get("user") }},
		{"OnReject", func(c *cookiesession.Config) {
			c.OnReject = func(*http.Request, *cookiesession.RejectError) { panic("oops") }
		}, "__Host-session=1" + forged, func(s *cookiesession.Session) { s.Get("user") }},
		{"OnReject of flash", func(c *cookiesession.Config) {
			c.OnReject = func(*http.Request, *cookiesession.RejectError) { panic("oops") }
		}, "__Host-session.flash=1" + forged, func(s *cookiesession.Session) { s.Flashes() }},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := newManager(t, test.change)
			w := httptest.NewRecorder()
			m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				s := m.Get(r)
				panicked := func() (p any) {
					defer func() { p = recover() }()
					test.use(s)
					return nil
				}()
				if panicked != "oops" {
					t.Errorf("got panic %v, want the hook's", panicked)
				}
				if user, flashes := s.Get("user"), len(s.Flashes()); user != nil || flashes > 0 || !s.IsNew() {
					t.Errorf("got user %v and %d flash messages, new: %v; want an anonymous visitor", user, flashes, s.IsNew())
				}
				s.Put("error", "page")
			})).ServeHTTP(w, requestWith(test.header))
			if got := cookieNames(w.Result().Header); !strings.HasPrefix(got, "__Host-session") || w.Code != http.StatusOK {
				t.Errorf("got status %d and cookies %q, want the new session", w.Code, got)
			}
		})
	}
}

// A hook that loads the session which is being opened would never end.
func TestHookLoads(t *testing.T) {
	var m *cookiesession.Manager
	for name, test := range map[string]struct {
		change func(c *cookiesession.Config)
		header string
	}{
		"Import": {func(c *cookiesession.Config) {
			c.Import = func(r *http.Request) (map[string]any, error) {
				s, err := m.Load(r)
				return s.All(), err
			}
		}, ""},
		"OnReject": {func(c *cookiesession.Config) {
			c.OnReject = func(r *http.Request, _ *cookiesession.RejectError) { m.Load(r) }
		}, "__Host-session=1forged"},
	} {
		m = newManager(t, test.change)
		panicked := func() (p any) {
			defer func() { p = recover() }()
			m.Load(requestWith(test.header))
			return nil
		}()
		if text, ok := panicked.(string); !ok || !strings.HasPrefix(text, "cookiesession: Load ") {
			t.Errorf("%s: got panic %v, want one that says what is wrong", name, panicked)
		}
	}
}

// TestImportCleared has imported values deleted at once: the other library's cookies must go all the same, or the
// values would be back with the next request.
func TestImportCleared(t *testing.T) {
	m := newManager(t, func(c *cookiesession.Config) {
		c.Import = func(r *http.Request) (map[string]any, error) {
			if _, err := r.Cookie("legacy"); err != nil {
				return nil, nil
			}
			return map[string]any{"user": "ada"}, nil
		}
		c.ImportCookies = []string{"legacy", "legacy"}
	})
	for _, test := range []struct {
		name string
		do   func(s *cookiesession.Session)
		want string
	}{
		{"saved", nothing, "__Host-session -legacy"},
		{"cleared", func(s *cookiesession.Session) { s.Clear() }, "-legacy"},
		{"deleted", func(s *cookiesession.Session) { s.Delete("user") }, "-legacy"},
		{"destroyed", destroy, "-legacy"},
		{"not storable", put("f", func() {}), ""},
		{"not storable after Clear", func(s *cookiesession.Session) { s.Clear(); s.Put("f", func() {}) }, ""},
	} {
		v := newVisitor(t, m)
		v.jar.SetHeader(site, http.Header{"Set-Cookie": {"legacy=x; Path=/"}})
		s := v.load()
		if s.Get("user") != "ada" {
			t.Fatalf("%s: nothing imported", test.name)
		}
		test.do(s)
		h := http.Header{}
		m.Save(h, s)
		if got := cookieNames(h); got != test.want {
			t.Errorf("%s: got cookies %q, want %q", test.name, got, test.want)
		}
	}
}

// Save returns an error for a session that isn't there.
func TestSaveOfNoSession(t *testing.T) {
	h := http.Header{}
	if err := newManager(t, nil).Save(h, nil); err == nil || len(h) > 0 {
		t.Errorf("got %v and header %v, want an error alone", err, h)
	}
}

// An import that is too large is one that failed: else each response to its visitor would be an error page.
func TestImportTooLarge(t *testing.T) {
	length := 0
	m := newWeb(t, func(c *cookiesession.Config) {
		c.Import = func(*http.Request) (map[string]any, error) { return map[string]any{"old": random(length)}, nil }
	})
	v := newVisitor(t, m.Manager)
	const limit = 6144
	for length = 4000; v.load().Size() < limit; length++ {
	}
	s, err := m.Load(requestWith(""))
	if err != nil || s.Size() != limit {
		t.Fatalf("got %d bytes, error %v; want an import of the largest size", s.Size(), err)
	}
	if lines := v.visit(nothing); len(lines) != 2 || v.cost() != limit {
		t.Errorf("got %d lines and a Cookie header of %d bytes, want %d", len(lines), v.cost(), limit)
	}
	for length++; ; length++ { // three bytes are four characters, so one more may cost nothing
		if s, err = m.Load(requestWith("")); err != nil {
			break
		}
	}
	var tooLarge *cookiesession.SizeError
	if !errors.As(err, &tooLarge) || tooLarge.Size <= limit || tooLarge.Limit != limit || tooLarge.Keys[0].Key != "old" || !s.IsEmpty() {
		t.Errorf("got %v and a session with %q, want a SizeError and an empty one", err, s.Keys())
	}
	if logged := m.log.String(); strings.Contains(logged, random(length)[:20]) || !strings.Contains(logged, `level=ERROR msg="cookiesession: Import failed`) {
		t.Errorf("got logged %q", logged)
	}
	s.Put("new", 1)
	h := http.Header{}
	if err := m.Save(h, s); err != nil || cookieNames(h) != "__Host-session" {
		t.Errorf("got %q, %v from Save, want the visitor's new session", cookieNames(h), err)
	}
}
