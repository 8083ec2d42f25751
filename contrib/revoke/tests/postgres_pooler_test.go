//go:build unix

package tests

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/seed-50e21e88/cookiesession/contrib/revoke"
	"github.com/seed-50e21e88/cookiesession/contrib/revoke/postgres"
)

// A pooler does what PgBouncer does in transaction mode: a connection to it lasts, and gets another one to the server
// where that has ended between two transactions.
type pooler struct{ driver.Connector }

func (p pooler) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := p.Connector.Connect(ctx)
	return &pooled{p, conn}, err
}

type pooled struct {
	pooler pooler
	driver.Conn
}

func (p *pooled) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	tx, err := p.Conn.(driver.ConnBeginTx).BeginTx(ctx, o)
	for err != nil && ctx.Err() == nil {
		time.Sleep(10 * time.Millisecond) // the server may be recovering
		var conn driver.Conn
		if conn, err = p.pooler.Connector.Connect(ctx); err == nil {
			p.Conn.Close()
			p.Conn = conn
			tx, err = conn.(driver.ConnBeginTx).BeginTx(ctx, o)
		}
	}
	return tx, err
}

func (p *pooled) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	return p.Conn.(driver.QueryerContext).QueryContext(ctx, query, args)
}

func (p *pooled) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	return p.Conn.(driver.ExecerContext).ExecContext(ctx, query, args)
}

// A server recovers by itself when one of its processes has crashed, and has lost what was committed just before without
// having been synced. Behind a pooler nobody's connection breaks, and transactions have the numbers again of those that
// are lost. That is put back all the same.
func TestPostgresCrashBehindPooler(t *testing.T) {
	server := startPostgres(t)
	for _, statement := range []string{
		"ALTER SYSTEM SET synchronous_commit = off", "ALTER SYSTEM SET wal_writer_delay = '10s'",
		"CREATE ROLE app LOGIN", "GRANT SELECT, INSERT, UPDATE, DELETE ON cookiesession_revocations TO app", // and nothing else
	} {
		_, err := server.admin.Exec(statement)
		must(t, err)
	}
	server.crash()
	config, err := pgx.ParseConfig(server.url(server.addr()))
	must(t, err)
	config.User = "app"
	db := sql.OpenDB(pooler{stdlib.GetConnector(*config)})
	defer db.Close()
	l := open(t, postgres.New(db, postgres.Options{}))
	began := func() (at string) {
		t.Helper()
		must(t, server.admin.QueryRow("SELECT pg_postmaster_start_time()::text").Scan(&at))
		return at
	}
	before, ended := began(), 0
	const crashes = 5 // the server may have synced before one
	for n := 0; l.Stats().Losses == 0; n++ {
		if n == crashes {
			t.Fatalf("got %+v after %d crashes, want a loss", l.Stats(), n)
		}
		var pid int
		must(t, server.admin.QueryRow("SELECT pg_backend_pid()").Scan(&pid))
		for range 5 {
			must(t, l.End(t.Context(), "user", ended))
			ended++
		}
		must(t, l.Sync(t.Context()))
		must(t, syscall.Kill(pid, syscall.SIGKILL))
		eventually(t, 10*time.Second, server.admin.Ping)
		eventually(t, 10*time.Second, func() error { return l.Sync(t.Context()) }) // or it broke in a transaction
	}
	eventually(t, 10*time.Second, func() error {
		rows := 0
		if err := server.admin.QueryRow("SELECT count(*) FROM cookiesession_revocations").Scan(&rows); err != nil || rows != ended {
			return fmt.Errorf("got %d rows, %v, of %d; %+v", rows, err, ended, l.Stats())
		}
		return nil
	})
	if after := began(); after != before {
		t.Errorf("got a server that began at %s, not at %s", after, before)
	}
}

// A database can be replaced by a copy of itself (CREATE DATABASE … TEMPLATE, and two renames): its files have the numbers
// of those that they replace, and behind a pooler nobody's connection breaks.
func TestPostgresDatabaseReplacedBehindPooler(t *testing.T) {
	server := startPostgres(t)
	alone := func(statement string) { // which nobody may be connected to the database for, as the pooler soon is again
		t.Helper()
		eventually(t, 10*time.Second, func() error {
			_, ended := server.admin.Exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'app'")
			_, err := server.admin.Exec(statement)
			return errors.Join(ended, err)
		})
	}
	alone("CREATE DATABASE app")
	config, err := pgx.ParseConfig(server.url(server.addr()))
	must(t, err)
	config.Database = "app"
	db := sql.OpenDB(pooler{stdlib.GetConnector(*config)})
	defer db.Close()
	_, err = db.Exec(postgres.Schema)
	must(t, err)
	alone("CREATE DATABASE copy TEMPLATE app")
	l := open(t, postgres.New(db, postgres.Options{}))
	must(t, l.End(t.Context(), "user", 1))
	must(t, l.Sync(t.Context()))
	alone("ALTER DATABASE app RENAME TO replaced")
	alone("ALTER DATABASE copy RENAME TO app")
	eventually(t, 10*time.Second, func() error {
		rows := 0
		if err := db.QueryRow("SELECT count(*) FROM cookiesession_revocations").Scan(&rows); err != nil || rows != 1 {
			return fmt.Errorf("got %d rows, %v, want 1; %+v", rows, err, l.Stats())
		}
		return nil
	})
}

// Of a server's own processes others come and go, under lower numbers too: as long as the one lives that was there at the
// last look, the server hasn't recovered from a crash, and not all must be read again.
func TestPostgresProcess(t *testing.T) {
	server := startPostgres(t)
	engine := postgres.New(server.admin, postgres.Options{})
	var lasting, ended int
	must(t, server.admin.QueryRow("SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'").Scan(&lasting))
	must(t, server.admin.QueryRow("SELECT pg_backend_pid()").Scan(&ended))
	done := errors.New("done")
	err := engine.Follow(t.Context(), func(ctx context.Context) (string, error) {
		read := func(from string) (string, error) {
			next, _, err := engine.Read(ctx, from, func([]revoke.Entry) {})
			return next, err
		}
		cursor, err := read("")
		must(t, err)
		fields := strings.Fields(cursor)
		for _, test := range []struct {
			name    string
			process int
			want    error
		}{
			{"another, which lives", lasting, nil},
			{"one that isn't the server's own", ended, revoke.ErrLost},
		} {
			fields[2] = fmt.Sprint(test.process)
			state := strings.Join(fields[:4], " ") + " "
			if next, err := read(state + fields[4]); err != test.want || err == nil && !strings.HasPrefix(next, state) {
				t.Errorf("%s: got %s, %v, want %s, %v", test.name, next, err, state, test.want)
			}
		}
		return cursor, done
	})
	if err != done {
		t.Error(err)
	}
}
