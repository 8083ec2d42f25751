// Package postgres keeps revocations in a table of PostgreSQL 13 or above, through database/sql and any driver.
package postgres

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/seed-50e21e88/cookiesession/contrib/revoke"
)

// Schema creates the table, which must be there: run it in a migration.
const Schema = `CREATE TABLE IF NOT EXISTS cookiesession_revocations (
	key     bytea  PRIMARY KEY,
	pos     bigint NOT NULL,
	before  bigint NOT NULL,
	expires bigint NOT NULL,
	tx      xid8   NOT NULL
);
CREATE INDEX IF NOT EXISTS cookiesession_revocations_tx ON cookiesession_revocations (tx);
`

// Channel is what NOTIFY names when something was revoked, for Options.Wake to LISTEN to.
const Channel = "cookiesession_revocations"

// Options say how to follow.
type Options struct {
	// Wake, if set, runs the driver's LISTEN on [Channel]: it calls wake once it listens and for each notification, and
	// returns when ctx ends or something fails. Then it is called again a second later. Without it, and while it fails,
	// other servers hear of a revocation within a second.
	Wake func(ctx context.Context, wake func()) error
}

// New returns an Engine that keeps its entries in db. Following holds one connection of db, so db must be allowed two or
// more. A standby isn't followed: what it doesn't know yet would be taken for never revoked.
func New(db *sql.DB, o Options) revoke.Engine { return &engine{db: db, wake: o.Wake} }

// A Querier is a *sql.DB, *sql.Tx or *sql.Conn.
type Querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

type engine struct {
	db   *sql.DB
	wake func(ctx context.Context, wake func()) error

	mu        sync.Mutex // held while conn is in use
	conn      *sql.Conn  // that Read reads from, if any
	nth       int        // how many there were
	following int        // calls of Follow; the last to return gives conn back
}

// clock is the database's in microseconds.
const clock = `(extract(epoch FROM clock_timestamp()) * 1000000)::bigint`

// publish adds an entry unless its key has a pos above $5, in a row that may not be forgotten yet at $6. The key's row is
// locked for that, so what another transaction has written counts once it is committed, whatever this one began with.
const publish = `
WITH e AS (
	INSERT INTO cookiesession_revocations AS r (key, pos, before, expires, tx)
	VALUES ($1, greatest($2::bigint, ` + clock + `), $3, $4, pg_current_xact_id())
	ON CONFLICT (key) DO UPDATE SET
		pos = greatest(r.pos + 1, excluded.pos, ` + clock + `),
		before = greatest(r.before, excluded.before),
		expires = greatest(r.expires, excluded.expires),
		tx = excluded.tx
	WHERE r.pos <= $5 OR r.expires <= $6::bigint - 60
	RETURNING pos, before, expires)
SELECT e.pos, e.before, e.expires, pg_notify('` + Channel + `', '')::text FROM e`

// putBack takes encoded entries, one behind the other.
const putBack = `
INSERT INTO cookiesession_revocations AS r (key, pos, before, expires, tx)
SELECT substr(b, i + 1, 16),
	('x' || encode(substr(b, i + 17, 8), 'hex'))::bit(64)::bigint,
	('x' || encode(substr(b, i + 25, 4), 'hex'))::bit(32)::bigint,
	('x' || encode(substr(b, i + 29, 4), 'hex'))::bit(32)::bigint,
	pg_current_xact_id()
FROM (SELECT $1::bytea AS b) AS given, generate_series(0, length(b) - 1, 32) AS i
ON CONFLICT (key) DO UPDATE SET
	pos = excluded.pos,
	before = greatest(r.before, excluded.before),
	expires = greatest(r.expires, excluded.expires),
	tx = excluded.tx
WHERE r.pos < excluded.pos`

// read returns what was added since a snapshot. Transactions commit in another order than they begin, so that's all of
// which the transaction was under way then, or began later. There is always a row, since the entry's columns may be NULL.
// Rows that were restored from another server's may name transactions that are still to come here: the first look has
// shown them. Of the server's own processes it returns the one that it was given while that lives: others come and go.
const read = `
SELECT pg_is_in_recovery(), (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint,
	coalesce((SELECT coalesce(max(pid) FILTER (WHERE pid = $2), min(pid)) FROM pg_stat_activity
		WHERE datid IS NULL AND usesysid IS NULL), 0),
	coalesce((SELECT pg_relation_filepath(indexrelid) FROM pg_index
		WHERE indrelid = 'cookiesession_revocations'::regclass AND indisprimary), ''),
	pg_snapshot_xmin(pg_current_snapshot())::text, r.key, r.pos, r.before, r.expires
FROM (SELECT 1) AS one LEFT JOIN cookiesession_revocations AS r ON r.tx >= $1::text::xid8
	AND r.tx < CASE WHEN $1::text = '0' THEN '18446744073709551615' ELSE pg_snapshot_xmax(pg_current_snapshot()) END`

const forget = `DELETE FROM cookiesession_revocations WHERE expires < extract(epoch FROM now())::bigint - 60`

// Publish adds e within tx, for instance in the transaction that changes the password: e is in force once that is
// committed, and this server too hears of it by following. Make e with [revoke.List.Entry] just before. The error is the
// database's: where tx is REPEATABLE READ or SERIALIZABLE that may be SQLSTATE 40001, as for any statement there, if
// somebody else ends the same sessions at once. Then run the whole transaction again.
func Publish(ctx context.Context, tx Querier, e revoke.Entry) (revoke.Entry, error) {
	return publishAbove(ctx, tx, e, math.MaxInt64)
}

func (p *engine) Publish(ctx context.Context, e revoke.Entry, only *revoke.Condition) (revoke.Entry, error) {
	known := int64(math.MaxInt64)
	if only != nil {
		known = int64(only.Pos)
	}
	published := e
	err := within(ctx, p.db, writing, func(tx *sql.Tx) (err error) {
		published, err = publishAbove(ctx, tx, e, known)
		return err
	})
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return e, revoke.ErrConflict
	case err != nil:
		return e, err
	}
	return published, nil
}

// What the statements here are written for, whatever the role or the database has by default: each sees what was
// committed before it, and one that has waited for a row goes by what the row then holds. At REPEATABLE READ or above it
// would fail instead, and at SERIALIZABLE to read could make the application's transactions fail (PostgreSQL's
// documentation, 13.2).
var (
	writing = &sql.TxOptions{Isolation: sql.LevelReadCommitted}
	reading = &sql.TxOptions{Isolation: sql.LevelReadCommitted, ReadOnly: true}
)

// within commits what do does in a transaction.
func within(ctx context.Context, db beginner, o *sql.TxOptions, do func(tx *sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, o)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := do(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// A beginner is a *sql.DB or *sql.Conn.
type beginner interface {
	BeginTx(ctx context.Context, o *sql.TxOptions) (*sql.Tx, error)
}

// publishAbove adds e unless its key has a pos above known: then the error is sql.ErrNoRows. A row that only waits to be
// swept counts as none, by this server's clock, as for the List: that never learns its pos, and would ask for ever.
func publishAbove(ctx context.Context, tx Querier, e revoke.Entry, known int64) (revoke.Entry, error) {
	var pos, before, expires int64
	var notified sql.NullString
	err := tx.QueryRowContext(ctx, publish, e.Key[:], int64(e.Pos), int64(e.Before), int64(e.Expires), known, time.Now().Unix()).
		Scan(&pos, &before, &expires, &notified)
	if err != nil {
		return e, err
	}
	e.Pos, e.Before, e.Expires = uint64(pos), uint32(before), uint32(expires)
	return e, nil
}

func (p *engine) PutBack(ctx context.Context, es []revoke.Entry) error {
	es = slices.Clone(es)
	slices.SortFunc(es, func(a, b revoke.Entry) int { return bytes.Compare(a.Key[:], b.Key[:]) }) // or servers deadlock
	b := make([]byte, 0, len(es)*revoke.EntrySize)
	for _, e := range es {
		b = e.Append(b)
	}
	return p.exec(ctx, putBack, b)
}

func (p *engine) exec(ctx context.Context, statement string, args ...any) error {
	return within(ctx, p.db, writing, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, statement, args...)
		return err
	})
}

// A cursor names the connection, too: what another one shows may have lost something in a crash, so everything is
// compared. Behind a pooler one connection can lead to several servers, and outlive a crash, from which a server recovers
// by itself: hence its start, and one of its own processes, which all end then. The primary key has another file once the
// table is truncated, or dropped and restored, or another database has taken the name of this one: then it lacks what it
// had, or has rows of transactions that are older than the snapshot.
type cursor struct {
	nth int
	state
	xmin string // of the last snapshot
}

// A state changes if the table may have lost something, or got what a snapshot can't tell.
type state struct {
	start, process int64
	file           string // path of the primary key's, with the number of the database; empty if there is none
}

func (c cursor) String() string {
	return fmt.Sprintf("%d %d %d %s %s", c.nth, c.start, c.process, c.file, c.xmin)
}

func (p *engine) Read(ctx context.Context, from string, sink func([]revoke.Entry)) (next string, more bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.connect(ctx); err != nil {
		return "", false, err
	}
	if p.following == 0 { // between two attempts, and a List that is closed then makes no other
		defer p.disconnect()
	}
	since := cursor{xmin: "0"}
	if from != "" {
		fmt.Sscan(from, &since.nth, &since.start, &since.process, &since.file, &since.xmin)
		if since.nth != p.nth {
			return "", false, revoke.ErrLost
		}
	}
	var now cursor
	err = within(ctx, p.conn, reading, func(tx *sql.Tx) (err error) {
		now, err = p.read(ctx, tx, since, sink)
		return err
	})
	switch {
	case err != nil && !errors.Is(err, revoke.ErrLost):
		p.disconnect()
		return "", false, err
	case err != nil:
		return "", false, err
	}
	return now.String(), false, nil
}

func (p *engine) read(ctx context.Context, tx *sql.Tx, since cursor, sink func([]revoke.Entry)) (cursor, error) {
	now := cursor{nth: p.nth}
	rows, err := tx.QueryContext(ctx, read, since.xmin, since.process)
	if err != nil {
		return now, err
	}
	defer rows.Close()
	var es []revoke.Entry
	for rows.Next() {
		var standby bool
		var key []byte
		var pos, before, expires sql.NullInt64
		if err := rows.Scan(&standby, &now.start, &now.process, &now.file, &now.xmin, &key, &pos, &before, &expires); err != nil {
			return now, err
		}
		switch {
		case standby:
			return now, errors.New("postgres: the server is a standby, which doesn't know yet what was revoked")
		case now.file == "": // pg_dump's output makes the table, fills it much later perhaps, and adds the key then
			return now, errors.New("postgres: cookiesession_revocations is no plain table with a primary key, or not yet, as while a backup is restored")
		case since.start != 0 && since.state != now.state:
			return now, revoke.ErrLost
		case key == nil:
			continue
		}
		e := revoke.Entry{Pos: uint64(pos.Int64), Before: uint32(before.Int64), Expires: uint32(expires.Int64)}
		if copy(e.Key[:], key) != len(key) {
			return now, fmt.Errorf("postgres: a key in cookiesession_revocations has %d bytes", len(key))
		}
		if es = append(es, e); len(es) == cap(es) && len(es) >= 1000 {
			sink(es)
			es = es[:0]
		}
	}
	if err := rows.Err(); err != nil {
		return now, err
	}
	sink(es)
	return now, nil
}

// connect makes sure that there is a connection to read from. p.mu is held.
func (p *engine) connect(ctx context.Context) error {
	if p.conn != nil {
		return nil
	}
	if p.db.Stats().MaxOpenConnections == 1 {
		return errors.New("postgres: db may have one connection only (SetMaxOpenConns); following holds one, so allow two or more")
	}
	conn, err := p.db.Conn(ctx)
	if err != nil {
		return err
	}
	p.conn = conn
	p.nth++
	return nil
}

// disconnect gives the connection back. p.mu is held.
func (p *engine) disconnect() {
	if p.conn != nil {
		p.conn.Close()
		p.conn = nil
	}
}

func (p *engine) Follow(ctx context.Context, read func(context.Context) (string, error)) error {
	woken := make(chan struct{}, 1)
	var running sync.WaitGroup
	ctx, cancel := context.WithCancel(ctx)
	p.mu.Lock()
	p.following++
	p.mu.Unlock()
	defer func() {
		cancel()
		running.Wait()
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.following--; p.following == 0 {
			p.disconnect()
		}
	}()
	if p.wake != nil {
		running.Go(func() { p.listen(ctx, woken) })
	}
	running.Go(func() { p.sweep(ctx) })
	for {
		if _, err := read(ctx); err != nil {
			return err
		}
		select {
		case <-woken:
		case <-time.After(time.Second):
		case <-ctx.Done():
			return nil
		}
	}
}

// sweep deletes what may be forgotten, soon, since no server may run for an hour, and then about once an hour, until ctx
// ends. If that fails the next hour will do.
func (p *engine) sweep(ctx context.Context) {
	wait := rand.N(5 * time.Second) // so that not all servers do when the database is back
	for {
		select {
		case <-time.After(wait):
			p.exec(ctx, forget)
		case <-ctx.Done():
			return
		}
		wait = time.Hour/2 + rand.N(time.Hour)
	}
}

// listen runs Options.Wake until ctx ends.
func (p *engine) listen(ctx context.Context, woken chan<- struct{}) {
	for ctx.Err() == nil {
		p.wake(ctx, func() { // if it fails, it's tried again; meanwhile following looks every second
			select {
			case woken <- struct{}{}:
			default:
			}
		})
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
		}
	}
}
