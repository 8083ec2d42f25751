package cookiesession_test

import (
	"cmp"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-50e21e88/cookiesession"
	"github.com/seed-50e21e88/cookiesession/internal/keyfile"
)

// A keyFleet is several servers that share sessions through a key file of which each has a copy, and the visitors whom
// a load balancer sends to any of them. Time is simulated; every clock is off by up to skew.
type keyFleet struct {
	keyFleetPlan
	t        *testing.T
	seed     uint64
	random   *rand.Rand
	now      time.Time // what a true clock shows
	file     keyfile.File
	operator time.Duration // what the operator's clock is off by
	lifetime time.Duration // of sessions
	nodes    []*keyFleetNode
	visitors []*keyFleetVisitor
	keyFleetCount
}

// A keyFleetPlan says how a fleet is run.
type keyFleetPlan struct {
	size   int
	skew   time.Duration
	late   time.Duration // a file may reach a server until so long after its key activates; 0: it reaches all before
	watch  time.Duration // how often servers look at their file; 0: never
	reread bool          // a token with an unknown key makes them look
}

const (
	fleetRotations = 10
	fleetIn        = 10 * time.Minute
)

// keyFleetCount is what came of it.
type keyFleetCount struct {
	visits  int // with a session that has time left
	early   int // of these refused because the server's clock is over a minute behind
	refused int // of these refused for another reason
	lost    int // sessions that were overwritten by a login after such a refusal
}

func (c *keyFleetCount) add(other keyFleetCount) {
	c.visits += other.visits
	c.early += other.early
	c.refused += other.refused
	c.lost += other.lost
}

type keyFleetNode struct {
	fleet   *keyFleet
	disk    []byte        // the key file
	off     time.Duration // of its clock
	phase   time.Duration // of its polling
	arrived time.Time     // when the file on its disk got there
	unread  bool          // and nobody has looked at it since
	ring    *cookiesession.Keyring
	manager *cookiesession.Manager
}

// A keyFleetVisitor has a browser and remembers what the session holds.
type keyFleetVisitor struct {
	cookies map[string]string
	views   int64
	expires time.Time
}

var fleetBegin = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC) // past, because opening a file goes by the real clock

func newKeyFleet(t *testing.T, seed uint64, plan keyFleetPlan) *keyFleet {
	f := &keyFleet{keyFleetPlan: plan, t: t, seed: seed, random: rand.New(rand.NewPCG(seed, uint64(plan.size))), now: fleetBegin}
	f.operator = f.off()
	f.lifetime = []time.Duration{20 * time.Minute, 2 * time.Hour, 24 * time.Hour}[f.random.IntN(3)]
	f.file.Keys = []keyfile.Key{f.key("first")}
	first := f.file.Marshal()
	for range plan.size {
		n := &keyFleetNode{fleet: f, off: f.off(), phase: f.upTo(time.Hour)}
		n.receive(first)
		n.start()
		f.nodes = append(f.nodes, n)
	}
	for range 3 {
		f.visitors = append(f.visitors, &keyFleetVisitor{})
	}
	return f
}

func (f *keyFleet) key(label string) keyfile.Key {
	secret := fmt.Appendf(nil, "hex:")
	for range 4 {
		secret = fmt.Appendf(secret, "%016x", f.random.Uint64())
	}
	return keyfile.Key{Label: label, Secret: keyfile.Secret(secret)}
}

// upTo returns 0 to d, and often the two themselves: that is where mistakes show.
func (f *keyFleet) upTo(d time.Duration) time.Duration {
	switch f.random.IntN(4) {
	case 0:
		return 0
	case 1:
		return d
	}
	return time.Duration(f.random.Int64N(int64(d) + 1))
}

func (f *keyFleet) off() time.Duration { return f.upTo(2*f.skew) - f.skew }

// run lets the fleet live through its rotations.
func (f *keyFleet) run() {
	for range fleetRotations {
		r := keyfile.Rotation{Now: f.now.Add(f.operator), In: fleetIn, Lifetime: f.lifetime, Secret: f.key("").Secret}
		r.Slack = 2 * f.skew // an operator whose clock is ahead removes keys early
		if f.late > 0 {
			r.Slack = time.Hour // a server that gets the file late goes on sealing with the old key
		}
		if _, err := f.file.Rotate(r); err != nil {
			f.t.Fatal(err)
		}
		generation := f.file.Marshal()

		// What happens, and when.
		type event struct {
			after time.Duration
			do    func()
		}
		var events []event
		for _, n := range f.nodes {
			within := fleetIn + f.late
			if f.late == 0 { // on every clock the key activates later, and there is time for Watch
				within -= 2*f.skew + f.watch
			}
			events = append(events, event{f.upTo(within), func() { n.receive(generation) }})
			if f.random.IntN(4) == 0 {
				events = append(events, event{f.upTo(fleetIn + 20*time.Minute), n.start})
			}
		}
		// Many a rotation comes just when the key before the last one retires, and most visits come when something can
		// go wrong.
		const around = 8 * time.Minute
		retirement := fleetIn + f.lifetime + r.Slack
		pause := fleetIn + f.late + around + f.upTo(3*f.lifetime)
		if f.random.IntN(2) == 0 {
			pause = max(fleetIn+f.late+around, retirement-around/2+f.upTo(around))
		}
		for range 36 {
			moments := []time.Duration{0, fleetIn, retirement, pause, f.upTo(pause)}
			after := moments[f.random.IntN(len(moments))] - around/2 + time.Duration(f.random.Int64N(int64(around)))
			events = append(events, event{min(max(after, 0), pause), f.visit})
		}
		slices.SortStableFunc(events, func(a, b event) int { return cmp.Compare(a.after, b.after) })
		begin := f.now
		for _, e := range events {
			f.now = begin.Add(e.after)
			e.do()
		}
		f.now = begin.Add(pause)
	}
}

// receive puts a file on the node's disk.
func (n *keyFleetNode) receive(content []byte) {
	n.disk, n.arrived, n.unread = content, n.fleet.now, true
}

func (n *keyFleetNode) clock() time.Time { return n.fleet.now.Add(n.off) }

// start starts the server, or starts it again.
func (n *keyFleetNode) start() {
	f := n.fleet
	var err error
	if n.ring, err = cookiesession.OpenTestKeyFile(func(string) ([]byte, error) { return n.disk, nil }); err != nil {
		f.t.Fatal(err)
	}
	n.unread = false
	n.ring.SetClock(n.clock)
	if !f.reread {
		n.ring.DisableRereads()
	}
	config := cookiesession.Config{Keys: n.ring, Lifetime: f.lifetime, Logger: slog.New(slog.DiscardHandler)}
	if n.manager, err = cookiesession.New(config); err != nil {
		f.t.Fatal(err)
	}
	n.manager.SetClock(n.clock)
}

// watch does what Watch has done since the file came.
func (n *keyFleetNode) watch() {
	f := n.fleet
	if !n.unread || f.keyFleetPlan.watch == 0 {
		return
	}
	lastPoll := f.now.Add(-((f.now.Sub(fleetBegin) + n.phase) % f.keyFleetPlan.watch))
	if lastPoll.Before(n.arrived) {
		return
	}
	if err := n.ring.Poll(); err != nil {
		f.t.Fatal(err)
	}
	n.unread = false
}

// visit sends some visitor to some node: to read, to change the session, or to start one.
func (f *keyFleet) visit() {
	v := f.visitors[f.random.IntN(len(f.visitors))]
	n := f.nodes[f.random.IntN(len(f.nodes))]
	n.watch()
	s, err := n.manager.Load(v.request())
	switch hasTime := n.clock().Before(v.expires); {
	case hasTime && err == nil && !s.IsNew():
		f.visits++
		if got := s.Get("views"); got != v.views {
			f.t.Errorf("got %v views, want %d", got, v.views)
		}
		if f.random.IntN(2) == 0 {
			return
		}
	case hasTime && s.Rejected() != nil && s.Rejected().Reason == cookiesession.ReasonFuture && f.skew > 30*time.Second:
		f.visits++
		f.early++
		return // and comes back
	case hasTime:
		f.visits++
		f.refused++
		if f.late == 0 {
			f.t.Errorf("seed %d, %d nodes: %v after the beginning: %v, with %v left; keys %v", f.seed, f.size, f.now.Sub(fleetBegin), err, v.expires.Sub(n.clock()), n.ring.Keys())
		}
		if f.random.IntN(2) == 0 {
			return // and comes back to find the session where it was left
		}
		f.lost++
		v.views = 0
	case !s.IsNew():
		f.t.Errorf("a session that expired at %v is accepted at %v", v.expires, n.clock())
	default:
		v.views = 0
	}
	v.views++
	s.Put("views", v.views)
	h := http.Header{}
	if err := n.manager.Save(h, s); err != nil {
		f.t.Error(err)
	}
	v.expires = s.ExpiresAt()
	v.receive(h)
}

func (v *keyFleetVisitor) request() *http.Request {
	var pairs []string
	for name, value := range v.cookies {
		pairs = append(pairs, name+"="+value)
	}
	return &http.Request{Header: http.Header{"Cookie": {strings.Join(pairs, "; ")}}}
}

func (v *keyFleetVisitor) receive(h http.Header) {
	for _, line := range h["Set-Cookie"] {
		pair, attributes, _ := strings.Cut(line, ";")
		name, value, _ := strings.Cut(pair, "=")
		if v.cookies == nil {
			v.cookies = make(map[string]string)
		}
		v.cookies[name] = value
		if strings.Contains(attributes, "Max-Age=0;") {
			delete(v.cookies, name)
		}
	}
}

// simulateKeyFleets runs so many fleets and adds up what came of them.
func simulateKeyFleets(t *testing.T, schedules int, plan keyFleetPlan) (total keyFleetCount) {
	t.Helper()
	for seed := range schedules {
		// In a bubble no reading of the file takes time, so no request gives up waiting for it.
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(time.Until(fleetBegin.AddDate(1, 0, 0)))
			f := newKeyFleet(t, uint64(seed), plan)
			f.run()
			total.add(f.keyFleetCount)
			if plan.late == 0 { // then all have the same ring in the end
				for _, n := range f.nodes {
					n.watch()
					if got, want := n.ring.Fingerprint(), f.nodes[0].ring.Fingerprint(); got != want {
						t.Fatalf("seed %d: rings %s and %s", seed, got, want)
					}
				}
			}
		})
		if t.Failed() {
			t.FailNow()
		}
	}
	t.Logf("%d schedules of %d rotations, looking again for unknown keys %v: %d visits with a session, %d refused by clocks, %d by keys; %d sessions lost",
		schedules, fleetRotations, plan.reread, total.visits, total.early, total.refused, total.lost)
	return total
}

// Ten rotations in each of 1,200 random schedules, or 100 without -full. When the file reaches all servers before its
// key activates, no visitor is refused but for clocks: a server whose clock is more than a minute behind the one that
// sealed takes the session for one of the future, until its clock gets there.
func TestFleetLosesNoSession(t *testing.T) {
	captureLog(t)
	schedules := 25
	if fullDepth() {
		schedules = 300
	}
	for _, size := range []int{3, 7} {
		for _, skew := range []time.Duration{30 * time.Second, 2 * time.Minute} {
			t.Run(fmt.Sprintf("%d servers, clocks off by up to %v", size, skew), func(t *testing.T) {
				t.Parallel()
				total := simulateKeyFleets(t, schedules, keyFleetPlan{size: size, skew: skew, watch: 5 * time.Second, reread: true})
				if total.refused > 0 || total.visits < 100*schedules {
					t.Errorf("%+v", total)
				}
				if inTime := skew <= 30*time.Second; inTime == (total.early > 0) {
					t.Errorf("clocks refused %d", total.early)
				}
			})
		}
	}
}

// The converse: what happens if the file reaches servers up to ten minutes after its key activates, and what looking at
// the file for an unknown key saves.
func TestFleetLosesSessionsIfTheFileIsLate(t *testing.T) {
	captureLog(t)
	schedules := 40
	if testing.Short() || raceDetector {
		schedules = 5
	}
	for _, watch := range []time.Duration{5 * time.Second, time.Minute, 0} {
		t.Run(fmt.Sprintf("watching every %v", watch), func(t *testing.T) {
			t.Parallel()
			plan := keyFleetPlan{size: 3, skew: 30 * time.Second, late: 10 * time.Minute, watch: watch}
			without := simulateKeyFleets(t, schedules, plan)
			plan.reread = true
			with := simulateKeyFleets(t, schedules, plan)
			if without.lost == 0 || with.lost == 0 {
				t.Errorf("nothing is lost (%+v, %+v), so the other test can't fail", without, with)
			}
			if with.refused > without.refused {
				t.Errorf("looking again makes it worse: %d refused, %d without", with.refused, without.refused)
			}
		})
	}
}
