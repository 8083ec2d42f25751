package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

// A source is a secret in Vault's key-value engine, version 2.
type source struct {
	url    string // …/v1/MOUNT/data/PATH
	token  func() (string, error)
	client *http.Client
}

// tokenFrom returns a function that reads the token when it's needed: Vault Agent replaces the file before the token in
// it expires. Without a file it's the one in VAULT_TOKEN.
func tokenFrom(file string) func() (string, error) {
	return func() (string, error) {
		if file == "" {
			return os.Getenv("VAULT_TOKEN"), nil
		}
		text, err := os.ReadFile(file)
		return strings.TrimSpace(string(text)), err
	}
}

// read returns the secret's member "keys". No error repeats what Vault answered: it might be the secret.
func (s *source) read(ctx context.Context) (string, error) {
	token, err := s.token()
	if err != nil {
		return "", fmt.Errorf("token for Vault: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, "GET", s.url, nil)
	if err != nil {
		return "", err
	}
	r.Header.Set("X-Vault-Token", token)
	r.Header.Set("X-Vault-Request", "true") // Vault Agent, if configured so, forwards nothing without it
	resp, err := s.client.Do(r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("vault answers %s", resp.Status)
	}
	var answer struct {
		Data struct {
			Data struct{ Keys string }
		}
	}
	const limit = 4 << 20 // a key file has at most 1 MiB
	if json.NewDecoder(io.LimitReader(resp.Body, limit)).Decode(&answer) != nil {
		return "", errors.New("vault's answer isn't one of its key-value engine, version 2")
	}
	if answer.Data.Data.Keys == "" {
		return "", errors.New(`the secret has no member "keys", or the engine isn't version 2`)
	}
	return answer.Data.Data.Keys, nil
}

// staysPrivate follows a redirect, by which a server of a cluster leads to the active one, unless it leads from HTTPS to
// HTTP: token and keys would travel in the clear. Vault's own client does likewise.
func staysPrivate(r *http.Request, via []*http.Request) error {
	switch {
	case via[0].URL.Scheme == "https" && r.URL.Scheme != "https":
		return errors.New("vault redirects from HTTPS to HTTP")
	case len(via) > 3:
		return errors.New("vault redirects without end")
	}
	return nil
}
