package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// Roles of an account. A blocked one is nobody: its sessions end, and it can't log in.
const (
	roleBlocked = "blocked"
	roleMember  = "member"
	roleAdmin   = "admin"
)

// A user is an account.
type user struct {
	ID       int64
	Name     string
	Role     string
	password string // its argon2id hash
	version  int64  // the session_version
}

// A login is a browser in which somebody logged in: a line of "my sessions".
type login struct {
	ID      string // drawn at login. Session.ID won't do: the next user of a browser begins with the last one's first half.
	Device  string
	Created time.Time
	Seen    time.Time // to some minutes, see seenEvery
	expires time.Time
}

var (
	errNoUser = errors.New("no such account")
	errTaken  = errors.New("the name is taken")
	errEnded  = errors.New("the account's sessions have been ended meanwhile")
)

// A user's ID is never given again (AUTOINCREMENT), so that a session can't outlive one account into another.
const schema = `
CREATE TABLE IF NOT EXISTS users (
	id              INTEGER PRIMARY KEY AUTOINCREMENT,
	name            TEXT    NOT NULL UNIQUE,
	password        TEXT    NOT NULL,
	role            TEXT    NOT NULL,
	session_version INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE TABLE IF NOT EXISTS logins (
	id      TEXT    PRIMARY KEY,
	user_id INTEGER NOT NULL REFERENCES users (id),
	device  TEXT    NOT NULL,
	created INTEGER NOT NULL,
	seen    INTEGER NOT NULL,
	expires INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS logins_of_user ON logins (user_id, expires);
`

// A store keeps accounts and their logins in SQLite. It is safe for concurrent use.
type store struct{ db *sql.DB }

// openStore opens the database in a file, or a new one in memory if path is empty.
func openStore(path string) (*store, error) {
	pragmas := "?_txlock=immediate&_pragma=foreign_keys(1)&_pragma=busy_timeout(5000)"
	dsn := "file::memory:" + pragmas
	if path != "" {
		dsn = "file:" + (&url.URL{Path: path}).EscapedPath() + pragmas + "&_pragma=journal_mode(WAL)"
	}
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	if path == "" {
		db.SetMaxOpenConns(1) // each connection would have a memory of its own
		db.SetConnMaxLifetime(0)
	}
	if _, err := db.Exec(schema); err != nil {
		return nil, errors.Join(fmt.Errorf("open database: %w", err), db.Close())
	}
	return &store{db}, nil
}

func (s *store) close() error { return s.db.Close() }

const userColumns = "users.id, users.name, users.role, users.password, users.session_version"

func (u *user) columns() []any { return []any{&u.ID, &u.Name, &u.Role, &u.password, &u.version} }

// addUser adds an account. The first one of all is the administrator's: on a server that strangers reach, register first.
func (s *store) addUser(ctx context.Context, name, password string) (u user, err error) {
	err = s.db.QueryRowContext(ctx, `
		INSERT INTO users (name, password, role)
		VALUES (?, ?, CASE WHEN EXISTS (SELECT 1 FROM users) THEN ? ELSE ? END)
		ON CONFLICT DO NOTHING RETURNING `+userColumns, name, password, roleMember, roleAdmin).Scan(u.columns()...)
	if errors.Is(err, sql.ErrNoRows) {
		err = errTaken
	}
	return u, err
}

// userByName reads an account for a login. Password and version come from one look: if the password is changed while it
// is being checked, the version is an old one by then, and no session can begin with it.
func (s *store) userByName(ctx context.Context, name string) (u user, err error) {
	err = s.db.QueryRowContext(ctx, "SELECT "+userColumns+" FROM users WHERE name = ?", name).Scan(u.columns()...)
	if errors.Is(err, sql.ErrNoRows) {
		err = errNoUser
	}
	return u, err
}

// userAndLogin reads an account, and the login of one of its sessions. The login has no ID if it has been ended.
func (s *store) userAndLogin(ctx context.Context, id int64, loginID string) (u user, l login, err error) {
	var seen int64
	err = s.db.QueryRowContext(ctx, `
		SELECT `+userColumns+`, COALESCE(logins.id, ''), COALESCE(logins.seen, 0)
		FROM users LEFT JOIN logins ON logins.id = ? AND logins.user_id = users.id
		WHERE users.id = ?`, loginID, id).Scan(append(u.columns(), &l.ID, &seen)...)
	if errors.Is(err, sql.ErrNoRows) {
		err = errNoUser
	}
	l.Seen = time.Unix(seen, 0)
	return u, l, err
}

// users lists all accounts by name, without what only a login needs.
func (s *store) users(ctx context.Context) (all []user, err error) {
	rows, err := s.db.QueryContext(ctx, "SELECT id, name, role FROM users ORDER BY name")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var u user
		if err := rows.Scan(&u.ID, &u.Name, &u.Role); err != nil {
			return nil, err
		}
		all = append(all, u)
	}
	return all, rows.Err()
}

// addLogin adds a login of u, and drops what has expired. It returns errEnded if u's sessions have been ended since u
// was read.
func (s *store) addLogin(ctx context.Context, u user, l login) error {
	if _, err := s.db.ExecContext(ctx, "DELETE FROM logins WHERE user_id = ? AND expires <= ?", u.ID, l.Created.Unix()); err != nil {
		return err
	}
	return s.changeOne(ctx, errEnded, `
		INSERT INTO logins (id, user_id, device, created, seen, expires)
		SELECT ?, id, ?, ?, ?, ? FROM users WHERE id = ? AND session_version = ?`,
		l.ID, l.Device, l.Created.Unix(), l.Seen.Unix(), l.expires.Unix(), u.ID, u.version)
}

// touch notes that a login was used, and until when it lasts. It doesn't bring back one that has been ended.
func (s *store) touch(ctx context.Context, id string, seen, expires time.Time) error {
	_, err := s.db.ExecContext(ctx, "UPDATE logins SET seen = ?, expires = ? WHERE id = ?", seen.Unix(), expires.Unix(), id)
	return err
}

// logins lists the logins of an account, the last used first.
func (s *store) logins(ctx context.Context, userID int64, now time.Time) (all []login, err error) {
	rows, err := s.db.QueryContext(ctx, `
		SELECT id, device, created, seen FROM logins
		WHERE user_id = ? AND expires > ? ORDER BY seen DESC, created DESC, id`, userID, now.Unix())
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var l login
		var created, seen int64
		if err := rows.Scan(&l.ID, &l.Device, &created, &seen); err != nil {
			return nil, err
		}
		l.Created, l.Seen = time.Unix(created, 0), time.Unix(seen, 0)
		all = append(all, l)
	}
	return all, rows.Err()
}

// endLogin ends one login.
func (s *store) endLogin(ctx context.Context, id string) error {
	_, err := s.db.ExecContext(ctx, "DELETE FROM logins WHERE id = ?", id)
	return err
}

// endOthers ends all logins of u but one, and gives the account another password unless that is "". It returns the new
// version; or errEnded, and changes nothing, if u's sessions have been ended since u was read: then the one that asks is
// over, too, and must not come out of it with a version that is good.
func (s *store) endOthers(ctx context.Context, u user, keep, password string) (version int64, err error) {
	err = s.transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		err := tx.QueryRowContext(ctx, `
			UPDATE users SET session_version = session_version + 1, password = COALESCE(NULLIF(?, ''), password)
			WHERE id = ? AND session_version = ? AND EXISTS (SELECT 1 FROM logins WHERE id = ? AND user_id = users.id)
			RETURNING session_version`, password, u.ID, u.version, keep).Scan(&version)
		if errors.Is(err, sql.ErrNoRows) {
			return errEnded
		}
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "DELETE FROM logins WHERE user_id = ? AND id <> ?", u.ID, keep)
		return err
	})
	return version, err
}

// setRole changes a role. Sessions need not end for it, since every request reads the role anew.
func (s *store) setRole(ctx context.Context, id int64, role string) error {
	return s.changeOne(ctx, errNoUser, "UPDATE users SET role = ? WHERE id = ?", role, id)
}

// endAll ends all logins of an account.
func (s *store) endAll(ctx context.Context, id int64) error {
	return s.transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "UPDATE users SET session_version = session_version + 1 WHERE id = ?", id); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "DELETE FROM logins WHERE user_id = ?", id)
		return err
	})
}

// changeOne runs a statement that changes a row, and returns none if it found no row to change.
func (s *store) changeOne(ctx context.Context, none error, query string, args ...any) error {
	result, err := s.db.ExecContext(ctx, query, args...)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, none)
	}
	return nil
}

// transact makes a change that ends sessions: all of it or nothing, and also if the browser that asked has gone.
func (s *store) transact(ctx context.Context, change func(context.Context, *sql.Tx) error) error {
	ctx = context.WithoutCancel(ctx)
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := change(ctx, tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}
