// Package dbscjwt verifies the proofs by which a browser shows that it holds a device-bound key (W3C, Device Bound
// Session Credentials, editor's draft of February 2026): a JWS in compact form (RFC 7515), signed with ES256 (RFC 7518,
// 3.4), which carries a challenge back. It is stricter than the RFCs where no browser needs more: every byte string has
// one text only, no member may occur twice, and a header that must be understood is refused.
//
// All functions are safe for concurrent use. No error repeats any of the input.
package dbscjwt

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strings"
	"unicode/utf8"
)

// MaxLength is the most characters that a proof may have. Browsers' have about 500.
const MaxLength = 4096

const (
	coordinateLength = 32 // bytes of x and of y on P-256
	signatureLength  = 64 // r, then s (RFC 7518, 3.4)
)

// A Key is a point on P-256 in compressed form (SEC 1, 2.3.3).
type Key [1 + coordinateLength]byte

var (
	errLength    = fmt.Errorf("a proof has more than %d characters", MaxLength)
	errParts     = errors.New("a proof isn't three parts with dots between them")
	errSignature = errors.New("the signature isn't one by the key")
	errKey       = errors.New("the key isn't a public one on P-256")
)

// A Proof is well-formed. Whether its signature is right, Register or Refresh tells: verifying it costs more than all the
// rest, so a caller may look at the challenge first.
type Proof struct {
	Challenge string // what is said to have been signed; the caller must check it

	header    map[string]json.RawMessage
	signed    string // the text that is signed
	signature []byte
}

// Register verifies a proof that contains its key, and returns the key.
func (p *Proof) Register() (key Key, err error) {
	jwk, ok := p.header["jwk"]
	if !ok {
		return key, errors.New("the header lacks jwk")
	}
	public, err := parseKey(jwk)
	if err != nil {
		return key, err
	}
	if !p.signedBy(public) {
		return key, errSignature
	}
	return compress(public), nil
}

// Refresh verifies a proof by a known key.
func (p *Proof) Refresh(key Key) error {
	if _, ok := p.header["jwk"]; ok {
		return errors.New("the header has jwk, though the key is known")
	}
	public, err := decompress(key)
	if err != nil {
		return err
	}
	if !p.signedBy(public) {
		return errSignature
	}
	return nil
}

// Parse reads a proof. Its signature has not been verified.
func Parse(proof string) (*Proof, error) {
	if len(proof) > MaxLength {
		return nil, errLength
	}
	parts := strings.Split(proof, ".")
	if len(parts) != 3 {
		return nil, errParts
	}
	var p Proof
	p.signed = proof[:len(parts[0])+len(".")+len(parts[1])]
	header, ok := decode(parts[0])
	if !ok {
		return nil, errors.New("the header isn't base64url")
	}
	payload, ok := decode(parts[1])
	if !ok {
		return nil, errors.New("the payload isn't base64url")
	}
	if p.signature, ok = decode(parts[2]); !ok || len(p.signature) != signatureLength {
		return nil, fmt.Errorf("the signature isn't %d bytes in base64url", signatureLength)
	}
	if p.header, ok = members(header); !ok {
		return nil, errors.New("the header isn't one JSON object whose members differ")
	}
	for _, name := range []string{"crit", "b64"} { // unsupported, so refused (RFC 7515, 4.1.11; RFC 7797, 3)
		if _, ok := p.header[name]; ok {
			return nil, fmt.Errorf("the header has %s", name)
		}
	}
	for name, want := range map[string]string{"alg": "ES256", "typ": "dbsc+jwt"} {
		if got, ok := text(p.header[name]); !ok || got != want {
			return nil, fmt.Errorf("the header's %s isn't %s", name, want)
		}
	}
	claims, ok := members(payload)
	if !ok {
		return nil, errors.New("the payload isn't one JSON object whose members differ")
	}
	if p.Challenge, ok = text(claims["jti"]); !ok {
		return nil, errors.New("the payload's jti isn't a string")
	}
	return &p, nil
}

func (p *Proof) signedBy(key *ecdsa.PublicKey) bool {
	hash := sha256.Sum256([]byte(p.signed))
	r, s := new(big.Int).SetBytes(p.signature[:signatureLength/2]), new(big.Int).SetBytes(p.signature[signatureLength/2:])
	return ecdsa.Verify(key, hash[:], r, s)
}

// parseKey reads a JWK (RFC 7518, 6.2).
func parseKey(jwk []byte) (*ecdsa.PublicKey, error) {
	m, ok := members(jwk)
	if !ok {
		return nil, errors.New("jwk isn't one JSON object whose members differ")
	}
	if _, ok := m["d"]; ok {
		return nil, errors.New("jwk has a private key")
	}
	for name, want := range map[string]string{"kty": "EC", "crv": "P-256"} {
		if got, ok := text(m[name]); !ok || got != want {
			return nil, fmt.Errorf("jwk's %s isn't %s", name, want)
		}
	}
	point := []byte{4} // uncompressed (SEC 1, 2.3.3)
	for _, name := range []string{"x", "y"} {
		encoded, _ := text(m[name])
		coordinate, ok := decode(encoded)
		if !ok || len(coordinate) != coordinateLength {
			return nil, fmt.Errorf("jwk's %s isn't %d bytes in base64url", name, coordinateLength)
		}
		point = append(point, coordinate...)
	}
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		return nil, errKey
	}
	return public, nil
}

func compress(public *ecdsa.PublicKey) (key Key) {
	point, err := public.Bytes()
	if err != nil {
		panic("dbscjwt: internal error: " + err.Error())
	}
	x, y := point[1:1+coordinateLength], point[1+coordinateLength:]
	key[0] = 2 | y[len(y)-1]&1
	copy(key[1:], x)
	return key
}

func decompress(key Key) (*ecdsa.PublicKey, error) {
	x, y := elliptic.UnmarshalCompressed(elliptic.P256(), key[:])
	if x == nil {
		return nil, errKey
	}
	point := append([]byte{4}, key[1:]...)
	point = append(point, y.FillBytes(make([]byte, coordinateLength))...)
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		return nil, errKey
	}
	return public, nil
}

// decode decodes base64url without padding. Package base64 skips line breaks even in strict mode.
func decode(text string) ([]byte, bool) {
	if strings.ContainsAny(text, "\r\n") {
		return nil, false
	}
	data, err := base64.RawURLEncoding.Strict().DecodeString(text)
	return data, err == nil
}

// members returns the members of the JSON object in data, if data holds nothing else and no name occurs twice. Decoding
// into a struct would ignore the case of names and take the last of several members.
func members(data []byte) (map[string]json.RawMessage, bool) {
	if !utf8.Valid(data) { // package json would replace invalid bytes
		return nil, false
	}
	d := json.NewDecoder(bytes.NewReader(data))
	if start, err := d.Token(); err != nil || start != json.Delim('{') {
		return nil, false
	}
	all := make(map[string]json.RawMessage)
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return nil, false
		}
		name := token.(string) // in an object, the token before a value is its name
		var value json.RawMessage
		if _, twice := all[name]; twice || d.Decode(&value) != nil {
			return nil, false
		}
		all[name] = value
	}
	if _, err := d.Token(); err != nil { // the object's end
		return nil, false
	}
	_, err := d.Token()
	return all, err == io.EOF
}

// text returns the string that value encodes.
func text(value json.RawMessage) (s string, ok bool) {
	if len(value) == 0 || value[0] != '"' {
		return "", false
	}
	ok = json.Unmarshal(value, &s) == nil
	return s, ok // not in one statement: Go doesn't specify whether s is read before Unmarshal sets it
}
