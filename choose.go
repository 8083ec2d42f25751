package cookiesession

import (
	"slices"
	"time"

	"github.com/seed-50e21e88/cookiesession/internal/cookiename"
)

// A candidate is a session that opened, valid or not.
type candidate struct {
	data   *sessionData
	values *values
	key    *derivedKey // that sealed it
	facts  facts       // what is known of its device
	isLive bool        // it, or another received state of the same session, hasn't expired
	seen   int64       // under an idle timeout: when it was last sealed or leased
}

// choose decodes the candidates that opened and makes the valid one the session's state. Invalid ones don't make the
// choice ambiguous: browsers can keep old cookies of the same name for years, for instance after Domain or Path has
// changed. notOpened is what compartment.open returned.
func (m *Manager) choose(s *Session, now time.Time, r *received, found *candidates, notOpened *RejectError, st *state) (refused, leaseRefused *RejectError) {
	var one [1]candidate
	sessions, malformed := m.decodeCandidates(now.Unix(), found, st, one[:0])
	switch {
	case len(sessions) > 0:
	case notOpened != nil:
		return notOpened, nil
	default:
		return malformed, nil
	}
	var leases []lease
	if m.config.IdleTimeout > 0 {
		var storage [maxCandidates]lease
		leases, leaseRefused = m.openLeases(s, now, r, storage[:0])
	}
	var chosen, unproven *candidate
	var unchecked *RejectError
	eligible := 0
	for i := range sessions {
		c := &sessions[i]
		reason, hookErr := m.validate(s, now, c, leases, r)
		if reason == 0 || hookErr != nil {
			chosen = c
			eligible++
		}
		if hookErr != nil {
			unchecked = m.session.refusal(reason, c.key.Label)
			unchecked.Err = hookErr
		} else if reason != 0 && refused == nil {
			refused = m.session.refusal(reason, c.key.Label)
			if reason == ReasonUnproven {
				unproven = c
			}
		}
	}
	switch {
	case eligible > 1:
		refused, chosen = m.session.refusal(ReasonAmbiguous, ""), nil
	case unchecked != nil:
		refused, chosen = unchecked, nil
	case chosen != nil:
		refused = nil
		st.incoming.facts |= valid | chosen.facts
		st.incoming.seen = chosen.seen
		if found.n == 1 {
			return nil, leaseRefused // the usual case
		}
	}

	p := *st.incoming.problems()
	if p.ambiguous = eligible > 1; !p.ambiguous && unchecked != nil {
		p.unchecked = unchecked.Err
	}
	for i := range sessions {
		o := sessions[i].data.id.origin()
		inUse := chosen != nil && o == chosen.data.id.origin()
		if sessions[i].isLive && !inUse && !slices.Contains(p.origins, o) {
			p.origins = append(p.origins, o)
		}
	}
	if unproven != nil && refused != nil && refused.Reason == ReasonUnproven {
		p.lacksProof, p.keyOf = unproven.facts.has(keyed), unproven.data.id.origin()
	}
	st.incoming.setProblems(p)
	if chosen != nil && chosen.data != &st.data {
		st.data, st.values = *chosen.data, *chosen.values // last, since st held another candidate until now
	}
	return refused, leaseRefused
}

// decodeCandidates decodes the tokens that opened and appends them to sessions, for each ID only the one that was
// sealed last. malformed is the refusal of the first that can't be decoded. The first session, usually the only one, is
// decoded into st, where it will stay.
func (m *Manager) decodeCandidates(now int64, found *candidates, st *state, sessions []candidate) (_ []candidate, malformed *RejectError) {
	for i := range found.n {
		token := &found.tokens[i]
		sessions = append(sessions, candidate{})
		others, c := sessions[:len(sessions)-1], &sessions[len(sessions)-1]
		c.data, c.values, c.key = &st.data, &st.values, token.key
		if len(others) > 0 {
			c.data, c.values = new(sessionData), new(values)
		}
		if !decodeSession(token.payload, c.data, c.values) {
			*c.data, *c.values = sessionData{}, values{}
			sessions = others
			if malformed == nil {
				malformed = m.session.refusal(ReasonMalformed, token.key.Label)
			}
			continue
		}
		c.data.bound = token.key.purpose == purposeBound
		c.isLive = now < c.data.expires
		for k := range others {
			if known := &others[k]; known.data.id == c.data.id {
				c.isLive = c.isLive || known.isLive
				if c.data.sealed > known.data.sealed {
					*known = *c
				}
				known.isLive = c.isLive
				sessions = others
			}
		}
	}
	return sessions, malformed
}

// validate returns why a session that opened is refused, or 0. Expiry is checked with sealed times; it never depends on
// whether the browser deletes cookies. The error is Revoked's: then nobody knows whether the session is valid.
func (m *Manager) validate(s *Session, now time.Time, c *candidate, leases []lease, r *received) (Reason, error) {
	d, seconds := c.data, now.Unix()
	switch {
	case d.created > seconds+clockSkew || d.sealed > seconds+clockSkew:
		return ReasonFuture, nil
	case seconds >= d.expires:
		return ReasonExpired, nil
	case d.created < m.config.Keys.notBefore():
		return ReasonRevoked, nil
	case r.names[cookiename.Ended] != 0 && s.hasMarker(d.id.origin()):
		return ReasonEnded, nil
	}
	if idle := m.config.IdleTimeout; idle > 0 {
		c.seen = lastUse(d, leases, now)
		if d.mode != modeRemembered && seconds-c.seen > int64(idle/time.Second) {
			return ReasonIdle, nil
		}
	}
	if d.bound && m.config.DeviceProof > 0 && !m.hasDevice(s, now, c, r) {
		return ReasonUnproven, nil
	}
	if m.config.Revoked != nil {
		revoked, err := m.config.Revoked(s.request.Context(), s.view(now, c, r))
		if revoked || err != nil {
			return ReasonRevoked, err
		}
	}
	return 0, nil
}

// view returns a copy of a candidate, for Revoked to read while the session itself isn't open yet.
func (s *Session) view(now time.Time, found *candidate, r *received) *Session {
	c := &Session{manager: s.manager, request: s.request, cookies: s.cookies}
	st := &state{data: *found.data, values: *found.values}
	st.incoming.facts, st.incoming.seen = valid|found.facts, found.seen
	if r.names[cookiename.Flash] != 0 {
		st.flash = &flash{cookies: r.only(cookiename.Flash), isView: true}
	}
	c.setState(now, st)
	return c
}
