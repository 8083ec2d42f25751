package dbscjwt_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"strings"
	"testing"

	"github.com/seed-50e21e88/cookiesession/internal/dbscjwt"
)

// A vector is one of testdata/vectors.json.
type vector struct {
	Name      string
	Proof     string
	Key       []byte // to verify a refresh with; empty for a registration
	Challenge string // what was signed; empty if the proof is refused
}

func vectors(t testing.TB) (all []vector) {
	t.Helper()
	data, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// verify is register or refresh.
func verify(v vector) (challenge string, err error) {
	if len(v.Key) == 0 {
		_, challenge, err = register(v.Proof)
		return challenge, err
	}
	return refresh(v.Proof, dbscjwt.Key(v.Key))
}

// register returns what a registration that is accepted says.
func register(proof string) (key dbscjwt.Key, challenge string, err error) {
	p, err := dbscjwt.Parse(proof)
	if err != nil {
		return key, "", err
	}
	if key, err = p.Register(); err != nil {
		return key, "", err
	}
	return key, p.Challenge, nil
}

// refresh returns the challenge in a refresh that is accepted.
func refresh(proof string, key dbscjwt.Key) (challenge string, err error) {
	p, err := dbscjwt.Parse(proof)
	if err != nil {
		return "", err
	}
	if err := p.Refresh(key); err != nil {
		return "", err
	}
	return p.Challenge, nil
}

func TestVectors(t *testing.T) {
	for _, v := range vectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			challenge, err := verify(v)
			if challenge != v.Challenge || (err == nil) != (v.Challenge != "") {
				t.Errorf("got challenge %q, error %v, want challenge %q", challenge, err, v.Challenge)
			}
		})
	}
}

// newKey returns a key pair, the same for each seed.
func newKey(t testing.TB, seed byte) *ecdsa.PrivateKey {
	t.Helper()
	d := sha256.Sum256([]byte{seed})
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), d[:])
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func encode(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

// jwk returns the public key as browsers write it.
func jwk(t testing.TB, key *ecdsa.PrivateKey) string {
	t.Helper()
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf(`{"kty":"EC","crv":"P-256","x":"%s","y":"%s"}`, encode(point[1:33]), encode(point[33:]))
}

// sign returns a proof.
func sign(t testing.TB, key *ecdsa.PrivateKey, header, payload string) string {
	t.Helper()
	signed := encode([]byte(header)) + "." + encode([]byte(payload))
	hash := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, key, hash[:])
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + encode(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
}

const (
	payload       = `{"jti":"challenge"}`
	refreshHeader = `{"alg":"ES256","typ":"dbsc+jwt"}`
)

func registerHeader(t testing.TB, key *ecdsa.PrivateKey) string {
	return `{"alg":"ES256","typ":"dbsc+jwt","jwk":` + jwk(t, key) + `}`
}

func TestRegister(t *testing.T) {
	key := newKey(t, 1)
	good := sign(t, key, registerHeader(t, key), payload)
	parts := strings.Split(good, ".")
	with := func(old, new string) string { // the header, changed and signed
		t.Helper()
		header := registerHeader(t, key)
		if !strings.Contains(header, old) {
			t.Fatalf("the header has no %s", old)
		}
		return sign(t, key, strings.Replace(header, old, new, 1), payload)
	}
	point, _ := key.PublicKey.Bytes()
	x, y := encode(point[1:33]), encode(point[33:])
	order := elliptic.P256().Params().N
	s := new(big.Int).SetBytes(decoded(t, parts[2])[32:])
	other := newKey(t, 2)

	for _, c := range []struct {
		name, proof string
		want        string // part of the error; "" if it is accepted
	}{
		{"good", good, ""},
		{"unknown members", sign(t, key, strings.Replace(registerHeader(t, key), `{`, `{"kid":{"a":[1,2]},`, 1), `{"aud":"https://shop.example/","jti":"challenge","iat":1.5e3}`), ""},
		{"white space in JSON", sign(t, key, " "+registerHeader(t, key)+"\n", payload+" "), ""},
		{"names in escapes", with(`"alg"`, `"\u0061lg"`), ""},
		{"n-s", parts[0] + "." + parts[1] + "." + encode(append(decoded(t, parts[2])[:32], new(big.Int).Sub(order, s).FillBytes(make([]byte, 32))...)), ""},
		{"unknown members in jwk", with(`"kty"`, `"use":"sig","kty"`), ""},
		{"4,096 characters", sized(t, key, 4096), ""},
		{"4,097 characters", sized(t, key, 4097), "4096 characters"},

		{"empty", "", "three parts"},
		{"two parts", parts[0] + "." + parts[1], "three parts"},
		{"four parts", good + ".", "three parts"},
		{"empty signature", parts[0] + "." + parts[1] + ".", "signature isn't 64"},
		{"signature of 63 bytes", parts[0] + "." + parts[1] + "." + encode(decoded(t, parts[2])[:63]), "signature isn't 64"},
		{"signature of 65 bytes", good + "AA", "signature isn't 64"},
		{"signature in DER", parts[0] + "." + parts[1] + "." + encode(der(t, key, parts[0]+"."+parts[1])), "signature isn't 64"},
		{"signature of zeros", parts[0] + "." + parts[1] + "." + encode(make([]byte, 64)), "signature isn't one"},
		{"r and s of n", parts[0] + "." + parts[1] + "." + encode(append(order.Bytes(), order.Bytes()...)), "signature isn't one"},
		{"another payload", parts[0] + "." + encode([]byte(`{"jti":"other"}`)) + "." + parts[2], "signature isn't one"},
		{"signed by another key", sign(t, other, registerHeader(t, key), payload), "signature isn't one"},
		{"padding", parts[0] + "." + parts[1] + "." + parts[2] + "==", "signature isn't 64"},
		{"line break", parts[0] + "." + parts[1] + "." + parts[2][:10] + "\n" + parts[2][10:], "signature isn't 64"},
		{"line break in the header", parts[0][:8] + "\r\n" + parts[0][8:] + "." + parts[1] + "." + parts[2], "header isn't base64url"},
		{"unused bits", parts[0] + "." + parts[1] + "." + unusedBits(parts[2]), "signature isn't 64"},
		{"base64 with plus and slash", parts[0] + "." + parts[1] + "." + base64.RawStdEncoding.EncodeToString(append(make([]byte, 32), []byte(strings.Repeat("\xff", 32))...)), "signature isn't 64"},
		{"payload not base64url", parts[0] + ".é." + parts[2], "payload isn't base64url"},

		{"no alg", with(`"alg":"ES256",`, ``), "alg isn't ES256"},
		{"alg none", with(`"ES256"`, `"none"`), "alg isn't ES256"},
		{"alg HS256", with(`"ES256"`, `"HS256"`), "alg isn't ES256"},
		{"alg in lower case", with(`"ES256"`, `"es256"`), "alg isn't ES256"},
		{"alg a list", with(`"ES256"`, `["ES256"]`), "alg isn't ES256"},
		{"Alg", with(`"alg"`, `"Alg"`), "alg isn't ES256"},
		{"alg twice", with(`"alg":`, `"alg":"ES256","alg":`), "members differ"},
		{"alg twice, once in escapes", with(`"alg":`, `"\u0061lg":"ES256","alg":`), "members differ"},
		{"no typ", with(`"typ":"dbsc+jwt",`, ``), "typ isn't dbsc+jwt"},
		{"typ JWT", with(`"dbsc+jwt"`, `"JWT"`), "typ isn't dbsc+jwt"},
		{"typ in capitals", with(`"dbsc+jwt"`, `"DBSC+JWT"`), "typ isn't dbsc+jwt"},
		{"crit", with(`{"alg"`, `{"crit":[],"alg"`), "crit"},
		{"crit null", with(`{"alg"`, `{"crit":null,"alg"`), "crit"},
		{"b64", with(`{"alg"`, `{"b64":false,"alg"`), "b64"},
		{"header a list", sign(t, key, `["ES256"]`, payload), "header isn't one JSON object"},
		{"header a list of names and values", sign(t, key, strings.NewReplacer(`{"alg":`, `["alg",`, `,"typ":`, `,"typ",`, `,"jwk":`, `,"jwk",`, `}}`, `}]`).Replace(registerHeader(t, key)), payload), "header isn't one JSON object"},
		{"header null", sign(t, key, `null`, payload), "header isn't one JSON object"},
		{"something behind the header", sign(t, key, registerHeader(t, key)+"{}", payload), "header isn't one JSON object"},
		{"something broken behind the header", sign(t, key, registerHeader(t, key)+"}", payload), "header isn't one JSON object"},
		{"header cut", sign(t, key, strings.TrimSuffix(registerHeader(t, key), "}"), payload), "header isn't one JSON object"},
		{"comma at the end", sign(t, key, strings.Replace(registerHeader(t, key), "}}", "},}", 1), payload), "header isn't one JSON object"},
		{"header not UTF-8", with(`{"alg"`, "{\"\xff\":1,\"alg\""), "header isn't one JSON object"},
		{"byte order mark", sign(t, key, "\ufeff"+registerHeader(t, key), payload), "header isn't one JSON object"},

		{"no jti", sign(t, key, registerHeader(t, key), `{}`), "jti isn't a string"},
		{"jti a number", sign(t, key, registerHeader(t, key), `{"jti":1}`), "jti isn't a string"},
		{"jti null", sign(t, key, registerHeader(t, key), `{"jti":null}`), "jti isn't a string"},
		{"jti twice", sign(t, key, registerHeader(t, key), `{"jti":"challenge","jti":"challenge"}`), "members differ"},
		{"JTI", sign(t, key, registerHeader(t, key), `{"JTI":"challenge"}`), "jti isn't a string"},
		{"payload a string", sign(t, key, registerHeader(t, key), `"challenge"`), "payload isn't one JSON object"},
		{"empty payload", sign(t, key, registerHeader(t, key), ``), "payload isn't one JSON object"},

		{"no jwk", sign(t, key, refreshHeader, payload), "lacks jwk"},
		{"jwk null", sign(t, key, `{"alg":"ES256","typ":"dbsc+jwt","jwk":null}`, payload), "jwk isn't one JSON object"},
		{"jwk a text", sign(t, key, `{"alg":"ES256","typ":"dbsc+jwt","jwk":"key"}`, payload), "jwk isn't one JSON object"},
		{"member of jwk twice", with(`"kty":"EC"`, `"kty":"EC","kty":"EC"`), "jwk isn't one JSON object"},
		{"private key", with(`"kty"`, `"d":"`+x+`","kty"`), "private key"},
		{"kty RSA", with(`"EC"`, `"RSA"`), "kty isn't EC"},
		{"crv P-384", with(`"P-256"`, `"P-384"`), "crv isn't P-256"},
		{"no crv", with(`"crv":"P-256",`, ``), "crv isn't P-256"},
		{"no y", with(`,"y":"`+y+`"`, ``), "y isn't 32 bytes"},
		{"x of 31 bytes", with(x, encode(point[2:33])), "x isn't 32 bytes"},
		{"x of 33 bytes", with(x, encode(append([]byte{0}, point[1:33]...))), "x isn't 32 bytes"},
		{"x with padding", with(x, x+"="), "x isn't 32 bytes"},
		{"y a number", with(`"`+y+`"`, `7`), "y isn't 32 bytes"},
		{"not on the curve", with(y, x), "isn't a public one"},
		{"point at infinity", with(x+`","y":"`+y, encode(make([]byte, 32))+`","y":"`+encode(make([]byte, 32))), "isn't a public one"},
		{"x beyond the field", with(x, encode(elliptic.P256().Params().P.Bytes())), "isn't a public one"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, challenge, err := register(c.proof)
			switch {
			case c.want != "":
				if err == nil || !strings.Contains(err.Error(), c.want) || challenge != "" || got != (dbscjwt.Key{}) {
					t.Errorf("got challenge %q, key %x, error %v, want nothing and an error with %q", challenge, got, err, c.want)
				}
			case err != nil || challenge != "challenge" || string(got[1:]) != string(point[1:33]) || got[0] != 2|point[64]&1:
				t.Errorf("got challenge %q, key %x, error %v", challenge, got, err)
			}
		})
	}
}

func TestRefresh(t *testing.T) {
	key, other := newKey(t, 1), newKey(t, 2)
	keyOf := func(key *ecdsa.PrivateKey) dbscjwt.Key {
		k, _, err := register(sign(t, key, registerHeader(t, key), payload))
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	good := keyOf(key)
	off := good
	for off[0] = 4; ; off[32]++ { // as a broken cookie would have it
		if x, _ := elliptic.UnmarshalCompressed(elliptic.P256(), append([]byte{2}, off[1:]...)); x == nil {
			off[0] = 2
			break
		}
	}
	flipped := good
	flipped[0] ^= 1
	for _, c := range []struct {
		name, proof string
		key         dbscjwt.Key
		want        string
	}{
		{"good", sign(t, key, refreshHeader, payload), good, ""},
		{"empty challenge", sign(t, key, refreshHeader, `{"jti":""}`), good, ""},
		{"with a key", sign(t, key, registerHeader(t, key), payload), good, "has jwk"},
		{"jwk null", sign(t, key, `{"alg":"ES256","typ":"dbsc+jwt","jwk":null}`, payload), good, "has jwk"},
		{"another key", sign(t, other, refreshHeader, payload), good, "signature isn't one"},
		{"another known key", sign(t, key, refreshHeader, payload), keyOf(other), "signature isn't one"},
		{"the other y", sign(t, key, refreshHeader, payload), flipped, "signature isn't one"},
		{"known key not on the curve", sign(t, key, refreshHeader, payload), off, "isn't a public one"},
		{"no key", sign(t, key, refreshHeader, payload), dbscjwt.Key{}, "isn't a public one"},
	} {
		t.Run(c.name, func(t *testing.T) {
			challenge, err := refresh(c.proof, c.key)
			if c.want != "" {
				if err == nil || !strings.Contains(err.Error(), c.want) || challenge != "" {
					t.Errorf("got challenge %q, error %v, want an error with %q", challenge, err, c.want)
				}
			} else if err != nil {
				t.Errorf("got error %v", err)
			}
		})
	}
}

func decoded(t testing.TB, text string) []byte {
	t.Helper()
	data, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// sized returns a good proof of n characters.
func sized(t *testing.T, key *ecdsa.PrivateKey, n int) string {
	t.Helper()
	for spaces := range 3 { // no base64 has 4n+1 characters
		header := registerHeader(t, key) + strings.Repeat(" ", spaces)
		long := len(sign(t, key, header, payload)) - n
		for fill := -long*3/4 - 3; fill <= -long*3/4+3; fill++ {
			if proof := sign(t, key, header, payload+strings.Repeat(" ", fill)); len(proof) == n {
				return proof
			}
		}
	}
	t.Fatalf("found no proof of %d characters", n)
	return ""
}

func der(t *testing.T, key *ecdsa.PrivateKey, signed string) []byte {
	t.Helper()
	hash := sha256.Sum256([]byte(signed))
	signature, err := ecdsa.SignASN1(rand.Reader, key, hash[:])
	if err != nil {
		t.Fatal(err)
	}
	return signature
}

// unusedBits sets one in the last of 86 characters, which stand for 64 bytes.
func unusedBits(text string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return text[:len(text)-1] + string(alphabet[strings.IndexByte(alphabet, text[len(text)-1])|1])
}

// FuzzRegister sees that nothing panics, and that what is accepted verifies as a refresh would, without its jwk's key.
func FuzzRegister(f *testing.F) {
	key := newKey(f, 1)
	f.Add(sign(f, key, registerHeader(f, key), payload))
	f.Add(sign(f, key, refreshHeader, payload))
	for _, v := range vectors(f) {
		f.Add(v.Proof)
	}
	f.Fuzz(func(t *testing.T, proof string) {
		got, challenge, err := register(proof)
		if err != nil && (challenge != "" || got != (dbscjwt.Key{})) {
			t.Errorf("got challenge %q and key %x with error %v", challenge, got, err)
		}
		if _, refreshErr := refresh(proof, got); refreshErr == nil {
			t.Errorf("a proof is one of both kinds: %q", proof)
		}
	})
}
