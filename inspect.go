package cookiesession

import (
	"context"
	"encoding/hex"
	"time"

	"github.com/seed-50e21e88/cookiesession/internal/cookiename"
)

// An Inspection describes the cookies that hold one text. It is for support and debugging, not for decisions: the
// content was sealed, but may have expired, been ended or been revoked since. Times are local, to the second. Fields
// that don't apply to the purpose, or can't be known without the key, are zero.
type Inspection struct {
	Purpose  string // session, flash, lease, device or proof
	Cookies  int    // how many hold the text, according to the first
	Reason   Reason // why it doesn't open: malformed, torn, unknown-key or forged; 0 if it does
	KeyID    string // of the key that the token names, 32 hexadecimal digits; depends on key, purpose, Scope and Name
	KeyLabel string // if the ring knows that key
	Nonce    string // 48 hexadecimal digits, drawn anew for each token
	Size     int    // bytes of the token

	ID                             string // 32 hexadecimal digits
	Created, Sealed, Expires, Seen time.Time
	Mode                           string // browser, persistent or remembered: what ends the session beside Expires
	HasCSRF                        bool
	Values                         map[string]any // the visitor's; maybe personal data

	// For device-bound sessions; experimental, as Config.DeviceProof is. The ID of a device cookie is the session's ID
	// when the cookie was written; that of a proof is the first half of the session's ID.
	DeviceAware bool   // a session that needs a device cookie
	DeviceKey   string // of a device cookie and a proof: 32 hexadecimal digits of the key's hash; "" in a permit
	PreviousID  string // of a permit: another session ID that it is valid for
}

// Inspect describes the session, flash, lease, device and proof cookies in a Cookie header, valid or not. Of Stats it
// changes only the counters of keys.
func (m *Manager) Inspect(header string) (found []Inspection) {
	r := receive(header, m.name, nil)
	for _, c := range []*compartment{m.session, m.flash, m.lease, m.device, m.proof} {
		for _, first := range r.cookies {
			if first.kind == c.kind && first.part == 0 {
				for which, choices := 0, 1; which < min(choices, maxCandidates); which++ {
					var is Inspection
					is, choices = m.inspect(c, &r, first.value, which)
					found = append(found, is)
				}
			}
		}
	}
	return found
}

// inspect describes the cookies that hold the text which begins with first. which and choices are as in received.token.
func (m *Manager) inspect(c *compartment, r *received, first string, which int) (is Inspection, choices int) {
	is = Inspection{Purpose: c.purpose, Cookies: chunksOf(first)}
	token, choices, reason := r.token(c.kind, first, which, nil)
	if is.Reason = reason; reason != 0 {
		return is, choices
	}
	if is.Reason = ReasonMalformed; len(token) < overhead || token[0] != version {
		return is, choices
	}
	is.Size = len(token)
	is.KeyID, is.Nonce = hex.EncodeToString(token[1:headerLen]), hex.EncodeToString(token[headerLen:payloadStart])
	opened, refused := c.openToken(context.Background(), m.now(), token)
	if refused != nil {
		is.Reason, is.KeyLabel = refused.Reason, refused.KeyLabel
		return is, choices
	}
	is.KeyLabel = opened.key.Label
	if is.decode(c.kind, &opened) {
		is.Reason = 0
	}
	return is, choices
}

// decode fills in what a token of a kind held. It returns false for a payload that breaks the format.
func (is *Inspection) decode(kind cookiename.Kind, o *opened) (ok bool) {
	var v values
	switch kind {
	case cookiename.Session:
		var d sessionData
		if ok = decodeSession(o.payload, &d, &v); ok {
			is.ID = hex.EncodeToString(d.id[:])
			is.Created, is.Sealed, is.Expires = time.Unix(d.created, 0), time.Unix(d.sealed, 0), time.Unix(d.expires, 0)
			is.Mode = d.mode.String()
			is.HasCSRF = d.csrf != csrfSecret{}
			is.DeviceAware = o.key.purpose == purposeBound
			is.Values = decodeAll(&v)
		}
	case cookiename.Flash:
		var expires int64
		if expires, ok = decodeFlash(o.payload, &v); ok {
			is.Expires, is.Values = time.Unix(expires, 0), decodeAll(&v)
		}
	case cookiename.Lease:
		var id sessionID
		var seen int64
		if id, seen, ok = decodeLease(o.payload); ok {
			is.ID, is.Seen = hex.EncodeToString(id[:]), time.Unix(seen, 0)
		}
	case cookiename.Device:
		var d device
		if ok = decodeDevice(o.payload, &d); ok {
			is.ID, is.Created = hex.EncodeToString(d.id[:]), time.Unix(d.created, 0)
			if !d.isPermit() {
				hash := hashKey(&d.key)
				is.DeviceKey = hex.EncodeToString(hash[:])
			}
			if d.previous != (sessionID{}) {
				is.PreviousID = hex.EncodeToString(d.previous[:])
			}
		}
	case cookiename.Proof:
		var p proof
		if ok = decodeProof(o.payload, &p); ok {
			is.ID, is.Expires = hex.EncodeToString(p.origin[:]), time.Unix(p.expires, 0)
			is.DeviceKey = hex.EncodeToString(p.key[:])
		}
	}
	return ok
}
