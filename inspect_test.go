package cookiesession_test

import (
	"encoding/hex"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

// Inspect tells what session, flash and lease hold, whether a request would accept them or not.
func TestInspect(t *testing.T) {
	now := time.Date(2026, 11, 21, 14, 0, 0, 0, time.UTC)
	m := newManager(t, func(c *cookiesession.Config) { c.IdleTimeout, c.Lifetime = time.Hour, 4*time.Hour })
	m.SetClock(func() time.Time { return now })
	v := newVisitor(t, m)
	var id string
	v.visit(func(s *cookiesession.Session) {
		s.Put("v", random(4000)) // two cookies
		s.Put("n", 1)
		s.Flash("f", "Saved.")
		s.CSRFToken()
		s.Persist(true)
		id = s.ID()
	})
	now = now.Add(30 * time.Minute)
	v.visit(touched) // writes a lease
	now = now.Add(4 * time.Hour)

	found := m.Inspect(v.header())
	if len(found) != 3 {
		t.Fatalf("got %+v, want three", found)
	}
	for i, want := range []struct {
		purpose string
		cookies int
		size    int // 57 bytes beside the payload
	}{{"session", 2, 0}, {"flash", 1, 0}, {"lease", 1, 57 + 1 + 18 + 5}} {
		is := found[i]
		if is.Purpose != want.purpose || is.Cookies != want.cookies || is.Reason != 0 || is.KeyLabel != "test" || want.size != 0 && is.Size != want.size {
			t.Errorf("got %+v, want %+v that opens with key test", is, want)
		}
		token := tokenOf(t, v, is.Purpose)
		if is.KeyID != hex.EncodeToString(token[1:17]) || is.Nonce != hex.EncodeToString(token[17:41]) {
			t.Errorf("%s: got key ID %s and nonce %s, want those of %x", is.Purpose, is.KeyID, is.Nonce, token[:41])
		}
	}
	session, flash, lease := found[0], found[1], found[2]
	start := now.Add(-4*time.Hour - 30*time.Minute)
	if session.ID != id || !session.Created.Equal(start) || !session.Sealed.Equal(start) || !session.Expires.Equal(start.Add(4*time.Hour)) {
		t.Errorf("got session %s of %v, %v, %v; want %s of %v", session.ID, session.Created, session.Sealed, session.Expires, id, start)
	}
	if session.Mode != "persistent" || !session.HasCSRF || session.DeviceAware || len(session.Values) != 2 || session.Values["n"] != int64(1) {
		t.Errorf("got %+v", session)
	}
	if !maps.Equal(flash.Values, map[string]any{"f": "Saved."}) || !flash.Expires.Equal(start.Add(10*time.Minute)) {
		t.Errorf("got flash messages %v until %v", flash.Values, flash.Expires)
	}
	if lease.ID != id || !lease.Seen.Equal(start.Add(30*time.Minute)) {
		t.Errorf("got a lease of %s at %v", lease.ID, lease.Seen)
	}
	if got := m.Stats().Rejected; len(got) != 0 {
		t.Errorf("counted %v", got)
	}
}

// Inspect says what ends a session beside its expiry.
func TestInspectMode(t *testing.T) {
	for want, do := range map[string]func(*cookiesession.Session){
		"browser":    put("n", 1),
		"persistent": func(s *cookiesession.Session) { s.Put("n", 1); s.Persist(true) },
		"remembered": func(s *cookiesession.Session) { s.Put("n", 1); s.Remember(time.Hour) },
	} {
		v := newVisitor(t, newManager(t, nil))
		v.visit(do)
		if found := v.m.Inspect(v.header()); len(found) != 1 || found[0].Mode != want {
			t.Errorf("got %+v, want mode %s", found, want)
		}
	}
}

// Inspect says why a text doesn't open, and what can be known all the same.
func TestInspectRefusals(t *testing.T) {
	m := newManager(t, nil)
	v, foreign := newVisitor(t, m), newVisitor(t, newManager(t, func(c *cookiesession.Config) {
		c.Keys = newRing(t, cookiesession.GenerateKey("foreign"))
	}))
	v.visit(put("n", 1))
	foreign.visit(put("n", 1))
	large := newVisitor(t, m)
	large.visit(put("v", random(4000)))
	text := v.cookie("")[1:]
	token, _ := textEncoding.DecodeString(text)
	sealed := func(change func(token []byte) []byte) string {
		return cookieName + "=1" + textEncoding.EncodeToString(change([]byte(string(token))))
	}
	for _, test := range []struct {
		name, header string
		reason       cookiesession.Reason
		cookies      int
		keyID, label string // what is known of the key
	}{
		{"good", v.header(), 0, 1, hex.EncodeToString(token[1:17]), "test"},
		{"no number", cookieName + "=x" + text, cookiesession.ReasonMalformed, 0, "", ""},
		{"no text", cookieName + "=1-" + text, cookiesession.ReasonMalformed, 1, "", ""},
		{"too short", sealed(func(b []byte) []byte { return b[:56] }), cookiesession.ReasonMalformed, 1, "", ""},
		{"another version", sealed(func(b []byte) []byte { b[0] = 2; return b }), cookiesession.ReasonMalformed, 1, "", ""},
		{"changed", sealed(func(b []byte) []byte { b[60] ^= 1; return b }), cookiesession.ReasonForged, 1, hex.EncodeToString(token[1:17]), "test"},
		{"shortest, changed", sealed(func(b []byte) []byte { return b[:57] }), cookiesession.ReasonForged, 1, hex.EncodeToString(token[1:17]), "test"},
		{"of an unknown key", foreign.header(), cookiesession.ReasonUnknownKey, 1, hex.EncodeToString(tokenOf(t, foreign, "session")[1:17]), ""},
		{"a part is missing", cookieName + "=" + large.cookie(""), cookiesession.ReasonTorn, 2, "", ""},
	} {
		found := m.Inspect(test.header)
		if len(found) != 1 || found[0].Reason != test.reason || found[0].Cookies != test.cookies || found[0].KeyID != test.keyID || found[0].KeyLabel != test.label {
			t.Errorf("%s: got %+v, want %v, %d cookies, key ID %q, key %q", test.name, found, test.reason, test.cookies, test.keyID, test.label)
		}
		if (test.reason == 0) != (found[0].Values != nil) || found[0].HasCSRF {
			t.Errorf("%s: got values %v, a CSRF secret: %v", test.name, found[0].Values, found[0].HasCSRF)
		}
	}
	for purpose, suffix := range map[string]string{"session": "", "flash": ".flash", "lease": ".lease"} {
		found := m.Inspect(splitToken(cookieName+suffix, sealFor(testKey(), purpose, []byte{0xc0}))[0])
		if len(found) != 1 || found[0].Purpose != purpose || found[0].Reason != cookiesession.ReasonMalformed || found[0].KeyLabel != "test" || found[0].ID != "" || found[0].Values != nil {
			t.Errorf("%s whose payload breaks the format: got %+v", purpose, found)
		}
	}
	if found := m.Inspect(fmt.Sprintf("%s.1=AAAAAAAA; other=%s", cookieName, text)); found != nil {
		t.Errorf("of no first cookie: got %+v", found)
	}
}

// tokenOf returns the token in the cookies of a purpose.
func tokenOf(t *testing.T, v *visitor, purpose string) []byte {
	t.Helper()
	suffix := strings.TrimSuffix("."+purpose, ".session")
	text := v.cookie(suffix)[1:]
	for i := 1; i < int(v.cookie(suffix)[0]-'0'); i++ {
		text += v.cookie(fmt.Sprint(suffix, ".", i))[4:]
	}
	token, err := textEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return token
}
