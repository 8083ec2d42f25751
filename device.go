package cookiesession

import (
	"crypto/sha256"
	"hash/maphash"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/seed-50e21e88/cookiesession/internal/base64dot"
	"github.com/seed-50e21e88/cookiesession/internal/cookiename"
	"github.com/seed-50e21e88/cookiesession/internal/dbscjwt"
)

// A session on which Regenerate was called under Config.DeviceProof is device-aware: it is sealed for a purpose of its
// own and refused without a device cookie, so that a thief gains nothing by leaving cookies out. At first the device
// cookie is a permit, which stays if the browser can't bind sessions. Once the browser has registered a key, the cookie
// holds that key, and the session is valid only with a recent proof by it.
//
// Registration and renewal run in parallel with other requests of the page. So they write device cookies only, whose
// names contain the session's origin: they never undo another response's change of the session, nor another login.

const (
	proofSlack       = time.Minute     // a proof outlives its cookie, for requests under way and clocks that differ
	registerWithin   = 5 * time.Minute // after the invitation
	refreshLate      = 5 * time.Minute // how long after DeviceProof a challenge can still be signed
	maxOtherDevices  = 4               // other origins whose device cookies one response deletes
	invitationHeader = "Secure-Session-Registration"
	maxChallengeText = 256 // characters; ours take about 120
)

func (d *device) isPermit() bool { return d.key == dbscjwt.Key{} }

// permits reports whether the device is a permit for a session with this very ID.
func (d *device) permits(id sessionID) bool {
	return d.isPermit() && (d.id == id || d.previous == id && id != sessionID{})
}

func hashKey(key *dbscjwt.Key) keyHash {
	sum := sha256.Sum256(key[:])
	return keyHash(sum[:])
}

// A binding is the content of the device cookies and proofs of a session's origin.
type binding struct {
	permit, key       device // key is the one with a valid proof, or else the first
	hasPermit, hasKey bool   // a permit for the session's very ID was received; a key was received
	proven            bool   // a proof by key was received that hasn't expired
	permitLabel       string // of the ring's key that sealed the permit's cookie
	keyLabel          string // of the one that sealed the key's
	refused           Reason // why one of the device cookies isn't accepted, preferably one that may be later; 0 if all are
}

// binding opens the device cookies of a session's origin. Those that aren't accepted count as missing.
func (m *Manager) binding(s *Session, now time.Time, r *received, id sessionID) (b binding) {
	devices, n, refused := m.openDevices(m.device, s, now, r, id.origin())
	proofs, proven, _ := m.openDevices(m.proof, s, now, r, id.origin())
	b.refused = refused
	for _, o := range devices[:n] {
		d := &o.device
		switch {
		case d.id.origin() != id.origin() || b.proven:
		case d.permits(id) && !b.hasPermit:
			b.permit, b.hasPermit, b.permitLabel = *d, true, o.key.Label
		case !d.isPermit():
			b.proven = slices.ContainsFunc(proofs[:proven], func(p *openedDevice) bool {
				return p.proof.origin == id.origin() && p.proof.key == o.hash && now.Unix() < p.proof.expires
			})
			if b.proven || !b.hasKey {
				b.key, b.hasKey, b.keyLabel = *d, true, o.key.Label
			}
		}
	}
	return b
}

// An openedDevice is a device cookie or a proof that has been opened. It never changes.
type openedDevice struct {
	kind   cookiename.Kind
	text   string // the cookie's value
	key    *derivedKey
	device device
	hash   keyHash // of the device's key
	proof  proof
}

// openedDevices is a cache of opened device cookies and proofs: browsers send the same ones with each request, and
// opening two more tokens would take as long as all the rest of a request that reads. It holds only what has opened,
// found by its whole text, and is bounded: about a megabyte when it's full.
type openedDevices struct {
	seed  maphash.Seed
	slots [2048]atomic.Pointer[openedDevice]
}

// openDevices opens the device cookies, or proofs, of an origin. The first n of found have opened; refused is as in
// binding.
func (m *Manager) openDevices(c *compartment, s *Session, now time.Time, r *received, of origin) (found [maxCandidates]*openedDevice, n int, refused Reason) {
	tried := 0
	for i := range r.cookies {
		cookie := &r.cookies[i]
		if cookie.kind != c.kind || cookie.origin != of {
			continue
		}
		if tried++; tried > maxCandidates {
			break
		}
		o, reason := m.openDevice(c, s, now, r, cookie.value)
		if reason == 0 {
			found[n] = o
			n++
		} else if !refused.mayPass() {
			refused = reason
		}
	}
	return found, n, refused
}

// openDevice returns one cookie's content, from the cache if its key would still open it, or why it isn't accepted.
func (m *Manager) openDevice(c *compartment, s *Session, now time.Time, r *received, text string) (*openedDevice, Reason) {
	var slot *atomic.Pointer[openedDevice]
	if m.opened != nil {
		slot = &m.opened.slots[maphash.String(m.opened.seed, text)%uint64(len(m.opened.slots))]
		if o := slot.Load(); o != nil && o.kind == c.kind && o.text == text && c.current().named(o.key.id) == o.key && !o.key.retired(now) {
			o.key.counter.opened(now)
			return o, 0
		}
	}
	token, _, reason := r.token(c.kind, text, 0, nil)
	if reason != 0 {
		return nil, reason
	}
	opened, refused := c.openToken(s.request.Context(), now, token)
	if refused != nil {
		return nil, refused.Reason
	}
	o := &openedDevice{kind: c.kind, text: strings.Clone(text), key: opened.key}
	if c.kind == cookiename.Device && !decodeDevice(opened.payload, &o.device) || c.kind == cookiename.Proof && !decodeProof(opened.payload, &o.proof) {
		return nil, ReasonMalformed
	}
	o.hash = hashKey(&o.device.key)
	if slot != nil {
		slot.Store(o)
	}
	return o, 0
}

// hasDevice reports whether a device-aware session was received with a proof or a permit, and notes in c.facts what
// was. A request that is about to prove the device needs neither yet.
func (m *Manager) hasDevice(s *Session, now time.Time, c *candidate, r *received) bool {
	if s.provesDevice {
		c.facts |= keyed | proven
		return true
	}
	b := m.binding(s, now, r, c.data.id)
	if b.hasKey {
		c.facts |= keyed
	}
	if b.proven {
		c.facts |= proven
	}
	return b.proven || b.hasPermit
}

// DeviceProven reports whether the session is bound to a device and has a proof by it that is recent enough for
// Config.DeviceProof. It is false if the browser can't bind sessions, and from login until it has registered a key. Use
// it where a copied cookie must not be enough: for staff, or before a payment. Revoked may call it, too; there it is
// also true while the browser registers or renews, since a Revoked that requires it would otherwise prevent both.
// Experimental, as Config.DeviceProof is.
func (s *Session) DeviceProven() bool {
	s.lock()
	defer s.unlock()
	return s.state.incoming.facts.has(proven) && !s.destroyed
}

// writeDevice writes the device cookie of a device-aware session that is being saved, if it must change:
//
//   - a login writes a permit, unless a key is in force, and asks for a key;
//   - permit and key get the session's new Max-Age, and are sealed anew with it if the sealing key has changed, since
//     the old key may retire before the session ends;
//   - a login writes a key that is in force again: a slower response may have overwritten it with a permit for the old
//     ID.
//
// Nothing turns a key into a permit: a thief of the cookies could use the session without the device. That is also why
// only Regenerate writes a permit where there was none, and not even that if a key was received that doesn't open any
// more, since the ring has changed meanwhile. The invitation is for the response's header, "" for none.
func (m *Manager) writeDevice(b *buffer, s *Session, now time.Time) (invitation string, err error) {
	on, st := m.config.DeviceProof > 0, s.state
	var before sessionData // of the received session, unless it was destroyed
	var held binding
	if !s.isNew() {
		before = *st.received()
	}
	if before.bound {
		r := receive(s.cookies, m.name, nil)
		held = m.binding(s, now, &r, before.id)
	}
	keyInForce := held.hasKey && (held.proven || !on || !held.hasPermit)
	hadKey := before.bound && st.incoming.facts.has(keyed)
	var d device
	sealedBy := ""
	switch {
	case keyInForce:
		d, sealedBy = held.key, held.keyLabel
	case s.regenerated && held.hasPermit:
		d = device{id: st.data.id, created: now.Unix(), previous: before.id}
	case s.regenerated && on && !hadKey:
		d = device{id: st.data.id, created: now.Unix()}
	case held.hasPermit:
		d, sealedBy = held.permit, held.permitLabel
	default:
		return "", nil
	}
	if s.regenerated || before.expires != st.data.expires || before.mode != st.data.mode || sealedBy != m.device.sealing(now) {
		b.device = appendDevice(withHeader(b.device), &d)
		if err := m.device.writeFor(&b.lines, now, b.device, s.maxAge(now), st.data.id.origin()); err != nil {
			return "", err
		}
	}
	if d.isPermit() && s.regenerated && on {
		return m.invitation(now, st.data.id)
	}
	return "", nil
}

// invitation returns the header field that invites a browser to register a key for a session.
func (m *Manager) invitation(now time.Time, id sessionID) (string, error) {
	text, err := m.sealChallenge(now, challenge{toRegister, id, now.Unix()})
	if err != nil {
		return "", err
	}
	return `(ES256);path="` + m.config.DevicePath + `";challenge="` + text + `"`, nil
}

// invite puts an invitation into the response's header, where it replaces that of an earlier Save. Other Managers'
// invitations stay: several may log in with one response.
func (m *Manager) invite(h http.Header, s *Session, invitation string) {
	earlier := ""
	if s.state.special != nil {
		earlier = s.state.special.invited
	}
	if earlier == invitation {
		return
	}
	fields := slices.DeleteFunc(slices.Clone(h[invitationHeader]), func(field string) bool { return earlier != "" && field == earlier })
	if invitation != "" {
		fields = append(fields, invitation)
	}
	if s.special().invited = invitation; len(fields) == 0 {
		delete(h, invitationHeader)
		return
	}
	h[invitationHeader] = fields
	if earlier == "" {
		m.counters.device.offered.Add(1)
	}
}

// deleteDevices deletes the device cookies of the sessions that the response ends, and, if others, those of some other
// origins, so that they don't pile up: a login does so, and, since a login that another site's form makes sees no
// cookies, so does any response to a valid session with which many came. Those that came first are the oldest.
func (m *Manager) deleteDevices(l *lines, s *Session, ended []origin, others bool) {
	if !s.state.incoming.facts.has(devices) || len(ended) == 0 && !others {
		return
	}
	deleted := 0
	var origins []origin
	r := receive(s.cookies, m.name, nil)
	for _, c := range r.cookies {
		if c.kind != cookiename.Device && c.kind != cookiename.Proof || slices.Contains(origins, c.origin) {
			continue
		}
		if !slices.Contains(ended, c.origin) {
			if !others || deleted == maxOtherDevices || c.origin == s.state.data.id.origin() {
				continue
			}
			deleted++
		}
		origins = append(origins, c.origin)
	}
	for _, of := range origins {
		m.device.deleteFor(l, of)
		m.proof.deleteFor(l, of)
	}
}

// sealChallenge returns the text of a challenge.
func (m *Manager) sealChallenge(now time.Time, c challenge) (string, error) {
	token, err := m.challenge.seal(now, appendChallenge(withHeader(nil), &c))
	if err != nil {
		return "", err
	}
	return string(base64dot.AppendEncode(nil, token)), nil
}

// openChallenge returns the ID of the session that a challenge was sealed for, or why it isn't one of that kind, and no
// older than within.
func (m *Manager) openChallenge(s *Session, now time.Time, text string, kind challengeKind, within time.Duration) (id sessionID, why string) {
	if len(text) > maxChallengeText {
		return id, "the challenge isn't one"
	}
	token, ok := base64dot.AppendDecode(nil, text)
	if !ok {
		return id, "the challenge isn't one"
	}
	opened, refused := m.challenge.openToken(s.request.Context(), now, token)
	if refused != nil {
		return id, "the challenge is refused: " + refused.Reason.String()
	}
	var c challenge
	if !decodeChallenge(opened.payload, &c) {
		return id, "the challenge isn't one"
	}
	age := now.Unix() - c.time
	switch {
	case c.kind != kind:
		why = "the challenge is of another kind"
	case age > seconds(within):
		why = "the challenge is too old"
	case age < -clockSkew:
		why = "the challenge is ahead of this server's clock"
	}
	return c.id, why
}

// An endpoint is the path to which browsers send requests to register or renew.
type endpoint struct {
	path string // Config.DevicePath, decoded
	end  string // what must be left of path if a prefix was stripped: all of it, if DevicePath was set
}

func newEndpoint(c *Config) endpoint {
	path, err := url.PathUnescape(c.DevicePath)
	if err != nil { // no request can have this path
		path = c.DevicePath
	}
	if end := devicePathStart + c.Name; strings.HasSuffix(path, end) {
		return endpoint{path, end}
	}
	return endpoint{path, path}
}
