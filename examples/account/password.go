package main

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"strings"

	"golang.org/x/crypto/argon2"
)

const (
	saltLength = 16
	hashLength = 32
)

// A hasher makes and checks argon2id hashes, in PHC's string format: $argon2id$v=19$m=19456,t=2,p=1$salt$hash. It is
// safe for concurrent use.
type hasher struct {
	memory uint32 // KiB
	passes uint32
	turns  chan struct{} // one for each hash at a time: a flood of logins must not take all memory
	decoy  string        // the hash of no password
}

// newHasher returns a hasher of OWASP's first choice, 19 MiB and two passes, if given these.
func newHasher(memory, passes uint32) *hasher {
	h := &hasher{memory: memory, passes: passes, turns: make(chan struct{}, runtime.GOMAXPROCS(0))}
	h.decoy = h.encode(make([]byte, saltLength), make([]byte, hashLength))
	return h
}

func (h *hasher) encode(salt, hash []byte) string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=1$%s$%s", argon2.Version, h.memory, h.passes, b64.EncodeToString(salt), b64.EncodeToString(hash))
}

// hash returns a new hash of password. The error is ctx's.
func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	salt := make([]byte, saltLength)
	rand.Read(salt)
	hash, err := h.derive(ctx, password, salt, h.memory, h.passes, 1, hashLength)
	return h.encode(salt, hash), err
}

// check reports whether hash is one of password. Whatever is wrong, it takes as long as if all were right; without a
// hash, since there is no such account, as well. The error is ctx's, or that hash isn't one.
func (h *hasher) check(ctx context.Context, password, hash string) (bool, error) {
	known := hash != ""
	if !known {
		hash = h.decoy
	}
	var memory, passes uint32
	var threads uint8
	var version int
	fields := strings.Split(hash, "$")
	if len(fields) != 6 || fields[1] != "argon2id" {
		return false, errors.New("the stored password is no argon2id hash")
	}
	_, err := fmt.Sscanf(fields[2]+" "+fields[3], "v=%d m=%d,t=%d,p=%d", &version, &memory, &passes, &threads)
	salt, err2 := base64.RawStdEncoding.DecodeString(fields[4])
	want, err3 := base64.RawStdEncoding.DecodeString(fields[5])
	if errors.Join(err, err2, err3) != nil || version != argon2.Version || passes < 1 || threads < 1 || len(want) < 16 {
		return false, errors.New("the stored password is no argon2id hash of this version")
	}
	got, err := h.derive(ctx, password, salt, memory, passes, threads, uint32(len(want)))
	return subtle.ConstantTimeCompare(got, want) == 1 && known, err
}

// derive waits for its turn.
func (h *hasher) derive(ctx context.Context, password string, salt []byte, memory, passes uint32, threads uint8, length uint32) ([]byte, error) {
	select {
	case h.turns <- struct{}{}:
		defer func() { <-h.turns }()
		return argon2.IDKey([]byte(password), salt, passes, memory, threads, length), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
