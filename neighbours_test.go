package cookiesession_test

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/http/httputil"
	"net/textproto"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

func TestOutsideHandler(t *testing.T) {
	m, other := newWeb(t, nil), newWeb(t, nil)
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for name, call := range map[string]func(){
		"Get":                                  func() { m.Get(r) },
		"FromContext":                          func() { cookiesession.FromContext(r.Context()) },
		"FromContext of a background":          func() { cookiesession.FromContext(context.Background()) },
		"Get inside another Manager's Handler": func() { inHandler(other.Manager, r, func(_ http.ResponseWriter, r *http.Request) { m.Get(r) }) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				got, _ := recover().(string)
				if !strings.HasPrefix(got, "cookiesession: ") || !strings.Contains(got, "wrap the mux, sessions.Handler(mux)") {
					t.Errorf("got panic %q, want one that says what to do", got)
				}
			}()
			call()
			t.Error("got no panic")
		})
	}
}

func TestSessionOfRequest(t *testing.T) {
	m := newWeb(t, nil)
	inHandler(m.Manager, httptest.NewRequest(http.MethodGet, "/", nil), func(_ http.ResponseWriter, r *http.Request) {
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

// What a middleware adds later, no hook takes for the visitor's.
func TestHooksSeeNoCookiesAddedLater(t *testing.T) {
	asked := false
	m := newManager(t, func(c *cookiesession.Config) {
		c.Import = func(r *http.Request) (map[string]any, error) {
			asked = true
			if got, ok := r.Header["Cookie"]; ok {
				t.Errorf("got %q, want no Cookie header", got)
			}
			return nil, nil
		}
	})
	inHandler(m, requestWith(), func(_ http.ResponseWriter, r *http.Request) {
		r.Header.Set("Cookie", "legacy=1")
		m.Get(r).Get("n")
	})
	if !asked {
		t.Error("Import wasn't asked")
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
				hook := func(r *http.Request) { hooked = append(hooked, strings.Join(r.Header["Cookie"], "; ")) }
				m := newWeb(t, func(c *cookiesession.Config) {
					c.OnReject = func(r *http.Request, _ *cookiesession.RejectError) { hook(r) }
					c.Import = func(r *http.Request) (map[string]any, error) { hook(r); return nil, nil }
					c.ErrorHandler = func(_ http.ResponseWriter, r *http.Request, _ error) { hook(r) }
				})
				sealed := inHandler(m.Manager, httptest.NewRequest(http.MethodGet, "/", nil), func(_ http.ResponseWriter, r *http.Request) {
					m.Get(r).Put("n", 1)
					m.Get(r).Flash("note", "hello")
				})
				session, _, _ := strings.Cut(sealed["Set-Cookie"][0], ";")
				note, _, _ := strings.Cut(sealed["Set-Cookie"][1], ";")
				hooked = nil

				visit := func(session, note string, then func(s *cookiesession.Session)) (received string) {
					r := httptest.NewRequest(http.MethodGet, "/", nil)
					r.Header["Cookie"] = []string{session + "; " + note}
					if lines == 2 {
						r.Header["Cookie"] = []string{session, note}
					}
					received = strings.Join(r.Header["Cookie"], "; ")
					inHandler(m.Manager, r, func(_ http.ResponseWriter, r *http.Request) {
						mutate(r.Header)
						then(m.Get(r))
					})
					return received
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
				for what, received := range map[string]string{
					"OnReject":           visit("__Host-session=1BBBB", "a=b", func(s *cookiesession.Session) { s.Rejected() }),
					"OnReject for flash": visit(session, "__Host-session.flash=1BBBB", asked),
					"Import":             visit("legacy=1", "a=b", func(s *cookiesession.Session) { s.Keys() }),
					"ErrorHandler":       visit(session, note, put("large", tooLarge)),
				} {
					if !strings.Contains(strings.Join(hooked, "\n"), received) {
						t.Errorf("%s did not see the header of %d lines as it was received, in one", what, lines)
					}
				}
			}
		})
	}
}

// What stands around or inside the middleware in real servers: http.TimeoutHandler, compression, httputil.ReverseProxy.

// TestTimeoutHandlerOutside drops a response that comes too late whole, its cookies too.
func TestTimeoutHandlerOutside(t *testing.T) {
	onEachProtocol(t, func(t *testing.T, proto string) {
		m := newWeb(t, nil)
		answered, ended := make(chan struct{}), make(chan error, 1)
		n := 0
		h := m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s := m.Get(r)
			s.Increment("n", 1)
			if n++; n < 2 {
				io.WriteString(w, "in time")
				return
			}
			<-r.Context().Done()
			<-answered
			s.Put("half", true)
			_, err := io.WriteString(w, "too late")
			s.Put("late", true)
			if !errors.Is(s.Err(), cookiesession.ErrCommitted) {
				t.Errorf("got %v, want ErrCommitted", s.Err())
			}
			ended <- err
		}))
		patient := http.TimeoutHandler(h, time.Hour, "timeout")
		hasty := http.TimeoutHandler(h, time.Nanosecond, "timeout")
		v := m.serve(t, proto, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				hasty.ServeHTTP(w, r)
			} else {
				patient.ServeHTTP(w, r)
			}
		}))
		if a := v.get(); a.StatusCode != 200 || a.body != "in time" || cookieNames(a.Header) != "__Host-session" {
			t.Errorf("got %d %q %q, want the handler's response", a.StatusCode, a.body, cookieNames(a.Header))
		}
		a := v.do(v.request(http.MethodPost, ""))
		close(answered)
		if a.StatusCode != 503 || a.body != "timeout" || cookieNames(a.Header) != "" || a.Header.Get("Vary") != "" {
			t.Errorf("got %d %q %v, want a 503 without cookies", a.StatusCode, a.body, a.Header)
		}
		if err := <-ended; !errors.Is(err, http.ErrHandlerTimeout) {
			t.Errorf("got %v from Write, want ErrHandlerTimeout", err)
		}
		v.wantValues("n=1")
	})
}

// TestTimeoutHandlerInside commits, with the 503, what the handler had changed by then.
func TestTimeoutHandlerInside(t *testing.T) {
	onEachProtocol(t, func(t *testing.T, proto string) {
		m := newWeb(t, nil)
		changed, answered, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
		slow := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s := m.Get(r)
			s.Put("half", 1)
			close(changed)
			<-answered
			s.Put("late", 1)
			w.WriteHeader(http.StatusTeapot)
			ended <- s.Err()
		})
		fast := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			m.Get(r).Put("whole", 1)
			http.SetCookie(w, &http.Cookie{Name: "theme", Value: "dark"})
			if err := m.Save(w.Header(), m.Get(r)); err != nil { // needless, but allowed
				t.Error(err)
			}
			io.WriteString(w, "in time")
		})
		patient := http.TimeoutHandler(fast, time.Hour, "timeout")
		v := m.serve(t, proto, m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet {
				patient.ServeHTTP(w, r)
				return
			}
			// The end of the context is what http.TimeoutHandler waits for: here it comes once the handler has made its
			// change.
			ctx, cancel := context.WithCancel(r.Context())
			go func() {
				<-changed
				cancel()
			}()
			http.TimeoutHandler(slow, time.Hour, "timeout").ServeHTTP(w, r.WithContext(ctx))
		})))
		if a := v.get(); a.body != "in time" || cookieNames(a.Header) != "theme __Host-session" {
			t.Errorf("got %q %q, want the handler's response with one line for each cookie", a.body, cookieNames(a.Header))
		}
		a := v.do(v.request(http.MethodPost, ""))
		close(answered)
		if a.StatusCode != 503 || a.body != "" || cookieNames(a.Header) != "__Host-session" {
			t.Errorf("got %d %q %q, want a 503 with the session", a.StatusCode, a.body, cookieNames(a.Header))
		}
		if err := <-ended; !errors.Is(err, cookiesession.ErrCommitted) {
			t.Errorf("got %v, want ErrCommitted", err)
		}
		v.wantValues("half=1 whole=1")
		if m.Stats().Late != 1 {
			t.Errorf("got Late %d, want 1", m.Stats().Late)
		}
	})
}

// A gzipWriter compresses, as the middlewares for it do: the header changes when it is sent.
type gzipWriter struct {
	http.ResponseWriter
	gz      *gzip.Writer
	started bool
}

func compress(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		gw := &gzipWriter{ResponseWriter: w, gz: gzip.NewWriter(w)}
		w.Header().Add("Vary", "Accept-Encoding")
		next.ServeHTTP(gw, r)
		if gw.started {
			gw.gz.Close()
		}
	})
}

func (w *gzipWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *gzipWriter) WriteHeader(status int) {
	if !w.started && status >= 200 {
		w.started = true
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Del("Content-Length")
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *gzipWriter) Write(b []byte) (int, error) {
	if !w.started {
		w.WriteHeader(http.StatusOK)
	}
	return w.gz.Write(b)
}

func (w *gzipWriter) FlushError() error {
	if !w.started {
		w.WriteHeader(http.StatusOK)
	}
	w.gz.Flush()
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// TestCompression has it inside and outside the middleware, of a session that can be saved, and of one that can't.
func TestCompression(t *testing.T) {
	for _, test := range []struct {
		name     string
		chain    func(m *web, app http.Handler) http.Handler
		value    string
		status   int
		encoding string
		body     string
		values   string
	}{
		{"inside", func(m *web, app http.Handler) http.Handler { return m.Handler(compress(app)) }, "v", 200, "gzip", "body body", "n=v"},
		{"outside", func(m *web, app http.Handler) http.Handler { return compress(m.Handler(app)) }, "v", 200, "gzip", "body body", "n=v"},
		{"inside, not saved", func(m *web, app http.Handler) http.Handler { return m.Handler(compress(app)) }, tooLarge, 500, "", "Internal Server Error\n", ""},
		{"outside, not saved", func(m *web, app http.Handler) http.Handler { return compress(m.Handler(app)) }, tooLarge, 500, "gzip", "Internal Server Error\n", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			for name, flush := range map[string]bool{"Write first": false, "Flush first": true} {
				t.Run(name, func(t *testing.T) {
					onEachProtocol(t, func(t *testing.T, proto string) {
						m := newWeb(t, nil)
						v := m.serve(t, proto, test.chain(m, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
							m.Get(r).Put("n", test.value)
							if flush {
								if err := http.NewResponseController(w).Flush(); err != nil {
									t.Error(err)
								}
							}
							io.WriteString(w, "body ")
							io.WriteString(w, "body")
						})))
						a := v.get()
						body := a.text(t)
						if a.StatusCode != test.status || a.Header.Get("Content-Encoding") != test.encoding || body != test.body {
							t.Errorf("got %d %q %q, want %d %q %q", a.StatusCode, a.Header.Get("Content-Encoding"), body, test.status, test.encoding, test.body)
						}
						if got := strings.Join(a.Header["Vary"], ", "); got != "Accept-Encoding, Cookie" {
							t.Errorf("got Vary %q", got)
						}
						v.wantValues(test.values)
					})
				})
			}
		})
	}
}

// TestReverseProxy has the application proxy to another server, which sends an early hint, cookies, caching, a body and
// trailers of its own.
func TestReverseProxy(t *testing.T) {
	onEachProtocol(t, func(t *testing.T, proto string) {
		m := newWeb(t, nil)
		backend := m.serve(t, proto, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if got := r.Header.Get("Cookie"); got != "" {
				t.Errorf("the backend got cookies")
			}
			w.Header().Set("Link", "</style.css>; rel=preload")
			w.WriteHeader(http.StatusEarlyHints)
			http.SetCookie(w, &http.Cookie{Name: "theme", Value: "dark"})
			w.Header().Set("Cache-Control", "public, max-age=60")
			w.Header().Set("Trailer", "Checksum")
			io.WriteString(w, "bo")
			w.(http.Flusher).Flush()
			io.WriteString(w, "dy")
			w.Header().Set("Checksum", "4")
		}))
		v := m.serve(t, proto, m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			m.Get(r).Increment("n", 1)
			proxy := &httputil.ReverseProxy{
				Rewrite: func(r *httputil.ProxyRequest) {
					r.SetURL(mustURL(t, backend.URL))
					r.Out.Header.Del("Cookie")
				},
				ModifyResponse: func(*http.Response) error {
					m.Get(r).Increment("n", 10) // after the early hint
					return nil
				},
				Transport:     backend.Client().Transport,
				FlushInterval: -1,
			}
			proxy.ServeHTTP(w, r)
		})))
		for i := range 2 {
			hints := 0
			r := v.request(http.MethodGet, "")
			r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
				Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
					if hints++; code != 103 || h.Get("Set-Cookie") != "" {
						t.Errorf("got %d with %v", code, h)
					}
					return nil
				},
			}))
			a := v.do(r)
			<-m.returned // the backend's
			if hints != 1 || a.body != "body" || a.Trailer.Get("Checksum") != "4" {
				t.Errorf("got %d hints, %q, trailers %v", hints, a.body, a.Trailer)
			}
			if got, want := cookieNames(a.Header), "theme __Host-session"; got != want {
				t.Errorf("got cookies %q, want %q", got, want)
			}
			if got, want := a.Header.Get("Cache-Control"), "max-age=60, private"; got != want {
				t.Errorf("got Cache-Control %q, want %q", got, want)
			}
			v.wantValues([]string{"n=11", "n=22"}[i])
		}
	})
}

// TestReverseProxyNotSaved has a response discarded while it comes from the other server.
func TestReverseProxyNotSaved(t *testing.T) {
	onEachProtocol(t, func(t *testing.T, proto string) {
		m := newWeb(t, nil)
		backend := m.serve(t, proto, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Etag", `"x"`)
			io.WriteString(w, strings.Repeat("body", 100_000))
		}))
		v := m.serve(t, proto, m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			m.Get(r).Put("n", tooLarge)
			proxy := httputil.NewSingleHostReverseProxy(mustURL(t, backend.URL))
			proxy.Transport = backend.Client().Transport
			proxy.ServeHTTP(w, r)
		})))
		a := v.get()
		<-m.returned // the backend's
		if a.StatusCode != 500 || a.body != "Internal Server Error\n" || a.Header.Get("Etag") != "" {
			t.Errorf("got %d, %d bytes, %v; want an error page", a.StatusCode, len(a.body), a.Header)
		}
	})
}

// What others write about the session's cookies: an upstream with the same Config, a Manager of the same name inside, the
// handler itself. A response that writes nothing removes nothing.

// TestUpstreamKeepsItsSession has a gateway that only uses its session in front of an application with the same Config.
func TestUpstreamKeepsItsSession(t *testing.T) {
	for name, use := range map[string]func(m *web, w http.ResponseWriter, r *http.Request){
		"ignores":          func(*web, http.ResponseWriter, *http.Request) {},
		"reads":            func(m *web, _ http.ResponseWriter, r *http.Request) { m.Get(r).Get("n") },
		"asks who it is":   func(m *web, _ http.ResponseWriter, r *http.Request) { m.Get(r).ID(); m.Get(r).IsNew() },
		"verifies a token": func(m *web, _ http.ResponseWriter, r *http.Request) { m.Get(r).VerifyCSRFToken("x") },
		"puts what is": func(m *web, _ http.ResponseWriter, r *http.Request) {
			if s := m.Get(r); s.Has("n") {
				s.Put("n", s.Get("n"))
			}
		},
		"changes and back":  func(m *web, _ http.ResponseWriter, r *http.Request) { m.Get(r).Put("m", 1); m.Get(r).Delete("m") },
		"loads":             func(m *web, _ http.ResponseWriter, r *http.Request) { m.Load(r) },
		"saves what it has": func(m *web, w http.ResponseWriter, r *http.Request) { m.Get(r).Keys(); m.Save(w.Header(), m.Get(r)) },
	} {
		for _, idle := range []time.Duration{0, 100 * time.Second} { // with a lease to write every other request
			t.Run(fmt.Sprint(name, "/", idle), func(t *testing.T) {
				onEachProtocol(t, func(t *testing.T, proto string) {
					m := newWeb(t, withIdle(idle))
					now := time.Now()
					m.SetClock(func() time.Time { return now })
					app := newWeb(t, withIdle(idle))
					app.SetClock(func() time.Time { return now })
					upstream := app.serve(t, proto, app.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						s := app.Get(r)
						switch r.URL.Path {
						case "/count":
							s.Increment("n", 1)
							s.Put("v", random(int(s.Get("n").(int64))%3*1800)) // one cookie, two and back
						case "/login":
							login(s)
						case "/flash":
							s.Flash("f", "saved")
						case "/logout":
							s.Destroy()
						}
						io.WriteString(w, "body")
					})))
					v := m.serve(t, proto, m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						use(m, w, r)
						proxy := httputil.NewSingleHostReverseProxy(mustURL(t, upstream.URL))
						proxy.Transport = upstream.Client().Transport
						proxy.ServeHTTP(w, r)
					})))
					visit := func(path string) {
						r := v.request(http.MethodGet, "")
						r.URL.Path = path
						a := v.do(r)
						<-app.returned
						checkLines(t, a.Header["Set-Cookie"])
						now = now.Add(6 * time.Second)
					}
					for i := range 5 {
						visit("/count")
						if got := v.session().Get("n"); got != int64(i+1) {
							t.Fatalf("counted to %v, want %d", got, i+1)
						}
					}
					id := v.session().ID()
					visit("/login")
					if s := v.session(); s.Get("user") != "ada" || s.ID() == id {
						t.Errorf("after the upstream's login: user %v, the same ID %v", s.Get("user"), s.ID() == id)
					}
					visit("/flash")
					if got := v.session().Flashed("f"); got != "saved" {
						t.Errorf("got message %v of the upstream", got)
					}
					old := v.jar.Header(mustURL(t, v.URL))
					visit("/logout")
					if s := v.session(); !s.IsNew() {
						t.Errorf("after the upstream's logout the session holds %v", s.Keys())
					}
					r := requestWith(old, v.jar.Header(mustURL(t, v.URL)))
					if s, _ := m.Load(r); s.Rejected() == nil || s.Rejected().Reason != cookiesession.ReasonEnded {
						t.Errorf("what was logged out is refused with %v, want ended", s.Rejected())
					}
				})
			})
		}
	}
}

// TestUpstreamAndGatewayWrite has both write: lines for cookies that the gateway writes give way to its own, the others
// stay.
func TestUpstreamAndGatewayWrite(t *testing.T) {
	var upstream []string
	for _, suffix := range []string{"", ".1", ".5", ".flash", ".flash.1", ".lease", ".here", ".ended.AAAAAAAAAAA"} {
		upstream = append(upstream, cookieName+suffix+"=theirs; Path=/; HttpOnly; Secure")
	}
	for _, test := range []struct {
		name     string
		gateway  func(*cookiesession.Session)
		replaced string
	}{
		{"nothing", touched, ""},
		{"change", put("n", 2), "[]"},
		{"two cookies", put("v", random(3500)), "[.1] []"},
		{"flash", flash("f", 1), "[.flash]"},
		{"session and flash", both(1, 2), "[.flash] []"},
		{"login", login, "[]"},
		{"logout", destroy, "[]"},
		{"logout, and a session anew", func(s *cookiesession.Session) { s.Destroy(); s.Put("n", 2) }, "[]"},
		{"failure", put("v", tooLarge), ""},
		{"failure after logout", func(s *cookiesession.Session) { s.Destroy(); s.Put("v", tooLarge) }, "[]"},
	} {
		for _, form := range forms {
			m := newManager(t, nil)
			v := newVisitor(t, m)
			v.visit(put("n", 1))
			var h http.Header
			if form.name == "Handler" {
				rec := httptest.NewRecorder()
				m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					test.gateway(m.Get(r))
					w.Header()["Set-Cookie"] = slices.Clone(upstream)
				})).ServeHTTP(rec, requestWith(v.header()))
				h = rec.Result().Header
			} else {
				s := v.load()
				test.gateway(s)
				h = http.Header{"Set-Cookie": slices.Clone(upstream)}
				m.Save(h, s)
			}
			checkLines(t, h["Set-Cookie"])
			gone := slices.DeleteFunc(slices.Clone(upstream), func(line string) bool { return slices.Contains(h["Set-Cookie"], line) })
			if got := v.wrote(gone); got != test.replaced {
				t.Errorf("%s, %s: replaced %q, want %q; left %s", test.name, form.name, got, test.replaced, v.wrote(h["Set-Cookie"]))
			}
		}
	}
}

// TestManagersOfOneName has two Managers with one Config around the application, as when a library brings its own: what
// the inner one writes stays, unless the outer one writes the same cookie.
func TestManagersOfOneName(t *testing.T) {
	type uses = func(*cookiesession.Session)
	for _, test := range []struct {
		name         string
		outer, inner uses
		want         string // what the next request brings
	}{
		{"the outer one reads, the inner one changes", touched, put("inner", 1), "inner=1 n=1"},
		{"the outer one changes, the inner one reads", put("outer", 1), touched, "n=1 outer=1"},
		{"the outer one reads, the inner one logs in", touched, login, "n=1 user=ada"},
		{"the outer one reads, the inner one logs out", touched, destroy, ""},
		{"the outer one logs out, the inner one reads", destroy, touched, ""},
		{"both change: the outer one comes last", put("outer", 1), put("inner", 1), "n=1 outer=1"},
		{"both log out", destroy, destroy, ""},
		{"the outer one leaves a message, the inner one changes", flash("f", 1), put("inner", 1), "inner=1 n=1"},
		{"the outer one changes, the inner one logs out", put("outer", 1), destroy, ""}, // the marker stays
		{"neither uses it", nothing, nothing, "n=1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			onEachProtocol(t, func(t *testing.T, proto string) {
				outer, inner := newWeb(t, nil), newWeb(t, nil)
				prepared := false
				v := outer.serve(t, proto, outer.Handler(inner.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if !prepared {
						prepared = true
						inner.Get(r).Put("n", 1)
						return
					}
					test.outer(outer.Get(r))
					test.inner(inner.Get(r))
					io.WriteString(w, "body")
				}))))
				v.get()
				a := v.get()
				checkLines(t, a.Header["Set-Cookie"])
				r := requestWith(v.jar.Header(mustURL(t, v.URL)))
				s, _ := outer.Load(r)
				wantValues(t, s, test.want)
			})
		})
	}
}

// TestHandlerDeletesTheCookie itself, as people do who don't know Destroy. What the response writes comes last.
func TestHandlerDeletesTheCookie(t *testing.T) {
	onEachProtocol(t, func(t *testing.T, proto string) {
		for _, path := range []string{"/", ""} {
			for name, test := range map[string]struct {
				do   func(*cookiesession.Session)
				gone bool
			}{
				"not used": {nothing, true},
				"read":     {touched, true},
				"flash":    {flash("f", 1), true},
				"changed":  {put("n", 2), false},
				"login":    {login, false},
			} {
				m := newWeb(t, nil)
				prepared := false
				v := m.serve(t, proto, m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if !prepared {
						prepared = true
						m.Get(r).Put("n", 1)
						return
					}
					if name != "not used" {
						test.do(m.Get(r))
					}
					http.SetCookie(w, &http.Cookie{Name: m.CookieName(), Path: path, MaxAge: -1, Secure: true})
				})))
				v.get()
				a := v.get()
				if got := len(a.Header["Set-Cookie"]); got != 1 && name != "flash" || got != 2 && name == "flash" {
					t.Errorf("%s: wrote %q", name, a.Header["Set-Cookie"])
				}
				if path == "" {
					continue // no __Host- cookie is deleted without it
				}
				if got := v.session().IsNew(); got != test.gone {
					t.Errorf("%s: the session is gone: %v, want %v", name, got, test.gone)
				}
			}
		}
	})
}

// TestTwoSavesIntoOneResponse has two middlewares that each load the session of the request, in the explicit form: the one
// that only reads removes nothing.
func TestTwoSavesIntoOneResponse(t *testing.T) {
	m := newManager(t, nil)
	for _, order := range []string{"writer first", "reader first"} {
		v := newVisitor(t, m)
		v.visit(put("n", 1))
		writer, reader := v.load(), v.load()
		writer.Put("n", 2)
		reader.Get("n")
		saved := []*cookiesession.Session{writer, reader}
		if order == "reader first" {
			slices.Reverse(saved)
		}
		h := http.Header{}
		for _, s := range append(saved, saved...) {
			if err := m.Save(h, s); err != nil {
				t.Fatal(err)
			}
			checkLines(t, h["Set-Cookie"])
		}
		v.jar.SetHeader(site, h)
		if got := v.get("n"); got != int64(2) {
			t.Errorf("%s: n is %v, want 2", order, got)
		}
	}
}
