package main

import (
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-50e21e88/cookiesession"
	"github.com/seed-50e21e88/cookiesession/cookiesessiontest"
)

// A world is the application and the provider, each with a server.
type world struct {
	*application
	refreshed atomic.Int32 // refresh tokens that the provider was brought
	late      atomic.Int64 // how far the application's clock is ahead
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := new(world)
	var app, provider http.Handler
	appServer := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { app.ServeHTTP(rw, r) }))
	t.Cleanup(appServer.Close)
	providerServer := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/oauth/token" && r.PostFormValue("grant_type") == "refresh_token" {
			w.refreshed.Add(1)
		}
		provider.ServeHTTP(rw, r)
	}))
	t.Cleanup(providerServer.Close)
	s := settings{
		base:     strings.Replace(appServer.URL, "127.0.0.1", "localhost", 1),
		issuer:   providerServer.URL,
		clientID: "shop", clientSecret: "the shop's secret",
	}
	var err error
	if provider, err = newProvider(s, time.Minute); err != nil {
		t.Fatal(err)
	}
	keys, err := cookiesession.NewKeyring(cookiesession.GenerateKey("test"))
	if err != nil {
		t.Fatal(err)
	}
	if w.application, err = newApplication(t.Context(), s, keys); err != nil {
		t.Fatal(err)
	}
	w.now = func() time.Time { return time.Now().Add(time.Duration(w.late.Load())) }
	app = w.application.handler()
	return w
}

// A browser follows redirects. Its cookies are those of both sites.
type browser struct {
	t      *testing.T
	client *http.Client
	jar    *cookiesessiontest.Jar
}

func newBrowser(t *testing.T) *browser {
	jar := cookiesessiontest.NewJar()
	return &browser{t, &http.Client{Jar: jar}, jar}
}

func (b *browser) do(method, url string, form url.Values) (*http.Response, string) {
	b.t.Helper()
	r, err := http.NewRequest(method, url, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	if method == "POST" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := b.client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return resp, string(body)
}

func (b *browser) get(url string) (*http.Response, string) {
	b.t.Helper()
	return b.do("GET", url, nil)
}

var (
	formField = regexp.MustCompile(`name="(\w+)" value="([^"]*)"`)
	action    = regexp.MustCompile(`action="([^"]*)"`)
)

// fields returns what is filled into a page's forms.
func fields(page string) url.Values {
	values := make(url.Values)
	for _, f := range formField.FindAllStringSubmatch(page, -1) {
		values.Set(f[1], html.UnescapeString(f[2]))
	}
	return values
}

// answerOf goes to the provider, logs in there, and returns the URL to which the provider sends the browser back.
func (b *browser) answerOf(start string) string {
	b.t.Helper()
	resp, page := b.get(start)
	form := fields(page)
	form.Set("password", "hopper")
	login := resp.Request.URL.ResolveReference(&url.URL{Path: "/login"}).String()
	b.client.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if r.URL.Path == "/callback" && r.URL.Query().Has("state") {
			return http.ErrUseLastResponse
		}
		return nil
	}
	defer func() { b.client.CheckRedirect = nil }()
	resp, page = b.do("POST", login, form)
	if resp.StatusCode/100 == 3 {
		return resp.Header.Get("Location")
	}

	// The answer is a form, which a script sends. The browser withholds the application's cookies, since the page is
	// another site's.
	to := action.FindStringSubmatch(page)
	if to == nil {
		b.t.Fatalf("got %d %s", resp.StatusCode, page)
	}
	crossSite := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	r, err := http.NewRequest("POST", html.UnescapeString(to[1]), strings.NewReader(fields(page).Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", "null")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	resp, err = crossSite.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusSeeOther || resp.Header["Set-Cookie"] != nil {
		b.t.Errorf("form_post: got %d, cookies %q", resp.StatusCode, resp.Header["Set-Cookie"])
	}
	location, err := resp.Location()
	if err != nil {
		b.t.Fatal(err)
	}
	return location.String()
}

// login logs in and returns the page that the browser ends at.
func (b *browser) login(w *world) string {
	b.t.Helper()
	resp, page := b.get(b.answerOf(w.base + "/login"))
	if resp.StatusCode != http.StatusOK || !strings.Contains(page, "Hello, Grace Hopper") {
		b.t.Fatalf("after the login: got %d %s", resp.StatusCode, page)
	}
	return page
}

// session returns the session in the browser.
func (b *browser) session(w *world) *cookiesession.Session {
	b.t.Helper()
	r := httptest.NewRequest("GET", w.base, nil)
	base, err := url.Parse(w.base)
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Cookie", b.jar.Header(base))
	s, err := w.sessions.Load(r)
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}
