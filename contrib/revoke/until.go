package revoke

import (
	"context"
	"slices"
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
	claims  []claim // watchers.mu guards them; their keys never change
}

// check ends the watcher's context if its session is over.
func (w *watcher) check(l *List) {
	if l.over(l.watchers.claims(w), w.created, time.Now()) {
		w.end(ErrRevoked)
	}
}

// watchers are found by the keys of their claims.
type watchers struct {
	mu     sync.Mutex
	byKey  map[Key]map[*watcher]struct{}
	spared map[sparedClaim]int // by how many calls of EndOthers that are under way
}

// A sparedClaim is what EndOthers is about to raise for a session.
type sparedClaim struct{ session, key Key }

// claims returns those of a watcher, without what EndOthers is about to raise.
func (ws *watchers) claims(w *watcher) []claim {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(w.claims), func(c claim) bool { return ws.spared[sparedClaim{w.session, c.key}] > 0 })
}

func (ws *watchers) add(w *watcher) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.byKey == nil {
		ws.byKey = make(map[Key]map[*watcher]struct{})
	}
	for i := range w.claims {
		k := w.claims[i].key
		if ws.byKey[k] == nil {
			ws.byKey[k] = make(map[*watcher]struct{})
		}
		ws.byKey[k][w] = struct{}{}
	}
}

func (ws *watchers) remove(w *watcher) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for i := range w.claims {
		k := w.claims[i].key
		delete(ws.byKey[k], w)
		if len(ws.byKey[k]) == 0 {
			delete(ws.byKey, k)
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

// spare keeps the contexts of a session from ending by an entry under k that EndOthers is about to publish, also those
// that begin meanwhile. The function that it returns must be told the entry's pos, or 0 if there is none.
func (ws *watchers) spare(session, k Key) func(l *List, pos uint64) {
	spared := sparedClaim{session, k}
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.spared == nil {
		ws.spared = make(map[sparedClaim]int)
	}
	ws.spared[spared]++
	return func(l *List, pos uint64) {
		ws.raise(spared, pos)
		ws.check(l, session)
	}
}

// raise takes back what spare began, and raises the claims to a pos.
func (ws *watchers) raise(spared sparedClaim, pos uint64) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.spared[spared]--; ws.spared[spared] == 0 {
		delete(ws.spared, spared)
	}
	for w := range ws.byKey[spared.session] {
		for i := range w.claims {
			if c := &w.claims[i]; c.key == spared.key && pos > c.pos {
				c.pos, c.marked = pos, true
			}
		}
	}
}
