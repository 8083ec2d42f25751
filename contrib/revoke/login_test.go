package revoke_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-50e21e88/cookiesession"
	"github.com/seed-50e21e88/cookiesession/contrib/revoke"
)

// Promise 6: a login that began before a revocation is over, whatever Regenerate and clocks say; one that began later
// isn't, in the same second too.
func TestLogin(t *testing.T) {
	end := func(f *fleet, s *server) { must(f.t, s.list.End(f.t.Context(), "user", "ada")) }
	endAll := func(f *fleet, s *server) { must(f.t, s.list.EndAll(f.t.Context())) }
	for _, test := range []struct {
		name  string
		order func(f *fleet, here, there *server, b *browser)
		want  string
	}{
		{"then End", func(f *fleet, here, there *server, b *browser) {
			b.login(here, "ada")
			end(f, here)
		}, "nobody"},
		{"then End on the other server", func(f *fleet, here, there *server, b *browser) {
			b.login(here, "ada")
			end(f, there)
		}, "nobody"},
		{"then EndAll", func(f *fleet, here, there *server, b *browser) {
			b.login(here, "ada")
			endAll(f, here)
		}, "nobody"},
		{"then End of somebody else", func(f *fleet, here, there *server, b *browser) {
			b.login(here, "ada")
			must(f.t, here.list.End(f.t.Context(), "user", "grace"))
		}, "ada"},
		{"End while it is under way", func(f *fleet, here, there *server, b *browser) {
			b.login(here, "ada", func() { end(f, here) })
		}, "nobody"},
		{"End on the other server while it is under way", func(f *fleet, here, there *server, b *browser) {
			b.login(here, "ada", func() { end(f, there); heard() })
		}, "nobody"},
		{"End on the other server while it is under way, not heard yet", func(f *fleet, here, there *server, b *browser) {
			goOn := here.engine.hang()
			b.login(here, "ada", func() { end(f, there) })
			goOn()
			time.Sleep(10 * time.Second)
		}, "nobody"},
		{"EndAll while it is under way", func(f *fleet, here, there *server, b *browser) {
			b.login(here, "ada", func() { endAll(f, here) })
		}, "nobody"},
		{"End while it is under way, and an earlier one", func(f *fleet, here, there *server, b *browser) {
			end(f, here)
			b.login(here, "ada", func() { end(f, here) })
		}, "nobody"},
		{"End before, in the same second", func(f *fleet, here, there *server, b *browser) {
			end(f, here)
			b.login(here, "ada")
		}, "ada"},
		{"EndAll before, in the same second", func(f *fleet, here, there *server, b *browser) {
			endAll(f, here)
			b.login(here, "ada")
		}, "ada"},
		{"End of all before, then of one", func(f *fleet, here, there *server, b *browser) {
			endAll(f, here)
			b.login(here, "ada")
			end(f, here)
		}, "nobody"},
		{"End, then Regenerate on a server that hasn't heard", func(f *fleet, here, there *server, b *browser) {
			b.login(here, "ada")
			goOn := there.engine.hang()
			time.Sleep(2 * time.Second)
			end(f, here)
			b.visit(there, func(s *cookiesession.Session) { s.Regenerate() })
			goOn()
			time.Sleep(10 * time.Second)
		}, "nobody"},
		{"then End, then login again", func(f *fleet, here, there *server, b *browser) {
			b.login(here, "ada")
			end(f, here)
			b.login(here, "ada")
		}, "ada"},
		{"End by a server whose clock is behind", func(f *fleet, here, there *server, b *browser) {
			b.login(here, "ada")
			must(f.t, publishAt(f, here, time.Now().Add(-30*time.Second)))
		}, "nobody"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t)
				here, there := f.server(nil), f.server(nil)
				b := newBrowser()
				test.order(f, here, there, b)
				heard()
				c := b.copied()
				b.want(t, here, test.want)
				c.want(t, there, test.want)
			})
		})
	}
}

// What ended a value that is never used again ends whatever session begins with it later, too: a provider's logout can come
// before the login that it is about. What else sessions have in common with ended ones is forgiven as ever. For each
// session the verdict is one from its beginning to its end.
func TestLoginNeverReused(t *testing.T) {
	const lifetime = time.Hour
	end := func(f *fleet, s *server, sid string) { must(f.t, s.list.End(f.t.Context(), "sid", sid)) }
	login := func(b *browser, s *server, sid string, meanwhile ...func()) {
		login := s.list.Begin()
		for _, do := range meanwhile {
			do()
		}
		b.visit(s, func(s *cookiesession.Session) {
			s.Regenerate()
			s.Put("user", "ada")
			s.Put("sid", sid)
			login.Keep(s)
		})
	}
	for _, test := range []struct {
		name  string
		order func(f *fleet, here, there *server, b *browser)
		want  string
		alone bool // only a server that knows that the value is never reused can tell, since there is no mark of it
	}{
		{"End, then login", func(f *fleet, here, there *server, b *browser) {
			end(f, here, "1")
			login(b, here, "1")
		}, "nobody", false},
		{"End, then login much later", func(f *fleet, here, there *server, b *browser) {
			end(f, here, "1")
			time.Sleep(50 * time.Minute)
			login(b, here, "1")
		}, "nobody", false},
		{"End on the other server, then login", func(f *fleet, here, there *server, b *browser) {
			end(f, there, "1")
			heard()
			login(b, here, "1")
		}, "nobody", false},
		{"End on the other server, then login, not heard yet", func(f *fleet, here, there *server, b *browser) {
			goOn := here.engine.hang()
			end(f, there, "1")
			login(b, here, "1")
			goOn()
			time.Sleep(10 * time.Second)
		}, "nobody", false},
		{"End while the login is under way", func(f *fleet, here, there *server, b *browser) {
			login(b, here, "1", func() { end(f, here, "1") })
		}, "nobody", false},
		{"login, then End", func(f *fleet, here, there *server, b *browser) {
			login(b, here, "1")
			end(f, here, "1")
		}, "nobody", false},
		{"End, then login again and again", func(f *fleet, here, there *server, b *browser) {
			end(f, here, "1")
			login(b, here, "1")
			login(b, here, "1")
		}, "nobody", false},
		{"End, then login without Keep", func(f *fleet, here, there *server, b *browser) {
			end(f, here, "1")
			time.Sleep(2 * time.Minute) // so that the time says nothing
			b.visit(here, func(s *cookiesession.Session) { s.Put("user", "ada"); s.Put("sid", "1") })
		}, "nobody", true},
		{"End, then the value after Keep", func(f *fleet, here, there *server, b *browser) {
			end(f, here, "1")
			time.Sleep(2 * time.Minute)
			b.login(here, "ada")
			b.visit(here, func(s *cookiesession.Session) { s.Put("sid", "1") })
		}, "nobody", true},
		{"End of another value, then login", func(f *fleet, here, there *server, b *browser) {
			end(f, here, "1")
			login(b, here, "2")
		}, "ada", false},
		{"End of the user, then login", func(f *fleet, here, there *server, b *browser) {
			must(f.t, here.list.End(f.t.Context(), "user", "ada"))
			must(f.t, here.list.EndAll(f.t.Context()))
			login(b, here, "1")
		}, "ada", false},
		{"EndOthers spares the session", func(f *fleet, here, there *server, b *browser) {
			login(b, here, "1")
			b.visit(here, func(s *cookiesession.Session) { must(f.t, here.list.EndOthers(f.t.Context(), s, "sid")) })
		}, "ada", false},
		{"EndOthers, then login", func(f *fleet, here, there *server, b *browser) {
			other := newBrowser()
			login(other, here, "1")
			other.visit(here, func(s *cookiesession.Session) { must(f.t, here.list.EndOthers(f.t.Context(), s, "sid")) })
			login(b, here, "1")
		}, "nobody", false},
		{"EndOthers of the user by a session without a mark, then End", func(f *fleet, here, there *server, b *browser) {
			b.visit(here, func(s *cookiesession.Session) { s.Put("user", "ada"); s.Put("sid", "1") })
			b.visit(here, func(s *cookiesession.Session) { must(f.t, here.list.EndOthers(f.t.Context(), s, "user")) })
			b.want(f.t, here, "ada")
			end(f, here, "1")
		}, "nobody", false},
		{"EndOthers spares the session, which logs in again", func(f *fleet, here, there *server, b *browser) {
			login(b, here, "1")
			b.visit(here, func(s *cookiesession.Session) { must(f.t, here.list.EndOthers(f.t.Context(), s, "sid")) })
			login(b, here, "1")
		}, "ada", false},
		{"EndOthers spares the session, which logs in again, then End", func(f *fleet, here, there *server, b *browser) {
			login(b, here, "1")
			b.visit(here, func(s *cookiesession.Session) { must(f.t, here.list.EndOthers(f.t.Context(), s, "sid")) })
			login(b, here, "1")
			end(f, here, "1")
		}, "nobody", false},
		{"End, then login in the last second of MaxLifetime", func(f *fleet, here, there *server, b *browser) {
			ended := time.Now()
			end(f, here, "1")
			time.Sleep(time.Until(ended.Truncate(time.Second).Add(lifetime + time.Second - 1)))
			login(b, here, "1")
		}, "nobody", false},
		{"End, then login a second later", func(f *fleet, here, there *server, b *browser) {
			ended := time.Now()
			end(f, here, "1")
			time.Sleep(time.Until(ended.Truncate(time.Second).Add(lifetime + time.Second)))
			login(b, here, "1")
		}, "ada", false},
		{"End, then login then without Keep", func(f *fleet, here, there *server, b *browser) {
			end(f, here, "1")
			time.Sleep(lifetime + time.Second)
			b.visit(here, func(s *cookiesession.Session) { s.Put("user", "ada"); s.Put("sid", "1") })
		}, "ada", false},
		{"End, then login then without Keep, and EndOthers of the user", func(f *fleet, here, there *server, b *browser) {
			end(f, here, "1")
			time.Sleep(lifetime + time.Second)
			b.visit(here, func(s *cookiesession.Session) { s.Put("user", "ada"); s.Put("sid", "1") })
			b.visit(here, func(s *cookiesession.Session) { must(f.t, here.list.EndOthers(f.t.Context(), s, "user")) })
		}, "ada", false},
		{"End, then login then, and End again", func(f *fleet, here, there *server, b *browser) {
			end(f, here, "1")
			time.Sleep(lifetime + time.Second)
			login(b, here, "1")
			end(f, here, "1")
		}, "nobody", false},
		{"the entry has expired", func(f *fleet, here, there *server, b *browser) {
			end(f, here, "1")
			time.Sleep(2*lifetime + 2*time.Minute)
			login(b, here, "1")
		}, "ada", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t)
				f.change = func(c *revoke.Config) { c.Keys, c.MaxLifetime = []string{"user", "sid"}, lifetime }
				here := f.server(func(c *revoke.Config) { c.NeverReused = []string{"sid"} })
				there := f.server(nil) // believes the mark
				b := newBrowser()
				test.order(f, here, there, b)
				heard()
				c := b.copied()
				b.want(t, here, test.want)
				if !test.alone {
					c.want(t, there, test.want)
				}
				for until := time.Now().Add(lifetime - time.Minute); time.Now().Before(until) && !t.Failed(); time.Sleep(time.Minute) {
					c.copied().want(t, here, test.want) // and stays so to the session's end
					if !test.alone {
						c.copied().want(t, there, test.want)
					}
				}
			})
		})
	}
}

// publishAt revokes ada as a server does whose clock shows now.
func publishAt(f *fleet, s *server, now time.Time) error {
	e, err := s.list.Entry("user", "ada")
	if err == nil {
		e.Before = uint32(now.Unix() + 1)
		_, err = f.engine.Publish(f.t.Context(), e, nil)
	}
	return err
}

// Sessions without a mark, from before the module, are compared by time: created in the second of the End they are over,
// two minutes after it they are in.
func TestLoginWithoutMark(t *testing.T) {
	for _, test := range []struct {
		name         string
		before, wait time.Duration // from a full second to the login, and from there to End
		want         string
	}{
		{"long before", 0, time.Hour, "nobody"},
		{"in the same second", 0, 0, "nobody"},
		{"in the same second, late", 900 * time.Millisecond, 50 * time.Millisecond, "nobody"},
		{"in the same second, at its end", 0, time.Second - 1, "nobody"},
		{"a second before", 0, time.Second, "nobody"},
		{"two minutes after", 0, -2 * time.Minute, "ada"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newFleet(t).server(nil)
				time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second + test.before)))
				if test.wait < 0 {
					must(t, s.list.End(t.Context(), "user", "ada"))
					time.Sleep(-test.wait)
				}
				b := newBrowser()
				b.visit(s, func(s *cookiesession.Session) { s.Put("user", "ada") })
				if test.wait >= 0 {
					time.Sleep(test.wait)
					must(t, s.list.End(t.Context(), "user", "ada"))
				}
				b.want(t, s, test.want)
			})
		})
	}
}

// A value that is put after Keep is compared by time.
func TestLoginValueAfterKeep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFleet(t).server(func(c *revoke.Config) { c.Keys = []string{"user", "device"} })
		b := newBrowser()
		b.login(s, "ada")
		b.visit(s, func(s *cookiesession.Session) { s.Put("device", "phone") })
		must(t, s.list.End(t.Context(), "device", "phone"))
		b.want(t, s, "nobody")
	})
}

// Servers whose Keys differ, in the middle of a deployment, agree on what is over.
func TestLoginKeysDiffer(t *testing.T) {
	lists := [][]string{{"user", "sid"}, {"sid", "user"}, {"user"}, {"tenant", "user", "sid"}}
	for _, end := range []string{"user", "sid"} {
		synctest.Test(t, func(t *testing.T) {
			f := newFleet(t)
			var servers []*server
			for _, keys := range lists {
				servers = append(servers, f.server(func(c *revoke.Config) { c.Keys = keys }))
			}
			for i, s := range servers[:2] {
				login := func(user, sid string) *browser {
					b := newBrowser()
					begun := s.list.Begin()
					b.visit(s, func(s *cookiesession.Session) {
						s.Put("user", user)
						s.Put("sid", sid)
						begun.Keep(s)
					})
					return b
				}
				ended, spared := login("ada", "1"), login("grace", "2")
				must(t, servers[1-i].list.End(t.Context(), end, map[string]string{"user": "ada", "sid": "1"}[end]))
				heard()
				for _, s := range servers {
					ended.copied().want(t, s, "nobody")
					spared.copied().want(t, s, "grace")
				}
				time.Sleep(time.Minute)
			}
		})
	}
}

// An entry counts until no session is left that it could concern, and is remembered a minute longer, for servers whose
// clocks are behind: a login in that minute must be good there too.
func TestLoginAfterExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		s := f.server(func(c *revoke.Config) { c.MaxLifetime, c.MaxStale = time.Hour, time.Minute })
		must(t, s.list.End(t.Context(), "user", "ada"))
		e, err := s.list.Entry("user", "ada")
		must(t, err)
		time.Sleep(time.Hour + time.Minute + time.Minute + 2*time.Second)
		b := newBrowser()
		b.login(s, "ada")
		slow := f.server(func(c *revoke.Config) { c.MaxLifetime = 2 * time.Hour }) // reads what is left
		if got := slow.list.Stats().Entries; got != 1 || int64(e.Expires) > time.Now().Unix() {
			t.Fatalf("got %d entries, want 1 that has expired", got)
		}
		b.want(t, slow, "ada")
		forgetful := newFleet(t)
		forgetful.keys = f.keys
		b.login(forgetful.server(nil), "ada") // which doesn't know of that End any more
		b.want(t, slow, "ada")
		time.Sleep(3 * time.Minute)
		if got := s.list.Stats().Entries; got != 0 {
			t.Errorf("got %d entries, want none", got)
		}
	})
}

// Keep of nobody's Login is a mistake in the program.
func TestLoginZero(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("got no panic")
		}
	}()
	revoke.Login{}.Keep(nil)
}

// What Keep adds to a session is small.
func TestKeepSize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFleet(t).server(func(c *revoke.Config) { c.Keys = []string{"user", "sid"} })
		login := s.list.Begin()
		size := func(keys ...string) int {
			session, err := s.manager.Load(newBrowser().request())
			must(t, err)
			for _, key := range keys {
				session.Put(key, "1")
			}
			before := session.Size()
			login.Keep(session)
			return (session.Size() - before) * 3 / 4 // of base64
		}
		one, two := size("user"), size("user", "sid")
		t.Logf("%d B for one key, %d B for two", one, two)
		if one > 35 || two > 55 {
			t.Errorf("got %d B for one key and %d B for two", one, two)
		}
	})
}
