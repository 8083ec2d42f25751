// Chi shows sessions in an application whose router is chi. There is no adapter: a Manager's Handler and ProtectCSRF
// are middleware as chi takes it.
//
//	go run .   # then http://localhost:8080
package main

import (
	"context"
	"flag"
	"fmt"
	"html"
	"log"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/seed-50e21e88/cookiesession"
)

const user = cookiesession.Field[string]("user")

func main() {
	addr := flag.String("addr", "localhost:8080", "address to listen on")
	keys := flag.String("keys", "hex:7d5684124952708ff06f80a836e13f8f26dc283d5abb9d8ead8d57ca66465dc5", "keys, as in an environment variable; the default is for trying only")
	flag.Parse()

	ring, err := cookiesession.ParseKeyring(*keys)
	if err != nil {
		log.Fatal(err)
	}
	sessions, err := cookiesession.New(cookiesession.Config{Keys: ring, IdleTimeout: time.Hour})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("http://%s\n", *addr)
	log.Fatal(http.ListenAndServe(*addr, routes(sessions)))
}

func routes(sessions *cookiesession.Manager) http.Handler {
	r := chi.NewRouter()
	r.Use(middleware.Logger, middleware.Recoverer) // before Handler: a panic saves nothing
	r.Use(middleware.Compress(5))
	r.Get("/health", func(http.ResponseWriter, *http.Request) {}) // has no session
	r.Group(func(r chi.Router) {
		r.Use(sessions.Handler, sessions.ProtectCSRF)
		r.Get("/", home)
		r.Post("/login", login)
		r.Post("/logout", logout)
		r.With(requireUser).Get("/members/{page}", members)
	})
	return r
}

func home(w http.ResponseWriter, r *http.Request) {
	s := cookiesession.FromContext(r.Context())
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	name, notice, token := user.Get(s), s.Flashed("notice"), s.CSRFToken() // all that changes the session, before the first byte
	if notice != nil {
		fmt.Fprintf(w, "<p>%s</p>", html.EscapeString(fmt.Sprint(notice)))
	}
	action := `<form method="post" action="/login"><input name="name" value="grace"> <button>Log in</button>`
	if name != "" {
		action = `<p><a href="/members/news">News for members</a></p><form method="post" action="/logout"><button>Log out</button>`
	}
	fmt.Fprintf(w, `%s<input type="hidden" name="%s" value="%s"></form>`, action, cookiesession.CSRFField, token)
}

func login(w http.ResponseWriter, r *http.Request) {
	s := cookiesession.FromContext(r.Context())
	s.Regenerate()
	user.Put(s, r.FormValue("name"))
	s.Flash("notice", "Welcome, "+r.FormValue("name")+".")
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func logout(w http.ResponseWriter, r *http.Request) {
	s := cookiesession.FromContext(r.Context())
	s.Destroy()
	s.Flash("notice", "You are logged out.")
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// requireUser sends visitors who aren't logged in to the home page.
func requireUser(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := cookiesession.FromContext(r.Context())
		if user.Get(s) == "" {
			s.Flash("notice", "Please log in.")
			http.Redirect(w, r, "/", http.StatusSeeOther)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), userKey{}, user.Get(s))))
	})
}

type userKey struct{}

func members(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8") // or a page called <b> would be HTML
	fmt.Fprintf(w, "%s for %s\n", chi.URLParam(r, "page"), r.Context().Value(userKey{}))
}
