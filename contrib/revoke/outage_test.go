package revoke_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-50e21e88/cookiesession"
	"github.com/seed-50e21e88/cookiesession/contrib/revoke"
)

// No session is lost by an outage, without Guard too: a response that changes something isn't served, others are, and
// none writes over the session that nobody could check.
func TestOutageWithoutGuard(t *testing.T) {
	for _, test := range []struct {
		name   string
		handle func(s *cookiesession.Session)
		status int
	}{
		{"ignores its session", func(*cookiesession.Session) {}, http.StatusOK},
		{"reads", func(s *cookiesession.Session) { s.Get("user") }, http.StatusOK},
		{"puts", func(s *cookiesession.Session) { s.Put("page", 1) }, http.StatusServiceUnavailable},
		{"draws a token", func(s *cookiesession.Session) { s.CSRFToken() }, http.StatusServiceUnavailable},
		{"logs in", func(s *cookiesession.Session) { s.Regenerate(); s.Put("user", "grace") }, http.StatusServiceUnavailable},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t)
				s := f.server(nil)
				b := newBrowser()
				b.login(s, "ada")
				f.engine.fail(errDown)
				time.Sleep(time.Minute)
				before := b.jar.Header(site)
				w := httptest.NewRecorder()
				s.manager.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					session := s.manager.Get(r)
					if test.name != "ignores its session" && session.Get("user") != nil {
						t.Error("let a session in that nobody could check")
					}
					test.handle(session)
				})).ServeHTTP(w, b.request())
				b.jar.SetHeader(site, w.Result().Header)
				if got := b.jar.Header(site); w.Code != test.status || got != before {
					t.Errorf("got status %d, cookies changed: %v; want %d, unchanged", w.Code, got != before, test.status)
				}
				f.engine.fail(nil)
				time.Sleep(15 * time.Second)
				b.want(t, s, "ada")
			})
		})
	}
}

// A logout needs nobody's word.
func TestOutageLogout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		s := f.server(func(c *revoke.Config) { c.MaxStale = 3 * time.Second })
		b := newBrowser()
		b.login(s, "ada")
		f.engine.fail(errDown)
		time.Sleep(time.Minute)
		status := b.send(s.manager.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s.manager.Get(r).Destroy()
		})))
		f.engine.fail(nil)
		time.Sleep(15 * time.Second)
		if got := b.who(s); status != http.StatusOK || got != "nobody" {
			t.Errorf("got status %d and %s, want 200 and nobody", status, got)
		}
	})
}
