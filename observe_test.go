package cookiesession_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

// refusals are ways to each reason: what the browser of somebody who has logged in brings then.
var refusals = []struct {
	reason cookiesession.Reason
	key    string // label that is reported
	spoil  func(v *visitor) string
}{
	{cookiesession.ReasonMalformed, "", func(v *visitor) string { return cookieName + "=not a token" }},
	{cookiesession.ReasonUnknownKey, "", func(v *visitor) string {
		ring, _ := cookiesession.NewKeyring(cookiesession.GenerateKey("elsewhere"))
		v.clone(newManager(v.t, func(c *cookiesession.Config) { c.Keys = ring })).visitInto(v, in)
		return v.header()
	}},
	{cookiesession.ReasonForged, "test", func(v *visitor) string { return v.header()[:len(v.header())-8] + "AAAAAAAA" }},
	{cookiesession.ReasonTorn, "", func(v *visitor) string { v.setCookie("", "2"+v.cookie("")[1:61]); return v.header() }},
	{cookiesession.ReasonAmbiguous, "", func(v *visitor) string {
		other := newVisitor(v.t, v.m)
		other.visit(in)
		return v.header() + "; " + other.header()
	}},
	{cookiesession.ReasonExpired, "test", func(v *visitor) string { h := v.header(); time.Sleep(day); return h }},
	{cookiesession.ReasonIdle, "test", func(v *visitor) string { h := v.header(); time.Sleep(2 * time.Hour); return h }},
	{cookiesession.ReasonEnded, "test", func(v *visitor) string { h := v.header(); v.visit(destroy); return h + "; " + v.header() }},
	{cookiesession.ReasonRevoked, "test", func(v *visitor) string { v.visit(put("revoked", true)); return v.header() }},
	{cookiesession.ReasonFuture, "test", func(v *visitor) string {
		fast := newManager(v.t, nil)
		fast.SetClock(func() time.Time { return time.Now().Add(time.Hour) })
		v.clone(fast).visitInto(v, put("n", 2))
		return v.header()
	}},
}

// revokesMarked refuses sessions that say so.
func revokesMarked(_ context.Context, s *cookiesession.Session) (bool, error) {
	return s.Has("revoked"), nil
}

// Whoever watches learns each reason, once and in every place; the visitor learns none.
func TestRefusalIsObserved(t *testing.T) {
	type response struct {
		code   int
		header http.Header
		body   string
	}
	var shown []response
	for _, test := range refusals {
		t.Run(test.reason.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log logBuffer
				var observed []*cookiesession.RejectError
				m := newManager(t, func(c *cookiesession.Config) {
					c.IdleTimeout, c.Revoked = time.Hour, revokesMarked
					c.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
					c.OnReject = func(r *http.Request, err *cookiesession.RejectError) {
						if r.URL.Path != site.Path {
							t.Errorf("OnReject got a request for %s", r.URL)
						}
						observed = append(observed, err)
					}
				})
				v := newVisitor(t, m)
				v.visit(func(s *cookiesession.Session) { s.Put("user", "a name that nobody logs"); s.Regenerate() })
				header := test.spoil(v)
				before := m.Stats().Rejected[test.reason.String()]
				log.take()
				observed = nil

				var rejected, loaded error
				rec := httptest.NewRecorder()
				m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					s := m.Get(r)
					_, loaded = m.Load(r)
					rejected = s.Rejected()
					fmt.Fprintf(w, "user %v, new %v, empty %v, changed %v, keys %v, size %d", s.Get("user"), s.IsNew(), s.IsEmpty(), s.Changed(), s.Keys(), s.Size())
				})).ServeHTTP(rec, requestWith(header))
				shown = append(shown, response{rec.Code, rec.Result().Header, rec.Body.String()})

				want := cookiesession.RejectError{Reason: test.reason, Cookie: cookieName, KeyLabel: test.key}
				if len(observed) != 1 || *observed[0] != want {
					t.Fatalf("OnReject heard %v, want %v", observed, want)
				}
				if rejected != error(observed[0]) || loaded != error(observed[0]) {
					t.Errorf("Rejected is %v, Load returns %v, want what OnReject heard", rejected, loaded)
				}
				text := "cookiesession: cookie __Host-session refused: " + test.reason.String()
				if test.key != "" {
					text += " (key test)"
				}
				if got := observed[0].Error(); got != text {
					t.Errorf("got %q, want %q", got, text)
				}
				if got := m.Stats().Rejected[test.reason.String()] - before; got != 1 {
					t.Errorf("Stats count %d, want 1", got)
				}
				level := "INFO"
				if slices.Contains([]string{"expired", "idle", "ended"}, test.reason.String()) {
					level = "DEBUG"
				}
				logged := log.take()
				line := fmt.Sprintf(`level=%s msg="cookiesession: cookie refused" cookie=%s reason=%s key=%q`+"\n", level, cookieName, test.reason, test.key)
				line = strings.Replace(line, `key="test"`, "key=test", 1)
				if !strings.HasSuffix(logged, line) || strings.Count(logged, "\n") != 1 {
					t.Errorf("logged %q, want %q", logged, line)
				}
				for _, secret := range append(strings.Split(header, "; "), "a name that nobody logs") {
					if _, value, ok := strings.Cut(secret, "="); ok && len(value) > 8 {
						secret = value[:8]
					}
					if strings.Contains(logged+text, secret) {
						t.Errorf("logged %q, in which %q comes from the cookies", logged, secret)
					}
				}
			})
		})
	}
	for i := range shown {
		if !reflect.DeepEqual(shown[i], shown[0]) {
			t.Errorf("for %s the visitor is shown %v, for %s %v", refusals[i].reason, shown[i], refusals[0].reason, shown[0])
		}
	}
	if want := (http.Header{"Content-Type": {"text/plain; charset=utf-8"}, "Vary": {"Cookie"}}); !reflect.DeepEqual(shown[0].header, want) {
		t.Errorf("the visitor is shown %v, want %v", shown[0].header, want)
	}
}

// A session is only opened, and so only refused, when it is used; once, by whoever is first.
func TestRefusalIsReportedOnce(t *testing.T) {
	reports := 0
	m := newManager(t, func(c *cookiesession.Config) {
		c.OnReject = func(*http.Request, *cookiesession.RejectError) { reports++ }
	})
	r := requestWith(cookieName + "=1AAAA")
	inManagersHandler(m, r, func(http.ResponseWriter, *http.Request) {})
	if reports != 0 {
		t.Errorf("got %d reports of a session that wasn't used", reports)
	}
	inManagersHandler(m, r, func(_ http.ResponseWriter, r *http.Request) {
		s := m.Get(r)
		s.Get("n")
		s.Put("n", 1)
		m.Load(r)
		s.Rejected()
	})
	if reports != 1 {
		t.Errorf("got %d reports, want 1", reports)
	}
}

// Saved counts responses that wrote, SaveErrors those that couldn't, Late each change that came too late.
func TestStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, next := cookiesession.GenerateKey("old"), cookiesession.GenerateKey("next")
		next.ActivateAt = time.Now().Add(time.Hour)
		ring, err := cookiesession.NewKeyring(old, next)
		if err != nil {
			t.Fatal(err)
		}
		m := newManager(t, func(c *cookiesession.Config) { c.Keys, c.IdleTimeout = ring, 3*time.Hour })
		v := newVisitor(t, m)
		empty := m.Stats()
		if !reflect.DeepEqual(empty, cookiesession.Stats{Keys: map[string]cookiesession.KeyStats{"old": {}, "next": {}}, Rejected: map[string]uint64{}}) {
			t.Errorf("at first Stats are %+v", empty)
		}

		began := time.Now().UTC()
		v.visit(func(s *cookiesession.Session) { s.Put("n", 1); s.Flash("f", 1) }) // seals two
		v.visit(nothing)                                                           // opens one, for Save opens
		v.visit(asked)                                                             // opens two
		v.try(put("n", func() {}))                                                 // opens one, fails
		inManagersHandler(m, requestWith(v.header()), func(w http.ResponseWriter, r *http.Request) {
			s := m.Get(r)
			s.Get("n") // opens one
			w.WriteHeader(200)
			s.Put("n", 2)
			s.Put("n", 3)
		})
		time.Sleep(time.Hour + time.Second)
		v.visit(touched) // opens one, seals a lease
		want := cookiesession.Stats{
			Keys: map[string]cookiesession.KeyStats{
				"old":  {Opened: 6, Sealed: 2, LastOpened: began.Add(time.Hour + time.Second), LastSealed: began},
				"next": {Sealed: 1, LastSealed: began.Add(time.Hour + time.Second)},
			},
			Rejected: map[string]uint64{},
			Saved:    3, SaveErrors: 1, Late: 2,
		}
		got := m.Stats()
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}

		text, err := json.Marshal(got)
		var back cookiesession.Stats
		if err != nil || json.Unmarshal(text, &back) != nil || !reflect.DeepEqual(back, got) {
			t.Errorf("as JSON %s, error %v", text, err)
		}
		m.Stats().Keys["old"] = cookiesession.KeyStats{}
		clear(m.Stats().Rejected)
		if again := m.Stats(); !reflect.DeepEqual(again, got) {
			t.Errorf("a caller changed the counters to %+v", again)
		}
	})
}

// Every refused cookie counts, of flash and lease too, and a key's counters outlive it.
func TestStatsOfRefusalsAndKeys(t *testing.T) {
	ring := fixedRing(t)
	m := newManager(t, func(c *cookiesession.Config) { c.Keys, c.IdleTimeout = ring, time.Hour })
	v := newVisitor(t, m)
	v.visit(put("n", 1))
	v.setCookie(".flash", "1AAAA")
	v.setCookie(".lease", "")
	v.visit(asked)
	if err := ring.Replace(cookiesession.GenerateKey("other")); err != nil {
		t.Fatal(err)
	}
	v.wantState("unknown-key")
	stats := m.Stats()
	if want := map[string]uint64{"malformed": 2, "unknown-key": 1}; !maps.Equal(stats.Rejected, want) {
		t.Errorf("Rejected is %v, want %v", stats.Rejected, want)
	}
	if k := stats.Keys["test"]; k.Sealed != 1 || k.Opened != 1 {
		t.Errorf("the key that is gone has %+v", k)
	}
	if _, ok := stats.Keys["other"]; !ok || len(stats.Keys) != 2 {
		t.Errorf("got keys %v", stats.Keys)
	}
}

func TestReasonsInWords(t *testing.T) {
	var words []string
	for reason := cookiesession.ReasonMalformed; reason <= cookiesession.ReasonFuture; reason++ {
		words = append(words, reason.String())
		if text, err := json.Marshal(reason); err != nil || string(text) != `"`+reason.String()+`"` {
			t.Errorf("as JSON %s is %s, error %v", reason, text, err)
		}
	}
	if got, want := strings.Join(words, " "), "malformed unknown-key forged torn ambiguous expired idle ended revoked future"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := cookiesession.Reason(0).String() + cookiesession.Reason(11).String(); got != "Reason(0)Reason(11)" {
		t.Errorf("got %s", got)
	}
}

// TestBytesOnTheWire logs what the promises cost: Set-Cookie lines with their line ends, and the Cookie header of the next requests. The
// session holds one short value, the name is the default.
func TestBytesOnTheWire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVisitor(t, newManager(t, withIdle(30*time.Minute)))
		bytes := func(lines []string) (n int) {
			for _, line := range lines {
				n += len("Set-Cookie: ") + len(line) + len("\r\n")
			}
			return n
		}
		was := 0
		log := func(what string, want int, lines []string) {
			now := len(v.header())
			t.Logf("%-40s %d lines, %4d bytes of the response; each later request %+d bytes, %d in all", what, len(lines), bytes(lines), now-was, now)
			was = now
			if bytes(lines) != want {
				t.Errorf("%s: %d bytes, want %d", what, bytes(lines), want)
			}
		}
		log("login, one short value", 209, v.visit(in))
		log("a read", 0, v.visit(touched))
		time.Sleep(2 * time.Minute)
		log("a touch", 198, v.visit(touched))
		log("a change", 213, v.visit(put("n", 1)))
		log("a flash of 18 bytes", 209, v.visit(flash("notice", "Your cart is empty")))
		log("reading it", 125, v.visit(asked))
		log("logout, with a lease", 358, v.visit(destroy))
		log("a login afterwards", 209, v.visit(in))
		time.Sleep(11 * time.Minute)
		log("a touch that deletes the marker", 335, v.visit(touched))
		plain := newVisitor(t, newManager(t, nil))
		plain.visit(in)
		was = len(plain.header())
		v = plain
		log("logout, without a lease", 233, v.visit(destroy))
	})
}
