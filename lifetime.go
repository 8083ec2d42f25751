package cookiesession

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"time"
)

// setState makes st the session's state: what was received if that is valid, else a new session. The session is open
// from then on.
func (s *Session) setState(now time.Time, st *state) {
	s.state = st
	if facts := st.incoming.facts; !facts.has(valid) {
		st.data = s.newData(now)
		if !facts.has(imported) {
			st.values = values{}
		}
	}
	if st.values.changes == nil {
		st.values.changes = st.changes[:0]
	}
	s.isOpen.Store(true)
}

// newData returns the data of a session that starts now, with the lifetime that this request has asked for, or else
// Config's. Its ID is drawn when it is first needed.
func (s *Session) newData(now time.Time) sessionData {
	d := sessionData{created: now.Unix()}
	s.grantLifetime(&d, now)
	return d
}

func (s *Session) grantLifetime(d *sessionData, now time.Time) {
	c := &s.manager.config
	lifetime := c.Lifetime
	d.mode = modeBrowser
	if c.Persistent {
		d.mode = modePersistent
	}
	if sp := s.state.special; sp != nil {
		if sp.lifetime > 0 {
			lifetime = sp.lifetime
		}
		if sp.asked {
			d.mode = sp.mode
		}
	}
	d.expires = now.Unix() + seconds(lifetime)
}

// ID returns 32 hexadecimal digits that name the session until Regenerate or Destroy. Knowing it gives no access. The
// first half stays the same across Regenerate. As long as a new session isn't saved, each request draws another ID.
func (s *Session) ID() string {
	s.lock()
	defer s.unlock()
	s.drawID()
	return hex.EncodeToString(s.state.data.id[:])
}

// CreatedAt returns when the session started, or was last regenerated, in UTC, to the second. It tells how long ago the
// visitor logged in, if the login regenerates. It doesn't tell which sessions a later event should end, see
// Config.Revoked.
func (s *Session) CreatedAt() time.Time {
	s.lock()
	defer s.unlock()
	return time.Unix(s.state.data.created, 0).UTC()
}

// ExpiresAt returns when the session's lifetime ends, in UTC, to the second.
func (s *Session) ExpiresAt() time.Time {
	s.lock()
	defer s.unlock()
	return time.Unix(s.state.data.expires, 0).UTC()
}

// Regenerate gives the session a new ID, a new CSRF token if it had one, and a new lifetime; the values stay. Call it
// at login, so that a session that somebody else may know of doesn't become a logged-in one (session fixation). The
// settings of Remember, ExpireIn and Persist last only if these are called in the same request, before or after.
//
// If several sessions were received and none could be chosen ([ReasonAmbiguous]), they are ended in this browser, as by
// Destroy, so that they don't get into the new one's way.
//
// Under Config.DeviceProof it also invites the browser to bind the session to its device.
func (s *Session) Regenerate() {
	s.lock()
	defer s.unlock()
	if !s.mayCall("Regenerate") {
		return
	}
	now := s.manager.now()
	s.drawID()
	s.regenerated, s.loggedIn = true, true
	d := s.changing()
	rand.Read(d.id[len(origin{}):])
	if d.csrf != (csrfSecret{}) {
		rand.Read(d.csrf[:])
	}
	d.created = now.Unix()
	d.bound = d.bound || s.manager.config.DeviceProof > 0
	s.grantLifetime(d, now)
}

// Remember makes the session last for d from now, at least a second and at most Config.MaxRemember: it stays when the
// browser closes, and no idle timeout ends it. A d out of range changes nothing, and [Session.Err] returns an error.
// For a deadline alone, with the idle timeout kept, see ExpireIn and Persist.
func (s *Session) Remember(d time.Duration) {
	s.lock()
	defer s.unlock()
	if s.expireIn("Remember", d) {
		s.loggedIn = true
		s.setMode(modeRemembered)
	}
}

// Remembered reports whether Remember is in effect, called in this request or an earlier one.
func (s *Session) Remembered() bool {
	s.lock()
	defer s.unlock()
	return s.state.data.mode == modeRemembered
}

// ExpireIn makes the session last for d from now, longer or shorter than it would: at least a second and at most
// Config.MaxRemember. The idle timeout, and what the browser does when it closes, stay. A d out of range changes
// nothing, and [Session.Err] returns an error.
func (s *Session) ExpireIn(d time.Duration) {
	s.lock()
	defer s.unlock()
	s.expireIn("ExpireIn", d)
}

func (s *Session) expireIn(method string, d time.Duration) bool {
	if !s.mayCall(method) {
		return false
	}
	if most := s.manager.config.MaxRemember; d < time.Second || d > most {
		s.fail(fmt.Errorf("cookiesession: %s for %v, want a second to Config.MaxRemember, %v", method, d, most))
		return false
	}
	s.special().lifetime = d
	s.changing().expires = s.manager.now().Unix() + seconds(d)
	return true
}

// Persist sets whether the session's cookie stays when the browser closes, whatever Config.Persistent is. With false
// the session ends with the browser, and of an earlier Remember only the deadline stays. Browsers that restore their
// windows restore such cookies too.
func (s *Session) Persist(on bool) {
	s.lock()
	defer s.unlock()
	switch remembered := s.state.data.mode == modeRemembered; {
	case on && remembered && s.committed: // no change, so not too late
	case !s.mayCall("Persist"):
	case on && remembered:
		if sp := s.special(); !sp.asked { // for a later Regenerate, which drops an earlier request's Remember
			sp.mode, sp.asked = modePersistent, true
		}
	case on:
		s.setMode(modePersistent)
	default:
		s.setMode(modeBrowser)
	}
}

func (s *Session) setMode(m mode) {
	sp := s.special()
	sp.mode, sp.asked = m, true
	s.changing().mode = m
}

// Destroy ends the session: values are gone, cookies are deleted, and the session that was received is refused in this
// browser from now on, even if responses that are under way set it again. Flash messages stay. It clears [Session.Err],
// and fails only after the commit ([ErrCommitted]). Putting a value after Destroy starts a new session.
//
// If the browser withholds the session's cookies because another site started the request, as in a single logout by
// POST, Destroy deletes the cookie though it wasn't received. So don't call it for visitors who are merely anonymous.
// And don't send Clear-Site-Data: "cookies" with it: that drops the marker by which the session is refused; "storage"
// and "cache" are fine. Don't carry a login over Destroy: values put after it start a session that isn't bound to a
// device, unless Regenerate is called, too.
func (s *Session) Destroy() {
	s.lock()
	defer s.unlock()
	if !s.mayCall("Destroy") {
		return
	}
	if s.state.incoming.facts.has(valid) {
		s.changing() // keeps the received data: their ID is to be ended
	}
	s.destroyed, s.regenerated, s.loggedIn = true, false, false
	if sp := s.state.special; sp != nil {
		sp.lifetime, sp.asked, sp.failure = 0, false, failure{}
	}
	s.state.data = s.newData(s.manager.now())
	s.state.values = values{}
}

// maxAge returns the session cookie's Max-Age: the remaining lifetime, or untilBrowserCloses.
func (s *Session) maxAge(now time.Time) int64 {
	if s.state.data.mode == modeBrowser {
		return untilBrowserCloses
	}
	return max(s.state.data.expires-now.Unix(), 1)
}

// clockSkew is how far ahead another server's clock may be, in seconds.
const clockSkew = 60

// seconds returns d in seconds, rounded up.
func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }
