package cookiesession

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-50e21e88/cookiesession/internal/base64dot"
)

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
func originTag(o origin) string { return string(base64dot.AppendEncode(nil, o[:])) }

// parseOrigin is strict: one origin has one tag.
func parseOrigin(tag string) (o origin, ok bool) {
	if len(tag) != originTagLength {
		return o, false
	}
	_, ok = base64dot.AppendDecode(o[:0], tag)
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
