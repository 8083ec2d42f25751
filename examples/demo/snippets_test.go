package main

import (
	"context"
	"fmt"
	"html/template"
	"log"
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
	text := os.Getenv("COOKIESESSION_KEYS")
	keys, err := cookiesession.ParseKeyring(text)
	if err != nil {
		log.Fatal(err)
	}
	config := cookiesession.Config{Keys: keys}
	manager, err := cookiesession.New(config)
	if err != nil {
		log.Fatal(err)
	}
	handler := manager.Handler(mux)
	log.Fatal(http.ListenAndServe("localhost:8080", handler))
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
	s.Regenerate() // new ID, CSRF token and lifetime
	s.Put("user", "ada")
	if r.PostFormValue("remember") != "" {
		s.Remember(30 * 24 * time.Hour)
	}

	// and later
	s.Destroy() // refused in this browser from now on
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
	forms := manager.Handler(manager.ProtectCSRF(mux))
	log.Fatal(http.ListenAndServe("localhost:8080", forms))

	// and in the page's form:
	//  <input type="hidden" name="csrf_token" value="{{.}}">
	document.Execute(w, manager.Get(r).CSRFToken())
}

// Keys from a file that every server follows
func Example_keyFile() {
	keys, err := cookiesession.OpenKeyFile("keys.json")
	if err != nil {
		log.Fatal(err)
	}
	go keys.Watch(ctx, 0, nil) // logs each change, and why a file can't be used
}
