package revoke

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Config says what a List knows. Engine, Keys and MaxLifetime are required.
type Config struct {
	// Engine is what all servers read and write: [Memory], [File], or that of package redis or postgres.
	Engine Engine

	// Keys are the session keys by whose values sessions can be ended: "user", and where needed "sid", "device",
	// "tenant". A value is compared as the session holds it: text as text, whether string or []byte, numbers by value.
	// Lists, maps and nil compare with nothing.
	Keys []string

	// NeverReused are those of Keys whose values aren't used again once they have been ended, such as "sid", the session
	// of an OpenID Connect provider. A session that begins with such a value is over if it was ended before, too: a
	// provider may log the user out while the login here is still under way, and then its logout token comes first (OpenID
	// Connect Back-Channel Logout 1.0, 2.1 and 2.7). That is so for every session that was created (Session.CreatedAt) up
	// to MaxLifetime after the end, to the second, whether or not the login has Begin and Keep, and until the session
	// expires. One that is created later is let in, and stays so. For other keys a login forgives what ended before it,
	// since users come back.
	NeverReused []string

	// MaxLifetime is the longest that a session lives: the greatest of cookiesession.Config.Lifetime and of what is
	// given to Remember and ExpireIn; from a second to 400 days. Entries are kept for it, or twice as long for keys of
	// NeverReused, and for MaxStale and two minutes for clocks; then they go by themselves.
	MaxLifetime time.Duration

	// MaxStale is how long a server goes on with what it last knew: 30 s if zero, at least 3 s, since even if all is
	// well an idle list can be two seconds old.
	MaxStale time.Duration

	// ServeStale lets sessions in after that. The default refuses: Revoked returns ErrStale, Guard answers 503. With it,
	// MaxLifetime must be longer by the longest outage: a session that has ended, but gets a new lifetime meanwhile
	// (Regenerate, Remember), would otherwise outlive the entry that ends it.
	ServeStale bool

	// Logger is slog.Default() if nil. It gets at most a line a second, from a goroutine of the List's own.
	Logger *slog.Logger
}

// complete fills in defaults and refuses what can't work.
func (c *Config) complete() error {
	if c.MaxStale == 0 {
		c.MaxStale = 30 * time.Second
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	c.Keys, c.NeverReused = slices.Clone(c.Keys), slices.Clone(c.NeverReused)
	switch {
	case c.Engine == nil:
		return errors.New("revoke: Config.Engine is required")
	case len(c.Keys) == 0:
		return errors.New("revoke: Config.Keys is required")
	case c.MaxLifetime < time.Second || c.MaxLifetime > 400*24*time.Hour:
		return fmt.Errorf("revoke: Config.MaxLifetime is %v, not from 1s to 400 days", c.MaxLifetime)
	case c.MaxStale < 3*time.Second:
		return fmt.Errorf("revoke: Config.MaxStale is %v, under 3s", c.MaxStale)
	}
	for i, key := range c.Keys {
		if key == "" || key == markKey || strings.Contains(key, "\x00") || slices.Contains(c.Keys[:i], key) {
			return fmt.Errorf("revoke: Config.Keys has %.40q, which is empty, reserved, twice there, or contains NUL", key)
		}
	}
	for _, key := range c.NeverReused {
		if !slices.Contains(c.Keys, key) {
			return fmt.Errorf("revoke: Config.NeverReused has %.40q, which is none of Config.Keys", key)
		}
	}
	return nil
}

// A List is this server's replica of what has been revoked. [Open] makes one. It is safe for concurrent use.
type List struct {
	config   Config
	entries  table
	watchers watchers

	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	running sync.WaitGroup

	reading   chan struct{}             // holds a token while somebody reads
	cursor    string                    // of the engine; whoever reads owns it
	snapshot  bool                      // everything is being read; likewise
	fresh     atomic.Pointer[time.Time] // what was acknowledged before it is known; nil: nobody knows
	completed chan struct{}             // closed once fresh was set
	lost      atomic.Uint64             // table.applied up to which unseen entries must be put back; 0: none
	putBack   chan struct{}             // wakes the goroutine that does it
	notes     chan note                 // to be logged

	mu       sync.Mutex // guards what follows
	stats    Stats
	failing  bool      // the last attempt to read failed
	awaited  []awaited // entries
	unmarked bool      // it has been said that a session lacks its mark
}

// Stats say how a List is doing. Watch Staleness and Losses.
type Stats struct {
	Entries    int           // held in memory
	Staleness  time.Duration // at most so long ago acknowledged revocations may be unknown here; -1: not complete
	Reconnects uint64        // attempts to follow, or to put back, that failed
	Losses     uint64        // how often the engine turned out to have lost entries
	PutBack    uint64        // entries that this server has put back then
	LastError  string        // why following or putting back last failed; it stays
}

// ErrStale is what Revoked returns when nobody knows: the list is older than Config.MaxStale.
var ErrStale = errors.New("revoke: list of revocations is too old")

// ErrRevoked says that a session is over: EndOthers returns it, and it is the cause with which the context of Until ends.
var ErrRevoked = errors.New("revoke: session is revoked")

// ErrClosed is what changes of a closed List return, and the cause with which contexts of Until end at Close.
var ErrClosed = errors.New("revoke: list is closed")

// Open follows c.Engine from now on and returns when everything it holds is known here. If ctx ends before, nothing goes
// on running, and the error wraps that of ctx and, if there was one, the engine's.
func Open(ctx context.Context, c Config) (*List, error) {
	l, err := OpenStale(c)
	if err != nil {
		return nil, err
	}
	select {
	case <-l.completed:
		return l, nil
	case <-ctx.Done():
		l.Close()
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.stats.LastError != "" {
			return nil, fmt.Errorf("revoke: revocations could not be read: %s: %w", l.stats.LastError, ctx.Err())
		}
		return nil, fmt.Errorf("revoke: revocations could not be read: %w", ctx.Err())
	}
}

// OpenStale is Open for servers that must start while the engine is down: it doesn't wait. Until everything is known the
// list is stale: with ServeStale sessions are let in, else only visitors without one are served. The error says what is
// wrong with c.
func OpenStale(c Config) (*List, error) {
	l, err := newList(c)
	if err != nil {
		return nil, err
	}
	l.start(l.follow)
	l.start(l.restore)
	l.start(l.watch)
	l.start(l.report)
	return l, nil
}

// newList returns a List for which nothing runs yet.
func newList(c Config) (*List, error) {
	if err := c.complete(); err != nil {
		return nil, err
	}
	l := &List{
		config:    c,
		reading:   make(chan struct{}, 1),
		completed: make(chan struct{}),
		putBack:   make(chan struct{}, 1),
		notes:     make(chan note, 8),
	}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l, nil
}

// start runs f in a goroutine that Close waits for, or returns false after Close.
func (l *List) start(f func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx.Err() != nil {
		return false
	}
	l.running.Go(f)
	return true
}

// Close stops following and returns when no goroutine of the List is left, which takes as long as the engine's client
// takes to notice that its context has ended, and Config.Logger to write a line that it has begun: it must not call Close.
// Contexts of Until end. Revoked goes on by what is known, and returns ErrStale once MaxStale has passed. The error is
// always nil.
func (l *List) Close() error {
	l.mu.Lock()
	l.cancel()
	l.mu.Unlock()
	l.watchers.endAll(ErrClosed)
	l.running.Wait()
	return nil
}

// Stats returns how the List is doing.
func (l *List) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	stats := l.stats
	stats.Entries, stats.Staleness = int(l.entries.count.Load()), l.staleness()
	return stats
}

// staleness returns for how long what is known here may be incomplete, or -1 if it isn't complete: not yet, or not any
// more, since the clock was set back to when something was needed that has been forgotten. A clock that stands still
// while a machine is suspended would understate it, one that is set back too: the worse of both counts.
func (l *List) staleness() time.Duration {
	gone := l.entries.gone.Load() // first, since checkForgotten changes it last
	fresh := l.fresh.Load()
	now := time.Now()
	if fresh == nil || now.Unix() < gone {
		return -1
	}
	return max(now.Sub(*fresh), now.Round(0).Sub(fresh.Round(0)), 0)
}

// stale reports whether sessions must be refused because nobody knows.
func (l *List) stale() bool {
	if l.config.ServeStale {
		return false
	}
	age := l.staleness()
	return age < 0 || age > l.config.MaxStale
}
