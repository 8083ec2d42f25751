package cookiesession_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/seed-50e21e88/cookiesession"
)

// Whoever logs a request outside Handler reads the pattern that a mux inside matched, in whatever order they are put
// together: the same as without the library.
func TestPatternIsReadOutside(t *testing.T) {
	m := newManager(t, nil)
	other := newManager(t, func(c *cookiesession.Config) { c.Name = "other" })
	type wrap = func(http.Handler) http.Handler
	without := func(next http.Handler) http.Handler { return next }
	mux := func(pairs ...any) *http.ServeMux {
		mux := http.NewServeMux()
		for i := 0; i < len(pairs); i += 2 {
			mux.Handle(pairs[i].(string), pairs[i+1].(http.Handler))
		}
		return mux
	}
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Pattern, " ", r.PathValue("id")) })
	fails := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	unsaved := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s, ok := r.Context().Value(m).(*cookiesession.Session); ok {
			s.Put("n", tooLarge)
		}
		http.Error(w, "", http.StatusInternalServerError)
	})
	for _, test := range []struct {
		name  string
		chain func(sessions wrap) http.Handler
		want  map[string]string // by request
	}{
		{"a mux inside", func(sessions wrap) http.Handler {
			return sessions(mux("GET /items/{id}", page, "/about", page))
		}, map[string]string{
			"GET /items/7": "GET /items/{id}", "HEAD /items/7": "GET /items/{id}", "POST /items/7": "", "GET /about": "/about", "GET /nowhere": "",
		}},
		{"a mux outside", func(sessions wrap) http.Handler {
			return mux("GET /items/{id}", sessions(page))
		}, map[string]string{"GET /items/7": "GET /items/{id}"}},
		{"a mux on either side", func(sessions wrap) http.Handler {
			return mux("/shop/", sessions(mux("GET /shop/{id}", page)), "/", sessions(page))
		}, map[string]string{"GET /shop/7": "GET /shop/{id}", "GET /": "/", "GET /shop/7/8": "", "POST /shop/7": ""}},
		{"a mux in a mux", func(sessions wrap) http.Handler {
			return sessions(mux("/shop/", mux("GET /shop/{id}", page)))
		}, map[string]string{"GET /shop/7": "GET /shop/{id}"}},
		{"under a prefix, which copies the request", func(sessions wrap) http.Handler {
			return sessions(mux("/shop/", http.StripPrefix("/shop", mux("GET /{id}", page))))
		}, map[string]string{"GET /shop/7": "/shop/"}},
		{"Handler in Handler", func(sessions wrap) http.Handler {
			return sessions(sessions(mux("GET /{id}", page)))
		}, map[string]string{"GET /7": "GET /{id}"}},
		{"a redirect to a clean path", func(sessions wrap) http.Handler {
			return sessions(mux("/shop/", page))
		}, map[string]string{"GET /shop": "/shop/", "GET /shop//7": "/shop/"}},
		{"a panic", func(sessions wrap) http.Handler {
			return sessions(mux("GET /{id}", fails))
		}, map[string]string{"GET /7": "GET /{id}"}},
		{"a session that can't be saved", func(sessions wrap) http.Handler {
			return sessions(mux("GET /{id}", unsaved))
		}, map[string]string{"GET /7": "GET /{id}"}},
		{"set by hand", func(sessions wrap) http.Handler {
			return sessions(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { r.Pattern = "/by/hand" }))
		}, map[string]string{"GET /7": "/by/hand"}},
		{"taken back", func(sessions wrap) http.Handler {
			return mux("/", sessions(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { r.Pattern = "" })))
		}, map[string]string{"GET /7": ""}},
	} {
		for name, sessions := range map[string]wrap{
			"without the library": without, "Handler": m.Handler,
			"ProtectCSRF":    func(next http.Handler) http.Handler { return m.Handler(m.ProtectCSRF(next)) },
			"two Managers":   func(next http.Handler) http.Handler { return m.Handler(other.Handler(next)) },
			"over a context": func(next http.Handler) http.Handler { return withContext(m.Handler(next)) },
		} {
			for request, want := range test.want {
				var method, target string
				fmt.Sscan(request, &method, &target)
				r := httptest.NewRequest(method, target, nil)
				if name == "ProtectCSRF" && method == "POST" {
					continue // which is refused
				}
				func() {
					defer func() { recover() }()
					test.chain(sessions).ServeHTTP(httptest.NewRecorder(), r)
				}()
				if r.Pattern != want {
					t.Errorf("%s, %s: %s: outside the pattern is %q, want %q", test.name, name, request, r.Pattern, want)
				}
			}
		}
	}
}

// withContext is a middleware between the logger and Handler that copies the request and gives back what it learns.
func withContext(next http.Handler) http.Handler {
	type key struct{}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		inner := r.WithContext(context.WithValue(r.Context(), key{}, 1))
		defer func() { r.Pattern = inner.Pattern }()
		next.ServeHTTP(w, inner)
	})
}
