package cookiesession

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-50e21e88/cookiesession/internal/keyfile"
)

// A Keyring holds the keys that seal and open cookies. The active key with the latest ActivateAt seals; every key
// opens from the moment it is known until its RetireAt.
//
// A Keyring is safe for concurrent use and may be shared by several Managers, whose cookies don't open for each other
// unless their names and scopes are equal.
type Keyring struct {
	current      atomic.Pointer[ring] // read without a lock, so that requests never wait for a change of keys
	refuseBefore atomic.Int64         // Unix seconds; 0: none
	file         *keyFile             // nil unless OpenKeyFile made it; it has a lock of its own
	now          func() time.Time

	// replacing is held from reading current to storing its successor, since Replace takes the not-before over from the
	// ring that it replaces. No other lock is taken under it, no file is read, and nothing is logged.
	replacing sync.Mutex
}

// A ring is one generation of a Keyring. It never changes.
type ring struct {
	keys      []ringKey // latest ActivateAt first, then as listed
	notBefore int64     // Unix seconds, from the key file; 0: none
}

type ringKey struct {
	Key
	fingerprint string
}

// NewKeyring returns a Keyring of the given keys. Of several keys with the same ActivateAt the first listed seals, if
// active. It is an error if a secret is weak (see [ParseSecret]), a label or a secret occurs twice, a label
// is missing, or no key is active now.
func NewKeyring(keys ...Key) (*Keyring, error) {
	k := &Keyring{now: time.Now}
	if err := k.Replace(keys...); err != nil {
		return nil, err
	}
	return k, nil
}

// Replace swaps all keys at once; requests in flight finish with the keys they found. On an error, as from
// [NewKeyring], the old keys stay in force. The not-before of [Keyring.RefuseBefore], a key file or a text stays.
// [Keyring.ReplaceText] is the same for keys as text.
//
// A Keyring from a file goes back to the file's keys when the file changes, or by [Keyring.Reload].
func (k *Keyring) Replace(keys ...Key) error {
	k.replacing.Lock()
	defer k.replacing.Unlock()
	var notBefore int64
	if old := k.current.Load(); old != nil {
		notBefore = old.notBefore
	}
	next, err := newRing(keys, notBefore, k.now())
	if err != nil {
		return err
	}
	k.current.Store(next)
	return nil
}

// newRing checks keys and orders them. It keeps copies of the secrets.
func newRing(keys []Key, notBefore int64, now time.Time) (*ring, error) {
	r := &ring{notBefore: notBefore}
	labels := make(map[string]bool, len(keys))
	owners := make(map[string]Key, len(keys)) // by fingerprint
	for _, key := range keys {
		if err := key.check(); err != nil {
			return nil, err
		}
		if labels[key.Label] {
			return nil, fmt.Errorf("cookiesession: key %s: its label is listed twice", key.shownLabel())
		}
		key.Secret = slices.Clone(key.Secret)
		fingerprint := key.fingerprint()
		if other, ok := owners[fingerprint]; ok {
			return nil, fmt.Errorf("cookiesession: key %s: has the same secret as %s", key.shownLabel(), other.shownLabel())
		}
		labels[key.Label] = true
		owners[fingerprint] = key
		r.keys = append(r.keys, ringKey{key, fingerprint})
	}
	slices.SortStableFunc(r.keys, func(a, b ringKey) int { return b.ActivateAt.Compare(a.ActivateAt) })
	if r.sealing(now) < 0 {
		return nil, errNoActiveKey
	}
	return r, nil
}

var errNoActiveKey = errors.New("cookiesession: no key is active now; give one key an ActivateAt that has passed and no RetireAt that has")

// sealing returns the index of the key that seals, or -1.
func (r *ring) sealing(now time.Time) int {
	for i := range r.keys { // sorted: the first active one has the latest ActivateAt
		if r.keys[i].period().Active(now) {
			return i
		}
	}
	return -1
}

func (k *ringKey) period() keyfile.Period {
	return keyfile.Period{ActivateAt: k.ActivateAt, RetireAt: k.RetireAt}
}

// retired reports whether the key opens nothing any more. Most keys have no end; to say so their times needn't be copied.
func (k *ringKey) retired(now time.Time) bool { return !k.RetireAt.IsZero() && k.period().Retired(now) }

// RefuseBefore has every session that was created before t refused with ReasonRevoked: it logs out everybody who hasn't
// started or regenerated a session since. If t is in the future, that includes sessions that start before it. Fractions
// of a second round up. The latest call counts, and the zero Time cancels it; the later of t and the key file's
// not_before is in force.
func (k *Keyring) RefuseBefore(t time.Time) { k.refuseBefore.Store(unixCeil(t)) }

// notBefore returns the Unix second before which no session may have been created, or 0.
func (k *Keyring) notBefore() int64 {
	return max(k.current.Load().notBefore, k.refuseBefore.Load())
}

// unixCeil returns t in Unix seconds, fractions rounded up, and 0 for times before 1970, such as the zero Time.
func unixCeil(t time.Time) int64 {
	seconds := t.Unix()
	if t.Nanosecond() > 0 {
		seconds++
	}
	return max(seconds, 0)
}

// KeyState is what a key does at the moment.
type KeyState int

// A key's states, in the order in which it goes through them.
const (
	KeyPending KeyState = iota // opens; seals from its ActivateAt on
	KeySealing                 // opens and seals
	KeyOpening                 // opens only: a newer key seals
	KeyRetired                 // does nothing: its RetireAt has passed
)

// String returns pending, sealing, opening or retired.
func (s KeyState) String() string {
	if s < KeyPending || s > KeyRetired {
		return fmt.Sprintf("KeyState(%d)", int(s))
	}
	return [...]string{"pending", "sealing", "opening", "retired"}[s]
}

// MarshalText returns String.
func (s KeyState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// KeyInfo is what may be shown of a key.
type KeyInfo struct {
	Label                string
	State                KeyState
	ActivateAt, RetireAt time.Time // in UTC; zero: at once, never
	Fingerprint          string    // 16 hexadecimal digits that depend on the secret alone
}

// Keys lists the keys, latest ActivateAt first, then in the order in which they were given.
func (k *Keyring) Keys() []KeyInfo {
	r, now := k.current.Load(), k.now()
	sealing := r.sealing(now)
	infos := make([]KeyInfo, len(r.keys))
	for i := range r.keys {
		key := &r.keys[i]
		state := KeyOpening
		switch {
		case key.retired(now):
			state = KeyRetired
		case i == sealing:
			state = KeySealing
		case !key.period().Active(now):
			state = KeyPending
		}
		infos[i] = KeyInfo{key.Label, state, key.ActivateAt.UTC(), key.RetireAt.UTC(), key.fingerprint}
	}
	return infos
}

// Fingerprint returns 16 hexadecimal digits that are equal on all servers whose rings hold the same secrets in the
// same order, with the same times and the same not-before. It reveals nothing of the secrets.
func (k *Keyring) Fingerprint() string {
	r := k.current.Load()
	h := sha256.New()
	for _, key := range r.keys {
		fmt.Fprintln(h, key.fingerprint, key.ActivateAt.UTC().Format(time.RFC3339Nano), key.RetireAt.UTC().Format(time.RFC3339Nano))
	}
	fmt.Fprintln(h, max(r.notBefore, k.refuseBefore.Load()))
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// String returns the ring's fingerprint in a form that shows it isn't the ring.
func (k *Keyring) String() string { return "cookiesession.Keyring(" + k.Fingerprint() + ")" }

// Format writes String for every verb.
func (k *Keyring) Format(f fmt.State, _ rune) { io.WriteString(f, k.String()) }
