package cookiesession

import (
	"context"
	"time"
)

// LookAgain is what opening a token does that names an unknown key.
func (k *Keyring) LookAgain() error { return k.lookAgain() }

// OpenTestKeyFile returns a ring whose key file holds what read returns.
func OpenTestKeyFile(read func(string) ([]byte, error)) (*Keyring, error) {
	k := &Keyring{now: time.Now, file: &keyFile{path: "test", read: read}}
	return k, k.Reload()
}

// DisableLookAgain makes an unknown key just that.
func (k *Keyring) DisableLookAgain() { k.file.looked = time.Unix(1<<40, 0) }

// Poll is what Watch does once.
func (k *Keyring) Poll() error {
	_, err := k.poll()
	return err
}

// A TestSealer seals and opens the bytes of one compartment, with the caller's clock.
type TestSealer struct{ s *sealer }

// NewTestSealer returns the sealer of compartment "test".
func NewTestSealer(k *Keyring) TestSealer {
	return TestSealer{newSealer(k, "test", "", "test", new(keyCounters))}
}

// Seal returns a token.
func (t TestSealer) Seal(now time.Time, payload string) ([]byte, error) {
	return t.s.seal(now, append(make([]byte, payloadStart, payloadStart+len(payload)+overhead), payload...))
}

// Open returns what a token holds and the label of its key.
func (t TestSealer) Open(now time.Time, token []byte) (payload, label string, refused *RejectError) {
	o, refused := t.s.openToken(context.Background(), now, append([]byte(nil), token...))
	return string(o.payload), o.label, refused
}
