package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/seed-50e21e88/cookiesession"
	"github.com/seed-50e21e88/cookiesession/contrib/revoke"
)

// A revocationList revokes without a look into the database: every server keeps in memory what has been ended, and hears
// of it from the engine. It is for servers that don't read the account's row.
type revocationList struct{ *revoke.List }

func openRevocationList(ctx context.Context, engine revoke.Engine, log *slog.Logger) (revoker, error) {
	list, err := revoke.Open(ctx, revoke.Config{
		Engine:      engine,
		Keys:        []string{string(userID), string(loginID)},
		MaxLifetime: rememberFor,
		Logger:      log,
	})
	if err != nil {
		return nil, err
	}
	return revocationList{list}, nil
}

func (l revocationList) revoked(ctx context.Context, s *cookiesession.Session) (bool, error) {
	return l.Revoked(ctx, s)
}

func (l revocationList) begin() func(*cookiesession.Session, user) {
	login := l.Begin()
	return func(s *cookiesession.Session, _ user) { login.Keep(s) }
}

func (l revocationList) endLogin(ctx context.Context, id string) error {
	return l.End(ctx, string(loginID), id)
}

func (l revocationList) endOthers(ctx context.Context, s *cookiesession.Session, _ int64) error {
	err := l.EndOthers(ctx, s, string(userID))
	if errors.Is(err, revoke.ErrRevoked) {
		return errEnded
	}
	return err
}

func (l revocationList) endAll(ctx context.Context, id int64) error {
	return l.End(ctx, string(userID), id)
}

func (l revocationList) guard(m *cookiesession.Manager, next http.Handler) http.Handler {
	return l.Guard(m, next)
}

func (l revocationList) close() error { return l.Close() }
