package revoke_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-50e21e88/cookiesession"
	"github.com/seed-50e21e88/cookiesession/contrib/revoke"
)

// Promise 4: beyond MaxStale nobody is let in unless ServeStale, and sessions are back when the engine is. What is known
// to be over stays so.
func TestStale(t *testing.T) {
	for _, test := range []struct {
		name  string
		serve bool
		age   time.Duration
		want  string
	}{
		{"at MaxStale", false, 30 * time.Second, "ada"},
		{"after MaxStale", false, 30*time.Second + 1, "503"},
		{"days after", false, 2 * time.Hour, "503"},
		{"ServeStale", true, 2 * time.Hour, "ada"},
	} {
		for _, how := range []string{"fails", "hangs"} {
			t.Run(test.name+", "+how, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := newFleet(t)
					s := f.server(func(c *revoke.Config) { c.ServeStale = test.serve })
					b, ended := newBrowser(), newBrowser()
					b.login(s, "ada")
					ended.login(s, "grace")
					must(t, s.list.End(t.Context(), "user", "grace"))
					heard()
					fresh := time.Now().Add(-s.list.Stats().Staleness)
					goOn := func() { f.engine.fail(nil) }
					if how == "hangs" {
						goOn = f.engine.hang()
					} else {
						f.engine.fail(errDown)
					}
					time.Sleep(time.Until(fresh.Add(test.age)))
					if got := s.list.Stats().Staleness; got != test.age {
						t.Fatalf("got staleness %v, want %v", got, test.age)
					}
					b.want(t, s, test.want)
					ended.want(t, s, "nobody")
					newBrowser().want(t, s, "nobody") // visitors without a session are served
					goOn()
					time.Sleep(15 * time.Second) // recovery, after an outage of any length
					b.want(t, s, "ada")
					ended.want(t, s, "nobody")
				})
			})
		}
	}
}

// A session that has ended, and gets a new lifetime from a server that hasn't heard of it, is over for all of that.
func TestStaleRegenerate(t *testing.T) {
	const maxStale = 5 * time.Minute // more than what is added for clocks
	for _, test := range []struct {
		name        string
		serve       bool
		maxLifetime time.Duration
		outage      time.Duration
	}{
		{"until MaxStale", false, day, maxStale},
		{"ServeStale, and MaxLifetime with the outage", true, day + 3*time.Hour, 3 * time.Hour},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t)
				f.change = func(c *revoke.Config) {
					c.ServeStale, c.MaxLifetime, c.MaxStale = test.serve, test.maxLifetime, maxStale
				}
				here, there := f.server(nil), f.server(nil)
				b := newBrowser()
				b.login(here, "ada")
				fresh := time.Now().Add(-there.list.Stats().Staleness)
				there.engine.fail(errDown)
				must(t, here.list.End(t.Context(), "user", "ada"))
				time.Sleep(time.Until(fresh.Add(test.outage)))
				b.visit(there, func(s *cookiesession.Session) {
					if s.Regenerate(); s.Get("user") != "ada" {
						t.Error("the session was not let in")
					}
				})
				expires := time.Now().Add(day)
				there.engine.fail(nil)
				for time.Sleep(day - test.outage - time.Minute); time.Now().Before(expires); time.Sleep(10 * time.Second) {
					for _, s := range []*server{here, there} {
						b.copied().want(t, s, "nobody")
					}
				}
			})
		})
	}
}

// Guard answers before anything can overwrite the session, to requests that bring a valid one of its manager only.
func TestGuard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		s := f.server(nil)
		b := newBrowser()
		b.login(s, "ada")
		f.engine.fail(errDown)
		time.Sleep(time.Minute)

		cookies := b.jar.Header(site)
		for _, test := range []struct {
			name, cookies string
			want          int
		}{
			{"session", cookies, 503},
			{"session and another cookie", "a=b; " + cookies, 503},
			{"none", "", 200},
			{"another cookie", "a=b", 200},
			{"forged", "__Host-session=1" + strings.Repeat("A", 100), 200},
			{"another's name", strings.Replace(cookies, "session", "other", 1), 200},
		} {
			r := httptest.NewRequest("GET", "/", nil)
			r.Header.Set("Cookie", test.cookies)
			w := httptest.NewRecorder()
			reached := false
			s.list.Guard(s.manager, s.manager.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				reached = true
				s.manager.Get(r).Put("seen", true)
			}))).ServeHTTP(w, r)
			if w.Code != test.want || reached != (test.want == 200) {
				t.Errorf("%s: got status %d, handler reached: %v; want %d", test.name, w.Code, reached, test.want)
			}
			if test.want == 503 && (w.Header().Get("Retry-After") == "" || len(w.Result().Cookies()) > 0 || w.Header().Get("Cache-Control") != "no-store") {
				t.Errorf("%s: got header %v", test.name, w.Header())
			}
		}
	})
}

// A request that Guard let pass keeps its session when the list turns stale before the handler asks.
func TestGuardGoesWithTheRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		s := f.server(nil)
		b := newBrowser()
		b.login(s, "ada")
		status := b.send(s.list.Guard(s.manager, s.manager.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			f.engine.fail(errDown)
			time.Sleep(time.Hour) // a slow body
			io.Copy(io.Discard, r.Body)
			session := s.manager.Get(r)
			if session.Get("user") != "ada" {
				t.Errorf("got %v, want ada", session.Get("user"))
			}
			session.Put("uploaded", true)
		}))))
		if status != http.StatusOK {
			t.Errorf("got status %d", status)
		}
		b.want(t, s, "503")
		f.engine.fail(nil)
		time.Sleep(15 * time.Second)
		b.want(t, s, "ada")
	})
}

// The hook alone says ErrStale; another list's Guard is no excuse.
func TestErrStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		s, other := f.server(nil), f.server(nil)
		b := newBrowser()
		b.login(s, "ada")
		s.engine.fail(errDown)
		time.Sleep(time.Minute)
		var got error
		other.list.Guard(other.manager, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, got = s.manager.Load(r)
		})).ServeHTTP(httptest.NewRecorder(), b.request())
		if !errors.Is(got, revoke.ErrStale) {
			t.Errorf("got %v, want ErrStale", got)
		}
	})
}

// A server can start while the engine is down.
func TestOpenStale(t *testing.T) {
	for _, serve := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			f := newFleet(t)
			b := newBrowser()
			b.login(f.server(nil), "ada")
			f.engine.fail(errDown)
			s := f.stale(func(c *revoke.Config) { c.ServeStale = serve })
			synctest.Wait()
			if got := s.list.Stats().Staleness; got != -1 {
				t.Errorf("got staleness %v, want -1", got)
			}
			want := map[bool]string{false: "503", true: "ada"}[serve]
			b.want(t, s, want)
			newBrowser().want(t, s, "nobody")
			time.Sleep(time.Hour)
			b.want(t, s, want)
			f.engine.fail(nil)
			time.Sleep(15 * time.Second)
			b.want(t, s, "ada")
		})
	}
}

// Open that gives up leaves nothing running: the bubble fails if something is when the test ends.
func TestOpenGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := &fallible{Engine: revoke.Memory(), err: errDown}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		l, err := revoke.Open(ctx, revoke.Config{Engine: engine, Keys: []string{"user"}, MaxLifetime: time.Hour})
		if l != nil || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), errDown.Error()) {
			t.Errorf("got %v, %v; want no List, and an error that says why", l, err)
		}
	})
}

// A curious error asks the List about itself before it says what is wrong.
type curious struct {
	list  atomic.Pointer[revoke.List]
	asked chan bool // whether the List has answered
}

func (c *curious) Error() string {
	answered := make(chan struct{})
	if l := c.list.Load(); l != nil {
		go func() {
			l.Stats()
			close(answered)
		}()
		select {
		case <-answered:
			c.asked <- true
		case <-time.After(10 * time.Second):
			c.asked <- false
		}
	}
	return "engine is down"
}

// An engine's error is code of the application's, perhaps, so nothing is locked while it runs.
func TestErrorAsksList(t *testing.T) {
	err := &curious{asked: make(chan bool, 100)}
	l, failed := revoke.OpenStale(revoke.Config{
		Engine: &fallible{Engine: revoke.Memory(), err: err}, Keys: []string{"user"}, MaxLifetime: time.Hour, Logger: slog.New(slog.DiscardHandler),
	})
	must(t, failed)
	err.list.Store(l)
	if !<-err.asked {
		t.Error("Stats waits for the error's text")
	}
	l.Close()
}

// Open waits for everything.
func TestOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := &fallible{Engine: revoke.Memory(), err: errDown}
		config := revoke.Config{Engine: engine, Keys: []string{"user"}, MaxLifetime: time.Hour}
		go func() { time.Sleep(5 * time.Second); engine.fail(nil) }()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		l, err := revoke.Open(ctx, config)
		must(t, err)
		cancel() // ends Open only
		time.Sleep(time.Hour)
		if got := l.Stats().Staleness; got < 0 || got > 3*time.Second {
			t.Errorf("got staleness %v", got)
		}
		l.Close()
		l.Close()
		calls := engine.count()
		time.Sleep(time.Minute)
		if got := engine.count(); got != calls {
			t.Errorf("got %d calls of the engine after Close", got-calls)
		}
	})
}

func TestConfig(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(c *revoke.Config)
		want   string
	}{
		{"good", func(c *revoke.Config) {}, ""},
		{"no engine", func(c *revoke.Config) { c.Engine = nil }, "Config.Engine"},
		{"no keys", func(c *revoke.Config) { c.Keys = nil }, "Config.Keys"},
		{"empty key", func(c *revoke.Config) { c.Keys = []string{""} }, "Config.Keys"},
		{"key twice", func(c *revoke.Config) { c.Keys = []string{"a", "b", "a"} }, "Config.Keys"},
		{"key with NUL", func(c *revoke.Config) { c.Keys = []string{"a\x00b"} }, "Config.Keys"},
		{"the mark's key", func(c *revoke.Config) { c.Keys = []string{"_revoke"} }, "Config.Keys"},
		{"a key that is never reused", func(c *revoke.Config) { c.NeverReused = []string{"user"} }, ""},
		{"a key that is never reused and none of Keys", func(c *revoke.Config) { c.NeverReused = []string{"sid"} }, "Config.NeverReused"},
		{"no lifetime", func(c *revoke.Config) { c.MaxLifetime = 0 }, "Config.MaxLifetime"},
		{"lifetime of a second", func(c *revoke.Config) { c.MaxLifetime = time.Second }, ""},
		{"lifetime under a second", func(c *revoke.Config) { c.MaxLifetime = time.Second - 1 }, "Config.MaxLifetime"},
		{"400 days", func(c *revoke.Config) { c.MaxLifetime = 400 * day }, ""},
		{"over 400 days", func(c *revoke.Config) { c.MaxLifetime = 400*day + 1 }, "Config.MaxLifetime"},
		{"MaxStale of 3 s", func(c *revoke.Config) { c.MaxStale = 3 * time.Second }, ""},
		{"MaxStale under 3 s", func(c *revoke.Config) { c.MaxStale = 3*time.Second - 1 }, "Config.MaxStale"},
		{"MaxStale negative", func(c *revoke.Config) { c.MaxStale = -1 }, "Config.MaxStale"},
	} {
		synctest.Test(t, func(t *testing.T) {
			c := revoke.Config{Engine: revoke.Memory(), Keys: []string{"user"}, MaxLifetime: time.Hour}
			test.change(&c)
			l, err := revoke.Open(t.Context(), c)
			if l != nil {
				l.Close()
			}
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s: got %v, want %q", test.name, err, test.want)
			}
		})
	}
}

// The log tells when the list gets too old, also if the engine just hangs, when it recovers, and of logins that lack
// Keep; and it gets at most a line a second.
func TestLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		s := f.server(nil)
		b := newBrowser()
		b.visit(s, func(s *cookiesession.Session) { s.Put("user", "ada") })
		for range 3 {
			b.want(t, s, "ada")
		}
		time.Sleep(10 * time.Second)
		goOn := f.engine.hang()
		time.Sleep(time.Minute)
		goOn()
		time.Sleep(time.Minute)
		for range 100 { // an engine that flaps
			f.engine.fail(errDown)
			time.Sleep(1200 * time.Millisecond)
			f.engine.fail(nil)
			time.Sleep(2100 * time.Millisecond)
		}
		time.Sleep(time.Minute)
		s.list.Close()
		lines := strings.Split(strings.TrimSpace(s.log.String()), "\n")
		for _, want := range []string{"no mark", "too old", "up to date again", errDown.Error(), "can be read again"} {
			n := 0
			for _, line := range lines {
				if strings.Contains(line, want) {
					n++
				}
			}
			if n == 0 || n > 1 && (want == "no mark" || want == "too old") {
				t.Errorf("got %d lines with %q", n, want)
			}
		}
		if seconds := 330 + 190; len(lines) > seconds {
			t.Errorf("got %d lines in %d seconds", len(lines), seconds)
		}
		if strings.Contains(s.log.String(), "ada") {
			t.Error("the log names a user")
		}
	})
}

// A session without a mark is told of, also where only EndAll needs one.
func TestLogUnmarked(t *testing.T) {
	const byEnd, byEndAll = "user but no mark, so it is compared", "sid but no mark, so for EndAll it is compared"
	for _, test := range []struct {
		name   string
		never  []string
		handle func(s *cookiesession.Session)
		want   string // "" if nothing
	}{
		{"no key is never reused", nil, func(s *cookiesession.Session) { s.Put("user", "ada") }, byEnd},
		{"one is, and the session has both", []string{"sid"}, func(s *cookiesession.Session) { s.Put("user", "ada"); s.Put("sid", "1") }, byEnd},
		{"one is, and the session has that only", []string{"sid"}, func(s *cookiesession.Session) { s.Put("sid", "1") }, byEndAll},
		{"all are", []string{"sid", "user"}, func(s *cookiesession.Session) { s.Put("sid", "1") }, byEndAll},
		{"no value", []string{"sid"}, func(s *cookiesession.Session) { s.Put("theme", "dark") }, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newFleet(t).server(func(c *revoke.Config) { c.Keys, c.NeverReused = []string{"sid", "user"}, test.never })
				b := newBrowser()
				b.visit(s, test.handle)
				b.who(s)
				time.Sleep(5 * time.Second)
				s.list.Close()
				if got := s.log.String(); !strings.Contains(got, test.want) || (got == "") != (test.want == "") {
					t.Errorf("got %q, want %q", got, test.want)
				}
			})
		})
	}
}

// In good weather an idle list is never older than its Config.MaxStale may be at least.
func TestStalenessIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFleet(t).server(nil)
		for range 1000 {
			time.Sleep(77 * time.Millisecond)
			if got := s.list.Stats().Staleness; got < 0 || got >= 3*time.Second {
				t.Fatalf("got staleness %v", got)
			}
		}
		s.list.Close()
		b := newBrowser()
		b.login(s, "ada")
		b.want(t, s, "ada")
		time.Sleep(time.Minute)
		b.want(t, s, "503")
	})
}
