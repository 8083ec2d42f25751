package interop

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

const vectors = "../testdata/vectors"

// TestVectors has the program open every vector.
func TestVectors(t *testing.T) {
	files, err := filepath.Glob(vectors + "/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no vectors: %v", err)
	}
	type vector struct {
		agreement
		Cookie []octets `json:"cookie"`
		Expect struct {
			outcome
			CSRFToken   string         `json:"csrf_token"`
			CSRFRefused string         `json:"csrf_refused"`
			Values      map[string]any `json:"values"`
			FlashValues map[string]any `json:"flash_values"`
		} `json:"expect"`
		Payload      string `json:"payload"`
		FlashPayload string `json:"flash_payload"`
		Canonical    bool   `json:"canonical"`
	}
	all := make([]vector, len(files))
	requests := make([]request, len(files))
	for i, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.UseNumber()
		v := &all[i]
		if err := decoder.Decode(v); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		want := &v.Expect.outcome
		want.Created, want.Expires = normal(want.Created), normal(want.Expires)
		if v.Expect.Values != nil {
			want.Values = normal(map[string]any{"map": v.Expect.Values})
		}
		if v.Expect.FlashValues != nil {
			want.FlashValues = normal(map[string]any{"map": v.Expect.FlashValues})
		}
		requests[i] = request{agreement: v.agreement, Cookie: v.Cookie}
		if token := v.Expect.CSRFToken; token != "" {
			requests[i].CSRF = append(requests[i].CSRF, token)
			want.CSRF = append(want.CSRF, true)
		}
		if token := v.Expect.CSRFRefused; token != "" {
			requests[i].CSRF = append(requests[i].CSRF, token)
			want.CSRF = append(want.CSRF, false)
		}
	}

	for i, got := range node(t, "open", requests) {
		v := &all[i]
		if v.Expect.Values == nil {
			got.Values = nil // the vectors' notation can't hold them
		}
		if got, want := got.outcome.String(), v.Expect.outcome.String(); got != want {
			t.Errorf("%s: got %s, want %s", files[i], got, want)
		}
		if got.Session == "opens" && v.Payload != "" && (got.Payload != v.Payload || v.Canonical && !got.Canonical) {
			t.Errorf("%s: payload %s, canonical %t; want %s, %t", files[i], got.Payload, got.Canonical, v.Payload, v.Canonical)
		}
		if got.Flash == "opens" && v.FlashPayload != "" && (got.FlashPayload != v.FlashPayload || v.Canonical && !got.FlashCanonical) {
			t.Errorf("%s: flash payload %s, canonical %t; want %s, %t", files[i], got.FlashPayload, got.FlashCanonical, v.FlashPayload, v.Canonical)
		}
	}
	t.Logf("%d vectors opened", len(all))
}
