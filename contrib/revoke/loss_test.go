package revoke_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-50e21e88/cookiesession/contrib/revoke"
)

// A losing engine forgets what it's told to, as one does that was restored from a backup or fails over to a replica.
type losing struct {
	mu    sync.Mutex
	epoch int
	log   []revoke.Entry
	pages int  // entries that Read returns at once, if not 0
	putIn int  // how often entries were put back
	calls int  // of PutBack
	again bool // what is put back next is lost at once
}

func (e *losing) Publish(_ context.Context, entry revoke.Entry, _ *revoke.Condition) (revoke.Entry, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	entry.Pos = max(entry.Pos, uint64(time.Now().UnixMicro())+uint64(len(e.log)))
	e.log = append(e.log, entry)
	return entry, nil
}

func (e *losing) PutBack(_ context.Context, es []revoke.Entry) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.calls, e.putIn = e.calls+1, e.putIn+len(es)
	e.log = append(e.log, es...)
	if e.again {
		e.again = false
		e.log, e.epoch = nil, e.epoch+1
		e.mu.Unlock()
		time.Sleep(time.Second) // the answer takes its time, and the loss is noticed meanwhile
		e.mu.Lock()
	}
	return nil
}

func (e *losing) Read(_ context.Context, cursor string, sink func([]revoke.Entry)) (string, bool, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	epoch, at := e.epoch, 0
	if cursor != "" {
		fmt.Sscan(cursor, &epoch, &at)
	}
	if epoch != e.epoch || at > len(e.log) {
		return "", false, revoke.ErrLost
	}
	to := len(e.log)
	if e.pages > 0 {
		to = min(to, at+e.pages)
	}
	sink(e.log[at:to])
	return fmt.Sprint(epoch, to), to < len(e.log), nil
}

func (e *losing) Follow(ctx context.Context, read func(context.Context) (string, error)) error {
	for {
		if _, err := read(ctx); err != nil {
			return err
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return nil
		}
	}
}

// lose drops what is behind the first n entries. If it's silent, no cursor shows it but one behind them.
func (e *losing) lose(n int, silent bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.log = e.log[:n:n]
	if !silent {
		e.epoch++
	}
}

func (e *losing) holds(k revoke.Key) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, entry := range e.log {
		if entry.Key == k {
			return true
		}
	}
	return false
}

// Promise 5: what the engine loses and one running server had read, or published, is put back, with the pos that it had.
func TestLoss(t *testing.T) {
	for _, test := range []struct {
		name              string
		n, keep, pages    int
		unread            bool // the loss comes before anybody has read
		silent            bool // nothing but the unread entry's absence shows it
		losses, minPutIn  int
		maxPutIn, servers int
	}{
		{name: "everything", n: 10, losses: 1, minPutIn: 10, maxPutIn: 10, servers: 1},
		{name: "the end", n: 10, keep: 7, losses: 1, minPutIn: 3, maxPutIn: 3, servers: 1},
		{name: "nothing, but the cursor", n: 10, keep: 10, losses: 0, servers: 1},
		{name: "many", n: 3000, keep: 100, pages: 700, losses: 1, minPutIn: 2900, maxPutIn: 2900, servers: 1},
		{name: "many, several servers", n: 3000, keep: 100, losses: 1, minPutIn: 2900, maxPutIn: 3 * 2900, servers: 3},
		{name: "what nobody has read", n: 1, unread: true, losses: 1, minPutIn: 1, maxPutIn: 1, servers: 1},
		{name: "what nobody has read, silently", n: 1, unread: true, silent: true, losses: 1, minPutIn: 1, maxPutIn: 1, servers: 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				engine := &losing{pages: test.pages}
				var lists []*revoke.List
				for range test.servers {
					l, err := revoke.Open(t.Context(), revoke.Config{Engine: engine, Keys: []string{"user"}, MaxLifetime: time.Hour})
					must(t, err)
					defer l.Close()
					lists = append(lists, l)
				}
				var entries []revoke.Entry
				for i := range test.n {
					must(t, lists[0].End(t.Context(), "user", i))
					e, err := lists[0].Entry("user", i)
					must(t, err)
					entries = append(entries, e)
				}
				if !test.unread {
					time.Sleep(time.Second)
				}
				engine.lose(test.keep, test.silent)
				time.Sleep(15 * time.Second)
				for i, e := range entries {
					if !engine.holds(e.Key) {
						t.Errorf("entry %d is missing", i)
					}
				}
				if engine.putIn < test.minPutIn || engine.putIn > test.maxPutIn {
					t.Errorf("got %d entries put back, want %d to %d", engine.putIn, test.minPutIn, test.maxPutIn)
				}
				if most := test.servers * (1 + test.maxPutIn/test.servers/500); engine.calls > most {
					t.Errorf("got %d calls of PutBack, want %d at most: who ends before the last has put back too little", engine.calls, most)
				}
				var losses, putBack uint64
				for _, l := range lists {
					losses, putBack = losses+l.Stats().Losses, putBack+l.Stats().PutBack
				}
				if int(losses) < test.losses || int(losses) > test.losses*test.servers || int(putBack) != engine.putIn {
					t.Errorf("got %d losses, want %d a server at most; %d put back, want %d", losses, test.losses, putBack, engine.putIn)
				}
				fresh, err := revoke.Open(t.Context(), revoke.Config{Engine: engine, Keys: []string{"user"}, MaxLifetime: time.Hour})
				must(t, err)
				defer fresh.Close()
				if got := fresh.Stats().Entries; got != test.n {
					t.Errorf("a new server got %d entries, want %d", got, test.n)
				}
			})
		})
	}
}

// A full page says nothing about freshness.
func TestFullPageIsNotFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := &losing{}
		for range 100 {
			engine.Publish(t.Context(), revoke.Entry{Expires: uint32(time.Now().Unix() + 3600)}, nil)
		}
		slow := &endless{engine: engine}
		l, err := revoke.OpenStale(revoke.Config{Engine: slow, Keys: []string{"user"}, MaxLifetime: time.Hour})
		must(t, err)
		time.Sleep(30 * time.Second)
		if got, pages := l.Stats().Staleness, slow.pages.Load(); got != -1 || pages < 10 {
			t.Errorf("got staleness %v after %d full pages, want -1", got, pages)
		}
		l.Close()
	})
}

// endless has always more.
type endless struct {
	engine *losing
	pages  atomic.Int64
}

func (e *endless) Publish(ctx context.Context, entry revoke.Entry, _ *revoke.Condition) (revoke.Entry, error) {
	return entry, nil
}
func (e *endless) PutBack(ctx context.Context, es []revoke.Entry) error { return nil }
func (e *endless) Read(ctx context.Context, cursor string, sink func([]revoke.Entry)) (string, bool, error) {
	time.Sleep(time.Second)
	e.pages.Add(1)
	sink(e.engine.log)
	return "more", true, ctx.Err()
}

func (e *endless) Follow(ctx context.Context, read func(context.Context) (string, error)) error {
	_, err := read(ctx)
	return err
}

// A server that was suspended, so that its monotonic clock stood still, is as stale as its wall clock says. What reads
// slowly is as old as its question.
func TestStalenessOfASlowAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		s := f.server(nil)
		goOn := s.engine.hang()
		time.Sleep(4 * time.Second) // under the time that an answer may take
		before := s.list.Stats().Staleness
		goOn()
		synctest.Wait()
		after := s.list.Stats().Staleness
		if before < 3*time.Second || after < 2*time.Second || after > 4*time.Second {
			t.Errorf("got staleness %v, then %v: want that of the question", before, after)
		}
	})
}

// What is lost again while it's being put back is put back once more.
func TestLossWhilePuttingBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := &losing{again: true}
		l, err := revoke.Open(t.Context(), revoke.Config{Engine: engine, Keys: []string{"user"}, MaxLifetime: time.Hour})
		must(t, err)
		defer l.Close()
		must(t, l.End(t.Context(), "user", "ada"))
		e, err := l.Entry("user", "ada")
		must(t, err)
		time.Sleep(time.Second)
		engine.lose(0, false)
		time.Sleep(15 * time.Second)
		if !engine.holds(e.Key) || engine.putIn != 2 {
			t.Errorf("put back %d times, and missing: %v; want twice", engine.putIn, !engine.holds(e.Key))
		}
	})
}

// A value that is ended again while a read is under way isn't lost, though the read has shown the pos before only.
func TestEndWhileReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := &readHook{Engine: quiet{revoke.Memory()}}
		l, err := revoke.Open(t.Context(), revoke.Config{Engine: engine, Keys: []string{"user"}, MaxLifetime: time.Hour})
		must(t, err)
		defer l.Close()
		must(t, l.End(t.Context(), "user", "ada"))
		time.Sleep(time.Second)
		engine.happen = func() { must(t, l.End(t.Context(), "user", "ada")) }
		must(t, l.Sync(t.Context()))
		must(t, l.Sync(t.Context()))
		if got := l.Stats(); got.Losses != 0 || engine.happen != nil {
			t.Errorf("got %d losses, want none", got.Losses)
		}
	})
}

// A readHook lets something happen once, after a Read has shown what there is.
type readHook struct {
	revoke.Engine
	happen func()
}

func (h *readHook) Read(ctx context.Context, cursor string, sink func([]revoke.Entry)) (string, bool, error) {
	next, more, err := h.Engine.Read(ctx, cursor, sink)
	if happen := h.happen; happen != nil {
		h.happen = nil
		happen()
	}
	return next, more, err
}
