package cookiesession_test

import (
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestWeakened breaks each promise in the way in which some library did, and sees that TestInterleavings would tell. It
// logs the first play that shows it.
func TestWeakened(t *testing.T) {
	for _, weakness := range []struct {
		name   string
		broken violation
		weaken func(w *world, r *request)
		forget bool // rotation drops the old key
	}{
		{"what only read sets the session again: starlette #2019, rails #37039, h3 #1513, rack-session #24", valueChanged, func(_ *world, r *request) {
			if r.name == "read" {
				r.setAgain(sessionCookies)
			}
		}, false},
		{"a touch sets the session again: express-session's rolling", valueChanged, func(_ *world, r *request) {
			if r.waits {
				r.setAgain(sessionCookies)
			}
		}, false},
		{"a read that is too late brings the session back: auth0/nextjs #544", logoutUndone, func(_ *world, r *request) {
			if r.name == "read" {
				r.setAgain(sessionCookies)
			}
			r.dropMarkers()
		}, false},
		{"logout only deletes: redistore #2", logoutUndone, func(_ *world, r *request) { r.dropMarkers() }, false},
		{"a marker names the ID, which a login changes", logoutUndone, func(_ *world, r *request) {
			if r.login {
				r.remove(endedName(r.left))
			}
		}, false},
		{"markers are deleted at once", logoutUndone, func(_ *world, r *request) {
			if !r.writes {
				r.removeCame(func(name string) bool { return strings.HasPrefix(name, cookieName+".ended.") })
			}
		}, false},
		{"a refused cookie is deleted", sessionLost, func(_ *world, r *request) {
			if r.rejected != nil && !r.writes {
				r.removeCame(sessionCookies)
			}
		}, false},
		{"what only read deletes stale cookies", sessionTorn, func(_ *world, r *request) {
			if !r.writes && strings.Contains(r.cookies, cookieName+"=1") {
				r.removeCame(func(name string) bool { return name == cookieName+".1" })
			}
		}, false},
		{"a response for one visitor is cached for all: Flask CVE-2023-30861", loginUnasked, func(w *world, r *request) {
			if r.name == "read" {
				r.set = append(r.set, w.foreign...)
			}
		}, false},
		{"rotation drops the old key: oauth2-proxy", keyForgotten, nil, true},
		{"any request eats the messages: laravel #17569", flashLost, func(_ *world, r *request) {
			if !r.leaves && !r.asks {
				r.removeCame(flashCookies)
			}
		}, false},
		{"messages end with the session", flashLost, func(_ *world, r *request) {
			if r.ends {
				r.removeCame(flashCookies)
			}
		}, false},
		{"a message that was shown stays", flashAgain, func(_ *world, r *request) {
			if r.asks {
				r.drop(flashCookies)
			}
		}, false},
		{"a read that is too late brings a message back", flashAgain, func(_ *world, r *request) {
			if r.name == "read" {
				r.setAgain(flashCookies)
			}
		}, false},
	} {
		t.Run(weakness.name, func(t *testing.T) {
			plays := 0
			for most := 1; most <= 3; most++ { // the shortest first
				for _, start := range starts {
					for _, large := range []bool{false, true} {
						w := &world{moves: allMoves, large: large, weaken: weakness.weaken, broken: weakness.broken, now: time.Now()}
						w.rotate("before each event")
						if weakness.forget {
							w.forgetfulServers()
						}
						w.begin(start)
						w.explore(most)
						plays += w.plays
						if w.found != "" {
							t.Logf("after %d interleavings: start %s, two cookies %v: %s%s", plays, start, large, w.found, w.script)
							return
						}
					}
				}
			}
			t.Errorf("%d interleavings found nothing, want one in which %s", plays, weakness.broken)
		})
	}
}

// forgetfulServers know one key at a time.
func (w *world) forgetfulServers() {
	first, second := w.newNode(playRing(playKey(0))), w.newNode(playRing(playKey(1)))
	w.node = func(event int) *node {
		if event == 0 {
			return first
		}
		return second
	}
}

func sessionCookies(name string) bool {
	return name == cookieName || len(name) == len(cookieName)+2 && strings.HasPrefix(name, cookieName+".")
}

func flashCookies(name string) bool { return name == cookieName+".flash" }

// endedName returns the name of the marker for a session.
func endedName(v view) string {
	origin, err := hex.DecodeString(v.id[:16])
	if err != nil {
		panic(err)
	}
	return cookieName + ".ended." + textEncoding.EncodeToString(origin)
}

// came returns the cookies that the request brought, of those whose names will do.
func (r *request) came(which func(name string) bool) (cookies []*http.Cookie) {
	all, err := http.ParseCookie(r.cookies)
	if r.cookies != "" && err != nil {
		panic(err)
	}
	for _, c := range all {
		if which(c.Name) {
			cookies = append(cookies, c)
		}
	}
	return cookies
}

func (r *request) setAgain(which func(name string) bool) {
	for _, c := range r.came(which) {
		r.set = append(r.set, &http.Cookie{Name: c.Name, Value: c.Value, Path: "/", Secure: true})
	}
}

func (r *request) remove(name string) {
	r.set = append(r.set, &http.Cookie{Name: name, Path: "/", Secure: true, MaxAge: -1})
}

func (r *request) removeCame(which func(name string) bool) {
	for _, c := range r.came(which) {
		r.remove(c.Name)
	}
}

// drop takes cookies out of the response.
func (r *request) drop(which func(name string) bool) {
	r.set = slices.DeleteFunc(r.set, func(c *http.Cookie) bool { return which(c.Name) })
}

func (r *request) dropMarkers() {
	r.drop(func(name string) bool { return strings.HasPrefix(name, cookieName+".ended.") })
}
