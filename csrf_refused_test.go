package cookiesession_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/seed-50e21e88/cookiesession"
)

// What ProtectCSRF refuses has a reason, which CSRFFailure, the log and Stats learn, and nobody learns the token.
func TestReasonsOfProtectCSRF(t *testing.T) {
	var log logBuffer
	var reason error
	m := newManager(t, func(c *cookiesession.Config) {
		c.Logger = log.logger()
		c.CSRFFailure = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			reason = cookiesession.CSRFError(r)
			if again := cookiesession.CSRFError(r.WithContext(r.Context())); again != reason {
				t.Errorf("a copy of the request says %v, the request %v", again, reason)
			}
			w.WriteHeader(http.StatusTeapot)
		})
	})
	byDefault := newManager(t, nil)
	someone, withoutToken, nobody := newVisitor(t, m), newVisitor(t, m), newVisitor(t, m)
	token := someone.token()
	withoutToken.visit(put("n", 1))
	foreign := newVisitor(t, m).token()
	old := newVisitor(t, m)
	oldToken := old.token()
	old.visit(func(s *cookiesession.Session) { s.Regenerate() })
	loggedOut := newVisitor(t, m)
	loggedOut.token()
	loggedOut.visit(destroy)
	forged := newVisitor(t, m)
	forged.setCookie("", "1"+strings.Repeat("A", 100))
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	tooLarge := new(http.MaxBytesError)
	for _, test := range []struct {
		name    string
		visitor *visitor
		change  func(r *http.Request)
		token   string
		want    error
		counted string
		status  int // by default
	}{
		{"another site's", someone, header("Sec-Fetch-Site", "cross-site"), token, cookiesession.ErrCSRFOrigin, "origin", 403},
		{"another host's", someone, header("Sec-Fetch-Site", "same-site"), token, cookiesession.ErrCSRFOrigin, "origin", 403},
		{"another origin's, old browser", someone, header("Origin", "https://attacker.example"), token, cookiesession.ErrCSRFOrigin, "origin", 403},
		{"another site's, of nobody", nobody, header("Sec-Fetch-Site", "cross-site"), "", cookiesession.ErrCSRFOrigin, "origin", 403},
		{"nobody", nobody, nil, "", cookiesession.ErrCSRFNoSession, "no-session", 403},
		{"nobody, with a token", nobody, nil, token, cookiesession.ErrCSRFNoSession, "no-session", 403},
		{"logged out", loggedOut, nil, token, cookiesession.ErrCSRFNoSession, "no-session", 403},
		{"a session that is refused", forged, nil, token, cookiesession.ErrCSRFNoSession, "no-session", 403},
		{"a session without a secret", withoutToken, nil, token, cookiesession.ErrCSRFNoSession, "no-session", 403},
		{"a session without a secret, no token", withoutToken, nil, "", cookiesession.ErrCSRFNoSession, "no-session", 403},
		{"no token", someone, nil, "", cookiesession.ErrCSRFNoToken, "no-token", 403},
		{"no token in JSON", someone, header("Content-Type", "application/json"), "", cookiesession.ErrCSRFNoToken, "no-token", 403},
		{"another session's token", someone, nil, foreign, cookiesession.ErrCSRFToken, "token", 403},
		{"a token from before Regenerate", old, nil, oldToken, cookiesession.ErrCSRFToken, "token", 403},
		{"garbage", someone, nil, "garbage", cookiesession.ErrCSRFToken, "token", 403},
		{"garbage as long as a token", someone, nil, strings.Repeat("A", 43), cookiesession.ErrCSRFToken, "token", 403},
		{"too large", someone, func(r *http.Request) { r.Body = http.MaxBytesReader(nil, r.Body, 10) }, token, tooLarge, "too-large", 413},
	} {
		for _, inHeader := range []bool{false, true} {
			if inHeader && (test.token == "" || test.counted == "too-large") {
				continue
			}
			request := func() *http.Request {
				fields := []string{"a", "1"}
				if test.token != "" && !inHeader {
					fields = append(fields, "csrf_token", test.token)
				}
				r := newCSRFRequest(test.visitor, "POST", "urlencoded", fields...)
				r.URL.Path = "/form"
				if inHeader {
					r.Header.Set(cookiesession.CSRFHeader, test.token)
				}
				if test.change != nil {
					test.change(r)
				}
				return r
			}
			reason = nil
			log.take()
			before := m.Stats().CSRFRefused[test.counted]
			rec := httptest.NewRecorder()
			m.Handler(m.ProtectCSRF(http.NotFoundHandler())).ServeHTTP(rec, request())
			name := fmt.Sprintf("%s, in header %v", test.name, inHeader)
			if rec.Code != http.StatusTeapot {
				t.Errorf("%s: got %d, want CSRFFailure's answer", name, rec.Code)
			}
			if test.want == tooLarge {
				if !errors.As(reason, &tooLarge) {
					t.Errorf("%s: got reason %v, want a *http.MaxBytesError", name, reason)
				}
			} else if reason != test.want {
				t.Errorf("%s: got reason %v, want %v", name, reason, test.want)
			}
			if n := m.Stats().CSRFRefused[test.counted] - before; n != 1 {
				t.Errorf("%s: counted %d times as %s, want once", name, n, test.counted)
			}
			logged := log.take()
			if strings.Count(logged, "ProtectCSRF refused") != 1 || !strings.Contains(logged, "level=INFO") ||
				!strings.Contains(logged, "reason="+test.counted+" method=POST path=/form") {
				t.Errorf("%s: logged %q, want reason %s, method and path", name, logged, test.counted)
			}
			if test.token != "" && test.token != "garbage" && strings.Contains(logged, test.token) {
				t.Errorf("%s: the token was logged", name)
			}
			rec = httptest.NewRecorder()
			byDefault.Handler(byDefault.ProtectCSRF(http.NotFoundHandler())).ServeHTTP(rec, request())
			if rec.Code != test.status || !strings.HasPrefix(rec.Body.String(), fmt.Sprint(test.status, " ")) || test.token != "" && strings.Contains(rec.Body.String(), test.token) {
				t.Errorf("%s: by default got %d %q, want %d", name, rec.Code, rec.Body, test.status)
			}
		}
	}
	total, defaultTotal := uint64(0), uint64(0)
	for reason, n := range m.Stats().CSRFRefused {
		total += n
		defaultTotal += byDefault.Stats().CSRFRefused[reason]
	}
	if total == 0 || total != defaultTotal {
		t.Errorf("counted %d refusals with a CSRFFailure and %d without", total, defaultTotal)
	}
}

// Where nothing was refused there is no reason.
func TestNoCSRFError(t *testing.T) {
	m := newManager(t, func(c *cookiesession.Config) {
		c.ErrorHandler = func(_ http.ResponseWriter, r *http.Request, _ error) {
			if err := cookiesession.CSRFError(r); err != nil {
				t.Errorf("in ErrorHandler: got %v", err)
			}
		}
	})
	v := newVisitor(t, m)
	token := v.token()
	reached := false
	m.Handler(m.ProtectCSRF(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		reached = true
		if err := cookiesession.CSRFError(r); err != nil {
			t.Errorf("in the handler: got %v", err)
		}
		m.Get(r).Put("n", tooLarge)
	}))).ServeHTTP(httptest.NewRecorder(), newCSRFRequest(v, "POST", "urlencoded", "csrf_token", token))
	if !reached || m.Stats().SaveErrors != 1 {
		t.Errorf("reached %v, SaveErrors %d", reached, m.Stats().SaveErrors)
	}
	if err := cookiesession.CSRFError(httptest.NewRequest("POST", "/", nil)); err != nil {
		t.Errorf("outside: got %v", err)
	}
}

// ProtectCSRF is inside the Handler of the same Manager, or says so at the first request, whatever that is.
func TestProtectCSRFSaysWhereItBelongs(t *testing.T) {
	m, other := newManager(t, nil), newManager(t, func(c *cookiesession.Config) { c.Name = "other" })
	app := http.NotFoundHandler()
	for name, h := range map[string]http.Handler{
		"no Handler":        m.ProtectCSRF(app),
		"Handler inside":    m.ProtectCSRF(m.Handler(app)),
		"another's Handler": other.Handler(m.ProtectCSRF(app)),
	} {
		for _, method := range []string{"GET", "POST"} {
			panicked := func() (p any) {
				defer func() { p = recover() }()
				h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(method, "/", nil))
				return nil
			}()
			if text, _ := panicked.(string); !strings.HasPrefix(text, "cookiesession: ProtectCSRF must be inside Handler") {
				t.Errorf("%s, %s: got panic %v, want one that says what is wrong", name, method, panicked)
			}
		}
	}
	rec := httptest.NewRecorder()
	other.Handler(m.Handler(other.ProtectCSRF(m.ProtectCSRF(app)))).ServeHTTP(rec, httptest.NewRequest("GET", "/", nil))
	if rec.Code != 404 {
		t.Errorf("inside both: got %d", rec.Code)
	}
}

// Of a session that can't be checked nobody knows whether the token is right: that isn't the visitor's fault, and the
// answer says so. A moment later the same request passes.
func TestProtectCSRFOfUncheckedSession(t *testing.T) {
	down := errors.New("database is down")
	for _, hook := range []string{"Revoked", "Import"} {
		for _, byDefault := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/default=%v", hook, byDefault), func(t *testing.T) {
				var failing error
				var handled error
				m := newManager(t, func(c *cookiesession.Config) {
					if hook == "Revoked" {
						c.Revoked = func(context.Context, *cookiesession.Session) (bool, error) { return false, failing }
					} else {
						c.Import = func(*http.Request) (map[string]any, error) { return nil, failing }
					}
					c.CSRFFailure = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						w.WriteHeader(http.StatusTeapot)
					})
					if !byDefault {
						c.ErrorHandler = func(w http.ResponseWriter, r *http.Request, err error) { handled = err }
					}
				})
				v := newVisitor(t, m)
				token := v.token()
				if hook == "Import" {
					v.jar.Restart() // so that it's asked
				}
				answer := func(change func(r *http.Request)) int {
					r := newCSRFRequest(v, "POST", "urlencoded", "csrf_token", token)
					change(r)
					rec := httptest.NewRecorder()
					m.Handler(m.ProtectCSRF(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }))).ServeHTTP(rec, r)
					if len(rec.Header()["Set-Cookie"]) > 0 {
						t.Errorf("wrote %s", v.wrote(rec.Header()["Set-Cookie"]))
					}
					return rec.Code
				}
				failing = down
				if got := answer(func(*http.Request) {}); got != 503 || !byDefault && handled != down {
					t.Errorf("got %d, ErrorHandler got %v; want 503 and the hook's error", got, handled)
				}
				if n := len(m.Stats().CSRFRefused); n != 0 {
					t.Errorf("counted %v, want none", m.Stats().CSRFRefused)
				}
				if got := answer(func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }); got != http.StatusTeapot {
					t.Errorf("another site's: got %d, want it refused for that", got)
				}
				failing = nil
				want := 204
				if hook == "Import" {
					want = http.StatusTeapot // a visitor without a session
				}
				if got := answer(func(*http.Request) {}); got != want {
					t.Errorf("a moment later: got %d, want %d", got, want)
				}
			})
		}
	}
}
