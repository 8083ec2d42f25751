package cookiesession

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

// Stats are a Manager's counters since New.
type Stats struct {
	Keys       map[string]KeyStats // by label; tokens of every purpose
	Rejected   map[string]uint64   // refused session, flash and lease cookies, by Reason.String()
	Saved      uint64              // responses that wrote cookies; a commit after Save counts again
	SaveErrors uint64              // responses whose session could not be saved; likewise
	Late       uint64              // changes after the response header was sent

	Withheld    uint64            // responses that started no session because the browser had withheld its cookies
	CSRFRefused map[string]uint64 // requests that ProtectCSRF refused: origin, no-session, no-token, token, too-large

	Device DeviceStats
}

// DeviceStats count what browsers do about device-bound sessions. Experimental, as Config.DeviceProof is. Many offers
// without a registration mean that no visitor's browser can, or that something in front keeps it from
// Config.DevicePath.
type DeviceStats struct {
	Offered    uint64 // responses that invited a browser to register a key
	Registered uint64 // keys registered
	Refreshed  uint64 // proofs renewed
	Ended      uint64 // browsers told to forget a key, or to give up registering one
	Retried    uint64 // browsers told to sign another challenge
}

// KeyStats are the counters of one key.
type KeyStats struct {
	Opened, Sealed         uint64
	LastOpened, LastSealed time.Time `json:",omitzero"` // to the second; zero: never
}

// counters are what Stats is read from. Each is an atomic of its own, so that requests share no lock.
type counters struct {
	keys       keyCounters
	rejected   [ReasonUnproven + 1]atomic.Uint64
	saved      atomic.Uint64
	saveErrors atomic.Uint64
	late       atomic.Uint64
	withheld   atomic.Uint64

	csrfRefused [len(csrfReasons)]atomic.Uint64

	device struct{ offered, registered, refreshed, ended, retried atomic.Uint64 }
}

// keyCounters has the counters of every key ever seen, by label, so that a reload of the ring loses none.
type keyCounters struct {
	mu      sync.Mutex
	byLabel map[string]*keyCounter
}

type keyCounter struct {
	nOpened, nSealed       atomic.Uint64
	lastOpened, lastSealed atomic.Int64 // Unix seconds; 0: never
}

func (c *keyCounters) of(label string) *keyCounter {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byLabel == nil {
		c.byLabel = make(map[string]*keyCounter)
	}
	counter := c.byLabel[label]
	if counter == nil {
		counter = new(keyCounter)
		c.byLabel[label] = counter
	}
	return counter
}

func (c *keyCounter) opened(now time.Time) { c.nOpened.Add(1); storeLater(&c.lastOpened, now.Unix()) }

func (c *keyCounter) sealed(now time.Time) { c.nSealed.Add(1); storeLater(&c.lastSealed, now.Unix()) }

// storeLater writes only when the second changes, so that cores don't fight for the cache line.
func storeLater(last *atomic.Int64, seconds int64) {
	if last.Load() < seconds {
		last.Store(seconds)
	}
}

func (c *counters) read() Stats {
	s := Stats{
		Keys:       make(map[string]KeyStats),
		Rejected:   make(map[string]uint64),
		Saved:      c.saved.Load(),
		SaveErrors: c.saveErrors.Load(),
		Late:       c.late.Load(),

		Withheld:    c.withheld.Load(),
		CSRFRefused: make(map[string]uint64),

		Device: DeviceStats{
			Offered:    c.device.offered.Load(),
			Registered: c.device.registered.Load(),
			Refreshed:  c.device.refreshed.Load(),
			Ended:      c.device.ended.Load(),
			Retried:    c.device.retried.Load(),
		},
	}
	c.keys.mu.Lock()
	byLabel := maps.Clone(c.keys.byLabel)
	c.keys.mu.Unlock()
	for label, k := range byLabel {
		s.Keys[label] = KeyStats{k.nOpened.Load(), k.nSealed.Load(), timeOf(k.lastOpened.Load()), timeOf(k.lastSealed.Load())}
	}
	for r := ReasonMalformed; r <= ReasonUnproven; r++ {
		if n := c.rejected[r].Load(); n > 0 {
			s.Rejected[r.String()] = n
		}
	}
	for i, reason := range csrfReasons {
		if n := c.csrfRefused[i].Load(); n > 0 {
			s.CSRFRefused[reason] = n
		}
	}
	return s
}

// timeOf returns the time of Unix seconds, and the zero Time for 0.
func timeOf(seconds int64) time.Time {
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}
