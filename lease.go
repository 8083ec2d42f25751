package cookiesession

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-50e21e88/cookiesession/internal/base64url"
)

// A lease says when a session was last seen. It has a cookie of its own, so that a response to somebody who only reads
// can't undo what another response has just saved. A lease that is missing, another session's or broken only makes the
// session look older.

// lastSeen returns the newest time for which a lease of the session came, or 0.
func (m *Manager) lastSeen(s *Session, now time.Time, session *chunkSet, id sessionID) (seen int64) {
	if !session.siblings.lease {
		return 0
	}
	var came chunkSet
	m.lease.collect(&came, s.cookies)
	came.fewWillDo = true
	refused := m.lease.openEach(now, &came, func(o opened) Reason {
		owner, t, ok := decodeLease(o.payload)
		if !ok {
			return ReasonMalformed
		}
		if owner == id && t <= now.Unix()+clockSkew {
			seen = max(seen, t)
		}
		return 0
	})
	if refused != nil {
		m.report(s, refused)
	}
	return seen
}

// writeLease notes that the session was used, if the browser hasn't been told for a while.
func (m *Manager) writeLease(b *buffer, s *Session, now time.Time, saved bool) {
	idle := m.config.IdleTimeout
	if idle == 0 || saved || s.came.data.mode == modeRemembered {
		return
	}
	if now.Unix()-s.came.seen <= int64(min(idle/10, time.Minute)/time.Second) {
		return
	}
	b.lease = appendLease(roomFor(b.lease), s.data.id, now.Unix())
	if err := m.lease.write(&b.lines, now, b.lease, seconds(idle), m.leaseNames(s)); err != nil {
		m.config.Logger.Error("cookiesession: lease not written", "error", err)
	}
}

// leaseNames returns which lease cookies came.
func (m *Manager) leaseNames(s *Session) nameSet {
	if !s.came.siblings.lease {
		return 0
	}
	var came chunkSet
	m.lease.collect(&came, s.cookies)
	return came.came
}

// An ended marker, NAME.ended.TAG, says that the sessions of one origin have been destroyed in this browser. It isn't
// sealed: forging one only logs the forger out.
const (
	endedInfix      = ".ended."
	markerLifetime  = maxAgeLimit      // a response under way may give the ended session a new life
	markerMinAge    = 10 * time.Minute // responses are under way for less
	maxOldMarkers   = 4                // deleted by one response
	originTagLength = 11
)

// originTag returns the TAG of an origin.
func originTag(o origin) string { return base64.RawURLEncoding.EncodeToString(o[:]) }

// parseOrigin is strict: one origin has one tag.
func parseOrigin(tag string) (o origin, ok bool) {
	if len(tag) != originTagLength {
		return o, false
	}
	_, ok = base64url.AppendDecode(o[:0], tag)
	return o, ok
}

// endedMarkers yields the tags of the markers that came, and what they say.
func endedMarkers(cookies []string, name string, yield func(tag, value string) bool) {
	for suffix, value := range ownCookies(cookies, name) {
		tag, ok := strings.CutPrefix(suffix, endedInfix)
		if !ok {
			continue
		}
		if _, ok := parseOrigin(tag); ok && !yield(tag, value) {
			return
		}
	}
}

// hasMarker reports whether a marker came for the origin, whatever it says.
func hasMarker(cookies []string, name string, o origin) (found bool) {
	want := originTag(o)
	endedMarkers(cookies, name, func(tag, _ string) bool {
		found = tag == want
		return !found
	})
	return found
}

// hasMarkers reports whether any marker came.
func hasMarkers(cookies []string, name string) (found bool) {
	endedMarkers(cookies, name, func(_, _ string) bool {
		found = true
		return false
	})
	return found
}

// deleteOldMarkers keeps markers from piling up. Only a request with a valid session may do it: without one, nothing
// but a marker may stand between the visitor and the ended session.
func (m *Manager) deleteOldMarkers(b *buffer, s *Session, now time.Time) {
	if !s.came.siblings.ended {
		return
	}
	var deleted []string
	endedMarkers(s.cookies, m.name, func(tag, value string) bool {
		ended, err := strconv.ParseInt(value, 10, 64)
		age := now.Unix() - ended
		if err == nil && age >= -clockSkew && age <= int64(markerMinAge/time.Second) || slices.Contains(deleted, tag) {
			return true
		}
		b.lines.marker(m, tag, "", deleteCookie)
		deleted = append(deleted, tag)
		return len(deleted) < maxOldMarkers
	})
}

// writeEnd writes what Destroy says beside deleting the session cookie.
func (m *Manager) writeEnd(b *buffer, s *Session, now time.Time) {
	m.lease.delete(&b.lines, m.leaseNames(s))
	mark := func(o origin) {
		b.lines.marker(m, originTag(o), strconv.FormatInt(now.Unix(), 10), seconds(markerLifetime))
	}
	if s.came.alive {
		mark(s.came.data.id.origin())
	}
	for _, o := range s.came.rivals {
		mark(o)
	}
}

// marker appends a line that sets or deletes a marker.
func (w *lineWriter) marker(m *Manager, tag, value string, maxAge int64) {
	w.buf = append(w.buf, m.name...)
	w.buf = append(w.buf, endedInfix...)
	w.buf = append(w.buf, tag...)
	w.buf = append(w.buf, '=')
	w.buf = append(w.buf, value...)
	w.buf = m.attributes.append(w.buf, maxAge)
	w.endLine()
}
