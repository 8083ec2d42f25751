package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A bound is what a browser keeps of a session that it has bound.
type bound struct {
	key                             *ecdsa.PrivateKey
	endpoint, identifier, challenge string
}

var (
	invitation = regexp.MustCompile(`^\(ES256\);path="([^"]+)";challenge="([^"]+)"$`)
	challenge  = regexp.MustCompile(`^"([^"]+)";id="([^"]+)"$`)
)

// register does what the browser was invited to last.
func (v *visitor) register() *bound {
	v.t.Helper()
	if len(v.invited) == 0 {
		v.t.Fatal("the browser wasn't invited to register a key")
	}
	m := invitation.FindStringSubmatch(v.invited[len(v.invited)-1])
	if m == nil {
		v.t.Fatalf("invited with %q", v.invited)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		v.t.Fatal(err)
	}
	b := &bound{key: key, endpoint: m[1], challenge: m[2]}
	v.prove(b)
	return b
}

// prove registers b's key, or, once that has been done, renews the proof.
func (v *visitor) prove(b *bound) {
	v.t.Helper()
	r := v.request(http.MethodPost, b.endpoint, nil)
	if b.identifier != "" {
		r.Header.Set("Sec-Secure-Session-Id", b.identifier)
	}
	r.Header.Set("Secure-Session-Response", b.sign(v.t))
	resp := v.do(r)
	m := challenge.FindStringSubmatch(resp.Header.Get("Secure-Session-Challenge"))
	if resp.StatusCode != http.StatusOK || m == nil {
		v.t.Fatalf("the device's endpoint: status %d, challenge %q", resp.StatusCode, resp.Header.Get("Secure-Session-Challenge"))
	}
	b.challenge, b.identifier = m[1], m[2]
}

// sign returns a proof: a JWT over the challenge, with the public key if that isn't registered yet.
func (b *bound) sign(t *testing.T) string {
	t.Helper()
	encode := base64.RawURLEncoding.EncodeToString
	header := map[string]any{"alg": "ES256", "typ": "dbsc+jwt"}
	if b.identifier == "" {
		point, err := b.key.PublicKey.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		header["jwk"] = map[string]string{"kty": "EC", "crv": "P-256", "x": encode(point[1:33]), "y": encode(point[33:])}
	}
	var parts []string
	for _, part := range []any{header, map[string]string{"jti": b.challenge}} {
		text, err := json.Marshal(part)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, encode(text))
	}
	signed := strings.Join(parts, ".")
	hash := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, b.key, hash[:])
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + encode(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
}

// fingerprint returns what the page must show of the key: half the hash of its compressed point.
func (b *bound) fingerprint(t *testing.T) string {
	t.Helper()
	point, err := b.key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(append([]byte{2 + point[64]&1}, point[1:33]...))
	return hex.EncodeToString(sum[:16])
}

// look returns the card as the page's script gets it, and after how many seconds it asks again.
func (v *visitor) look() (card *element, again string) {
	v.t.Helper()
	resp := v.do(v.request(http.MethodGet, "/device", nil))
	if resp.StatusCode != http.StatusOK || len(resp.Cookies()) > 0 {
		v.t.Fatalf("/device: status %d, %d cookies; want 200 and none", resp.StatusCode, len(resp.Cookies()))
	}
	card = parse(v.t, resp.Body).byID("device-now")
	return card, card.attr["data-again"]
}

// wantCard checks what the page says of the device, and what its script would get.
func (v *visitor) wantCard(state, again string) {
	v.t.Helper()
	v.open("/")
	now, asks := v.look()
	for name, card := range map[string]*element{"page": v.page.byID("device-now"), "script": now} {
		if got := card.byID("device-state").text(); !strings.HasPrefix(got, state) {
			v.t.Errorf("%s: got %q, want %q at the beginning", name, got, state)
		}
	}
	if page := v.page.byID("device-now").attr["data-again"]; asks != again || page != again {
		v.t.Errorf("%s: looks again after %s s, after the page's first %s s; want %s s", state, asks, page, again)
	}
}

const (
	saysUnbound     = "not bound A session is bound when somebody logs in"
	saysRegistering = "not bound yet You have just logged in"
	saysPermit      = "not bound This browser hasn’t registered a key"
	saysBound       = "bound This browser holds a key"
	saysRefused     = "refused Your session is refused by now."
)

func TestDeviceCard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVisitor(t, newSite(t, nil))
		v.wantCard(saysUnbound, "0")
		v.submit("/login", "name", "Ada")
		v.wantCard(saysRegistering, "1")
		time.Sleep(registering - time.Second)
		v.wantCard(saysRegistering, "1")
		time.Sleep(time.Second)
		v.wantCard(saysPermit, "0")

		b := v.register()
		v.wantCard(saysBound, "30")
		facts := v.page.byID("device-facts").text()
		want := fmt.Sprintf("To a key with the fingerprint %s Proven for 11 min 1 Jan 2000, 00:11:15 UTC", b.fingerprint(t))
		if facts != want {
			t.Errorf("got %q, want %q", facts, want)
		}

		// Somebody who logs in again keeps the key; the card knows the session by what its ID has kept.
		v.submit("/clear")
		v.submit("/login", "name", "Bea")
		v.wantCard(saysBound, "30")

		time.Sleep(9 * time.Minute)
		v.prove(b)
		v.open("/")
		if got := v.page.byID("device-facts").text(); !strings.Contains(got, "Proven for 11 min ") {
			t.Errorf("after a renewal: got %q", got)
		}

		time.Sleep(11 * time.Minute)
		card, again := v.look()
		if got := card.byID("device-state").text(); !strings.HasPrefix(got, saysRefused+" Unproven:") || again != "0" {
			t.Errorf("without a proof: got %q, looks again after %s s", got, again)
		}
		v.open("/")
		if got := v.page.byClass("problem").text(); !strings.Contains(got, "Unproven: it is bound to a device") {
			t.Errorf("without a proof the page says %q", got)
		}
		v.wantCard(saysUnbound, "0") // the new session is
	})
}

// A late response may have left another session's proof.
func TestDeviceCardAmongOtherProofs(t *testing.T) {
	v := newVisitor(t, newSite(t, nil))
	v.open("/")
	v.submit("/login", "name", "Ada")
	v.register()
	earlier := http.Header{}
	for _, c := range v.jar.All() {
		if strings.Contains(c.Name, ".proof.") {
			earlier.Add("Set-Cookie", c.Name+"="+c.Value+"; Path=/; Secure")
		}
	}
	v.submit("/logout")
	v.submit("/login", "name", "Ada")
	v.jar.SetHeader(at("/"), earlier)
	b := v.register()
	v.open("/")
	if got, want := v.page.byID("device-facts").text(), b.fingerprint(t); !strings.Contains(got, want) {
		t.Errorf("got %q, want %s in it", got, want)
	}
}

// Whoever leaves the page open is away all the same.
func TestLookingOnIsNoVisit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVisitor(t, newSite(t, nil))
		v.open("/")
		v.submit("/login", "name", "Ada")
		for range 20 {
			time.Sleep(time.Minute)
			v.look()
		}
		time.Sleep(time.Second)
		if got := v.session()["refused"]; got != "idle" {
			t.Errorf("after 20 minutes of looking on: refused %q, want idle", got)
		}
		card, _ := v.look()
		if got := card.byID("device-state").text(); !strings.HasPrefix(got, saysRefused+" Idle:") {
			t.Errorf("got %q", got)
		}
	})
}
