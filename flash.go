package cookiesession

import (
	"time"

	"github.com/seed-50e21e88/cookiesession/internal/value"
)

// A flash message is for the next request that asks. Messages have cookies of their own, unbound to the session:
// reading one never rewrites the session, and "you are logged out" survives Destroy. A browser that kept the cookie
// can bring it back until it expires, so no authority belongs in it.
type flash struct {
	names    nameSet // flash cookies that came
	valid    bool    // one of them opened and has time left
	came     values  // what it held
	consumed bool    // what came has been shown, if anything valid did
	now      values  // FlashNow's
	next     values  // what the next request gets beside what nobody has read
}

// openFlash opens the flash cookie unless that has been done. s.mu must not be held.
func (s *Session) openFlash() {
	s.open()
	s.flashing.Do(func() {
		f, refused := s.manager.readFlash(s)
		s.mu.Lock()
		s.flash = f
		s.mu.Unlock()
		if refused != nil {
			s.manager.report(s, refused)
		}
	})
}

func (m *Manager) readFlash(s *Session) (f *flash, refused *RejectError) {
	if !s.came.siblings.flash {
		return new(flash), nil
	}
	now := m.now()
	var came chunkSet
	m.flash.collect(&came, s.cookies)
	f = &flash{names: came.came}
	ambiguous := false
	refused = m.flash.openEach(now, &came, func(o opened) Reason {
		var v values
		expires, ok := decodeFlash(o.payload, &v)
		switch {
		case !ok:
			return ReasonMalformed
		case now.Unix() >= expires:
			return ReasonExpired
		}
		ambiguous = f.valid
		f.valid, f.came = true, v
		return 0
	})
	if ambiguous {
		refused = m.flash.reject(ReasonAmbiguous)
	}
	if refused != nil {
		f.valid, f.came = false, values{}
	}
	return f, refused
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

// outcome returns what the next request can read.
func (f *flash) outcome() values {
	switch {
	case f == nil:
		return values{}
	case f.consumed:
		return f.next
	}
	v := f.came
	for _, c := range f.next.changes {
		v.set(c.key, c.encoded)
	}
	return v
}

func (f *flash) encode(dst []byte, expires int64) []byte {
	v := f.outcome()
	return appendFlash(dst, expires, &v)
}

// flashExpiry returns when messages expire that are left now: parts of a second count, as in Max-Age.
func (m *Manager) flashExpiry(now time.Time) int64 {
	return now.Unix() + seconds(m.config.FlashLifetime)
}

// get returns the encoded message of key, or nil.
func (f *flash) get(key string) []byte {
	if encoded := f.now.get(key); encoded != nil {
		return encoded
	}
	return f.came.get(key)
}

// consumeFlash locks the session and consumes the flash messages that came, if any.
func (s *Session) consumeFlash() *flash {
	s.openFlash()
	s.mu.Lock()
	if s.flash.valid && !s.flash.consumed && s.mayChange() {
		s.flash.consumed = true
	}
	return s.flash
}

// Flash stores a copy of value for the next request that reads flash messages, in addition to what nobody has read
// yet. This request doesn't see it. Messages wait for Config.FlashLifetime, counted from the last Flash. What can't
// be encoded changes nothing, and [Session.Err] says so.
func (s *Session) Flash(key string, value any) {
	encoded, err := encodeValue(key, value)
	s.openFlash()
	s.mu.Lock()
	defer s.unlock()
	if !s.mayChange() {
		return
	}
	if err != nil {
		s.fail(err)
		return
	}
	s.flash.next.set(key, encoded)
}

// FlashNow stores a copy of value for this request only.
func (s *Session) FlashNow(key string, value any) {
	encoded, err := encodeValue(key, value)
	s.openFlash()
	s.mu.Lock()
	defer s.unlock()
	if err != nil {
		s.fail(err)
		return
	}
	s.flash.now.set(key, encoded)
}

// Flashed returns the flash message of key, typed as [Session.Get] does, or nil. Reading one consumes all that came:
// they are gone with this response unless kept. A request that never asks consumes nothing.
func (s *Session) Flashed(key string) any {
	if encoded := s.flashed(key); encoded != nil {
		return value.Decode(encoded)
	}
	return nil
}

func (s *Session) flashed(key string) []byte {
	f := s.consumeFlash()
	defer s.unlock()
	return f.get(key)
}

// Flashes returns all flash messages, and consumes those that came.
func (s *Session) Flashes() map[string]any {
	f := s.consumeFlash()
	defer s.unlock()
	all := decodeAll(&f.came)
	for key, encoded := range f.now.all() {
		all[key] = value.Decode(encoded)
	}
	return all
}

// Keep carries the flash messages of keys on for one more request, and consumes the others.
func (s *Session) Keep(keys ...string) {
	f := s.consumeFlash()
	defer s.unlock()
	for _, key := range keys {
		s.keep(f, key)
	}
}

// Reflash carries all flash messages on for one more request.
func (s *Session) Reflash() {
	f := s.consumeFlash()
	defer s.unlock()
	for key := range f.came.all() {
		s.keep(f, key)
	}
	for key := range f.now.all() {
		s.keep(f, key)
	}
}

// keep carries a message on, unless a newer one of its key has been flashed.
func (s *Session) keep(f *flash, key string) {
	if f.valid && !f.consumed {
		return // consumeFlash has said that it's too late
	}
	if encoded := f.get(key); encoded != nil && f.next.get(key) == nil && s.mayChange() {
		f.next.set(key, encoded)
	}
}
