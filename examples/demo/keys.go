package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

// keyring is a Keyring and where its keys come from.
type keyring struct {
	*cookiesession.Keyring
	source keySource

	mu   sync.Mutex
	made []cookiesession.Key // newest first; only keys that this server made can be rotated from its page
	next int                 // number of the next key
}

type keySource int

const (
	keysMade keySource = iota // at start, in memory
	keysFile
	keysEnv
)

// maxMadeKeys bounds what a finger on the button can pile up. The oldest key leaves, and sessions under it end.
const maxMadeKeys = 8

// openKeys reads the key file if one is named, else the environment's keys if there are any, else makes a key.
func openKeys(file, env string) (*keyring, error) {
	switch {
	case file != "":
		ring, err := cookiesession.OpenKeyFile(file)
		if err != nil {
			return nil, err
		}
		return &keyring{Keyring: ring, source: keysFile}, nil
	case env != "":
		ring, err := cookiesession.ParseKeyring(env)
		if err != nil {
			return nil, fmt.Errorf("COOKIESESSION_KEYS: %w", err)
		}
		return &keyring{Keyring: ring, source: keysEnv}, nil
	}
	k := &keyring{next: 2, made: []cookiesession.Key{cookiesession.GenerateKey("key-1")}}
	var err error
	k.Keyring, err = cookiesession.NewKeyring(k.made...)
	return k, err
}

// watch follows the key file until ctx ends. What it finds it logs.
func (k *keyring) watch(ctx context.Context) {
	if k.source == keysFile {
		k.Watch(ctx, 0, nil)
	}
}

var errNotOurs = errors.New("these keys are their operator’s")

// rotate makes a key that seals from now on; the older ones go on opening. It returns the new key's label.
func (k *keyring) rotate(now time.Time) (string, error) {
	if k.source != keysMade {
		return "", errNotOurs
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	key := cookiesession.GenerateKey(fmt.Sprintf("key-%d", k.next))
	key.ActivateAt = now
	made := append([]cookiesession.Key{key}, k.made...)
	made = made[:min(len(made), maxMadeKeys)]
	if len(made) > 1 {
		made[1].RetireAt = now.Add(rememberFor) // no session under it lasts longer
	}
	if err := k.Replace(made...); err != nil {
		return "", err
	}
	k.made = made
	k.next++
	return key.Label, nil
}

// endAll refuses sessions that began before t. Other servers with the same keys would not know of it, so only a ring
// that this server made can be used so.
func (k *keyring) endAll(t time.Time) error {
	if k.source != keysMade {
		return errNotOurs
	}
	k.RefuseBefore(t)
	return nil
}

// note says in a sentence how long sessions last on account of their keys.
func (k *keyring) note() string {
	switch k.source {
	case keysFile:
		return "Keys come from a file, which is watched: sessions survive a restart and are shared by every server that reads it."
	case keysEnv:
		return "Keys come from COOKIESESSION_KEYS: sessions survive a restart and are shared by every server that has them."
	default:
		return "Keys were made at start and are kept in memory: sessions end when this server stops."
	}
}
