package cookiesession

import (
	"context"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/chacha20poly1305"
)

// A token is version ‖ key ID ‖ nonce ‖ ciphertext and tag (FORMAT.md, 4).
const (
	version      = 0x01
	keyIDLen     = 16
	headerLen    = 1 + keyIDLen                             // what the AEAD authenticates beside the payload
	payloadStart = headerLen + chacha20poly1305.NonceSizeX  // where the ciphertext begins
	overhead     = payloadStart + chacha20poly1305.Overhead // token bytes beyond the payload's
	tagStart     = headerLen                                // the tag of numbered cookies is the nonce's first bytes
	tagBytes     = 3
)

type keyID [keyIDLen]byte

// A sealer seals and opens the tokens of one purpose of one Manager.
type sealer struct {
	purpose  string
	ring     *Keyring
	info     []byte // of the derivation: purpose, scope and cookie name
	counters *keyCounters
	nonce    func([]byte) // nil: crypto/rand; golden vectors fix it
	bound    *sealer      // opens other tokens that use the same cookies; nil if there are none

	deriving sync.Mutex
	derived  atomic.Pointer[derivedRing]
}

// A derivedRing holds the keys that are derived from a ring for one sealer.
type derivedRing struct {
	of   *ring
	keys []*derivedKey // in the order of of.keys
	byID map[keyID]*derivedKey
}

// named returns the key with an ID, or nil. Most cookies name the first, which usually seals.
func (d *derivedRing) named(id keyID) *derivedKey {
	if first := d.keys[0]; first.id == id {
		return first
	}
	return d.byID[id]
}

type derivedKey struct {
	*ringKey
	id      keyID
	purpose string
	aead    cipher.AEAD
	counter *keyCounter
}

func newSealer(k *Keyring, purpose, scope, name string, counters *keyCounters) *sealer {
	var info []byte
	for _, part := range []string{purpose, scope, name} {
		info = binary.BigEndian.AppendUint16(info, uint16(len(part)))
		info = append(info, part...)
	}
	s := &sealer{purpose: purpose, ring: k, info: info, counters: counters}
	s.current()
	return s
}

// current returns the derived keys of the ring in force. It derives them once per ring.
func (s *sealer) current() *derivedRing {
	r := s.ring.current.Load()
	if d := s.derived.Load(); d != nil && d.of == r {
		return d
	}
	s.deriving.Lock()
	defer s.deriving.Unlock()
	r = s.ring.current.Load()
	old := s.derived.Load()
	if old != nil && old.of == r {
		return old
	}
	d := &derivedRing{of: r, byID: make(map[keyID]*derivedKey, len(r.keys))}
	for i := range r.keys {
		key := s.derive(&r.keys[i])
		d.keys = append(d.keys, key)
		d.byID[key.id] = key
	}
	s.derived.Store(d)
	return d
}

func (s *sealer) derive(key *ringKey) *derivedKey {
	okm := expand(key.Secret, s.info, chacha20poly1305.KeySize+keyIDLen)
	aead, err := chacha20poly1305.NewX(okm[:chacha20poly1305.KeySize])
	if err != nil {
		panic("cookiesession: internal error: " + err.Error())
	}
	d := &derivedKey{ringKey: key, purpose: s.purpose, aead: aead, counter: s.counters.of(key.Label)}
	copy(d.id[:], okm[chacha20poly1305.KeySize:])
	clear(okm)
	return d
}

// seal turns buf into a token: its first payloadStart bytes are for the header, the rest is the payload.
func (s *sealer) seal(now time.Time, buf []byte) (token []byte, err error) {
	d := s.current()
	i := d.of.sealing(now)
	if i < 0 {
		return nil, errNoActiveKey
	}
	key := d.keys[i]
	buf[0] = version
	copy(buf[1:], key.id[:])
	nonce := buf[headerLen:payloadStart]
	if s.nonce == nil {
		rand.Read(nonce)
	} else {
		s.nonce(nonce)
	}
	token = key.aead.Seal(buf[:payloadStart], nonce, buf[payloadStart:], buf[:headerLen])
	key.counter.sealed(now)
	return token, nil
}

// named returns the key with an ID, which may be one of s.bound, or nil.
func (s *sealer) named(id keyID) *derivedKey {
	key := s.current().named(id)
	if key == nil && s.bound != nil {
		return s.bound.current().named(id)
	}
	return key
}

// openToken returns what token holds, overwriting its bytes. It tries only the key that the token names. If the ring
// doesn't hold it, or it has retired, the key file may be read again; ctx limits the wait for that. The error's reason
// is ReasonMalformed, ReasonUnknownKey or ReasonForged.
func (s *sealer) openToken(ctx context.Context, now time.Time, token []byte) (opened, *RejectError) {
	if len(token) < overhead || token[0] != version {
		return opened{}, &RejectError{Reason: ReasonMalformed}
	}
	id := keyID(token[1:])
	key := s.named(id)
	if key == nil || key.retired(now) {
		rereadErr := s.ring.rereadForUnknownKey(ctx)
		key = s.named(id)
		if key == nil || key.retired(now) {
			refused := &RejectError{Reason: ReasonUnknownKey, Err: rereadErr}
			if key != nil {
				refused.KeyLabel = key.Label
			}
			return opened{}, refused
		}
	}
	sealed := token[payloadStart:]
	payload, openErr := key.aead.Open(sealed[:0], token[headerLen:payloadStart], sealed, token[:headerLen])
	if openErr != nil {
		return opened{}, &RejectError{Reason: ReasonForged, KeyLabel: key.Label}
	}
	key.counter.opened(now)
	return opened{payload, key}, nil
}

// sealing returns the label of the key that seals now, or "".
func (s *sealer) sealing(now time.Time) string {
	d := s.current()
	if i := d.of.sealing(now); i >= 0 {
		return d.keys[i].Label
	}
	return ""
}

// retiresBy reports whether the key called label retires at or before a time in Unix seconds. It is true for keys that
// the ring doesn't hold.
func (s *sealer) retiresBy(label string, at int64) bool {
	for _, key := range s.current().keys {
		if key.Label == label {
			return !key.RetireAt.IsZero() && key.RetireAt.Unix() <= at
		}
	}
	return true
}

// opened is what a token held and the key that sealed it.
type opened struct {
	payload []byte
	key     *derivedKey
}

// withHeader returns buf with space for a token's header, behind which a payload is encoded and then sealed in place.
func withHeader(buf []byte) []byte {
	return append(buf[:0], make([]byte, payloadStart)...)
}
