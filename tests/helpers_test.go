// Package tests holds the suites that use nothing but what applications can use, and are about no one file.
package tests

import (
	"log/slog"
	"net/url"
	"testing"

	"github.com/seed-50e21e88/cookiesession"
)

var site = &url.URL{Scheme: "https", Host: "shop.example", Path: "/"}

// newRing returns a Keyring of one key.
func newRing() *cookiesession.Keyring {
	keys, err := cookiesession.NewKeyring(cookiesession.GenerateKey("2026-11"))
	if err != nil {
		panic(err)
	}
	return keys
}

// newManager returns a Manager with a ring of one key, unless change sets another.
func newManager(t testing.TB, change func(*cookiesession.Config)) *cookiesession.Manager {
	t.Helper()
	c := cookiesession.Config{Keys: newRing(), Logger: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&c)
	}
	m, err := cookiesession.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return m
}
