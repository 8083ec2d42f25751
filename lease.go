package cookiesession

import "time"

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
