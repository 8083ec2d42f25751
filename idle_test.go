package cookiesession_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

func withIdle(d time.Duration) func(*cookiesession.Config) {
	return func(c *cookiesession.Config) { c.IdleTimeout = d }
}

// touched is a request that only uses the session.
func touched(s *cookiesession.Session) { s.IsEmpty() }

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

// Every server of a fleet may have another IdleTimeout while it is changed. Nobody is logged out who is within the new
// one.
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
