//go:build unix

package tests

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-50e21e88/cookiesession"
	"github.com/seed-50e21e88/cookiesession/contrib/revoke"
	"github.com/seed-50e21e88/cookiesession/contrib/revoke/postgres"
)

// role makes a role whose transactions have an isolation level unless they ask for another, and returns its URL.
func (p *postgresServer) role(level string) string {
	p.t.Helper()
	name := strings.ReplaceAll(level, " ", "_")
	for _, statement := range []string{
		"CREATE ROLE " + name + " LOGIN",
		"GRANT ALL ON cookiesession_revocations TO " + name,
		"ALTER ROLE " + name + " SET default_transaction_isolation = '" + level + "'",
	} {
		_, err := p.admin.Exec(statement)
		must(p.t, err)
	}
	return strings.Replace(p.url(p.addr()), "postgres@", name+"@", 1)
}

// isolations calls test with the URL of a role for each default isolation level.
func isolations(t *testing.T, test func(t *testing.T, server *postgresServer, url string)) {
	server := startPostgres(t)
	for _, level := range []string{"read committed", "repeatable read", "serializable"} {
		url := server.role(level)
		t.Run(level, func(t *testing.T) {
			_, err := server.admin.Exec("TRUNCATE cookiesession_revocations")
			must(t, err)
			_, db := viaPgx(t, url)
			var got string
			must(t, db.QueryRow("SHOW transaction_isolation").Scan(&got))
			if got != level {
				t.Fatalf("a transaction is %s, want %s", got, level)
			}
			test(t, server, url)
		})
	}
}

// Servers that revoke, put back and read the same rows at once don't fail by each other, whatever isolation level the
// role, or the database, has by default.
func TestPostgresIsolation(t *testing.T) {
	isolations(t, func(t *testing.T, _ *postgresServer, url string) {
		var lists []*revoke.List
		var running sync.WaitGroup
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var entries []revoke.Entry
		for i := range 50 {
			entries = append(entries, revoke.Entry{Key: revoke.Key{byte(i)}, Pos: 1, Expires: uint32(time.Now().Unix() + 3600)})
		}
		for range 3 {
			engine, _ := viaPgx(t, url)
			l := open(t, engine)
			lists = append(lists, l)
			for range 3 {
				running.Go(func() {
					for n := range 60 {
						if err := l.End(ctx, "user", n%4); err != nil {
							t.Errorf("End: %v", err)
							return
						}
					}
				})
			}
			running.Go(func() {
				for round := range uint64(30) {
					back := append([]revoke.Entry(nil), entries...)
					for i := range back {
						back[i].Pos += round
					}
					if err := engine.PutBack(ctx, back); err != nil {
						t.Errorf("PutBack: %v", err)
						return
					}
				}
			})
		}
		running.Wait()
		for i, l := range lists {
			must(t, l.Sync(ctx))
			if got := l.Stats(); got.Reconnects != 0 || got.Losses != 0 || got.Entries != 54 {
				t.Errorf("server %d: got %+v, want 54 entries and no failure", i, got)
			}
		}
	})
}

// The condition of EndOthers is checked in the state that its entry goes into, whatever isolation level transactions
// have by default: of two sessions that end each other one stays, and an End that is committed while EndOthers waits for
// it counts.
func TestPostgresIsolationOfEndOthers(t *testing.T) {
	isolations(t, func(t *testing.T, server *postgresServer, url string) {
		r := newRace(t, func(t testing.TB) revoke.Engine { e, _ := viaPgx(t, url); return e })
		for range 40 {
			r.endEachOther("ada")
		}
		for _, known := range []bool{false, true} {
			user := fmt.Sprintf("ended while EndOthers waits, known: %v", known)
			if known {
				r.end(r.there, user)
				must(t, r.here.Sync(t.Context()))
			}
			done := make(chan error, 1)
			r.endOthers(user, func(*cookiesession.Session) {
				tx := r.endIn(server, user)
				go func() {
					if !somebodyWaits(tx) {
						t.Error("EndOthers hasn't waited")
					}
					done <- tx.Commit()
				}()
			}, revoke.ErrRevoked, 1)
			must(t, <-done)
		}
	})
}

// Following doesn't make the application's serializable transactions fail: one that only reads can, too, if it is
// serializable (PostgreSQL's documentation, 13.2.3).
func TestPostgresFollowingConflictsWithNobody(t *testing.T) {
	server := startPostgres(t)
	_, err := server.admin.Exec("CREATE TABLE accounts AS SELECT 1 AS balance; GRANT ALL ON accounts TO public")
	must(t, err)
	engine, db := viaPgx(t, server.role("serializable"))
	l := open(t, engine)

	withdraws, err := db.Begin()
	must(t, err)
	defer withdraws.Rollback()
	var balance int
	must(t, withdraws.QueryRow("SELECT balance FROM accounts").Scan(&balance))
	_, err = db.Exec("UPDATE accounts SET balance = balance + 1")
	must(t, err)
	e, err := l.Entry("user", "ada")
	must(t, err)
	_, err = postgres.Publish(t.Context(), withdraws, e)
	must(t, err)
	must(t, l.Sync(t.Context())) // which sees the deposit, and not yet what ends the sessions
	if err := withdraws.Commit(); err != nil {
		t.Errorf("got %v, want no conflict with following", err)
	}
	must(t, l.Sync(t.Context()))
	if got := l.Stats(); got.Entries != 1 || got.Reconnects != 0 {
		t.Errorf("got %+v, want an entry and no failure", got)
	}
}
