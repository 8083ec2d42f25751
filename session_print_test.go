package cookiesession_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/seed-50e21e88/cookiesession"
)

// Whatever prints a session, a manager, its parts, or an error, in whichever way, shows no secret, no value and no
// cookie.
func TestNothingPrintsSecrets(t *testing.T) {
	const plaintext, message = "the plaintext of a value", "the text of a message"
	key := cookiesession.GenerateKey("main")
	ring, err := cookiesession.NewKeyring(key)
	if err != nil {
		t.Fatal(err)
	}
	config := cookiesession.Config{Keys: ring, Logger: slog.New(slog.DiscardHandler), MaxSize: 2000}
	m, err := cookiesession.New(config)
	if err != nil {
		t.Fatal(err)
	}
	v := newVisitor(t, m)
	v.visit(func(s *cookiesession.Session) { s.Put("key", plaintext); s.Flash("key", message); s.CSRFToken() })
	needles := map[string]string{
		"the session's cookie": v.cookie("")[:40],
		"the flash cookie":     v.cookie(".flash")[:40],
	}
	for name, secret := range map[string][]byte{"the secret": key.Secret[:8], "a value": []byte(plaintext)[:8], "a message": []byte(message)[4:12]} {
		needles[name+", as it is"] = string(secret)
		needles[name+" in hexadecimal"] = fmt.Sprintf("%x", secret)
		needles[name+" in upper hexadecimal"] = fmt.Sprintf("%X", secret)
		needles[name+" in base64"] = base64.StdEncoding.EncodeToString(secret)[:10]
		needles[name+" in numbers"] = strings.Trim(fmt.Sprint(secret), "[]")
		needles[name+" in JSON numbers"] = strings.ReplaceAll(strings.Trim(fmt.Sprint(secret), "[]"), " ", ",")
		needles[name+" in Go"] = strings.Trim(fmt.Sprintf("%#v", secret), "[]byte{}")
	}

	things := map[string]any{
		"*Manager": m, "Config": config, "*Config": &config, "*Keyring": ring, "Key": key, "*Key": &key, "[]Key": []cookiesession.Key{key},
		"map of Keys": map[string]cookiesession.Key{"k": key}, "[]KeyInfo": ring.Keys(), "Stats": m.Stats(),
	}
	used := func(s *cookiesession.Session) {
		s.Put("new", plaintext)
		s.Flashed("key")
		s.Flash("new", message)
		s.FlashNow("now", message)
	}
	s := v.load()
	used(s)
	things["*Session"] = s
	things["*Session in a struct"] = struct{ S *cookiesession.Session }{s}
	handler := m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		used(m.Get(r))
		things["ResponseWriter"] = w
		things["request's context"] = r.Context()
		things["context derived from it"] = context.WithValue(r.Context(), color("key"), 1)
		if u, ok := w.(interface{ Unwrap() http.ResponseWriter }); ok {
			things["unwrapped ResponseWriter"] = u.Unwrap()
		}
	}))
	handler.ServeHTTP(httptest.NewRecorder(), requestWith(v.header()))
	handler.ServeHTTP(struct{ http.ResponseWriter }{httptest.NewRecorder()}, requestWith(v.header()))

	s = v.load()
	s.Put("key", func() string { return plaintext })
	things["error of a function"] = s.Err()
	s = v.load()
	s.Increment("key", 1)
	things["error of Increment"] = s.Err()
	s = v.load()
	s.Push("key", 1)
	things["error of Push"] = s.Err()
	_, err = cookiesession.Field[int]("key").Lookup(s)
	things["error of Lookup"] = err
	s = v.load()
	s.Put("big", strings.Repeat(plaintext, 100))
	_, err = v.answer(s)
	things["SizeError"] = err
	broken := v.header()[:60] + "!" + v.header()[61:]
	things["RejectError"] = load(m, broken).Rejected()
	_, err = cookiesession.ParseSecret(base64.StdEncoding.EncodeToString(key.Secret) + "!")
	things["error of ParseSecret"] = err
	_, err = cookiesession.NewKeyring(key, key)
	things["error of NewKeyring"] = err
	for name, thing := range things {
		if thing == nil {
			t.Fatalf("there is no %s", name)
		}
	}

	ways := map[string]func(thing any) string{
		"slog text": func(thing any) string {
			return logged(func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, nil) }, thing)
		},
		"slog JSON": func(thing any) string {
			return logged(func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, nil) }, thing)
		},
		"JSON":    func(thing any) string { b, err := json.Marshal(thing); return fmt.Sprint(string(b), err) },
		"XML":     func(thing any) string { b, err := xml.Marshal(thing); return fmt.Sprint(string(b), err) },
		"Println": func(thing any) string { return fmt.Sprintln(thing) },
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%o", "%b", "%c", "%U", "%e", "%t", "%T", "%10.3v"} {
		ways[verb] = func(thing any) string { return fmt.Sprintf(verb, thing) }
	}
	for name, thing := range things {
		for way, show := range ways {
			shown := show(thing)
			for what, needle := range needles {
				if strings.Contains(shown, needle) {
					t.Errorf("%s of %s shows %s", way, name, what)
				}
			}
		}
	}
}

// logged returns what a handler of package slog writes of thing.
func logged(handler func(io.Writer) slog.Handler, thing any) string {
	var b strings.Builder
	slog.New(handler(&b)).Info("shown", "thing", thing, slog.Group("group", "thing", thing))
	return b.String()
}
