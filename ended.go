package cookiesession

import (
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/seed-50e21e88/cookiesession/internal/cookiename"
)

// An ended marker, NAME.ended.TAG, says that the sessions of one origin have been destroyed in this browser. It isn't
// sealed: forging one only logs the forger out.
const (
	markerLifetime  = maxAgeLimit      // a response under way may give the ended session a new life
	markerMinAge    = 10 * time.Minute // responses are under way for less
	maxOldMarkers   = 4                // deleted by one response
	maxMarkers      = 32               // in a browser, or they would crowd out the session: proxies bound the Cookie header
	maxExcessPruned = 8                // of what is beyond, deleted by one response
)

// A marker is one that was received.
type marker struct {
	tag string
	age int64 // in seconds; the greatest if it says no time, or one to come
}

// endedMarkers yields tag and value of the received markers. It's a pass of its own over the Cookie header, for
// requests that brought markers only: to keep them beforehand would take memory for as many as the visitor likes.
func (s *Session) endedMarkers(yield func(tag, value string) bool) {
	for suffix, value := range cookiesNamed(s.cookies, s.manager.name) {
		if kind, _, tag := cookiename.Parse(suffix); kind == cookiename.Ended && !yield(tag, value) {
			return
		}
	}
}

// hasMarker reports whether a marker was received for the origin, whatever it says.
func (s *Session) hasMarker(o origin) bool {
	want := o.Tag()
	for tag := range s.endedMarkers {
		if tag == want {
			return true
		}
	}
	return false
}

// readMarker returns what a marker says.
func readMarker(now time.Time, tag, value string) marker {
	ended, err := strconv.ParseInt(value, 10, 64)
	if age := now.Unix() - ended; err == nil && age >= -clockSkew {
		return marker{tag, age}
	}
	return marker{tag, math.MaxInt64}
}

// endedOrigins returns the origins that the response ends: all that were received, for Destroy; for Regenerate, which
// starts something new where it wasn't clear who the visitor is, those that weren't chosen.
func (s *Session) endedOrigins() (origins []origin) {
	a := &s.state.arrived
	t := a.troubled()
	if !s.destroyed && !(s.regenerated && t.ambiguous) {
		return nil
	}
	if s.destroyed && a.facts.has(valid) {
		origins = append(origins, s.state.received().id.origin())
	}
	return append(origins, t.origins...)
}

// writeMarkers marks the origins as ended.
func (m *Manager) writeMarkers(l *lines, now time.Time, origins []origin) {
	for _, o := range origins {
		m.marker(l, o.Tag(), strconv.FormatInt(now.Unix(), 10), seconds(markerLifetime))
	}
}

// marker adds a line that sets or deletes a marker.
func (m *Manager) marker(l *lines, tag, value string, maxAge int64) {
	l.add(m.name+cookiename.Ended.Suffix()+"."+tag, value, &m.attributes, maxAge)
}

// pruneMarkers keeps markers from piling up, of which the response writes more. Old ones are deleted only where the
// request brought a valid session: without one, nothing but a marker may stand between the visitor and the ended
// session. What exceeds maxMarkers goes in any case, oldest first. A marker stays as long as a session comes that it
// refuses.
func (m *Manager) pruneMarkers(l *lines, s *Session, now time.Time, writing []origin) {
	var oldest []marker
	count := len(writing)
	for tag, value := range s.endedMarkers {
		o, _ := cookiename.ParseTag(tag)
		if slices.Contains(writing, o) {
			continue // is renewed
		}
		count++
		same := func(other marker) bool { return other.tag == tag }
		if slices.Contains(s.state.arrived.troubled().origins, o) || slices.ContainsFunc(oldest, same) {
			continue
		}
		mk := readMarker(now, tag, value)
		at, _ := slices.BinarySearchFunc(oldest, mk, func(a, b marker) int {
			if a.age >= b.age { // equal ones in the order of the header
				return -1
			}
			return 1
		})
		if at < maxExcessPruned {
			oldest = slices.Insert(oldest[:min(len(oldest), maxExcessPruned-1)], at, mk)
		}
	}
	for i, mk := range oldest {
		isOld := mk.age > int64(markerMinAge/time.Second)
		if i >= count-maxMarkers && !(i < maxOldMarkers && isOld && s.state.arrived.facts.has(valid)) {
			break
		}
		m.marker(l, mk.tag, "", deleteCookie)
	}
}
