package cookiesession_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

func TestReasonStrings(t *testing.T) {
	tests := map[cookiesession.Reason]string{
		cookiesession.ReasonMalformed: "malformed", cookiesession.ReasonUnknownKey: "unknown-key", cookiesession.ReasonForged: "forged",
		cookiesession.ReasonTorn: "torn", cookiesession.ReasonAmbiguous: "ambiguous", cookiesession.ReasonExpired: "expired",
		cookiesession.ReasonIdle: "idle", cookiesession.ReasonEnded: "ended", cookiesession.ReasonRevoked: "revoked",
		cookiesession.ReasonFuture: "future", cookiesession.ReasonUnproven: "unproven", 0: "Reason(0)", -1: "Reason(-1)",
		cookiesession.ReasonUnproven + 1: "Reason(12)",
	}
	for reason, want := range tests {
		if got := reason.String(); got != want {
			t.Errorf("%d: got %s, want %s", int(reason), got, want)
		}
		if got, err := json.Marshal(reason); string(got) != `"`+want+`"` || err != nil {
			t.Errorf("%d in JSON: got %s, %v, want %q", int(reason), got, err, want)
		}
	}
}

func TestRejectError(t *testing.T) {
	cause := errors.New("database is down")
	m := newManager(t, withRevoked(func(context.Context, *cookiesession.Session) (bool, error) { return false, cause }))
	v := newVisitor(t, m)
	v.visit(put("v", 1))
	s, err := m.Load(requestWith(v.header()))
	var refused *cookiesession.RejectError
	if !errors.As(err, &refused) || !errors.Is(err, cause) || s == nil || s.Rejected() != refused {
		t.Fatalf("Load gave %v and session %v, want a RejectError that wraps the cause", err, s)
	}
	if refused.Reason != cookiesession.ReasonRevoked || refused.Cookie != cookieName || refused.KeyLabel != "test" {
		t.Errorf("got %+v", refused)
	}
	if got, want := err.Error(), "cookiesession: cookie __Host-session refused: revoked (key test): database is down"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	_, err = m.Load(requestWith(cookieName + "=junk"))
	if got, want := fmt.Sprint(err), "cookiesession: cookie __Host-session refused: malformed"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if _, err := m.Load(requestWith()); err != nil {
		t.Errorf("a visitor without cookies: %v", err)
	}
}

// Errors begin alike, and are matched with errors.Is and errors.As through whatever wraps them.
func TestErrorTexts(t *testing.T) {
	if got, want := cookiesession.ErrNoValue.Error(), "cookiesession: no value"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := cookiesession.ErrCommitted.Error(), "cookiesession: session changed after the response header was sent"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	none := &cookiesession.SizeError{Size: 600, Limit: 512}
	if got, want := none.Error(), "cookiesession: session needs 600 bytes of the Cookie header, Config.MaxSize allows 512"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	s := load(newManager(t, nil))
	s.Increment("n", 1)
	s.Put("name", "ada")
	s.Increment("name", 1)
	if got, want := s.Err().Error(), `cookiesession: increment of "name": the stored string doesn't fit int64: it is of another type`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// refusals returns, for each reason, the Cookie header of a visitor who is refused for it. Every header brings the same
// cookies beside, so that what is written later has the same to delete.
func refusals(t *testing.T, m *web) map[string]string {
	t.Helper()
	now := time.Now()
	sealed := func(ring *cookiesession.Keyring, at time.Time, fill func(s *cookiesession.Session)) string {
		maker := newManager(t, withKeys(ring))
		maker.SetClock(func() time.Time { return at })
		s := load(maker)
		fill(s)
		h := http.Header{}
		if err := maker.Save(h, s); err != nil {
			t.Fatal(err)
		}
		cookie, _, _ := strings.Cut(h["Set-Cookie"][0], ";")
		return cookie
	}
	n := put("n", 1)
	foreign := newRing(t, cookiesession.GenerateKey("foreign"))
	good := sealed(m.ring, now, n)
	last := "A"
	if strings.HasSuffix(good, last) {
		last = "Q"
	}
	ended, err := m.Load(requestWith(good))
	if err != nil {
		t.Fatal(err)
	}
	const stale = "__Host-session.1=AAAAAAAA; "
	return map[string]string{
		"malformed":   stale + "__Host-session=1AAAA",
		"unknown-key": stale + sealed(foreign, now, n),
		"forged":      stale + good[:len(good)-9] + strings.Repeat(last, 8) + good[len(good)-1:],
		"torn":        stale + sealed(m.ring, now, put("n", random(4000))),
		"ambiguous":   stale + good + "; " + sealed(m.ring, now, n),
		"expired":     stale + sealed(m.ring, now.Add(-25*time.Hour), n),
		"idle":        stale + sealed(m.ring, now.Add(-2*time.Hour), n),
		"ended":       stale + good + "; " + cookieName + endedSuffix(t, ended.ID()) + "=" + fmt.Sprint(now.Unix()),
		"revoked":     stale + sealed(m.ring, now, put("revoked", 1)),
		"future":      stale + sealed(m.ring, now.Add(time.Hour), n),
		"":            stale, // nothing to refuse
	}
}

// TestRefusalsLookAlike compares responses as they go over the wire, byte for byte, but for their Date, and for what is
// random in a cookie's value: nobody can tell why a cookie was refused, nor that it was. The server can (gin-contrib,
// echo: it couldn't either). Responses that end what was received tell one thing, by markers: which sessions have time
// left.
func TestRefusalsLookAlike(t *testing.T) {
	var reasons []string
	m := newWeb(t, func(c *cookiesession.Config) {
		c.IdleTimeout = time.Hour
		c.Revoked = revokesMarked
		c.OnReject = func(r *http.Request, err *cookiesession.RejectError) {
			if r.URL.Path != "/" || err.Cookie != "__Host-session" {
				t.Errorf("got OnReject for %s of %s", err.Cookie, r.URL)
			}
			reasons = append(reasons, err.Reason.String())
		}
	})
	headers := refusals(t, m)
	refused := make(map[string]uint64)
	for name, handle := range map[string]func(s *cookiesession.Session, w http.ResponseWriter){
		"read": func(s *cookiesession.Session, w http.ResponseWriter) {
			fmt.Fprint(w, s.Get("n"), s.Keys(), s.IsNew(), s.IsEmpty())
		},
		"write":      func(s *cookiesession.Session, w http.ResponseWriter) { s.Put("n", 2); fmt.Fprint(w, s.Get("n")) },
		"regenerate": func(s *cookiesession.Session, w http.ResponseWriter) { s.Regenerate(); s.Put("n", 2); s.CSRFToken() },
		"flash": func(s *cookiesession.Session, w http.ResponseWriter) {
			fmt.Fprint(w, s.Flashes())
			s.Flash("note", "x")
		},
		"remember":  func(s *cookiesession.Session, w http.ResponseWriter) { s.Remember(time.Hour); s.Put("n", 2) },
		"too large": func(s *cookiesession.Session, w http.ResponseWriter) { s.Put("n", tooLarge) },
		"csrf": func(s *cookiesession.Session, w http.ResponseWriter) {
			fmt.Fprint(w, s.VerifyCSRFToken(strings.Repeat("A", 43)))
		},
		"logout": func(s *cookiesession.Session, _ http.ResponseWriter) { s.Destroy() },
	} {
		marked := map[string]int{} // how many sessions
		switch name {
		case "regenerate":
			marked = map[string]int{"ambiguous": 2}
		case "logout":
			marked = map[string]int{"ambiguous": 2, "idle": 1, "ended": 1, "revoked": 1, "future": 1}
		}
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handle(m.Get(r), w) })))
			defer server.Close()
			want := exchangeRaw(t, server, headers[""])
			if name == "write" && !strings.Contains(want, " bytes); Path=/; HttpOnly; Secure; SameSite=Lax\r\nSet-Cookie: __Host-session.1=; Path=/; Expires=") {
				t.Errorf("got a response without the cookies to look for:\n%s", want)
			}
			if name == "logout" { // deletes all that came, so it matters what did
				want = exchangeRaw(t, server, headers["malformed"])
				refused["malformed"]++
			}
			for reason, header := range headers {
				if name == "logout" && reason == "" {
					continue
				}
				reasons = nil
				got := exchangeRaw(t, server, header)
				markers := markerLine.FindAllString(got, -1)
				if got = markerLine.ReplaceAllString(got, ""); len(markers) != marked[reason] {
					t.Errorf("%s: got markers %q, want %d", reason, markers, marked[reason])
				}
				if got != want {
					t.Errorf("%s: got\n%s\nwant\n%s", reason, got, want)
				}
				if reason != "" {
					refused[reason]++
					if fmt.Sprint(reasons) != "["+reason+"]" {
						t.Errorf("got reasons %q, want %s", reasons, reason)
					}
				}
			}
		})
	}
	if got := m.Stats().Rejected; fmt.Sprint(got) != fmt.Sprint(refused) {
		t.Errorf("got Rejected %v, want %v", got, refused)
	}
}

var (
	dateLine    = regexp.MustCompile(`Date: [^\r]*\r\n`)
	markerLine  = regexp.MustCompile(`Set-Cookie: __Host-session\.ended\.[^\r]*\r\n`)
	cookieValue = regexp.MustCompile(`(__Host-session(?:\.flash)?)=1[^;]*;`)
)

// exchangeRaw returns the whole response to a request with a Cookie header, without what differs from one response to
// another.
func exchangeRaw(t *testing.T, server *httptest.Server, cookie string) string {
	t.Helper()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\nCookie: %s\r\n\r\n", cookie)
	response, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	response = dateLine.ReplaceAll(response, nil)
	return string(cookieValue.ReplaceAllFunc(response, func(cookie []byte) []byte {
		name, _, _ := bytes.Cut(cookie, []byte("="))
		return fmt.Appendf(name, "=(%d bytes);", len(cookie))
	}))
}

// TestFailedCommitOnEveryPath has a session that can't be saved: the visitor gets an error page and not a byte of what
// the handler writes then (scs: the 500 page was followed by the handler's body), and keeps the received cookies.
func TestFailedCommitOnEveryPath(t *testing.T) {
	for _, p := range commitPaths {
		t.Run(p.name, func(t *testing.T) {
			onEachProtocol(t, func(t *testing.T, proto string) {
				m := newWeb(t, nil)
				first := true
				v := m.serve(t, proto, m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if first {
						first = false
						m.Get(r).Put("old", 1)
						return
					}
					m.Get(r).Put("new", tooLarge)
					describeBody(w.Header())
					p.run(w, r)
					n, err := w.Write([]byte("more"))
					if n != 4 || err != nil {
						t.Errorf("got %d, %v from Write, want it discarded without an error", n, err)
					}
					w.WriteHeader(http.StatusTeapot)
					w.WriteHeader(http.StatusEarlyHints)
					io.WriteString(w, "more")
					io.Copy(w, onlyReader{strings.NewReader("more")})
					http.NewResponseController(w).Flush()
				})))
				v.get()
				before := v.jar.Header(mustURL(t, v.URL))
				method := p.method
				if method == "" {
					method = http.MethodGet
				}
				a := v.do(v.request(method, ""))
				body := "Internal Server Error\n"
				if method == http.MethodHead {
					body = ""
				}
				if a.StatusCode != 500 || a.body != body {
					t.Errorf("got %d %q, want an error page", a.StatusCode, a.body)
				}
				wantErrorHeader(t, a.Header, "text/plain; charset=utf-8")
				if v.jar.Header(mustURL(t, v.URL)) != before {
					t.Error("the cookies in the browser changed")
				}
				v.wantValues("old=1")
				m.wantStats(1, 1, 0)
				logged := m.log.String()
				if strings.Count(logged, "\n") != 1 || !strings.Contains(logged, "level=ERROR") || strings.Contains(logged, "secret") {
					t.Errorf("got logged %q, want one error without values", logged)
				}
				if want := " method=" + method + " path=/\n"; !strings.HasSuffix(logged, want) {
					t.Errorf("got logged %q, want it to end in %q", logged, want)
				}
			})
		})
	}
}

// describeBody writes every field that speaks of the body that isn't sent.
func describeBody(h http.Header) {
	for _, name := range []string{
		"Accept-Ranges", "Content-Digest", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Location",
		"Content-Range", "Etag", "Expires", "Last-Modified", "Location", "Refresh", "Repr-Digest", "Trailer", "X-Accel-Redirect",
		"X-Lighttpd-Send-File", "X-Litespeed-Location", "X-Reproxy-Url", "X-Sendfile", "X-Sendfile-Temporary", "X-Sendfile2",
	} {
		h.Set(name, "wrong")
		h[strings.ToLower(name)] = []string{"wrong"} // net/http sends it as it is spelled
	}
	h.Set("Content-Type", "image/png")
	h.Set("Content-Length", "4711")
	h.Set("Cache-Control", "public, max-age=3600")
	h.Set("X-Frame-Options", "DENY")
}

// wantErrorHeader checks that what describeBody wrote is gone, but for what holds for any page.
func wantErrorHeader(t *testing.T, h http.Header, contentType string) {
	t.Helper()
	h = h.Clone()
	h.Del("Date")
	h.Del("Content-Length") // net/http's own
	want := http.Header{
		"Cache-Control":   {"no-store"},
		"Vary":            {"Cookie"},
		"X-Frame-Options": {"DENY"},
	}
	if contentType != "" {
		want["Content-Type"] = []string{contentType}
	}
	h.Del("X-Content-Type-Options") // http.Error's
	if fmt.Sprint(h) != fmt.Sprint(want) {
		t.Errorf("got header %v, want %v", h, want)
	}
}

// What ErrorHandler flushes is sent at once, with its status.
func TestErrorHandlerFlushes(t *testing.T) {
	rec := httptest.NewRecorder()
	flushed := false
	m := newManager(t, func(c *cookiesession.Config) {
		c.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) {
			err := http.NewResponseController(w).Flush()
			flushed = err == nil && rec.Flushed && rec.Code == http.StatusInternalServerError
		}
	})
	m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		m.Get(r).Put("v", tooLarge)
	})).ServeHTTP(rec, requestWith())
	if !flushed {
		t.Error("what ErrorHandler flushes isn't sent at once, with status 500")
	}
}

// TestErrorHandler has the application answer for a session that can't be saved.
func TestErrorHandler(t *testing.T) {
	for _, test := range []struct {
		name   string
		handle func(w http.ResponseWriter)
		status int
		body   string
	}{
		{"header and body", func(w http.ResponseWriter) { w.WriteHeader(507); io.WriteString(w, "full") }, 507, "full"},
		{"header", func(w http.ResponseWriter) { w.WriteHeader(507) }, 507, ""},
		{"header twice", func(w http.ResponseWriter) { w.WriteHeader(507); w.Write(nil) }, 507, ""},
		{"redirect", func(w http.ResponseWriter) { w.Header().Set("Location", "/full"); w.WriteHeader(303) }, 303, ""},
		{"body", func(w http.ResponseWriter) { io.WriteString(w, "full") }, 500, "full"},
		{"early hints, then body", func(w http.ResponseWriter) { w.WriteHeader(103); io.WriteString(w, "full") }, 500, "full"},
		{"flush, then body", func(w http.ResponseWriter) {
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Error(err)
			}
			io.WriteString(w, "full")
		}, 500, "full"},
		{"deadline, then body", func(w http.ResponseWriter) {
			if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Hour)); err != nil {
				t.Error(err)
			}
			io.WriteString(w, "full")
		}, 500, "full"},
		{"nothing", func(http.ResponseWriter) {}, 500, ""},
		{"panic", func(http.ResponseWriter) { panic("boom") }, 500, ""},
		{"panic after header", func(w http.ResponseWriter) { w.WriteHeader(507); panic("boom") }, 507, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			onEachProtocol(t, func(t *testing.T, proto string) {
				var m *web
				calls := 0
				m = newWeb(t, func(c *cookiesession.Config) {
					c.ErrorHandler = func(w http.ResponseWriter, r *http.Request, err error) {
						calls++
						var size *cookiesession.SizeError
						if !errors.As(err, &size) || size.Limit != 6144 || len(size.Keys) == 0 || size.Keys[0].Key != "new" {
							t.Errorf("got error %v, want a SizeError that names new", err)
						}
						if got := len(m.Get(r).Keys()); got != 1 {
							t.Errorf("got %d keys in the session, want 1", got)
						}
						test.handle(w)
					}
				})
				v := m.serve(t, proto, m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					defer func() {
						if caught := recover(); caught != nil {
							http.Error(w, "more", http.StatusTeapot)
						}
					}()
					m.Get(r).Put("new", tooLarge)
					describeBody(w.Header())
					io.WriteString(w, "more")
					w.WriteHeader(http.StatusTeapot)
				})))
				a := v.get()
				if a.StatusCode != test.status || a.body != test.body {
					t.Errorf("got %d %q, want %d %q", a.StatusCode, a.body, test.status, test.body)
				}
				if a.Header.Get("Location") != "" {
					a.Header.Del("Location") // its own
				}
				contentType := a.Header.Get("Content-Type")
				if contentType == "image/png" {
					t.Error("got the Content-Type of what isn't sent")
				}
				wantErrorHeader(t, a.Header, contentType)
				if calls != 1 {
					t.Errorf("got %d calls, want one", calls)
				}
				m.wantStats(0, 1, 0)
				if logged := m.log.String(); logged != "" {
					t.Errorf("got logged %q, want that left to ErrorHandler", logged)
				}
			})
		})
	}
}

// TestFailedCommitIsSentAtOnce has a handler that streams for ever: the visitor needn't wait for its end to see the
// error.
func TestFailedCommitIsSentAtOnce(t *testing.T) {
	onEachProtocol(t, func(t *testing.T, proto string) {
		m := newWeb(t, nil)
		seen := make(chan struct{})
		v := m.serve(t, proto, m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			m.Get(r).Put("new", tooLarge)
			io.WriteString(w, "data: one\n\n")
			w.(http.Flusher).Flush()
			await(r, seen)
			io.WriteString(w, "data: two\n\n")
		})))
		resp, err := v.Client().Do(v.request(http.MethodGet, ""))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != 500 {
			t.Errorf("got %d, want 500", resp.StatusCode)
		}
		close(seen)
		if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "Internal Server Error\n" {
			t.Errorf("got body %q, %v", body, err)
		}
		<-m.returned
	})
}

// TestReasonsOfFailure has everything that keeps a session from being saved.
func TestReasonsOfFailure(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(s *cookiesession.Session, m *web)
		text   string
	}{
		{"too large", func(s *cookiesession.Session, _ *web) { s.Put("new", tooLarge) }, "Config.MaxSize allows 6144"},
		{"flash too large", func(s *cookiesession.Session, _ *web) { s.Flash("note", tooLarge) }, "in flash"},
		{"unencodable", func(s *cookiesession.Session, _ *web) { s.Put("new", func() {}) }, `value of "new"`},
		{"unencodable, then good", func(s *cookiesession.Session, _ *web) { s.Put("new", func() {}); s.Put("new", 1) }, `value of "new"`},
		{"no integer", func(s *cookiesession.Session, _ *web) { s.Put("new", "x"); s.Increment("new", 1) }, `increment of "new"`},
		{"no list", func(s *cookiesession.Session, _ *web) { s.Put("new", "x"); s.Push("new", 1) }, `push to "new"`},
		{"Remember too long", func(s *cookiesession.Session, _ *web) { s.Remember(401 * 24 * time.Hour) }, "want a second to Config.MaxRemember, 9600h0m0s"},
		{"no active key", func(s *cookiesession.Session, m *web) { s.Put("new", 1); retireAll(m) }, "no key is active"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got error
			m := newWeb(t, func(c *cookiesession.Config) {
				c.ErrorHandler = func(_ http.ResponseWriter, _ *http.Request, err error) { got = err }
			})
			v := m.serve(t, "HTTP/1.1", m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				test.change(m.Get(r), m)
			})))
			a := v.get()
			if a.StatusCode != 500 || len(a.Header["Set-Cookie"]) != 0 {
				t.Errorf("got %d %q, want 500 and no cookies", a.StatusCode, cookieNames(a.Header))
			}
			if got == nil || !strings.HasPrefix(got.Error(), "cookiesession: ") || !strings.Contains(got.Error(), test.text) {
				t.Errorf("got error %v, want one that says %q", got, test.text)
			}
			m.wantStats(0, 1, 0)
		})
	}
}

// retireAll lets time pass until every key is retired.
func retireAll(m *web) {
	key := cookiesession.GenerateKey("short")
	key.RetireAt = time.Now().Add(time.Hour)
	if err := m.ring.Replace(key); err != nil {
		m.t.Error(err)
	}
	m.SetClock(func() time.Time { return key.RetireAt })
}

// TestDestroyOutlivesFailure has a session destroyed and then another begun that can't be saved: the old one is over
// all the same (gorilla/sessions: an oversized session couldn't be destroyed, since deleting encoded it first).
func TestDestroyOutlivesFailure(t *testing.T) {
	onEachProtocol(t, func(t *testing.T, proto string) {
		m := newWeb(t, func(c *cookiesession.Config) { c.ImportCookies = []string{"legacy"} })
		first := true
		var errs []error
		v := m.serve(t, proto, m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s := m.Get(r)
			if first {
				first = false
				s.Put("old", strings.Repeat("x", 4000))
				http.SetCookie(w, &http.Cookie{Name: "legacy", Value: "1"})
				http.SetCookie(w, &http.Cookie{Name: "theme", Value: "dark"})
				return
			}
			s.Put("old", tooLarge)
			s.Put("new", func() {})
			errs = append(errs, s.Err())
			s.Destroy()
			errs = append(errs, s.Err())
			s.Put("new", tooLarge)
			s.Flash("note", "you are logged out")
			http.SetCookie(w, &http.Cookie{Name: "theme", Value: "light"})
			io.WriteString(w, "body")
		})))
		v.get()
		old := v.jar.Clone()
		id := v.session().ID()
		a := v.get()
		if a.StatusCode != 500 || a.body != "Internal Server Error\n" {
			t.Errorf("got %d %q, want an error page", a.StatusCode, a.body)
		}
		if errs[0] == nil || errs[1] != nil {
			t.Errorf("got Err %v, want one before Destroy and none after", errs)
		}
		want := "theme -__Host-session -__Host-session.1 " + cookieName + endedSuffix(t, id) + " -legacy"
		if got := cookieNames(a.Header); got != want {
			t.Errorf("got cookies %q, want %q", got, want)
		}
		if got := a.Header.Get("Cache-Control"); got != "no-store" {
			t.Errorf("got Cache-Control %q, want no-store", got)
		}
		v.wantValues("")

		// A response that was under way sets the old cookies again.
		for _, c := range old.All() {
			c.Domain = ""
			v.jar.SetCookies(mustURL(t, v.URL), []*http.Cookie{c})
		}
		r := httptest.NewRequest(http.MethodGet, v.URL, nil)
		r.Header.Set("Cookie", v.jar.Header(mustURL(t, v.URL)))
		s, err := m.Load(r)
		var reject *cookiesession.RejectError
		if !errors.As(err, &reject) || reject.Reason != cookiesession.ReasonEnded || !s.IsEmpty() {
			t.Errorf("got %v, want the destroyed session refused as ended", err)
		}
	})
}

// TestDestroyOutlivesFailureOfFlash has the session's cookies written already when the flash message can't be sealed.
func TestDestroyOutlivesFailureOfFlash(t *testing.T) {
	m := newWeb(t, nil)
	v := newVisitor(t, m.Manager)
	v.visit(put("old", 1))
	start := time.Now()
	m.SetClock(func() time.Time { return start })
	m.SetNonce(func([]byte) {
		next := cookiesession.GenerateKey("next")
		next.ActivateAt = start.Add(time.Hour)
		m.ring.SetClock(func() time.Time { return next.ActivateAt })
		if err := m.ring.Replace(next); err != nil {
			t.Error(err)
		}
	})
	s, err := m.Load(requestWith(v.header()))
	if err != nil {
		t.Fatal(err)
	}
	id := s.ID()
	s.Destroy()
	s.Put("new", 1)
	s.Flash("note", "x")
	h := http.Header{}
	if err := m.Save(h, s); err == nil {
		t.Error("got no error from Save")
	}
	want := "-__Host-session " + cookieName + endedSuffix(t, id)
	if got := cookieNames(h); got != want {
		t.Errorf("got cookies %q, want %q", got, want)
	}
}

// An error page has what was set outside Handler of the body's description, as it was there, and nothing of what was set
// inside, not even in the place of the former.
func TestErrorPageHasWhatWasSetOutside(t *testing.T) {
	for _, name := range []string{
		"Accept-Ranges", "Cache-Control", "Content-Digest", "Content-Disposition", "Content-Encoding", "Content-Language",
		"Content-Length", "Content-Location", "Content-Range", "Content-Type", "Etag", "Expires", "Last-Modified", "Location",
		"Refresh", "Repr-Digest", "Trailer", "X-Accel-Redirect", "X-Lighttpd-Send-File", "X-Litespeed-Location", "X-Reproxy-Url",
		"X-Sendfile", "X-Sendfile-Temporary", "X-Sendfile2",
	} {
		for _, test := range []struct {
			name            string
			outside, inside func(h http.Header)
			want            []string
		}{
			{"nowhere", func(http.Header) {}, func(http.Header) {}, nil},
			{"inside", func(http.Header) {}, func(h http.Header) { h.Set(name, "inside") }, nil},
			{"outside", func(h http.Header) { h.Set(name, "outside") }, func(http.Header) {}, []string{"outside"}},
			{"outside twice", func(h http.Header) { h[name] = []string{"outside", "more"} }, func(http.Header) {}, []string{"outside", "more"}},
			{"outside, then inside", func(h http.Header) { h.Set(name, "outside") }, func(h http.Header) { h.Set(name, "inside") }, []string{"outside"}},
			{"outside, more inside", func(h http.Header) { h.Set(name, "outside") }, func(h http.Header) { h.Add(name, "inside") }, []string{"outside"}},
			{"outside, changed in place", func(h http.Header) { h.Set(name, "outside") }, func(h http.Header) { h[name][0] = "inside" }, []string{"outside"}},
			{"outside, removed inside", func(h http.Header) { h.Set(name, "outside") }, func(h http.Header) { h.Del(name) }, []string{"outside"}},
		} {
			want := test.want
			if name == "Cache-Control" {
				want = []string{"no-store"}
			}
			m := newManager(t, func(c *cookiesession.Config) {
				c.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) {
					if got := w.Header()[name]; !slices.Equal(got, want) {
						t.Errorf("%s, set %s: ErrorHandler finds %q, want %q", name, test.name, got, want)
					}
				}
			})
			for _, wrapped := range []http.Handler{
				m.Handler(failing(m, test.inside)),
				m.Handler(m.Handler(failing(m, test.inside))),
			} {
				rec := httptest.NewRecorder()
				test.outside(rec.Header())
				rec.Header().Set("X-Frame-Options", "DENY")
				wrapped.ServeHTTP(rec, httptest.NewRequest("GET", "/", nil))
				if rec.Code != 500 || rec.Header().Get("X-Frame-Options") != "DENY" {
					t.Errorf("%s, set %s: got %d, %v", name, test.name, rec.Code, rec.Header())
				}
			}
		}
	}
}

// failing changes the header and has a session that can't be saved.
func failing(m *cookiesession.Manager, change func(h http.Header)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		change(w.Header())
		m.Get(r).Put("new", tooLarge)
		io.WriteString(w, "body")
	})
}

// compressAtOnce is a compressor that says so in the header before anything is written, as many do.
func compressAtOnce(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Set("Etag", `"compressed"`)
		gz := gzip.NewWriter(w)
		next.ServeHTTP(&gzipWriter{ResponseWriter: w, gz: gz, started: true}, r)
		gz.Close()
	})
}

// What a browser gets of an error page behind a compressor can be read: compressed, and said to be, where the compressor
// is outside; neither where it's inside.
func TestErrorPageBehindCompressor(t *testing.T) {
	for _, test := range []struct {
		name     string
		chain    func(m *web, app http.Handler) http.Handler
		encoding string
		etag     string
	}{
		{"outside", func(m *web, app http.Handler) http.Handler { return compressAtOnce(m.Handler(app)) }, "gzip", `"compressed"`},
		{"inside", func(m *web, app http.Handler) http.Handler { return m.Handler(compressAtOnce(app)) }, "", ""},
		{"none", func(m *web, app http.Handler) http.Handler { return m.Handler(app) }, "", ""},
	} {
		for _, own := range []string{"", "br"} { // of the handler, which serves a file that is compressed already
			t.Run(test.name+"/own="+own, func(t *testing.T) {
				onEachProtocol(t, func(t *testing.T, proto string) {
					m := newWeb(t, nil)
					v := m.serve(t, proto, test.chain(m, failing(m.Manager, func(h http.Header) {
						if own != "" {
							h.Set("Content-Encoding", own)
						}
						h.Set("Content-Length", "4")
						h.Set("Content-Digest", "sha-256=:x:")
					})))
					a := v.get()
					body := a.text(t)
					if a.StatusCode != 500 || body != "Internal Server Error\n" {
						t.Errorf("got %d %q, want an error page", a.StatusCode, body)
					}
					if h := a.Header; h.Get("Content-Encoding") != test.encoding || h.Get("Etag") != test.etag || h.Get("Content-Digest") != "" {
						t.Errorf("got header %v, want Content-Encoding %q, Etag %q", h, test.encoding, test.etag)
					}
				})
			})
		}
	}
}
