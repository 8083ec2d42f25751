package revoke_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/seed-50e21e88/cookiesession"
	"github.com/seed-50e21e88/cookiesession/contrib/revoke"
	"github.com/seed-50e21e88/cookiesession/cookiesessiontest"
)

// A server with pages to log in, to see who one is, to change the password, which logs out everywhere else, and to log
// out everywhere.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	list, err := revoke.Open(ctx, revoke.Config{
		Engine:      revoke.Memory(), // or that of package redis or postgres, or File
		Keys:        []string{"user"},
		MaxLifetime: 24 * time.Hour,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer list.Close()
	keys, err := cookiesession.NewKeyring(cookiesession.GenerateKey("2026-11"))
	if err != nil {
		log.Fatal(err)
	}
	sessions, err := cookiesession.New(cookiesession.Config{Keys: keys, Revoked: list.Revoked})
	if err != nil {
		log.Fatal(err)
	}

	mux := http.NewServeMux()
	mux.HandleFunc("/login", func(w http.ResponseWriter, r *http.Request) {
		login := list.Begin() // before the password is checked
		if r.FormValue("password") != "lovelace" {
			http.Error(w, "wrong password", http.StatusForbidden)
			return
		}
		s := sessions.Get(r)
		s.Regenerate()
		s.Put("user", "ada")
		login.Keep(s) // after all that sessions can be ended by
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, sessions.Get(r).Get("user"))
	})
	mux.HandleFunc("/password", func(w http.ResponseWriter, r *http.Request) {
		// Store the new password first, then:
		if err := list.EndOthers(r.Context(), sessions.Get(r), "user"); err != nil {
			http.Error(w, "try again", http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("/logout-everywhere", func(w http.ResponseWriter, r *http.Request) {
		if err := list.End(r.Context(), "user", sessions.Get(r).Get("user")); err != nil {
			http.Error(w, "try again", http.StatusServiceUnavailable)
		}
	})
	server := httptest.NewTLSServer(list.Guard(sessions, sessions.Handler(mux)))
	defer server.Close()

	browser := func() func(path string) string {
		client := *server.Client()
		client.Jar = cookiesessiontest.NewJar()
		return func(path string) string {
			response, err := client.Get(server.URL + path)
			if err != nil {
				log.Fatal(err)
			}
			defer response.Body.Close()
			var body string
			fmt.Fscan(response.Body, &body)
			return body
		}
	}
	phone, laptop := browser(), browser()
	phone("/login?password=lovelace")
	laptop("/login?password=lovelace")
	fmt.Println(phone("/"), laptop("/"))
	phone("/password")
	fmt.Println(phone("/"), laptop("/"))
	laptop("/login?password=lovelace")
	laptop("/logout-everywhere")
	fmt.Println(phone("/"), laptop("/"))
	// Output:
	// ada ada
	// ada <nil>
	// <nil> <nil>
}

// An event stream ends when its session does.
func ExampleList_Until() {
	list, err := revoke.Open(context.Background(), revoke.Config{
		Engine: revoke.Memory(), Keys: []string{"user"}, MaxLifetime: time.Hour,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer list.Close()
	keys, err := cookiesession.NewKeyring(cookiesession.GenerateKey("2026-11"))
	if err != nil {
		log.Fatal(err)
	}
	sessions, err := cookiesession.New(cookiesession.Config{Keys: keys, Revoked: list.Revoked})
	if err != nil {
		log.Fatal(err)
	}
	s, err := sessions.Load(httptest.NewRequest("GET", "/events", nil))
	if err != nil {
		log.Fatal(err)
	}
	s.Put("user", "ada")
	list.Begin().Keep(s)

	ctx, cancel := list.Until(context.Background(), s)
	defer cancel()
	if err := list.End(context.Background(), "user", "ada"); err != nil {
		log.Fatal(err)
	}
	<-ctx.Done()
	fmt.Println(context.Cause(ctx))
	// Output: revoke: session is revoked
}
