// Package gothictest tests contrib/gorilla under gothic, which keeps a login that is under way in gorilla's Store. It
// is a module of its own, so that nobody who uses the adapter needs goth's requirements.
package gothictest

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/gorilla/sessions"
	"github.com/markbates/goth"
	"github.com/markbates/goth/gothic"
	"github.com/seed-50e21e88/cookiesession"
	"github.com/seed-50e21e88/cookiesession/contrib/gorilla"
	"github.com/seed-50e21e88/cookiesession/cookiesessiontest"
	"golang.org/x/oauth2"
)

// A provider is one of goth's. Its authorization server asks nobody and sends the browser back with a code, and its
// tokens are as long as the test wants.
type provider struct {
	goth.Provider // the methods that gothic never calls
	server        string
	callback      string
	token         string
}

func (p *provider) Name() string { return "local" }

func (p *provider) oauth() *oauth2.Config {
	return &oauth2.Config{ClientID: "shop", RedirectURL: p.callback, Endpoint: oauth2.Endpoint{AuthURL: p.server + "/authorize"}}
}

func (p *provider) BeginAuth(state string) (goth.Session, error) {
	return &login{URL: p.oauth().AuthCodeURL(state)}, nil
}

func (p *provider) UnmarshalSession(text string) (goth.Session, error) {
	l := new(login)
	return l, json.Unmarshal([]byte(text), l)
}

func (p *provider) FetchUser(s goth.Session) (goth.User, error) {
	l := s.(*login)
	if l.Token == "" {
		return goth.User{}, errors.New("no token yet")
	}
	return goth.User{Provider: p.Name(), UserID: "1906", Name: "grace", AccessToken: l.Token}, nil
}

// A login is what goth keeps between the beginning and the callback.
type login struct{ URL, Token string }

func (l *login) GetAuthURL() (string, error) { return l.URL, nil }

func (l *login) Marshal() string {
	text, err := json.Marshal(l)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func (l *login) Authorize(p goth.Provider, params goth.Params) (string, error) {
	if params.Get("code") != "a code" {
		return "", errors.New("wrong code")
	}
	l.Token = p.(*provider).token
	return l.Token, nil
}

// newApplication starts an application as goth's examples write it, and an authorization server. Its handlers run as
// wrap returns them.
func newApplication(t *testing.T, store sessions.Store, token string, wrap func(http.Handler) http.Handler) (base string) {
	t.Helper()
	authorization := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		back := q.Get("redirect_uri") + "&" + url.Values{"code": {"a code"}, "state": {q.Get("state")}}.Encode()
		http.Redirect(w, r, back, http.StatusFound)
	}))
	t.Cleanup(authorization.Close)

	mux := http.NewServeMux()
	mux.HandleFunc("GET /auth", gothic.BeginAuthHandler)
	mux.HandleFunc("GET /auth/callback", func(w http.ResponseWriter, r *http.Request) {
		user, err := gothic.CompleteUserAuth(w, r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		s, err := store.Get(r, "shop")
		if err != nil {
			t.Error(err)
		}
		s.ID = ""
		s.Values["user"], s.Values["tokenBytes"] = user.Name, len(user.AccessToken)
		if err := s.Save(r, w); err != nil {
			t.Error(err)
		}
		http.Redirect(w, r, "/", http.StatusSeeOther)
	})
	mux.HandleFunc("POST /logout", func(w http.ResponseWriter, r *http.Request) {
		if err := gothic.Logout(w, r); err != nil {
			t.Error(err)
		}
		s, err := store.Get(r, "shop")
		if err != nil {
			t.Error(err)
		}
		s.Options.MaxAge = -1
		if err := s.Save(r, w); err != nil {
			t.Error(err)
		}
		http.Redirect(w, r, "/", http.StatusSeeOther)
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		s, err := store.Get(r, "shop")
		if err != nil {
			t.Error(err)
		}
		user, _ := s.Values["user"].(string)
		io.WriteString(w, "hello "+user)
	})
	server := httptest.NewServer(wrap(mux))
	t.Cleanup(server.Close)
	base = strings.Replace(server.URL, "127.0.0.1", "localhost", 1) // where browsers keep Secure cookies over plain HTTP

	goth.ClearProviders()
	goth.UseProviders(&provider{server: authorization.URL, callback: base + "/auth/callback?provider=local", token: token})
	old := gothic.Store
	gothic.Store = store
	t.Cleanup(func() { gothic.Store = old })
	return base
}

// newToken returns n characters that don't compress: gothic compresses what it keeps.
func newToken(n int) string {
	random := make([]byte, n)
	rand.Read(random)
	return base64.RawURLEncoding.EncodeToString(random)[:n]
}

func TestLogin(t *testing.T) {
	ring, err := cookiesession.NewKeyring(cookiesession.GenerateKey("test"))
	if err != nil {
		t.Fatal(err)
	}
	store, err := gorilla.New(cookiesession.Config{Keys: ring, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	behind := func(next http.Handler) http.Handler {
		for _, name := range []string{"shop", gothic.SessionName} {
			m, err := store.Manager(name)
			if err != nil {
				t.Fatal(err)
			}
			next = m.Handler(next)
		}
		return next
	}
	tests := []struct {
		name  string
		token int // bytes
		wrap  func(http.Handler) http.Handler
	}{
		{"a short token", 40, func(next http.Handler) http.Handler { return next }},
		{"a long token", 5200, func(next http.Handler) http.Handler { return next }}, // too long for one cookie
		{"behind the Managers' Handlers", 5200, behind},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			base := newApplication(t, store, newToken(tt.token), tt.wrap)
			jar := cookiesessiontest.NewJar()
			browser := &http.Client{Jar: jar}
			steps := []struct {
				name    string
				method  string
				path    string
				body    string
				cookies string // names that the browser has afterwards
			}{
				{"a stranger", "GET", "/", "hello ", ""},
				{"login", "GET", "/auth?provider=local", "hello grace", "shop"},
				{"reload", "GET", "/", "hello grace", "shop"},
				{"login once more", "GET", "/auth?provider=local", "hello grace", "shop"},
				{"logout", "POST", "/logout", "hello ", ""},
				{"logout once more", "POST", "/logout", "hello ", ""},
			}
			for _, step := range steps {
				if got := send(t, browser, step.method, base+step.path); got != step.body {
					t.Fatalf("%s: got %q, want %q", step.name, got, step.body)
				}
				if got := sessionsIn(jar); got != step.cookies {
					t.Errorf("%s: the browser has sessions %q, want %q", step.name, got, step.cookies)
				}
			}
		})
	}
}

func TestStateIsChecked(t *testing.T) {
	ring, err := cookiesession.NewKeyring(cookiesession.GenerateKey("test"))
	if err != nil {
		t.Fatal(err)
	}
	store, err := gorilla.New(cookiesession.Config{Keys: ring, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	base := newApplication(t, store, "token", func(next http.Handler) http.Handler { return next })
	browser := &http.Client{Jar: cookiesessiontest.NewJar()}
	callback := base + "/auth/callback?provider=local&code=a+code&state="
	if got := send(t, browser, "GET", callback+"mallory"); got != "could not find a matching session for this request\n" {
		t.Errorf("a callback that nobody has begun: got %q", got)
	}
	browser.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	send(t, browser, "GET", base+"/auth?provider=local")
	if got := send(t, browser, "GET", callback+"mallory"); got != "state token mismatch\n" {
		t.Errorf("another one's callback: got %q", got)
	}
	if got := send(t, browser, "GET", base+"/"); got != "hello " {
		t.Errorf("afterwards: got %q", got)
	}
}

// Why larger sessions matter: with gorilla's own store the same login fails.
func TestLongTokenInGorillasStore(t *testing.T) {
	store := sessions.NewCookieStore([]byte("an old secret"))
	store.Options.SameSite = http.SameSiteLaxMode
	base := newApplication(t, store, newToken(5200), func(next http.Handler) http.Handler { return next })
	got := send(t, &http.Client{Jar: cookiesessiontest.NewJar()}, "GET", base+"/auth?provider=local")
	if !strings.Contains(got, "the value is too long") {
		t.Errorf("got %q: has gorilla's store learnt to split?", got)
	}
}

func send(t *testing.T, browser *http.Client, method, url string) (body string) {
	t.Helper()
	r, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := browser.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// sessionsIn returns the names of the sessions that a browser keeps, without ended markers.
func sessionsIn(jar *cookiesessiontest.Jar) string {
	var names []string
	for _, c := range jar.All() {
		if name := strings.TrimPrefix(c.Name, "__Host-"); !strings.Contains(name, ".") {
			names = append(names, name)
		}
	}
	return strings.Join(names, " ")
}
