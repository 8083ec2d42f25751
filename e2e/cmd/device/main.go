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
	"strings"
	"sync/atomic"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

const (
	user = cookiesession.Field[string]("user")
	note = cookiesession.Field[string]("note")
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "where to listen")
	keyFile := flag.String("keys", "", "key file")
	hosts := flag.String("hosts", "", "Config.DeviceHosts, with commas between them")
	strict := flag.Bool("strict", false, "SameSite=Strict")
	flag.Parse()
	keys, err := cookiesession.OpenKeyFile(*keyFile)
	if err != nil {
		log.Fatal(err)
	}
	config := cookiesession.Config{Keys: keys, DeviceProof: 10 * time.Minute}
	if *hosts != "" {
		config.DeviceHosts = strings.Split(*hosts, ",")
	}
	if *strict {
		config.SameSite = http.SameSiteStrictMode
	}
	m, err := cookiesession.New(config)
	if err != nil {
		log.Fatal(err)
	}
	var ahead atomic.Int64 // seconds
	any(m).(interface{ SetClock(func() time.Time) }).SetClock(func() time.Time {
		return time.Now().Add(time.Duration(ahead.Load()) * time.Second)
	})

	site := http.NewServeMux()
	site.HandleFunc("/login", func(w http.ResponseWriter, r *http.Request) {
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
	site.HandleFunc("POST /note", func(w http.ResponseWriter, r *http.Request) {
		note.Put(m.Get(r), "buy milk")
		http.Redirect(w, r, "/", http.StatusSeeOther)
	})
	site.HandleFunc("/{$}", func(w http.ResponseWriter, r *http.Request) {
		s := m.Get(r)
		state := "nobody"
		switch {
		case s.Rejected() != nil:
			state = s.Rejected().Reason.String()
		case s.DeviceProven():
			state = user.Get(s) + " proven"
		case user.Get(s) != "":
			state = user.Get(s)
		case !s.IsNew():
			state = "somebody"
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, `<!DOCTYPE html><html lang="en"><title>shop</title><link rel="icon" href="data:,"><p id="state">%s</p>
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
	outside.HandleFunc("GET /test/link", func(w http.ResponseWriter, r *http.Request) { // a page of another host
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		to := html.EscapeString(r.FormValue("to"))
		fmt.Fprintf(w, `<!DOCTYPE html><html lang="en"><title>elsewhere</title><a id="link" href="%s">shop</a>
<form method="post" action="%s"><button id="post">send</button></form>`, to, to)
	})
	policy := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			// The page in the application's place must still run under this.
			w.Header().Set("Content-Security-Policy", "default-src 'self'")
			// Never so in production: every page may read every answer, so that the tests see what each of them gets.
			if origin := r.Header.Get("Origin"); origin != "" {
				w.Header().Set("Access-Control-Allow-Origin", origin)
				w.Header().Set("Access-Control-Allow-Credentials", "true")
			}
			next.ServeHTTP(w, r)
		})
	}
	shop := policy(m.Handler(site))
	log.Fatal(http.ListenAndServe(*addr, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/test/") {
			outside.ServeHTTP(w, r)
		} else { // Handler sees each path as it was sent, before a mux cleans it
			shop.ServeHTTP(w, r)
		}
	})))
}
