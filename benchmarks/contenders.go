package main

import (
	"crypto/rand"
	"encoding/gob"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/gorilla/securecookie"
	"github.com/gorilla/sessions"

	"github.com/seed-50e21e88/cookiesession"
)

// A contender is a library with one visitor's session in it.
type contender struct {
	name     string
	handlers [tasks]http.Handler
	request  *http.Request
	cookie   string // Cookie header
	w        null
	n        [tasks]int

	wrap   func(http.Handler) http.Handler
	get    func(r *http.Request, key string) any
	change func(w http.ResponseWriter, r *http.Request, key string, v any)
}

// The tasks.
const (
	ignore = iota
	read
	change
)

func newContenders(bytes int) ([]*contender, error) {
	contenders := []func() (*contender, error){ours, gorilla, scsMemory}
	var all []*contender
	for _, make := range contenders {
		c, err := make()
		if err != nil {
			return nil, err
		}
		c.handlers = [tasks]http.Handler{
			ignore: c.wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNoContent) })),
			read: c.wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if c.get(r, "user") != userName {
					panic(c.name + ": no user")
				}
				w.WriteHeader(http.StatusNoContent)
			})),
			change: c.wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				n, err := toInt(c.get(r, "n"))
				if err != nil {
					panic(c.name + ": " + err.Error())
				}
				c.change(w, r, "n", n+1)
				w.WriteHeader(http.StatusNoContent)
			})),
		}
		if err := c.fill(bytes); err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		all = append(all, c)
	}
	return all, nil
}

const userName = "grace.hopper@example.com"

// fill makes a session with values of several kinds, about so many bytes of them.
func (c *contender) fill(bytes int) error {
	setup := c.wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		values := map[string]any{
			"n": 41, "user": userName, "admin": true, "since": time.Date(2026, 11, 3, 9, 30, 0, 0, time.UTC), "roles": []string{"editor", "author"},
		}
		for i, rest := 0, bytes-100; rest > 0; i++ {
			line := strings.Repeat("a line of text as an address or a title has it ", 2)
			line = line[:min(len(line), max(rest-10, 1))]
			values[fmt.Sprintf("item-%03d", i)] = line
			rest -= len(line) + 10
		}
		for key, v := range values {
			c.change(w, r, key, v)
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	w := httptest.NewRecorder()
	setup.ServeHTTP(w, httptest.NewRequest("GET", "https://example.com/", nil))
	if w.Code != http.StatusNoContent {
		return fmt.Errorf("status %d", w.Code)
	}
	c.request, c.cookie = carry(w.Header())
	c.w.header = http.Header{}
	return nil
}

// carry returns a request with the cookies that h set last, and its Cookie header.
func carry(h http.Header) (*http.Request, string) {
	last := map[string]string{}
	var names []string
	for _, line := range h["Set-Cookie"] {
		pair, _, _ := strings.Cut(line, ";")
		name, _, _ := strings.Cut(pair, "=")
		if _, ok := last[name]; !ok {
			names = append(names, name)
		}
		last[name] = pair
	}
	var pairs []string
	for _, name := range names {
		pairs = append(pairs, last[name])
	}
	r := httptest.NewRequest("GET", "https://example.com/", nil)
	r.Header.Set("Cookie", strings.Join(pairs, "; "))
	return r, r.Header.Get("Cookie")
}

// check sends the change through twice and sees the number rise, with the other values there still.
func (c *contender) check() error {
	request := c.request
	for want := 42; want <= 43; want++ {
		w := httptest.NewRecorder()
		c.handlers[change].ServeHTTP(w, request)
		if len(w.Header()["Set-Cookie"]) > 0 {
			request, _ = carry(w.Header())
		}
		var n int
		var err error
		var user any
		c.wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n, err = toInt(c.get(r, "n"))
			user = c.get(r, "user")
		})).ServeHTTP(httptest.NewRecorder(), request)
		if err != nil || n != want || user != userName {
			return fmt.Errorf("after a change: n = %d, %v, want %d; user = %v", n, err, want, user)
		}
	}
	return nil
}

func toInt(v any) (int, error) {
	switch n := v.(type) {
	case int:
		return n, nil
	case int64:
		return int(n), nil
	}
	return 0, fmt.Errorf("a counter of type %T", v)
}

func ours() (*contender, error) {
	keys, err := cookiesession.NewKeyring(cookiesession.GenerateKey("k"))
	if err != nil {
		return nil, err
	}
	m, err := cookiesession.New(cookiesession.Config{Keys: keys, MaxSize: 20000, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	return &contender{
		name:   "**cookiesession**",
		wrap:   m.Handler,
		get:    func(r *http.Request, key string) any { return m.Get(r).Get(key) },
		change: func(_ http.ResponseWriter, r *http.Request, key string, v any) { m.Get(r).Put(key, v) },
	}, nil
}

// gorilla signs and encrypts, as its documentation advises. It has no middleware: a change is followed by a Save.
func gorilla() (*contender, error) {
	gob.Register(time.Time{})
	gob.Register([]string{})
	store := sessions.NewCookieStore(random(64), random(32))
	for _, codec := range store.Codecs {
		codec.(*securecookie.SecureCookie).MaxLength(0) // 9 kB are beyond what it, and a browser, takes in one cookie
	}
	session := func(r *http.Request) *sessions.Session {
		s, err := store.Get(r, "session")
		if err != nil {
			panic(err)
		}
		return s
	}
	return &contender{
		name: "gorilla/sessions, CookieStore",
		// It has no middleware, but writes into the request, so each needs its own.
		wrap: func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				own := *r
				next.ServeHTTP(w, &own)
			})
		},
		get: func(r *http.Request, key string) any { return session(r).Values[key] },
		change: func(w http.ResponseWriter, r *http.Request, key string, v any) {
			s := session(r)
			s.Values[key] = v
			if err := s.Save(r, w); err != nil {
				panic(err)
			}
		},
	}, nil
}

// scsMemory keeps its sessions in the server's memory.
func scsMemory() (*contender, error) {
	gob.Register(time.Time{})
	gob.Register([]string{})
	m := scs.New()
	return &contender{
		name:   "scs, memory store",
		wrap:   m.LoadAndSave,
		get:    func(r *http.Request, key string) any { return m.Get(r.Context(), key) },
		change: func(_ http.ResponseWriter, r *http.Request, key string, v any) { m.Put(r.Context(), key, v) },
	}, nil
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}
