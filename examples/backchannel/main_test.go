package main

import (
	"context"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	p := newProvider(t, true)
	for _, c := range []struct{ args, want string }{
		{"", "want -issuer and -client"},
		{"-issuer x -client y z", "want -issuer and -client"},
		{"-issuer x -client y -keys z", "-keys and -revoked go together"},
		{"-issuer x -client y -revoked z", "-keys and -revoked go together"},
		{"-issuer x -client y -keys /nowhere/keys -revoked z", "/nowhere/keys"},
		{"-issuer ISSUER/elsewhere -client y", "404 Not Found"},
		{"-issuer ISSUER -client y -addr nowhere:x", "listen tcp"},
	} {
		err := run(t.Context(), strings.Fields(strings.ReplaceAll(c.args, "ISSUER", p.url)), "secret")
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q in it", c.args, err, c.want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{"-issuer", p.url, "-client", clientID, "-addr", "127.0.0.1:0"}, "secret")
	}()
	cancel()
	if err := <-ended; err != nil && !strings.Contains(err.Error(), context.Canceled.Error()) {
		t.Errorf("got %v", err)
	}
}
