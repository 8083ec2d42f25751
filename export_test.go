package cookiesession

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/seed-50e21e88/cookiesession/internal/cookiename"
)

// SetClock makes m and its compartments see now. It must be called before m is used.
func (m *Manager) SetClock(now func() time.Time) { m.now = now }

// SetClock makes k decide by now which key seals.
func (k *Keyring) SetClock(now func() time.Time) { k.now = now }

// ReadWhole reads a key file of the given size.
func ReadWhole(file io.Reader, size int64) ([]byte, error) { return readWhole(file, size) }

// SetNonce makes m seal with the nonces that fill writes. It must be called before m is used.
func (m *Manager) SetNonce(fill func([]byte)) {
	for _, s := range []*sealer{m.session.sealer, m.bound.sealer, m.flash.sealer, m.lease.sealer, m.device.sealer, m.proof.sealer, m.challenge} {
		s.nonce = fill
	}
}

// OwnCookies returns suffixes and values of the cookies called name, or name and a dot and more.
func OwnCookies(lines []string, name string) (own [][2]string) {
	for suffix, value := range cookiesNamed(strings.Join(lines, "; "), name) {
		own = append(own, [2]string{suffix, value})
	}
	return own
}

// Split returns the cookies, name=value, over which a token is split if each Set-Cookie line has reserved bytes for
// attributes, and what count says of their number and size.
func Split(token []byte, name string, reserved int) (cookies []string, number, size int) {
	s := newSplitter(name, reserved)
	number, size = s.count(len(token))
	if number <= maxChunks {
		for i := range number {
			cookies = append(cookies, string(s.split(nil, token, i, number)))
		}
	}
	return cookies, number, size
}

// Join returns what joining and decoding makes of the cookies called name, if they have one reading.
func Join(lines []string, name string) (token []byte, ok bool) {
	r := receive(strings.Join(lines, "; "), name, nil)
	if r.firsts[cookiename.Session] != 1 || r.crowded[cookiename.Session] {
		return nil, false
	}
	token, choices, reason := r.token(cookiename.Session, r.first(cookiename.Session), 0, nil)
	return token, reason == 0 && choices == 1
}

// SealPayload returns a Cookie header that holds payload, whatever it is, sealed for the compartment of the given
// purpose.
func (m *Manager) SealPayload(purpose string, payload []byte) string {
	c := map[string]*compartment{purposeSession: m.session, purposeBound: m.bound, purposeFlash: m.flash, purposeLease: m.lease}[purpose]
	var l lines
	if err := c.write(&l, m.now(), append(withHeader(nil), payload...), untilBrowserCloses, 0); err != nil {
		panic(err)
	}
	h := http.Header{}
	l.putInto(h, &m.attributes, nil, new([1]string))
	header := ""
	for _, line := range h["Set-Cookie"] {
		c, err := http.ParseSetCookie(line)
		if err != nil {
			panic(err)
		}
		if header != "" {
			header += "; "
		}
		header += c.Name + "=" + c.Value
	}
	return header
}

// Payload is what a compartment's payload holds, in a form that can be compared.
type Payload struct {
	ID      [16]byte
	Times   [3]int64
	Mode    uint8
	CSRF    [16]byte
	Encoded string // the values, each decoded and encoded again
	Values  map[string]any
}

// DecodePayload decodes payload as that of purpose, and encodes what it found.
func DecodePayload(purpose string, payload []byte) (p Payload, again []byte, ok bool) {
	var v values
	switch purpose {
	case purposeSession:
		var d sessionData
		if ok = decodeSession(payload, &d, &v); ok {
			p = Payload{ID: d.id, Times: [3]int64{d.created, d.sealed, d.expires}, Mode: uint8(d.mode), CSRF: d.csrf}
			again = appendSession(nil, &d, &v)
		}
	case purposeFlash:
		if p.Times[0], ok = decodeFlash(payload, &v); ok {
			again = appendFlash(nil, p.Times[0], &v)
		}
	case purposeLease:
		var id sessionID
		if id, p.Times[0], ok = decodeLease(payload); ok {
			p.ID = id
			again = appendLease(nil, id, p.Times[0])
		}
	}
	if !ok {
		return Payload{}, nil, false
	}
	p.Values = decodeAll(&v)
	changes, err := encodeAll(p.Values)
	if err != nil {
		panic("what was decoded can't be encoded: " + err.Error())
	}
	p.Encoded = string((&values{changes: changes}).append(nil))
	return p, again, true
}

// PayloadOf returns the payload of a session with the given values, as Save would encode it at now.
func (m *Manager) PayloadOf(s *Session, now time.Time) []byte {
	s.lock()
	defer s.unlock()
	return s.encode(nil, now.Unix())
}

// ReadHead reads what precedes the values of a session's payload and returns how many bytes follow. If usual, it does
// so by way of readUsualHead.
func ReadHead(payload []byte, usual bool) (p Payload, rest int, ok bool) {
	var d sessionData
	read := readHead
	if usual {
		read = readUsualHead
	}
	following, ok := read(payload, &d)
	if !ok {
		return Payload{}, 0, false
	}
	return Payload{ID: d.id, Times: [3]int64{d.created, d.sealed, d.expires}, Mode: uint8(d.mode), CSRF: d.csrf}, len(following), true
}

// TrackBuffers has every Save from now on use buffers that contents returns whole, however much of them is in use. It
// must not be called while others save. restore ends it.
func TrackBuffers() (contents func() [][]byte, restore func()) {
	var mu sync.Mutex
	var made []*buffer
	buffers = sync.Pool{New: func() any {
		mu.Lock()
		defer mu.Unlock()
		made = append(made, new(buffer))
		return made[len(made)-1]
	}}
	contents = func() (all [][]byte) {
		mu.Lock()
		defer mu.Unlock()
		for _, b := range made {
			all = append(all, b.session[:cap(b.session)], b.flash[:cap(b.flash)], b.lease[:cap(b.lease)], b.lines.buf[:cap(b.lines.buf)])
		}
		return all
	}
	return contents, func() { buffers = sync.Pool{New: func() any { return new(buffer) }} }
}

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

// HoldDeriving makes whoever has to derive keys wait until release is called.
func (t TestSealer) HoldDeriving() (release func()) {
	t.s.deriving.Lock()
	return t.s.deriving.Unlock
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
	if refused != nil {
		return "", "", refused
	}
	return string(o.payload), o.key.Label, nil
}
