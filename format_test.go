package cookiesession_test

import (
	"bytes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/chacha20"
	"golang.org/x/crypto/chacha20poly1305"

	"github.com/seed-50e21e88/cookiesession"
)

// What follows up to the tests is the format once more, written from FORMAT.md without the library's code, so that the
// two can be held against each other.

// textEncoding is the one of tokens and tags (FORMAT.md, 1). Unlike the library's it ignores line breaks.
var textEncoding = base64.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._").
	WithPadding(base64.NoPadding).Strict()

// lp is the derivation's length prefix (FORMAT.md, 3).
func lp(s string) string { return string(binary.BigEndian.AppendUint16(nil, uint16(len(s)))) + s }

type derivation struct{ prk, info, okm, key, id []byte }

func derive(secret []byte, purpose, scope, name string) (d derivation) {
	var err error
	if d.prk, err = hkdf.Extract(sha256.New, secret, []byte("cookiesession/v1")); err != nil {
		panic(err)
	}
	d.info = []byte(lp(purpose) + lp(scope) + lp(name))
	if d.okm, err = hkdf.Expand(sha256.New, d.prk, string(d.info), 48); err != nil {
		panic(err)
	}
	d.key, d.id = d.okm[:32], d.okm[32:]
	return d
}

// subkey is the key that the nonce makes of d's (FORMAT.md, 4).
func (d *derivation) subkey(nonce []byte) []byte {
	subkey, err := chacha20.HChaCha20(d.key, nonce[:16])
	if err != nil {
		panic(err)
	}
	return subkey
}

func (d *derivation) aead(nonce []byte) (aead cipher.AEAD, inner []byte) {
	aead, err := chacha20poly1305.New(d.subkey(nonce))
	if err != nil {
		panic(err)
	}
	return aead, append(make([]byte, 4), nonce[16:]...)
}

func (d *derivation) seal(nonce, payload []byte) (token []byte) {
	header := append([]byte{1}, d.id...)
	aead, inner := d.aead(nonce)
	return append(append(bytes.Clone(header), nonce...), aead.Seal(nil, inner, payload, header)...)
}

// open returns false unless d sealed the token.
func (d *derivation) open(token []byte) (payload []byte, ok bool) {
	if len(token) < 57 || token[0] != 1 || !bytes.Equal(token[1:17], d.id) {
		return nil, false
	}
	aead, inner := d.aead(token[17:41])
	payload, err := aead.Open(nil, inner, token[41:], token[:17])
	return payload, err == nil
}

// splitToken cuts a token's text after the given numbers of characters and returns the cookies (FORMAT.md, 5.1).
func splitToken(base string, token []byte, cuts ...int) (cookies []string) {
	text := textEncoding.EncodeToString(token)
	start := strconv.Itoa(len(cuts) + 1)
	name := base
	for i, length := range append(cuts, len(text)) {
		part := text[:min(length, len(text))]
		text = text[len(part):]
		cookies = append(cookies, name+"="+start+part)
		name = base + "." + strconv.Itoa(i+1)
		start = textEncoding.EncodeToString(token[17:20])
	}
	return cookies
}

// joinCookies is splitToken's reverse for cookies that come in order, without any others.
func joinCookies(cookies []string) (token []byte, err error) {
	text := ""
	for i, cookie := range cookies {
		_, value, _ := strings.Cut(cookie, "=")
		if i == 0 {
			text += value[1:]
		} else {
			text += value[4:]
		}
	}
	return textEncoding.DecodeString(text)
}

// sessionPayload is FORMAT.md, 6.1. values is an encoded map.
type sessionPayload struct {
	id                       []byte
	created, sealed, expires int64
	mode                     byte
	csrf                     []byte
	values                   []byte
}

func (p *sessionPayload) encode() []byte {
	b := append([]byte{0x97}, packBin(p.id)...)
	for _, t := range []int64{p.created, p.sealed, p.expires} {
		b = append(b, packTime(t)...)
	}
	b = append(b, p.mode)
	b = append(b, packBin(p.csrf)...)
	return append(b, p.values...)
}

func packBin(b []byte) []byte { return append([]byte{0xc4, byte(len(b))}, b...) }

// packTime needs a time that takes 32 bits.
func packTime(t int64) []byte { return binary.BigEndian.AppendUint32([]byte{0xce}, uint32(t)) }

// csrfToken returns a token of a CSRF secret (FORMAT.md, 6.6).
func csrfToken(secret []byte) string {
	token := unhex("0f1e2d3c4b5a69788796a5b4c3d2e1f0")
	for i, mask := range token {
		token = append(token, mask^secret[i])
	}
	return textEncoding.EncodeToString(token)
}

// unhex decodes hexadecimal digits, ignoring spaces.
func unhex(digits string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(digits, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

// exampleID and the times are those of FORMAT.md, Appendix A.
var exampleID = unhex("a0a1a2a3a4a5a6a7 a8a9aaabacadaeaf")

const (
	exampleCreated = 1767225600
	exampleSealed  = exampleCreated + 60
	exampleNow     = exampleCreated + 120
	exampleExpires = exampleCreated + 86400
)

// example is the session of Appendix A with other values.
func example(values ...string) *sessionPayload {
	return &sessionPayload{
		id:      exampleID,
		created: exampleCreated,
		sealed:  exampleSealed,
		expires: exampleExpires,
		values:  unhex(strings.Join(values, "")),
	}
}

// readExample returns the fields of Appendix A, without white space and remarks, and the Appendix.
func readExample(t *testing.T) (fields map[string]string, appendix string) {
	t.Helper()
	text, err := os.ReadFile("FORMAT.md")
	if err != nil {
		t.Fatal(err)
	}
	_, appendix, found := strings.Cut(string(text), "\n## Appendix A")
	appendix, _, ended := strings.Cut(appendix, "\n## ")
	if !found || !ended {
		t.Fatal("FORMAT.md has no Appendix A with something after it")
	}
	fields = make(map[string]string)
	name, inside := "", false
	for line := range strings.Lines(appendix) {
		line, _, _ = strings.Cut(line, ";")
		switch line = strings.TrimRight(line, " \n"); {
		case strings.HasPrefix(line, "```"):
			name, inside = "", !inside
		case !inside:
		case strings.HasPrefix(line, "  ") && name != "":
			fields[name] += strings.ReplaceAll(line, " ", "")
		case strings.HasSuffix(line, ":") && fields[strings.TrimSuffix(line, ":")] == "":
			name = strings.TrimSuffix(line, ":")
		default:
			t.Fatalf("Appendix A: line %q not understood", line)
		}
	}
	return fields, appendix
}

func TestFormatExample(t *testing.T) {
	fields, appendix := readExample(t)
	secret, nonce := unhex(fields["secret"]), unhex(fields["nonce"])
	d := derive(secret, "session", "shop", "__Host-session")
	payload := example("82 a475736572 a3416461 a57669657773 09").encode()
	token := d.seal(nonce, payload)
	two := splitToken("__Host-session", token, 28)
	want := map[string]string{
		"secret":        hex.EncodeToString(secret),
		"PRK":           hex.EncodeToString(d.prk),
		"info":          hex.EncodeToString(d.info),
		"OKM":           hex.EncodeToString(d.okm),
		"nonce":         hex.EncodeToString(nonce),
		"HChaCha20":     hex.EncodeToString(d.subkey(nonce)),
		"payload":       hex.EncodeToString(payload),
		"token":         hex.EncodeToString(token),
		"text":          textEncoding.EncodeToString(token),
		"cookie":        splitToken("__Host-session", token)[0],
		"cookie 0 of 2": two[0],
		"cookie 1 of 2": two[1],
	}
	for name, got := range fields {
		if got != want[name] {
			t.Errorf("Appendix A: %s is\n%s, want\n%s", name, got, want[name])
		}
	}
	if len(fields) != len(want) {
		t.Errorf("Appendix A has %d fields, want %d", len(fields), len(want))
	}

	wide, err := chacha20poly1305.NewX(d.key)
	if err != nil {
		t.Fatal(err)
	}
	if got := wide.Seal(nil, nonce, payload, token[:17]); !bytes.Equal(got, token[41:]) {
		t.Errorf("XChaCha20-Poly1305 gives %x, HChaCha20 and ChaCha20-Poly1305 %x", got, token[41:])
	}

	v := vector{
		Keys:  []vectorKey{{Label: "example", Secret: fields["secret"]}},
		Scope: "shop",
		Name:  "__Host-session",
		Now:   exampleNow,
	}
	opens := outcome{
		Session: "opens",
		ID:      hex.EncodeToString(exampleID),
		Created: exampleCreated,
		Expires: exampleExpires,
		Values:  map[string]any{"user": "Ada", "views": 9},
	}
	for name, cookie := range map[string]string{"one cookie": fields["cookie"], "two cookies": two[0] + "; " + two[1]} {
		v.Cookie = []string{cookie}
		if got, want := asJSON(t, v.open(t)), asJSON(t, opens); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}

	t.Run("written", func(t *testing.T) {
		seed := splitToken("__Host-session", d.seal(nonce, example("80").encode()))[0]
		v.Now, v.Cookie = exampleSealed, []string{seed}
		m := v.manager(t, nil)
		m.SetNonce(func(b []byte) { copy(b, nonce) })
		s, err := m.Load(v.request(t))
		if err != nil {
			t.Fatal(err)
		}
		s.Put("views", 9)
		s.Put("user", "Ada")
		if got := cookiesSet(t, m, s); len(got) != 1 || got[0] != fields["cookie"] {
			t.Errorf("got %q, want %q", got, fields["cookie"])
		}
	})

	t.Run("destroyed", func(t *testing.T) {
		const marker = "__Host-session.ended.oKGio6Slpqc=1767225720"
		if !strings.Contains(appendix, "`"+marker+"`") {
			t.Fatalf("Appendix A doesn't mention %s", marker)
		}
		v.Now, v.Cookie = 1767225720, []string{fields["cookie"]}
		m := v.manager(t, nil)
		s, err := m.Load(v.request(t))
		if err != nil {
			t.Fatal(err)
		}
		s.Destroy()
		header := http.Header{}
		if err := m.Save(header, s); err != nil {
			t.Fatal(err)
		}
		for _, line := range header["Set-Cookie"] {
			if strings.HasPrefix(line, marker+";") {
				return
			}
		}
		t.Errorf("got %q, want a line with %s", header["Set-Cookie"], marker)
	})
}

// TestNoTwoMinusSigns is for web application firewalls, which take "--" for an SQL comment and refuse the request. Beyond
// that, nothing that is written behind the configured name leaves the alphabet.
func TestNoTwoMinusSigns(t *testing.T) {
	visitors := 4000
	if testing.Short() {
		visitors = 400
	}
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, func(c *cookiesession.Config) { c.IdleTimeout, c.MaxSize = time.Hour, 32_000 })
		foreign := regexp.MustCompile(`[^A-Za-z0-9._]`)
		checked, written := 0, map[string]int{} // characters, and cookies by what follows the session cookie's name
		check := func(what, name, value string) {
			t.Helper()
			if strings.Contains(name+"="+value, "--") {
				t.Fatalf("%s holds two minus signs: %s=%s", what, name, value)
			}
			if foreign.MatchString(strings.TrimPrefix(name, m.CookieName()) + value) {
				t.Fatalf("%s holds more than the alphabet: %s=%s", what, name, value)
			}
			checked += len(value)
		}
		visit := func(v *visitor, fn func(s *cookiesession.Session)) {
			t.Helper()
			for _, line := range v.visit(fn) {
				pair, _, _ := strings.Cut(line, ";")
				name, value, _ := strings.Cut(pair, "=")
				check("a cookie", name, value)
				kind := strings.TrimPrefix(name, m.CookieName())
				if strings.HasPrefix(kind, ".ended.") {
					kind = ".ended"
				}
				written[kind]++
			}
		}
		sizes := rand.New(rand.NewPCG(1, 2))
		for i := range visitors {
			size := sizes.IntN(100)
			switch i % 20 {
			case 0:
				size = sizes.IntN(20_000)
			case 1, 2, 3, 4:
				size = sizes.IntN(2_000)
			}
			v := newVisitor(t, m)
			visit(v, func(s *cookiesession.Session) {
				s.Put("values", make([]byte, size))
				s.Flash("notice", i)
				check("a CSRF token", "", s.CSRFToken())
			})
			time.Sleep(2 * time.Minute)
			visit(v, touched) // writes a lease
			visit(v, destroy)
		}
		for _, kind := range []string{"", ".1", ".6", ".flash", ".lease", ".ended"} {
			if written[kind] == 0 {
				t.Errorf("no cookie %s was written, only %v", m.CookieName()+kind, written)
			}
		}
		// Base64url has two minus signs at one of 4,096 places.
		if want := 1000 * visitors; checked < want {
			t.Errorf("checked %d characters, want at least %d", checked, want)
		}
	})
}
