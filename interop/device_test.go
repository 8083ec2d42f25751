package interop

import (
	"encoding/hex"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/seed-50e21e88/cookiesession"
	"github.com/seed-50e21e88/cookiesession/internal/dbscjwt"
)

// TestDevice has the library take device-aware sessions that the program wrote, and the challenges with them.
func TestDevice(t *testing.T) {
	const secret = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
	keys, err := cookiesession.ParseKeyring("key=hex:" + secret)
	if err != nil {
		t.Fatal(err)
	}
	m, err := cookiesession.New(cookiesession.Config{
		Keys: keys, Scope: "shop", DeviceProof: 10 * time.Minute, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	s := newSigner(t)
	proof := s.sign(`{"alg":"ES256","typ":"dbsc+jwt","jwk":`+s.jwk+`}`, `{"jti":"any"}`)
	parsed, err := dbscjwt.Parse(proof)
	if err != nil {
		t.Fatal(err)
	}
	point, err := parsed.Register()
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().Unix()
	id, compressed, permit := "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf", hex.EncodeToString(point[:]), ""
	var requests []request
	for _, device := range []*string{&permit, &compressed} {
		requests = append(requests, request{
			agreement: agreement{Keys: []key{{Secret: secret}}, Scope: "shop", Name: "__Host-session", Now: now, DeviceProof: 600},
			Session:   &content{ID: id, Created: now, Sealed: now, Expires: now + 1000, Values: map[string]any{"map": map[string]any{"user": "ada"}}},
			Device:    device,
		})
	}
	for i, reply := range node(t, "seal", requests) {
		var pairs []string
		for _, line := range reply.SetCookie {
			pair, _, _ := strings.Cut(line, ";")
			pairs = append(pairs, pair)
		}
		hasKey := i == 1
		r := httptest.NewRequest(http.MethodPost, "https://shop.example/.cookiesession/session", nil)
		r.Header.Set("Cookie", strings.Join(pairs, "; "))
		got, err := m.Load(r)
		if err != nil || got.ID() != id || got.Get("user") != "ada" || got.DeviceProven() != hasKey {
			t.Fatalf("device %q: got session %s for %v, proven %v, error %v", *requests[i].Device, got.ID(), got.Get("user"), got.DeviceProven(), err)
		}
		if hasKey {
			r.Header.Set("Sec-Secure-Session-Id", "oKGio6Slpqc")
			proof = s.sign(`{"alg":"ES256","typ":"dbsc+jwt"}`, `{"jti":"`+reply.Challenge+`"}`)
		} else {
			proof = s.sign(`{"alg":"ES256","typ":"dbsc+jwt","jwk":`+s.jwk+`}`, `{"jti":"`+reply.Challenge+`"}`)
		}
		r.Header.Set("Secure-Session-Response", proof)
		rec := httptest.NewRecorder()
		m.DeviceHandler().ServeHTTP(rec, r)
		if rec.Code != http.StatusOK || !strings.Contains(rec.Body.String(), `"refresh_url"`) {
			t.Errorf("device %q: the challenge is refused: %d %s", *requests[i].Device, rec.Code, rec.Body)
		}
	}
}
