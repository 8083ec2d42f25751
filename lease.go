package cookiesession

import (
	"time"

	"github.com/seed-50e21e88/cookiesession/internal/cookiename"
)

// A lease says when a session was last seen. It has a cookie of its own, so that a response to a request that only
// reads can't undo what another response has just saved. If the lease is missing, broken or another session's, the
// session only seems to have been unused for longer.
type lease struct {
	id   sessionID
	seen int64
}

// openLeases appends the received leases, of whatever session, to leases, which is empty. If none is accepted, refused
// says why the first isn't.
func (m *Manager) openLeases(s *Session, now time.Time, r *received, leases []lease) (_ []lease, refused *RejectError) {
	if r.names[cookiename.Lease] == 0 {
		return leases, nil
	}
	var found candidates
	refused = m.lease.open(s.request.Context(), now, r, nil, &found)
	for _, token := range found.all() {
		if id, seen, ok := decodeLease(token.payload); ok {
			leases = append(leases, lease{id, seen})
		} else if refused == nil {
			refused = m.lease.refusal(ReasonMalformed, token.key.Label)
		}
	}
	if len(leases) > 0 {
		refused = nil
	}
	return leases, refused
}

// lastUse returns when a session was last sealed or leased.
func lastUse(d *sessionData, leases []lease, now time.Time) int64 {
	seen := d.sealed
	for _, l := range leases {
		if l.id == d.id && l.seen <= now.Unix()+clockSkew {
			seen = max(seen, l.seen)
		}
	}
	return seen
}

// leaseDue reports whether the browser must be told that the session was used: not at every request, but before the
// last known use is much older than the real one.
func (s *Session) leaseDue(now time.Time) bool {
	st := s.state
	idle := s.manager.config.IdleTimeout
	return idle > 0 && st.incoming.facts.has(valid) && !s.destroyed && !s.passive && st.received().mode != modeRemembered &&
		now.Unix()-st.incoming.seen > int64(min(idle/10, time.Minute)/time.Second)
}

// writeLease notes that the session was used.
func (m *Manager) writeLease(b *buffer, s *Session, now time.Time) error {
	b.lease = appendLease(withHeader(b.lease), s.state.data.id, now.Unix())
	return m.lease.write(&b.lines, now, b.lease, seconds(m.config.IdleTimeout), s.state.incoming.lease)
}

// IdleAt returns when Config.IdleTimeout ends the session if no request comes after this one, in UTC, to the second;
// the zero Time if nothing but its lifetime ends it. A page can warn in time: the session ends at the earlier of this
// and ExpiresAt.
func (s *Session) IdleAt() time.Time {
	s.lock()
	defer s.unlock()
	idle := s.manager.config.IdleTimeout
	if idle == 0 || s.state.data.mode == modeRemembered {
		return time.Time{}
	}
	now := s.manager.now()
	used := now.Unix()
	if !s.isNew() && !s.dirty() && !s.leaseDue(now) {
		used = s.state.incoming.seen
	}
	return time.Unix(used+seconds(idle), 0).UTC()
}

// Passive makes this request not count as use, so that it doesn't postpone the idle timeout: for a page that polls. If
// the request changes the session, that postpones it all the same.
func (s *Session) Passive() {
	s.lock()
	defer s.unlock()
	s.passive = true
}
