package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/seed-50e21e88/cookiesession"
	"github.com/seed-50e21e88/cookiesession/contrib/revoke"
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

// What -revoke can be, and a file's path after the last.
const (
	revokeByVersion = "version"
	revokeByMemory  = "memory"
	revokeByFile    = "file:"
)

// openRevoker returns the revoker that means names. keysStay says that sessions outlive the process.
func openRevoker(ctx context.Context, means string, st *store, keysStay bool, log *slog.Logger) (revoker, error) {
	path, isFile := strings.CutPrefix(means, revokeByFile)
	switch {
	case means == revokeByVersion:
		return versionColumn{st}, nil
	case means == revokeByMemory && keysStay:
		return nil, errors.New("-revoke memory forgets at the end what it ended, and the sessions would be back: with -keys, use version or file:PATH")
	case means == revokeByMemory:
		return openRevocationList(ctx, revoke.Memory(), log)
	case isFile && path != "":
		return openRevocationList(ctx, revoke.File(path), log)
	}
	return nil, fmt.Errorf("-revoke is %q, want version, memory or file:PATH", means)
}
