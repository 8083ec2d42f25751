package cookiesession

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrNoValue is returned by [Field.Lookup] for a key that the session doesn't hold.
var ErrNoValue = errors.New("cookiesession: no value")

// ErrCommitted is what [Session.Err] returns after a change that was made too late: the response header, and the
// cookies with it, had been sent, or the connection had been hijacked.
var ErrCommitted = errors.New("cookiesession: session changed after the response header was sent")

var errHookPanicked = errors.New("cookiesession: Revoked or Import panicked, so nobody knows whether the visitor has a session")

var errNotHijacked = errors.New("cookiesession: connection not hijacked: the session could not be saved, and an error page answers the request")

// The reasons for which ProtectCSRF refuses a request, as [CSRFError] returns them.
var (
	ErrCSRFOrigin    = errors.New("cookiesession: another origin sent the request")
	ErrCSRFNoSession = errors.New("cookiesession: no session, or one that never had a CSRF token")
	ErrCSRFNoToken   = errors.New("cookiesession: the request brings no CSRF token")
	ErrCSRFToken     = errors.New("cookiesession: the CSRF token is not this session's")
)

// csrfTooLarge is the reason for a *http.MaxBytesError.
const csrfTooLarge = "too-large"

// csrfReasons are the keys of Stats.CSRFRefused: those of csrfErrors, in the same order, and csrfTooLarge.
var (
	csrfErrors  = [...]error{ErrCSRFOrigin, ErrCSRFNoSession, ErrCSRFNoToken, ErrCSRFToken}
	csrfReasons = [len(csrfErrors) + 1]string{"origin", "no-session", "no-token", "token", csrfTooLarge}
)

// csrfReasonOf returns an index of csrfReasons.
func csrfReasonOf(err error) int {
	if i := slices.Index(csrfErrors[:], err); i >= 0 {
		return i
	}
	return len(csrfErrors)
}

// A SizeError says that the session is too large to be saved. The cookies in the browser stay as they were.
type SizeError struct {
	Size  int       // bytes that session and flash would add to the Cookie request header
	Limit int       // Config.MaxSize, or what the cookies of one compartment hold if that is less
	Keys  []KeySize // the largest values, largest first, at most ten
}

// KeySize is what one value takes in a session that is too large.
type KeySize struct {
	Key   string
	Bytes int  // of key and value, encoded
	Flash bool // a flash message
}

// Error names the three largest keys.
func (e *SizeError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "cookiesession: session needs %d bytes of the Cookie header, Config.MaxSize allows %d", e.Size, e.Limit)
	separator := "; largest"
	for _, k := range e.Keys[:min(len(e.Keys), 3)] {
		b.WriteString(separator)
		separator = ","
		fmt.Fprintf(&b, " %.40q (%d)", k.Key, k.Bytes)
		if k.Flash {
			b.WriteString(" in flash")
		}
	}
	return b.String()
}

// A Reason says why a cookie was refused.
type Reason int

// The reasons. Visitors see no difference between them, except in which sessions Destroy and Regenerate mark as ended.
const (
	ReasonMalformed  Reason = iota + 1 // not a token of a known version, or a payload that breaks the format
	ReasonUnknownKey                   // names a key that the ring doesn't hold, or holds as retired
	ReasonForged                       // doesn't authenticate under the key that it names
	ReasonTorn                         // a part is missing, or parts of two writes are mixed
	ReasonAmbiguous                    // several cookies of one name: different valid sessions, or too many to try
	ReasonExpired                      // its lifetime is over
	ReasonIdle                         // not seen within IdleTimeout
	ReasonEnded                        // destroyed in this browser
	ReasonRevoked                      // by Config.Revoked, or created before the ring's not-before; with Err, Revoked failed
	ReasonFuture                       // created or sealed more than a minute ahead of this server's clock
	ReasonUnproven                     // device-aware, and without a permit or a fresh proof of its device; see Config.DeviceProof
)

var reasonNames = [...]string{"", "malformed", "unknown-key", "forged", "torn", "ambiguous", "expired", "idle", "ended", "revoked", "future", "unproven"}

// String returns the reason in one word, as in the keys of Stats.Rejected.
func (r Reason) String() string {
	if r < ReasonMalformed || r > ReasonUnproven {
		return fmt.Sprintf("Reason(%d)", int(r))
	}
	return reasonNames[r]
}

// mayPass reports whether what is refused now may be accepted later, or by another server.
func (r Reason) mayPass() bool {
	switch r {
	case ReasonUnknownKey, ReasonFuture, ReasonAmbiguous, ReasonTorn:
		return true
	}
	return false
}

// MarshalText returns String.
func (r Reason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// A RejectError says why a received cookie was refused. It never holds the cookie's contents.
type RejectError struct {
	Reason   Reason
	Cookie   string // name, as sent
	KeyLabel string // of the key that the cookie names, if the ring knows it
	Err      error  // what Config.Revoked or re-reading the key file failed with; else nil
}

// Error names the cookie, the reason and the key's label.
func (e *RejectError) Error() string {
	text := "cookiesession: cookie " + e.Cookie + " refused: " + e.Reason.String()
	if e.KeyLabel != "" {
		text += " (key " + e.KeyLabel + ")"
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns Err.
func (e *RejectError) Unwrap() error { return e.Err }

// unprefixed is an error whose text goes into a sentence that has the prefix already.
type unprefixed struct{ error }

func (e unprefixed) Error() string { return strings.TrimPrefix(e.error.Error(), "cookiesession: ") }
func (e unprefixed) Unwrap() error { return e.error }
