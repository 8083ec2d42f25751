package cookiesession

import (
	"context"
	"time"
)

// RereadForUnknownKey is what opening a token does that names an unknown key.
func (k *Keyring) RereadForUnknownKey(ctx context.Context) error { return k.rereadForUnknownKey(ctx) }

// OpenTestKeyFile returns a ring whose key file holds what read returns.
func OpenTestKeyFile(read func(string) ([]byte, error)) (*Keyring, error) {
	k := &Keyring{now: time.Now, file: &keyFile{path: "test", read: read}}
	return k, k.Reload()
}

// DisableRereads makes an unknown key just that.
func (k *Keyring) DisableRereads() { k.file.rereadAt = time.Unix(1<<40, 0) }

// Poll is what Watch does once.
func (k *Keyring) Poll() error {
	return k.reread(context.Background(), byWatch).err
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
	return t.OpenFor(context.Background(), now, token)
}

// OpenFor is Open for a request with a context.
func (t TestSealer) OpenFor(ctx context.Context, now time.Time, token []byte) (payload, label string, refused *RejectError) {
	o, refused := t.s.openToken(ctx, now, append([]byte(nil), token...))
	return string(o.payload), o.label, refused
}
