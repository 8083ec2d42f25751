package tests

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/seed-50e21e88/cookiesession"
	"github.com/seed-50e21e88/cookiesession/cookiesessiontest"
)

// Every line of code in MIGRATING.md occurs in a file that is compiled and run: its tables' right columns below, its
// longer pieces here, in migrating_import_test.go, or in a module of its own.

type Team struct{ Name string }

func TestMigratingConfig(t *testing.T) {
	next, current := cookiesession.GenerateKey("next"), cookiesession.GenerateKey("current")
	const secret = "hex:9c1185a5c5e9fc54612808977ee8f548b2258d31ddadef707ba62c166051c9e3"

	newConfig := func() (c cookiesession.Config) {
		var err error
		c.Keys, err = cookiesession.NewKeyring(next, current)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	tests := []struct {
		name   string
		change func(c *cookiesession.Config)
		cookie string
		line   string // what the Set-Cookie line has
		not    string // what it hasn't
	}{
		{"ring of one", func(c *cookiesession.Config) {
			var err error
			c.Keys, err = cookiesession.ParseKeyring(secret)
			if err != nil {
				t.Fatal(err)
			}
		}, "__Host-session", "; Path=/; HttpOnly; Secure; SameSite=Lax", "Max-Age"},
		{"name", func(c *cookiesession.Config) { c.Name = "sid" }, "__Host-sid", "", ""},
		{"path", func(c *cookiesession.Config) { c.Path = "/shop" }, "__Secure-session", "; Path=/shop", ""},
		{"domain", func(c *cookiesession.Config) { c.Domain = "shop.example" }, "__Secure-session", "; Domain=shop.example", ""},
		{"sameSite", func(c *cookiesession.Config) { c.SameSite = http.SameSiteStrictMode }, "__Host-session", "; SameSite=Strict", ""},
		{"partitioned", func(c *cookiesession.Config) { c.Partitioned = true }, "__Host-session", "; Partitioned", ""},
		{"device proof", func(c *cookiesession.Config) { c.DeviceProof = 10 * time.Minute }, "__Host-session", "", ""},
		{"insecure", func(c *cookiesession.Config) { c.Insecure = true }, "session", "; HttpOnly; SameSite", "Secure"},
		{"maxAge", func(c *cookiesession.Config) { c.Lifetime = 24 * time.Hour }, "__Host-session", "", "Max-Age"},
		{"persistent", func(c *cookiesession.Config) {
			c.Lifetime = 30 * 24 * time.Hour
			c.Persistent = true
		}, "__Host-session", "; Max-Age=2592000", ""},
		{"rolling", func(c *cookiesession.Config) { c.IdleTimeout = 20 * time.Minute }, "__Host-session", "", "Max-Age"},
		{"Laravel's lifetime", func(c *cookiesession.Config) { c.IdleTimeout = 2 * time.Hour }, "__Host-session", "", "Max-Age"},
		{"scope", func(c *cookiesession.Config) { c.Scope = "shop" }, "__Host-session", "", ""},
		{"remember_absolute_timeout", func(c *cookiesession.Config) { c.MaxRemember = 90 * 24 * time.Hour }, "__Host-session", "", ""},
		{"MaxLength", func(c *cookiesession.Config) { c.MaxSize = 8000 }, "__Host-session", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newConfig()
			tt.change(&c)
			m, err := cookiesession.New(c)
			if err != nil {
				t.Fatal(err)
			}
			s, err := m.Load(httptest.NewRequest("GET", "/", nil))
			if err != nil {
				t.Fatal(err)
			}
			s.Put("user", "ada")
			h := make(http.Header)
			if err := m.Save(h, s); err != nil {
				t.Fatal(err)
			}
			line := h.Get("Set-Cookie")
			if m.CookieName() != tt.cookie || !strings.Contains(line, tt.line) || tt.not != "" && strings.Contains(line, tt.not) {
				t.Errorf("%s: got …%s, want %q in it and %q not", m.CookieName(), line[max(0, len(line)-90):], tt.line, tt.not)
			}
		})
	}
	c := newConfig()
	c.ErrorHandler = func(w http.ResponseWriter, r *http.Request, err error) {
		http.Error(w, "sorry", http.StatusInternalServerError)
	}
	m, err := cookiesession.New(c)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		s := m.Get(r)
		s.Put("long", strings.Repeat("x", 10000))
	})).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if w.Code != http.StatusInternalServerError || w.Body.String() != "sorry\n" {
		t.Errorf("ErrorHandler: got %d %s", w.Code, w.Body)
	}
}

func TestMigratingSession(t *testing.T) {
	const (
		views = cookiesession.Field[int]("views")
		user  = cookiesession.Field[string]("user")
		team  = cookiesession.Field[Team]("team")
	)
	const notices = cookiesession.Field[[]string]("notice")
	n := 3
	tests := []struct {
		name string
		use  func(s *cookiesession.Session) any
		want any
	}{
		{"put", func(s *cookiesession.Session) any { s.Put("user", "ada"); return s.Get("user") }, "ada"},
		{"typed put", func(s *cookiesession.Session) any { views.Put(s, n); return views.Get(s) }, 3},
		{"untyped", func(s *cookiesession.Session) any { s.Put("views", n); return s.Get("views") }, int64(3)},
		{"lookup", func(s *cookiesession.Session) any {
			n, err := views.Lookup(s)
			return fmt.Sprint(n, errors.Is(err, cookiesession.ErrNoValue))
		}, "0 true"},
		{"default", func(s *cookiesession.Session) any { return user.Or(s, "guest") }, "guest"},
		{"push", func(s *cookiesession.Session) any { s.Push("teams", "go"); return s.Get("teams") }, []any{"go"}},
		{"pull", func(s *cookiesession.Session) any {
			s.Put("user", "ada")
			return fmt.Sprint(s.Pull("user"), user.Pull(s), s.Has("user"))
		}, "adafalse"},
		{"has", func(s *cookiesession.Session) any { return !s.Has("user") }, true},
		{"all", func(s *cookiesession.Session) any {
			s.Put("user", "ada")
			return fmt.Sprint(s.All(), s.Keys())
		}, "map[user:ada] [user]"},
		{"forget", func(s *cookiesession.Session) any {
			s.Put("user", "ada")
			s.Delete("user")
			return s.Has("user")
		}, false},
		{"flush", func(s *cookiesession.Session) any { s.Put("user", "ada"); s.Clear(); return !s.IsEmpty() }, false},
		{"increment", func(s *cookiesession.Session) any {
			s.Increment("views", 1)
			return s.Increment("views", -2)
		}, int64(-1)},
		{"n++", func(s *cookiesession.Session) any { return views.Update(s, func(n int) int { return n + 1 }) }, 1},
		{"Laravel's remember", func(s *cookiesession.Session) any {
			return user.Update(s, func(name string) string { return cmp.Or(name, "guest") })
		}, "guest"},
		{"a dotted key", func(s *cookiesession.Session) any {
			s.Put("user.teams", 1)
			team.Put(s, Team{Name: "go"})
			return fmt.Sprint(s.Has("user"), team.Get(s).Name)
		}, "falsego"},
		{"changed", func(s *cookiesession.Session) any {
			before := s.Changed()
			s.Put("user", "ada")
			return fmt.Sprint(before, s.Changed(), s.IsNew())
		}, "false true true"},
		{"regenerate", func(s *cookiesession.Session) any {
			s.Put("user", "ada")
			before := s.ID()
			s.Regenerate()
			return fmt.Sprint(before != s.ID(), s.Get("user"))
		}, "trueada"},
		{"destroy", func(s *cookiesession.Session) any { s.Put("user", "ada"); s.Destroy(); return s.IsEmpty() }, true},
		{"maxAge", func(s *cookiesession.Session) any {
			s.Remember(30 * 24 * time.Hour)
			return time.Until(s.ExpiresAt()).Round(time.Minute)
		}, 720 * time.Hour},
		{"a week", func(s *cookiesession.Session) any {
			s.ExpireIn(7 * 24 * time.Hour)
			s.Persist(true)
			return s.ExpiresAt().Sub(s.CreatedAt())
		}, 168 * time.Hour},
		{"maxAge, idle timeout kept", func(s *cookiesession.Session) any {
			s.ExpireIn(30 * 24 * time.Hour)
			s.Persist(false)
			return fmt.Sprint(s.ExpiresAt().Sub(s.CreatedAt()), s.Remembered())
		}, "720h0m0s false"},
		{"deadline", func(s *cookiesession.Session) any {
			t := time.Now().Add(time.Hour)
			s.ExpireIn(time.Until(t))
			return s.ExpiresAt().Sub(t).Abs() < 2*time.Second
		}, true},
		{"a header for the upstream", func(s *cookiesession.Session) any {
			r := httptest.NewRequest("GET", "/", nil)
			user.Put(s, "ada")
			r.Header.Set("X-User", user.Get(s))
			return r.Header.Get("X-User")
		}, "ada"},
		{"flash now", func(s *cookiesession.Session) any {
			s.FlashNow("notice", "Saved.")
			return s.Flashed("notice")
		}, "Saved."},
		{"CSRF", func(s *cookiesession.Session) any {
			token := s.CSRFToken()
			good := s.VerifyCSRFToken(token)
			s.RegenerateCSRFToken()
			return fmt.Sprint(good, s.VerifyCSRFToken(token))
		}, "true false"},
	}
	m := newManager(t, nil)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				ctx := r.Context()
				s := cookiesession.FromContext(ctx)
				if got := tt.use(s); !reflect.DeepEqual(got, tt.want) || s.Err() != nil {
					t.Errorf("got %T %v, want %T %v; error %v", got, got, tt.want, tt.want, s.Err())
				}
			})).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
		})
	}

	t.Run("flash", func(t *testing.T) {
		jar := cookiesessiontest.NewJar()
		next := func(use func(s *cookiesession.Session)) {
			r := httptest.NewRequest("GET", "/", nil)
			r.Header.Set("Cookie", jar.Header(site))
			w := httptest.NewRecorder()
			m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { use(m.Get(r)) })).ServeHTTP(w, r)
			jar.SetHeader(site, w.Result().Header)
		}
		next(func(s *cookiesession.Session) { s.Flash("notice", "Saved.") })
		next(func(*cookiesession.Session) {}) // an image
		next(func(s *cookiesession.Session) { s.Reflash() })
		next(func(s *cookiesession.Session) { s.Keep("notice") })
		next(func(s *cookiesession.Session) {
			if got := s.Flashes(); fmt.Sprint(got) != "map[notice:Saved.]" {
				t.Errorf("got %v", got)
			}
			notices.Flash(s, []string{"Saved.", "Sent."})
		})
		next(func(s *cookiesession.Session) {
			if got := notices.Flashed(s); len(got) != 2 {
				t.Errorf("got %v", got)
			}
		})
		next(func(s *cookiesession.Session) {
			if got := s.Flashed("notice"); got != nil {
				t.Errorf("got %v after it was shown", got)
			}
		})
	})
}

func TestMigratingExplicitForm(t *testing.T) {
	m := newManager(t, func(c *cookiesession.Config) {
		c.Revoked = func(context.Context, *cookiesession.Session) (bool, error) { return false, nil }
		c.OnReject = func(*http.Request, *cookiesession.RejectError) { t.Error("a cookie was refused") }
	})
	w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)
	s, err := m.Load(r)
	if err != nil {
		t.Fatal(err)
	}
	s.Put("user", "ada")
	if err := m.Save(w.Header(), s); err != nil {
		t.Fatal(err)
	}
	resp := w.Result()
	if got := cookiesessiontest.Session(t, m, resp).Get("user"); got != "ada" {
		t.Errorf("got %v", got)
	}

	next := http.NotFoundHandler()
	for want, handler := range map[int]http.Handler{404: m.Handler(next), 403: m.Handler(m.ProtectCSRF(next))} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest("POST", "/", nil))
		if w.Code != want {
			t.Errorf("got %d, want %d", w.Code, want)
		}
	}
}

// A visitor of an application that used cookie-session stays logged in.
func Example_import() {
	keys, importOld := newRing(), importCookieSession("new key")
	c := cookiesession.Config{
		Keys:          keys,
		Import:        importOld,
		ImportCookies: []string{"session", "session.sig"},
	}
	m, err := cookiesession.New(c)
	if err != nil {
		panic(err)
	}

	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Cookie", "session=eyJ1c2VyIjoiZ3JhY2UiLCJ2aWV3cyI6MywiY2FydCI6W3siaWQiOjcsIm5hbWUiOiJ0ZWEgw7wifV0sInByaWNlIjoyLjV9; session.sig=vUPksmufpJ7snlHTVMhcdkqkTas")
	w := httptest.NewRecorder()
	m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		fmt.Println("user:", m.Get(r).Get("user"))
	})).ServeHTTP(w, r)
	for _, cookie := range w.Result().Cookies() {
		fmt.Println(cookie.Name, "deleted:", cookie.MaxAge < 0)
	}
	// Output:
	// user: grace
	// __Host-session deleted: false
	// session deleted: true
	// session.sig deleted: true
}

// TestMigratingCompiles checks that MIGRATING.md shows no code that isn't compiled.
func TestMigratingCompiles(t *testing.T) {
	document := readFile(t, "MIGRATING.md")
	here := words(readFile(t, "tests/migrating_test.go"))
	compiled := []string{here}
	for _, name := range []string{"tests/migrating_import_test.go", "contrib/gorilla/example_test.go", "examples/import-scs/import.go"} {
		compiled = append(compiled, words(readFile(t, name)))
	}

	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(document, -1)
	if len(blocks) < 8 {
		t.Errorf("found %d blocks of Go only", len(blocks))
	}
	for _, block := range blocks {
		found := false
		for _, text := range compiled {
			found = found || strings.Contains(text, words(block[1]))
		}
		if !found {
			t.Errorf("not compiled:\n%s", block[1])
		}
	}

	// The right column of each table.
	spans := 0
	for line := range strings.SplitSeq(document, "\n") {
		cells := strings.Split(strings.Trim(line, "|"), "|")
		if !strings.HasPrefix(line, "| ") || len(cells) < 2 {
			continue
		}
		for _, span := range regexp.MustCompile("`[^`]+`").FindAllString(cells[len(cells)-1], -1) {
			spans++
			if code := words(strings.Trim(span, "`")); !strings.Contains(here, code) {
				t.Errorf("not compiled: %s", code)
			}
		}
	}
	if spans < 100 {
		t.Errorf("found %d pieces of code in tables only", spans)
	}
}
