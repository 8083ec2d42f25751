package cookiesession

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"time"
)

// begin starts a new session without values. Its ID is drawn when somebody needs it.
func (s *Session) begin(now time.Time) {
	s.data = new(sessionData)
	s.values = values{}
	s.restart(now)
}

// restart gives the session a new lifetime.
func (s *Session) restart(now time.Time) {
	d := s.changing()
	d.created = now.Unix()
	lifetime := s.manager.config.Lifetime
	d.mode = modeBrowser
	switch {
	case s.remembered > 0:
		lifetime = s.remembered
		d.mode = modeRemembered
	case s.manager.config.Persistent:
		d.mode = modePersistent
	}
	d.expires = now.Unix() + seconds(lifetime)
}

// ID returns 32 hexadecimal digits that name the session until Regenerate or Destroy. Knowing it opens nothing. The
// first half stays the same across Regenerate.
func (s *Session) ID() string {
	s.lock()
	defer s.unlock()
	s.drawID()
	return hex.EncodeToString(s.data.id[:])
}

func (s *Session) drawID() {
	if s.data.id == (sessionID{}) {
		rand.Read(s.changing().id[:])
	}
}

// CreatedAt returns when the session started, or was last regenerated, in UTC, to the second.
func (s *Session) CreatedAt() time.Time {
	s.lock()
	defer s.unlock()
	return time.Unix(s.data.created, 0).UTC()
}

// ExpiresAt returns when the session's lifetime ends, in UTC, to the second.
func (s *Session) ExpiresAt() time.Time {
	s.lock()
	defer s.unlock()
	return time.Unix(s.data.expires, 0).UTC()
}

// Regenerate gives the session a new ID, a new CSRF token if it had one, and a new lifetime; the values stay. Call it
// at login, so that a session that somebody else may know of doesn't become a logged-in one (session fixation). It
// drops Remember unless that is called in the same request, before or after.
func (s *Session) Regenerate() {
	s.lock()
	defer s.unlock()
	if !s.mayChange() {
		return
	}
	s.drawID()
	d := s.changing()
	rand.Read(d.id[len(origin{}):])
	if d.csrf != (csrfSecret{}) {
		rand.Read(d.csrf[:])
	}
	s.restart(s.manager.now())
}

// Remember makes the session last for d from now, at least a second and at most 400 days, whatever Config says: it
// stays when the browser closes, and no idle timeout ends it. A d out of range changes nothing, and [Session.Err]
// says so.
func (s *Session) Remember(d time.Duration) {
	s.lock()
	defer s.unlock()
	if !s.mayChange() {
		return
	}
	if d < time.Second || d > maxAgeLimit {
		s.fail(errors.New("cookiesession: Remember for " + d.String() + ", want a second to 400 days"))
		return
	}
	s.remembered = d
	data := s.changing()
	data.mode = modeRemembered
	data.expires = s.manager.now().Unix() + seconds(d)
}

// Destroy ends the session: values are gone, cookies are deleted, and the session that came is refused in this
// browser from now on, whatever responses that are under way set it again. Flash messages stay. It clears
// [Session.Err], and fails only after the commit ([ErrCommitted]). Putting a value after Destroy starts a new session.
func (s *Session) Destroy() {
	s.lock()
	defer s.unlock()
	if !s.mayChange() {
		return
	}
	s.destroyed = true
	s.remembered = 0
	s.err = nil
	s.begin(s.manager.now())
}

// maxAge returns the session cookie's Max-Age: the remaining life, if it is to survive the browser.
func (s *Session) maxAge(now time.Time) int64 {
	if s.data.mode == modeBrowser {
		return untilBrowserCloses
	}
	return max(s.data.expires-now.Unix(), 1)
}
