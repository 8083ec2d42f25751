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

// A session that has logged in under Config.DeviceProof is device-aware: it is sealed for a purpose of its own, and needs
// a device cookie beside it, so that leaving cookies out gains a thief nothing. At first that is a permit, which stays
// where the browser can't bind sessions. Once the browser has registered a key, it is that key, and the session holds
// only with a recent proof by it.
//
// Registration and renewal run beside other requests of the page. So they write device cookies only, which carry the
// session's origin in their names: they never undo what another response has said of a session, nor another login.

const (
	proofSlack       = time.Minute     // a proof lasts longer than its cookie: for requests that have just left, and other clocks
	registerWithin   = 5 * time.Minute // of the invitation
	refreshLate      = 5 * time.Minute // how long after DeviceProof a challenge can still be signed
	maxOtherDevices  = 4               // origins whose device cookies one login deletes
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

// A binding is what the device cookies of a session's origin say.
type binding struct {
	permit, key       device // key is the one that proves, or else the first
	hasPermit, hasKey bool   // a permit for the session's very ID was received; a key was
	proven            bool   // and a proof by it that hasn't expired
	label             string // of the ring's key that sealed what counts: key, or else permit
	refused           *RejectError
}

// binding opens the device cookies of a session's origin. What isn't accepted is only missing; why, refused says.
func (m *Manager) binding(s *Session, now time.Time, r *received, id sessionID) (b binding) {
	var devices, proofs [maxCandidates]*openedDevice
	n, refused := m.openDevices(m.device, s, now, r, id.origin(), &devices)
	proven, _ := m.openDevices(m.proof, s, now, r, id.origin(), &proofs)
	b.refused = refused
	for _, o := range devices[:n] {
		d := &o.device
		switch {
		case d.id.origin() != id.origin() || b.proven:
		case d.permits(id) && !b.hasPermit:
			b.permit, b.hasPermit = *d, true
			if !b.hasKey {
				b.label = o.key.Label
			}
		case !d.isPermit():
			b.proven = slices.ContainsFunc(proofs[:proven], func(p *openedDevice) bool {
				return p.proof.origin == id.origin() && p.proof.key == o.hash && now.Unix() < p.proof.expires
			})
			if b.proven || !b.hasKey {
				b.key, b.hasKey, b.label = *d, true, o.key.Label
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

// openedDevices remember what device cookies and proofs hold: browsers send the same ones with each request, and to open
// two more tokens would take as long as all the rest of a request that reads. It has only what has opened, by its whole
// text, and it's bounded: about a megabyte when it's full.
type openedDevices struct {
	seed  maphash.Seed
	slots [2048]atomic.Pointer[openedDevice]
}

// openDevices opens the device cookies, or proofs, of an origin. refused says why one doesn't open: rather one that may
// open later.
func (m *Manager) openDevices(c *compartment, s *Session, now time.Time, r *received, of origin, found *[maxCandidates]*openedDevice) (n int, refused *RejectError) {
	tried := 0
	for i := range r.cookies {
		cookie := &r.cookies[i]
		if cookie.kind != c.kind || cookie.origin != of {
			continue
		}
		if tried++; tried > maxCandidates {
			break
		}
		o, err := m.openDevice(c, s, now, r, cookie.value)
		if err == nil {
			found[n] = o
			n++
		} else if refused == nil || !refused.Reason.mayPass() {
			refused = err
		}
	}
	return n, refused
}

// openDevice opens one text, unless that has been done and its key would still open it.
func (m *Manager) openDevice(c *compartment, s *Session, now time.Time, r *received, text string) (*openedDevice, *RejectError) {
	var slot *atomic.Pointer[openedDevice]
	if m.opened != nil {
		slot = &m.opened.slots[maphash.String(m.opened.seed, text)%uint64(len(m.opened.slots))]
		if o := slot.Load(); o != nil && o.kind == c.kind && o.text == text && c.current().named(o.key.id) == o.key && !o.key.retired(now) {
			o.key.counter.opened(now)
			return o, nil
		}
	}
	token, _, reason := r.token(c.kind, text, 0, nil)
	if reason != 0 {
		return nil, c.refusal(reason, "")
	}
	opened, refused := c.openToken(s.request.Context(), now, token)
	if refused != nil {
		refused.Cookie = c.name
		return nil, refused
	}
	o := &openedDevice{kind: c.kind, text: strings.Clone(text), key: opened.key}
	if c.kind == cookiename.Device && !decodeDevice(opened.payload, &o.device) || c.kind == cookiename.Proof && !decodeProof(opened.payload, &o.proof) {
		return nil, c.refusal(ReasonMalformed, opened.key.Label)
	}
	o.hash = hashKey(&o.device.key)
	if slot != nil {
		slot.Store(o)
	}
	return o, nil
}

// hasDevice reports whether a device-aware session was received with what it needs, and notes what that is. A request
// that is about to prove the device needs nothing yet.
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

// DeviceProven reports whether the session is bound to a device that has proven lately, as Config.DeviceProof says, that
// the request comes from it. It is false where the browser can't, and from login until it has registered a key. Use it
// where a copied cookie must not do: for staff, or before a payment. Revoked may ask it, too; there it is also true while
// the browser registers or renews, or nobody whom Revoked wants bound ever could be. Experimental, as Config.DeviceProof is.
func (s *Session) DeviceProven() bool {
	s.lock()
	defer s.unlock()
	return s.state.arrived.facts.has(proven) && !s.destroyed
}

// writeDevice writes the device cookie that belongs to a device-aware session which is being written, if that must change:
//
//   - a login writes a permit, unless a key is in force, and asks for a key;
//   - permit and key change their Max-Age with the session's, and are sealed anew with it, or they would retire before it;
//   - a login writes the key that is in force again: a slower response may have put a permit for the ID before in its place.
//
// Nothing turns a key into a permit: who has stolen the cookies could have it renewed without the device. That is also
// why only Regenerate writes a permit where there was none. The invitation is for the response's header, "" for none.
func (m *Manager) writeDevice(b *buffer, s *Session, now time.Time) (invitation string, err error) {
	on, st := m.config.DeviceProof > 0, s.state
	var before sessionData // the session that held, if this is still it
	var held binding
	if !s.isNew() {
		before = *st.received()
	}
	if before.bound {
		r := receive(s.cookies, m.name, nil)
		held = m.binding(s, now, &r, before.id)
	}
	keyInForce := held.hasKey && (held.proven || !on || !held.hasPermit)
	var d device
	switch {
	case keyInForce:
		d = held.key
	case s.regenerated && held.hasPermit:
		d = device{id: st.data.id, created: now.Unix(), previous: before.id}
	case s.regenerated && on:
		d = device{id: st.data.id, created: now.Unix()}
	case held.hasPermit:
		d = held.permit
	default:
		return "", nil
	}
	if s.regenerated || before.expires != st.data.expires || before.mode != st.data.mode || held.label != m.device.sealing(now) {
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

// invitation returns the header field by which a browser is invited to register a key for a session.
func (m *Manager) invitation(now time.Time, id sessionID) (string, error) {
	text, err := m.sealChallenge(now, challenge{toRegister, id, now.Unix()})
	if err != nil {
		return "", err
	}
	return `(ES256);path="` + m.config.DevicePath + `";challenge="` + text + `"`, nil
}

// invite puts an invitation into the response's header, in the place of an earlier Save's. Others' stay: several
// Managers may log in with one response.
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

// deleteDevices deletes the device cookies of the sessions that the response ends, and, if it logs somebody in, those of
// some other origins, so that they don't pile up.
func (m *Manager) deleteDevices(l *lines, s *Session, ended []origin, logsIn bool) {
	if !s.state.arrived.facts.has(devices) || len(ended) == 0 && !logsIn {
		return
	}
	others := 0
	var origins []origin
	r := receive(s.cookies, m.name, nil)
	for _, c := range r.cookies {
		if c.kind != cookiename.Device && c.kind != cookiename.Proof || slices.Contains(origins, c.origin) {
			continue
		}
		if !slices.Contains(ended, c.origin) {
			if !logsIn || others == maxOtherDevices || c.origin == s.state.data.id.origin() {
				continue
			}
			others++
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

// checkChallenge returns why a text isn't a challenge that was sealed for this kind of proof and this session at most so
// long ago, or "". To renew, the origin is enough: the session may have regenerated since.
func (m *Manager) checkChallenge(s *Session, now time.Time, text string, want challenge, within time.Duration) (why string) {
	if len(text) > maxChallengeText {
		return "the challenge isn't one"
	}
	token, ok := base64dot.AppendDecode(nil, text)
	if !ok {
		return "the challenge isn't one"
	}
	opened, refused := m.challenge.openToken(s.request.Context(), now, token)
	if refused != nil {
		return "the challenge is refused: " + refused.Reason.String()
	}
	var c challenge
	if !decodeChallenge(opened.payload, &c) {
		return "the challenge isn't one"
	}
	age := now.Unix() - c.time
	switch {
	case c.kind != want.kind:
		return "the challenge is of another kind"
	case c.id.origin() != want.id.origin() || want.kind == toRegister && c.id != want.id:
		return "the challenge is another session's"
	case age > seconds(within):
		return "the challenge is too old"
	case age < -clockSkew:
		return "the challenge is ahead of this server's clock"
	}
	return ""
}

// An endpoint is where Handler looks for requests of browsers that register or renew.
type endpoint struct {
	path string // Config.DevicePath, decoded
	end  string // what a path must end with that may have lost its beginning: all of it, if it was chosen
}

func newEndpoint(c *Config) endpoint {
	path, err := url.PathUnescape(c.DevicePath)
	if err != nil { // Path is none that a request can have
		path = c.DevicePath
	}
	if end := devicePathStart + c.Name; strings.HasSuffix(path, end) {
		return endpoint{path, end}
	}
	return endpoint{path, path}
}
