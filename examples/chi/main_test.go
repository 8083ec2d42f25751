package main

import (
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/seed-50e21e88/cookiesession"
	"github.com/seed-50e21e88/cookiesession/cookiesessiontest"
)

func newSessions(t testing.TB) *cookiesession.Manager {
	t.Helper()
	keys, err := cookiesession.NewKeyring(cookiesession.GenerateKey("test"))
	if err != nil {
		t.Fatal(err)
	}
	sessions, err := cookiesession.New(cookiesession.Config{Keys: keys, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return sessions
}

func TestVisit(t *testing.T) {
	log.SetOutput(io.Discard) // of middleware.Logger
	middleware.DefaultLogger = middleware.RequestLogger(&middleware.DefaultLogFormatter{Logger: log.Default(), NoColor: true})
	server := httptest.NewTLSServer(routes(newSessions(t)))
	defer server.Close()
	jar := cookiesessiontest.NewJar()
	client := server.Client()
	client.Jar = jar
	token := ""
	ask := func(method, path string, status int, want string) {
		t.Helper()
		form := url.Values{"name": {"grace"}, cookiesession.CSRFField: {token}}
		r, err := http.NewRequest(method, server.URL+path, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != status || !strings.Contains(string(body), want) {
			t.Errorf("%s %s: got %d %q, want %d %q", method, path, resp.StatusCode, body, status, want)
		}
		if _, rest, ok := strings.Cut(string(body), `name="csrf_token" value="`); ok {
			token, _, _ = strings.Cut(rest, `"`)
		}
	}

	ask("GET", "/health", 200, "")
	if n := len(jar.All()); n != 0 {
		t.Errorf("got %d cookies", n)
	}
	ask("POST", "/login", 403, "")
	ask("GET", "/", 200, "Log in")
	ask("GET", "/members/news", 200, "Please log in.")
	ask("POST", "/login", 200, "Welcome, grace.")
	ask("GET", "/members/news", 200, "news for grace")
	ask("POST", "/logout", 200, "You are logged out.")
	ask("GET", "/members/news", 200, "Please log in.")
	ask("GET", "/nowhere", 404, "")
}

// The page's name comes from the URL, so anybody can have a member's browser send it.
func TestPageIsNoHTML(t *testing.T) {
	sessions := newSessions(t)
	r := cookiesessiontest.RequestWith(t, sessions, httptest.NewRequest("GET", "https://localhost/members/%3Cb%3Enews", nil),
		func(s *cookiesession.Session) { user.Put(s, "grace") })
	w := httptest.NewRecorder()
	routes(sessions).ServeHTTP(w, r)
	if got := w.Result().Header.Get("Content-Type"); got != "text/plain; charset=utf-8" || w.Body.String() != "<b>news for grace\n" {
		t.Errorf("got %q of type %q", w.Body.String(), got)
	}
}

func TestPanicSavesNothing(t *testing.T) {
	sessions := newSessions(t)
	r := chi.NewRouter()
	r.Use(middleware.Recoverer, sessions.Handler)
	r.Get("/", func(_ http.ResponseWriter, r *http.Request) {
		sessions.Get(r).Put("user", "mallory")
		panic("half-way")
	})
	w := httptest.NewRecorder()
	r.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if w.Code != 500 || w.Header()["Set-Cookie"] != nil {
		t.Errorf("got %d with cookies %q", w.Code, w.Header()["Set-Cookie"])
	}
}

func TestCompressed(t *testing.T) {
	sessions := newSessions(t)
	r := chi.NewRouter()
	r.Use(middleware.Compress(5), sessions.Handler, middleware.Compress(5))
	text := strings.Repeat("text ", 1000)
	r.Get("/", func(w http.ResponseWriter, r *http.Request) {
		sessions.Get(r).Put("user", "grace")
		w.Header().Set("Content-Type", "text/plain")
		io.WriteString(w, text)
	})
	server := httptest.NewServer(r)
	defer server.Close()
	resp, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || string(body) != text || !resp.Uncompressed {
		t.Errorf("got %d bytes, compressed %t, error %v", len(body), resp.Uncompressed, err)
	}
	if s := cookiesessiontest.Session(t, sessions, resp); s.Get("user") != "grace" {
		t.Errorf("got %v", s.All())
	}
}
