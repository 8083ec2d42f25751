//go:build unix

package tests

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-50e21e88/cookiesession"
	"github.com/seed-50e21e88/cookiesession/contrib/revoke"
)

// A chaos is a fleet whose servers revoke all the time, while what they do it with breaks. Two things must hold: nothing
// acknowledged is missing at the end on any server, and reported staleness is never a lie.
type chaos struct {
	t testing.TB
	past
	random *rand.Rand
	lists  []*revoke.List

	stop    chan struct{}
	running sync.WaitGroup
	next    atomic.Int64
	failed  atomic.Int64
	checks  atomic.Int64 // of an acknowledged revocation, by a server that claims to know it
	lies    atomic.Int64
	worst   atomic.Int64 // staleness, in nanoseconds
	faults  map[string]int

	mu    sync.Mutex
	acks  []ack
	holes []hole

	unpromised map[int64]bool // acknowledged, then lost, and nobody runs who knew
}

// An ack is a revocation that was acknowledged.
type ack struct {
	value   int64
	asked   time.Time
	at      time.Time
	session *cookiesession.Session // which it ends
}

// A hole is a time during which the engine may have lost what it acknowledged.
type hole struct{ from, to time.Time }

const user = cookiesession.Field[int64]("user")

func newChaos(t testing.TB, engines ...revoke.Engine) *chaos {
	t.Helper()
	c := &chaos{
		t: t, past: newPast(), random: rand.New(rand.NewPCG(*seed, 0)), stop: make(chan struct{}), faults: map[string]int{},
		unpromised: map[int64]bool{},
	}
	t.Logf("seed %d", *seed)
	for _, engine := range engines {
		c.lists = append(c.lists, open(t, engine))
	}
	for _, l := range c.lists {
		c.running.Go(func() { c.check(l) })
	}
	return c
}

// open returns a List that is complete.
func open(t testing.TB, engine revoke.Engine) *revoke.List {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	l, err := revoke.Open(ctx, revoke.Config{
		Engine: engine, Keys: []string{"user"}, MaxLifetime: time.Hour, Logger: slog.New(slog.DiscardHandler),
	})
	must(t, err)
	t.Cleanup(func() { l.Close() })
	return l
}

// A past is when nothing had been revoked.
type past struct {
	manager *cookiesession.Manager // of scratch sessions
	login   revoke.Login
}

func newManager() (*cookiesession.Manager, error) {
	keys, err := cookiesession.NewKeyring(cookiesession.GenerateKey("test"))
	if err != nil {
		return nil, err
	}
	return cookiesession.New(cookiesession.Config{Keys: keys})
}

func newPast() past {
	m, err := newManager()
	if err != nil {
		panic(err)
	}
	l, err := revoke.OpenStale(revoke.Config{Engine: revoke.Memory(), Keys: []string{"user"}, MaxLifetime: time.Hour})
	if err != nil {
		panic(err)
	}
	l.Close()
	return past{m, l.Begin()}
}

// session returns a session of a user from before everything.
func (p past) session(value int64) *cookiesession.Session {
	s, err := p.manager.Load(new(http.Request))
	if err != nil {
		panic(err)
	}
	user.Put(s, value)
	p.login.Keep(s)
	return s
}

func over(l *revoke.List, s *cookiesession.Session) bool {
	revoked, _ := l.Revoked(context.Background(), s)
	return revoked
}

// publish revokes until the end, by all servers in turn.
func (c *chaos) publish(publishers int, pause time.Duration) {
	for range publishers {
		c.running.Go(func() {
			for n := 0; !c.stopped(); n++ {
				l := c.lists[n%len(c.lists)]
				c.revoke(func(ctx context.Context, value int64) error { return l.End(ctx, "user", value) })
				time.Sleep(pause)
			}
		})
	}
}

func (c *chaos) stopped() bool {
	select {
	case <-c.stop:
		return true
	default:
		return false
	}
}

// revoke revokes a new user.
func (c *chaos) revoke(end func(ctx context.Context, value int64) error) {
	value := c.next.Add(1)
	session := c.session(value)
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	asked := time.Now()
	if end(ctx, value) != nil {
		c.failed.Add(1)
		return
	}
	c.acknowledge(ack{value, asked, time.Now(), session})
}

func (c *chaos) acknowledge(a ack) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.acks = append(c.acks, a)
}

// check asks a server all the time whether it knows what it says it does.
func (c *chaos) check(l *revoke.List) {
	checked := 0
	var waiting []ack
	for !c.stopped() {
		now := time.Now()
		staleness := l.Stats().Staleness
		c.mu.Lock()
		waiting = append(waiting, c.acks[checked:]...)
		checked = len(c.acks)
		c.mu.Unlock()
		if int64(staleness) > c.worst.Load() {
			c.worst.Store(int64(staleness))
		}
		known := now.Add(-staleness)
		waiting = slices.DeleteFunc(waiting, func(a ack) bool {
			if !a.at.Before(known) {
				return over(l, a.session)
			}
			if c.checks.Add(1); !over(l, a.session) && !c.excused(a) {
				c.lies.Add(1)
				c.t.Errorf("staleness was %v, but a revocation was unknown that was acknowledged %v ago", staleness, now.Sub(a.at))
			}
			return true
		})
		time.Sleep(2 * time.Millisecond)
	}
}

// excused reports whether the engine may have lost the revocation before anybody could read it.
func (c *chaos) excused(a ack) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.ContainsFunc(c.holes, func(h hole) bool {
		return a.at.After(h.from) && (h.to.IsZero() || a.asked.Before(h.to))
	})
}

// loses says that the engine may lose something while fault goes on, and what was acknowledged just before. That's after
// all servers have recovered from the fault before, or they'd lack what is older.
func (c *chaos) loses(fault func()) {
	const recent = time.Second
	for _, l := range c.lists {
		eventually(c.t, 15*time.Second, func() error {
			if age := l.Stats().Staleness; age < 0 || age > recent {
				return errStillStale
			}
			return nil
		})
	}
	c.mu.Lock()
	i := len(c.holes)
	c.holes = append(c.holes, hole{from: time.Now().Add(-2 * recent)}) // checked one by one
	c.mu.Unlock()
	fault()
	c.mu.Lock()
	c.holes[i].to = time.Now()
	c.mu.Unlock()
}

// nobodyKnows says that a revocation was lost, if it was acknowledged, and that who knew of it has ended: then it isn't
// promised. It is for long, though, if who knew had the time to put it back.
func (c *chaos) nobodyKnows(value int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unpromised[value] = true
	for _, a := range c.acks {
		if age := time.Since(a.at); a.value == value && age > 3*time.Second {
			c.t.Errorf("a revocation was acknowledged %v ago, and lost, and not put back until the process that knew it ended", age)
		}
	}
}

// A fault is something that goes wrong, over when it returns.
type fault struct {
	name string
	do   func()
}

// run lets faults happen for as long as the flag says, each at least once.
func (c *chaos) run(faults []fault) {
	started := time.Now()
	for i := 0; i < len(faults) || time.Since(started) < *chaosFor; i++ {
		f := faults[i%len(faults)]
		if i >= len(faults) {
			f = faults[c.random.IntN(len(faults))]
		}
		f.do()
		c.faults[f.name]++
		time.Sleep(time.Duration(c.random.IntN(700)) * time.Millisecond)
	}
}

// finish stops the chaos and counts what is missing, on these servers and on new ones.
func (c *chaos) finish(engines ...revoke.Engine) {
	c.t.Helper()
	time.Sleep(500 * time.Millisecond) // in which revocations go on and nothing fails
	calm := time.Now()
	close(c.stop)
	c.running.Wait()
	for _, l := range c.lists {
		eventually(c.t, 15*time.Second, func() error { return c.missing(l) })
	}
	recovered := time.Since(calm)
	for _, engine := range engines {
		l := open(c.t, engine)
		eventually(c.t, 15*time.Second, func() error { return c.missing(l) })
	}
	var reconnects, losses, putBack uint64
	for _, l := range c.lists {
		stats := l.Stats()
		reconnects, losses, putBack = reconnects+stats.Reconnects, losses+stats.Losses, putBack+stats.PutBack
	}
	gone := 0
	for _, a := range c.acks {
		if c.unpromised[a.value] && !over(c.lists[0], a.session) {
			gone++
		}
	}
	c.t.Logf("%d acknowledged, %d of them gone with who knew them, %d failed; %d checks of staleness, %d lies; worst staleness %v; all known %v after the end; "+
		"%d reconnects, %d losses, %d put back; faults %v", len(c.acks), gone, c.failed.Load(), c.checks.Load(), c.lies.Load(),
		time.Duration(c.worst.Load()).Round(time.Millisecond), recovered.Round(time.Millisecond), reconnects, losses, putBack, c.faults)
	if len(c.acks) == 0 || c.checks.Load() == 0 {
		c.t.Error("nothing was revoked, or nothing checked")
	}
}

// missing returns an error if l doesn't know something that was acknowledged, or isn't fresh.
func (c *chaos) missing(l *revoke.List) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	missing := 0
	for _, a := range c.acks {
		if !c.unpromised[a.value] && !over(l, a.session) {
			missing++
		}
	}
	if missing > 0 {
		return fmt.Errorf("%d of %d acknowledged revocations are missing", missing, len(c.acks))
	}
	if staleness := l.Stats().Staleness; staleness < 0 || staleness > 3*time.Second {
		return fmt.Errorf("staleness is %v, last error %q", staleness, l.Stats().LastError)
	}
	return nil
}
