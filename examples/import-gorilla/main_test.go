package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/seed-50e21e88/cookiesession"
	"github.com/seed-50e21e88/cookiesession/cookiesessiontest"
)

func TestNobodyIsLoggedOut(t *testing.T) {
	keys, err := cookiesession.NewKeyring(cookiesession.GenerateKey("test"))
	if err != nil {
		t.Fatal(err)
	}
	now, err := application(keys)
	if err != nil {
		t.Fatal(err)
	}
	running := oldApplication()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { running.ServeHTTP(w, r) }))
	defer server.Close()
	jar := cookiesessiontest.NewJar()
	client := server.Client()
	client.Jar = jar
	ask := func(form url.Values, want ...string) {
		t.Helper()
		resp, err := client.Get(server.URL)
		if form != nil {
			resp, err = client.PostForm(server.URL, form)
		}
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range want {
			if !strings.Contains(string(body), text) {
				t.Errorf("got %s, want %s", body, text)
			}
		}
	}
	cookies := func(want ...string) {
		t.Helper()
		var got []string
		for _, c := range jar.All() {
			if !strings.Contains(c.Name, ".ended.") {
				got = append(got, c.Name)
			}
		}
		if strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("got cookies %q, want %q", got, want)
		}
	}

	ask(nil, "Log in")
	ask(url.Values{"name": {"grace"}}, "Hello, grace.", "gorilla/sessions")
	cookies(oldName)

	running = now
	ask(nil, "Hello, grace.", "cookiesession")
	cookies("__Host-session")
	ask(nil, "Hello, grace.")
	ask(url.Values{"name": {""}}, "Log in")
	cookies()
	ask(nil, "Log in")
}

func TestImportIgnoresWhatTheOldApplicationRefuses(t *testing.T) {
	keys, err := cookiesession.NewKeyring(cookiesession.GenerateKey("test"))
	if err != nil {
		t.Fatal(err)
	}
	now, err := application(keys)
	if err != nil {
		t.Fatal(err)
	}
	for _, cookie := range []string{"", oldName + "=", oldName + "=forged"} {
		r := httptest.NewRequest("GET", "https://shop.example/", nil)
		r.Header.Set("Cookie", cookie)
		w := httptest.NewRecorder()
		now.ServeHTTP(w, r)
		if w.Code != 200 || !strings.Contains(w.Body.String(), "Log in") {
			t.Errorf("%q: got %d %s", cookie, w.Code, w.Body)
		}
	}
}

func TestFormsOfOtherSites(t *testing.T) {
	for _, site := range []string{"cross-site", "same-origin"} {
		r := httptest.NewRequest("POST", "https://shop.example/", strings.NewReader("name=mallory"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", site)
		w := httptest.NewRecorder()
		oldApplication().ServeHTTP(w, r)
		if loggedIn := w.Header()["Set-Cookie"] != nil; loggedIn != (site == "same-origin") {
			t.Errorf("%s: got %d with %q", site, w.Code, w.Header()["Set-Cookie"])
		}
	}
}
