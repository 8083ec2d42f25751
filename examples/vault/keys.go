package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

// keys is a ring whose content comes from read, and how that went. It answers health checks.
type keys struct {
	ring *cookiesession.Keyring
	read func(context.Context) (string, error)

	mu        sync.Mutex
	refreshed time.Time // when what was read was last put into force
	err       error     // why the latest attempt wasn't
}

// open reads the keys for the first time.
func open(ctx context.Context, read func(context.Context) (string, error)) (*keys, error) {
	text, err := read(ctx)
	if err != nil {
		return nil, err
	}
	ring, err := cookiesession.ParseKeyring(text)
	if err != nil {
		return nil, err
	}
	return &keys{ring: ring, read: read, refreshed: time.Now()}, nil
}

// refresh reads the keys and puts them into force. After an error those in force stay.
func (k *keys) refresh(ctx context.Context) error {
	text, err := k.read(ctx)
	if err == nil {
		err = k.ring.ReplaceText(text)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.err = err
	if err == nil {
		k.refreshed = time.Now()
	}
	return err
}

// watch refreshes until ctx ends. It logs what changes, and the same trouble once.
func (k *keys) watch(ctx context.Context, every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	logged := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		before := k.ring.Fingerprint()
		err := k.refresh(ctx)
		trouble := ""
		if err != nil {
			trouble = err.Error()
		}
		switch {
		case ctx.Err() != nil:
			return
		case trouble != "" && trouble != logged:
			slog.Error("the keys in force stay", "error", err, "ring", before)
		case trouble == "" && (logged != "" || k.ring.Fingerprint() != before):
			slog.Info("keys in force", "ring", k.ring.Fingerprint())
		}
		logged = trouble
	}
}

// ServeHTTP says what is in force. The status is 503 only if no key seals: while Vault is away the server works on, and
// must not be restarted, since then it would have no keys. Fingerprints that differ between servers for longer than a
// refresh takes deserve an alert.
func (k *keys) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	k.mu.Lock()
	refreshed, err := k.refreshed, k.err
	k.mu.Unlock()
	health := struct {
		Ring      string                  `json:"ring"` // the fingerprint; like all here, no secret
		Keys      []cookiesession.KeyInfo `json:"keys"`
		Refreshed time.Time               `json:"refreshed"`
		Error     string                  `json:"error,omitempty"`
	}{Ring: k.ring.Fingerprint(), Keys: k.ring.Keys(), Refreshed: refreshed.UTC()}
	if err != nil {
		health.Error = err.Error()
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	seals := func(key cookiesession.KeyInfo) bool { return key.State == cookiesession.KeySealing }
	if !slices.ContainsFunc(health.Keys, seals) {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	json.NewEncoder(w).Encode(health)
}
