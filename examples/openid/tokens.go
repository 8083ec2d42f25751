package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"sync"
	"time"

	"github.com/seed-50e21e88/cookiesession"
	"golang.org/x/oauth2"
)

// tokens are what the provider gave. They are one value, so that a session never has half of them.
//
// Whatever else changes often belongs in another Manager with another Name: of two responses that change a session at
// the same time the last one wins, and would bring back a refresh token that has been used.
type tokens struct {
	Access, Refresh, ID string
	Expires             time.Time // of the access token
}

const tokensOf = cookiesession.Field[tokens]("tokens")

var errLoggedOut = errors.New("nobody is logged in")

// early is how long before its end an access token counts as expired: it must still be good when it gets there.
const early = 10 * time.Second

// fresh returns the session's tokens, refreshed if the access token has expired. An error of the provider's changes
// nothing in the session: if another response has refreshed it, the browser's next request brings what is good.
func (a *application) fresh(ctx context.Context, s *cookiesession.Session) (tokens, error) {
	t := tokensOf.Get(s)
	if t.Access == "" {
		return t, errLoggedOut
	}
	if a.now().Before(t.Expires.Add(-early)) {
		return t, nil
	}
	subject := userOf.Get(s).Subject
	next, err := a.refreshes.do(ctx, t.Refresh, func(ctx context.Context) (tokens, error) {
		token, err := a.oauth.TokenSource(ctx, &oauth2.Token{RefreshToken: t.Refresh}).Token()
		if err != nil {
			return tokens{}, err
		}
		if _, ok := token.Extra("id_token").(string); !ok { // it may leave that out (OpenID Connect Core, 12.2)
			return tokens{token.AccessToken, token.RefreshToken, t.ID, token.Expiry}, nil
		}
		next, _, err := a.verify(ctx, token, subject)
		return next, err
	})
	if err != nil {
		return t, err
	}
	tokensOf.Put(s, next)
	return next, nil
}

// refreshes sees to it that a refresh token is used once, though two tabs bring it: providers that rotate refresh
// tokens take a second use for theft, and end the login. The second gets what the first got, also a little later, since
// a request may have left the browser before the first response came.
//
// Servers don't share this. If a provider rotates, let it tolerate a second use within some seconds (they call it
// overlap, leeway or reuse interval), or have the load balancer send a visitor to one server.
type refreshes struct {
	mu    sync.Mutex
	calls map[[sha256.Size]byte]*call // by hash of the refresh token
}

// A call is one use of a refresh token.
type call struct {
	done   chan struct{} // closed when the rest is there
	tokens tokens
	err    error
}

const (
	remembered     = time.Minute // how long the second gets what the first got
	refreshTimeout = 10 * time.Second
)

// do returns what use returns for a refresh token, and calls it if nobody has.
func (rs *refreshes) do(ctx context.Context, refresh string, use func(context.Context) (tokens, error)) (tokens, error) {
	key := sha256.Sum256([]byte(refresh))
	rs.mu.Lock()
	c := rs.calls[key]
	if c == nil {
		c = &call{done: make(chan struct{})}
		if rs.calls == nil {
			rs.calls = make(map[[sha256.Size]byte]*call)
		}
		rs.calls[key] = c
		go rs.run(context.WithoutCancel(ctx), key, c, use) // others wait for it, so it must not end with this request
	}
	rs.mu.Unlock()
	select {
	case <-c.done:
		return c.tokens, c.err
	case <-ctx.Done():
		return tokens{}, ctx.Err()
	}
}

func (rs *refreshes) run(ctx context.Context, key [sha256.Size]byte, c *call, use func(context.Context) (tokens, error)) {
	ctx, cancel := context.WithTimeout(ctx, refreshTimeout)
	defer cancel()
	forget := func() {
		rs.mu.Lock()
		defer rs.mu.Unlock()
		delete(rs.calls, key)
	}
	c.tokens, c.err = use(ctx)
	if c.err != nil {
		forget() // the next may try again
	} else {
		time.AfterFunc(remembered, forget)
	}
	close(c.done)
}
