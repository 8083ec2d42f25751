package main

import (
	"context"
	"fmt"
	"html/template"
	"log"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

// The functions below are the page's snippets: see findSnippets.

var (
	mux      = http.NewServeMux()
	manager  *cookiesession.Manager
	w        http.ResponseWriter
	r        *http.Request
	ctx      context.Context
	document *template.Template
)

// Start: keys, manager, middleware
func Example_start() {
	keys, err := cookiesession.ParseKeyring(os.Getenv("COOKIESESSION_KEYS"))
	if err != nil {
		log.Fatal(err)
	}
	manager, err := cookiesession.New(cookiesession.Config{Keys: keys})
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe("localhost:8080", manager.Handler(mux)))
}

// Count views, with a typed key
func Example_count() {
	const views = cookiesession.Field[int]("views")

	s := manager.Get(r)
	n := views.Update(s, func(n int) int { return n + 1 })
	fmt.Fprintln(w, "views:", n)
}

// Log in and out
func Example_login() {
	s := manager.Get(r)
	s.Regenerate() // a new ID, a new CSRF token, a new lifetime
	s.Put("user", "ada")
	s.Remember(30 * 24 * time.Hour) // only if asked to

	// and later
	s.Destroy() // this browser never gets the session back
}

// A message for the page after the redirect
func Example_flash() {
	s := manager.Get(r)
	s.Flash("notice", "Saved.")
	http.Redirect(w, r, "/", http.StatusSeeOther)

	// and in the next request
	fmt.Fprintln(w, s.Flashed("notice"))
}

// Forms that only your own pages can send
func Example_csrf() {
	handler := manager.Handler(manager.ProtectCSRF(mux))
	log.Fatal(http.ListenAndServe("localhost:8080", handler))

	// and in the page: <input type="hidden" name="csrf_token" value="{{.}}">
	document.Execute(w, manager.Get(r).CSRFToken())
}

// Keys from a file that every server follows
func Example_keyFile() {
	keys, err := cookiesession.OpenKeyFile("/etc/app/session-keys.json")
	if err != nil {
		log.Fatal(err)
	}
	go keys.Watch(ctx, 0, func(err error) {
		slog.Error("session keys not reloaded", "error", err)
	})
}
