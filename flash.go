package cookiesession

import (
	"strings"
	"sync"
	"time"

	"github.com/seed-50e21e88/cookiesession/internal/cookiename"
	"github.com/seed-50e21e88/cookiesession/internal/value"
)

// A flash message is for the next request that asks for it. Messages have cookies of their own, independent of the
// session: reading one never rewrites the session, and "you are logged out" survives Destroy. A browser that has kept
// the cookie can replay it until it expires, so a message must not grant anything.
type flash struct {
	cookies received // of the flash compartment
	isView  bool     // of Revoked's copy of the session

	opening  sync.Once // sets the next three, which never change then
	unread   values    // what was received
	isValid  bool      // what was received opened and hasn't expired
	isOpened bool      // opening is done; guarded by the session's lock, as is what follows

	consumed bool   // what was received has been shown
	spared   bool   // it has been shown in a prefetch, which consumes nothing
	now      values // FlashNow's
	next     values // Flash's and Keep's, for the next request
}

// openFlash opens the flash cookie unless that has been done. The session's lock must not be held.
func (s *Session) openFlash() *flash {
	s.lock()
	f := s.state.flash
	if f == nil {
		f = new(flash)
		s.state.flash = f
	}
	s.mu.Unlock()
	var refused *RejectError
	f.opening.Do(func() {
		refused = s.manager.readFlash(s, f)
		s.mu.Lock()
		f.isOpened = true
		s.mu.Unlock()
	})
	if refused != nil && !f.isView { // Revoked runs while the session is opened, when the application must not be called
		s.manager.report(s, refused)
	}
	return f
}

// readFlash opens what was received.
func (m *Manager) readFlash(s *Session, f *flash) (refused *RejectError) {
	if len(f.cookies.cookies) == 0 {
		return nil
	}
	now := m.now()
	var found candidates
	refused = m.flash.open(s.request.Context(), now, &f.cookies, nil, &found)
	n := 0
	refuse := func(reason Reason, label string) {
		if refused == nil {
			refused = m.flash.refusal(reason, label)
		}
	}
	for _, token := range found.all() {
		var v values
		expires, ok := decodeFlash(token.payload, &v)
		switch {
		case !ok:
			refuse(ReasonMalformed, token.key.Label)
		case now.Unix() >= expires:
			refuse(ReasonExpired, token.key.Label)
		default:
			f.unread = v
			n++
		}
	}
	if n > 1 {
		f.unread, refused = values{}, m.flash.refusal(ReasonAmbiguous, "")
	}
	f.isValid = n == 1
	if f.isValid {
		return nil
	}
	return refused
}

// A flashAction is what a response does to the flash cookie.
type flashAction int

const (
	flashKeep flashAction = iota
	flashWrite
	flashDelete
)

func (f *flash) action() flashAction {
	switch {
	case f == nil:
		return flashKeep
	case f.next.changed():
		return flashWrite
	case f.consumed:
		return flashDelete
	}
	return flashKeep
}

// isSpared reports whether messages are shown that the response doesn't delete.
func (f *flash) isSpared() bool { return f != nil && f.spared }

// outcome returns what the next request can read.
func (f *flash) outcome() values {
	switch {
	case f == nil:
		return values{}
	case f.consumed || !f.isOpened:
		return f.next
	}
	v := f.unread
	for i := range f.next.changes {
		p := f.next.changes[i].pair()
		v.set(string(p.key()), p)
	}
	return v
}

func (f *flash) encode(dst []byte, expires int64) []byte {
	v := f.outcome()
	return appendFlash(dst, expires, &v)
}

// keptSize returns how many bytes the received flash cookies add to the Cookie header if they stay. Once opened,
// refused ones don't count: nobody can read them, and some response will replace or delete them.
func (s *Session) keptSize() int {
	f, m := s.state.flash, s.manager
	switch {
	case f == nil || f.isOpened && !f.isValid:
		return 0
	case !f.isOpened:
		return f.cookies.size(cookiename.Flash, m.name)
	}
	_, size := m.flash.count(overhead + len(appendFlash(nil, m.flashExpiry(m.now()), &f.unread)))
	return size
}

// flashExpiry returns when messages that are written now expire. The lifetime is rounded up to seconds, as in Max-Age.
func (m *Manager) flashExpiry(now time.Time) int64 {
	return now.Unix() + seconds(m.config.FlashLifetime)
}

// get returns the encoded message of key, or nil.
func (f *flash) get(key string) []byte {
	if encoded := f.now.get(key); encoded != nil {
		return encoded
	}
	return f.unread.get(key)
}

// isPrefetch reports whether the browser fetches the response for later, so that perhaps nobody sees it (Sec-Purpose is
// in the Fetch standard; older browsers send Purpose or X-Moz).
func (s *Session) isPrefetch() bool {
	for _, name := range []string{"Sec-Purpose", "Purpose", "X-Moz"} {
		purpose, _, _ := strings.Cut(s.request.Header.Get(name), ";")
		if strings.EqualFold(strings.TrimSpace(purpose), "prefetch") {
			return true
		}
	}
	return false
}

// consumeFlash locks the session and consumes the received flash messages, if any, for method.
func (s *Session) consumeFlash(method string) *flash {
	f := s.openFlash()
	s.mu.Lock()
	switch {
	case !f.isValid || f.consumed:
	case s.isPrefetch():
		f.spared = true
	case s.mayCall(method):
		f.consumed = true
	}
	return f
}

// Flash stores a copy of value for the next request that reads flash messages, in addition to what nobody has read yet.
// This request doesn't see it. Messages wait for Config.FlashLifetime, counted from the last Flash. What can't be
// encoded changes nothing, and [Session.Err] returns an error.
func (s *Session) Flash(key string, value any) {
	p, err := encodePair(key, value)
	f := s.openFlash()
	s.mu.Lock()
	defer s.unlock()
	if !s.mayChange(key) {
		return
	}
	if err != nil {
		s.fail(err)
		return
	}
	f.next.set(key, p)
}

// FlashNow stores a copy of value for this request only, also after the commit. What can't be encoded changes nothing,
// and [Session.Err] returns an error.
func (s *Session) FlashNow(key string, value any) {
	p, err := encodePair(key, value)
	f := s.openFlash()
	s.mu.Lock()
	defer s.unlock()
	if err != nil {
		s.fail(err)
		return
	}
	f.now.set(key, p)
}

// Flashed returns the flash message of key, typed as [Session.Get] does, or nil. Reading one consumes all that were
// received: they are gone with this response unless kept. So read them before the first byte of the response, even if a
// template writes it. A request that never asks consumes nothing; neither does one that the browser marks as a
// prefetch, so a page that is prerendered and then shown may show a message that another page shows, too.
func (s *Session) Flashed(key string) any {
	if encoded := s.flashed(key); encoded != nil {
		return value.Decode(encoded)
	}
	return nil
}

func (s *Session) flashed(key string) []byte {
	f := s.consumeFlash("Flashed")
	defer s.unlock()
	return f.get(key)
}

// Flashes returns all flash messages, and consumes those that were received.
func (s *Session) Flashes() map[string]any {
	f := s.consumeFlash("Flashes")
	defer s.unlock()
	all := decodeAll(&f.unread)
	for key, encoded := range f.now.all() {
		all[string(key)] = value.Decode(encoded)
	}
	return all
}

// Keep keeps the flash messages of keys for one more request, and consumes the others.
func (s *Session) Keep(keys ...string) {
	f := s.consumeFlash("Keep")
	defer s.unlock()
	for _, key := range keys {
		s.keep(f, key)
	}
}

// Reflash keeps all flash messages for one more request.
func (s *Session) Reflash() {
	f := s.consumeFlash("Reflash")
	defer s.unlock()
	for key := range f.unread.all() {
		s.keep(f, string(key))
	}
	for key := range f.now.all() {
		s.keep(f, string(key))
	}
}

// keep passes a message to the next request, unless a newer one of its key has been flashed. Received messages that
// weren't consumed, in a prefetch or after the commit, stay by themselves.
func (s *Session) keep(f *flash, key string) {
	if f.isValid && !f.consumed && f.now.get(key) == nil {
		return
	}
	encoded := f.get(key)
	if encoded == nil || f.next.get(key) != nil || !s.mayChange(key) {
		return
	}
	if p, err := newPair(key, len(encoded), func(dst []byte) ([]byte, error) { return append(dst, encoded...), nil }); err == nil {
		f.next.set(key, p)
	}
}
