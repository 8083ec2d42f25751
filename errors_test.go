package cookiesession_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
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
	m := newManager(t, func(c *cookiesession.Config) {
		c.Revoked = func(context.Context, *cookiesession.Session) (bool, error) { return false, cause }
	})
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
		maker := newManager(t, func(c *cookiesession.Config) { c.Keys = ring })
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
	n := func(s *cookiesession.Session) { s.Put("n", 1) }
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
		"torn":        stale + sealed(m.ring, now, func(s *cookiesession.Session) { s.Put("n", random(4000)) }),
		"ambiguous":   stale + good + "; " + sealed(m.ring, now, n),
		"expired":     stale + sealed(m.ring, now.Add(-25*time.Hour), n),
		"idle":        stale + sealed(m.ring, now.Add(-2*time.Hour), n),
		"ended":       stale + good + "; " + cookieName + endedSuffix(t, ended.ID()) + "=" + fmt.Sprint(now.Unix()),
		"revoked":     stale + sealed(m.ring, now, func(s *cookiesession.Session) { s.Put("revoked", 1) }),
		"future":      stale + sealed(m.ring, now.Add(time.Hour), n),
		"":            stale, // nothing to refuse
	}
}

// TestRefusalsLookAlike compares responses as they go over the wire, byte for byte, but for their Date, and for what is
// random in a cookie's value: nobody can tell why a cookie was refused, nor that it was. The server can (gin-contrib,
// echo: it couldn't either).
func TestRefusalsLookAlike(t *testing.T) {
	var reasons []string
	m := newWeb(t, func(c *cookiesession.Config) {
		c.IdleTimeout = time.Hour
		c.Revoked = func(_ context.Context, s *cookiesession.Session) (bool, error) { return s.Has("revoked"), nil }
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
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handle(m.Get(r), w) })))
			defer server.Close()
			want := exchangeRaw(t, server, headers[""])
			if name == "write" && !strings.Contains(want, " bytes); Path=/; HttpOnly; Secure; SameSite=Lax\r\nSet-Cookie: __Host-session.1=; Path=/; Expires=") {
				t.Errorf("got a response without the cookies to look for:\n%s", want)
			}
			for reason, header := range headers {
				reasons = nil
				got := exchangeRaw(t, server, header)
				if reason == "ambiguous" && name == "regenerate" { // ends what came, as the browser sees
					markers := markerLine.FindAllString(got, -1)
					if got = markerLine.ReplaceAllString(got, ""); len(markers) != 2 {
						t.Errorf("got markers %q, want one for each session that came", markers)
					}
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

// TestLoadTellsTheReason has the error of Load for each refusal, beside an empty session.
func TestLoadTellsTheReason(t *testing.T) {
	m := newWeb(t, func(c *cookiesession.Config) {
		c.IdleTimeout = time.Hour
		c.Revoked = func(_ context.Context, s *cookiesession.Session) (bool, error) { return s.Has("revoked"), nil }
	})
	for reason, header := range refusals(t, m) {
		s, err := m.Load(requestWith(header))
		var refused *cookiesession.RejectError
		switch {
		case s == nil || !s.IsEmpty() || !s.IsNew():
			t.Errorf("%s: got session %v", reason, s)
		case reason == "":
			if err != nil || s.Rejected() != nil {
				t.Errorf("got %v for no session cookie", err)
			}
		case !errors.As(err, &refused) || refused.Reason.String() != reason || s.Rejected() != refused:
			t.Errorf("got %v, want %s", err, reason)
		case !strings.HasPrefix(err.Error(), "cookiesession: cookie __Host-session refused: "+reason):
			t.Errorf("got text %q", err)
		}
	}
}
