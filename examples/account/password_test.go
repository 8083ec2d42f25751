package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestHasher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		h, stronger := newHasher(8, 1), newHasher(16, 2)
		hash, err := h.hash(ctx, password)
		if err != nil || !strings.HasPrefix(hash, "$argon2id$v=19$m=8,t=1,p=1$") {
			t.Fatalf("got %q, %v", hash, err)
		}
		if again, err := h.hash(ctx, password); err != nil || again == hash {
			t.Errorf("the same hash twice, or %v", err)
		}
		for _, c := range []struct {
			label, password, hash string
			want                  bool
		}{
			{"right", password, hash, true},
			{"wrong", otherPassword, hash, false},
			{"empty", "", hash, false},
			{"prefix", password[:15], hash, false},
			{"no account", password, "", false},
			// As the reference implementation computes it: echo -n password | argon2 somesalt -id -t 2 -m 13 -p 3
			{"reference", "password", "$argon2id$v=19$m=8192,t=2,p=3$c29tZXNhbHQ$mS1u8Zd51Xf4HkskY8ivzQV6ow3TOcat7xfDSlVLv+k", true},
		} {
			if got, err := stronger.check(ctx, c.password, c.hash); err != nil || got != c.want {
				t.Errorf("%s: got %t, %v, want %t", c.label, got, err, c.want)
			}
		}
		h.decoy = hash
		if got, err := h.check(ctx, password, ""); err != nil || got {
			t.Errorf("no account, with the decoy's own password: got %t, %v", got, err)
		}
	})
}

func TestHasherRefusesWhatIsNoHash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHasher(8, 1)
		good := h.decoy
		for _, hash := range []string{
			"x", "$", strings.Replace(good, "argon2id", "argon2i", 1), strings.Replace(good, "v=19", "v=16", 1),
			strings.Replace(good, "t=1", "t=0", 1), strings.Replace(good, "p=1", "p=0", 1), strings.Replace(good, "m=8", "m=x", 1),
			good + "$", good + "!", good[:strings.LastIndex(good, "$")+1], good[:strings.LastIndex(good, "$")+20],
		} {
			if ok, err := h.check(t.Context(), password, hash); ok || err == nil {
				t.Errorf("%q: got %t, %v, want an error", hash, ok, err)
			}
		}
		if _, err := h.check(t.Context(), password, good); err != nil {
			t.Error(err)
		}
	})
}

// TestHashesTakeTurns: memory is bounded, and who doesn't want to wait any more goes.
func TestHashesTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHasher(8, 1)
		for range cap(h.turns) {
			h.turns <- struct{}{}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := h.hash(ctx, password); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
		}
		<-h.turns
		if _, err := h.hash(t.Context(), password); err != nil {
			t.Error(err)
		}
	})
}
