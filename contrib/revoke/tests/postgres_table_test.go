//go:build unix

package tests

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/seed-50e21e88/cookiesession/contrib/revoke"
	"github.com/seed-50e21e88/cookiesession/contrib/revoke/postgres"
)

// A table that is emptied, or replaced by an older copy, under servers that stay connected: what it lacks is put back,
// and what the copy has is read, though its transactions are older than the last look.
func TestPostgresTableReplaced(t *testing.T) {
	server := startPostgres(t)
	unheard := func(value int) revoke.Entry { // an entry of a server that has ended, and that nobody else has read
		return revoke.Entry{Key: revoke.Key{byte(value)}, Pos: 1, Expires: uint32(time.Now().Add(time.Hour).Unix())}
	}
	const restored = "INSERT INTO cookiesession_revocations SELECT * FROM backup"
	for _, test := range []struct {
		name       string
		statements []string
		want       int // entries
	}{
		{"truncated", []string{"TRUNCATE cookiesession_revocations"}, 20},
		{"truncated, and restored", []string{"TRUNCATE cookiesession_revocations", restored}, 21},
		{"dropped, and restored", []string{"DROP TABLE cookiesession_revocations", postgres.Schema, restored}, 21},
		{"copied in, and shown", []string{restored, "UPDATE cookiesession_revocations SET tx = pg_current_xact_id()"}, 21},
		{"rewritten", []string{"CLUSTER cookiesession_revocations USING cookiesession_revocations_pkey"}, 20},
	} {
		t.Run(test.name, func(t *testing.T) {
			must(t, execAll(server.admin, "DROP TABLE IF EXISTS backup", "TRUNCATE cookiesession_revocations"))
			engine, _ := viaPgx(t, server.url(server.addr()))
			must(t, engine.PutBack(t.Context(), []revoke.Entry{unheard(1)}))
			must(t, execAll(server.admin, "CREATE TABLE backup AS SELECT * FROM cookiesession_revocations",
				"TRUNCATE cookiesession_revocations"))
			l := open(t, engine)
			for value := range 20 {
				must(t, l.End(t.Context(), "user", value))
			}
			must(t, l.Sync(t.Context()))
			must(t, execAll(server.admin, test.statements...))
			another := open(t, postgres.New(server.admin, postgres.Options{}))
			eventually(t, 10*time.Second, func() error {
				if here, there := l.Stats(), another.Stats(); here.Entries != test.want || there.Entries != test.want {
					return fmt.Errorf("got %+v, and of a server that began afterwards %+v; want %d entries", here, there, test.want)
				}
				return nil
			})
			if got := l.Stats(); got.Reconnects > 0 {
				t.Errorf("got %+v, want a connection that lasts", got)
			}
		})
	}
}

// pg_dump's output makes all tables, then fills them, then adds their keys, each for itself. A server that begins between
// two of these steps knows nothing yet, and must not say that it does: what is filled in is older than its first look.
func TestPostgresTableBeingRestored(t *testing.T) {
	server := startPostgres(t)
	engine, _ := viaPgx(t, server.url(server.addr()))
	before := open(t, engine)
	const want = 20
	for value := range want {
		must(t, before.End(t.Context(), "user", value))
	}
	must(t, before.Close())
	must(t, execAll(server.admin, "CREATE TABLE backup AS SELECT * FROM cookiesession_revocations", "DROP TABLE cookiesession_revocations"))
	must(t, execAll(server.admin, "CREATE TABLE cookiesession_revocations (LIKE backup)"))

	l, err := revoke.OpenStale(revoke.Config{
		Engine: engine, Keys: []string{"user"}, MaxLifetime: time.Hour, Logger: slog.New(slog.DiscardHandler),
	})
	must(t, err)
	defer l.Close()
	incomplete := func(when string) {
		t.Helper()
		eventually(t, 10*time.Second, func() error {
			if got := l.Stats(); got.Staleness >= 0 || !strings.Contains(got.LastError, "primary key") {
				return fmt.Errorf("%s: got %+v, want an error about the primary key", when, got)
			}
			return nil
		})
	}
	incomplete("the table is made")
	must(t, execAll(server.admin, "INSERT INTO cookiesession_revocations SELECT * FROM backup"))
	incomplete("it is filled")
	must(t, execAll(server.admin, "ALTER TABLE cookiesession_revocations ADD PRIMARY KEY (key)"))
	eventually(t, 10*time.Second, func() error {
		if got := l.Stats(); got.Staleness < 0 || got.Entries != want {
			return fmt.Errorf("got %+v, want %d entries", got, want)
		}
		return nil
	})
}

// execAll executes statements in one transaction.
func execAll(db *sql.DB, statements ...string) error {
	tx, err := db.Begin()
	for _, statement := range statements {
		if err == nil {
			_, err = tx.Exec(statement)
		}
	}
	if err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// What Sync reads between two attempts to follow leaves no connection behind: nobody would give it back at Close.
func TestPostgresConnectionsAfterClose(t *testing.T) {
	server := startPostgres(t)
	engine, db := viaPgx(t, server.url(server.addr()))
	inUse := func(when string, want int) {
		t.Helper()
		eventually(t, 10*time.Second, func() error { // a sweep takes one for a moment
			if got := db.Stats().InUse; got != want {
				return fmt.Errorf("%s: got %d connections in use, want %d", when, got, want)
			}
			return nil
		})
	}
	read := func(from string) (cursor string) {
		t.Helper()
		cursor, _, err := engine.Read(t.Context(), from, func([]revoke.Entry) {})
		must(t, err)
		return cursor
	}
	read("")
	inUse("read while nobody follows", 0)

	other := open(t, engine)
	cursor := read("")
	ended := errors.New("ended")
	if err := engine.Follow(t.Context(), func(context.Context) (string, error) { return "", ended }); err != ended {
		t.Error(err)
	}
	read(cursor) // ErrLost if the other List had lost its connection
	must(t, open(t, engine).Close())
	inUse("one of two Lists is closed", 1)
	must(t, other.Close())
	inUse("both are closed", 0)
}

// Rows that may be forgotten go soon after a server has begun: where servers run for minutes only, none would get to it
// later.
func TestPostgresSweep(t *testing.T) {
	server := startPostgres(t)
	engine := postgres.New(server.admin, postgres.Options{})
	now := uint32(time.Now().Unix())
	must(t, engine.PutBack(t.Context(), []revoke.Entry{
		{Key: revoke.Key{1}, Pos: 1, Expires: now - 62}, {Key: revoke.Key{2}, Pos: 1, Expires: now + 1}, {Key: revoke.Key{3}, Pos: 1, Expires: now - 30},
	}))
	open(t, engine)
	eventually(t, 15*time.Second, func() error {
		var n, least int
		err := server.admin.QueryRow("SELECT count(*), min(get_byte(key, 0)) FROM cookiesession_revocations").Scan(&n, &least)
		if err != nil || n != 2 || least != 2 {
			return fmt.Errorf("got %d rows from %d on, %v; want 2 from 2 on", n, least, err)
		}
		return nil
	})
}

// Rows of another server's transactions, as after a migration by dump and restore, may have numbers far ahead of this
// one's. They are read once, not each time.
func TestPostgresRowsOfAnotherServer(t *testing.T) {
	server := startPostgres(t)
	engine := postgres.New(server.admin, postgres.Options{})
	entry := func(n byte) revoke.Entry {
		return revoke.Entry{Key: revoke.Key{n}, Pos: 1, Expires: uint32(time.Now().Unix() + 3600)}
	}
	must(t, engine.PutBack(t.Context(), []revoke.Entry{entry(1), entry(2), entry(3)}))
	_, err := server.admin.Exec("UPDATE cookiesession_revocations SET tx = '5000000000'")
	must(t, err)
	cursor := ""
	read := func(ctx context.Context, want int) error {
		got := 0
		next, _, err := engine.Read(ctx, cursor, func(es []revoke.Entry) { got += len(es) })
		if cursor = next; err == nil && got != want {
			t.Errorf("got %d entries, want %d", got, want)
		}
		return err
	}
	done := errors.New("done")
	err = engine.Follow(t.Context(), func(ctx context.Context) (string, error) {
		must(t, read(ctx, 3))
		must(t, read(ctx, 0))
		for _, n := range []byte{3, 4} {
			_, err := engine.Publish(ctx, entry(n), nil)
			must(t, err)
			must(t, read(ctx, 1))
		}
		must(t, read(ctx, 0))
		return cursor, done
	})
	if err != done {
		t.Error(err)
	}
}
