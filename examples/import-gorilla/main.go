// Import-gorilla is an application before and after it moved from gorilla/sessions to cookiesession. Nobody is logged
// out.
//
//	go run . -old   # log in on http://localhost:8080, then stop it
//	go run .        # you are logged in still, and gorilla's cookie is gone
package main

import (
	"flag"
	"fmt"
	"html"
	"log"
	"net/http"

	"github.com/gorilla/sessions"
	"github.com/seed-50e21e88/cookiesession"
	"github.com/seed-50e21e88/cookiesession/contrib/gorilla"
)

// The old application's cookie name and key. Yours come from its configuration.
const (
	oldName = "session-name"
	oldKey  = "the secret that the old application signs with"
)

func main() {
	old := flag.Bool("old", false, "run the application as it was, with gorilla/sessions")
	addr := flag.String("addr", "localhost:8080", "address to listen on")
	keys := flag.String("keys", "hex:f8b22a1e8e2db1fdc73af14faa9b7bae4ffa9af317c8833a6c95ceebb6170f6e", "keys, as in an environment variable; the default is for trying only")
	flag.Parse()

	handler := oldApplication()
	if !*old {
		ring, err := cookiesession.ParseKeyring(*keys)
		if err != nil {
			log.Fatal(err)
		}
		if handler, err = application(ring); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Printf("http://%s\n", *addr)
	log.Fatal(http.ListenAndServe(*addr, handler))
}

// application is what it is now.
func application(keys *cookiesession.Keyring) (http.Handler, error) {
	m, err := cookiesession.New(cookiesession.Config{
		Keys:          keys,
		Import:        gorilla.Import(oldName, oldStore()),
		ImportCookies: []string{oldName},
	})
	if err != nil {
		return nil, err
	}
	user := cookiesession.Field[string]("user")
	return m.Handler(pages("cookiesession", func(w http.ResponseWriter, r *http.Request, set *string) (string, error) {
		s := m.Get(r)
		switch {
		case set == nil:
		case *set == "":
			s.Destroy()
		default:
			s.Regenerate()
			user.Put(s, *set)
		}
		return user.Get(s), nil
	})), nil
}

// oldStore is the old application's, with all its keys and the MaxAge that it had.
func oldStore() *sessions.CookieStore {
	store := sessions.NewCookieStore([]byte(oldKey))
	store.MaxAge(30 * 24 * 60 * 60)
	store.Options.SameSite = http.SameSiteLaxMode
	return store
}

// oldApplication is what it was.
func oldApplication() http.Handler {
	store := oldStore()
	return pages("gorilla/sessions", func(w http.ResponseWriter, r *http.Request, set *string) (string, error) {
		s, err := store.Get(r, oldName)
		if err != nil {
			return "", err
		}
		switch {
		case set == nil:
		case *set == "":
			delete(s.Values, "user")
			s.Options.MaxAge = -1
			err = s.Save(r, w)
		default:
			s.Values["user"] = *set
			err = s.Save(r, w)
		}
		user, _ := s.Values["user"].(string)
		return user, err
	})
}

// pages is what both have in common. user returns who is logged in, after it has logged set in, or with "" out.
func pages(library string, user func(w http.ResponseWriter, r *http.Request, set *string) (string, error)) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) {
		name := r.FormValue("name")
		if _, err := user(w, r, &name); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		http.Redirect(w, r, "/", http.StatusSeeOther)
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		name, err := user(w, r, nil)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		if name == "" {
			fmt.Fprint(w, `<form method="post"><input name="name" value="grace"> <button>Log in</button></form>`)
		} else {
			fmt.Fprintf(w, `<form method="post"><p>Hello, %s.</p><button>Log out</button></form>`, html.EscapeString(name))
		}
		fmt.Fprintf(w, "<p>This page uses %s.</p>", library)
	})
	return http.NewCrossOriginProtection().Handler(mux) // no other site's form logs in or out
}
