//go:build unix

package tests

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-50e21e88/cookiesession"
	"github.com/seed-50e21e88/cookiesession/contrib/revoke"
	"github.com/seed-50e21e88/cookiesession/contrib/revoke/postgres"
)

// A meanwhile is an Engine that lets something happen once, between what EndOthers has asked and its entry.
type meanwhile struct {
	revoke.Engine
	happen func()
	asked  int // how often entries came with a condition
}

func (m *meanwhile) Publish(ctx context.Context, e revoke.Entry, only *revoke.Condition) (revoke.Entry, error) {
	if only != nil {
		m.asked++
		if happen := m.happen; happen != nil {
			m.happen = nil
			happen()
		}
	}
	return m.Engine.Publish(ctx, e, only)
}

// A race is a user's session that ends the others on one server, while something happens on another.
type race struct {
	t           testing.TB
	engine      *meanwhile // of here
	here, there *revoke.List
	manager     *cookiesession.Manager
}

func newRace(t testing.TB, open func(t testing.TB) revoke.Engine) *race {
	t.Helper()
	r := &race{t: t, engine: &meanwhile{Engine: open(t)}}
	list := func(e revoke.Engine) *revoke.List {
		l, err := revoke.Open(t.Context(), revoke.Config{
			Engine: e, Keys: []string{"user"}, MaxLifetime: time.Hour, Logger: slog.New(slog.DiscardHandler),
		})
		must(t, err)
		t.Cleanup(func() { l.Close() })
		return l
	}
	r.here, r.there = list(r.engine), list(open(t))
	var err error
	r.manager, err = newManager()
	must(t, err)
	return r
}

func (r *race) login(user string) *cookiesession.Session {
	r.t.Helper()
	s, err := r.manager.Load(new(http.Request))
	must(r.t, err)
	login := r.here.Begin()
	s.Put("user", user)
	login.Keep(s)
	return s
}

func (r *race) end(l *revoke.List, user string) {
	if err := l.End(context.Background(), "user", user); err != nil {
		r.t.Error(err)
	}
}

// endOthers ends the others of a new session of a user's while something happens, and checks what comes of both: the
// error, and whether the session is over for all who know what the engine holds.
func (r *race) endOthers(user string, happen func(own *cookiesession.Session), want error, tries int) {
	r.t.Helper()
	own, other := r.login(user), r.login(user)
	r.engine.happen, r.engine.asked = func() { happen(own) }, 0
	if err := r.here.EndOthers(context.Background(), own, "user"); !errors.Is(err, want) {
		r.t.Errorf("%s: got %v, want %v", user, err, want)
	}
	if r.engine.asked != tries {
		r.t.Errorf("%s: EndOthers has tried %d times, want %d", user, r.engine.asked, tries)
	}
	r.wantOver(user, own, want != nil)
	r.wantOver(user+"'s other session", other, true)
}

func (r *race) wantOver(what string, s *cookiesession.Session, want bool) {
	r.t.Helper()
	for i, l := range []*revoke.List{r.here, r.there} {
		must(r.t, l.Sync(context.Background()))
		if got := over(l, s); got != want {
			r.t.Errorf("%s: got over: %v on server %d, want %v", what, got, i, want)
		}
	}
}

// An End that the engine acknowledges after EndOthers has asked, and before it has the entry, isn't forgiven, by any
// engine.
func TestEndOthersMeanwhile(t *testing.T) {
	engines(t, func(t *testing.T, _ time.Duration, engine func(t testing.TB) revoke.Engine) {
		r := newRace(t, engine)
		for round, before := range []string{"first", "again", "and again"} {
			named := func(name string) string { return fmt.Sprintf("%s, %s", name, before) }
			if round > 0 { // else the engine holds nothing of these yet
				for _, name := range []string{"nothing", "ended", "ended and seen", "ended here", "somebody else ended"} {
					r.end(r.there, named(name))
				}
				must(t, r.here.Sync(t.Context()))
			}
			r.endOthers(named("nothing"), func(*cookiesession.Session) {}, nil, 1)
			r.endOthers(named("ended"), func(*cookiesession.Session) { r.end(r.there, named("ended")) }, revoke.ErrRevoked, 1)
			r.endOthers(named("ended and seen"), func(own *cookiesession.Session) {
				r.end(r.there, named("ended and seen"))
				must(t, r.here.Sync(t.Context()))
				if !over(r.here, own) {
					t.Error("this server hasn't seen it")
				}
			}, revoke.ErrRevoked, 1)
			r.endOthers(named("ended here"), func(*cookiesession.Session) {
				r.end(r.here, named("ended here"))
			}, revoke.ErrRevoked, 1)
			r.endOthers(named("somebody else ended"), func(*cookiesession.Session) { r.end(r.there, "grace") }, nil, 1)
		}
		for range 40 {
			own, rival := r.login("ada"), r.login("ada")
			var both sync.WaitGroup
			both.Go(func() { r.end(r.there, "ada") })
			if err := r.here.EndOthers(t.Context(), own, "user"); err != nil && !errors.Is(err, revoke.ErrRevoked) {
				t.Error(err)
			}
			both.Wait()
			r.wantOver("ended at the same time", own, true)
			r.wantOver("another", rival, true)
		}
	})
}

// Of two sessions that end each other at the same time one stays, and only one was told so, by any engine.
func TestEndOthersBoth(t *testing.T) {
	engines(t, func(t *testing.T, _ time.Duration, engine func(t testing.TB) revoke.Engine) {
		r := newRace(t, engine)
		for range 40 {
			r.endEachOther("ada")
		}
	})
}

// endEachOther lets two sessions of a user end each other at the same time, on two servers.
func (r *race) endEachOther(user string) {
	r.t.Helper()
	sessions, errs := []*cookiesession.Session{r.login(user), r.login(user)}, make([]error, 2)
	var both sync.WaitGroup
	for i, l := range []*revoke.List{r.here, r.there} {
		both.Go(func() { errs[i] = l.EndOthers(context.Background(), sessions[i], "user") })
	}
	both.Wait()
	if (errs[0] == nil) == (errs[1] == nil) || !errors.Is(errors.Join(errs...), revoke.ErrRevoked) {
		r.t.Errorf("got %v and %v, want ErrRevoked of one", errs[0], errs[1])
	}
	for i, s := range sessions {
		r.wantOver(fmt.Sprintf("session %d after %v", i, errs[i]), s, errs[i] != nil)
	}
}

// A stream that is lost meanwhile is asked anew, and so is one to which a lot was added. IDs may begin again below
// those that were read.
func TestRedisEndOthersMeanwhile(t *testing.T) {
	server := startRedis(t)
	const stream = "cookiesession:revocations"
	r := newRace(t, func(t testing.TB) revoke.Engine { return goRedis(t, server.addr()) })
	ended := func(user string) string {
		e, err := r.there.Entry("user", user)
		must(t, err)
		e.Pos = uint64(time.Now().UnixMicro())
		return string(e.Append(nil))
	}
	add := func(id string, value string) { server.do("XADD", stream, id, "e", value) }
	many := func() {
		var values []any
		for i := range 1000 {
			values = append(values, ended(fmt.Sprint(i)))
		}
		const add = "for i = 1, #ARGV do redis.call('XADD', KEYS[1], '*', 'e', ARGV[i]) end return 1"
		server.do(append([]any{"EVAL", add, 1, stream}, values...)...)
	}
	lastID := func() string {
		rows, err := server.admin.Do(t.Context(), "XREVRANGE", stream, "+", "-", "COUNT", 1).Slice()
		must(t, err)
		return rows[0].([]any)[0].(string)
	}
	r.end(r.there, "grace") // so that there is something to lose
	r.endOthers("emptied", func(*cookiesession.Session) { server.do("DEL", stream) }, nil, 2)
	r.endOthers("emptied, then ended under a lower ID", func(*cookiesession.Session) {
		server.do("DEL", stream)
		add("1-1", ended("emptied, then ended under a lower ID"))
	}, revoke.ErrRevoked, 1)
	r.endOthers("ended under a lower ID, then another entry under that which was read", func(*cookiesession.Session) {
		last := lastID()
		server.do("DEL", stream)
		add("1-1", ended("ended under a lower ID, then another entry under that which was read"))
		add(last, ended("alan"))
	}, revoke.ErrRevoked, 1)
	r.endOthers("many others ended", func(*cookiesession.Session) { many() }, nil, 2)
	r.endOthers("ended, and many others", func(*cookiesession.Session) {
		many()
		r.end(r.there, "ended, and many others")
	}, revoke.ErrRevoked, 1)
	r.endOthers("put back", func(*cookiesession.Session) {
		add("*", strings.Repeat(ended("alan"), 31)+ended("put back"))
	}, revoke.ErrRevoked, 1)
	before := ended("put back, but known")
	add("*", before)
	must(t, r.here.Sync(t.Context()))
	r.endOthers("put back, but known", func(*cookiesession.Session) { add("*", before) }, nil, 2)
}

// An End in another transaction has happened when that is committed, whenever it was published, and if it's rolled back
// it hasn't.
func TestPostgresEndOthersInTransaction(t *testing.T) {
	server := startPostgres(t)
	r := newRace(t, func(t testing.TB) revoke.Engine { e, _ := viaPgx(t, server.url(server.addr())); return e })
	for _, known := range []bool{false, true} {
		for _, test := range []struct {
			name   string
			commit bool
			waits  bool // EndOthers, for the transaction to end
			want   error
		}{
			{"committed", true, false, revoke.ErrRevoked},
			{"committed while EndOthers waits", true, true, revoke.ErrRevoked},
			{"rolled back", false, false, nil},
			{"rolled back while EndOthers waits", false, true, nil},
		} {
			user := fmt.Sprintf("%s, known: %v", test.name, known)
			if known {
				r.end(r.there, user)
				must(t, r.here.Sync(t.Context()))
			}
			tx := r.endIn(server, user)
			done := make(chan error, 1)
			finish := func() {
				if test.commit {
					done <- tx.Commit()
				} else {
					done <- tx.Rollback()
				}
			}
			happen := finish
			if test.waits {
				happen = func() {
					go func() {
						defer finish()
						if !somebodyWaits(tx) {
							t.Error("EndOthers hasn't waited")
						}
					}()
				}
			}
			r.endOthers(user, func(*cookiesession.Session) { happen() }, test.want, 1)
			must(t, <-done)
		}
	}
}

// endIn ends a user's sessions in a transaction that is under way.
func (r *race) endIn(server *postgresServer, user string) *sql.Tx {
	r.t.Helper()
	tx, err := server.admin.Begin()
	must(r.t, err)
	e, err := r.there.Entry("user", user)
	must(r.t, err)
	_, err = postgres.Publish(r.t.Context(), tx, e)
	must(r.t, err)
	return tx
}

// somebodyWaits returns true as soon as somebody waits for a lock, which tx or another transaction holds.
func somebodyWaits(tx *sql.Tx) bool {
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		n := 0
		if tx.QueryRow("SELECT count(*) FROM pg_locks WHERE NOT granted").Scan(&n); n > 0 {
			return true
		}
	}
	return false
}

// A row that may be forgotten, and hasn't been deleted yet, is unknown to every server, and in nobody's way.
func TestPostgresEndOthersForgotten(t *testing.T) {
	server := startPostgres(t)
	r := newRace(t, func(t testing.TB) revoke.Engine { e, _ := viaPgx(t, server.url(server.addr())); return e })
	for _, ago := range []int64{59, 60, 61, 3600} {
		user := fmt.Sprintf("expired %d s ago", ago)
		e, err := r.there.Entry("user", user)
		must(t, err)
		expired := time.Now().Unix() - ago
		_, err = server.admin.Exec("INSERT INTO cookiesession_revocations VALUES ($1, $2, $3, $3, pg_current_xact_id())",
			e.Key[:], expired*1e6, expired)
		must(t, err)
		r.endOthers(user, func(*cookiesession.Session) {}, nil, 1)
		r.endOthers(user, func(*cookiesession.Session) { r.end(r.there, user) }, revoke.ErrRevoked, 1)
	}
}
