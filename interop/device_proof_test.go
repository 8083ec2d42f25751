package interop

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json" // which tells names of members apart by case, too

	"github.com/seed-50e21e88/cookiesession/internal/dbscjwt"
)

// What follows holds the verifier of device proofs against go-jose: whatever it accepts, go-jose verifies with the same
// key, and reads the same challenge out of it. Go-jose accepts more, as it should.

// A signer makes proofs, broken ones too.
type signer struct {
	key *ecdsa.PrivateKey
	jwk string
}

func newSigner(t testing.TB) signer {
	t.Helper()
	d := sha256.Sum256([]byte("device"))
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), d[:])
	if err != nil {
		t.Fatal(err)
	}
	jwk, err := json.Marshal(jose.JSONWebKey{Key: &key.PublicKey})
	if err != nil {
		t.Fatal(err)
	}
	return signer{key, string(jwk)}
}

func (s signer) sign(header, payload string) string {
	signed := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(payload))
	hash := sha256.Sum256([]byte(signed))
	r, ss, err := ecdsa.Sign(rand.Reader, s.key, hash[:])
	if err != nil {
		panic(err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(append(r.FillBytes(make([]byte, 32)), ss.FillBytes(make([]byte, 32))...))
}

// agrees checks one proof and returns whether it is accepted.
func agrees(t *testing.T, proof string) bool {
	t.Helper()
	ours, err := dbscjwt.Parse(proof)
	if err != nil {
		return false
	}
	key, err := ours.Register()
	if err != nil {
		return false
	}
	theirs, err := jose.ParseSignedCompact(proof, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatalf("accepted, but go-jose can't parse it: %v\n%s", err, proof)
	}
	jwk := theirs.Signatures[0].Protected.JSONWebKey
	if jwk == nil || !jwk.IsPublic() {
		t.Fatalf("accepted, but go-jose finds no public key\n%s", proof)
	}
	payload, err := theirs.Verify(jwk)
	if err != nil {
		t.Fatalf("accepted, but go-jose can't verify it: %v\n%s", err, proof)
	}
	public := jwk.Key.(*ecdsa.PublicKey)
	if got, want := string(key[:]), string(elliptic.MarshalCompressed(public.Curve, public.X, public.Y)); got != want {
		t.Fatalf("got key %x, go-jose reads %x\n%s", got, want, proof)
	}
	var claims struct {
		ID string `json:"jti"`
	}
	if err := json.Unmarshal(payload, &claims); err != nil || claims.ID != ours.Challenge {
		t.Fatalf("got challenge %q, go-jose's payload has %q (%v)\n%s", ours.Challenge, claims.ID, err, proof)
	}
	return true
}

// TestDeviceProofs changes good proofs in thousands of ways, before they are signed and after.
func TestDeviceProofs(t *testing.T) {
	s := newSigner(t)
	random := mathrand.New(mathrand.NewPCG(1, 2))
	pieces := []string{`"alg":"ES256"`, `"typ":"dbsc+jwt"`, `"jwk":` + s.jwk, `"kid":"a"`, `"crit":["b64"]`, `"b64":false`, `"alg":"none"`, `"ALG":"ES256"`, `"x5c":[]`}
	claims := []string{`"jti":"challenge"`, `"aud":"https://shop.example"`, `"jti":"\u00e9\ud83d\ude00"`, `"JTI":"other"`, `"jti":7`, `"iat":1e3`}
	pick := func(from []string, usual int) string {
		list := slices.Clone(from[:usual])
		if random.IntN(2) == 0 {
			list[random.IntN(len(list))] = from[random.IntN(len(from))]
		}
		for random.IntN(3) == 0 {
			list = slices.Insert(list, random.IntN(len(list)+1), from[random.IntN(len(from))])
		}
		return "{" + strings.Join(list, ",") + "}"
	}
	mutate := func(text string) string {
		if text == "" {
			return text
		}
		b, at := []byte(text), random.IntN(len(text))
		switch random.IntN(5) {
		case 0:
			b[at] = `"{}[]:,\ `[random.IntN(9)]
		case 1:
			b = slices.Delete(b, at, min(at+1+random.IntN(3), len(b)))
		case 2:
			b = slices.Insert(b, at, b[at:min(at+1+random.IntN(40), len(b))]...)
		case 3:
			b[at] ^= 1 << random.IntN(8)
		case 4:
			b = slices.Insert(b, at, []byte("\r\n =.-_+/")[random.IntN(9)])
		}
		return string(b)
	}
	accepted := 0
	const n = 20000
	for i := range n {
		header, payload := pick(pieces, 3), pick(claims, 1)
		switch i % 4 {
		case 1:
			header = mutate(header)
		case 2:
			payload = mutate(payload)
		}
		proof := s.sign(header, payload)
		if i%4 == 3 {
			proof = mutate(proof)
		}
		if agrees(t, proof) {
			accepted++
		}
	}
	t.Logf("%d of %d accepted, and verified by go-jose", accepted, n)
	if accepted < n/20 || accepted > n/2 {
		t.Errorf("%d of %d proofs accepted: the mutations are too wild, or too tame", accepted, n)
	}
}

// FuzzDeviceProof signs any header and payload.
func FuzzDeviceProof(f *testing.F) {
	s := newSigner(f)
	f.Add(`{"alg":"ES256","typ":"dbsc+jwt","jwk":`+s.jwk+`}`, `{"jti":"challenge"}`)
	f.Fuzz(func(t *testing.T, header, payload string) { agrees(t, s.sign(header, payload)) })
}
