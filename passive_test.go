package cookiesession_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

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
