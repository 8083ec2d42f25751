package cookiesessiontest

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

// Request returns a copy of r that carries a session of m with values, as if an
// earlier response had set it. See [RequestWith] for what else can be set up.
func Request(t testing.TB, m *cookiesession.Manager, r *http.Request, values map[string]any) *http.Request {
	t.Helper()
	return RequestWith(t, m, r, func(s *cookiesession.Session) {
		for key, value := range values {
			s.Put(key, value)
		}
	})
}

// RequestWith returns a copy of r that carries the session as fn leaves it. fn
// plays the handler of an earlier request: what it puts, flashes, regenerates or
// destroys is what r's handler finds. A token for a handler behind
// [cookiesession.Manager.ProtectCSRF] comes from fn, too.
//
// fn starts with the session that r itself carries, so calls can follow one
// another. If r has none, or one that m refuses, it starts with what a visitor
// without a session gets, which is what Config.Import returns if that is set. A
// session that fn leaves empty sets no cookie, as ever. Cookies that aren't m's
// stay, but for Config.ImportCookies.
//
// The copy shares r's body and context. A session that can't be saved fails the
// test at once: call RequestWith from the test's goroutine. It counts in m's Stats
// as a request does.
func RequestWith(t testing.TB, m *cookiesession.Manager, r *http.Request, fn func(*cookiesession.Session)) *http.Request {
	t.Helper()
	s, err := m.Load(r)
	if err != nil && !refused(err) {
		t.Fatalf("cookiesessiontest: session of the request: %v", err)
	}
	fn(s)
	h := make(http.Header)
	if err := m.Save(h, s); err != nil {
		t.Fatalf("cookiesessiontest: session not saved: %v", err)
	}
	r = r.Clone(r.Context()) // as fn leaves it: it may set the CSRF header
	if r.Header == nil {
		r.Header = make(http.Header)
	}
	carry(r.Header, h)
	return r
}

// Session returns the session that a browser would carry in its next request
// after resp: for a test that asks what a handler has put or flashed.
//
// A response that doesn't change the session sets no cookie. So the cookies of
// resp.Request count, as far as resp leaves them: an [http.Client] fills it in; with an
// [httptest.ResponseRecorder] do so yourself.
//
//	resp := w.Result()
//	resp.Request = r
//
// Sessions that resp sets must be m's: one that m refuses fails the test at once,
// so call Session from the test's goroutine. If resp sets none and resp.Request
// carries none that m accepts, the session is new, and its Rejected says what was
// refused.
//
// Limits of browsers are none of Session's business: see [Jar].
func Session(t testing.TB, m *cookiesession.Manager, resp *http.Response) *cookiesession.Session {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	if sent := resp.Request; sent != nil {
		r.Header["Cookie"] = sent.Header["Cookie"]
	}
	carry(r.Header, resp.Header)
	s, err := m.Load(r)
	if refused(err) && slices.ContainsFunc(resp.Cookies(), func(c *http.Cookie) bool { return c.Name == m.CookieName() && !deletes(c) }) {
		t.Fatalf("cookiesessiontest: session that the response set: %v", err)
	}
	return s
}

// refused reports whether err says that a cookie was refused, which the visitor
// doesn't notice either.
func refused(err error) bool {
	var refusal *cookiesession.RejectError
	return errors.As(err, &refusal)
}

// carry makes the Cookie header of a request what it is for a browser that then
// receives a response with header set. Names alone decide what a cookie replaces:
// where the test's requests go needn't fit Config.Domain or Path.
func carry(request, set http.Header) {
	var pairs []string
	for _, line := range request["Cookie"] {
		for pair := range strings.SplitSeq(line, ";") {
			if pair = strings.TrimSpace(pair); pair != "" {
				pairs = append(pairs, pair)
			}
		}
	}
	for _, line := range set["Set-Cookie"] {
		c, err := http.ParseSetCookie(line)
		if err != nil {
			continue
		}
		pairs = slices.DeleteFunc(pairs, func(pair string) bool {
			name, _, _ := strings.Cut(pair, "=")
			return name == c.Name
		})
		if !deletes(c) {
			pairs = append(pairs, c.Name+"="+text(*c))
		}
	}
	delete(request, "Cookie")
	if len(pairs) > 0 {
		request["Cookie"] = []string{strings.Join(pairs, "; ")}
	}
}

// deletes reports whether a browser that receives c deletes the cookie.
func deletes(c *http.Cookie) bool {
	return c.MaxAge < 0 || c.MaxAge == 0 && !c.Expires.IsZero() && !c.Expires.After(time.Now())
}
