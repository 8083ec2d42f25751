package cookiesessiontest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/seed-50e21e88/cookiesession"
	"github.com/seed-50e21e88/cookiesession/cookiesessiontest"
)

// The examples run outside a test; yours pass the t that they get.
var (
	t        = new(testing.T)
	sessions = newManager(t, nil)
)

// A handler for logged-in visitors, and its test.
func ExampleRequest() {
	greet := func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "Hello, %v!", sessions.Get(r).Get("user"))
	}

	r := httptest.NewRequest("GET", "/", nil)
	r = cookiesessiontest.Request(t, sessions, r, map[string]any{"user": "Grace"})
	w := httptest.NewRecorder()
	sessions.Handler(http.HandlerFunc(greet)).ServeHTTP(w, r)

	fmt.Println(w.Body)
	// Output: Hello, Grace!
}

// A form behind ProtectCSRF wants a token of the session that the request carries.
func ExampleRequestWith() {
	rename := func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%v is %s now.", sessions.Get(r).Get("user"), r.FormValue("name"))
	}
	handler := sessions.Handler(sessions.ProtectCSRF(http.HandlerFunc(rename)))

	r := httptest.NewRequest("POST", "/", strings.NewReader("name=Ada"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r = cookiesessiontest.RequestWith(t, sessions, r, func(s *cookiesession.Session) {
		s.Put("user", "Grace")
		r.Header.Set(cookiesession.CSRFHeader, s.CSRFToken())
	})
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)

	fmt.Println(w.Code, w.Body)
	// Output: 200 Grace is Ada now.
}

// What a login handler has put and flashed.
func ExampleSession() {
	login := func(w http.ResponseWriter, r *http.Request) {
		s := sessions.Get(r)
		s.Regenerate()
		s.Put("user", "Grace")
		s.Flash("notice", "Welcome back.")
		http.Redirect(w, r, "/", http.StatusSeeOther)
	}

	r := httptest.NewRequest("POST", "/login", nil)
	w := httptest.NewRecorder()
	sessions.Handler(http.HandlerFunc(login)).ServeHTTP(w, r)
	resp := w.Result()
	resp.Request = r // cookies that the response leaves alone count, too

	s := cookiesessiontest.Session(t, sessions, resp)
	fmt.Println(s.Get("user"), s.Flashed("notice"))
	// Output: Grace Welcome back.
}
