package cookiesession

import (
	"bytes"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/seed-50e21e88/cookiesession/internal/keyfile"
)

// Key is one secret of a [Keyring] and the time during which it serves.
//
// Package fmt, log/slog and encoders that use encoding.TextMarshaler (JSON, XML) show only the label of a Key. Package
// fmt shows more for the verbs %p and %w, which go vet reports, and for a Key in an unexported field, where it calls no
// methods. The Secret field is plain bytes: a copy of it isn't protected.
type Key struct {
	// Label names the key in key files, logs and Stats: 1 to 64 of the characters A-Z a-z 0-9 . _ - Visitors
	// never see it.
	Label string

	// Secret is the input to key derivation: 32 to 64 random bytes, see [GenerateKey] and [ParseSecret].
	Secret []byte

	// ActivateAt is when the key starts to seal. Before it the key opens cookies but seals none: if the key has reached
	// every server by then, each opens what another seals, even if their clocks differ. Zero means at once.
	ActivateAt time.Time

	// RetireAt is when the key stops opening. Zero means never.
	RetireAt time.Time
}

// GenerateKey returns a Key with a Secret of 32 bytes from crypto/rand, active at once and for ever.
func GenerateKey(label string) Key {
	secret := make([]byte, minSecret)
	rand.Read(secret) // never fails: it ends the program when the system has no randomness
	return Key{Label: label, Secret: secret}
}

const (
	minSecret      = 32
	maxSecret      = 64
	minDistinct    = 8
	maxLabelLength = 64
	maxShownLabel  = 32 // longer labels stay out of errors: a secret may stand in their place
)

// ParseSecret reads a secret of 32 to 64 bytes from text: "base64:…" (standard or URL alphabet, padded or not),
// "hex:…", 64 hexadecimal digits, or base64 without a prefix. White space around it is ignored. The error says what is
// wrong with the text without repeating any of it.
func ParseSecret(text string) ([]byte, error) {
	text = strings.TrimSpace(text)
	var secret []byte
	var err error
	if digits, ok := strings.CutPrefix(text, "hex:"); ok {
		secret, err = decodeHex(digits)
	} else if digits, ok := strings.CutPrefix(text, "base64:"); ok {
		secret, err = decodeBase64(digits)
	} else if secret, err = decodeHex(text); err != nil || len(text) != 2*minSecret {
		secret, err = decodeBase64(text)
	}
	if err != nil {
		return nil, err
	}
	if err := checkSecret(secret); err != nil {
		return nil, err
	}
	return secret, nil
}

func decodeHex(text string) ([]byte, error) {
	secret, err := hex.DecodeString(text)
	if err != nil {
		return nil, errors.New("cookiesession: secret is not hexadecimal")
	}
	return secret, nil
}

func decodeBase64(text string) ([]byte, error) {
	if strings.ContainsAny(text, "\r\n") {
		return nil, errors.New("cookiesession: secret has a line break in it")
	}
	text = strings.NewReplacer("+", "-", "/", "_").Replace(text)
	encoding := base64.RawURLEncoding
	if strings.HasSuffix(text, "=") {
		encoding = base64.URLEncoding
	}
	secret, err := encoding.Strict().DecodeString(text)
	if err != nil {
		return nil, errors.New("cookiesession: secret is neither base64 nor 64 hexadecimal digits; make one with GenerateKey or: cookiesession keys new")
	}
	return secret, nil
}

// checkSecret refuses secrets that no random generator has made. It can't recognize weak secrets in general.
func checkSecret(secret []byte) error {
	if len(secret) < minSecret || len(secret) > maxSecret {
		return fmt.Errorf("cookiesession: secret has %d bytes, want %d to %d random ones", len(secret), minSecret, maxSecret)
	}
	var seen [256]bool
	distinct := 0
	for _, b := range secret {
		if !seen[b] {
			seen[b] = true
			distinct++
		}
	}
	if distinct < minDistinct {
		return fmt.Errorf("cookiesession: secret has only %d distinct bytes, so it is not random", distinct)
	}
	for block := 1; block <= len(secret)/2; block++ {
		if bytes.Equal(secret[block:], secret[:len(secret)-block]) {
			return fmt.Errorf("cookiesession: secret repeats a block of %d bytes, so it is not random", block)
		}
	}
	return nil
}

func checkLabel(label string) error {
	if label == "" || len(label) > maxLabelLength {
		return fmt.Errorf("cookiesession: key label has %d characters, want 1 to %d", len(label), maxLabelLength)
	}
	for _, c := range []byte(label) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '_', c == '-':
		default:
			// The label isn't repeated: a secret may have slipped into its place.
			return errors.New("cookiesession: key label has a character other than A-Z a-z 0-9 . _ -")
		}
	}
	return nil
}

func (k Key) check() error {
	if err := checkLabel(k.Label); err != nil {
		return err
	}
	if err := checkSecret(k.Secret); err != nil {
		return fmt.Errorf("cookiesession: key %s: %w", k.shownLabel(), unprefixed{err})
	}
	if !k.RetireAt.IsZero() && !k.RetireAt.After(k.ActivateAt) {
		return fmt.Errorf("cookiesession: key %s: retires before it activates", k.shownLabel())
	}
	return nil
}

// shownLabel returns the label for errors, unless it may be a secret that stands in the label's place.
func (k Key) shownLabel() string {
	if len(k.Label) > maxShownLabel || keyfile.MayBeSecret(k.Label) {
		return "(label not shown, it may be a secret)"
	}
	return k.Label
}

// fingerprint names a secret without revealing it: 64 bits that depend on the secret alone.
func (k Key) fingerprint() string {
	return hex.EncodeToString(expand(k.Secret, []byte("fingerprint"), 8))
}

// expand is HKDF-SHA-256 (RFC 5869) with the format's salt.
func expand(secret, info []byte, n int) []byte {
	prk, err := hkdf.Extract(sha256.New, secret, []byte("cookiesession/v1"))
	if err != nil {
		panic("cookiesession: internal error: " + err.Error())
	}
	okm, err := hkdf.Expand(sha256.New, prk, string(info), n)
	if err != nil {
		panic("cookiesession: internal error: " + err.Error())
	}
	return okm
}

// String returns the key's label in a form that shows it isn't the whole key.
func (k Key) String() string { return "cookiesession.Key(" + k.Label + ")" }

// Format writes String for every verb, so that no way of printing a Key shows its secret.
func (k Key) Format(f fmt.State, _ rune) { io.WriteString(f, k.String()) }

// MarshalText returns String: encoders show the label only.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }
