package main

import (
	"hash/maphash"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// A throttle lets burst attempts of a key pass, then one in every interval. It has a fixed number of counters, so that
// nobody can fill its memory or push others out; keys that fall on the same one, which nobody can predict, share it.
// It is safe for concurrent use.
type throttle struct {
	burst int
	every time.Duration

	mu   sync.Mutex
	seed maphash.Seed
	free [4096]int64 // Unix time in nanoseconds at which a key has its whole burst again
}

func newThrottle(burst int, every time.Duration) *throttle {
	return &throttle{burst: burst, every: every, seed: maphash.MakeSeed()}
}

// take counts an attempt, and returns 0; or how long to wait for the next, which doesn't count.
func (t *throttle) take(key string) time.Duration {
	now := time.Now().UnixNano()
	t.mu.Lock()
	defer t.mu.Unlock()
	free := t.of(key)
	from := max(*free, now)
	if wait := from + int64(t.every)*int64(1-t.burst) - now; wait > 0 {
		return time.Duration(wait)
	}
	*free = from + int64(t.every)
	return 0
}

// giveBack takes back what take counted, after an attempt that succeeded.
func (t *throttle) giveBack(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	*t.of(key) -= int64(t.every)
}

func (t *throttle) of(key string) *int64 {
	return &t.free[maphash.String(t.seed, key)%uint64(len(t.free))]
}

// A passwordThrottle slows down who guesses passwords: of one account from one address, of any from one address, and of
// one account from everywhere (NIST SP 800-63B, 3.2.2: at most 100 in a row). The last lets a flood of guesses delay
// the account's owner, so it is wide.
type passwordThrottle struct{ pair, address, name *throttle }

func newPasswordThrottle() *passwordThrottle {
	return &passwordThrottle{
		pair:    newThrottle(5, 30*time.Second),
		address: newThrottle(50, 10*time.Second),
		name:    newThrottle(100, 30*time.Second),
	}
}

// take counts an attempt before it is made, so that many at a time count, too. It returns how long to wait instead.
func (p *passwordThrottle) take(name, address string) time.Duration {
	for _, limit := range []struct {
		*throttle
		key string
	}{{p.pair, name + " " + address}, {p.address, address}, {p.name, name}} {
		if wait := limit.take(limit.key); wait > 0 {
			return wait
		}
	}
	return 0
}

func (p *passwordThrottle) giveBack(name, address string) {
	p.pair.giveBack(name + " " + address)
	p.address.giveBack(address)
	p.name.giveBack(name)
}

// addressOf returns what one client can't easily change: its IPv4 address or IPv6 network. Behind a proxy this is the
// proxy's: there, take what your proxy, and nobody else, writes into a header.
func addressOf(r *http.Request) string {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	address := at.Addr().Unmap()
	if address.Is4() {
		return address.String()
	}
	network, _ := address.WithZone("").Prefix(64)
	return network.String()
}
