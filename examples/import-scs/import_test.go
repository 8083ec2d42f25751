package importscs_test

import (
	"encoding/gob"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/seed-50e21e88/cookiesession"
	"github.com/seed-50e21e88/cookiesession/cookiesessiontest"
	importscs "github.com/seed-50e21e88/cookiesession/examples/import-scs"
)

func init() { gob.Register(time.Time{}) } // as scs wants it

var site = &url.URL{Scheme: "https", Host: "shop.example", Path: "/"}

// visit plays a request of a browser with jar, and returns what h has written.
func visit(jar *cookiesessiontest.Jar, h http.Handler) string {
	r := httptest.NewRequest("GET", site.String(), nil)
	if cookies := jar.Header(site); cookies != "" {
		r.Header.Set("Cookie", cookies)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	jar.SetHeader(site, w.Result().Header)
	return w.Body.String()
}

func newSessions(t *testing.T, old *scs.SessionManager) *cookiesession.Manager {
	t.Helper()
	keys, err := cookiesession.NewKeyring(cookiesession.GenerateKey("test"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := cookiesession.New(cookiesession.Config{
		Keys:          keys,
		Import:        importscs.ImportFrom(old),
		ImportCookies: []string{old.Cookie.Name},
		Logger:        slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestNobodyIsLoggedOut(t *testing.T) {
	old := scs.New()
	m := newSessions(t, old)
	login := old.LoadAndSave(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		old.Put(r.Context(), "user", "grace")
		old.Put(r.Context(), "views", 3)
		old.Put(r.Context(), "since", time.Unix(1700000000, 0))
	}))
	show := m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := m.Get(r)
		since := cookiesession.Field[time.Time]("since").Get(s)
		fmt.Fprint(w, s.Get("user"), " ", cookiesession.Field[int]("views").Get(s), " ", since.Unix(), " ", s.IsNew())
	}))
	logout := m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { m.Get(r).Destroy() }))

	jar := cookiesessiontest.NewJar()
	visit(jar, login)
	if got := visit(jar, show); got != "grace 3 1700000000 true" {
		t.Errorf("got %s", got)
	}
	if cookies := jar.All(); len(cookies) != 1 || cookies[0].Name != m.CookieName() {
		t.Errorf("got %d cookies", len(cookies))
	}
	if got := visit(jar, show); got != "grace 3 1700000000 false" {
		t.Errorf("got %s", got)
	}

	// Logging out is the first that a visitor does here.
	jar = cookiesessiontest.NewJar()
	visit(jar, login)
	visit(jar, logout)
	if n := len(jar.All()); n != 0 {
		t.Errorf("after logout: got %d cookies", n)
	}
}

func TestUnknownToken(t *testing.T) {
	m := newSessions(t, scs.New())
	jar := cookiesessiontest.NewJar()
	jar.SetHeader(site, http.Header{"Set-Cookie": {"session=unknown"}})
	s := cookiesessiontest.Session(t, m, &http.Response{Request: &http.Request{Header: http.Header{"Cookie": {jar.Header(site)}}}})
	if !s.IsNew() || !s.IsEmpty() || s.Changed() {
		t.Errorf("got %v", s.All())
	}
}

// A brokenStore is a store that is down.
type brokenStore struct{ scs.Store }

func (brokenStore) Find(string) ([]byte, bool, error) { return nil, false, errors.New("no connection") }

func TestBrokenStore(t *testing.T) {
	old := scs.New()
	old.Store = brokenStore{}
	r := httptest.NewRequest("GET", "/", nil)
	r.AddCookie(&http.Cookie{Name: "session", Value: "token"})
	if s, err := newSessions(t, old).Load(r); err == nil || !s.IsEmpty() {
		t.Errorf("got %v, error %v", s.All(), err)
	}
}

// What can never be decoded, such as a value of a type that isn't registered any more, is no session.
func TestUndecodable(t *testing.T) {
	old := scs.New()
	if err := old.Store.Commit("token", []byte("not what the codec writes"), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.AddCookie(&http.Cookie{Name: "session", Value: "token"})
	m := newSessions(t, old)
	s, err := m.Load(r)
	if err != nil || !s.IsEmpty() {
		t.Errorf("got %v, error %v", s.All(), err)
	}
	s.Put("new", "value")
	if err := m.Save(make(http.Header), s); err != nil {
		t.Error(err)
	}
}
