package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/seed-50e21e88/cookiesession"
	"github.com/seed-50e21e88/cookiesession/internal/cookiename"
	"github.com/seed-50e21e88/cookiesession/internal/keyfile"
)

// A session is what the cookies of one name come to.
type session struct {
	From         string         `json:"from"` // Cookie or Set-Cookie
	Name         string         `json:"name"` // as sent
	Compartments []*compartment `json:"compartments"`
	Ended        []ended        `json:"ended,omitempty"`
}

type compartment struct {
	Purpose string   `json:"purpose"` // session, flash, lease, device or proof
	Cookies []part   `json:"cookies"`
	Texts   []text   `json:"texts"`
	Opened  []opened `json:"opened,omitempty"`
	Verdict string   `json:"verdict,omitempty"` // with keys: accepted, or the reason of the RejectError
	Key     string   `json:"refused_key,omitempty"`
	Reason  string   `json:"explanation,omitempty"`
}

type part struct {
	Name       string `json:"name"`
	Bytes      int    `json:"bytes"` // of name and value
	Line       int    `json:"line,omitempty"`
	Attributes string `json:"attributes,omitempty"`
	Deleted    bool   `json:"deleted,omitempty"`
	Stale      bool   `json:"stale,omitempty"` // beyond the number that cookie 0 tells

	number int // 0 for the first
}

type text struct {
	State   string `json:"state"`   // whole, torn or malformed
	Cookies int    `json:"cookies"` // that it says it has
	Version int    `json:"version,omitempty"`
	KeyID   string `json:"key_id,omitempty"`
	Bytes   int    `json:"token_bytes,omitempty"`
}

type opened struct {
	Key       string    `json:"key"`
	Malformed bool      `json:"malformed,omitempty"`
	ID        string    `json:"id,omitempty"`
	Created   time.Time `json:"created,omitzero"`
	Sealed    time.Time `json:"sealed,omitzero"`
	Seen      time.Time `json:"seen,omitzero"`
	Expires   time.Time `json:"expires,omitzero"`
	Mode      string    `json:"mode,omitempty"`
	CSRF      bool      `json:"csrf,omitempty"`
	Count     int       `json:"value_count"`

	Aware      bool   `json:"device_aware,omitempty"`
	Permit     bool   `json:"device_permit,omitempty"`
	DeviceKey  string `json:"device_key,omitempty"` // its hash
	PreviousID string `json:"previous_id,omitempty"`

	Values json.RawMessage `json:"values,omitempty"`
}

type ended struct {
	Tag string    `json:"tag"`
	At  time.Time `json:"at,omitzero"`
}

// explanations say what a reason means and what to look at.
var explanations = map[cookiesession.Reason]string{
	cookiesession.ReasonMalformed:  "it is not a text of version 1; something shortened or changed it, or another program set it",
	cookiesession.ReasonUnknownKey: "no key here has this ID, or the key has retired; other keys, another -scope or another cookie name give other IDs",
	cookiesession.ReasonForged:     "the key is known but the contents have been changed",
	cookiesession.ReasonTorn:       "parts are missing or belong to another write; a proxy or the browser dropped some",
	cookiesession.ReasonAmbiguous:  "several cookies of this name came, which hold different sessions or are too many; look for one that another Path, Domain or host set",
	cookiesession.ReasonExpired:    "its lifetime is over",
	cookiesession.ReasonIdle:       "it was not used within -idle",
	cookiesession.ReasonEnded:      "this browser has logged out of it, as the ended marker says",
	cookiesession.ReasonRevoked:    "it was created before the key file's not_before",
	cookiesession.ReasonFuture:     "it was created or sealed over a minute after the time of this machine; compare clocks",
	cookiesession.ReasonUnproven:   "it needs a permit for its ID, or a device's key and a proof by it that has not expired; cookies that were copied look like this",
}

func (s *session) print(w io.Writer, now time.Time) {
	fmt.Fprintf(w, "%s: %s\n", visible(s.From), visible(s.Name))
	for _, c := range s.Compartments {
		c.print(w, now)
	}
	for _, e := range s.Ended {
		fmt.Fprintf(w, "  ended marker of sessions whose ID begins with %s%s\n", idPrefix(e.Tag), since(", set", e.At, now))
	}
}

// idPrefix returns what the IDs begin with that a marker ends.
func idPrefix(tag string) string {
	origin, ok := cookiename.ParseTag(tag)
	if !ok {
		return "?"
	}
	return hex.EncodeToString(origin[:])
}

func (c *compartment) print(w io.Writer, now time.Time) {
	total := 0
	for _, part := range c.Cookies {
		total += part.Bytes + len("=; ")
	}
	fmt.Fprintf(w, "  %s: %s", c.Purpose, count(len(c.Cookies), "cookie"))
	if c.Cookies[0].Line == 0 {
		fmt.Fprintf(w, ", %d bytes of the Cookie header", total)
	}
	fmt.Fprintln(w)
	for _, part := range c.Cookies {
		fmt.Fprintf(w, "    %s  %d bytes", visible(part.Name), part.Bytes)
		if part.Line > 0 {
			fmt.Fprintf(w, ", line of %d; %s", part.Line, visible(part.Attributes))
		}
		if part.Deleted {
			fmt.Fprint(w, " (deletes it)")
		}
		if part.Stale {
			fmt.Fprint(w, " (stale: of an earlier, longer write)")
		}
		fmt.Fprintln(w)
	}
	for _, t := range c.Texts {
		switch t.State {
		case "whole":
			fmt.Fprintf(w, "    whole, in %s: version %d, key ID %s, token of %d bytes\n", count(t.Cookies, "cookie"), t.Version, t.KeyID, t.Bytes)
		case "torn":
			fmt.Fprintf(w, "    torn: it says that it has %s, but parts are missing or belong to another write\n", count(t.Cookies, "cookie"))
		default:
			fmt.Fprintf(w, "    malformed: not a text of version 1\n")
		}
	}
	for _, o := range c.Opened {
		o.print(w, now)
	}
	switch c.Verdict {
	case "":
	case "accepted":
		fmt.Fprintln(w, "    accepted")
	case "ignored":
		fmt.Fprintf(w, "    ignored: %s\n", c.Reason)
	default:
		fmt.Fprintf(w, "    refused: %s", c.Verdict)
		if c.Key != "" {
			fmt.Fprintf(w, " (key %s)", c.Key)
		}
		fmt.Fprintf(w, ": %s\n", c.Reason)
	}
}

func (o *opened) print(w io.Writer, now time.Time) {
	fmt.Fprintf(w, "    opens with key %s", o.Key)
	if o.Malformed {
		fmt.Fprintln(w, ", but what is in it breaks the format")
		return
	}
	if o.ID != "" {
		fmt.Fprintf(w, ", ID %s", o.ID)
	}
	if o.Mode != "" {
		fmt.Fprintf(w, ", %s", map[string]string{"browser": "ends with the browser", "persistent": "persistent", "remembered": "remembered"}[o.Mode])
	}
	if o.CSRF {
		fmt.Fprint(w, ", with a CSRF secret")
	}
	if o.Aware {
		fmt.Fprint(w, ", device-aware")
	}
	if o.Permit {
		fmt.Fprint(w, ", a permit: no device is bound")
	}
	if o.PreviousID != "" {
		fmt.Fprintf(w, ", also for ID %s", o.PreviousID)
	}
	if o.DeviceKey != "" {
		fmt.Fprintf(w, ", device key %s", o.DeviceKey)
	}
	fmt.Fprintln(w)
	for _, t := range []struct {
		what string
		at   time.Time
	}{{"created", o.Created}, {"sealed ", o.Sealed}, {"seen   ", o.Seen}, {"expires", o.Expires}} {
		if t.at.Unix() > 0 {
			fmt.Fprintf(w, "      %s\n", since(t.what, t.at, now))
		}
	}
	if o.Values != nil {
		fmt.Fprintf(w, "      values  %s\n", visibleJSON(o.Values))
	} else if o.Seen.Unix() <= 0 && !o.Permit && o.DeviceKey == "" {
		fmt.Fprintf(w, "      %s\n", count(o.Count, "value"))
	}
}

// isOf reports whether a device cookie or a proof is of the session with an ID: Regenerate keeps the first half.
func (o *opened) isOf(id string) bool {
	return len(id) >= originDigits && len(o.ID) >= originDigits && o.ID[:originDigits] == id[:originDigits]
}

const originDigits = 16

// since writes a time and how far away it is.
func since(what string, t, now time.Time) string {
	if t.IsZero() {
		return ""
	}
	if ago := now.Sub(t).Round(time.Second); ago >= 0 {
		return fmt.Sprintf("%s %s, %s ago", what, keyfile.Time(t), ago)
	}
	return fmt.Sprintf("%s %s, in %s", what, keyfile.Time(t), t.Sub(now).Round(time.Second))
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// visible returns text with what a terminal would act on or hide escaped as in Go: control characters, those that turn
// the direction of writing, and bytes that aren't UTF-8. What comes from visitors goes through it.
func visible(text string) string {
	if utf8.ValidString(text) && !strings.ContainsFunc(text, hidden) {
		return text
	}
	quoted := strconv.Quote(text)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}

// visibleJSON does the same to JSON, in which such characters are in strings only. Package json has escaped some.
func visibleJSON(text []byte) []byte {
	var out []byte
	for _, r := range string(text) {
		switch {
		case !hidden(r) || r == '\n': // between members
			out = utf8.AppendRune(out, r)
		case r < 0x10000:
			out = fmt.Appendf(out, `\u%04x`, r)
		default:
			high, low := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		}
	}
	return out
}

func hidden(r rune) bool { return !unicode.IsPrint(r) }
