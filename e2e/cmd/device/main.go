// Command device is a server for the end-to-end test of device-bound sessions. It is built with a method of Manager that
// no release has, so that half an hour can pass between two requests.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"html"
	"log"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

const user = cookiesession.Field[string]("user")

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "where to listen")
	keyFile := flag.String("keys", "", "key file")
	flag.Parse()
	keys, err := cookiesession.OpenKeyFile(*keyFile)
	if err != nil {
		log.Fatal(err)
	}
	m, err := cookiesession.New(cookiesession.Config{Keys: keys, DeviceProof: 10 * time.Minute})
	if err != nil {
		log.Fatal(err)
	}
	var ahead atomic.Int64 // seconds
	any(m).(interface{ SetClock(func() time.Time) }).SetClock(func() time.Time {
		return time.Now().Add(time.Duration(ahead.Load()) * time.Second)
	})

	site := http.NewServeMux()
	site.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		s := m.Get(r)
		user.Put(s, "ada")
		s.Regenerate()
		if r.FormValue("remember") != "" {
			s.Remember(24 * time.Hour)
		}
		http.Redirect(w, r, "/", http.StatusSeeOther)
	})
	site.HandleFunc("POST /logout", func(w http.ResponseWriter, r *http.Request) {
		m.Get(r).Destroy()
		http.Redirect(w, r, "/", http.StatusSeeOther)
	})
	site.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		s := m.Get(r)
		state := "nobody"
		switch {
		case s.Rejected() != nil:
			state = s.Rejected().Reason.String()
		case s.DeviceProven():
			state = user.Get(s) + " proven"
		case !s.IsNew():
			state = user.Get(s)
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, `<!DOCTYPE html><html lang="en"><title>shop</title><p id="state">%s</p>
<form method="post" action="/login"><button id="login">log in</button><button id="remember" name="remember" value="yes">and remember</button></form>
<form method="post" action="/logout"><button id="logout">log out</button></form>`, html.EscapeString(state))
	})

	outside := http.NewServeMux()
	outside.HandleFunc("POST /test/clock", func(_ http.ResponseWriter, r *http.Request) {
		n, err := strconv.ParseInt(r.FormValue("ahead"), 10, 64)
		if err != nil {
			log.Fatal(err)
		}
		ahead.Store(n)
	})
	outside.HandleFunc("GET /test/stats", func(w http.ResponseWriter, _ *http.Request) { json.NewEncoder(w).Encode(m.Stats()) })
	outside.HandleFunc("GET /test/link", func(w http.ResponseWriter, r *http.Request) { // a page of another site
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, `<!DOCTYPE html><html lang="en"><title>elsewhere</title><a id="link" href="%s">shop</a>`, html.EscapeString(r.FormValue("to")))
	})
	policy := func(next http.Handler) http.Handler { // under which the page in the application's place must still run
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Security-Policy", "default-src 'self'")
			next.ServeHTTP(w, r)
		})
	}
	outside.Handle("/", policy(m.Handler(site)))
	log.Fatal(http.ListenAndServe(*addr, outside))
}
