package revoke

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

// End ends every session that has value under key and whose login began earlier, on all servers. Once it returns nil,
// this server refuses them and the engine holds it; other servers follow within their Stats().Staleness. Who logs in on
// one of them before it has heard of it logs in once more.
//
// After an error nobody knows: try again, which does no harm, except that an End which hung and arrives after all can
// end a session that began after the retry. Key must be one of Config.Keys, and value what can be compared.
//
// Change what is revoked first: set the new password, or close the account, then call End.
func (l *List) End(ctx context.Context, key string, value any) error {
	k, err := l.keyOf(key, value)
	if err != nil {
		return err
	}
	_, err = l.publish(ctx, l.entryOf(key, k))
	return err
}

// EndSession ends the session with this ID (Session.ID), and what Regenerate has made or makes of it. Errors are as
// those of [List.End].
func (l *List) EndSession(ctx context.Context, id string) error {
	const digits = 32
	if len(id) != digits {
		return errors.New("revoke: a session's ID has 32 hexadecimal digits")
	}
	for _, c := range []byte(id) {
		if !('0' <= c && c <= '9' || 'a' <= c && c <= 'f') {
			return errors.New("revoke: a session's ID has 32 hexadecimal digits")
		}
	}
	return l.end(ctx, keyOfSession(id))
}

// EndAll ends every session of everybody that began earlier. Errors are as those of [List.End].
func (l *List) EndAll(ctx context.Context) error { return l.end(ctx, keyOfAll) }

func (l *List) end(ctx context.Context, k Key) error {
	_, err := l.publish(ctx, l.entry(k, l.config.MaxLifetime))
	return err
}

// EndOthers ends all sessions with s's value of key but s, which must be saved in this response: its cookie from before
// ends too, and so do copies of it. It asks the engine first, as [List.Sync] does, and returns ErrRevoked if s itself is
// over, so that nobody whose session has been ended can spare it. It is an error if s has no value for key. If s can't
// be changed any more (see Session.Err) the others end all the same, and s with them.
//
// A context of [List.Until] of s goes on here, whichever response its cookie came with, and ends on other servers.
func (l *List) EndOthers(ctx context.Context, s *cookiesession.Session, key string) error {
	k, err := l.keyOf(key, s.Get(key))
	if err != nil {
		return err
	}
	if err := l.Sync(ctx); err != nil {
		return err
	}
	mark := l.markOf(s)
	if l.over(l.claims(nil, s), s.CreatedAt(), time.Now()) {
		return ErrRevoked
	}
	spare := l.watchers.spare(keyOfSession(s.ID()), k)
	e, err := l.publish(ctx, l.entryOf(key, k))
	spare(l, e.Pos)
	if err != nil {
		return err
	}
	for i := range mark {
		if mark[i].key == k {
			mark[i].pos = e.Pos
		}
	}
	s.Put(markKey, appendMark(nil, mark))
	if err := s.Err(); err != nil {
		return fmt.Errorf("revoke: this session ends with the others, since it can't be changed: %w", err)
	}
	return nil
}

// markOf returns the claims of a mark for s, which need not have one: what went by time so far gets the pos that is
// known. So the caller must ask afterwards whether s is over.
func (l *List) markOf(s *cookiesession.Session) (mark []claim) {
	session := keyOfSession(s.ID())
	for _, c := range l.claims(nil, s) {
		if e := l.entries.lookup(&c.key); !c.marked || c.final && l.comesBack(e.Before, s.CreatedAt()) {
			c.pos = max(c.pos, e.Pos)
		}
		if c.key != session {
			mark = append(mark, c)
		}
	}
	return mark
}

// Sync returns when all that was acknowledged before the call is known here: one round trip, for the few requests that
// must not be a second late (a transfer, an administrator's page). The error is the engine's, ctx's, or ErrClosed. The
// hook is asked once a request, so if the session has been used before Sync, ask [List.Revoked] again.
func (l *List) Sync(ctx context.Context) error {
	called := time.Now()
	select {
	case l.reading <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	case <-l.ctx.Done():
		return ErrClosed
	}
	if fresh := l.fresh.Load(); fresh != nil && fresh.After(called) {
		<-l.reading // somebody has read meanwhile
		return nil
	}
	done := make(chan error, 1)
	if !l.start(func() { // a caller who gives up doesn't break a connection that others use
		err := l.readAll(l.ctx)
		<-l.reading
		done <- err
	}) {
		<-l.reading
		return ErrClosed
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Entry returns the entry that [List.End] would publish, for an engine's own way to do that, as package postgres has. It
// has no Pos yet, and must be used at once. Errors are those of End for key and value.
func (l *List) Entry(key string, value any) (Entry, error) {
	k, err := l.keyOf(key, value)
	if err != nil {
		return Entry{}, err
	}
	return l.entryOf(key, k), nil
}

// entryOf returns the entry of a value of one of Config.Keys.
func (l *List) entryOf(name string, k Key) Entry {
	longest := l.config.MaxLifetime
	if l.neverReused(name) {
		longest *= 2 // it ends sessions that begin in the first half
	}
	return l.entry(k, longest)
}

// entry returns one that concerns sessions which expire within longest.
func (l *List) entry(k Key, longest time.Duration) Entry {
	now := time.Now()
	kept := longest + l.config.MaxStale + clockSlack*time.Second
	return Entry{
		Key:     k,
		Before:  uint32(now.Unix() + 1), // a session of this very second began earlier too
		Expires: uint32(now.Add(kept).Unix() + 1),
	}
}

// publish adds e to the engine and makes it known here.
func (l *List) publish(ctx context.Context, e Entry) (Entry, error) {
	if l.ctx.Err() != nil {
		return e, ErrClosed
	}
	known := l.entries.lookup(&e.Key).Pos
	published, err := l.config.Engine.Publish(ctx, e)
	if err == nil && published.Pos <= known {
		// The engine has lost its place, and marks may hold what it had: nothing at or below that would end them.
		e.Pos = known + 1
		published, err = l.config.Engine.Publish(ctx, e)
	}
	if err != nil {
		return e, fmt.Errorf("revoke: publish: %w", err)
	}
	if l.entries.raise(published, false) {
		l.watchers.check(l, e.Key)
	}
	l.await(published)
	return published, nil
}
