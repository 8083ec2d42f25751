package cookiesession_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

// gin-contrib and echo swallow what goes wrong with a cookie; here it is counted, by reason and by key.
func TestStats(t *testing.T) {
	first, second := cookiesession.GenerateKey("first"), cookiesession.GenerateKey("second")
	ring := newRing(t, first)
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	ring.SetClock(clock)
	m := newManager(t, withKeys(ring))
	m.SetClock(clock)
	type (
		byKey    = map[string]cookiesession.KeyStats
		byReason = map[string]uint64
	)
	check := func(when string, want cookiesession.Stats) {
		t.Helper()
		if got := m.Stats(); !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", when, got, want)
		}
	}
	check("at first", cookiesession.Stats{Keys: byKey{"first": {}}, Rejected: byReason{}, CSRFRefused: byReason{}})

	v := newVisitor(t, m)
	v.visit(both(1, 2))
	sealed := now
	check("session and flash saved", cookiesession.Stats{
		Keys: byKey{"first": {Sealed: 2, LastSealed: sealed}}, Rejected: byReason{}, CSRFRefused: byReason{}, Saved: 1,
	})

	now = now.Add(time.Minute)
	v.visit(func(s *cookiesession.Session) { s.Get("v"); s.Flashed("f") })
	check("both read", cookiesession.Stats{
		Keys: byKey{"first": {Opened: 2, Sealed: 2, LastOpened: now, LastSealed: sealed}}, Rejected: byReason{}, CSRFRefused: byReason{}, Saved: 2,
	})

	for range 3 {
		load(m, cookieName+"=junk")
	}
	load(m, cookieName+"=2"+v.cookie("")[1:])
	load(m, cookieName+"="+v.cookie("")[:61]+"AAAA"+v.cookie("")[65:])
	if _, err := v.try(put("bad", make(chan int))); err == nil {
		t.Error("a channel was saved")
	}
	m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		m.Get(r).Put("late", 1)
		m.Get(r).Put("later", 1)
	})).ServeHTTP(discard{http.Header{}}, requestWith(v.header()))
	check("much gone wrong", cookiesession.Stats{
		Keys:     byKey{"first": {Opened: 4, Sealed: 2, LastOpened: now, LastSealed: sealed}},
		Rejected: byReason{"malformed": 4, "forged": 1}, CSRFRefused: byReason{}, Saved: 2, SaveErrors: 1, Late: 2,
	})

	if err := ring.Replace(second); err != nil {
		t.Fatal(err)
	}
	v.visit(put("v", 1))
	if got := m.Stats(); got.Keys["first"].Opened != 4 || got.Keys["second"].Sealed != 1 || got.Rejected["unknown-key"] != 1 {
		t.Errorf("with another key: %+v", got)
	}

	text, err := json.Marshal(m.Stats())
	var back cookiesession.Stats
	if err != nil || json.Unmarshal(text, &back) != nil || !reflect.DeepEqual(back, m.Stats()) {
		t.Errorf("in JSON: %s, %v", text, err)
	}
	clear(m.Stats().Keys)
	clear(m.Stats().Rejected)
	if got := m.Stats(); len(got.Keys) != 2 || len(got.Rejected) != 3 {
		t.Error("who clears what Stats returned clears the counters")
	}
}

func TestStatsAreExactAmongGoroutines(t *testing.T) {
	m := newManager(t, nil)
	v := newVisitor(t, m)
	v.visit(put("v", 1))
	header := v.header()
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 50 {
				load(m, header, cookieName+"=junk")
				load(m, cookieName+"=junk")
				m.Stats()
			}
		})
	}
	group.Wait()
	if got := m.Stats(); got.Keys["test"].Opened != 400 || got.Rejected["malformed"] != 400 {
		t.Errorf("counted %d opened and %d malformed, want 400 of each", got.Keys["test"].Opened, got.Rejected["malformed"])
	}
}

// waysToReasons are one for each: what the browser of somebody who has logged in brings then.
var waysToReasons = []struct {
	reason cookiesession.Reason
	key    string // label that is reported
	spoil  func(v *visitor) string
}{
	{cookiesession.ReasonMalformed, "", func(v *visitor) string { return cookieName + "=not a token" }},
	{cookiesession.ReasonUnknownKey, "", func(v *visitor) string {
		elsewhere := newManager(v.t, withKeys(newRing(v.t, cookiesession.GenerateKey("elsewhere"))))
		v.clone(elsewhere).visitInto(v, login)
		return v.header()
	}},
	{cookiesession.ReasonForged, "test", func(v *visitor) string { return v.header()[:len(v.header())-8] + "AAAAAAAA" }},
	{cookiesession.ReasonTorn, "", func(v *visitor) string { v.setCookie("", "2"+v.cookie("")[1:61]); return v.header() }},
	{cookiesession.ReasonAmbiguous, "", func(v *visitor) string {
		other := newVisitor(v.t, v.m)
		other.visit(login)
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

// Whoever watches learns each reason, once and in every place, and nothing of what the cookies hold.
func TestRefusalIsObserved(t *testing.T) {
	for _, test := range waysToReasons {
		t.Run(test.reason.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log logBuffer
				var observed []*cookiesession.RejectError
				m := newManager(t, func(c *cookiesession.Config) {
					c.IdleTimeout, c.Revoked = time.Hour, revokesMarked
					c.Logger = log.logger()
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
				inHandler(m, requestWith(header), func(_ http.ResponseWriter, r *http.Request) {
					_, loaded = m.Load(r)
					rejected = m.Get(r).Rejected()
				})

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
}

// A session is only opened, and so only refused, when it is used; once, by whoever is first.
func TestRefusalIsReportedOnce(t *testing.T) {
	reports := 0
	m := newManager(t, func(c *cookiesession.Config) {
		c.OnReject = func(*http.Request, *cookiesession.RejectError) { reports++ }
	})
	r := requestWith(cookieName + "=1AAAA")
	inHandler(m, r, func(http.ResponseWriter, *http.Request) {})
	if reports != 0 {
		t.Errorf("got %d reports of a session that wasn't used", reports)
	}
	inHandler(m, r, func(_ http.ResponseWriter, r *http.Request) {
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

// Revoked gets a copy of a session that isn't open yet. What it finds in the flash cookie isn't reported, since OnReject
// and the logger may use the session; it is once the handler asks.
func TestRefusalThatRevokedFinds(t *testing.T) {
	inRevoked, reports := false, 0
	m := newManager(t, func(c *cookiesession.Config) {
		c.Revoked = func(_ context.Context, s *cookiesession.Session) (bool, error) {
			inRevoked = true
			defer func() { inRevoked = false }()
			asked(s)
			return false, nil
		}
		c.OnReject = func(_ *http.Request, err *cookiesession.RejectError) {
			if reports++; inRevoked {
				t.Errorf("%v is reported while the session is being opened", err)
			}
		}
	})
	v := newVisitor(t, m)
	v.visit(put("n", 1))
	v.setCookie(".flash", "1AAAA")
	v.visit(asked)
	if counted := m.Stats().Rejected["malformed"]; reports != 1 || counted != 1 {
		t.Errorf("got %d reports and a count of %d, want 1 each", reports, counted)
	}
}

// Every refused cookie counts, of flash and lease too.
func TestRefusalsOfFlashAndLease(t *testing.T) {
	var observed []string
	m := newManager(t, func(c *cookiesession.Config) {
		c.IdleTimeout = time.Hour
		c.OnReject = func(_ *http.Request, err *cookiesession.RejectError) { observed = append(observed, err.Error()) }
	})
	v := newVisitor(t, m)
	v.visit(put("n", 1))
	v.setCookie(".flash", "1AAAA")
	v.setCookie(".lease", "")
	v.visit(asked)
	want := []string{"cookiesession: cookie __Host-session.lease refused: malformed", "cookiesession: cookie __Host-session.flash refused: malformed"}
	if !slices.Equal(observed, want) || !maps.Equal(m.Stats().Rejected, map[string]uint64{"malformed": 2}) {
		t.Errorf("got %q and %v", observed, m.Stats().Rejected)
	}
}

// TestBytesOnTheWire logs what the promises cost: Set-Cookie lines with their line ends, and the Cookie header of the
// next requests. The session holds one short value, the name is the default.
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
		log("login, one short value", 209, v.visit(login))
		log("a read", 0, v.visit(touched))
		time.Sleep(2 * time.Minute)
		log("a touch", 198, v.visit(touched))
		log("a change", 213, v.visit(put("n", 1)))
		log("a flash of 18 bytes", 209, v.visit(flash("notice", "Your cart is empty")))
		log("reading it", 125, v.visit(asked))
		log("logout, with a lease", 358, v.visit(destroy))
		log("a login afterwards", 209, v.visit(login))
		time.Sleep(11 * time.Minute)
		log("a touch that deletes the marker", 335, v.visit(touched))
		plain := newVisitor(t, newManager(t, nil))
		plain.visit(login)
		was = len(plain.header())
		v = plain
		log("logout, without a lease", 233, v.visit(destroy))
	})
}
