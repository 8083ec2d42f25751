package cookiesession_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

// A lease is refreshed once it is older than min(IdleTimeout/10, a minute), by whatever request uses the session.
func TestLeaseIsRefreshed(t *testing.T) {
	for _, test := range []struct {
		idle time.Duration
		due  int // seconds since the session was sealed or leased
	}{
		{2 * time.Second, 1},
		{10 * time.Second, 2},
		{15 * time.Second, 2},
		{100 * time.Second, 11},
		{10*time.Minute - 10*time.Second, 60},
		{10 * time.Minute, 61},
		{24 * time.Hour, 61},
	} {
		t.Run(test.idle.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := newVisitor(t, newManager(t, withIdle(test.idle)))
				v.visit(put("n", 1))
				for since := range 3 { // since the session was sealed, then since it was leased
					early := v.clone(v.m)
					time.Sleep(time.Duration(test.due-1) * time.Second)
					if lines := early.visit(touched); len(lines) > 0 {
						t.Errorf("round %d: after %d s got %s, want no cookie", since, test.due-1, v.wrote(lines))
					}
					time.Sleep(time.Second)
					lines := v.visit(touched)
					if got, want := v.wrote(lines), "[.lease]"; got != want {
						t.Errorf("round %d: after %d s got %s, want %s", since, test.due, got, want)
					}
					if lines := v.visit(touched); len(lines) > 0 {
						t.Errorf("round %d: got a second lease at once", since)
					}
				}
				if v.get("n") != int64(1) {
					t.Error("a value was lost")
				}
			})
		})
	}
}

// Of a touch the browser gets one line, and nothing of the session.
func TestLeaseLine(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*cookiesession.Config)
		want   string
	}{
		{"default", nil, "; Path=/; Max-Age=1800; HttpOnly; Secure; SameSite=Lax"},
		{"persistent", func(c *cookiesession.Config) { c.Persistent = true }, "; Path=/; Max-Age=1800; HttpOnly; Secure; SameSite=Lax"},
		{"attributes", func(c *cookiesession.Config) {
			c.Domain, c.Path, c.SameSite, c.Partitioned = "shop.example", "/in", http.SameSiteNoneMode, true
		}, "; Path=/in; Domain=shop.example; Max-Age=1800; HttpOnly; Secure; SameSite=None; Partitioned"},
		{"part of a second", func(c *cookiesession.Config) { c.IdleTimeout += time.Millisecond }, "; Path=/; Max-Age=1801; HttpOnly; Secure; SameSite=Lax"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newManager(t, func(c *cookiesession.Config) {
					c.IdleTimeout = 30 * time.Minute
					if test.change != nil {
						test.change(c)
					}
				})
				h := http.Header{}
				s := load(m)
				s.Put("n", 1)
				m.Save(h, s)
				sealed, _, _ := strings.Cut(h.Get("Set-Cookie"), ";")
				time.Sleep(61 * time.Second)
				h = http.Header{}
				s = load(m, sealed)
				if err := m.Save(h, s); err != nil {
					t.Fatal(err)
				}
				lines := h["Set-Cookie"]
				if len(lines) != 1 || !strings.HasPrefix(lines[0], m.CookieName()+".lease=1") {
					t.Fatalf("got %d lines, want one lease", len(lines))
				}
				pair, attributes, _ := strings.Cut(lines[0], ";")
				if ";"+attributes != test.want {
					t.Errorf("got %q, want %q", ";"+attributes, test.want)
				}
				if n := len(pair) + len("; "); n >= 175 {
					t.Errorf("a lease adds %d bytes to the Cookie header", n)
				}
				if h.Get("Vary") != "Cookie" || h.Get("Cache-Control") != "private" {
					t.Errorf("got Vary %q, Cache-Control %q", h.Get("Vary"), h.Get("Cache-Control"))
				}
			})
		})
	}
}

// No lease is written where it would say nothing new, or would be wrong.
func TestNoLease(t *testing.T) {
	for _, test := range []struct {
		name   string
		config func(*cookiesession.Config)
		before func(*cookiesession.Session)
		visit  func(*cookiesession.Session)
		want   string
	}{
		{"no idle timeout", nil, put("n", 1), touched, ""},
		{"remembered", withIdle(time.Hour), func(s *cookiesession.Session) { s.Put("n", 1); s.Remember(100 * time.Hour) }, touched, ""},
		{"data is written anyway", withIdle(time.Hour), put("n", 1), put("n", 2), "[]"},
		{"a new ID is", withIdle(time.Hour), put("n", 1), func(s *cookiesession.Session) { s.Regenerate() }, "[]"},
		{"remembered now", withIdle(time.Hour), put("n", 1), func(s *cookiesession.Session) { s.Remember(time.Hour) }, "[]"},
		{"destroyed", withIdle(time.Hour), put("n", 1), destroy, "-[] [ended]"},
		{"nobody", withIdle(time.Hour), touched, touched, ""},
		{"new", withIdle(time.Hour), touched, put("n", 1), "[]"},
		{"can't be saved", withIdle(time.Hour), put("n", 1), put("n", func() {}), ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := newVisitor(t, newManager(t, test.config))
				v.visit(test.before)
				time.Sleep(5 * time.Minute)
				lines, _ := v.try(test.visit)
				got := v.wrote(lines)
				if before, marker, ok := strings.Cut(got, ".ended."); ok {
					_, after, _ := strings.Cut(marker, "]")
					got = before + "ended]" + after
				}
				if got != test.want {
					t.Errorf("got %s, want %s", got, test.want)
				}
			})
		})
	}
	t.Run("session not used", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			v := newVisitor(t, newManager(t, withIdle(time.Hour)))
			v.visit(put("n", 1))
			time.Sleep(5 * time.Minute)
			h := inHandler(v.m, requestWith(v.header()), func(http.ResponseWriter, *http.Request) {})
			if len(h) > 0 {
				t.Errorf("got %v, want no header", h)
			}
		})
	})
	t.Run("refused", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			v := newVisitor(t, newManager(t, withIdle(time.Hour)))
			v.visit(put("n", 1))
			time.Sleep(2 * time.Hour)
			if lines := v.visit(touched); len(lines) > 0 {
				t.Errorf("got %s, want no cookie", v.wrote(lines))
			}
			v.wantState("idle")
		})
	})
}

// Leases that don't fit only make a session look older: at worst it was last seen when it was sealed.
func TestStrangeLeases(t *testing.T) {
	const idle = 10 * time.Minute
	// made returns the lease of v's session as a server makes it whose clock is ahead.
	made := func(v *visitor, ahead time.Duration, scope string) string {
		m := newManager(v.t, func(c *cookiesession.Config) { c.IdleTimeout, c.Scope = 24*time.Hour, scope })
		m.SetClock(func() time.Time { return time.Now().Add(ahead) })
		fast := v.clone(m)
		fast.visit(touched)
		return fast.cookie(".lease")
	}
	for _, test := range []struct {
		name  string
		lease func(v *visitor)
		want  string // nine minutes after it was made, twelve after the session was sealed
	}{
		{"none", func(*visitor) {}, "idle"},
		{"good", func(v *visitor) { v.setCookie(".lease", made(v, 0, "")) }, "valid"},
		{"59 s ahead when it comes", func(v *visitor) { v.setCookie(".lease", made(v, 9*time.Minute+59*time.Second, "")) }, "valid"},
		{"60 s ahead when it comes", func(v *visitor) { v.setCookie(".lease", made(v, 10*time.Minute, "")) }, "valid"},
		{"61 s ahead when it comes", func(v *visitor) { v.setCookie(".lease", made(v, 10*time.Minute+time.Second, "")) }, "idle"},
		{"of another session", func(v *visitor) {
			other := newVisitor(v.t, v.m)
			other.visit(put("n", 1))
			v.setCookie(".lease", made(other, 2*time.Minute, ""))
		}, "idle"},
		{"of another scope", func(v *visitor) {
			other := newVisitor(v.t, newManager(v.t, func(c *cookiesession.Config) { c.Scope = "staging" }))
			other.visit(put("n", 1))
			v.setCookie(".lease", made(other, 2*time.Minute, "staging"))
		}, "idle"},
		{"stale", func(v *visitor) { v.setCookie(".lease", made(v, -90*time.Second, "")) }, "idle"},
		{"a session cookie", func(v *visitor) { v.setCookie(".lease", v.cookie("")) }, "idle"},
		{"empty", func(v *visitor) { v.setCookie(".lease", "") }, "idle"},
		{"words", func(v *visitor) { v.setCookie(".lease", "1hello") }, "idle"},
		{"forged", func(v *visitor) {
			good := made(v, 0, "")
			v.setCookie(".lease", good[:len(good)-4]+"AAAA")
		}, "idle"},
		{"torn", func(v *visitor) { v.setCookie(".lease", "2"+made(v, 0, "")[1:]) }, "idle"},
		{"payload of another shape", func(v *visitor) {
			v.setCookie(".lease", strings.TrimPrefix(v.m.SealPayload("lease", []byte("\x91\x01")), leaseName+"="))
		}, "idle"},
		{"before Regenerate", func(v *visitor) {
			v.setCookie(".lease", made(v, 0, ""))
			sealedAgo := newManager(v.t, withIdle(idle))
			sealedAgo.SetClock(func() time.Time { return time.Now().Add(-3 * time.Minute) })
			v.clone(sealedAgo).visitInto(v, func(s *cookiesession.Session) { s.Regenerate() })
		}, "idle"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := newVisitor(t, newManager(t, withIdle(idle)))
				v.visit(put("n", 1))
				time.Sleep(3 * time.Minute)
				test.lease(v)
				sealed := v.cookie("")
				v.wantState("valid") // three minutes are fine without any lease
				time.Sleep(9 * time.Minute)
				v.wantState(test.want)
				if test.want == "valid" && v.cookie("") != sealed {
					t.Error("the session was written")
				}
			})
		})
	}
}

// Of several leases the newest that matches counts, and those that don't open, or are too many, don't hurt.
func TestSeveralLeases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVisitor(t, newManager(t, withIdle(time.Hour)))
		v.visit(put("n", 1))
		session := cookieName + "=" + v.cookie("")
		var leases []string
		for range 3 {
			time.Sleep(30 * time.Minute)
			v.visit(touched)
			leases = append(leases, leaseName+"="+v.cookie(".lease"))
		}
		time.Sleep(50 * time.Minute)
		for _, test := range []struct {
			name    string
			cookies []string
			want    string
		}{
			{"the newest last", []string{session, leases[0], leases[1], leases[2]}, ""},
			{"the newest first", []string{leases[2], leases[1], leases[0], session}, ""},
			{"old ones only", []string{session, leases[0], leases[1]}, "idle"},
			{"garbage before", []string{leaseName + "=1AAAA", leaseName + "=", session, leases[2]}, ""},
			{"garbage behind", []string{leases[2], leaseName + "=2AAAA", leaseName + ".1=AAAA", session}, ""},
			{"the same one often", []string{leases[2], leases[2], leases[2], leases[2], leases[2], leases[2], session}, ""},
			{"beyond the fourth", []string{leaseName + "=a", leaseName + "=b", leaseName + "=c", leaseName + "=d", leases[2], session}, "idle"},
		} {
			if got := rejected(v.m, strings.Join(test.cookies, "; ")); got != test.want {
				t.Errorf("%s: got %q, want %q", test.name, got, test.want)
			}
			if got := rejected(v.m, test.cookies...); got != test.want {
				t.Errorf("%s, a line each: got %q, want %q", test.name, got, test.want)
			}
		}
	})
}

// noteRefusals is an OnReject that notes cookies and reasons.
func noteRefusals(refused *[]string) func(*http.Request, *cookiesession.RejectError) {
	return func(_ *http.Request, err *cookiesession.RejectError) {
		*refused = append(*refused, err.Cookie+" "+err.Reason.String())
	}
}

// Nobody hears of a lease refused as ambiguous: of too many, the first four are looked at.
func TestTooManyLeases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var refused []string
		v := newVisitor(t, newManager(t, func(c *cookiesession.Config) {
			c.IdleTimeout, c.OnReject = time.Hour, noteRefusals(&refused)
		}))
		v.visit(put("n", 1))
		time.Sleep(50 * time.Minute)
		v.visit(touched)
		time.Sleep(50 * time.Minute)
		session, lease := cookieName+"="+v.cookie(""), leaseName+"="+v.cookie(".lease")
		tag := textEncoding.EncodeToString(make([]byte, 3))
		parts := []string{leaseName + "=2" + strings.Repeat("A", 28)} // five candidates in one
		for i := range 5 {
			parts = append(parts, fmt.Sprintf("%s.1=%sAAA%d", leaseName, tag, i))
		}
		for _, test := range []struct {
			name    string
			cookies []string
			want    []string
		}{
			{"five parts after it", append([]string{session, lease}, parts...), nil},
			{"five parts before it", append(append([]string{session}, parts...), lease), []string{leaseName + " malformed", cookieName + " idle"}},
			{"a broken one before it", []string{session, leaseName + "=1AAAA", lease}, nil},
			{"two that are broken", []string{session, leaseName + "=a", leaseName + "=1AAAA"}, []string{leaseName + " malformed", cookieName + " idle"}},
			{
				"a forged one, then a session",
				[]string{session, leaseName + "=" + lease[len(leaseName)+1:len(lease)-4] + "AAAA", leaseName + "=" + v.cookie("")},
				[]string{leaseName + " forged", cookieName + " idle"},
			},
			{
				"a forged one, then another shape",
				[]string{session, leaseName + "=" + lease[len(leaseName)+1:len(lease)-4] + "AAAA", v.m.SealPayload("lease", []byte("\x91\x01"))},
				[]string{leaseName + " forged", cookieName + " idle"},
			},
			{"a fifth value", []string{session, lease, leaseName + "=a", leaseName + "=b", leaseName + "=c", leaseName + "=d"}, nil},
		} {
			refused = nil
			rejected(v.m, strings.Join(test.cookies, "; "))
			if !slices.Equal(refused, test.want) {
				t.Errorf("%s: got %q, want %q", test.name, refused, test.want)
			}
		}
	})
}

// A lease that doesn't open is refused by name, and nothing more: the next due refresh replaces it with all its parts.
func TestBrokenLeaseIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var refused []string
		v := newVisitor(t, newManager(t, func(c *cookiesession.Config) {
			c.IdleTimeout, c.OnReject = time.Hour, noteRefusals(&refused)
		}))
		v.visit(put("n", 1))
		v.setCookie(".lease", "1AAAA")
		v.setCookie(".lease.1", "AAAA")
		if lines := v.visit(touched); len(lines) > 0 {
			t.Errorf("got %s at once, want nothing", v.wrote(lines))
		}
		if want := []string{leaseName + " malformed"}; !slices.Equal(refused, want) {
			t.Errorf("got %q, want %q", refused, want)
		}
		time.Sleep(61 * time.Second)
		if got, want := v.wrote(v.visit(touched)), "-[.lease.1] [.lease]"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		v.wantState("valid")
	})
}

// A lease that can't be sealed fails nothing.
func TestLeaseWithoutKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		contents, restore := cookiesession.TrackBuffers()
		defer restore()
		key := cookiesession.GenerateKey("old")
		key.RetireAt = time.Now().Add(time.Hour)
		var log logBuffer
		v := newVisitor(t, newManager(t, func(c *cookiesession.Config) {
			c.Keys, c.IdleTimeout = newRing(t, key), 2*time.Hour
			c.Logger = log.logger()
		}))
		v.visit(put("n", 1))
		s := v.load() // just before the key retires
		touched(s)
		time.Sleep(2 * time.Hour)
		if lines, err := v.answer(s); err != nil || len(lines) > 0 {
			t.Errorf("got %s and error %v, want neither", v.wrote(lines), err)
		}
		if !strings.Contains(log.String(), "lease not written") {
			t.Errorf("logged %q", log.String())
		}
		id, err := hex.DecodeString(s.ID())
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range contents() {
			if bytes.Contains(b, id) {
				t.Error("got the session's ID in a buffer")
			}
		}
	})
}

// A session ends that wasn't used for longer than IdleTimeout. What a browser may have deleted by then, the server
// refuses.
func TestIdle(t *testing.T) {
	for _, leased := range []bool{false, true} {
		for _, test := range []struct {
			after int
			want  string
		}{{59, "valid"}, {60, "valid"}, {61, "idle"}, {24*3600 - 200, "idle"}} {
			t.Run(fmt.Sprintf("leased=%v/%d", leased, test.after), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					v := newVisitor(t, newManager(t, withIdle(time.Minute)))
					v.visit(put("n", 1))
					if leased {
						time.Sleep(50 * time.Second)
						v.visit(touched)
						v.cookie(".lease")
					}
					replayed := v.header()
					time.Sleep(time.Duration(test.after) * time.Second)
					if got := rejected(v.m, replayed); got != strings.Replace(test.want, "valid", "", 1) {
						t.Errorf("after %d s got %q, want %s", test.after, got, test.want)
					}
				})
			})
		}
	}
}

// Somebody who keeps reading stays, for as long as the session lives and no longer, and its cookie is never written.
func TestActiveVisitorStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVisitor(t, newManager(t, func(c *cookiesession.Config) { c.IdleTimeout, c.Lifetime = time.Minute, time.Hour }))
		v.visit(put("n", 1))
		sealed, leases := v.cookie(""), 0
		for range 119 {
			time.Sleep(30 * time.Second)
			lines := v.visit(touched)
			leases += len(lines)
			v.wantState("valid")
		}
		if leases != 119 || v.cookie("") != sealed {
			t.Errorf("got %d leases, session rewritten %v; want 119 and false", leases, v.cookie("") != sealed)
		}
		time.Sleep(30 * time.Second)
		v.wantState("expired")
	})
}

// Writing data counts as use.
func TestSealingCountsAsUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVisitor(t, newManager(t, withIdle(time.Minute)))
		for n := range 10 {
			v.visit(put("n", n))
			if got := v.names(); len(got) != 1 {
				t.Fatalf("got cookies %q, want the session only", got)
			}
			time.Sleep(time.Minute)
			v.wantState("valid")
		}
		time.Sleep(time.Second)
		v.wantState("idle")
	})
}

// Every server of a fleet may have another IdleTimeout while it is changed. Nobody is logged out who was seen to be
// within the new one.
func TestIdleTimeoutChanges(t *testing.T) {
	const m, h = time.Minute, time.Hour
	for _, test := range []struct {
		name     string
		old, new time.Duration
		used     []time.Duration // since the session was sealed, under old
		switched time.Duration
		want     string
	}{
		{"on, sealed within it", 0, 10 * m, nil, 10 * m, "valid"},
		{"on, sealed before", 0, 10 * m, nil, 10*m + time.Second, "idle"},
		{"on, and used all the time", 0, 10 * m, []time.Duration{5 * m, 11 * m}, 12 * m, "idle"}, // nothing could tell
		{"off, within", 10 * m, 0, []time.Duration{8 * m}, 9 * m, "valid"},
		{"off, idle", 10 * m, 0, nil, 20 * h, "valid"},
		{"longer, within the old", 10 * m, 1 * h, []time.Duration{8 * m, 16 * m}, 20 * m, "valid"},
		{"longer, sealed within the new", 10 * m, 1 * h, nil, 1 * h, "valid"},
		{"longer, sealed before", 10 * m, 1 * h, nil, 1*h + time.Second, "idle"},
		{"shorter, within the new", 1 * h, 10 * m, []time.Duration{50 * m, 90 * m}, 100 * m, "valid"},
		{"shorter, idle", 1 * h, 10 * m, []time.Duration{50 * m, 90 * m}, 100*m + time.Second, "idle"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := newVisitor(t, newManager(t, withIdle(test.old)))
				began := time.Now()
				v.visit(put("n", 1))
				for _, at := range test.used {
					time.Sleep(time.Until(began.Add(at)))
					v.visit(touched)
					v.wantState("valid")
				}
				time.Sleep(time.Until(began.Add(test.switched)))
				v.clone(newManager(t, withIdle(test.new))).wantState(test.want)
			})
		})
	}
}

// Set to Lifetime first and shortened later, as OPERATIONS.md advises, it logs out nobody who uses the session, though
// nothing noted that before.
func TestIdleTimeoutInTwoSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const idle = 30 * time.Minute
		v := newVisitor(t, newManager(t, nil))
		v.visit(put("n", 1))
		use := func(m *cookiesession.Manager, d time.Duration) {
			t.Helper()
			v.m = m
			for range d / (10 * time.Minute) {
				time.Sleep(10 * time.Minute)
				v.visit(touched)
				v.wantState("valid")
			}
		}
		use(v.m, 5*time.Hour)
		use(newManager(t, withIdle(day)), idle)
		use(newManager(t, withIdle(idle)), 5*time.Hour)
	})
}

// Turned on for servers one after another, off, and on again: an active visitor stays.
func TestIdleTimeoutRollsOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVisitor(t, newManager(t, nil))
		v.visit(put("n", 1))
		servers := map[time.Duration]*cookiesession.Manager{}
		for _, idle := range []time.Duration{0, 10 * time.Minute, time.Hour} {
			servers[idle] = newManager(t, withIdle(idle))
		}
		for i, idle := range []time.Duration{0, 10 * time.Minute, 0, 10 * time.Minute, 10 * time.Minute, time.Hour, 10 * time.Minute, time.Hour, 0, 10 * time.Minute} {
			time.Sleep(4 * time.Minute)
			v.m = servers[idle]
			v.visit(touched)
			if v.state() != "valid" {
				t.Fatalf("visit %d, under %v: the session is %s", i, idle, v.state())
			}
		}
	})
}

// poll is a request that doesn't count as use.
func poll(s *cookiesession.Session) { s.Passive(); s.Get("n") }

// A page that polls doesn't keep its session alive, whatever it reads; a change counts as use all the same.
func TestPassive(t *testing.T) {
	for _, test := range []struct {
		name  string
		do    func(s *cookiesession.Session)
		wrote string
		keeps bool // the session from being idle
	}{
		{"reads", poll, "", false},
		{"said after reading", func(s *cookiesession.Session) { s.Get("n"); s.Passive() }, "", false},
		{"said twice", func(s *cookiesession.Session) { s.Passive(); s.Passive() }, "", false},
		{"verifies a token", func(s *cookiesession.Session) { s.Passive(); s.VerifyCSRFToken("x") }, "", false},
		{"stores an equal value", func(s *cookiesession.Session) { s.Passive(); s.Put("n", 1) }, "", false},
		{"leaves a message", func(s *cookiesession.Session) { s.Passive(); s.Flash("f", 1) }, "[.flash]", false},
		{"reads messages", func(s *cookiesession.Session) { s.Passive(); s.Flashes() }, "", false},
		{"not passive", touched, "[.lease]", true},
		{"puts", func(s *cookiesession.Session) { s.Passive(); s.Increment("m", 1) }, "[]", true},
		{"puts first", func(s *cookiesession.Session) { s.Increment("m", 1); s.Passive() }, "[]", true},
		{"regenerates", func(s *cookiesession.Session) { s.Passive(); s.Regenerate() }, "[]", true},
		{"draws a token", func(s *cookiesession.Session) { s.Passive(); s.RegenerateCSRFToken() }, "[]", true},
		{"moves its end", func(s *cookiesession.Session) { s.Passive(); s.ExpireIn(day) }, "[]", true},
	} {
		for _, explicit := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				v := newVisitor(t, newManager(t, withIdle(time.Hour)))
				v.visit(func(s *cookiesession.Session) { s.Put("n", 1); s.CSRFToken() })
				for range 10 {
					time.Sleep(5 * time.Minute)
					var lines []string
					if explicit {
						lines = v.visit(test.do)
					} else {
						h := inHandler(v.m, requestWith(v.header()), func(_ http.ResponseWriter, r *http.Request) { test.do(v.m.Get(r)) })
						v.jar.SetHeader(site, h)
						lines = h["Set-Cookie"]
					}
					if got := v.wrote(lines); got != test.wrote {
						t.Errorf("%s, explicit %v: wrote %s, want %s", test.name, explicit, got, test.wrote)
					}
				}
				time.Sleep(10*time.Minute + time.Second)
				want := "idle"
				if test.keeps {
					want = "valid"
				}
				if got := v.state(); got != want {
					t.Errorf("%s, explicit %v: an hour and a second after the session was made it is %s, want %s", test.name, explicit, got, want)
				}
			})
		}
	}
}

// Between polls the visitor's own requests are noted as ever, and the other way round a poll undoes nothing.
func TestPassiveAmongOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVisitor(t, newManager(t, withIdle(time.Hour)))
		v.visit(put("n", 1))
		for range 10 {
			time.Sleep(30 * time.Minute)
			slow := v.load()
			poll(slow)
			if got := v.wrote(v.visit(touched)); got != "[.lease]" {
				t.Errorf("the visitor's own request wrote %s", got)
			}
			if lines, err := v.answer(slow); len(lines) > 0 || err != nil {
				t.Errorf("a slow poll wrote %s, %v", v.wrote(lines), err)
			}
			v.wantState("valid")
		}
	})
}

// Where there is nothing to put off, Passive says nothing: no idle timeout, nobody, a session that starts, the commit.
func TestPassiveWithoutEffect(t *testing.T) {
	v := newVisitor(t, newManager(t, nil))
	if lines := v.visit(poll); len(lines) > 0 {
		t.Errorf("nobody's poll wrote %s", v.wrote(lines))
	}
	if got := v.wrote(v.visit(func(s *cookiesession.Session) { s.Passive(); s.Put("n", 1) })); got != "[]" {
		t.Errorf("a poll that starts a session wrote %s", got)
	}
	s := v.load()
	s.Passive()
	if s.Changed() || s.Err() != nil {
		t.Errorf("Changed %v, Err %v", s.Changed(), s.Err())
	}
	inHandler(v.m, requestWith(v.header()), func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		if s := v.m.Get(r); s != nil {
			s.Passive()
			if s.Err() != nil {
				t.Errorf("after the commit: %v", s.Err())
			}
		}
	})
	if v.m.Stats().Late != 0 {
		t.Error("counted as a late change")
	}
}

// IdleAt is when the session will be idle once this response has arrived, in whatever state it is: until then the
// session is valid, and a second later it isn't.
func TestIdleAt(t *testing.T) {
	const idle = time.Hour
	never := time.Duration(-1)
	remember := func(s *cookiesession.Session) { s.Put("n", 1); s.Remember(30 * day) }
	for _, test := range []struct {
		name   string
		idle   time.Duration
		before []func(*cookiesession.Session) // half an hour apart
		after  time.Duration
		do     func(s *cookiesession.Session)
		want   time.Duration // from the request on
	}{
		{"no idle timeout", 0, []func(*cookiesession.Session){put("n", 1)}, time.Hour, touched, never},
		{"no idle timeout, new", 0, nil, 0, put("n", 1), never},
		{"nobody", idle, nil, 0, touched, idle},
		{"new", idle, nil, 0, put("n", 1), idle},
		{"new and passive", idle, nil, 0, func(s *cookiesession.Session) { s.Put("n", 1); s.Passive() }, idle},
		{"new and remembered", idle, nil, 0, remember, never},
		{"read at once", idle, []func(*cookiesession.Session){put("n", 1)}, 0, touched, idle},
		{"read a minute later: no lease is due", idle, []func(*cookiesession.Session){put("n", 1)}, time.Minute, touched, idle - time.Minute},
		{"read 61 seconds later: a lease is due", idle, []func(*cookiesession.Session){put("n", 1)}, 61 * time.Second, touched, idle},
		{"read much later", idle, []func(*cookiesession.Session){put("n", 1)}, idle, touched, idle},
		{"read a minute after a lease", idle, []func(*cookiesession.Session){put("n", 1), touched}, time.Minute, touched, idle - time.Minute},
		{"read 61 seconds after a lease", idle, []func(*cookiesession.Session){put("n", 1), touched}, 61 * time.Second, touched, idle},
		{"changed after a lease", idle, []func(*cookiesession.Session){put("n", 1), touched}, time.Minute, put("n", 2), idle},
		{"passive", idle, []func(*cookiesession.Session){put("n", 1)}, 50 * time.Minute, poll, 10 * time.Minute},
		{"passive in the last second", idle, []func(*cookiesession.Session){put("n", 1)}, idle, poll, 0},
		{"passive after passive ones", idle, []func(*cookiesession.Session){put("n", 1), poll}, 20 * time.Minute, poll, 10 * time.Minute},
		{"passive after a lease", idle, []func(*cookiesession.Session){put("n", 1), touched}, 20 * time.Minute, poll, 40 * time.Minute},
		{"passive and changed", idle, []func(*cookiesession.Session){put("n", 1)}, 50 * time.Minute, func(s *cookiesession.Session) { s.Passive(); s.Put("n", 2) }, idle},
		{"changed", idle, []func(*cookiesession.Session){put("n", 1)}, time.Second, put("n", 2), idle},
		{"changed and back", idle, []func(*cookiesession.Session){put("n", 1)}, time.Second, func(s *cookiesession.Session) { s.Put("n", 2); s.Put("n", 1) }, idle - time.Second},
		{"regenerated", idle, []func(*cookiesession.Session){put("n", 1)}, time.Second, func(s *cookiesession.Session) { s.Regenerate() }, idle},
		{"a message", idle, []func(*cookiesession.Session){put("n", 1)}, time.Second, flash("f", 1), idle - time.Second},
		{"an end said", idle, []func(*cookiesession.Session){put("n", 1)}, time.Second, func(s *cookiesession.Session) { s.ExpireIn(day) }, idle},
		{"persistent now", idle, []func(*cookiesession.Session){put("n", 1)}, time.Second, func(s *cookiesession.Session) { s.Persist(true) }, idle},
		{"persistent now, as before", idle, []func(*cookiesession.Session){func(s *cookiesession.Session) { s.Put("n", 1); s.Persist(true) }}, time.Second, func(s *cookiesession.Session) { s.Persist(true) }, idle - time.Second},
		{"remembered now", idle, []func(*cookiesession.Session){put("n", 1)}, time.Second, remember, never},
		{"remembered before", idle, []func(*cookiesession.Session){remember}, 5 * time.Hour, touched, never},
		{"remembered before, changed", idle, []func(*cookiesession.Session){remember}, 5 * time.Hour, put("n", 2), never},
		{"remembered before, and passive", idle, []func(*cookiesession.Session){remember}, 5 * time.Hour, poll, never},
		{"no longer remembered", idle, []func(*cookiesession.Session){remember}, 5 * time.Hour, func(s *cookiesession.Session) { s.Persist(false) }, idle},
		{"remembered until Regenerate", idle, []func(*cookiesession.Session){remember}, 5 * time.Hour, func(s *cookiesession.Session) { s.Regenerate() }, idle},
		{"destroyed and anew", idle, []func(*cookiesession.Session){put("n", 1)}, time.Second, func(s *cookiesession.Session) { s.Destroy(); s.Put("n", 2) }, idle},
		{"idle and anew", idle, []func(*cookiesession.Session){put("n", 1)}, 2 * idle, put("n", 2), idle},
		{"a short timeout: a lease is due after 2 seconds", 10 * time.Second, []func(*cookiesession.Session){put("n", 1)}, 2 * time.Second, touched, 10 * time.Second},
		{"a short timeout: no lease is due after one", 10 * time.Second, []func(*cookiesession.Session){put("n", 1)}, time.Second, touched, 9 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := newVisitor(t, newManager(t, withIdle(test.idle)))
				for i, do := range test.before {
					if i > 0 {
						time.Sleep(30 * time.Minute)
					}
					v.visit(do)
				}
				time.Sleep(test.after)
				var idleAt, again time.Time
				isNew := false
				h := inHandler(v.m, requestWith(v.header()), func(w http.ResponseWriter, r *http.Request) {
					s := v.m.Get(r)
					test.do(s)
					idleAt = s.IdleAt()
					w.WriteHeader(http.StatusOK)
					again = s.IdleAt()
					isNew = s.IsNew() && !s.Changed()
				})
				v.jar.SetHeader(site, h)
				if test.want == never {
					if !idleAt.IsZero() || !again.IsZero() {
						t.Errorf("got %v, want never", idleAt)
					}
					time.Sleep(5 * time.Hour)
					v.wantState("valid")
					return
				}
				if left := time.Until(idleAt); left != test.want || idleAt.Location() != time.UTC || !again.Equal(idleAt) {
					t.Errorf("got idle in %v at %v, after the commit at %v; want in %v", left, idleAt, again, test.want)
				}
				if isNew {
					return // nobody, to whom nothing ends
				}
				replayed := v.header()
				if test.want > 0 { // at IdleAt itself the browser drops the lease, though the server would still take it
					time.Sleep(time.Until(idleAt) - time.Second)
					v.wantState("valid")
				}
				time.Sleep(time.Until(idleAt))
				if got := rejected(v.m, replayed); got != "" {
					t.Errorf("at IdleAt the session is refused as %s", got)
				}
				time.Sleep(time.Second)
				if got := rejected(v.m, replayed); got != "idle" {
					t.Errorf("a second later the session is %q, want idle", got)
				}
			})
		})
	}
}

// IdleTimeout counts in whole seconds; IdleAt never promises more than the server keeps.
func TestIdleAtOfPartsOfSeconds(t *testing.T) {
	for _, test := range []struct{ idle, started time.Duration }{
		{10 * time.Second, 900 * time.Millisecond}, {10*time.Second + time.Millisecond, 0}, {10*time.Second + 999*time.Millisecond, 500 * time.Millisecond},
	} {
		synctest.Test(t, func(t *testing.T) {
			v := newVisitor(t, newManager(t, withIdle(test.idle)))
			time.Sleep(test.started)
			v.visit(put("n", 1))
			s := v.load()
			idleAt := s.IdleAt()
			replayed := v.header()
			time.Sleep(time.Until(idleAt) - time.Millisecond)
			if got := rejected(v.m, replayed); got != "" {
				t.Errorf("IdleTimeout %v, started at %v: refused as %s before IdleAt", test.idle, test.started, got)
			}
			time.Sleep(time.Second + time.Millisecond)
			if got := rejected(v.m, replayed); got != "idle" {
				t.Errorf("IdleTimeout %v, started at %v: a second after IdleAt: got %q, want idle", test.idle, test.started, got)
			}
		})
	}
}

// A remembered session needs no lease, at a second Save as little as at the first.
func TestNoLeaseAtSecondSave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVisitor(t, newManager(t, withIdle(time.Hour)))
		v.visit(func(s *cookiesession.Session) { s.Put("n", 1); s.Remember(day) })
		time.Sleep(10 * time.Minute)
		s := v.load()
		s.Flash("note", 1)
		h := http.Header{}
		for range 2 {
			if err := v.m.Save(h, s); err != nil {
				t.Fatal(err)
			}
			if got, want := v.wrote(h["Set-Cookie"]), "[.flash]"; got != want {
				t.Errorf("wrote %s, want %s", got, want)
			}
		}
	})
}

// Without an idle timeout nobody looks at leases, which a Config before may have left.
func TestLeaseWithoutIdleTimeout(t *testing.T) {
	var refused []string
	v := newVisitor(t, newManager(t, func(c *cookiesession.Config) { c.OnReject = noteRefusals(&refused) }))
	v.visit(put("n", 1))
	v.setCookie(".lease", "1AAAA")
	if v.wantState("valid"); refused != nil {
		t.Errorf("got %q refused, want nothing", refused)
	}
}
