package cookiesession

import (
	"context"
	"strings"
	"time"
)

// A compartment is one sealed payload with a cookie name and a purpose of its own. All are read and written here:
// join and open on the way in, seal and split on the way out.
type compartment struct {
	*sealer
	splitter
	infix      string // what the name has behind the session cookie's
	attributes *attributes
}

// The purposes, which go into the derivation of keys (FORMAT.md, 3).
const (
	purposeSession = "session"
	purposeFlash   = "flash"
	purposeLease   = "lease"
)

// What the names of a compartment's cookies have behind the session cookie's name.
const (
	sessionInfix = ""
	flashInfix   = ".flash"
	leaseInfix   = ".lease"
)

func (m *Manager) newCompartment(purpose, infix string) *compartment {
	c := &m.config
	return &compartment{
		sealer:     newSealer(c.Keys, purpose, c.Scope, m.name, &m.counters.keys),
		splitter:   newSplitter(m.name+infix, m.attributes.room()),
		infix:      infix,
		attributes: &m.attributes,
	}
}

// collect finds the compartment's cookies in the lines of a Cookie header.
func (c *compartment) collect(came *chunkSet, lines []string) {
	came.collect(lines, strings.TrimSuffix(c.name, c.infix), c.infix)
}

// openEach hands what opens to accept, which returns 0 or the reason to refuse it after all. The result is nil if
// accept took something, or nothing came; otherwise it says why the first candidate was refused, or that there were
// too many.
func (c *compartment) openEach(now time.Time, came *chunkSet, accept func(opened) Reason) *RejectError {
	if came.tooMany && !came.fewWillDo {
		return c.reject(ReasonAmbiguous)
	}
	var refused *RejectError
	tried, accepted := 0, false
	refuse := func(err *RejectError) {
		if refused == nil {
			refused = err
		}
	}
candidates:
	for _, head := range came.heads[:came.nHeads] {
		for which, choices := 0, 1; which < choices; which++ {
			if tried++; tried > maxCandidates {
				if came.fewWillDo {
					break candidates
				}
				return c.reject(ReasonAmbiguous)
			}
			var token []byte
			var reason Reason
			if token, choices, reason = came.token(head, which); reason != 0 {
				refuse(c.reject(reason))
				continue
			}
			got, err := c.openToken(context.Background(), now, token)
			if err != nil {
				err.Cookie = c.name
				refuse(err)
				continue
			}
			if reason := accept(got); reason != 0 {
				refuse(&RejectError{Reason: reason, Cookie: c.name, KeyLabel: got.label})
				continue
			}
			accepted = true
		}
	}
	if accepted {
		return nil
	}
	return refused
}

func (c *compartment) reject(reason Reason) *RejectError {
	return &RejectError{Reason: reason, Cookie: c.name}
}

// write seals the payload that buf holds behind payloadStart bytes of room and appends its Set-Cookie lines, and
// those that delete what came beyond them. maxAge is as in attributes.append.
func (c *compartment) write(w *lineWriter, now time.Time, buf []byte, maxAge int64, came nameSet) error {
	token, err := c.seal(now, buf)
	if err != nil {
		return err
	}
	n, _ := c.count(len(token))
	for i := range n {
		w.buf = c.appendChunk(w.buf, token, i, n)
		w.buf = c.attributes.append(w.buf, maxAge)
		w.endLine()
	}
	c.delete(w, came>>n<<n)
	return nil
}

// delete appends lines that delete the named cookies.
func (c *compartment) delete(w *lineWriter, names nameSet) {
	for i := range maxChunks {
		if names.has(i) {
			w.buf = appendName(w.buf, c.name, i)
			w.buf = append(w.buf, '=')
			w.buf = c.attributes.append(w.buf, deleteCookie)
			w.endLine()
		}
	}
}
