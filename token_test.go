package cookiesession_test

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

// next-auth CVE-2023-48309: a token that was made for one purpose is accepted for another. Here purpose, scope and
// cookie name each change the key, so a token opens only where it was sealed for.
func TestTokenOpensOnlyWhereItBelongs(t *testing.T) {
	const lifetime = time.Hour
	config := func(change func(*cookiesession.Config)) *cookiesession.Manager {
		return newManager(t, func(c *cookiesession.Config) {
			c.Insecure, c.IdleTimeout, c.Lifetime = true, lifetime, lifetime
			if change != nil {
				change(c)
			}
		})
	}
	named := func(name, scope string) *cookiesession.Manager {
		return config(func(c *cookiesession.Config) { c.Name, c.Scope = name, scope })
	}
	m := named("ab", "c")
	v := newVisitor(t, m)
	v.visit(both("x", "y"))
	session, message := v.cookie(""), v.cookie(".flash")
	lease := strings.TrimPrefix(m.SealPayload("lease", pack(packLease(v.load().ID(), time.Now().Unix()))), "ab.lease=")

	others := map[string]*cookiesession.Manager{
		"another name":  named("ax", "c"),
		"a longer name": named("abc", "c"),
		"another scope": named("ab", "d"),
		"no scope":      named("ab", ""),
		// oauth2-proxy's cookieSignature joins name, value and time without separators, so bytes can move from one to
		// the next. Here the scope comes before the name.
		"a letter moved from name to scope": named("b", "ca"),
		"a letter moved from scope to name": named("cab", ""),
		"another prefix":                    config(func(c *cookiesession.Config) { c.Name, c.Scope, c.Insecure = "ab", "c", false }),
		"another key": config(func(c *cookiesession.Config) {
			c.Name, c.Scope = "ab", "c"
			key := cookiesession.GenerateKey("test")
			if err := c.Keys.Replace(key); err != nil {
				t.Fatal(err)
			}
		}),
	}
	for name, other := range others {
		if got := rejected(other, other.CookieName()+"="+session); got != "unknown-key" {
			t.Errorf("%s: the session gives %q, want unknown-key", name, got)
		}
		if got := load(other, other.CookieName()+".flash="+message).Flashed("f"); got != nil {
			t.Errorf("%s: the flash message opens", name)
		}
	}
	for from, text := range map[string]string{"flash": message, "lease": lease} {
		if got := rejected(m, "ab="+text); got != "unknown-key" {
			t.Errorf("the %s as session gives %q, want unknown-key", from, got)
		}
	}
	for from, text := range map[string]string{"session": session, "lease": lease} {
		before := m.Stats().Rejected["unknown-key"]
		if got := load(m, "ab.flash="+text).Flashes(); len(got) > 0 || m.Stats().Rejected["unknown-key"] != before+1 {
			t.Errorf("the %s as flash holds %v and counts %d, want nothing and 1", from, got, m.Stats().Rejected["unknown-key"]-before)
		}
	}
	for from, text := range map[string]string{"session": session, "flash": message} {
		before := m.Stats().Rejected["unknown-key"]
		if load(m, "ab="+session+"; ab.lease="+text).IsNew() || m.Stats().Rejected["unknown-key"] != before+1 {
			t.Errorf("the %s as lease ends the session, or isn't counted", from)
		}
	}
}

// rack-session CVE-2026-39324: after a failed decryption the cookie is decoded as if it weren't encrypted. There is no
// such way here: what isn't sealed is refused, whatever it looks like.
func TestNothingUnsealedOpens(t *testing.T) {
	m := newManager(t, nil)
	now := time.Now().Unix()
	plain := pack(packArray(7), packID(1), packTimes(now, now, now+1000), 0, packBytes(nil), packMap("user", "root", "with", "room"))
	v := newVisitor(t, m)
	v.visit(put("user", "ada"))
	token, err := textEncoding.DecodeString(v.cookie("")[1:])
	if err != nil {
		t.Fatal(err)
	}
	changed := func(change func(token []byte) []byte) []byte { return change(slices.Clone(token)) }
	tests := []struct {
		name  string
		token []byte
		want  string
	}{
		{"the token itself", token, ""},
		{"a plain payload", plain, "malformed"},
		{"a plain payload behind a version", append([]byte{1}, plain...), "unknown-key"},
		{"a plain payload behind the header", append(token[:41:41], plain...), "forged"},
		{"a plain payload and room for authentication", append(append(token[:41:41], plain...), make([]byte, 16)...), "forged"},
		{"nothing", nil, "malformed"},
		{"a version", token[:1], "malformed"},
		{"a header", token[:41], "malformed"},
		{"a byte less than nothing sealed", token[:56], "malformed"},
		{"nothing sealed", token[:57], "forged"},
		{"without its last byte", token[:len(token)-1], "forged"},
		{"with a byte more", append(token[:len(token):len(token)], 0), "forged"},
		{"zeros", make([]byte, 100), "malformed"},
		{"version 0", changed(func(b []byte) []byte { b[0] = 0; return b }), "malformed"},
		{"version 2", changed(func(b []byte) []byte { b[0] = 2; return b }), "malformed"},
		{"version 255", changed(func(b []byte) []byte { b[0] = 255; return b }), "malformed"},
		{"another key's ID", changed(func(b []byte) []byte { b[1]++; return b }), "unknown-key"},
		{"no key's ID", changed(func(b []byte) []byte { clear(b[1:17]); return b }), "unknown-key"},
		{"another nonce", changed(func(b []byte) []byte { b[17]++; return b }), "forged"},
		{"without a byte of the nonce", changed(func(b []byte) []byte { return append(b[:20], b[21:]...) }), "forged"},
	}
	for _, test := range tests {
		if got := rejected(m, cookieName+"=1"+textEncoding.EncodeToString(test.token)); got != test.want {
			t.Errorf("%s: rejected as %q, want %q", test.name, got, test.want)
		}
	}
	for _, text := range []string{"user=root", `{"user":"root"}`, "1" + string(plain), "1user", "1" + base64.StdEncoding.EncodeToString(plain)} {
		if s := load(m, cookieName+"="+text); !s.IsNew() || s.Get("user") != nil {
			t.Errorf("%q opens", text)
		}
	}
}

// Decoders of base64 take several texts for one token: Go's skips CR and LF even when strict, others take padding,
// other alphabets, or bits that are left over at the end. Here each token has one text.
func TestOneTextForEachToken(t *testing.T) {
	m := newManager(t, nil)
	for length := range 3 {
		v := newVisitor(t, m)
		v.visit(put("v", strings.Repeat("v", 1000+length)))
		text := v.cookie("")
		token, err := textEncoding.DecodeString(text[1:])
		if err != nil || rejected(m, v.header()) != "" {
			t.Fatalf("%v, rejected as %q", err, rejected(m, v.header()))
		}
		others := map[string]string{
			"padded":           textEncoding.WithPadding('=').EncodeToString(token) + "=",
			"in base64url":     base64.RawURLEncoding.EncodeToString(token),
			"in base64":        base64.RawStdEncoding.EncodeToString(token),
			"CR and LF":        text[1:40] + "\r\n" + text[40:],
			"a space":          text[1:40] + " " + text[40:],
			"a NUL":            text[1:] + "\x00",
			"percent-encoded":  "%41" + text[2:],
			"a zero byte more": textEncoding.EncodeToString(append(token, 0)),
			"an A more":        text[1:] + "A",
		}
		if len(token)%3 != 0 {
			const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._"
			last := strings.IndexByte(alphabet, text[len(text)-1])
			others["a bit left over"] = text[1:len(text)-1] + alphabet[last+1:last+2]
		}
		for name, other := range others {
			if got := rejected(m, cookieName+"=1"+other); got != "malformed" && got != "forged" {
				t.Errorf("%s, %d bytes over: rejected as %q", name, len(token)%3, got)
			}
		}
	}
}

// The same values are sealed anew each time: nobody can see that a session holds what another holds, or holds it again.
func TestEverySealDiffers(t *testing.T) {
	m := newManager(t, nil)
	seen := map[string]bool{}
	s := load(m)
	s.Put("v", 1)
	for range 100 {
		h := http.Header{}
		if err := m.Save(h, s); err != nil {
			t.Fatal(err)
		}
		line := h["Set-Cookie"][0]
		if nonce := line[len(cookieName+"=1")+24:][:32]; seen[nonce] {
			t.Fatal("a nonce comes twice")
		} else {
			seen[nonce] = true
		}
	}
}

// TestBuffersHoldNoPlaintext looks into what the next Save of another visitor's session gets.
func TestBuffersHoldNoPlaintext(t *testing.T) {
	const secret = "attack at dawn"
	for name, test := range map[string]struct {
		change func(m *web, s *cookiesession.Session)
		fails  bool
	}{
		"saved":             {func(_ *web, s *cookiesession.Session) { s.Put("k", secret) }, false},
		"flashed":           {func(_ *web, s *cookiesession.Session) { s.Flash("k", secret) }, false},
		"both":              {func(_ *web, s *cookiesession.Session) { s.Put("k", secret); s.Flash("k", secret) }, false},
		"too large":         {func(_ *web, s *cookiesession.Session) { s.Put("k", secret); s.Put("l", tooLarge) }, true},
		"huge":              {func(_ *web, s *cookiesession.Session) { s.Put("k", strings.Repeat(secret, 10_000)) }, true},
		"flash too large":   {func(_ *web, s *cookiesession.Session) { s.Put("k", secret); s.Flash("k", secret+tooLarge) }, true},
		"Destroy, then too": {func(_ *web, s *cookiesession.Session) { s.Destroy(); s.Put("k", secret+tooLarge) }, true},
		"no active key":     {func(m *web, s *cookiesession.Session) { s.Put("k", secret); s.Flash("k", secret); retireAll(m) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			contents, restore := cookiesession.TrackBuffers()
			defer restore()
			m := newWeb(t, nil)
			s := load(m.Manager)
			test.change(m, s)
			if err := m.Save(http.Header{}, s); (err != nil) != test.fails {
				t.Errorf("got error %v", err)
			}
			kept := 0
			for _, b := range contents() {
				kept += len(b)
				if bytes.Contains(b, []byte(secret[:8])) || bytes.Contains(b, []byte(tooLarge[:8])) {
					t.Error("got plaintext in a buffer")
				}
			}
			if kept == 0 {
				t.Error("got no buffer to look into")
			}
		})
	}
}

// TestDerivingAtOnce has two goroutines come to derive the same new keys: one does, and both have them. Keys that are
// replaced while they wait are those that count.
func TestDerivingAtOnce(t *testing.T) {
	now := time.Now()
	ring := newRing(t, playKey(0))
	node := cookiesession.NewTestSealer(ring)
	if err := ring.Replace(playKey(1)); err != nil {
		t.Fatal(err)
	}
	release := node.HoldDeriving()
	tokens := make(chan []byte, 2)
	for range cap(tokens) {
		go func() {
			token, err := node.Seal(now, "payload")
			if err != nil {
				t.Error(err)
			}
			tokens <- token
		}()
	}
	for deadline := time.Now().Add(time.Minute); waitingToDerive() < cap(tokens); runtime.Gosched() {
		if time.Now().After(deadline) {
			release()
			t.Fatal("nobody waits for the lock, or stacks don't say so any more")
		}
	}
	if err := ring.Replace(playKey(2)); err != nil {
		t.Fatal(err)
	}
	release()
	newest := cookiesession.NewTestSealer(newRing(t, playKey(2)))
	for range cap(tokens) {
		if _, _, refused := newest.Open(now, <-tokens); refused != nil {
			t.Errorf("sealed with a key that had been replaced: %v", refused)
		}
	}
}

// waitingToDerive returns how many goroutines wait for the lock under which keys are derived.
func waitingToDerive() int {
	return goroutines("[sync.Mutex.Lock", "(*sealer).current")
}
