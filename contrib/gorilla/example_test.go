package gorilla_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/gorilla/sessions"
	"github.com/seed-50e21e88/cookiesession"
	"github.com/seed-50e21e88/cookiesession/contrib/gorilla"
)

func init() {
	os.Setenv("SESSION_KEY", "gorilla's authentication key")
	os.Setenv("SESSION_KEYS", "hex:9c1185a5c5e9fc54612808977ee8f548b2258d31ddadef707ba62c166051c9e3")
}

// The one line that changes. The old store is asked for the sessions of visitors who come with its cookies, so nobody
// is logged out.
func ExampleNewCookieStore() {
	// var store = sessions.NewCookieStore([]byte(os.Getenv("SESSION_KEY")))
	store := gorilla.NewCookieStore(os.Getenv("SESSION_KEYS"), sessions.NewCookieStore([]byte(os.Getenv("SESSION_KEY"))))

	handler := func(w http.ResponseWriter, r *http.Request) {
		session, err := store.Get(r, "session-name")
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		views, _ := session.Values["views"].(int)
		session.Values["views"] = views + 1
		if err := session.Save(r, w); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprintln(w, "views:", views+1)
	}

	w := httptest.NewRecorder()
	handler(w, httptest.NewRequest("GET", "/", nil))
	fmt.Print(w.Body)
	r := httptest.NewRequest("GET", "/", nil)
	for _, c := range w.Result().Cookies() {
		fmt.Println("cookie:", c.Name)
		r.AddCookie(c)
	}
	w = httptest.NewRecorder()
	handler(w, r)
	fmt.Print(w.Body)
	// Output:
	// views: 1
	// cookie: __Host-session-name
	// views: 2
}

// An application that moves to package cookiesession itself, and takes over the sessions that its visitors have.
func ExampleImport() {
	old := sessions.NewCookieStore([]byte(os.Getenv("SESSION_KEY")))
	keys, err := cookiesession.ParseKeyring(os.Getenv("SESSION_KEYS"))
	if err != nil {
		panic(err)
	}
	manager, err := cookiesession.New(cookiesession.Config{
		Keys:          keys,
		Import:        gorilla.Import("session-name", old),
		ImportCookies: []string{"session-name"},
	})
	if err != nil {
		panic(err)
	}

	// What the old application gave a visitor,
	w := httptest.NewRecorder()
	r := httptest.NewRequest("GET", "/", nil)
	session, _ := old.Get(r, "session-name")
	session.Values["user"] = "grace"
	if err := session.Save(r, w); err != nil {
		panic(err)
	}
	r = httptest.NewRequest("GET", "/", nil)
	r.AddCookie(w.Result().Cookies()[0])

	// the new one knows.
	w = httptest.NewRecorder()
	manager.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println("user:", manager.Get(r).Get("user"))
	})).ServeHTTP(w, r)
	for _, c := range w.Result().Cookies() {
		fmt.Println("cookie:", c.Name, "deleted:", c.MaxAge < 0)
	}
	// Output:
	// user: grace
	// cookie: __Host-session deleted: false
	// cookie: session-name deleted: true
}
