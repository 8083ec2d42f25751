package cookiesession_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

func TestDestroyWritesMarker(t *testing.T) {
	for _, test := range []struct {
		name       string
		change     func(*cookiesession.Config)
		attributes string
	}{
		{"__Host-session", nil, "; Path=/; Max-Age=34560000; HttpOnly; Secure; SameSite=Lax"},
		{"__Host-session", func(c *cookiesession.Config) { c.Persistent, c.Partitioned = true, true }, "; Path=/; Max-Age=34560000; HttpOnly; Secure; SameSite=Lax; Partitioned"},
		{"__Secure-session", func(c *cookiesession.Config) { c.Domain, c.Path = "shop.example", "/in" }, "; Path=/in; Domain=shop.example; Max-Age=34560000; HttpOnly; Secure; SameSite=Lax"},
		{"app", func(c *cookiesession.Config) {
			c.Insecure, c.Name, c.SameSite = true, "app", http.SameSiteStrictMode
		}, "; Path=/; Max-Age=34560000; HttpOnly; SameSite=Strict"},
	} {
		t.Run(test.name+test.attributes, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newManager(t, test.change)
				h := http.Header{}
				s := load(m)
				s.Put("n", 1)
				id := s.ID()
				m.Save(h, s)
				sealed, _, _ := strings.Cut(h.Get("Set-Cookie"), ";")
				h = http.Header{}
				s = load(m, sealed)
				s.Destroy()
				if err := m.Save(h, s); err != nil {
					t.Fatal(err)
				}
				gone := strings.Replace(test.attributes, "; Max-Age=34560000", "; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0", 1)
				want := []string{
					test.name + "=" + gone,
					test.name + endedSuffix(t, id) + "=" + strconv.FormatInt(time.Now().Unix(), 10) + test.attributes,
				}
				if got := h["Set-Cookie"]; !slices.Equal(got, want) {
					t.Errorf("got  %q\nwant %q", got, want)
				}
			})
		})
	}
}

// Destroy deletes every received cookie of the session and its lease, and touches nothing else. auth0/nextjs #2530 left
// parts.
func TestDestroyDeletesReceivedCookies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVisitor(t, newManager(t, withIdle(time.Hour)))
		v.visit(func(s *cookiesession.Session) { s.Put("v", random(3500)); s.Flash("f", 1) })
		time.Sleep(2 * time.Minute)
		v.visit(touched)
		v.setCookie(".5", "AAAAold")
		v.setCookie(".lease.1", "AAAAold")
		v.setCookie(".other", "theirs")
		tag := endedSuffix(t, v.load().ID())
		if got, want := v.wrote(v.visit(destroy)), "-[.1] -[.5] -[.lease.1] -[.lease] -[] ["+tag+"]"; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if got, want := v.names(), []string{tag, ".flash", ".other"}; !slices.Equal(got, want) {
			t.Errorf("got %q left, want %q", got, want)
		}
		if lines := v.visit(destroy); len(lines) > 0 {
			t.Errorf("a second Destroy wrote %s, want nothing", v.wrote(lines))
		}
		v.wantState("new")
	})
}

// Slow responses bring a session back after its logout: auth0/nextjs #544 and #2530, redistore #2.
func TestSlowResponsesAfterDestroy(t *testing.T) {
	for _, test := range []struct {
		name string
		slow func(s *cookiesession.Session)
		want string
	}{
		{"only read", touched, "new"},
		{"flash", flash("f", 1), "new"},
		{"change", put("n", 2), "ended"},
		{"grow", put("v", random(3500)), "ended"},
		{"login", login, "ended"},
		{"login twice", func(s *cookiesession.Session) { login(s); login(s) }, "ended"},
		{"remember", func(s *cookiesession.Session) { login(s); s.Remember(300 * 24 * time.Hour) }, "ended"},
		{"CSRF token", func(s *cookiesession.Session) { s.CSRFToken() }, "ended"},
		{"destroy", destroy, "new"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := newVisitor(t, newManager(t, func(c *cookiesession.Config) {
					c.Persistent, c.Lifetime, c.IdleTimeout = true, 200*24*time.Hour, 200*24*time.Hour
				}))
				v.visit(login)
				time.Sleep(5 * time.Minute)
				slow := v.load()
				test.slow(slow)
				v.visit(destroy)
				v.wantState("new")
				time.Sleep(9*time.Minute + 59*time.Second)
				if _, err := v.answer(slow); err != nil {
					t.Fatal(err)
				}
				v.wantState(test.want)
				if test.want != "ended" {
					return
				}
				// For the rest of its life, whoever asks how often: without a valid session, markers stay.
				for range 19 {
					time.Sleep(10 * 24 * time.Hour)
					for range 3 {
						v.visit(touched)
					}
					v.wantState("ended")
				}
				// A login starts anew, and is another session.
				v.visit(login)
				v.wantState("valid")
			})
		})
	}
}

// A login that was under way when its session was ended gets the same answer, and so do logins on that login.
func TestLoginUnderWayAtLogout(t *testing.T) {
	v := newVisitor(t, newManager(t, nil))
	v.visit(put("cart", 1))
	first := v.load()
	login(first)
	other := v.clone(v.m)
	other.answer(first)
	second := other.load()
	login(second)
	if first.ID()[:16] != second.ID()[:16] || first.ID() == second.ID() {
		t.Errorf("got IDs %s and %s, want the same first half only", first.ID(), second.ID())
	}
	v.visit(destroy)
	v.answer(first)
	v.wantState("ended")
	v.answer(second)
	v.wantState("ended")

	v.visit(login)
	if v.state() != "valid" || v.load().ID()[:16] == first.ID()[:16] {
		t.Errorf("a login afterwards is %s, with the origin of the session that was ended %v", v.state(), v.load().ID()[:16] == first.ID()[:16])
	}
}

// Destroy ends whatever opened and has time left, though it was refused: only in that browser could it come to life.
func TestDestroyOfRefusedSessions(t *testing.T) {
	for _, test := range []struct {
		name   string
		config func(*cookiesession.Config)
		spoil  func(v *visitor)
		want   string // why it was refused
		marked int    // markers written
	}{
		{"valid", nil, func(*visitor) {}, "valid", 1},
		{"none", nil, func(v *visitor) { v.jar.Restart() }, "new", 0},
		{"idle", withIdle(time.Minute), func(*visitor) { time.Sleep(2 * time.Minute) }, "idle", 1},
		{"ended", nil, func(v *visitor) { slow := v.load(); slow.Put("n", 2); v.visit(destroy); v.answer(slow) }, "ended", 1},
		{"revoked", func(c *cookiesession.Config) {
			c.Revoked = func(_ context.Context, _ *cookiesession.Session) (bool, error) { return true, nil }
		}, func(*visitor) {}, "revoked", 1},
		{"not before", nil, func(v *visitor) {
			ring := newRing(v.t)
			ring.RefuseBefore(time.Now().Add(time.Second))
			v.m = newManager(v.t, withKeys(ring))
		}, "revoked", 1},
		{"future", nil, func(v *visitor) {
			v.m = newManager(v.t, nil)
			v.m.SetClock(func() time.Time { return time.Now().Add(-61 * time.Second) })
		}, "future", 1},
		{"a second before it expires", nil, func(*visitor) { time.Sleep(24*time.Hour - time.Second) }, "valid", 1},
		{"expired", nil, func(*visitor) { time.Sleep(24 * time.Hour) }, "expired", 0},
		{"forged", nil, func(v *visitor) { v.setCookie("", v.cookie("")[:60]+"AAAA"+v.cookie("")[64:]) }, "forged", 0},
		{"malformed", nil, func(v *visitor) { v.setCookie("", "x") }, "malformed", 0},
		{"torn", nil, func(v *visitor) { v.setCookie("", "2"+v.cookie("")[1:61]) }, "torn", 0},
		{"part of one", nil, func(v *visitor) { v.jar.Restart(); v.setCookie(".1", "AAAAxyz") }, "new", 0},
		{"unknown key", nil, func(v *visitor) {
			v.m = newManager(v.t, withKeys(newRing(v.t, cookiesession.GenerateKey("new"))))
		}, "unknown-key", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := newVisitor(t, newManager(t, test.config))
				v.visit(put("n", 1))
				test.spoil(v)
				v.wantState(test.want)
				lines := v.visit(destroy)
				set, _ := countLines(lines)
				if set != test.marked {
					t.Errorf("got %s, want %d markers", v.wrote(lines), test.marked)
				}
				for _, name := range v.names() {
					if !strings.HasPrefix(name, ".ended.") {
						t.Errorf("cookie %q stays", name)
					}
				}
			})
		})
	}
}

// Where a request brought several sessions under one name, all of them end.
func TestDestroyOfSeveral(t *testing.T) {
	m := newManager(t, nil)
	var header []string
	var tags []string
	for n := range 3 {
		v := newVisitor(t, m)
		v.visit(put("n", n))
		header = append(header, v.header())
		tags = append(tags, "["+endedSuffix(t, v.load().ID())+"]")
	}
	v := newVisitor(t, m)
	s := load(m, strings.Join(header, "; "))
	if s.Rejected() == nil || s.Rejected().Reason != cookiesession.ReasonAmbiguous {
		t.Fatalf("got %v, want ambiguous", s.Rejected())
	}
	s.Destroy()
	lines, err := v.answer(s)
	slices.Sort(tags)
	if want := "-[] " + strings.Join(tags, " "); err != nil || v.wrote(lines) != want {
		t.Errorf("got %s and error %v, want %s", v.wrote(lines), err, want)
	}
}

// Of the received sessions, each that has time left is ended, once: those that are over need no marker.
func TestDestroyOfWritesAndRemains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, nil)
		// Three writes of each of two visitors' sessions: the second is remembered, the first and the last end in a
		// day.
		var writes [2][3]string
		var ids [2]string
		for i := range writes {
			v := newVisitor(t, m)
			for n, change := range []func(*cookiesession.Session){
				put("n", 1),
				func(s *cookiesession.Session) { s.Put("n", 2); s.Remember(7 * 24 * time.Hour) },
				func(s *cookiesession.Session) { s.Put("n", 3); s.Regenerate() },
			} {
				v.visit(change)
				writes[i][n] = v.header()
			}
			ids[i] = "[" + endedSuffix(t, v.load().ID()) + "]"
		}
		a, b := writes[0], writes[1]
		both := []string{ids[0], ids[1]}
		slices.Sort(both)
		test := func(name, want string, header ...string) {
			t.Helper()
			v := newVisitor(t, m)
			s := load(m, strings.Join(header, "; "))
			s.Destroy()
			lines, err := v.answer(s)
			if got := v.wrote(lines); err != nil || got != "-[]"+want {
				t.Errorf("%s: got %s and error %v, want -[]%s", name, got, err, want)
			}
		}
		test("a session twice", " "+ids[0], a[0], a[1])
		test("and another's twice", " "+both[0]+" "+both[1], a[0], b[0], b[1])
		time.Sleep(2 * 24 * time.Hour)
		test("one that is over", "", a[0])
		test("two that are over", "", a[0], b[0])
		test("one that is over and its remembered write", " "+ids[0], a[0], a[1])
		test("the same, other way round", " "+ids[0], a[1], a[0])
		test("a remembered one, and another that is over", " "+ids[0], a[1], b[2])
		test("the same, the other way round", " "+ids[0], b[2], a[1])
	})
}

// Destroy never fails, whatever was done to the session before, and is told to the browser even if what came after it
// can't be saved. Deleting in gorilla/sessions encodes first, so it fails with what is too large.
func TestDestroyNeverFails(t *testing.T) {
	large := random(20000)
	for _, test := range []struct {
		name    string
		do      func(s *cookiesession.Session)
		want    string // what is written beside deletion and marker, or the error
		wantNew any    // what the next request finds under "n"
	}{
		{"after an oversized session", func(s *cookiesession.Session) { s.Put("v", large); s.Destroy() }, "", nil},
		{"after an unencodable value", func(s *cookiesession.Session) { s.Put("v", make(chan int)); s.Destroy() }, "", nil},
		{"after a cycle", func(s *cookiesession.Session) {
			cycle := map[string]any{}
			cycle["cycle"] = cycle
			s.Put("v", cycle)
			s.Destroy()
		}, "", nil},
		{"after an unencodable flash", func(s *cookiesession.Session) { s.Flash("f", make(chan int)); s.Destroy() }, "", nil},
		{"after a failing Remember", func(s *cookiesession.Session) { s.Remember(0); s.Destroy() }, "", nil},
		{"after a failing Increment", func(s *cookiesession.Session) { s.Put("w", "x"); s.Increment("w", 1); s.Destroy() }, "", nil},
		{"twice", func(s *cookiesession.Session) { s.Destroy(); s.Put("n", 2); s.Destroy() }, "", nil},
		{"then a value", func(s *cookiesession.Session) { s.Destroy(); s.Put("n", 2) }, "[]", int64(2)},
		{"after a failing Put, then a value", func(s *cookiesession.Session) { s.Put("v", func() {}); s.Destroy(); s.Put("n", 2) }, "[]", int64(2)},
		{"then the same value", func(s *cookiesession.Session) { s.Destroy(); s.Put("n", 1) }, "[]", int64(1)},
		{"then a flash", func(s *cookiesession.Session) { s.Destroy(); s.Flash("f", 1) }, "[.flash]", nil},
		{"then a CSRF token", func(s *cookiesession.Session) { s.Destroy(); s.CSRFToken() }, "[]", nil},
		{"then Remember", func(s *cookiesession.Session) { s.Destroy(); s.Remember(time.Hour) }, "", nil},
		{"then Regenerate", func(s *cookiesession.Session) { s.Destroy(); s.Regenerate() }, "", nil},
		{"with an oversized flash", func(s *cookiesession.Session) { s.Flash("f", large); s.Destroy() }, "too large", nil},
		{"then an oversized flash", func(s *cookiesession.Session) { s.Destroy(); s.Flash("f", large) }, "too large", nil},
		{"then an oversized value", func(s *cookiesession.Session) { s.Destroy(); s.Put("v", large) }, "too large", nil},
		{"then an unencodable value", func(s *cookiesession.Session) { s.Destroy(); s.Put("v", func() {}) }, "error", nil},
		{"then an unencodable flash", func(s *cookiesession.Session) { s.Destroy(); s.Flash("f", func() {}) }, "error", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := newManager(t, nil)
			v := newVisitor(t, m)
			v.visit(func(s *cookiesession.Session) { s.Put("n", 1); s.Put("v", random(3500)) })
			id := v.load().ID()
			slow := v.load()
			slow.Put("slow", true)
			lines, err := v.try(test.do)

			want := "-[.1] -[] [" + endedSuffix(t, id) + "]"
			var tooLarge *cookiesession.SizeError
			switch test.want {
			case "error", "too large":
				if err == nil || errors.As(err, &tooLarge) != (test.want == "too large") {
					t.Errorf("got error %v, want one", err)
				}
			case "[]":
				want = "-[.1] [" + endedSuffix(t, id) + "] []"
			case "[.flash]":
				want += " [.flash]"
			}
			if test.want[:min(1, len(test.want))] == "[" || test.want == "" {
				if err != nil {
					t.Errorf("got error %v", err)
				}
			}
			if got := v.wrote(lines); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			s := v.load()
			if s.Get("n") != test.wantNew || s.Has("v") || !s.IsNew() && s.ID()[:16] == id[:16] {
				t.Errorf("the next request finds n = %v, v %v, ID %s after %s", s.Get("n"), s.Has("v"), s.ID(), id)
			}
			v.answer(slow)
			v.wantState("ended")
		})
	}
}

// Nothing needs to be sealed to end a session.
func TestDestroyWithoutKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := cookiesession.GenerateKey("old")
		key.RetireAt = time.Now().Add(time.Hour)
		v := newVisitor(t, newManager(t, withKeys(newRing(t, key))))
		v.visit(put("n", 1))
		ended := endedSuffix(t, v.load().ID())
		alone, started := v.load(), v.load()
		alone.Destroy()
		started.Destroy()
		started.Put("n", 2)
		time.Sleep(time.Hour)
		for _, s := range []*cookiesession.Session{alone, started} {
			lines, err := v.clone(v.m).answer(s)
			if failed := err != nil; failed != s.Has("n") || v.wrote(lines) != "-[] ["+ended+"]" {
				t.Errorf("got %s, error %v", v.wrote(lines), err)
			}
		}
	})
}

// What a marker says is only about its age; a name that isn't exactly one is none.
func TestMarkerNames(t *testing.T) {
	m := newManager(t, nil)
	v := newVisitor(t, m)
	v.visit(put("n", 1))
	suffix := endedSuffix(t, v.load().ID())
	last := suffix[len(suffix)-1]
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._"
	sameBits := suffix[:len(suffix)-1] + string(alphabet[strings.IndexByte(alphabet, last)|1]) // decodes to the same bytes where unused bits are ignored
	for _, test := range []struct {
		cookie string
		want   string
	}{
		{cookieName + suffix + "=1700000000", "ended"},
		{cookieName + suffix + "=99999999999", "ended"},
		{cookieName + suffix + "=-1", "ended"},
		{cookieName + suffix + "=0", "ended"},
		{cookieName + suffix + "=", "ended"},
		{cookieName + suffix, "ended"},
		{cookieName + suffix + "=words", "ended"},
		{cookieName + suffix + `="1700000000"`, "ended"},
		{cookieName + suffix[:len(suffix)-1] + "=1", ""},
		{cookieName + suffix + "A=1", ""},
		{cookieName + suffix + "==1", "ended"}, // the name ends at the first =
		{cookieName + suffix + ".1=1", ""},
		{cookieName + sameBits + "=1", ""},
		{cookieName + strings.ToUpper(suffix) + "=1", ""},
		{cookieName + ".ended.=1", ""},
		{cookieName + ".ended=1", ""},
		{cookieName + ".ended.AAAAAAAAAAA=1", ""},
		{"session" + suffix + "=1", ""},
		{cookieName + "2" + suffix + "=1", ""},
		{strings.ToLower(cookieName) + suffix + "=1", ""},
	} {
		for _, header := range []string{v.header() + "; " + test.cookie, test.cookie + "; " + v.header()} {
			if got := rejected(m, header); got != test.want {
				t.Errorf("with %q: got %q, want %q", test.cookie, got, test.want)
			}
		}
	}
}

// loginAndOut logs in and out. It returns a request that was under way then, and changes the session.
func (v *visitor) loginAndOut() (slow *cookiesession.Session) {
	v.t.Helper()
	v.visit(login)
	slow = v.load()
	slow.Put("late", true)
	v.visit(destroy)
	return slow
}

// However many sessions end at about the same time, up to 32, none comes back.
func TestManySessionsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 32
		v := newVisitor(t, newManager(t, nil))
		var slow []*cookiesession.Session
		for range n {
			slow = append(slow, v.loginAndOut())
			time.Sleep(10 * time.Second)
		}
		if got := len(v.markers()); got != n {
			t.Fatalf("got %d markers, want %d", got, n)
		}
		for i, late := range slow {
			if _, err := v.answer(late); err != nil {
				t.Fatal(err)
			}
			if v.state() != "ended" {
				t.Fatalf("session %d is %s after its logout", i, v.state())
			}
		}
		// All are cleaned up, once somebody is logged in again and they are old.
		v.visit(login)
		for range n / 4 {
			time.Sleep(time.Minute)
			v.visit(touched)
		}
		time.Sleep(10 * time.Minute)
		for range n / 4 {
			v.visit(touched)
		}
		if got := v.markers(); len(got) > 0 {
			t.Errorf("got %d markers left, want none", len(got))
		}
		v.wantState("valid")
	})
}

// A marker goes with a response to a valid session once it is over ten minutes old, or says nothing that can be an age.
func TestMarkersAreCleanedUp(t *testing.T) {
	const theirs = ".ended.AAAAAAAAAAA"
	now := func() int64 { return time.Now().Unix() }
	seconds := func(n int64) string { return strconv.FormatInt(n, 10) }
	for _, test := range []struct {
		name   string
		value  func() string
		delete bool
	}{
		{"new", func() string { return seconds(now()) }, false},
		{"599 s", func() string { return seconds(now() - 599) }, false},
		{"600 s", func() string { return seconds(now() - 600) }, false},
		{"601 s", func() string { return seconds(now() - 601) }, true},
		{"59 s ahead", func() string { return seconds(now() + 59) }, false},
		{"60 s ahead", func() string { return seconds(now() + 60) }, false},
		{"61 s ahead", func() string { return seconds(now() + 61) }, true},
		{"zero", func() string { return "0" }, true},
		{"negative", func() string { return "-1" }, true},
		{"least", func() string { return "-9223372036854775808" }, true},
		{"most", func() string { return "9223372036854775807" }, true},
		{"beyond", func() string { return "9223372036854775808" }, true},
		{"empty", func() string { return "" }, true},
		{"words", func() string { return "now" }, true},
		{"a fraction", func() string { return seconds(now()) + ".5" }, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				value := test.value()
				for _, visit := range []struct {
					name   string
					before func(*cookiesession.Session)
					do     func(*cookiesession.Session)
					may    bool
				}{
					{"read", put("n", 1), touched, true},
					{"change", put("n", 1), put("n", 2), true},
					{"flash", put("n", 1), flash("f", 1), true},
					{"login", put("n", 1), login, true},
					{"logout", put("n", 1), destroy, true},
					{"failure", put("n", 1), put("n", func() {}), false},
					{"nobody reads", nothing, touched, false},
					{"nobody logs in", nothing, login, false},
					{"nobody logs out", nothing, destroy, false},
				} {
					v := newVisitor(t, newManager(t, nil))
					v.visit(visit.before)
					v.setCookie(theirs, value)
					lines, _ := v.try(visit.do)
					if got, want := strings.Contains(v.wrote(lines), "-["+theirs+"]"), test.delete && visit.may; got != want {
						t.Errorf("%s: wrote %s, want it deleted %v", visit.name, v.wrote(lines), want)
					}
				}
			})
		})
	}
}

// Old markers are deleted whatever comes before them: a marker that is written again, or one that is still needed.
func TestOldMarkersBehindOthers(t *testing.T) {
	m := newManager(t, nil)
	headers, markers := live(t, m, 2, 1)
	const old = cookieName + ".ended.AAAAAAAAAAA"
	sent := requestWith(fmt.Sprintf("%s=%d; %s=1; %s; %s", markers[1], time.Now().Unix(), old, headers[0], headers[1]))
	for name, do := range map[string]func(*cookiesession.Session){"read": touched, "change": put("n", 7), "logout": destroy} {
		h, err := bySave.answer(m, sent.Clone(t.Context()), do)
		if names := strings.Fields(cookieNames(h)); err != nil || !slices.Contains(names, "-"+old) || slices.Contains(names, "-"+markers[1]) {
			t.Errorf("%s: wrote %q, %v; want the old marker deleted, and not the other", name, names, err)
		}
	}
}

// Of more than four the oldest go first: those that say no time, then by time, then in the order of the header.
func TestOldestMarkersGoFirst(t *testing.T) {
	m := newManager(t, nil)
	headers, _ := live(t, m, 1, 1)
	for _, test := range []struct {
		values string // of six markers
		want   string // which are deleted
	}{
		{"1 1 1 1 1 1", "0 1 2 3"},
		{"6 5 4 3 2 1", "5 4 3 2"},
		{"1 2 3 4 5 6", "0 1 2 3"},
		{"1 1 x x x x", "2 3 4 5"},
		{"-9 -9 x x x x", "2 3 4 5"},
		{"3 x 1 x 2 3", "1 3 2 4"},
	} {
		header := headers[0]
		for i, value := range strings.Fields(test.values) {
			header += fmt.Sprintf("; %s.ended.AAAAAAAAA%cA=%s", cookieName, '0'+i, value)
		}
		h, err := bySave.answer(m, requestWith(header), touched)
		var got []string
		for _, name := range strings.Fields(cookieNames(h)) {
			got = append(got, name[len(name)-2:len(name)-1])
		}
		if strings.Join(got, " ") != test.want || err != nil {
			t.Errorf("%s: deleted %q, %v; want %s", test.values, got, err, test.want)
		}
	}
}

// One response deletes four at most, and needs no change for it.
func TestFourMarkersAreDeletedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVisitor(t, newManager(t, nil))
		v.visit(put("n", 1))
		for i := range 11 {
			v.setCookie(fmt.Sprintf(".ended.AAAAAAAAA%cA", 'A'+i), "1")
		}
		v.setCookie(".ended.AAAAAAAAAAAA", "1") // a character too long
		for _, want := range []int{4, 4, 3, 0} {
			lines := v.visit(touched)
			if set, deleted := countLines(lines); set != 0 || deleted != want {
				t.Errorf("got %s, want %d deletions", v.wrote(lines), want)
			}
		}
		if got, want := v.names(), []string{"", ".ended.AAAAAAAAAAAA"}; !slices.Equal(got, want) {
			t.Errorf("got %q left, want %q", got, want)
		}
	})
}

// Where a marker comes twice, which a server can set for another Path, it is deleted by one line.
func TestMarkerThatComesTwice(t *testing.T) {
	v := newVisitor(t, newManager(t, nil))
	v.visit(put("n", 1))
	const marker = "; " + cookieName + ".ended.AAAAAAAAAAA="
	lines, err := v.answer(load(v.m, v.header()+marker+"1"+marker+"2"))
	if err != nil || len(lines) != 1 {
		t.Errorf("got %s and error %v, want one line", v.wrote(lines), err)
	}
}

// A program that only logs in, works and logs out doesn't carry a marker for each time.
func TestMarkersDoNotPileUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVisitor(t, newManager(t, nil))
		for range 100 {
			v.visit(login)
			time.Sleep(5 * time.Minute)
			v.visit(destroy)
			if n := len(v.markers()); n > 4 {
				t.Fatalf("got %d markers, want at most those of the last ten minutes", n)
			}
		}
	})
}

// Markers aren't deleted by a session that they refuse.
func TestRefusedSessionKeepsItsMarker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVisitor(t, newManager(t, func(c *cookiesession.Config) { c.Lifetime = 100 * 24 * time.Hour }))
		v.visit(login)
		slow := v.load()
		slow.Put("n", 1)
		v.visit(destroy)
		v.answer(slow)
		time.Sleep(24 * time.Hour)
		for range 3 {
			if lines := v.visit(touched); len(lines) > 0 {
				t.Errorf("a refusal wrote %s, want nothing", v.wrote(lines))
			}
			v.wantState("ended")
		}
		// Another logout renews it.
		if got, want := v.wrote(v.visit(destroy)), "-[] [.ended."+v.markers()[0]+"]"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}

// markersOf returns n markers as a Cookie header, the oldest first, a second apart, and their tags.
func markersOf(n int) (header string, tags []string) {
	var pairs []pair
	for i := range n {
		tags = append(tags, fmt.Sprintf("AAAAAAAA%c%cA", 'A'+i/16, 'A'+i%16))
		pairs = append(pairs, pair{cookieName + ".ended." + tags[i], fmt.Sprint(time.Now().Unix() - int64(n-i))})
	}
	return join(pairs...), tags
}

// A browser holds 32 markers: of more, a response deletes the oldest, whatever their age and whoever the visitor is.
// 180 of them were more than proxies take, so that no server saw the visitor again.
func TestMarkersAreBounded(t *testing.T) {
	for _, n := range []int{0, 1, 31, 32, 33, 34, 39, 40, 41, 100, 180} {
		for _, test := range []struct {
			name   string
			member bool // brings a session
			do     func(*cookiesession.Session)
			writes int // markers
		}{
			{"nobody reads", false, touched, 0},
			{"nobody starts a session", false, put("n", 1), 0},
			{"nobody logs out", false, destroy, 0},
			{"somebody reads", true, touched, 0},
			{"somebody changes", true, put("n", 2), 0},
			{"somebody logs in", true, login, 0},
			{"somebody leaves a message", true, flash("f", 1), 0},
			{"somebody logs out", true, destroy, 1},
			{"somebody logs out and starts anew", true, func(s *cookiesession.Session) { s.Destroy(); s.Put("n", 2) }, 1},
		} {
			for _, form := range forms {
				synctest.Test(t, func(t *testing.T) {
					v := newVisitor(t, newManager(t, nil))
					if test.member {
						v.visit(put("n", 1))
					}
					header, tags := markersOf(n)
					for _, order := range []string{"oldest first", "newest first"} {
						if order == "newest first" {
							pairs := pairsOf(header)
							slices.Reverse(pairs)
							header = join(pairs...)
						}
						h, err := form.answer(v.m, requestWith(strings.Trim(header+"; "+v.header(), "; ")), test.do)
						if err != nil {
							t.Fatal(err)
						}
						var deleted []string
						for _, name := range strings.Fields(cookieNames(h)) {
							if tag, ok := strings.CutPrefix(name, "-"+cookieName+".ended."); ok {
								deleted = append(deleted, tag)
							}
						}
						want := tags[:min(max(n+test.writes-32, 0), 8)]
						slices.Sort(deleted)
						if !slices.Equal(deleted, want) {
							t.Errorf("%d markers, %s, %s, %s: deleted %q, want %q", n, test.name, form.name, order, deleted, want)
						}
					}
				})
			}
		}
	}
	// What isn't saved deletes none.
	synctest.Test(t, func(t *testing.T) {
		header, _ := markersOf(40)
		if h, err := bySave.answer(newManager(t, nil), requestWith(header), put("v", tooLarge)); err == nil || len(h["Set-Cookie"]) > 0 {
			t.Errorf("a failure wrote %q, %v", cookieNames(h), err)
		}
	})
}

// A marker that a received session needs isn't deleted, however old; nor is one counted twice that is renewed.
func TestMarkerStaysWhileItsSessionComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVisitor(t, newManager(t, nil))
		v.visit(put("n", 1))
		mine := endedSuffix(t, v.load().ID())
		for _, n := range []int{31, 32, 100} {
			others, tags := markersOf(n)
			header := v.header() + "; " + others + "; " + cookieName + mine + "=1"
			for name, test := range map[string]struct {
				do   func(*cookiesession.Session)
				want int // of the others' that are deleted
			}{
				"read":                    {touched, n + 1 - 32},
				"a session anew":          {put("n", 2), n + 1 - 32},
				"logout, which renews it": {destroy, n + 1 - 32},
			} {
				if got := rejected(v.m, header); got != "ended" {
					t.Fatalf("got %q, want ended", got)
				}
				h, err := byHandler.answer(v.m, requestWith(header), test.do)
				if err != nil {
					t.Fatal(err)
				}
				names := cookieNames(h)
				if strings.Contains(names, "-"+cookieName+mine) {
					t.Errorf("%d, %s: deleted the marker that refuses the received session", n, name)
				}
				want := min(max(test.want, 0), 8)
				if got := strings.Count(names, "-"+cookieName+".ended."); got != want || want > 0 && !strings.Contains(names, "-"+cookieName+".ended."+tags[0]) {
					t.Errorf("%d, %s: wrote %s, want %d deleted", n, name, names, want)
				}
			}
		}
	})
}

// A program that logs in and out all the time carries 32 markers, each of which refuses its session.
func TestManyLogoutsInTenMinutes(t *testing.T) {
	for _, n := range []int{80, 180} {
		synctest.Test(t, func(t *testing.T) {
			v := newVisitor(t, newManager(t, nil))
			var slow []*cookiesession.Session
			for range n {
				slow = append(slow, v.loginAndOut())
				if got := len(v.markers()); got > 32 {
					t.Fatalf("got %d markers, want at most 32", got)
				}
				time.Sleep(10 * time.Minute / time.Duration(n))
			}
			if got := len(v.header()); got > 2000 {
				t.Errorf("the browser sends %d bytes", got)
			}
			for i, late := range slow[n-32:] {
				v.answer(late)
				if got := v.state(); got != "ended" {
					t.Errorf("session %d of the last 32 is %s after its logout", i, got)
				}
			}
			v.visit(login)
			v.wantState("valid")
		})
	}
}
