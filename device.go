package cookiesession

import (
	"crypto/sha256"
	"net/http"
	"net/url"
	"slices"
	"strings"
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
	proofSlack        = time.Minute     // a proof lasts longer than its cookie: for requests that have just left, and other clocks
	registerWithin    = 5 * time.Minute // of the invitation
	refreshLate       = 5 * time.Minute // how long after DeviceProof a challenge can still be signed
	maxOtherDevices   = 4               // origins whose device cookies one login deletes
	invitationHeader  = "Secure-Session-Registration"
	deviceTokenLength = 192 // bytes; device cookies and proofs take less
	maxChallengeText  = 256 // characters; ours take about 120
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
	hasPermit, hasKey bool   // a permit for the session's very ID came; a key did
	proven            bool   // and a proof by it that hasn't expired
	label             string // of the ring's key that sealed what counts: key, or else permit
	refused           *RejectError
}

// binding opens the device cookies of a session's origin. What isn't accepted is only missing; why, refused says.
func (m *Manager) binding(s *Session, now time.Time, r *received, id sessionID) (b binding) {
	if r.names[cookiename.Device] == 0 {
		return b
	}
	buf := buffers.Get().(*buffer)
	defer buf.release()
	buf.device = slices.Grow(buf.device[:0], deviceTokenLength)[:deviceTokenLength]
	var found candidates
	b.refused = m.device.open(s.request.Context(), now, r, id.origin(), buf.device[:0], &found)
	var keys [maxCandidates]struct {
		device
		label string
	}
	n := 0
	for _, token := range found.all() {
		var d device
		switch {
		case !decodeDevice(token.payload, &d) || d.id.origin() != id.origin():
		case d.isPermit():
			if !b.hasPermit && d.permits(id) {
				b.permit, b.hasPermit, b.label = d, true, token.label
			}
		default:
			keys[n].device, keys[n].label = d, token.label
			n++
		}
	}
	for i := range keys[:n] {
		key := &keys[i]
		if i == 0 {
			b.key, b.hasKey, b.label = key.device, true, key.label
		}
		if m.hasProof(s, now, r, &key.device, buf.device[:0]) {
			b.key, b.proven, b.label = key.device, true, key.label
			break
		}
	}
	return b
}

// hasProof reports whether a proof came by a device's key that hasn't expired.
func (m *Manager) hasProof(s *Session, now time.Time, r *received, d *device, storage []byte) bool {
	if r.names[cookiename.Proof] == 0 {
		return false
	}
	want := proof{origin: d.id.origin(), key: hashKey(&d.key)}
	var found candidates
	m.proof.open(s.request.Context(), now, r, want.origin, storage, &found)
	for _, token := range found.all() {
		var p proof
		if decodeProof(token.payload, &p) && p.origin == want.origin && p.key == want.key && now.Unix() < p.expires {
			return true
		}
	}
	return false
}

// hasDevice reports whether a device-aware session came with what it needs, and notes what that is. A request that is
// about to prove the device needs nothing yet.
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
	var before sessionData // the session that came, if this is still it
	var came binding
	if !s.isNew() {
		before = *st.received()
	}
	if before.bound {
		r := receive(s.cookies, m.name, nil)
		came = m.binding(s, now, &r, before.id)
	}
	keyInForce := came.hasKey && (came.proven || !on || !came.hasPermit)
	var d device
	switch {
	case keyInForce:
		d = came.key
	case s.regenerated && came.hasPermit:
		d = device{id: st.data.id, created: now.Unix(), previous: before.id}
	case s.regenerated && on:
		d = device{id: st.data.id, created: now.Unix()}
	case came.hasPermit:
		d = came.permit
	default:
		return "", nil
	}
	if s.regenerated || before.expires != st.data.expires || before.mode != st.data.mode || came.label != m.device.sealing(now) {
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
	age := int64(0)
	if decodeChallenge(opened.payload, &c) {
		age = now.Unix() - c.time
	}
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
