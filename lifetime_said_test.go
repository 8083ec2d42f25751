package cookiesession_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

// A said is what one call in a request says about a session's life.
type said struct {
	name string
	call func(s *cookiesession.Session)
}

var sayings = []said{
	{"Remember", func(s *cookiesession.Session) { s.Remember(30 * day) }},
	{"ExpireIn", func(s *cookiesession.Session) { s.ExpireIn(3 * time.Hour) }},
	{"Persist(true)", func(s *cookiesession.Session) { s.Persist(true) }},
	{"Persist(false)", func(s *cookiesession.Session) { s.Persist(false) }},
	{"Regenerate", func(s *cookiesession.Session) { s.Regenerate() }},
}

// orders yields every order of some of the sayings.
func orders(yield func(order []said)) {
	var more func(order []said)
	more = func(order []said) {
		yield(order)
		for _, one := range sayings {
			if !slices.ContainsFunc(order, func(s said) bool { return s.name == one.name }) {
				more(append(slices.Clone(order), one))
			}
		}
	}
	more(nil)
}

// A life is what becomes of a session: how long it lasts from now, and what the browser does when it closes.
type life struct {
	left time.Duration
	mode string // browser, persistent or remembered
}

// after returns what the doc comments say of a session that had life l under a Config that gives new ones byConfig.
// Where in the order Regenerate is called doesn't matter: what is said in the same request holds on.
func (l life) after(order []said, byConfig life) life {
	if slices.ContainsFunc(order, func(s said) bool { return s.name == "Regenerate" }) {
		l = byConfig
	}
	for _, one := range order {
		switch one.name {
		case "Remember":
			l = life{30 * day, "remembered"}
		case "ExpireIn":
			l.left = 3 * time.Hour
		case "Persist(true)":
			if l.mode != "remembered" {
				l.mode = "persistent"
			}
		case "Persist(false)":
			l.mode = "browser"
		}
	}
	return l
}

// Remember, ExpireIn, Persist and Regenerate go together in every order, for a session of every mode, under either
// setting of Persistent; the browser and the server learn the same, and later requests keep it.
func TestWhatIsSaidOfALifeInEveryOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		for _, persistent := range []bool{false, true} {
			m := newManager(t, func(c *cookiesession.Config) { c.Persistent, c.IdleTimeout = persistent, time.Hour })
			byConfig := life{day, "browser"}
			if persistent {
				byConfig.mode = "persistent"
			}
			for _, came := range []struct {
				name string
				make func(s *cookiesession.Session)
				life life
			}{
				{"by Config", put("n", 1), byConfig},
				{"remembered", func(s *cookiesession.Session) { s.Put("n", 1); s.Remember(10 * day) }, life{10 * day, "remembered"}},
				{"persistent", func(s *cookiesession.Session) { s.Put("n", 1); s.Persist(true) }, life{day, "persistent"}},
				{"of the browser", func(s *cookiesession.Session) { s.Put("n", 1); s.Persist(false) }, life{day, "browser"}},
			} {
				first := newVisitor(t, m)
				first.visit(came.make)
				checkLife(t, "made "+came.name, first, came.life)
				time.Sleep(20 * time.Minute)
				came.life.left -= 20 * time.Minute
				orders(func(order []said) {
					n++
					name := fmt.Sprintf("Persistent %v, came %s, said %s", persistent, came.name, names(order))
					want := came.life.after(order, byConfig)
					v := first.clone(m)
					lines := v.visit(func(s *cookiesession.Session) {
						for _, one := range order {
							one.call(s)
						}
						s.Put("n", 2)
					})
					if got := v.sessionMaxAge(lines); got != want.maxAge() {
						t.Errorf("%s: Max-Age %s, want %s", name, got, want.maxAge())
					}
					checkLife(t, name, v, want)
				})
			}
		}
		if want := 2 * 4 * 326; n != want {
			t.Errorf("tried %d, want %d", n, want)
		}
	})
}

func names(order []said) string {
	var all []string
	for _, one := range order {
		all = append(all, one.name)
	}
	return strings.Join(all, ", ")
}

func (l life) maxAge() string {
	if l.mode == "browser" {
		return "none"
	}
	return fmt.Sprint(int64(l.left / time.Second))
}

// checkLife looks at a session as the next request brings it, and as that request changes it.
func checkLife(t *testing.T, name string, v *visitor, want life) {
	t.Helper()
	s := v.load()
	remembered := want.mode == "remembered"
	if left := time.Until(s.ExpiresAt()); left != want.left || s.Remembered() != remembered || s.IdleAt().IsZero() != remembered {
		t.Errorf("%s: next the session lasts %v, Remembered %v, IdleAt %v; want %v, %s", name, left, s.Remembered(), s.IdleAt(), want.left, want.mode)
	}
	next := v.clone(v.m)
	if got := next.sessionMaxAge(next.visit(put("next", true))); got != want.maxAge() {
		t.Errorf("%s: the next change has Max-Age %s, want %s", name, got, want.maxAge())
	}
	restarted := v.clone(v.m)
	restarted.jar.Restart()
	if got := restarted.state(); (got == "valid") != (want.mode != "browser") {
		t.Errorf("%s: when the browser was closed the session is %s, want it %s", name, got, want.mode)
	}
}

// What is said of a new session holds, too, and goes with Destroy.
func TestWhatIsSaidOfANewSession(t *testing.T) {
	for _, persistent := range []bool{false, true} {
		m := newManager(t, func(c *cookiesession.Config) { c.Persistent, c.IdleTimeout = persistent, time.Hour })
		byConfig := life{day, "browser"}
		if persistent {
			byConfig.mode = "persistent"
		}
		synctest.Test(t, func(t *testing.T) {
			orders(func(order []said) {
				for _, destroyed := range []string{"never", "before", "after"} {
					for _, logsOut := range []bool{false, true} {
						name := fmt.Sprintf("Persistent %v, said %s, destroyed %s, logs out %v", persistent, names(order), destroyed, logsOut)
						v := newVisitor(t, m)
						if logsOut {
							v.visit(func(s *cookiesession.Session) { s.Put("n", 0); s.Remember(5 * day) })
							if destroyed == "never" {
								continue
							}
						}
						want := byConfig.after(order, byConfig)
						lines := v.visit(func(s *cookiesession.Session) {
							if destroyed == "before" {
								s.Destroy()
							}
							for _, one := range order {
								one.call(s)
							}
							if destroyed == "after" {
								s.Destroy()
								want = byConfig
							}
							s.Put("n", 1)
						})
						if got := v.sessionMaxAge(lines); got != want.maxAge() {
							t.Errorf("%s: Max-Age %s, want %s", name, got, want.maxAge())
						}
						checkLife(t, name, v, want)
					}
				}
			})
		})
	}
}

// ExpireIn moves the deadline, nearer or farther, and nothing else: values, ID, creation, idle timeout and mode stay.
func TestExpireIn(t *testing.T) {
	for _, d := range []time.Duration{time.Second, 10 * time.Minute, 90*time.Minute + time.Millisecond, day, 30 * day, 400 * day} {
		for _, idle := range []time.Duration{0, time.Hour} {
			t.Run(fmt.Sprintf("%v/idle=%v", d, idle), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					v := newVisitor(t, newManager(t, withIdle(idle)))
					v.visit(put("n", 1))
					before := v.load()
					id, created := before.ID(), before.CreatedAt()
					time.Sleep(30 * time.Minute)
					said := time.Now()
					v.visit(func(s *cookiesession.Session) {
						s.ExpireIn(d)
						if !s.Changed() {
							t.Error("that is no change")
						}
					})
					ends := said.Add((d + time.Second - 1).Truncate(time.Second))
					s := v.load()
					if s.ID() != id || !s.CreatedAt().Equal(created) || s.Get("n") != int64(1) || !s.ExpiresAt().Equal(ends) || s.Remembered() {
						t.Errorf("got ID %s, CreatedAt %v, n %v, ExpiresAt %v; want %s, %v, 1, %v", s.ID(), s.CreatedAt(), s.Get("n"), s.ExpiresAt(), id, created, ends)
					}
					replayed := v.header()
					last, reason := ends, "expired"
					if until := said.Add(idle + time.Second); idle > 0 && until.Before(ends) {
						last, reason = until, "idle"
					}
					time.Sleep(time.Until(last) - time.Second)
					if got := rejected(v.m, replayed); got != "" {
						t.Errorf("in its last second: refused as %s", got)
					}
					time.Sleep(time.Second)
					if got := rejected(v.m, replayed); got != reason {
						t.Errorf("a second later: got %q, want %s", got, reason)
					}
				})
			})
		}
	}
}

// A visitor who keeps coming stays until ExpireIn's deadline, and leases are written for as long.
func TestExpireInKeepsLeases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVisitor(t, newManager(t, withIdle(time.Hour)))
		v.visit(func(s *cookiesession.Session) { s.Put("n", 1); s.ExpireIn(3 * day) })
		for range 3*48 - 1 {
			time.Sleep(30 * time.Minute)
			if got := v.wrote(v.visit(touched)); got != "[.lease]" {
				t.Fatalf("wrote %s, want a lease", got)
			}
			v.wantState("valid")
		}
		time.Sleep(30 * time.Minute)
		v.wantState("expired")
	})
}

// Remember and ExpireIn grant a second to MaxRemember, to the nanosecond, and change nothing beyond.
func TestMaxRemember(t *testing.T) {
	calls := map[string]func(*cookiesession.Session, time.Duration){
		"Remember": (*cookiesession.Session).Remember, "ExpireIn": (*cookiesession.Session).ExpireIn,
	}
	for _, most := range []time.Duration{0, time.Second, time.Hour, 30 * day, 400 * day} {
		bound := most
		if most == 0 {
			bound = 400 * day
		}
		m := newManager(t, func(c *cookiesession.Config) { c.MaxRemember = most })
		for name, call := range calls {
			for d, ok := range map[time.Duration]bool{
				-1: false, 0: false, time.Second - 1: false, time.Second: true,
				bound - 1: bound > time.Second, bound: true, bound + 1: false, 1<<63 - 1: false, -1 << 63: false,
			} {
				synctest.Test(t, func(t *testing.T) {
					v := newVisitor(t, m)
					v.visit(put("n", 1))
					s := v.load()
					before := s.ExpiresAt()
					call(s, d)
					err := s.Err()
					if (err == nil) != ok || !ok && (s.Changed() || s.Remembered() || !s.ExpiresAt().Equal(before)) {
						t.Errorf("MaxRemember %v: %s(%v): error %v, changed %v", most, name, d, err, s.Changed())
					}
					if err != nil && !strings.HasPrefix(err.Error(), fmt.Sprintf("cookiesession: %s for %v, want a second to Config.MaxRemember, %v", name, d, bound)) {
						t.Errorf("got error %q", err)
					}
					if saveErr := v.m.Save(http.Header{}, s); (saveErr == nil) != ok {
						t.Errorf("MaxRemember %v: %s(%v): Save returns %v", most, name, d, saveErr)
					}
				})
			}
		}
	}
}

// MaxRemember itself is a second to 400 days; it bounds what requests ask for, not Lifetime.
func TestMaxRememberInConfig(t *testing.T) {
	for _, test := range []struct {
		max time.Duration
		ok  bool
	}{
		{-1, false}, {1, false}, {time.Second - 1, false}, {time.Second, true}, {time.Second + 1, true},
		{400*day - 1, true}, {400 * day, true}, {400*day + 1, false},
	} {
		_, err := cookiesession.New(cookiesession.Config{Keys: newRing(t), MaxRemember: test.max})
		if (err == nil) != test.ok || err != nil && !strings.HasPrefix(err.Error(), "cookiesession: Config.MaxRemember is ") {
			t.Errorf("MaxRemember %v: got error %v", test.max, err)
		}
	}
	v := newVisitor(t, newManager(t, func(c *cookiesession.Config) { c.MaxRemember, c.Persistent = time.Hour, true }))
	if got := v.sessionMaxAge(v.visit(login)); got != "86400" {
		t.Errorf("Regenerate under a MaxRemember of an hour: Max-Age %s, want Lifetime's 86400", got)
	}
}

// Persist decides against Persistent, in the request that makes the session and in any later one, and what it decided
// stays while others change the session.
func TestPersist(t *testing.T) {
	for _, persistent := range []bool{false, true} {
		for _, on := range []bool{false, true} {
			for _, sameSite := range []http.SameSite{http.SameSiteLaxMode, http.SameSiteStrictMode} {
				for _, later := range []bool{false, true} {
					t.Run(fmt.Sprintf("Persistent=%v/Persist(%v)/SameSite=%v/later=%v", persistent, on, sameSite, later), func(t *testing.T) {
						synctest.Test(t, func(t *testing.T) {
							m := newManager(t, func(c *cookiesession.Config) { c.Persistent, c.SameSite = persistent, sameSite })
							v := newVisitor(t, m)
							if later {
								v.visit(put("n", 0))
								time.Sleep(time.Hour)
							}
							left := 24
							if later {
								left--
							}
							for i, do := range []func(*cookiesession.Session){
								func(s *cookiesession.Session) { s.Put("n", 1); s.Persist(on) },
								put("n", 2), put("n", 3),
								func(s *cookiesession.Session) { s.Persist(on); s.Put("n", 4) },
								func(s *cookiesession.Session) { s.CSRFToken() },
								func(s *cookiesession.Session) { s.Clear() },
							} {
								want := "none"
								if on {
									want = fmt.Sprint((left - i) * 3600)
								}
								lines := v.visit(do)
								if got := v.sessionMaxAge(lines); got != want {
									t.Errorf("visit %d: Max-Age %s, want %s", i, got, want)
								}
								for _, line := range lines { // the hint too goes with the browser, or stays
									if _, attributes, _ := strings.Cut(line, ";"); strings.Contains(attributes, "Max-Age") != on {
										t.Errorf("visit %d: a line has%s, want it persistent: %v", i, attributes, on)
									}
								}
								time.Sleep(time.Hour)
							}
							if lines := v.visit(func(s *cookiesession.Session) { s.Persist(on) }); len(lines) > 0 {
								t.Errorf("to say it again wrote %s", v.wrote(lines))
							}
							v.jar.Restart()
							if got := v.state(); (got == "valid") != on {
								t.Errorf("when the browser was closed the session is %s", got)
							}
						})
					})
				}
			}
		}
	}
}

// Persist(false) takes back what Remember said, but for the deadline.
func TestPersistForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVisitor(t, newManager(t, withIdle(time.Hour)))
		v.visit(func(s *cookiesession.Session) { s.Put("n", 1); s.Remember(30 * day) })
		time.Sleep(5 * day)
		v.wantState("valid")
		v.visit(func(s *cookiesession.Session) { s.Persist(false) })
		s := v.load()
		if s.Remembered() || time.Until(s.ExpiresAt()) != 25*day || time.Until(s.IdleAt()) != time.Hour {
			t.Errorf("Remembered %v, lasts %v, idle in %v", s.Remembered(), time.Until(s.ExpiresAt()), time.Until(s.IdleAt()))
		}
		time.Sleep(time.Hour + time.Second)
		v.wantState("idle")
	})
}

// After the commit what is said comes too late; what says nothing new doesn't.
func TestSaidTooLate(t *testing.T) {
	for _, one := range sayings {
		for _, remembered := range []bool{false, true} {
			v := newVisitor(t, newManager(t, nil))
			v.visit(func(s *cookiesession.Session) {
				s.Put("n", 1)
				if remembered {
					s.Remember(day)
				}
			})
			inHandler(v.m, requestWith(v.header()), func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(http.StatusOK)
				s := v.m.Get(r)
				one.call(s)
				tooLate := !(one.name == "Persist(true)" && remembered)
				if (s.Err() == cookiesession.ErrCommitted) != tooLate {
					t.Errorf("%s after the commit, remembered %v: got %v", one.name, remembered, s.Err())
				}
				if s.Remembered() != remembered {
					t.Errorf("%s after the commit changed the session", one.name)
				}
			})
		}
	}
}
