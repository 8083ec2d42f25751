package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestOverHTTP: what the other tests hand over by hand arrives over the network, too.
func TestOverHTTP(t *testing.T) {
	for _, name := range means(t) {
		s := newSite(t, name)
		server := httptest.NewServer(s.handler())
		defer server.Close()
		v := newVisitor(t, s.app)
		v.client.Transport = http.DefaultTransport
		v.origin = server.URL
		v.register("ada")
		thief := v.copied()
		thief.client.Transport = http.DefaultTransport
		v.open("/sessions").submit("/sessions/end-others")
		v.wantMember("ada")
		thief.wantMember("")
	}
}

func TestRunRefuses(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct{ label, args, want string }{
		{"argument", "x", `unexpected argument "x"`},
		{"flag", "-x", "flag provided but not defined: -x"},
		{"keys alone", "-keys DIR/keys", "-db and -keys go together"},
		{"accounts alone", "-db DIR/db", "-db and -keys go together"},
		{"no keys", "-db DIR/db -keys DIR/none", "none: no such file"},
		{"means", "-revoke x", `-revoke is "x", want version, memory or file:PATH`},
		{"no path", "-revoke file:", `-revoke is "file:", want`},
		{"no database", "-db DIR/none/db -keys DIR/keys", "open database: "},
		{"forgetful", "-db DIR/db -keys DIR/keys -revoke memory", "-revoke memory forgets at the end what it ended"},
		{"address", "-addr nowhere:x", "listen tcp"},
	} {
		t.Run(c.label, func(t *testing.T) {
			if c.label != "no keys" {
				writeKeys(t, filepath.Join(dir, "keys"))
			}
			err := run(t.Context(), strings.Fields(strings.ReplaceAll(c.args, "DIR", dir)))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q in it", err, c.want)
			}
		})
	}
}

// TestRunEnds: every means starts, and ends when told to.
func TestRunEnds(t *testing.T) {
	dir := t.TempDir()
	writeKeys(t, filepath.Join(dir, "keys"))
	for _, args := range []string{
		"-revoke version", "-revoke memory", "-revoke file:DIR/revoked",
		"-db DIR/db -keys DIR/keys", "-db DIR/db -keys DIR/keys -revoke file:DIR/revoked",
	} {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			ended <- run(ctx, append(strings.Fields(strings.ReplaceAll(args, "DIR", dir)), "-addr", "127.0.0.1:0"))
		}()
		cancel()
		if err := <-ended; err != nil && !strings.Contains(err.Error(), context.Canceled.Error()) {
			t.Errorf("%s: %v", args, err)
		}
	}
}

func writeKeys(t *testing.T, file string) {
	t.Helper()
	secret := make([]byte, 32)
	rand.Read(secret)
	if err := os.WriteFile(file, []byte(hex.EncodeToString(secret)), 0o600); err != nil {
		t.Fatal(err)
	}
}
