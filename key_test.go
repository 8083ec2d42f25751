package cookiesession_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/seed-50e21e88/cookiesession"
)

func TestParseSecret(t *testing.T) {
	want, err := hex.DecodeString(secretAHex)
	if err != nil {
		t.Fatal(err)
	}
	urlForm := strings.NewReplacer("+", "-", "/", "_").Replace(secretA)
	stdForm := strings.NewReplacer("-", "+", "_", "/").Replace(secretA)
	for _, text := range []string{
		urlForm, urlForm + "=", stdForm, stdForm + "=",
		"base64:" + urlForm, "base64:" + stdForm + "=",
		secretAHex, strings.ToUpper(secretAHex), "hex:" + secretAHex,
		" \t" + urlForm + "\r\n", "\nhex:" + secretAHex + "\n", // oauth2-proxy: a file's last newline became part of the secret
	} {
		if got, err := cookiesession.ParseSecret(text); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%q: got %x, %v", text, got, err)
		}
	}

	random := make([]byte, 66) // all bytes differ
	for i := range random {
		random[i] = byte(i)
	}
	const notBase64 = "secret is neither base64 nor 64 hexadecimal digits; make one with GenerateKey or: cookiesession keys new"
	for _, test := range []struct{ name, text, want string }{
		{"empty", "", "secret has 0 bytes, want 32 to 64 random ones"},
		{"31 bytes", "hex:" + hex.EncodeToString(random[:31]), "secret has 31 bytes, want 32 to 64 random ones"},
		{"32 bytes", "hex:" + hex.EncodeToString(random[:32]), ""},
		{"33 bytes", "hex:" + hex.EncodeToString(random[:33]), ""},
		{"63 bytes", "hex:" + hex.EncodeToString(random[:63]), ""},
		{"64 bytes", "hex:" + hex.EncodeToString(random[:64]), ""},
		{"65 bytes", "hex:" + hex.EncodeToString(random[:65]), "secret has 65 bytes, want 32 to 64 random ones"},
		{"31 bytes in base64", base64.StdEncoding.EncodeToString(random[:31]), "secret has 31 bytes, want 32 to 64 random ones"},
		{"32 bytes in base64", base64.StdEncoding.EncodeToString(random[:32]), ""},
		{"48 bytes, 64 digits, in base64", base64.StdEncoding.EncodeToString(random[:48]), ""},
		{"64 bytes in base64", base64.StdEncoding.EncodeToString(random[:64]), ""},
		{"65 bytes in base64", base64.StdEncoding.EncodeToString(random[:65]), "secret has 65 bytes, want 32 to 64 random ones"},
		{"7 distinct bytes", "hex:" + hex.EncodeToString(distinct(7)), "secret has only 7 distinct bytes, so it is not random"},
		{"8 distinct bytes", "hex:" + hex.EncodeToString(distinct(8)), ""},
		{"block of 16", "hex:" + hex.EncodeToString(bytes.Repeat(random[:16], 2)), "secret repeats a block of 16 bytes, so it is not random"},
		{"block of 11 and some", "hex:" + hex.EncodeToString(bytes.Repeat(random[:11], 3)[:32]), "secret repeats a block of 11 bytes, so it is not random"},
		{"block of 17 of 32", "hex:" + hex.EncodeToString(bytes.Repeat(random[:17], 2)[:32]), ""},
		{"block of 32", "hex:" + hex.EncodeToString(bytes.Repeat(random[:32], 2)), "secret repeats a block of 32 bytes, so it is not random"},
		{"63 digits", secretAHex[1:], notBase64},
		{"other characters", "correct horse battery staple", notBase64},
		{"trailing bits", urlForm[:42] + "9", notBase64},
		{"padding in excess", urlForm + "==", notBase64},
		{"line break within", urlForm[:20] + "\r\n" + urlForm[20:], "secret has a line break in it"},
		{"hexadecimal with an odd digit", "hex:" + secretAHex[1:], "secret is not hexadecimal"},
		{"hexadecimal with base64", "hex:" + urlForm, "secret is not hexadecimal"},
	} {
		_, err := cookiesession.ParseSecret(test.text)
		switch {
		case test.want == "" && err != nil:
			t.Errorf("%s: %v", test.name, err)
		case test.want != "" && (err == nil || err.Error() != "cookiesession: "+test.want):
			t.Errorf("%s: got %v, want %s", test.name, err, test.want)
		}
	}
}

// distinct returns 32 bytes, n of them distinct, without a repeated block.
func distinct(n int) []byte {
	secret := make([]byte, 32)
	for i := range n {
		secret[i] = byte(i)
	}
	return secret
}

func TestGenerateKey(t *testing.T) {
	a, b := cookiesession.GenerateKey("a"), cookiesession.GenerateKey("b")
	if len(a.Secret) != 32 || bytes.Equal(a.Secret, b.Secret) {
		t.Errorf("got secrets of %d bytes, equal: %v", len(a.Secret), bytes.Equal(a.Secret, b.Secret))
	}
	if a.Label != "a" || !a.ActivateAt.IsZero() || !a.RetireAt.IsZero() {
		t.Errorf("got %s from %v until %v, want a at once and for ever", a.Label, a.ActivateAt, a.RetireAt)
	}
	if _, err := cookiesession.NewKeyring(a, b); err != nil {
		t.Error(err)
	}
}

// No way of printing a Key shows its secret.
func TestKeysAreRedacted(t *testing.T) {
	key := parsedKey(t, "august", secretA)
	ring, err := cookiesession.NewKeyring(key)
	if err != nil {
		t.Fatal(err)
	}
	type wrapper struct{ cookiesession.Key }
	type holder struct {
		Name string
		Key  cookiesession.Key
		Ring *cookiesession.Keyring
	}
	var outputs []string
	for _, value := range []any{
		key, &key, []cookiesession.Key{key}, [1]cookiesession.Key{key}, map[string]cookiesession.Key{"k": key},
		wrapper{key}, holder{"h", key, ring}, &holder{"h", key, ring}, []any{key}, ring, ring.Keys(),
	} {
		for _, verb := range "vsqxXdobBcUeEfFgGt" {
			for _, flags := range []string{"", "+", "#", " ", "0", "-", "80", ".3"} {
				outputs = append(outputs, fmt.Sprintf("%"+flags+string(verb), value))
			}
		}
		outputs = append(outputs, fmt.Sprint(value), fmt.Errorf("failed: %w, %v", fmt.Errorf("%v", value), value).Error())
		for _, marshal := range []func(any) ([]byte, error){json.Marshal, xml.Marshal} {
			output, err := marshal(value)
			outputs = append(outputs, string(output), fmt.Sprint(err))
		}
		var logged bytes.Buffer
		for _, handler := range []slog.Handler{slog.NewTextHandler(&logged, nil), slog.NewJSONHandler(&logged, nil)} {
			slog.New(handler).Info("key", "value", value, slog.Group("group", "value", value))
		}
		outputs = append(outputs, logged.String())
	}

	shown := []string{secretA[:8], base64.StdEncoding.EncodeToString(key.Secret)[:8], secretAHex[:8], strings.ToUpper(secretAHex[:8])}
	for _, verb := range []string{"%v", "%#v", "%d", "%o", "%b", "%q", "%s", "% x", "%#x"} {
		shown = append(shown, strings.Trim(fmt.Sprintf(verb, key.Secret[:4]), "[]{}\"'"))
	}
	for _, output := range outputs {
		for _, secret := range shown {
			if strings.Contains(output, secret) {
				t.Errorf("%q shows %q", output, secret)
			}
		}
	}
	if got, want := fmt.Sprint(key), "cookiesession.Key(august)"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, err := json.Marshal(key); err != nil || string(got) != `"cookiesession.Key(august)"` {
		t.Errorf("got %s, %v, want the label", got, err)
	}
	if got, want := fmt.Sprint(ring), ring.String(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := ring.String(), "cookiesession.Keyring("+ring.Fingerprint()+")"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A long label may be a secret in its place.
func TestLongLabelIsNotRepeated(t *testing.T) {
	for length, want := range map[int]bool{31: true, 32: true, 33: false} {
		key := cookiesession.GenerateKey(strings.Repeat("z", length))
		_, err := cookiesession.NewKeyring(key, key)
		if err == nil {
			t.Fatalf("%d characters: no error", length)
		}
		if got := strings.Contains(err.Error(), key.Label); got != want {
			t.Errorf("%d characters: got %q, repeated %v, want %v", length, err, got, want)
		}
	}
}
