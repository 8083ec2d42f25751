package main

import (
	"context"
	"errors"
	"net/http"

	"github.com/seed-50e21e88/cookiesession"
)

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
