package cookiesession_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/seed-50e21e88/cookiesession"
)

func TestOutsideHandler(t *testing.T) {
	m, other := newWeb(t, nil), newWeb(t, nil)
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for name, call := range map[string]func(){
		"Get":                                  func() { m.Get(r) },
		"FromContext":                          func() { cookiesession.FromContext(r.Context()) },
		"FromContext of a background":          func() { cookiesession.FromContext(context.Background()) },
		"Get inside another Manager's Handler": func() { inHandler(other, r, func(r *http.Request) { m.Get(r) }) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				got, _ := recover().(string)
				if !strings.HasPrefix(got, "cookiesession: ") || !strings.Contains(got, "Handler") {
					t.Errorf("got panic %q, want one that says what to do", got)
				}
			}()
			call()
			t.Error("got no panic")
		})
	}
}

// inHandler calls fn as a handler inside m's.
func inHandler(m *web, r *http.Request, fn func(r *http.Request)) http.Header {
	w := httptest.NewRecorder()
	m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { fn(r) })).ServeHTTP(w, r)
	return w.Result().Header
}

func TestSessionOfRequest(t *testing.T) {
	m := newWeb(t, nil)
	inHandler(m, httptest.NewRequest(http.MethodGet, "/", nil), func(r *http.Request) {
		s := m.Get(r)
		loaded, err := m.Load(r)
		type key struct{}
		later := r.WithContext(context.WithValue(r.Context(), key{}, 1))
		cloned := r.Clone(later.Context())
		if loaded != s || err != nil || m.Get(later) != s || m.Get(cloned) != s || cookiesession.FromContext(later.Context()) != s {
			t.Error("got several sessions for one request")
		}
	})
}

// TestHandlerInsideHandler has one Manager's Handler twice around the application, with another response writer
// between.
func TestHandlerInsideHandler(t *testing.T) {
	onEachProtocol(t, func(t *testing.T, proto string) {
		m := newWeb(t, nil)
		var outer *cookiesession.Session
		v := m.serve(t, proto, m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			outer = m.Get(r)
			outer.Put("outer", 1)
			m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if m.Get(r) != outer {
					t.Error("got a session of its own inside")
				}
				m.Get(r).Put("inner", 2)
			})).ServeHTTP(onlyUnwrap{w}, r)
			outer.Put("later", 3)
		})))
		a := v.get()
		if got := cookieNames(a.Header); got != "__Host-session" {
			t.Errorf("got cookies %q, want one", got)
		}
		v.wantValues("inner=2 later=3 outer=1")
		m.wantStats(1, 0, 0)
	})
}

// TestTwoManagers nests two of different names; they share nothing but the request.
func TestTwoManagers(t *testing.T) {
	onEachProtocol(t, func(t *testing.T, proto string) {
		site := newWeb(t, nil)
		shop := newWeb(t, func(c *cookiesession.Config) { c.Name = "session2" })
		var contexts []bool
		v := site.serve(t, proto, site.Handler(shop.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			a, b := site.Get(r), shop.Get(r)
			contexts = append(contexts, a != b, cookiesession.FromContext(r.Context()) == b)
			a.Increment("visits", 1)
			b.Increment("items", 10)
			b.Flash("note", "x")
			io.WriteString(w, "body")
		}))))
		for range 2 {
			a := v.get()
			if got, want := cookieNames(a.Header), "__Host-session2 __Host-session2.flash __Host-session"; got != want {
				t.Errorf("got cookies %q, want %q", got, want)
			}
			if a.body != "body" {
				t.Errorf("got body %q", a.body)
			}
		}
		for _, ok := range contexts {
			if !ok {
				t.Errorf("got %v: Get and FromContext mixed the sessions up", contexts)
				break
			}
		}
		wantValues(t, site.sessionIn(v.jar, v.URL), "visits=2")
		wantValues(t, shop.sessionIn(v.jar, v.URL), "items=20")
	})
}

// TestTwoManagersFail has either save fail: each answers for itself, and the other's cookies are good.
func TestTwoManagersFail(t *testing.T) {
	for _, test := range []struct{ name, key, want string }{
		{"inner", "shop", "__Host-session"},
		{"outer", "site", "__Host-session2"},
	} {
		t.Run(test.name, func(t *testing.T) {
			site := newWeb(t, nil)
			shop := newWeb(t, func(c *cookiesession.Config) { c.Name = "session2" })
			v := site.serve(t, "HTTP/1.1", site.Handler(shop.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				site.Get(r).Put("n", 1)
				shop.Get(r).Put("n", 1)
				for key, m := range map[string]*web{"site": site, "shop": shop} {
					if key == test.key {
						m.Get(r).Put("large", tooLarge)
					}
				}
				io.WriteString(w, "body")
			}))))
			a := v.get()
			if a.StatusCode != 500 || a.body != "Internal Server Error\n" || cookieNames(a.Header) != test.want {
				t.Errorf("got %d %q %q, want an error page with %s", a.StatusCode, a.body, cookieNames(a.Header), test.want)
			}
		})
	}
}

// TestCookieHeaderTakenAtArrival has the handler change the header's map, slice and strings before it asks for the
// session.
func TestCookieHeaderTakenAtArrival(t *testing.T) {
	for name, mutate := range map[string]func(h http.Header){
		"Set":     func(h http.Header) { h.Set("Cookie", "__Host-session=1AAAA") },
		"Del":     func(h http.Header) { h.Del("Cookie") },
		"Add":     func(h http.Header) { h.Add("Cookie", "__Host-session=1AAAA") },
		"clear":   func(h http.Header) { clear(h) },
		"element": func(h http.Header) { h["Cookie"][0] = "__Host-session=1AAAA" },
		"every element": func(h http.Header) {
			for i := range h["Cookie"] {
				h["Cookie"][i] = ""
			}
		},
		"append in place": func(h http.Header) { _ = append(h["Cookie"][:0], "x=y") },
	} {
		t.Run(name, func(t *testing.T) {
			for _, lines := range []int{1, 2} {
				var hooked []string // what hooks see of the header
				hook := func(r *http.Request) { hooked = append(hooked, strings.Join(r.Header["Cookie"], "|")) }
				m := newWeb(t, func(c *cookiesession.Config) {
					c.OnReject = func(r *http.Request, _ *cookiesession.RejectError) { hook(r) }
					c.Import = func(r *http.Request) (map[string]any, error) { hook(r); return nil, nil }
					c.ErrorHandler = func(_ http.ResponseWriter, r *http.Request, _ error) { hook(r) }
				})
				sealed := inHandler(m, httptest.NewRequest(http.MethodGet, "/", nil), func(r *http.Request) {
					m.Get(r).Put("n", 1)
					m.Get(r).Flash("note", "hello")
				})
				session, _, _ := strings.Cut(sealed["Set-Cookie"][0], ";")
				note, _, _ := strings.Cut(sealed["Set-Cookie"][1], ";")
				hooked = nil

				visit := func(session, note string, then func(s *cookiesession.Session)) (came string) {
					r := httptest.NewRequest(http.MethodGet, "/", nil)
					r.Header["Cookie"] = []string{session + "; " + note}
					if lines == 2 {
						r.Header["Cookie"] = []string{session, note}
					}
					came = strings.Join(r.Header["Cookie"], "|")
					inHandler(m, r, func(r *http.Request) {
						mutate(r.Header)
						then(m.Get(r))
					})
					return came
				}
				visit(session, note, func(s *cookiesession.Session) {
					wantValues(t, s, "n=1")
					if got := s.Flashed("note"); got != "hello" {
						t.Errorf("got flash %v, want hello", got)
					}
				})
				if len(hooked) != 0 {
					t.Errorf("got a hook called with %q", hooked)
				}
				for what, came := range map[string]string{
					"OnReject":           visit("__Host-session=1BBBB", "a=b", func(s *cookiesession.Session) { s.Rejected() }),
					"OnReject for flash": visit(session, "__Host-session.flash=1BBBB", func(s *cookiesession.Session) { s.Flashes() }),
					"Import":             visit("legacy=1", "a=b", func(s *cookiesession.Session) { s.Keys() }),
					"ErrorHandler":       visit(session, note, func(s *cookiesession.Session) { s.Put("large", tooLarge) }),
				} {
					if !strings.Contains(strings.Join(hooked, "\n"), came) {
						t.Errorf("%s did not see the header of %d lines as it came", what, lines)
					}
				}
			}
		})
	}
}
