package gorilla

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
	"weak"

	"github.com/gorilla/sessions"
	"github.com/seed-50e21e88/cookiesession"
	"github.com/seed-50e21e88/cookiesession/cookiesessiontest"
)

const name = "session-name"

type account struct {
	Name  string
	Roles map[string]bool
}

type profile struct{ Name string }

func init() {
	gob.Register(account{})
	gob.Register(&profile{})
	gob.Register(time.Time{})
	gob.Register(map[string]string{})
	gob.Register(map[any]any{})
}

func newConfig(t testing.TB) cookiesession.Config {
	t.Helper()
	keys, err := cookiesession.NewKeyring(cookiesession.GenerateKey("test"))
	if err != nil {
		t.Fatal(err)
	}
	return cookiesession.Config{Keys: keys, Logger: slog.New(slog.DiscardHandler)}
}

func newStore(t testing.TB, c cookiesession.Config, takeOver ...sessions.Store) *Store {
	t.Helper()
	s, err := New(c, takeOver...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func manager(t testing.TB, s *Store) *cookiesession.Manager {
	t.Helper()
	m, err := s.Manager(name)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// A visitor is a strict browser without a server: visit plays one request.
type visitor struct {
	t   testing.TB
	jar *cookiesessiontest.Jar
}

func newVisitor(t testing.TB) *visitor { return &visitor{t, cookiesessiontest.NewJar()} }

var site = &url.URL{Scheme: "https", Host: "shop.example", Path: "/"}

// visit hands a request of the visitor to h and returns the header of the response, which the jar has received.
func (v *visitor) visit(h http.HandlerFunc) http.Header {
	r := httptest.NewRequest("GET", site.String(), nil)
	if cookies := v.jar.Header(site); cookies != "" {
		r.Header.Set("Cookie", cookies)
	}
	w := httptest.NewRecorder()
	h(w, r)
	v.jar.SetHeader(site, w.Result().Header)
	return w.Result().Header
}

// session is visit for a handler that gets the session and, unless fn returns false, saves it.
func (v *visitor) session(store sessions.Store, fn func(*sessions.Session) bool) http.Header {
	v.t.Helper()
	return v.visit(func(w http.ResponseWriter, r *http.Request) {
		g, err := store.Get(r, name)
		if err != nil {
			v.t.Error("Get: ", err)
		}
		if fn(g) {
			if err := g.Save(r, w); err != nil {
				v.t.Error("Save: ", err)
			}
		}
	})
}

// values returns what the visitor's session holds.
func (v *visitor) values(store sessions.Store) (values map[any]any) {
	v.t.Helper()
	v.session(store, func(g *sessions.Session) bool {
		values = g.Values
		return false
	})
	return values
}

// put returns a function for session that puts one value.
func put(key, value any) func(*sessions.Session) bool {
	return func(g *sessions.Session) bool {
		g.Values[key] = value
		return true
	}
}

func TestTypesComeBack(t *testing.T) {
	zone := time.FixedZone("", 3600)
	tests := []struct {
		name  string
		value any
	}{
		{"string", "grace"},
		{"empty string", ""},
		{"bytes that are no text", "\xff\x00"},
		{"bool", true},
		{"int", 3},
		{"negative int", -1 << 40},
		{"int64", int64(3)},
		{"uint8", uint8(200)},
		{"uint64", uint64(1<<64 - 1)},
		{"float64", 3.0},
		{"float32", float32(1.5)},
		{"bytes", []byte{0, 255}},
		{"list of strings", []string{"a", "b"}},
		{"list", []any{"a", 1, 2.5, false, []byte("x")}},
		{"list of other things", []any{int8(1), account{Name: "grace"}}},
		{"map of strings", map[string]string{"a": "1", "b": "2"}},
		{"map of anything", map[any]any{1: "a", "b": int16(2)}},
		{"struct", account{"grace", map[string]bool{"admin": true, "staff": false}}},
		{"pointer", &profile{Name: "grace"}},
		{"time", time.Date(2026, 11, 21, 12, 0, 0, 5, zone)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for what, store := range map[string]sessions.Store{
				"gorilla": sessions.NewCookieStore([]byte("an old secret")),
				"ours":    newStore(t, newConfig(t)),
			} {
				v := newVisitor(t)
				v.session(store, put("key", tt.value))
				got, want := v.values(store)["key"], tt.value
				if a, ok := got.(time.Time); ok {
					if b := want.(time.Time); !a.Equal(b) || a.Format(time.RFC3339Nano) != b.Format(time.RFC3339Nano) {
						t.Errorf("%s: got %v, want %v", what, a, b)
					}
					continue
				}
				if !reflect.DeepEqual(got, want) {
					t.Errorf("%s: got %T %v, want %T %v", what, got, got, want, want)
				}
			}
		})
	}
}

// An application as gorilla's documentation writes it, on either store.
func TestSwitch(t *testing.T) {
	for what, store := range map[string]sessions.Store{
		"gorilla": sessions.NewCookieStore([]byte("an old secret")),
		"ours":    NewCookieStore(strings.Repeat("0123456789abcdef", 3) + "fedcba9876543210"),
	} {
		t.Run(what, func(t *testing.T) {
			mux := http.NewServeMux()
			mux.HandleFunc("GET /login", func(w http.ResponseWriter, r *http.Request) {
				session, err := store.Get(r, name)
				if err != nil {
					http.Error(w, err.Error(), http.StatusInternalServerError)
					return
				}
				session.Values["user"] = account{Name: "grace"}
				session.AddFlash("Welcome back.")
				if err := session.Save(r, w); err != nil {
					http.Error(w, err.Error(), http.StatusInternalServerError)
					return
				}
				http.Redirect(w, r, "/", http.StatusSeeOther)
			})
			mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
				session, _ := store.Get(r, name)
				user, _ := session.Values["user"].(account)
				views, _ := session.Values["views"].(int)
				session.Values["views"] = views + 1
				flashes := session.Flashes()
				if err := sessions.Save(r, w); err != nil {
					http.Error(w, err.Error(), http.StatusInternalServerError)
					return
				}
				fmt.Fprintf(w, "%s %d %v %t", user.Name, views+1, flashes, session.IsNew)
			})
			mux.HandleFunc("GET /logout", func(w http.ResponseWriter, r *http.Request) {
				session, _ := store.Get(r, name)
				session.Options.MaxAge = -1
				if err := session.Save(r, w); err != nil {
					http.Error(w, err.Error(), http.StatusInternalServerError)
				}
			})
			server := httptest.NewTLSServer(mux)
			defer server.Close()
			client := server.Client()
			client.Jar = cookiesessiontest.NewJar()
			for _, step := range []struct{ path, want string }{
				{"/", " 1 [] true"},
				{"/login", "grace 2 [Welcome back.] false"},
				{"/", "grace 3 [] false"},
				{"/logout", ""},
				{"/", " 1 [] true"},
				{"/", " 2 [] false"},
			} {
				resp, err := client.Get(server.URL + step.path)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || string(body) != step.want {
					t.Errorf("%s: got %q, want %q, error %v", step.path, body, step.want, err)
				}
			}
		})
	}
}

func TestSaveWritesChangesOnly(t *testing.T) {
	store, v := newStore(t, newConfig(t)), newVisitor(t)
	if h := v.session(store, func(*sessions.Session) bool { return true }); h["Set-Cookie"] != nil {
		t.Errorf("an empty session: got %q", h["Set-Cookie"])
	}
	roles := make(map[string]bool)
	for i := range 20 { // package gob writes them in another order each time
		roles[fmt.Sprint(i)] = true
	}
	v.session(store, put("user", account{"grace", roles}))
	for range 10 {
		h := v.session(store, func(g *sessions.Session) bool {
			g.Values["user"] = account{"grace", roles}
			return true
		})
		if h["Set-Cookie"] != nil {
			t.Fatalf("an equal value: got %d lines", len(h["Set-Cookie"]))
		}
		if h.Get("Vary") != "Cookie" {
			t.Errorf("Vary is %q", h.Get("Vary"))
		}
	}
	h := v.session(store, func(g *sessions.Session) bool {
		delete(g.Values["user"].(account).Roles, "7") // in place
		return true
	})
	if len(h["Set-Cookie"]) != 1 || len(v.values(store)["user"].(account).Roles) != 19 {
		t.Errorf("a change in place: got %d lines, %v", len(h["Set-Cookie"]), v.values(store))
	}
	v.session(store, func(g *sessions.Session) bool {
		g.Values = map[any]any{"other": 1}
		return true
	})
	if got := v.values(store); len(got) != 1 || got["other"] != 1 {
		t.Errorf("a new map: got %v", got)
	}
}

func TestSaveAgain(t *testing.T) {
	store, v := newStore(t, newConfig(t)), newVisitor(t)
	v.session(store, put("n", 1))
	h := v.visit(func(w http.ResponseWriter, r *http.Request) {
		for n := range 3 {
			g, err := store.Get(r, name)
			if err != nil {
				t.Error(err)
			}
			g.Values["n"] = n + 2
			if err := g.Save(r, w); err != nil {
				t.Error(err)
			}
		}
	})
	if got := len(h["Set-Cookie"]); got != 1 {
		t.Errorf("got %d Set-Cookie lines, want 1", got)
	}
	if got := v.values(store)["n"]; got != 4 {
		t.Errorf("got %v, want 4", got)
	}
	h = v.visit(func(w http.ResponseWriter, r *http.Request) {
		g, _ := store.Get(r, name)
		for _, n := range []int{5, 4} { // back to what came
			g.Values["n"] = n
			if err := g.Save(r, w); err != nil {
				t.Error(err)
			}
		}
	})
	if got := len(h["Set-Cookie"]); got != 0 {
		t.Errorf("changed and changed back: got %d Set-Cookie lines, want none", got)
	}
}

func TestLogoutSticks(t *testing.T) {
	store, v := newStore(t, newConfig(t)), newVisitor(t)
	v.session(store, put("user", "grace"))
	var slow http.Header
	v.visit(func(w http.ResponseWriter, r *http.Request) {
		g, _ := store.Get(r, name)
		g.Values["seen"] = true
		if err := g.Save(r, w); err != nil {
			t.Error(err)
		}
		slow = w.Header().Clone()
	})
	v.session(store, func(g *sessions.Session) bool {
		g.Options = &sessions.Options{MaxAge: -1} // as many write it
		return true
	})
	v.jar.SetHeader(site, slow)
	if got := v.values(store); len(got) != 0 {
		t.Errorf("after a logout and a slow response: got %v", got)
	}
}

func TestID(t *testing.T) {
	store, v := newStore(t, newConfig(t)), newVisitor(t)
	var ids []string
	v.session(store, func(g *sessions.Session) bool {
		ids = append(ids, g.ID)
		g.Values["user"] = "grace"
		return true
	})
	look := func(g *sessions.Session) bool {
		ids = append(ids, g.ID)
		return true
	}
	v.session(store, look)
	v.session(store, look)
	v.visit(func(w http.ResponseWriter, r *http.Request) {
		g, _ := store.Get(r, name)
		g.ID = ""
		for range 2 {
			if err := g.Save(r, w); err != nil {
				t.Error(err)
			}
			ids = append(ids, g.ID)
		}
	})
	v.session(store, look)
	if ids[0] != "" || len(ids[1]) != 32 || ids[2] != ids[1] || ids[3] == ids[1] || ids[4] != ids[3] || ids[5] != ids[3] {
		t.Errorf("got IDs %q", ids)
	}
	if got := v.values(store)["user"]; got != "grace" {
		t.Errorf("got user %v, want grace", got)
	}
}

func TestWhatCantBeStored(t *testing.T) {
	type secret struct{ N int } // not registered with package gob
	store, v := newStore(t, newConfig(t)), newVisitor(t)
	v.session(store, put("user", "grace"))
	tests := []struct {
		name       string
		key, value any
		want       string
	}{
		{"a key that is an int", 1, "x", `cookiesession/gorilla: key "1" of session.Values is of type int, want a string`},
		{"a type that gob doesn't know", "s", secret{1}, `cookiesession/gorilla: value of "s": gob: type not registered`},
		{"a channel", "c", make(chan int), `cookiesession/gorilla: value of "c": gob: `},
		{"too much", "long", strings.Repeat("x", 9000), "cookiesession: session needs "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := v.visit(func(w http.ResponseWriter, r *http.Request) {
				g, _ := store.Get(r, name)
				g.Values[tt.key] = tt.value
				if err := g.Save(r, w); err == nil || !strings.HasPrefix(err.Error(), tt.want) {
					t.Errorf("got %v, want %q", err, tt.want)
				}
				if got := w.Header()["Set-Cookie"]; got != nil {
					t.Errorf("a Save that failed wrote %q", got)
				}
				delete(g.Values, tt.key)
				g.Values["n"] = 1
				if err := g.Save(r, w); err != nil {
					t.Errorf("after mending it: %v", err)
				}
				delete(g.Values, "n")
				if err := g.Save(r, w); err != nil {
					t.Error(err)
				}
			})
			if h["Set-Cookie"] != nil {
				t.Errorf("got %d lines after all", len(h["Set-Cookie"]))
			}
		})
	}
}

func TestRefusedCookieIsNoError(t *testing.T) {
	v := newVisitor(t)
	v.session(newStore(t, newConfig(t)), put("user", "mallory"))
	c := newConfig(t)
	var reasons []cookiesession.Reason
	c.OnReject = func(_ *http.Request, err *cookiesession.RejectError) { reasons = append(reasons, err.Reason) }
	store := newStore(t, c)
	if got := v.values(store); len(got) != 0 {
		t.Errorf("got %v", got)
	}
	v.session(store, put("user", "grace"))
	if got := v.values(store); got["user"] != "grace" {
		t.Errorf("got %v", got)
	}
	if len(reasons) != 2 || reasons[0] != cookiesession.ReasonUnknownKey { // once for each request
		t.Errorf("OnReject got %v", reasons)
	}
}

func TestGetErrors(t *testing.T) {
	store, v := newStore(t, newConfig(t)), newVisitor(t)
	m := manager(t, store)
	v.visit(m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		m.Get(r).Put("user", map[string]any{gobKey: []byte("no gob")})
		m.Get(r).Put("n", 1)
	})).ServeHTTP)
	v.visit(func(w http.ResponseWriter, r *http.Request) {
		g, err := store.Get(r, name)
		if err == nil || !g.IsNew || len(g.Values) != 0 || !strings.HasPrefix(err.Error(), `cookiesession/gorilla: value of "user": `) {
			t.Errorf("a value that can't be decoded: got %v, error %v", g.Values, err)
		}
		g.Values["n"] = 2
		if err := g.Save(r, w); err != nil {
			t.Error(err)
		}
	})
	if got := v.values(store); len(got) != 1 || got["n"] != 2 {
		t.Errorf("saved over it: got %v", got)
	}

	for _, name := range []string{"a.b", "__Host-a", strings.Repeat("a", 65)} {
		r := httptest.NewRequest("GET", "/", nil)
		g, err := store.Get(r, name)
		if g == nil || err == nil || !strings.HasPrefix(err.Error(), "cookiesession: Config.Name") {
			t.Errorf("name %.20q: got error %v", name, err)
		}
		if err := g.Save(r, httptest.NewRecorder()); err == nil {
			t.Errorf("name %.20q: Save succeeded", name)
		}
	}
}

func TestNewErrors(t *testing.T) {
	c := newConfig(t)
	c.IdleTimeout = 48 * time.Hour
	if _, err := New(c); err == nil {
		t.Error("an inconsistent Config: no error")
	}
	c = newConfig(t)
	c.Name = "a"
	if _, err := New(c); err == nil {
		t.Error("a Config with a name: no error")
	}
	c = newConfig(t)
	c.Import = func(*http.Request) (map[string]any, error) { return nil, nil }
	if _, err := New(c, sessions.NewCookieStore([]byte("a"))); err == nil {
		t.Error("Import and a store to take over: no error")
	}
	defer func() {
		if recover() == nil {
			t.Error("NewCookieStore without keys doesn't panic")
		}
	}()
	NewCookieStore("")
}

func TestSessionMadeByHand(t *testing.T) {
	store, v := newStore(t, newConfig(t)), newVisitor(t)
	v.session(store, put("old", 1))
	v.visit(func(w http.ResponseWriter, r *http.Request) {
		g := sessions.NewSession(store, name)
		for n := range 2 {
			g.Values["new"] = n
			if err := g.Save(r, w); err != nil {
				t.Error(err)
			}
		}
	})
	if got := v.values(store); len(got) != 1 || got["new"] != 1 {
		t.Errorf("got %v", got)
	}
}

func TestBothPackagesOnOneSession(t *testing.T) {
	store, v := newStore(t, newConfig(t)), newVisitor(t)
	m := manager(t, store)
	h := v.visit(m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g, err := store.Get(r, name)
		if err != nil {
			t.Error(err)
		}
		g.Values["a"] = "gorilla"
		g.Values["n"] = 1
		if err := g.Save(r, w); err != nil {
			t.Error(err)
		}
		s := m.Get(r)
		if s.Get("a") != "gorilla" {
			t.Errorf("after Save: got %v", s.All())
		}
		s.Put("b", "ours")
		s.Increment("n", 1)
	})).ServeHTTP)
	if len(h["Set-Cookie"]) != 1 {
		t.Errorf("got %d Set-Cookie lines, want 1", len(h["Set-Cookie"]))
	}
	if got := v.values(store); got["a"] != "gorilla" || got["b"] != "ours" || got["n"] != 2 {
		t.Errorf("got %v", got)
	}
}

func TestRevokedIsAskedOnce(t *testing.T) {
	c := newConfig(t)
	asked := 0
	c.Revoked = func(_ context.Context, s *cookiesession.Session) (bool, error) {
		asked++
		return false, nil
	}
	store, v := newStore(t, c), newVisitor(t)
	v.session(store, put("n", 1))
	v.session(store, put("n", 2))
	if asked != 1 {
		t.Errorf("Revoked was asked %d times in one request", asked)
	}
}

// A map of what was found, by session, keeps every request for ever: what it holds leads to its own keys.
func TestRequestsAreForgotten(t *testing.T) {
	store := newStore(t, newConfig(t))
	m := manager(t, store)
	use := func(w http.ResponseWriter, r *http.Request) {
		g, err := store.Get(r, name)
		if err != nil {
			t.Error(err)
		}
		g.Values["n"] = 1
		if err := g.Save(r, w); err != nil {
			t.Error(err)
		}
	}
	tests := []struct {
		name    string
		handler http.Handler
	}{
		{"Get and Save", http.HandlerFunc(use)},
		{"Get and Save behind the Manager's Handler", m.Handler(http.HandlerFunc(use))},
		{"New alone", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if _, err := store.New(r, name); err != nil {
				t.Error(err)
			}
		})},
		{"a session made by hand", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if err := sessions.NewSession(store, name).Save(r, w); err != nil {
				t.Error(err)
			}
		})},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			request := serveOne(tt.handler)
			runtime.GC()
			if request.Value() != nil {
				t.Fatal("the request is still there")
			}
		})
	}
	store.opened.Range(func(key, _ any) bool {
		if key.(weak.Pointer[sessions.Session]).Value() != nil {
			t.Error("a session is still there")
		}
		return true
	})
	if t.Failed() {
		return // nor would the map ever be empty
	}
	for n := 1; n > 0; runtime.Gosched() { // cleanups run by and by
		n = 0
		store.opened.Range(func(any, any) bool { n++; return true })
	}
}

// serveOne hands h a request that nobody else keeps.
func serveOne(h http.Handler) weak.Pointer[http.Request] {
	r := httptest.NewRequest("GET", site.String(), nil)
	h.ServeHTTP(httptest.NewRecorder(), r)
	return weak.Make(r)
}

func TestConcurrentRequests(t *testing.T) {
	store := newStore(t, newConfig(t))
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			v := newVisitor(t)
			for n := range 10 {
				v.session(store, put("n", account{Name: fmt.Sprint(i, n)}))
			}
			if got := v.values(store)["n"]; got.(account).Name != fmt.Sprint(i, 9) {
				t.Errorf("got %v", got)
			}
		})
	}
	wg.Wait()
}

func TestLateSave(t *testing.T) {
	store := newStore(t, newConfig(t))
	h := newVisitor(t).visit(manager(t, store).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "body")
		g, _ := store.Get(r, name)
		g.Values["n"] = 1
		if err := g.Save(r, w); !errors.Is(err, cookiesession.ErrCommitted) {
			t.Errorf("got %v, want ErrCommitted", err)
		}
	})).ServeHTTP)
	if h["Set-Cookie"] != nil {
		t.Errorf("got %d lines", len(h["Set-Cookie"]))
	}
}
