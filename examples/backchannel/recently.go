package main

import (
	"sync"
	"time"
)

// recently is a set of strings that it forgets after a time. It grows only with what the provider has signed. It is safe
// for concurrent use.
type recently struct {
	keep time.Duration

	mu    sync.Mutex
	until map[string]time.Time
	sweep time.Time // when to look for what is to be forgotten
}

func newRecently(keep time.Duration) *recently {
	return &recently{keep: keep, until: map[string]time.Time{}}
}

// add reports whether key is new.
func (r *recently) add(key string) bool {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.After(r.sweep) {
		for key, until := range r.until {
			if now.After(until) {
				delete(r.until, key)
			}
		}
		r.sweep = now.Add(r.keep)
	}
	if until, found := r.until[key]; found && !now.After(until) {
		return false
	}
	r.until[key] = now.Add(r.keep)
	return true
}

func (r *recently) remove(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.until, key)
}
