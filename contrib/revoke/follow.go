package revoke

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

const (
	readTimeout = 5 * time.Second // without a sign of life from the engine
	minPause    = 100 * time.Millisecond
	maxPause    = 2 * time.Second // so that an outage of any length is over soon after the engine's
	chunk       = 500             // entries that are put back at once
)

// follow keeps the replica up to date until Close.
func (l *List) follow() {
	pause := minPause
	for {
		before := l.fresh.Load()
		err := l.config.Engine.Follow(l.ctx, l.read)
		if l.ctx.Err() != nil {
			return
		}
		if err == nil {
			err = errors.New("revoke: engine stopped following")
		}
		l.failed(err)
		if l.fresh.Load() != before {
			pause = minPause
		}
		if !l.sleep(pause/2 + rand.N(pause/2)) {
			return
		}
		pause = min(2*pause, maxPause)
	}
}

// sleep returns false if Close came first.
func (l *List) sleep(d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-l.ctx.Done():
		return false
	}
}

// read reads all there is. It is what Follow calls.
func (l *List) read(ctx context.Context) (string, error) {
	select {
	case l.reading <- struct{}{}:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	defer func() { <-l.reading }()
	err := l.readAll(ctx)
	return l.cursor, err
}

// readAll reads all there is. l.reading is held.
func (l *List) readAll(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	patience := time.AfterFunc(readTimeout, func() { cancel(errTimeout) })
	defer patience.Stop()
	l.checkForgotten(time.Now())
	restarted := false
	for {
		if l.cursor == "" {
			l.snapshot = true
			l.entries.unsee()
		}
		asked, applied := time.Now(), l.entries.applied.Load()
		next, more, err := l.config.Engine.Read(ctx, l.cursor, func(es []Entry) {
			patience.Reset(readTimeout)
			l.apply(es, time.Now())
		})
		switch {
		case errors.Is(err, ErrLost) && !restarted:
			restarted, l.cursor = true, ""
			continue
		case err != nil:
			if l.snapshot {
				l.cursor = ""
			}
			if cause := context.Cause(ctx); errors.Is(cause, errTimeout) {
				err = fmt.Errorf("%w: %w", cause, err)
			}
			return err
		case next == "":
			return errors.New("revoke: engine returned no cursor")
		}
		l.cursor = next
		if !more {
			l.complete(asked, applied)
			return nil
		}
		patience.Reset(readTimeout)
	}
}

var errTimeout = fmt.Errorf("revoke: no answer from the engine for %v", readTimeout)

// apply makes what the engine has shown known here.
func (l *List) apply(es []Entry, now time.Time) {
	for _, e := range es {
		switch {
		case e.Forgotten(now.Unix()):
			l.entries.forgotten(e)
		case l.entries.raise(e, true):
			l.watchers.check(l, e.Key)
		}
	}
}

// checkForgotten has everything read again if this server's clock was ahead, and so what is still needed was forgotten
// here. Until that is done nobody knows. l.reading is held.
func (l *List) checkForgotten(now time.Time) {
	if gone := l.entries.gone.Load(); now.Unix() < gone {
		l.note(note{text: "revoke: the clock was set back, so all revocations are read again"})
		l.fresh.Store(nil)
		l.entries.gone.CompareAndSwap(gone, 0)
		l.cursor = ""
	}
}

// complete notes that all that was acknowledged before asked is known. What was held then and the engine hasn't shown
// is lost there.
func (l *List) complete(asked time.Time, applied uint64) {
	l.fresh.Store(&asked)
	first := false
	select {
	case <-l.completed:
	default:
		first = true
		close(l.completed)
	}
	missing := 0
	if l.snapshot && !first {
		for i := range l.entries.shards {
			missing += len(l.entries.unseen(i, applied, asked.Unix()))
		}
	}
	l.snapshot = false

	l.mu.Lock()
	recovered := l.failing
	l.failing = false
	l.awaited = slices.DeleteFunc(l.awaited, func(a awaited) bool {
		switch {
		case !l.entries.awaits(&a.key, a.pos):
			return true
		case a.at.Before(asked):
			missing = max(missing, 1) // acknowledged, but gone before it could be read
			return true
		}
		return false
	})
	if missing > 0 {
		l.stats.Losses++
	}
	l.mu.Unlock()
	if recovered {
		l.note(note{text: "revoke: revocations can be read again", recovery: true})
	}
	if missing > 0 {
		l.note(note{text: "revoke: engine has lost revocations, which are put back", count: missing})
		l.lost.Store(applied)
		select {
		case l.putBack <- struct{}{}:
		default:
		}
	}
}

// restore puts back what the engine has lost. All servers do, each in its own order, and leave out what others were
// faster to put back.
func (l *List) restore() {
	for {
		select {
		case <-l.putBack:
		case <-l.ctx.Done():
			return
		}
		for {
			applied := l.lost.Load()
			err := l.restoreUpTo(applied)
			if err == nil {
				break
			}
			l.failed(err)
			if !l.sleep(time.Second) {
				return
			}
		}
	}
}

func (l *List) restoreUpTo(applied uint64) error {
	shards := len(l.entries.shards)
	start := rand.N(shards)
	var es []Entry
	for i := range shards {
		// A small loss is put back at once: what only this server knows is gone if the server ends before.
		es = append(es, l.missing((start+i)%shards, applied)...)
		for len(es) >= chunk || i == shards-1 && len(es) > 0 {
			n := min(len(es), chunk)
			if err := l.putBackNow(es[:n]); err != nil {
				return err
			}
			es = es[n:]
		}
	}
	return nil
}

// missing returns what the engine lacks of a shard; while a snapshot is under way nobody knows, and its end decides.
func (l *List) missing(shard int, applied uint64) []Entry {
	select {
	case l.reading <- struct{}{}:
	case <-l.ctx.Done():
		return nil
	}
	defer func() { <-l.reading }()
	if l.snapshot {
		return nil
	}
	return l.entries.unseen(shard, applied, time.Now().Unix())
}

func (l *List) putBackNow(es []Entry) error {
	ctx, cancel := context.WithTimeout(l.ctx, readTimeout)
	defer cancel()
	if err := l.config.Engine.PutBack(ctx, es); err != nil {
		return err
	}
	l.await(es...)
	l.mu.Lock()
	l.stats.PutBack += uint64(len(es))
	l.mu.Unlock()
	return nil
}

// await remembers what the engine has acknowledged just now. It may lose that before anybody has read it: an entry is
// there when a Read has shown it, not before.
func (l *List) await(es ...Entry) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range es {
		l.awaited = append(l.awaited, awaited{e.Key, e.Pos, now})
	}
}

// An awaited entry was acknowledged to this server, and the engine hasn't shown it yet.
type awaited struct {
	key Key
	pos uint64
	at  time.Time
}
