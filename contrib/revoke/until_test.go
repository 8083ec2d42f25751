package revoke_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-50e21e88/cookiesession"
	"github.com/seed-50e21e88/cookiesession/contrib/revoke"
)

func TestUntil(t *testing.T) {
	for _, test := range []struct {
		name   string
		serve  bool
		happen func(t *testing.T, f *fleet, here, there *server, b *browser)
		want   error // nil: it goes on
	}{
		{"nothing", false, func(t *testing.T, f *fleet, here, there *server, b *browser) { time.Sleep(time.Hour) }, nil},
		{"End", false, func(t *testing.T, f *fleet, here, there *server, b *browser) {
			must(t, here.list.End(t.Context(), "user", "ada"))
		}, revoke.ErrRevoked},
		{"End elsewhere", false, func(t *testing.T, f *fleet, here, there *server, b *browser) {
			must(t, there.list.End(t.Context(), "user", "ada"))
		}, revoke.ErrRevoked},
		{"End of somebody else", false, func(t *testing.T, f *fleet, here, there *server, b *browser) {
			must(t, there.list.End(t.Context(), "user", "grace"))
		}, nil},
		{"EndAll", false, func(t *testing.T, f *fleet, here, there *server, b *browser) {
			must(t, there.list.EndAll(t.Context()))
		}, revoke.ErrRevoked},
		{"EndSession", false, func(t *testing.T, f *fleet, here, there *server, b *browser) {
			var id string
			b.visit(here, func(s *cookiesession.Session) { id = s.ID() })
			must(t, there.list.EndSession(t.Context(), id))
		}, revoke.ErrRevoked},
		{"EndOthers of another", false, func(t *testing.T, f *fleet, here, there *server, b *browser) {
			other := newBrowser()
			other.login(there, "ada")
			other.visit(there, func(s *cookiesession.Session) { must(t, there.list.EndOthers(t.Context(), s, "user")) })
		}, revoke.ErrRevoked},
		{"EndOthers of its own", false, func(t *testing.T, f *fleet, here, there *server, b *browser) {
			b.visit(here, func(s *cookiesession.Session) { s.Regenerate(); must(t, here.list.EndOthers(t.Context(), s, "user")) })
		}, nil},
		{"EndOthers of its own, then End", false, func(t *testing.T, f *fleet, here, there *server, b *browser) {
			b.visit(here, func(s *cookiesession.Session) { must(t, here.list.EndOthers(t.Context(), s, "user")) })
			must(t, there.list.End(t.Context(), "user", "ada"))
		}, revoke.ErrRevoked},
		{"EndOthers of its own fails", false, func(t *testing.T, f *fleet, here, there *server, b *browser) {
			b.visit(here, func(s *cookiesession.Session) {
				here.engine.fail(errDown)
				here.list.EndOthers(t.Context(), s, "user")
				here.engine.fail(nil)
			})
			must(t, there.list.End(t.Context(), "user", "ada"))
			time.Sleep(5 * time.Second)
		}, revoke.ErrRevoked},
		{"stale", false, func(t *testing.T, f *fleet, here, there *server, b *browser) {
			f.engine.fail(errDown)
			time.Sleep(32 * time.Second)
		}, revoke.ErrStale},
		{"stale, but served", true, func(t *testing.T, f *fleet, here, there *server, b *browser) {
			f.engine.fail(errDown)
			time.Sleep(32 * time.Second)
		}, nil},
		{"Close", false, func(t *testing.T, f *fleet, here, there *server, b *browser) { here.list.Close() }, revoke.ErrClosed},
		{"expiry", false, func(t *testing.T, f *fleet, here, there *server, b *browser) { time.Sleep(day) }, context.DeadlineExceeded},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t)
				f.change = func(c *revoke.Config) { c.ServeStale = test.serve }
				here, there := f.server(nil), f.server(nil)
				b := newBrowser()
				b.login(here, "ada")
				var ctx context.Context
				var cancel context.CancelFunc
				b.visit(here, func(s *cookiesession.Session) { ctx, cancel = here.list.Until(t.Context(), s) })
				if ctx.Err() != nil {
					t.Fatalf("got %v at once", context.Cause(ctx))
				}
				test.happen(t, f, here, there, b)
				heard()
				if got := context.Cause(ctx); !errors.Is(got, test.want) || ctx.Err() != nil != (test.want != nil) {
					t.Errorf("got %v, want %v", got, test.want)
				}
				cancel()
				if ctx.Err() == nil {
					t.Error("cancel didn't")
				}
			})
		})
	}
}

// stuck is a logger's output that takes nothing until it is closed.
type stuck chan struct{}

func (s stuck) Write(b []byte) (int, error) { <-s; return len(b), nil }

// A logger that hangs keeps no context from ending when the list is too old.
func TestUntilWhileLoggerHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, log := newFleet(t), make(stuck)
		s := f.server(func(c *revoke.Config) { c.Logger = slog.New(slog.NewTextHandler(log, nil)) })
		defer s.list.Close()
		defer close(log)
		b := newBrowser()
		b.login(s, "ada")
		b.visit(s, func(session *cookiesession.Session) {
			ctx, cancel := s.list.Until(t.Context(), session)
			defer cancel()
			f.engine.fail(errDown)
			time.Sleep(32 * time.Second)
			if got := context.Cause(ctx); !errors.Is(got, revoke.ErrStale) {
				t.Errorf("got %v, want ErrStale", got)
			}
		})
	})
}

// A session that is over already, or of which nobody knows, has a context that is.
func TestUntilAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		s := f.server(nil)
		until := func(want error) {
			t.Helper()
			session, err := s.manager.Load(newBrowser().request())
			must(t, err)
			session.Put("user", "ada")
			s.list.Begin().Keep(session)
			if want == revoke.ErrRevoked {
				must(t, s.list.End(t.Context(), "user", "ada"))
			}
			ctx, cancel := s.list.Until(t.Context(), session)
			defer cancel()
			if got := context.Cause(ctx); !errors.Is(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		}
		until(nil)
		until(revoke.ErrRevoked)
		f.engine.fail(errDown)
		time.Sleep(time.Minute)
		until(revoke.ErrStale)
		s.list.Close()
		until(revoke.ErrClosed)
	})
}

// Contexts begin and end, sessions are spared and revoked, all at once.
func TestUntilConcurrent(t *testing.T) {
	f := newFleet(t)
	s := f.server(nil)
	b := newBrowser()
	b.login(s, "ada")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 50 {
				session, err := s.manager.Load(newBrowser().request())
				if err != nil {
					t.Error(err)
					return
				}
				session.Put("user", "ada")
				s.list.Begin().Keep(session)
				ctx, cancel := s.list.Until(t.Context(), session)
				if err := s.list.EndOthers(t.Context(), session, "user"); err != nil && !errors.Is(err, revoke.ErrRevoked) {
					t.Error(err)
				}
				s.list.Revoked(ctx, session)
				cancel()
				if ctx.Err() == nil {
					t.Error("cancel didn't")
				}
			}
		})
	}
	all.Wait()
	b.want(t, s, "nobody")
}
