package gorilla

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/sessions"
	"github.com/seed-50e21e88/cookiesession"
)

func TestOptions(t *testing.T) {
	persistent := func(c *cookiesession.Config) { c.Persistent, c.Lifetime = true, time.Hour }
	tests := []struct {
		name    string
		config  func(*cookiesession.Config)
		options sessions.Options
		maxAge  string // in the Set-Cookie line
		err     string
	}{
		{"theirs of old", nil, sessions.Options{Path: "/", MaxAge: 600, HttpOnly: true}, "; Max-Age=600;", ""},
		{"empty", nil, sessions.Options{}, "", ""},
		{"empty but persistent", persistent, sessions.Options{}, "", ""},
		{"Config's", persistent, sessions.Options{MaxAge: 3600, SameSite: http.SameSiteLaxMode, Secure: true, Path: "/"}, "; Max-Age=3600;", ""},
		{"shorter", persistent, sessions.Options{MaxAge: 60}, "; Max-Age=60;", ""},
		{"longer than a browser keeps a cookie", nil, sessions.Options{MaxAge: 401 * 24 * 3600}, "", "want at most 400 days"},
		{"Path", nil, sessions.Options{Path: "/shop"}, "", "session.Options.Path differs"},
		{"Domain", nil, sessions.Options{Domain: "shop.example"}, "", "session.Options.Domain differs"},
		{"SameSite", nil, sessions.Options{SameSite: http.SameSiteStrictMode}, "", "session.Options.SameSite differs"},
		{"default SameSite", nil, sessions.Options{SameSite: http.SameSiteDefaultMode}, "", ""},
		{"Partitioned", nil, sessions.Options{Partitioned: true}, "", "session.Options.Partitioned differs"},
		{"Secure", func(c *cookiesession.Config) { c.Insecure = true }, sessions.Options{Secure: true}, "", "session.Options.Secure differs"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newConfig(t)
			if tt.config != nil {
				tt.config(&c)
			}
			store := newStore(t, c)
			h := newVisitor(t).visit(func(w http.ResponseWriter, r *http.Request) {
				g, err := store.Get(r, name)
				if err != nil {
					t.Error(err)
				}
				g.Options = &tt.options
				g.Values["a"] = 1
				err = g.Save(r, w)
				if got := fmt.Sprint(err); tt.err == "" && err != nil || !strings.Contains(got, tt.err) {
					t.Errorf("got error %q, want %q", got, tt.err)
				}
			})
			line := h.Get("Set-Cookie")
			if (line == "") != (tt.err != "") || !strings.Contains(line, tt.maxAge) || tt.maxAge == "" && strings.Contains(line, "Max-Age") {
				t.Errorf("got Set-Cookie %.20q…%q, want %q in it", line, line[max(0, len(line)-60):], tt.maxAge)
			}
		})
	}
}

// "Remember me" on a store that remembers by default: unticked, the session ends with the browser.
func TestMaxAgeZeroEndsWithTheBrowser(t *testing.T) {
	store := NewCookieStore("hex:9c1185a5c5e9fc54612808977ee8f548b2258d31ddadef707ba62c166051c9e3")
	const week, month = 7 * 24 * 60 * 60, 30 * 24 * 60 * 60
	login := func(maxAge int) func(*sessions.Session) bool {
		return func(g *sessions.Session) bool {
			g.ID = ""
			g.Values["user"] = "grace"
			g.Options.MaxAge = maxAge
			return true
		}
	}
	untick := func(g *sessions.Session) bool {
		g.Options.MaxAge = 0
		return true
	}
	steps := func(fns ...func(*sessions.Session) bool) []func(*sessions.Session) bool { return fns }
	tests := []struct {
		name     string
		steps    []func(*sessions.Session) bool
		cookies  int // Set-Cookie lines of the last step
		survives bool
	}{
		{"ticked", steps(login(month)), 1, true},
		{"ticked, then a change", steps(login(month), put("n", 1)), 1, true},
		{"unticked", steps(login(0)), 1, false},
		{"unticked, then a change", steps(login(0), put("n", 1)), 1, false},
		{"unticked at every Save", steps(login(0), untick), 0, false},
		{"unticked later", steps(login(month), untick), 1, false},
		{"unticked, then ticked at another login", steps(login(0), login(month)), 1, true},
		{"a week", steps(login(week)), 1, true},
		{"a week, then unticked at another login", steps(login(week), login(0)), 1, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := newVisitor(t)
			var h http.Header
			for _, step := range tt.steps {
				h = v.session(store, step)
			}
			if got := len(h["Set-Cookie"]); got != tt.cookies {
				t.Errorf("got %d Set-Cookie lines, want %d", got, tt.cookies)
			}
			if got := v.values(store)["user"]; got != "grace" {
				t.Errorf("got user %v", got)
			}
			v.jar.Restart()
			if got := v.values(store)["user"] == "grace"; got != tt.survives {
				t.Errorf("after the browser was closed: there %t, want %t", got, tt.survives)
			}
		})
	}
}

func TestOptionsStartAsConfigSays(t *testing.T) {
	c := newConfig(t)
	c.Domain, c.Path, c.SameSite, c.Persistent = "shop.example", "/a", http.SameSiteStrictMode, true
	g, err := newStore(t, c).Get(httptest.NewRequest("GET", "/", nil), name)
	want := sessions.Options{Path: "/a", Domain: "shop.example", MaxAge: 86400, Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode}
	if err != nil || *g.Options != want || !g.IsNew {
		t.Errorf("got %+v, new %t, error %v", *g.Options, g.IsNew, err)
	}
}
