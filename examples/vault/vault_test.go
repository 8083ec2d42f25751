package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-50e21e88/cookiesession"
	"github.com/seed-50e21e88/cookiesession/cookiesessiontest"
)

const (
	oldSecret = "hex:9c1185a5c5e9fc54612808977ee8f548b2258d31ddadef707ba62c166051c9e3"
	newSecret = "hex:4b0dfb1e7cd63ce08a5ac5d8b2a2f2bbfe3b1dc3b3c6a3be9bf96ea2a1ec42f7"
	oldKeys   = `{"keys": [{"label": "old", "secret": "` + oldSecret + `"}]}`
	bothKeys  = `{"keys": [{"label": "new", "secret": "` + newSecret + `"}, {"label": "old", "secret": "` + oldSecret + `"}]}`
)

// A vault speaks as much of Vault's HTTP API as reading a secret of the key-value engine, version 2, takes.
type vault struct {
	mu      sync.Mutex
	token   string
	version int
	secret  map[string]any // nil: deleted
	sealed  bool
	answer  string // if set, in the place of all that
}

func (v *vault) put(secret map[string]any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.version++
	v.secret = secret
}

func (v *vault) seal(on bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.sealed = on
}

func (v *vault) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	answer := func(status int, body any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		json.NewEncoder(w).Encode(body)
	}
	refuse := func(status int, errs ...string) { answer(status, map[string]any{"errors": errs}) }
	metadata := map[string]any{"created_time": "2026-11-21T14:00:00.000000000Z", "deletion_time": "", "destroyed": false, "version": v.version}
	switch {
	case v.answer != "":
		fmt.Fprint(w, v.answer)
	case v.sealed:
		refuse(http.StatusServiceUnavailable, "Vault is sealed")
	case r.Header.Get("X-Vault-Token") != v.token:
		refuse(http.StatusForbidden, "permission denied")
	case r.Method != "GET" || r.URL.Path != "/v1/secret/data/shop/session":
		refuse(http.StatusNotFound)
	case v.secret == nil:
		metadata["deletion_time"] = "2026-11-21T15:00:00.000000000Z"
		answer(http.StatusNotFound, map[string]any{"data": map[string]any{"data": nil, "metadata": metadata}})
	default:
		answer(http.StatusOK, map[string]any{
			"request_id": "17a1d0be", "lease_id": "", "renewable": false, "lease_duration": 0,
			"data": map[string]any{"data": v.secret, "metadata": metadata},
		})
	}
}

func newVault() *vault {
	return &vault{token: "hvs.test", version: 1, secret: map[string]any{"keys": oldKeys}}
}

// sourceAt returns the source of a server's secret.
func sourceAt(url string, client *http.Client) *source {
	return &source{url: url + "/v1/secret/data/shop/session", token: func() (string, error) { return "hvs.test", nil }, client: client}
}

func openKeys(t *testing.T, v *vault) *keys {
	t.Helper()
	server := httptest.NewServer(v)
	t.Cleanup(server.Close)
	k, err := open(t.Context(), sourceAt(server.URL, server.Client()).read)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// Sessions live through a rotation that reaches the server by way of Vault.
func TestRotation(t *testing.T) {
	v := newVault()
	k := openKeys(t, v)
	m, err := cookiesession.New(cookiesession.Config{Keys: k.ring})
	if err != nil {
		t.Fatal(err)
	}
	r := cookiesessiontest.Request(t, m, httptest.NewRequest("GET", "/", nil), map[string]any{"user": "grace"})
	v.put(map[string]any{"keys": bothKeys})
	if err := k.refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	s, err := m.Load(r)
	if err != nil || s.Get("user") != "grace" {
		t.Errorf("after the rotation: got %v, %v", s.All(), err)
	}
	s.Put("n", 1)
	if err := m.Save(make(http.Header), s); err != nil {
		t.Fatal(err)
	}
	if stats := m.Stats().Keys; stats["old"].Opened != 1 || stats["new"].Sealed != 1 {
		t.Errorf("got %+v, want a session opened with the old key and sealed with the new one", stats)
	}
}

func TestFailuresKeepTheLastGoodRing(t *testing.T) {
	tests := []struct {
		name   string
		change func(v *vault)
		want   string // in the error
	}{
		{"sealed", func(v *vault) { v.seal(true) }, "vault answers 503"},
		{"token refused", func(v *vault) { v.token = "another" }, "vault answers 403"},
		{"deleted", func(v *vault) { v.put(nil) }, "vault answers 404"},
		{"another member", func(v *vault) { v.put(map[string]any{"key": bothKeys}) }, `no member "keys"`},
		{"version 1 of the engine", func(v *vault) { v.answer = `{"data": {"keys": "hex:00"}}` }, "isn't version 2"},
		{"no JSON", func(v *vault) { v.answer = "<html>" + oldSecret }, "isn't one of its key-value engine"},
		{"cut off", func(v *vault) { v.answer = `{"data": {"data": {"keys": "` + oldSecret }, "isn't one of its key-value engine"},
		{"a number", func(v *vault) { v.put(map[string]any{"keys": 1}) }, "isn't one of its key-value engine"},
		{"a broken key file", func(v *vault) { v.put(map[string]any{"keys": bothKeys[:len(bothKeys)-9]}) }, "cookiesession: keys: "},
		{"a weak secret", func(v *vault) { v.put(map[string]any{"keys": `{"keys":[{"label":"a","secret":"aGFsbG8="}]}`}) }, "cookiesession: keys: "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := newVault()
			k := openKeys(t, v)
			good := k.ring.Fingerprint()
			tt.change(v)
			err := k.refresh(t.Context())
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %v, want %q", err, tt.want)
			}
			for _, secret := range []string{oldSecret, newSecret, "aGFsbG8="} {
				if strings.Contains(fmt.Sprint(err), strings.TrimPrefix(secret, "hex:")) {
					t.Errorf("the error has a secret: %v", err)
				}
			}
			if got := k.ring.Fingerprint(); got != good {
				t.Errorf("got ring %s, want %s", got, good)
			}
			if _, err := open(t.Context(), k.read); err == nil {
				t.Error("a server that starts now has keys")
			}

			server := httptest.NewServer(newVault())
			defer server.Close()
			k.read = sourceAt(server.URL, server.Client()).read
			if err := k.refresh(t.Context()); err != nil {
				t.Errorf("when all is well again: %v", err)
			}
		})
	}
}

func TestHealth(t *testing.T) {
	v := newVault()
	k := openKeys(t, v)
	check := func(when string, status int, want string) {
		t.Helper()
		w := httptest.NewRecorder()
		k.ServeHTTP(w, httptest.NewRequest("GET", "/healthz", nil))
		body := w.Body.String()
		if w.Code != status || !strings.Contains(body, want) || !strings.Contains(body, `"ring":"`+k.ring.Fingerprint()+`"`) {
			t.Errorf("%s: got %d %s, want %d and %s", when, w.Code, body, status, want)
		}
		if strings.Contains(body, strings.TrimPrefix(oldSecret, "hex:")) {
			t.Errorf("%s: got a secret", when)
		}
	}
	check("at first", 200, `"State":"sealing"`)
	v.seal(true)
	if err := k.refresh(t.Context()); err == nil {
		t.Error("sealed: no error")
	}
	check("while Vault is sealed", 200, `"error":"vault answers 503 Service Unavailable"`)

	soon := time.Now().Add(time.Hour)
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(soon.Add(-time.Hour))) // the bubble's clock starts in 2000
		retiring := strings.Replace(oldKeys, `"}]`, `", "retire_at": "`+soon.UTC().Format(time.RFC3339)+`"}]`, 1)
		var err error
		if k, err = open(t.Context(), func(context.Context) (string, error) { return retiring, nil }); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Hour)
		check("when the last key has retired", 503, `"State":"retired"`)
	})
}

func TestTokenFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	token := tokenFrom(file)
	if _, err := token(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without the file: got %v", err)
	}
	for _, want := range []string{"hvs.first", "hvs.second"} { // Vault Agent replaces it
		if err := os.WriteFile(file, []byte(want+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := token(); got != want || err != nil {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
	t.Setenv("VAULT_TOKEN", "hvs.env")
	if got, err := tokenFrom("")(); got != "hvs.env" || err != nil {
		t.Errorf("from the environment: got %q, %v", got, err)
	}
}

func TestRedirects(t *testing.T) {
	v := newVault()
	for _, tt := range []struct{ from, to, fails string }{
		{"https://standby", "https://active", ""},
		{"http://standby", "http://active", ""},
		{"https://standby", "http://active", "vault redirects from HTTPS to HTTP"},
		{"https://standby", "https://standby", "vault redirects without end"},
	} {
		cluster := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Host == "active" {
				v.ServeHTTP(w, r)
				return
			}
			http.Redirect(w, r, tt.to+r.URL.Path, http.StatusTemporaryRedirect)
		})
		client := &http.Client{Transport: inMemory{cluster}, CheckRedirect: staysPrivate}
		text, err := sourceAt(tt.from, client).read(t.Context())
		switch {
		case tt.fails == "" && (err != nil || text != oldKeys):
			t.Errorf("%s to %s: got %v", tt.from, tt.to, err)
		case tt.fails != "" && (err == nil || !strings.Contains(err.Error(), tt.fails)):
			t.Errorf("%s to %s: got %v, want %s", tt.from, tt.to, err, tt.fails)
		}
	}
}

// An inMemory transport hands requests to a handler, so that a test can have its own clock.
type inMemory struct{ http.Handler }

func (t inMemory) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	t.ServeHTTP(w, r)
	return w.Result(), nil
}

// A record takes what is logged.
type record struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (r *record) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(b)
}

// take returns the lines since the last call.
func (r *record) take() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.text.Reset()
	return strings.TrimSpace(r.text.String())
}

func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logged record
		old := slog.Default()
		slog.SetDefault(slog.New(slog.NewTextHandler(&logged, nil)))
		defer slog.SetDefault(old)

		v := newVault()
		ctx, cancel := context.WithCancel(t.Context())
		k, err := open(ctx, sourceAt("http://vault", &http.Client{Transport: inMemory{v}}).read)
		if err != nil {
			t.Fatal(err)
		}
		first := k.ring.Fingerprint()
		done := make(chan struct{})
		go func() { k.watch(ctx, time.Minute); close(done) }()

		wait := func(d time.Duration) { time.Sleep(d); synctest.Wait() }
		lines := func(want ...string) {
			t.Helper()
			got := strings.Split(logged.take(), "\n")
			if len(want) == 0 && got[0] == "" {
				return
			}
			if len(got) != len(want) {
				t.Errorf("got lines %q, want %q", got, want)
				return
			}
			for i := range want {
				if !strings.Contains(got[i], want[i]) {
					t.Errorf("got line %q, want %q in it", got[i], want[i])
				}
			}
		}
		wait(10 * time.Minute)
		lines()

		v.put(map[string]any{"keys": bothKeys})
		wait(time.Minute - time.Second)
		wait(2 * time.Second)
		if k.ring.Fingerprint() == first {
			t.Error("a minute after the rotation the old ring is in force")
		}
		second := k.ring.Fingerprint()
		lines(`msg="keys in force" ring=` + second)

		v.seal(true)
		wait(10 * time.Minute)
		if got := k.ring.Fingerprint(); got != second {
			t.Errorf("while Vault is sealed: got ring %s, want %s", got, second)
		}
		lines("the keys in force stay") // once

		v.seal(false)
		wait(time.Minute)
		lines(`msg="keys in force" ring=` + second)

		cancel()
		<-done
		lines()
	})
}
