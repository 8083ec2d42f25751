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
	markerLifetime  = maxAgeLimit      // as long as any session: a response under way may set the ended one again
	markerMinAge    = 10 * time.Minute // no response is assumed to be under way for longer
	maxOldMarkers   = 4                // deleted by one response
	maxMarkers      = 32               // in a browser: they share the Cookie header, which proxies limit, with the session
	maxExcessPruned = 8                // of the markers beyond maxMarkers, deleted by one response
)

// A marker is an ended marker that was received.
type marker struct {
	tag string
	age int64 // in seconds; math.MaxInt64 if its value is no time, or one in the future
}

// endedMarkers yields tag and value of the received markers. It passes over the Cookie header again, and is called only
// if there are markers: keeping them in the first pass would take memory for as many as the visitor likes to send.
func (s *Session) endedMarkers(yield func(tag, value string) bool) {
	for suffix, value := range cookiesNamed(s.cookies, s.manager.name) {
		if kind, _, tag := cookiename.Parse(suffix); kind == cookiename.Ended && !yield(tag, value) {
			return
		}
	}
}

// hasMarker reports whether a marker was received for the origin, whatever its value.
func (s *Session) hasMarker(o origin) bool {
	want := o.Tag()
	for tag := range s.endedMarkers {
		if tag == want {
			return true
		}
	}
	return false
}

// readMarker returns a marker of a tag and a value.
func readMarker(now time.Time, tag, value string) marker {
	ended, err := strconv.ParseInt(value, 10, 64)
	if age := now.Unix() - ended; err == nil && age >= -clockSkew {
		return marker{tag, age}
	}
	return marker{tag, math.MaxInt64}
}

// endedOrigins returns the origins that the response ends: for Destroy, those of all received sessions that haven't
// expired; for Regenerate, only if the choice was ambiguous, those of the sessions of which none could be chosen.
func (s *Session) endedOrigins() (origins []origin) {
	in := &s.state.incoming
	p := in.problems()
	if !s.destroyed && !(s.regenerated && p.ambiguous) {
		return nil
	}
	if in.facts.has(valid) {
		origins = append(origins, s.state.received().id.origin())
	}
	return append(origins, p.origins...)
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

// pruneMarkers keeps markers from piling up; writing are the origins that get one by this response. Old markers are
// deleted only if a valid session was received: without one, a marker may be all that keeps the ended session from
// being accepted. Markers beyond maxMarkers are deleted in any case, oldest first. A marker stays as long as browsers
// still send a session that it refuses.
func (m *Manager) pruneMarkers(l *lines, s *Session, now time.Time, writing []origin) {
	var oldest []marker
	count := len(writing)
	for tag, value := range s.endedMarkers {
		o, _ := cookiename.ParseTag(tag)
		if slices.Contains(writing, o) {
			continue // this response renews it
		}
		count++
		same := func(other marker) bool { return other.tag == tag }
		if slices.Contains(s.state.incoming.problems().origins, o) || slices.ContainsFunc(oldest, same) {
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
		if i >= count-maxMarkers && !(i < maxOldMarkers && isOld && s.state.incoming.facts.has(valid)) {
			break
		}
		m.marker(l, mk.tag, "", deleteCookie)
	}
}
