package revoke_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-50e21e88/cookiesession"
	"github.com/seed-50e21e88/cookiesession/contrib/revoke"
)

type (
	uuid   [4]byte
	userID int64
	name   string
)

func (u uuid) String() string                 { return "uuid" }
func (u uuid) MarshalBinary() ([]byte, error) { return u[:], nil }
func (u *uuid) UnmarshalBinary(b []byte) error {
	copy(u[:], b)
	return nil
}
func (userID) String() string { return "user" }

// A value is compared as the session holds it, however it is given.
func TestEndValues(t *testing.T) {
	now := time.Now()
	for _, test := range []struct {
		name       string
		put, ended any
		want       bool
	}{
		{"string", "ada", "ada", true},
		{"another string", "ada", "Ada", false},
		{"bytes for a string", "ada", []byte("ada"), true},
		{"string for bytes", []byte("ada"), "ada", true},
		{"named string", name("ada"), "ada", true},
		{"empty", "", "", true},
		{"int", 7, int64(7), true},
		{"unsigned", uint8(7), 7, true},
		{"large", uint64(1 << 63), uint64(1 << 63), true},
		{"another int", 7, 8, false},
		{"negative", -7, 7, false},
		{"int with String", userID(7), 7, true},
		{"int with String, by what that prints", userID(7), "user", false},
		{"int, by its digits", 7, "7", false},
		{"UUID", uuid{1, 2}, uuid{1, 2}, true},
		{"another UUID", uuid{1, 2}, uuid{1, 3}, false},
		{"UUID, by what it prints", uuid{1, 2}, "uuid", false},
		{"number from JSON", 7.0, 7, true},
		{"fraction", 7.5, 7.5, true},
		{"fraction and int", 7.5, 7, false},
		{"json.Number", json.Number("7"), json.Number("7"), true},
		{"bool", true, true, true},
		{"other bool", true, false, false},
		{"time", now, now.In(time.FixedZone("", 3600)), true},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newFleet(t).server(func(c *revoke.Config) { c.Keys = []string{"id"} })
				marked, unmarked := newBrowser(), newBrowser()
				login := s.list.Begin()
				marked.visit(s, func(s *cookiesession.Session) { s.Put("id", test.put); login.Keep(s) })
				unmarked.visit(s, func(s *cookiesession.Session) { s.Put("id", test.put) })
				must(t, s.list.End(t.Context(), "id", test.ended))
				for _, b := range []*browser{marked, unmarked} {
					in := false
					b.visit(s, func(s *cookiesession.Session) { in = s.Has("id") })
					if in == test.want {
						t.Errorf("got session %v, want %v", in, !test.want)
					}
				}
			})
		})
	}
}

// What can't end anybody is an error, and publishes nothing.
func TestEndRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		s := f.server(nil)
		session := func(values map[string]any) *cookiesession.Session {
			found, err := s.manager.Load(newBrowser().request())
			must(t, err)
			for k, v := range values {
				found.Put(k, v)
			}
			return found
		}
		end := func(key string, value any) error { return s.list.End(t.Context(), key, value) }
		for _, test := range []struct {
			name string
			err  error
			want string
		}{
			{"key that isn't in Keys", end("sid", "1"), `"sid" is none of Config.Keys`},
			{"no key", end("", "1"), "none of Config.Keys"},
			{"nil", end("user", nil), "can't be compared"},
			{"list", end("user", []string{"ada"}), "can't be compared"},
			{"map", end("user", map[string]int{}), "can't be compared"},
			{"channel", end("user", make(chan int)), "revoke: value of"},
			{"EndOthers by a key that isn't in Keys", s.list.EndOthers(t.Context(), session(map[string]any{"sid": "1"}), "sid"), "none of Config.Keys"},
			{"EndOthers without a value", s.list.EndOthers(t.Context(), session(nil), "user"), "can't be compared"},
			{"no ID", s.list.EndSession(t.Context(), ""), "32 hexadecimal digits"},
			{"short ID", s.list.EndSession(t.Context(), strings.Repeat("0", 31)), "32 hexadecimal digits"},
			{"long ID", s.list.EndSession(t.Context(), strings.Repeat("0", 33)), "32 hexadecimal digits"},
			{"no digits", s.list.EndSession(t.Context(), strings.Repeat("G", 32)), "32 hexadecimal digits"},
			{"EndSession of a good ID", s.list.EndSession(t.Context(), strings.Repeat("a", 32)), ""},
		} {
			if test.want == "" && test.err == nil {
				continue
			}
			if test.err == nil || test.want == "" || !strings.Contains(test.err.Error(), test.want) {
				t.Errorf("%s: got %v, want %q", test.name, test.err, test.want)
			}
		}
		if _, err := s.list.Entry("sid", 1); err == nil {
			t.Error("got an Entry of a key that isn't in Keys")
		}
		heard()
		if got := s.list.Stats().Entries; got != 1 {
			t.Errorf("got %d entries, want that of the good ID", got)
		}
	})
}

// An End that fails changes nothing here, and can be tried again.
func TestEndFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		s := f.server(nil)
		b := newBrowser()
		b.login(s, "ada")
		f.engine.fail(errDown)
		if err := s.list.End(t.Context(), "user", "ada"); !errors.Is(err, errDown) {
			t.Errorf("got %v, want the engine's error", err)
		}
		b.want(t, s, "ada")
		f.engine.fail(nil)
		must(t, s.list.End(t.Context(), "user", "ada"))
		b.want(t, s, "nobody")
		s.list.Close()
		if err := s.list.End(t.Context(), "user", "ada"); !errors.Is(err, revoke.ErrClosed) {
			t.Errorf("got %v, want ErrClosed", err)
		}
	})
}

// An engine that has lost its place, and its clock with it, still ends what has a mark from before.
func TestEndBelowMark(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, engine := serverOfBehind(t)
		must(t, s.list.End(t.Context(), "user", "ada"))
		b := newBrowser()
		b.login(s, "ada")
		engine.back.Store(true)
		must(t, s.list.End(t.Context(), "user", "ada"))
		b.want(t, s, "nobody")

		own, other := newBrowser(), newBrowser()
		own.login(s, "ada")
		other.login(s, "ada")
		own.visit(s, func(session *cookiesession.Session) { must(t, s.list.EndOthers(t.Context(), session, "user")) })
		own.want(t, s, "ada")
		other.want(t, s, "nobody")
		must(t, s.list.End(t.Context(), "user", "ada"))
		own.want(t, s, "nobody")
	})
}

// EndOthers of a session without a mark, which an engine that has lost its place takes at the second try, isn't ended by
// the first.
func TestEndOthersBelowMarkByTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, engine := serverOfBehind(t)
		must(t, s.list.End(t.Context(), "user", "ada"))
		time.Sleep(5 * time.Second)
		own, other := newBrowser(), newBrowser()
		own.visit(s, func(session *cookiesession.Session) { session.Put("user", "ada") })
		other.login(s, "ada")
		engine.back.Store(true)
		own.visit(s, func(session *cookiesession.Session) { must(t, s.list.EndOthers(t.Context(), session, "user")) })
		own.want(t, s, "ada")
		other.want(t, s, "nobody")
		must(t, s.list.End(t.Context(), "user", "ada"))
		own.want(t, s, "nobody")
	})
}

// behind gives positions as a clock would that was set back.
type behind struct {
	revoke.Engine
	back atomic.Bool
}

// serverOfBehind returns a server whose engine is one, and loses its place when back is set.
func serverOfBehind(t *testing.T) (*server, *behind) {
	f := newFleet(t)
	engine := &behind{Engine: f.engine.Engine}
	f.engine.Engine = engine
	return f.server(nil), engine
}

func (b *behind) Publish(ctx context.Context, e revoke.Entry, only *revoke.Condition) (revoke.Entry, error) {
	if !b.back.Load() {
		return b.Engine.Publish(ctx, e, only)
	}
	e.Pos = max(e.Pos, 1)
	return e, b.PutBack(ctx, []revoke.Entry{e})
}

// EndSession ends one session, what Regenerate has made of it, and what a slow response makes of it later.
func TestEndSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		s := f.server(nil)
		var id string
		b, other := newBrowser(), newBrowser()
		b.visit(s, func(s *cookiesession.Session) { s.Put("cart", 1); id = s.ID() })
		b.login(s, "ada")
		other.login(s, "ada")
		slow := b.copied()
		late := httpHandler(s, func(s *cookiesession.Session) { s.Regenerate() }, func() {
			must(t, s.list.EndSession(t.Context(), id))
		})
		if status := slow.send(late); status != http.StatusOK {
			t.Fatalf("got status %d", status)
		}
		heard()
		b.want(t, s, "nobody")
		slow.want(t, s, "nobody")
		other.want(t, s, "ada")
		b.login(s, "ada") // whoever comes back is welcome
		b.want(t, s, "ada")
	})
}

// httpHandler handles a session, and then does something before the response is sent.
func httpHandler(s *server, handle func(s *cookiesession.Session), then func()) http.Handler {
	return s.list.Guard(s.manager, s.manager.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		handle(s.manager.Get(r))
		then()
	})))
}

func TestEndOthers(t *testing.T) {
	// EndOthers of the browser's own session, at a server.
	endOthers := func(t *testing.T, b *browser, s *server) (err error) {
		b.visit(s, func(session *cookiesession.Session) { err = s.list.EndOthers(t.Context(), session, "user") })
		return err
	}
	run := func(name string, test func(t *testing.T, f *fleet, here, there *server)) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t)
				test(t, f, f.server(nil), f.server(nil))
			})
		})
	}
	run("spares its own session only", func(t *testing.T, f *fleet, here, there *server) {
		own, other, else_ := newBrowser(), newBrowser(), newBrowser()
		own.login(here, "ada")
		other.login(there, "ada")
		else_.login(there, "grace")
		copied := own.copied()
		must(t, endOthers(t, own, here))
		heard()
		for _, s := range []*server{here, there} {
			own.want(t, s, "ada")
			other.want(t, s, "nobody")
			copied.want(t, s, "nobody")
			else_.want(t, s, "grace")
		}
		must(t, here.list.End(t.Context(), "user", "ada")) // it can be ended later
		own.want(t, here, "nobody")
	})
	run("without a mark", func(t *testing.T, f *fleet, here, there *server) {
		own, other := newBrowser(), newBrowser()
		for _, b := range []*browser{own, other} {
			b.visit(here, func(s *cookiesession.Session) { s.Put("user", "ada") })
		}
		must(t, endOthers(t, own, here))
		heard()
		own.want(t, there, "ada")
		other.want(t, there, "nobody")
		must(t, there.list.EndAll(t.Context()))
		own.want(t, there, "nobody")
	})
	run("of a session that is over, on a server that hasn't heard", func(t *testing.T, f *fleet, here, there *server) {
		thief := newBrowser()
		thief.login(here, "ada")
		goOn := there.engine.hang() // it hears of nothing, until it asks
		must(t, here.list.End(t.Context(), "user", "ada"))
		var err error
		thief.visit(there, func(s *cookiesession.Session) {
			go func() { time.Sleep(time.Second); goOn() }()
			err = there.list.EndOthers(t.Context(), s, "user")
		})
		if !errors.Is(err, revoke.ErrRevoked) {
			t.Errorf("got %v, want ErrRevoked", err)
		}
		heard()
		thief.want(t, there, "nobody")
		thief.want(t, here, "nobody")
	})
	run("while the engine is down", func(t *testing.T, f *fleet, here, there *server) {
		own, other := newBrowser(), newBrowser()
		own.login(here, "ada")
		other.login(here, "ada")
		f.engine.fail(errDown)
		if err := endOthers(t, own, here); !errors.Is(err, errDown) {
			t.Errorf("got %v, want the engine's error", err)
		}
		own.want(t, here, "ada")
		other.want(t, here, "ada")
	})
	run("after the response was sent", func(t *testing.T, f *fleet, here, there *server) {
		own := newBrowser()
		own.login(here, "ada")
		var err error
		own.send(here.manager.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusOK)
			err = here.list.EndOthers(t.Context(), here.manager.Get(r), "user")
		})))
		if !errors.Is(err, cookiesession.ErrCommitted) {
			t.Errorf("got %v, want ErrCommitted", err)
		}
		own.want(t, here, "nobody")
	})
}

// Sync returns when what was acknowledged before is known, in one round trip, also while nothing else arrives.
func TestSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		f.engine.Engine = quiet{f.engine.Engine}
		here, there := f.server(nil), f.server(nil)
		b := newBrowser()
		b.login(here, "ada")
		must(t, here.list.End(t.Context(), "user", "ada"))
		b.copied().want(t, there, "ada")
		calls := there.engine.count()
		must(t, there.list.Sync(t.Context()))
		if got := there.engine.count() - calls; got != 1 {
			t.Errorf("got %d round trips, want 1", got)
		}
		b.want(t, there, "nobody")

		goOn := there.engine.hang()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := there.list.Sync(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want DeadlineExceeded", err)
		}
		goOn()
		there.engine.fail(errDown)
		if err := there.list.Sync(t.Context()); !errors.Is(err, errDown) {
			t.Errorf("got %v, want the engine's error", err)
		}
		there.engine.fail(nil)
		goOn = there.engine.hang()
		waiting := make(chan error, 1)
		go func() { waiting <- there.list.Sync(t.Context()) }()
		time.Sleep(time.Second)
		there.list.Close()
		if err := <-waiting; !errors.Is(err, revoke.ErrClosed) {
			t.Errorf("Close while it waits: got %v, want ErrClosed", err)
		}
		goOn()
		if err := there.list.Sync(t.Context()); !errors.Is(err, revoke.ErrClosed) {
			t.Errorf("got %v, want ErrClosed", err)
		}
	})
}

// quiet is an engine that tells nobody of changes: only the look every 20 s finds them.
type quiet struct{ revoke.Engine }

func (quiet) Follow(ctx context.Context, read func(context.Context) (string, error)) error {
	for {
		if _, err := read(ctx); err != nil {
			return err
		}
		select {
		case <-time.After(20 * time.Second):
		case <-ctx.Done():
			return nil
		}
	}
}

// Promise 1: requests send nothing to the engine.
func TestNoRoundTrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFleet(t).server(nil)
		must(t, s.list.End(t.Context(), "user", "grace"))
		b := newBrowser()
		b.login(s, "ada")
		heard()
		before := s.engine.count()
		for range 10_000 {
			b.want(t, s, "ada")
		}
		if got := s.engine.count() - before; got != 0 {
			t.Errorf("got %d calls of the engine, want none", got)
		}
	})
}

// Names of users don't reach the engine, and its entries don't tell one key's value from another's.
func TestEntryHoldsNoNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFleet(t).server(func(c *revoke.Config) { c.Keys = []string{"user", "device"} })
		user, err := s.list.Entry("user", "a-long-name-of-a-user")
		must(t, err)
		device, err := s.list.Entry("device", "a-long-name-of-a-user")
		must(t, err)
		if b := user.Append(nil); strings.Contains(string(b), "name") || len(b) != revoke.EntrySize {
			t.Errorf("got %q", b)
		}
		if user.Key == device.Key {
			t.Error("got one key for two kinds")
		}
		if now := time.Now().Unix(); int64(user.Before) != now+1 {
			t.Errorf("got Before %d, want %d", user.Before, now+1)
		}
	})
}
