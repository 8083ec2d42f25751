package cookiesession_test

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

// Of responses that change one session at the same time, the browser keeps the last to arrive, and nothing tells the
// others. What must not get lost belongs into a session of its own (a second Manager with another Name), if each is
// written by one kind of request, or into a database. Logging out ends both.
func Example_parallelWrites() {
	ring, err := cookiesession.NewKeyring(cookiesession.GenerateKey("2026-11"))
	if err != nil {
		log.Fatal(err)
	}
	sessions := newSessions(cookiesession.Config{Keys: ring})
	carts := newSessions(cookiesession.Config{Keys: ring, Name: "cart"})

	var arrived sync.WaitGroup
	mux := http.NewServeMux()
	mux.HandleFunc("GET /parallel/{key}", func(w http.ResponseWriter, r *http.Request) {
		s := sessions.Get(r)
		s.Get("user") // what the browser sent is what this request works with
		arrived.Done()
		arrived.Wait()
		s.Put(r.PathValue("key"), true)
	})
	mux.HandleFunc("GET /cart/{item}", func(w http.ResponseWriter, r *http.Request) {
		carts.Get(r).Push("items", r.PathValue("item"))
	})
	mux.HandleFunc("GET /logout", func(w http.ResponseWriter, r *http.Request) {
		sessions.Get(r).Destroy()
		carts.Get(r).Destroy()
	})
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, len(sessions.Get(r).Keys()), " of session, cart ", carts.Get(r).Get("items"))
	})
	get, stop := browse(sessions.Handler(carts.Handler(mux)))
	defer stop()

	arrived.Add(3)
	var all sync.WaitGroup
	for _, key := range []string{"a", "b", "c"} {
		all.Go(func() { get("/parallel/" + key) })
	}
	all.Wait()
	get("/cart/tea") // whenever it comes, it collides with none of them
	fmt.Println(get("/"))
	get("/logout")
	fmt.Println(get("/"))
	// Output:
	// 1 of session, cart [tea]
	// 0 of session, cart <nil>
}

// Remember keeps a visitor logged in for 30 days, whatever Config says of the other sessions.
func ExampleSession_Remember() {
	sessions := newSessions(cookiesession.Config{Lifetime: 8 * time.Hour, IdleTimeout: time.Hour})
	get, stop := browse(sessions.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := sessions.Get(r)
		s.Regenerate()
		s.Put("user", "grace")
		s.Remember(30 * 24 * time.Hour)
		fmt.Fprint(w, s.ExpiresAt().Sub(s.CreatedAt()))
	})))
	defer stop()
	fmt.Println(get("/"))
	// Output:
	// 720h0m0s
}

// ExpireIn sets a deadline, and IdleTimeout stays in force: here an administrator's session ends after an hour. Persist
// says whether the cookie outlives the browser.
func ExampleSession_ExpireIn() {
	sessions := newSessions(cookiesession.Config{Persistent: true, Lifetime: 8 * time.Hour, IdleTimeout: 20 * time.Minute})
	get, stop := browse(sessions.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := sessions.Get(r)
		s.Regenerate()
		s.Put("admin", "grace")
		s.ExpireIn(time.Hour)
		s.Persist(false)
		fmt.Fprint(w, s.ExpiresAt().Sub(s.CreatedAt()), " ", s.IdleAt().Sub(s.CreatedAt()))
	})))
	defer stop()
	fmt.Println(get("/"))
	// Output:
	// 1h0m0s 20m0s
}

// A page asks every minute how long the visitor is logged in, to warn in time. Asking doesn't count as use.
func ExampleSession_Passive() {
	sessions := newSessions(cookiesession.Config{IdleTimeout: 20 * time.Minute})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /login", func(w http.ResponseWriter, r *http.Request) { sessions.Get(r).Put("user", "grace") })
	mux.HandleFunc("GET /left", func(w http.ResponseWriter, r *http.Request) {
		s := sessions.Get(r)
		s.Passive()
		end := s.ExpiresAt()
		if idle := s.IdleAt(); !idle.IsZero() && idle.Before(end) {
			end = idle
		}
		fmt.Fprint(w, time.Until(end).Round(time.Minute))
	})
	get, stop := browse(sessions.Handler(mux))
	defer stop()
	get("/login")
	fmt.Println(get("/left"))
	// Output:
	// 20m0s
}

// Keys that a secret manager hands out, as the JSON of a key file or as a list: fetched at the start, then every minute.
// When that fails, or brings nothing that can be used, the keys in force stay.
func ExampleKeyring_ReplaceText() {
	secrets := make(chan string, 2) // stands for the secret manager
	secrets <- `{"keys": [{"label": "2026-11", "secret": "` + secretA + `"}]}`
	secrets <- `{"keys": [{"label": "2026-11", "secr` // cut off

	keys, err := cookiesession.ParseKeyring(<-secrets)
	if err != nil {
		log.Fatal(err)
	}
	before := keys.Fingerprint()
	if err := keys.ReplaceText(<-secrets); err != nil { // in a goroutine, for every tick of a time.Ticker
		fmt.Println("the keys in force stay:", keys.Fingerprint() == before)
	}
	// Output:
	// the keys in force stay: true
}

// A health check that tells whether all servers have the same keys.
func ExampleKeyring_Fingerprint() {
	keys, _, remove := keysInNewFile()
	defer remove()
	health := func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok, ring", keys.Fingerprint()) }

	w := httptest.NewRecorder()
	health(w, nil)
	fmt.Print(w.Body)
	// Output:
	// ok, ring a73adc1f0a995134
}
