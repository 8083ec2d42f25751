package revoke

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

// snapshots counts how often everything is read, which takes two seconds but for the first time.
type snapshots struct {
	Engine
	n int
}

func (s *snapshots) Read(ctx context.Context, cursor string, sink func([]Entry)) (string, bool, error) {
	if cursor == "" {
		if s.n++; s.n > 1 {
			time.Sleep(2 * time.Second)
		}
	}
	return s.Engine.Read(ctx, cursor, sink)
}

// endedSession returns a session that is over, and the entry by which it is.
func endedSession(t *testing.T, l *List) (*cookiesession.Session, Entry) {
	t.Helper()
	s, err := scratch().Load(new(http.Request))
	if err != nil {
		t.Fatal(err)
	}
	s.Put("user", "ada")
	l.Begin().Keep(s)
	if err := l.End(t.Context(), "user", "ada"); err != nil {
		t.Fatal(err)
	}
	k, err := l.keyOf("user", "ada")
	if err != nil {
		t.Fatal(err)
	}
	return s, l.entries.lookup(&k).Entry
}

// A server whose clock was ahead forgets what is still needed. When the clock has been set back, it lets nobody in until
// it has read everything again. A clock can't be set back here, so the server is told a time that is ahead.
func TestForgottenWhileClockWasAhead(t *testing.T) {
	sweep := func(l *List, now time.Time) { l.entries.forget(now.Unix()) }
	read := func(l *List, now time.Time) {
		l.entries.forget(1 << 40)
		l.entries.gone.Store(0)
		l.engineShows(now)
	}
	for _, test := range []struct {
		name   string
		forget func(l *List, now time.Time)
		ahead  time.Duration // beyond when the entry expires
		gone   bool
	}{
		{"swept, a second early", sweep, (clockSlack - 1) * time.Second, false},
		{"swept", sweep, clockSlack * time.Second, true},
		{"swept, by days", sweep, 24 * time.Hour, true},
		{"not taken from the engine", read, clockSlack * time.Second, true},
		{"taken from the engine, a second early", read, (clockSlack - 1) * time.Second, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log strings.Builder
				engine := &snapshots{Engine: Memory()}
				l, err := Open(t.Context(), Config{
					Engine: engine, Keys: []string{"user"}, MaxLifetime: time.Hour, Logger: slog.New(slog.NewTextHandler(&log, nil)),
				})
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute + time.Millisecond) // for which it is complete
				s, e := endedSession(t, l)
				synctest.Wait() // it's read; the next look is almost a second later
				test.forget(l, time.Unix(int64(e.Expires), 0).Add(test.ahead))
				wantErr, staleness, reads := error(nil), time.Duration(0), 1
				if test.gone {
					wantErr, staleness, reads = ErrStale, -1, 2
				}
				for _, when := range []string{"at once", "while everything is read"} {
					over, err := l.Revoked(t.Context(), s)
					if got := min(l.Stats().Staleness, 0); over == test.gone || !errors.Is(err, wantErr) || got != staleness {
						t.Errorf("%s: got over: %v, %v, staleness %v; want %v, %v, %v", when, over, err, got, !test.gone, wantErr, staleness)
					}
					time.Sleep(2 * time.Second)
				}
				time.Sleep(10 * time.Second)
				if over, err := l.Revoked(t.Context(), s); !over || err != nil {
					t.Errorf("later: got over: %v, %v; want true", over, err)
				}
				if got := l.Stats(); got.Staleness < 0 || got.Losses != 0 || engine.n != reads {
					t.Errorf("later: got %+v after %d snapshots, want a complete list after %d", got, engine.n, reads)
				}
				l.Close()
				got := log.String() // a list that was complete a moment ago isn't too old yet
				if strings.Contains(got, "clock was set back") != test.gone || strings.Contains(got, "too old") {
					t.Errorf("got the log %q", got)
				}
			})
		})
	}
}

// engineShows applies what the engine holds at a time.
func (l *List) engineShows(now time.Time) {
	l.config.Engine.(*snapshots).Engine.Read(l.ctx, "", func(es []Entry) { l.apply(es, now) })
}

// What is forgotten in time is read once only.
func TestForgottenInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := &snapshots{Engine: Memory()}
		l, err := Open(t.Context(), Config{Engine: engine, Keys: []string{"user"}, MaxLifetime: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		endedSession(t, l)
		time.Sleep(3 * time.Hour)
		if got := l.Stats(); got.Entries != 0 || got.Staleness < 0 || engine.n != 1 {
			t.Errorf("got %+v after %d snapshots, want no entry, and one", got, engine.n)
		}
	})
}

// A list that gets fresh while the hook looks doesn't let a session in that it ends: either the hook says ErrStale, or
// it has seen the entry.
func TestFreshWhileTheHookLooks(t *testing.T) {
	l, err := newList(Config{Engine: Memory(), Keys: []string{"user"}, MaxLifetime: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	s, e := endedSession(t, l)
	for range 3000 {
		l.entries.forget(1 << 40)
		l.entries.gone.Store(0)
		l.fresh.Store(nil)
		done := make(chan struct{})
		go func() {
			defer close(done)
			l.entries.raise(e, true)
			now := time.Now()
			l.fresh.Store(&now)
		}()
		for looking := true; looking; {
			select {
			case <-done:
				looking = false
			default:
			}
			if over, err := l.Revoked(t.Context(), s); !over && err == nil {
				t.Fatal("a session was let in that is over")
			}
		}
	}
}
