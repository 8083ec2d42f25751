package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/seed-50e21e88/cookiesession"
)

// A revoker says which sessions are over before their time: the way to change what "-revoke" chooses. Its methods are
// safe for concurrent use. The store has ended the logins by the time that it is told, but for endLogin.
type revoker interface {
	// revoked is for cookiesession.Config.Revoked.
	revoked(ctx context.Context, s *cookiesession.Session) (bool, error)

	// begin must be called before an account is read to check its password. What it returns puts into the session that
	// comes of it, as its last value, what tells it from sessions that are over.
	begin() (keep func(s *cookiesession.Session, u user))

	// endLogin ends the sessions of a login, before the store forgets it.
	endLogin(ctx context.Context, id string) error

	// endOthers ends all sessions of s's user but s, whose response must save it. The account's version is now version.
	endOthers(ctx context.Context, s *cookiesession.Session, version int64) error

	// endAll ends all sessions of an account.
	endAll(ctx context.Context, userID int64) error

	// guard wraps m.Handler.
	guard(m *cookiesession.Manager, next http.Handler) http.Handler

	close() error
}

// version is the account's session_version as it was when the session's password was checked.
const version = cookiesession.Field[int64]("version")

// A versionColumn revokes by the row of the account, which every page of a member reads in any case: a session is good
// if it has the account's session_version and its login is still listed. The list alone would not do, because a copy of
// the session that stays when all others are ended has the same login: only an older version tells it apart. And no
// times are compared, which fails for sessions that Regenerate made young, that began in the same second, or whose
// login was under way.
type versionColumn struct{ store *store }

func (c versionColumn) revoked(ctx context.Context, s *cookiesession.Session) (bool, error) {
	if !userID.Has(s) {
		return false, nil
	}
	u, l, err := c.store.visitor(ctx, s)
	if errors.Is(err, errNoUser) {
		return true, nil
	}
	return l.ID == "" || version.Get(s) != u.version, err
}

func (versionColumn) begin() func(*cookiesession.Session, user) {
	return func(s *cookiesession.Session, u user) { version.Put(s, u.version) }
}

// What follows is done once the store has done its part.
func (versionColumn) endLogin(context.Context, string) error { return nil }

func (versionColumn) endOthers(_ context.Context, s *cookiesession.Session, v int64) error {
	version.Put(s, v)
	return nil
}

func (versionColumn) endAll(context.Context, int64) error { return nil }

func (versionColumn) guard(_ *cookiesession.Manager, next http.Handler) http.Handler { return next }

func (versionColumn) close() error { return nil }

const revokeByVersion, revokeMeans = "version", "version"

func openRevoker(_ context.Context, means string, st *store, _ bool, _ *slog.Logger) (revoker, error) {
	return versionColumn{st}, nil
}
