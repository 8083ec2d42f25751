package revoke

import (
	"context"
	"sync"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

// Until returns a context that ends when s is over: for WebSockets and event streams, which ask the hook only once. Its
// cause ([context.Cause]) is ErrRevoked; or ErrStale, up to a second after the list got too old, unless Config.ServeStale;
// or ErrClosed; or, when s expires, context.DeadlineExceeded. Values that are put into s later are none of its business.
// The CancelFunc must be called, as that of every context.
func (l *List) Until(ctx context.Context, s *cookiesession.Session) (context.Context, context.CancelFunc) {
	ctx, release := context.WithDeadline(ctx, s.ExpiresAt())
	ctx, end := context.WithCancelCause(ctx)
	w := &watcher{claims: l.claims(nil, s), session: keyOfSession(s.ID()), created: s.CreatedAt(), end: end}
	l.watchers.add(w)
	w.check(l) // what came before add, too
	switch {
	case l.ctx.Err() != nil:
		end(ErrClosed)
	case l.stale():
		end(ErrStale)
	}
	return ctx, func() {
		l.watchers.remove(w)
		end(context.Canceled)
		release()
	}
}

// A watcher is a session whose end somebody waits for.
type watcher struct {
	session Key
	created time.Time
	end     context.CancelCauseFunc

	mu     sync.Mutex
	claims []claim
	spared map[Key]int // claims that EndOthers is about to raise: how many calls
}

// check ends the watcher's context if its session is over.
func (w *watcher) check(l *List) {
	w.mu.Lock()
	claims := make([]claim, 0, len(w.claims))
	for _, c := range w.claims {
		if w.spared[c.key] == 0 {
			claims = append(claims, c)
		}
	}
	w.mu.Unlock()
	if l.over(claims, w.created, time.Now()) {
		w.end(ErrRevoked)
	}
}

// watchers are found by the keys of their claims.
type watchers struct {
	mu    sync.Mutex
	byKey map[Key]map[*watcher]struct{}
}

func (ws *watchers) add(w *watcher) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for _, c := range w.claims {
		if ws.byKey == nil {
			ws.byKey = make(map[Key]map[*watcher]struct{})
		}
		if ws.byKey[c.key] == nil {
			ws.byKey[c.key] = make(map[*watcher]struct{})
		}
		ws.byKey[c.key][w] = struct{}{}
	}
}

func (ws *watchers) remove(w *watcher) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for _, c := range w.claims { // keys of claims never change
		delete(ws.byKey[c.key], w)
		if len(ws.byKey[c.key]) == 0 {
			delete(ws.byKey, c.key)
		}
	}
}

// of returns the watchers under a key.
func (ws *watchers) of(k Key) (found []*watcher) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for w := range ws.byKey[k] {
		found = append(found, w)
	}
	return found
}

// check ends the contexts of those sessions that a new entry under k ends.
func (ws *watchers) check(l *List, k Key) {
	for _, w := range ws.of(k) {
		w.check(l)
	}
}

// endAll ends every context: every watcher is under the key of everybody.
func (ws *watchers) endAll(cause error) {
	for _, w := range ws.of(keyOfAll) {
		w.end(cause)
	}
}

// spare keeps the contexts of a session from ending by an entry under k that EndOthers is about to publish. The function
// that it returns must be told the entry's pos, or 0 if there is none.
func (ws *watchers) spare(session, k Key) func(l *List, pos uint64) {
	own := ws.of(session)
	for _, w := range own {
		w.mu.Lock()
		if w.spared == nil {
			w.spared = make(map[Key]int)
		}
		w.spared[k]++
		w.mu.Unlock()
	}
	return func(l *List, pos uint64) {
		for _, w := range own {
			w.mu.Lock()
			w.spared[k]--
			for i := range w.claims {
				if c := &w.claims[i]; c.key == k && pos > c.pos {
					c.pos, c.marked = pos, true
				}
			}
			w.mu.Unlock()
			w.check(l)
		}
	}
}
