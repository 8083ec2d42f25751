package cookiesession

import (
	"context"
	"sync"
	"time"

	"github.com/seed-50e21e88/cookiesession/internal/base64dot"
	"github.com/seed-50e21e88/cookiesession/internal/cookiename"
)

// A compartment is one sealed payload with a cookie name and a purpose of its own. All are read and written here:
// join and open on the way in, seal and split on the way out.
type compartment struct {
	*sealer
	splitter
	kind       cookiename.Kind
	attributes *attributes

	// lenient: cookies that aren't accepted count as missing, so too many are no reason to refuse the others.
	lenient bool
}

// The purposes, which go into the derivation of keys (FORMAT.md, 3).
const (
	purposeSession = "session"
	purposeFlash   = "flash"
	purposeLease   = "lease"

	purposeBound     = "bound" // a device-aware session
	purposeDevice    = "device"
	purposeProof     = "proof"
	purposeChallenge = "challenge"
)

// candidates are the tokens of a compartment that opened, in the order in which their first cookies were received.
type candidates struct {
	tokens [maxCandidates]opened
	n      int
}

func (c *candidates) all() []opened { return c.tokens[:c.n] }

// open joins and opens the received cookies into found, which must be empty. The result says why the first candidate
// doesn't open. If there are too many to try, each of which costs a decryption, its reason is ReasonAmbiguous and found
// stays empty. The first token is decoded into storage if it fits.
func (c *compartment) open(ctx context.Context, now time.Time, r *received, storage []byte, found *candidates) (refused *RejectError) {
	if r.crowded[c.kind] && !c.lenient {
		return c.refusal(ReasonAmbiguous, "")
	}
	tried := 0
	for i := range r.cookies {
		first := &r.cookies[i]
		if first.kind != c.kind || first.part != 0 {
			continue
		}
		for which, choices := 0, 1; which < choices; which++ {
			if tried++; tried > maxCandidates {
				if c.lenient {
					return refused
				}
				found.n = 0
				return c.refusal(ReasonAmbiguous, "")
			}
			var token []byte
			var reason Reason
			token, choices, reason = r.token(c.kind, first.value, which, storage)
			storage = nil
			var err *RejectError
			if reason != 0 {
				err = c.refusal(reason, "")
			} else if found.tokens[found.n], err = c.openToken(ctx, now, token); err == nil {
				found.n++
				continue
			}
			if refused == nil && found.n == 0 {
				err.Cookie = c.name
				refused = err
			}
		}
	}
	return refused
}

// refusal returns why a cookie of the compartment is refused. label is that of its key, if known.
func (c *compartment) refusal(reason Reason, label string) *RejectError {
	return &RejectError{Reason: reason, Cookie: c.name, KeyLabel: label}
}

// write seals the payload, which starts at buf[payloadStart], splits the token and adds its Set-Cookie lines. It also
// adds lines that delete received cookies with higher numbers. maxAge is as in attributes.append.
func (c *compartment) write(l *lines, now time.Time, buf []byte, maxAge int64, received nameSet) error {
	token, err := c.seal(now, buf)
	if err != nil {
		return err
	}
	n, _ := c.count(len(token))
	for i := range n {
		l.buf = c.split(l.buf, token, i, n)
		l.end(c.attributes, maxAge)
	}
	c.delete(l, received>>n<<n)
	return nil
}

// writeFor seals as write does, into the one cookie that a tagged compartment has for an origin.
func (c *compartment) writeFor(l *lines, now time.Time, buf []byte, maxAge int64, of origin) error {
	token, err := c.seal(now, buf)
	if err != nil {
		return err
	}
	l.buf = append(append(c.appendNameFor(l.buf, of), '='), '1')
	l.buf = base64dot.AppendEncode(l.buf, token)
	l.end(c.attributes, maxAge)
	return nil
}

// deleteFor adds a line that deletes the cookie of an origin.
func (c *compartment) deleteFor(l *lines, of origin) {
	l.buf = append(c.appendNameFor(l.buf, of), '=')
	l.end(c.attributes, deleteCookie)
}

func (c *compartment) appendNameFor(dst []byte, of origin) []byte {
	return append(append(append(dst, c.name...), '.'), of.Tag()...)
}

// delete adds lines that delete the named cookies.
func (c *compartment) delete(l *lines, names nameSet) {
	for i := range maxChunks {
		if names.has(i) {
			l.buf = append(c.appendName(l.buf, i), '=')
			l.end(c.attributes, deleteCookie)
		}
	}
}

// A buffer holds what one Save builds. Its plaintext is overwritten by sealing, or cleared before another Save gets it.
type buffer struct {
	session, flash, lease []byte
	device                []byte // device, proof and challenge, one after the other
	lines                 lines
}

var buffers = sync.Pool{New: func() any { return new(buffer) }}

// release clears the buffer and gives it back, unless it has grown large.
func (b *buffer) release() {
	clear(b.session)
	clear(b.flash)
	clear(b.lease)
	clear(b.device)
	const keep = 64 << 10
	if cap(b.session) > keep || cap(b.flash) > keep || cap(b.lines.buf) > keep {
		return
	}
	b.session, b.flash, b.lease, b.device = b.session[:0], b.flash[:0], b.lease[:0], b.device[:0]
	b.lines.reset()
	buffers.Put(b)
}
