package revoke

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
	_, err = l.publish(ctx, k, l.longest(key), nil)
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
	_, err := l.publish(ctx, keyOfSession(id), l.config.MaxLifetime, nil)
	return err
}

// EndAll ends every session of everybody that began earlier. Errors are as those of [List.End].
func (l *List) EndAll(ctx context.Context) error {
	_, err := l.publish(ctx, keyOfAll, l.config.MaxLifetime, nil)
	return err
}

// EndOthers ends all sessions with s's value of key but s, which must be saved in this response: its cookie from before
// ends too, and so do copies of it. It is an error if s has no value for key. If s can't be changed any more (see
// Session.Err) the others end all the same, and s with them.
//
// It asks the engine first, as [List.Sync] does, and returns ErrRevoked, having ended nobody, if s itself is over, so
// that nobody whose session has been ended can spare it. The engine takes the entry only if that is still so: an End on
// another server at the same time ends s whichever comes first, and of two sessions that end each other one is spared.
// If the engine can't tell, ten times, the error wraps ErrConflict, and nobody has ended.
//
// After an error of the engine nobody knows: it may have the entry, and then s has ended with the others. So a second
// call may return ErrRevoked, and so may a first one if the engine's client sends it twice. So does the second of two
// requests that bring one cookie, as after a double click: nothing tells its s from a copy. Don't change s then, or its
// cookie, which is over, could follow the one that the first response has saved; redirect, and the browser brings that.
//
// A context of [List.Until] of s goes on here, whichever response its cookie came with, and ends on other servers.
func (l *List) EndOthers(ctx context.Context, s *cookiesession.Session, key string) error {
	k, err := l.keyOf(key, s.Get(key))
	if err != nil {
		return err
	}
	session := keyOfSession(s.ID())
	var mark []claim
	unlessOver := func() error {
		claims := append(slices.Clone(mark), claim{key: session, marked: true})
		if mark == nil { // the first time; later by what was known then, or an entry of this call would end s by time
			mark = l.markOf(s)
			claims = l.claims(nil, s)
		}
		if l.over(claims, s.CreatedAt(), time.Now()) {
			return ErrRevoked
		}
		return nil
	}
	spare := l.watchers.spare(session, k)
	pos, err := l.publish(ctx, k, l.longest(key), unlessOver)
	spare(l, pos)
	if err != nil {
		return err
	}
	for i := range mark {
		if mark[i].key == k {
			mark[i].pos = pos
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
		c.marked = true
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
	_, err := l.sync(ctx)
	return err
}

// sync is Sync, and returns a cursor up to which all is known.
func (l *List) sync(ctx context.Context) (cursor string, err error) {
	called := time.Now()
	select {
	case l.reading <- struct{}{}:
	case <-ctx.Done():
		return "", ctx.Err()
	case <-l.ctx.Done():
		return "", ErrClosed
	}
	if fresh := l.fresh.Load(); fresh != nil && fresh.After(called) {
		cursor = l.cursor
		<-l.reading // somebody has read meanwhile
		return cursor, nil
	}
	type result struct {
		cursor string
		err    error
	}
	done := make(chan result, 1)
	if !l.start(func() { // a caller who gives up doesn't break a connection that others use
		err := l.readAll(l.ctx)
		if err != nil && l.ctx.Err() != nil {
			err = ErrClosed
		}
		read := result{l.cursor, err}
		<-l.reading
		done <- read
	}) {
		<-l.reading
		return "", ErrClosed
	}
	select {
	case read := <-done:
		return read.cursor, read.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// Entry returns the entry that [List.End] would publish, for an engine's own way to do that, as package postgres has. It
// has no Pos yet, and must be used at once. Errors are those of End for key and value.
func (l *List) Entry(key string, value any) (Entry, error) {
	k, err := l.keyOf(key, value)
	if err != nil {
		return Entry{}, err
	}
	return l.entry(k, l.longest(key)), nil
}

// longest returns within what time the sessions expire which an entry of a value of one of Config.Keys concerns.
func (l *List) longest(name string) time.Duration {
	if l.neverReused(name) {
		return 2 * l.config.MaxLifetime // it ends sessions that begin in the first half
	}
	return l.config.MaxLifetime
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

// maxTries is how often an entry with a condition is published. What an engine holds of the key is known at the second
// try, so only one that can't tell for long, or whose entries are forgotten here too early, takes more than a few.
const maxTries = 10

// publish adds an entry to the engine, makes it known here, and returns its pos. If may isn't nil, it's asked first,
// and its error returned: asked again, if the engine by then holds something of the key that wasn't known here.
func (l *List) publish(ctx context.Context, k Key, longest time.Duration, may func() error) (pos uint64, err error) {
	behind := false
	for try := 1; ; try++ {
		if l.ctx.Err() != nil {
			return 0, ErrClosed
		}
		var only *Condition
		if may != nil || behind {
			cursor, err := l.sync(ctx)
			if err != nil {
				return 0, err
			}
			only = &Condition{Cursor: cursor}
		}
		known := l.entries.lookup(&k).Pos // before may looks, which must not miss what counts as known
		if only != nil {
			only.Pos = known
		}
		if may != nil {
			if err := may(); err != nil {
				return 0, err
			}
		}
		e := l.entry(k, longest)
		if behind {
			e.Pos = known + 1
		}
		published, err := l.config.Engine.Publish(ctx, e, only)
		switch {
		case only != nil && errors.Is(err, ErrConflict) && try < maxTries:
			continue
		case err != nil:
			return 0, fmt.Errorf("revoke: publish: %w", err)
		case published.Pos <= known && !behind:
			// The engine has lost its place, and marks may hold what it had: nothing at or below that would end them.
			behind = true
			continue
		}
		if l.entries.raise(published, false) {
			l.watchers.check(l, k)
		}
		l.await(published)
		return published.Pos, nil
	}
}
