//go:build unix

package tests

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-50e21e88/cookiesession/contrib/revoke"
	"github.com/seed-50e21e88/cookiesession/contrib/revoke/postgres"
)

// revokeInTransaction revokes as an application does that changes a password in the same transaction. Transactions
// commit in another order than they begin.
func revokeInTransaction(db *sql.DB, l *revoke.List) func(ctx context.Context, value int64) error {
	return func(ctx context.Context, value int64) error {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer tx.Rollback()
		e, err := l.Entry("user", value)
		if err != nil {
			return err
		}
		if _, err := postgres.Publish(ctx, tx, e); err != nil {
			return err
		}
		time.Sleep(rand.N(200 * time.Millisecond))
		return tx.Commit()
	}
}

// Connections break, backends and the server are killed and hang, and transactions stay open for long.
func TestPostgresChaos(t *testing.T) {
	server := startPostgres(t)
	wire := newProxy(t, server.addr())
	first, db := viaPgx(t, server.url(wire.addr()))
	second, _ := viaPgx(t, server.url(wire.addr()))
	polling, err := sql.Open("pgx", server.url(server.addr()))
	must(t, err)
	defer polling.Close()
	third := postgres.New(polling, postgres.Options{})
	c := newChaos(t, first, second, third)
	c.publish(3, 2*time.Millisecond)
	for range 4 {
		c.running.Go(func() {
			inTransaction := revokeInTransaction(db, c.lists[0])
			for !c.stopped() {
				c.revoke(inTransaction)
				time.Sleep(time.Millisecond)
			}
		})
	}
	c.run([]fault{
		{"pg_terminate_backend", server.terminate},
		{"connections reset", wire.reset},
		{"SIGKILL of a backend", func() {
			var pid int
			if server.admin.QueryRow("SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend' ORDER BY random()").Scan(&pid) == nil {
				syscall.Kill(pid, syscall.SIGKILL)
			}
		}},
		{"SIGKILL of the server", server.crash},
		{"SIGSTOP for 2 s", func() { server.hang(2 * time.Second) }},
		{"wire cut for 7 s", func() { wire.mute.Store(true); time.Sleep(7 * time.Second); wire.mute.Store(false); wire.reset() }},
		{"transaction open for 3 s", func() {
			tx, err := server.admin.Begin()
			if err != nil {
				return
			}
			defer tx.Rollback()
			tx.Exec("SELECT pg_current_xact_id()") // holds back xmin
			time.Sleep(3 * time.Second)
		}},
	})
	c.finish(postgres.New(server.admin, postgres.Options{}))
}

// What a restored backup lacks is put back, on its old pos; a standby isn't followed, until it is promoted.
func TestPostgresBackupAndStandby(t *testing.T) {
	server := startPostgres(t)
	engine, _ := viaPgx(t, server.url(server.addr()))
	l := open(t, engine)
	must(t, l.End(t.Context(), "user", 1))

	standby := newPostgres(t)
	server.run("pg_basebackup", "-h", "127.0.0.1", "-p", server.port, "-U", "postgres", "-D", standby.data, "-X", "stream", "-R", "--no-sync", "-c", "fast")
	standby.start()
	following, err := revoke.OpenStale(config(postgres.New(standby.admin, postgres.Options{})))
	must(t, err)
	defer following.Close()

	must(t, exec.Command("cp", "-a", server.data, server.data+".backup").Run()) // while it runs: recovery makes it whole
	for value := range 300 {
		must(t, l.End(t.Context(), "user", value))
	}
	must(t, l.Sync(t.Context()))
	if got := following.Stats(); got.Staleness != -1 || !strings.Contains(got.LastError, "standby") {
		t.Errorf("a List of a standby: got %+v", got)
	}
	eventually(t, 10*time.Second, func() error {
		var n int
		if err := standby.admin.QueryRow("SELECT count(*) FROM cookiesession_revocations").Scan(&n); err != nil || n != 300 {
			return fmt.Errorf("the standby has %d entries, %v", n, err)
		}
		return nil
	})

	server.killAll()
	must(t, os.RemoveAll(server.data))
	must(t, os.Rename(server.data+".backup", server.data))
	os.Remove(filepath.Join(server.data, "postmaster.pid"))
	server.start()
	eventually(t, 15*time.Second, func() error {
		var n int
		if err := server.admin.QueryRow("SELECT count(*) FROM cookiesession_revocations").Scan(&n); err != nil || n != 300 {
			return fmt.Errorf("the restored server has %d entries, %v", n, err)
		}
		return nil
	})
	if got := l.Stats(); got.Losses != 1 || got.PutBack < 299 {
		t.Errorf("got %+v, want a loss of 299", got)
	}

	standby.run("pg_ctl", "promote", "-D", standby.data)
	eventually(t, 15*time.Second, func() error {
		if got := following.Stats(); got.Staleness < 0 || got.Entries != 300 {
			return fmt.Errorf("a List of the promoted standby: got %+v", got)
		}
		return nil
	})
}

// Transactions that commit in another order than they begin are all read: also those that began before the last look.
func TestPostgresCommitOrder(t *testing.T) {
	server := startPostgres(t)
	engine, db := viaPgx(t, server.url(server.addr()))
	l := open(t, engine)
	begin := func(value int) *sql.Tx {
		tx, err := db.Begin()
		must(t, err)
		e, err := l.Entry("user", value)
		must(t, err)
		_, err = postgres.Publish(t.Context(), tx, e)
		must(t, err)
		return tx
	}
	entries := func(want int) {
		t.Helper()
		must(t, l.Sync(t.Context()))
		if got := l.Stats().Entries; got != want {
			t.Errorf("got %d entries, want %d", got, want)
		}
	}
	early, late, never := begin(1), begin(2), begin(3)
	entries(0)
	must(t, late.Commit())
	entries(1)
	must(t, l.End(t.Context(), "user", 4))
	entries(2)
	must(t, never.Rollback())
	must(t, early.Commit())
	entries(3)
}

// Entries go by themselves, put back ones join what is there, and a database of one connection is refused in words.
func TestPostgresRows(t *testing.T) {
	server := startPostgres(t)
	engine := postgres.New(server.admin, postgres.Options{})
	now := uint32(time.Now().Unix())
	publish := func(e revoke.Entry) revoke.Entry {
		t.Helper()
		published, err := engine.Publish(t.Context(), e, nil)
		must(t, err)
		return published
	}
	first := publish(revoke.Entry{Key: revoke.Key{1}, Before: now, Expires: now + 100})
	second := publish(revoke.Entry{Key: revoke.Key{1}, Before: now - 1, Expires: now + 99})
	given := publish(revoke.Entry{Key: revoke.Key{2}, Pos: second.Pos * 2, Before: now, Expires: now})
	if micro := uint64(time.Now().UnixMicro()); first.Pos > micro || first.Pos < micro-60e6 || second.Pos <= first.Pos ||
		second.Before != now || second.Expires != now+100 || given.Pos != second.Pos*2 {
		t.Errorf("got %+v, %+v, %+v", first, second, given)
	}
	back := []revoke.Entry{
		{Key: revoke.Key{3, 255, 0, 1}, Pos: 1<<62 + 7, Before: 1<<32 - 1, Expires: 1<<32 - 2},
		{Key: revoke.Key{1}, Pos: second.Pos - 1, Before: now + 7, Expires: now + 700}, // older than what is there
		{Key: revoke.Key{2}, Pos: given.Pos + 1, Before: now - 7, Expires: now + 700},
	}
	for range 2 {
		must(t, engine.PutBack(t.Context(), back))
	}
	got := map[revoke.Key]revoke.Entry{}
	_, _, err := engine.Read(t.Context(), "", func(es []revoke.Entry) {
		for _, e := range es {
			got[e.Key] = e
		}
	})
	must(t, err)
	for _, want := range []revoke.Entry{second, {Key: revoke.Key{2}, Pos: given.Pos + 1, Before: now, Expires: now + 700}, back[0]} {
		if got[want.Key] != want {
			t.Errorf("got %+v, want %+v", got[want.Key], want)
		}
	}

	alone, err := sql.Open("pgx", server.url(server.addr()))
	must(t, err)
	defer alone.Close()
	alone.SetMaxOpenConns(1)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := revoke.Open(ctx, config(postgres.New(alone, postgres.Options{}))); err == nil || !strings.Contains(err.Error(), "SetMaxOpenConns") {
		t.Errorf("got %v, want an error that says what to change", err)
	}
}
