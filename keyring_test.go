package cookiesession_test

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// ringAt returns a ring of keys whose clock stands at now.
func ringAt(t *testing.T, now time.Time, keys ...cookiesession.Key) (*cookiesession.Keyring, error) {
	t.Helper()
	ring := newRing(t, cookiesession.GenerateKey("first"))
	ring.SetClock(func() time.Time { return now })
	return ring, ring.Replace(keys...)
}

// sealedBy returns a token that a server with the ring seals.
func sealedBy(t *testing.T, ring *cookiesession.Keyring, now time.Time, payload string) []byte {
	t.Helper()
	token, err := cookiesession.NewTestSealer(ring).Seal(now, payload)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// wantError checks an error's text behind the package's name; it is "" if there is to be none.
func wantError(t *testing.T, name string, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("%s: %v", name, err)
	case want != "" && (err == nil || err.Error() != "cookiesession: "+want):
		t.Errorf("%s: got %v, want %s", name, err, want)
	}
}

func TestNewKeyringRefuses(t *testing.T) {
	a, b := parsedKey(t, "a", secretA), parsedKey(t, "b", secretB)
	with := func(key cookiesession.Key, change func(*cookiesession.Key)) cookiesession.Key {
		change(&key)
		return key
	}
	label := func(label string) cookiesession.Key {
		return with(a, func(key *cookiesession.Key) { key.Label = label })
	}
	const badCharacter = "key label has a character other than A-Z a-z 0-9 . _ -"
	const noActive = "no key is active now; give one key an ActivateAt that has passed and no RetireAt that has"
	for _, test := range []struct {
		name string
		keys []cookiesession.Key
		want string
	}{
		{"no keys", nil, noActive},
		{"no label", []cookiesession.Key{label("")}, "key label has 0 characters, want 1 to 64"},
		{"label of 64 characters", []cookiesession.Key{label(strings.Repeat("x", 64))}, ""},
		{"label of 65 characters", []cookiesession.Key{label(strings.Repeat("x", 65))}, "key label has 65 characters, want 1 to 64"},
		{"label with every character", []cookiesession.Key{label("A-Z_a.z09")}, ""},
		{"label with a space", []cookiesession.Key{label("a b")}, badCharacter},
		{"label with an umlaut", []cookiesession.Key{label("ä")}, badCharacter},
		{"label with a line break", []cookiesession.Key{label("a\n")}, badCharacter},
		{"label with =", []cookiesession.Key{label("a=")}, badCharacter},
		{"label with the character before 0", []cookiesession.Key{label("/")}, badCharacter},
		{"label with the character behind 9", []cookiesession.Key{label(":")}, badCharacter},
		{"label with the character before A", []cookiesession.Key{label("@")}, badCharacter},
		{"label with the character behind Z", []cookiesession.Key{label("[")}, badCharacter},
		{"label with the character before a", []cookiesession.Key{label("`")}, badCharacter},
		{"label with the character behind z", []cookiesession.Key{label("{")}, badCharacter},
		{"same label", []cookiesession.Key{a, with(b, func(key *cookiesession.Key) { key.Label = "a" })}, "key a: its label is listed twice"},
		{"same secret", []cookiesession.Key{a, with(a, func(key *cookiesession.Key) { key.Label = "b" })}, "key b: has the same secret as a"},
		{"secret as the label", []cookiesession.Key{{Label: secretA[:40], Secret: []byte("august")}}, "key (label not shown, it may be a secret): secret has 6 bytes, want 32 to 64 random ones"},
		{"secret as the label, hexadecimal", []cookiesession.Key{{Label: secretAHex[:40], Secret: []byte("august")}}, "key (label not shown, it may be a secret): secret has 6 bytes, want 32 to 64 random ones"},
		// golangcollege/sessions filled short keys up with zeros and took the empty one.
		{"no secret", []cookiesession.Key{{Label: "a"}}, "key a: secret has 0 bytes, want 32 to 64 random ones"},
		{"short secret", []cookiesession.Key{{Label: "a", Secret: a.Secret[:31]}}, "key a: secret has 31 bytes, want 32 to 64 random ones"},
		{"zero secret", []cookiesession.Key{{Label: "a", Secret: make([]byte, 32)}}, "key a: secret has only 1 distinct bytes, so it is not random"},
		{"retires when it activates", []cookiesession.Key{with(a, func(key *cookiesession.Key) { key.ActivateAt, key.RetireAt = noon, noon })}, "key a: retires before it activates"},
		{"active from now", []cookiesession.Key{with(a, func(key *cookiesession.Key) { key.ActivateAt = noon })}, ""},
		{"active in a moment", []cookiesession.Key{with(a, func(key *cookiesession.Key) { key.ActivateAt = noon.Add(1) })}, noActive},
		{"retires in a moment", []cookiesession.Key{with(a, func(key *cookiesession.Key) { key.RetireAt = noon.Add(1) })}, ""},
		{"retired now", []cookiesession.Key{with(a, func(key *cookiesession.Key) { key.RetireAt = noon })}, noActive},
	} {
		_, err := ringAt(t, noon, test.keys...)
		wantError(t, test.name, err, test.want)
	}
}

func TestKeys(t *testing.T) {
	vienna := time.FixedZone("Vienna", 3600)
	ring, err := ringAt(t, noon,
		cookiesession.Key{Label: "retired", Secret: cookiesession.GenerateKey("").Secret, RetireAt: noon},
		cookiesession.Key{Label: "opening", Secret: cookiesession.GenerateKey("").Secret},
		cookiesession.Key{Label: "also-opening", Secret: cookiesession.GenerateKey("").Secret},
		cookiesession.Key{Label: "sealing", Secret: cookiesession.GenerateKey("").Secret, ActivateAt: noon.In(vienna), RetireAt: noon.Add(1).In(vienna)},
		cookiesession.Key{Label: "pending", Secret: cookiesession.GenerateKey("").Secret, ActivateAt: noon.Add(1)})
	if err != nil {
		t.Fatal(err)
	}
	keys := ring.Keys()
	var got []string
	for i := range keys {
		got = append(got, fmt.Sprint(keys[i].Label, " ", keys[i].State, " ", keys[i].ActivateAt, " ", keys[i].RetireAt))
		if len(keys[i].Fingerprint) != 16 {
			t.Errorf("%s: fingerprint %q", keys[i].Label, keys[i].Fingerprint)
		}
	}
	const never = "0001-01-01 00:00:00 +0000 UTC"
	want := []string{
		"pending pending 2026-11-21 12:00:00.000000001 +0000 UTC " + never,
		"sealing sealing 2026-11-21 12:00:00 +0000 UTC 2026-11-21 12:00:00.000000001 +0000 UTC",
		"retired retired " + never + " 2026-11-21 12:00:00 +0000 UTC",
		"opening opening " + never + " " + never,
		"also-opening opening " + never + " " + never,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if text, err := json.Marshal(keys[1].State); err != nil || string(text) != `"sealing"` {
		t.Errorf("got %s, %v", text, err)
	}
}

func TestKeyStateStrings(t *testing.T) {
	for state, want := range map[cookiesession.KeyState]string{
		-1: "KeyState(-1)", cookiesession.KeyPending: "pending", cookiesession.KeySealing: "sealing",
		cookiesession.KeyOpening: "opening", cookiesession.KeyRetired: "retired", 4: "KeyState(4)",
	} {
		if got := state.String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// Equal on nodes with the same ring, different otherwise.
func TestFingerprint(t *testing.T) {
	now := time.Now()
	at := func(key cookiesession.Key, activate, retire time.Time) cookiesession.Key {
		key.ActivateAt, key.RetireAt = activate, retire
		return key
	}
	a, b := parsedKey(t, "a", secretA), parsedKey(t, "b", secretB)
	renamed := parsedKey(t, "other", "hex:"+secretAHex)
	base := newRing(t, a, b).Fingerprint()
	for name, other := range map[string]*cookiesession.Keyring{
		"the same":      newRing(t, a, b),
		"another label": newRing(t, renamed, b), // labels never leave the server
	} {
		if got := other.Fingerprint(); got != base {
			t.Errorf("%s: got %s, want %s", name, got, base)
		}
	}
	refusing := newRing(t, a, b)
	refusing.RefuseBefore(now)
	for name, other := range map[string]*cookiesession.Keyring{
		"another order":    newRing(t, b, a),
		"fewer keys":       newRing(t, a),
		"another key":      newRing(t, a, b, parsedKey(t, "c", secretC)),
		"another start":    newRing(t, a, at(b, now, time.Time{})),
		"another end":      newRing(t, a, at(b, time.Time{}, now)),
		"start in 3000":    newRing(t, a, at(b, time.Date(3000, 1, 1, 0, 0, 0, 0, time.UTC), time.Time{})),
		"start in 3001":    newRing(t, a, at(b, time.Date(3001, 1, 1, 0, 0, 0, 0, time.UTC), time.Time{})),
		"one not-before":   refusing,
		"start as the end": newRing(t, a, at(b, now.Add(-1), now)),
	} {
		if got := other.Fingerprint(); got == base {
			t.Errorf("%s: the same fingerprint", name)
		}
	}
	inUTC, elsewhere := newRing(t, a, at(b, now.UTC(), time.Time{})), newRing(t, a, at(b, now.In(time.FixedZone("", 3600)), time.Time{}))
	if inUTC.Fingerprint() != elsewhere.Fingerprint() {
		t.Error("the time zone counts")
	}
}

// Of all listings, the key that seals is the active one with the latest ActivateAt, the first listed of equals, and
// every key opens from the moment it is known until it retires. Flask 3.1.0 signed with the last of its fallback keys
// (CVE-2025-47278); iron-session sealed with the key of the highest number, so that adding one promoted it.
func TestSchedule(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	sealed := make(map[int]int) // by place in the listing
	none := 0
	for range 1500 {
		listing := make([]cookiesession.Key, 1+random.IntN(6))
		for i := range listing {
			key := cookiesession.GenerateKey(fmt.Sprint("key-", i))
			if hour := random.IntN(7); hour > 0 {
				key.ActivateAt = noon.Add(time.Duration(hour-3) * time.Hour)
			}
			if hour := random.IntN(7); hour > 0 {
				key.RetireAt = noon.Add(time.Duration(hour-3) * time.Hour)
				if !key.RetireAt.After(key.ActivateAt) {
					key.RetireAt = key.ActivateAt.Add(time.Hour)
				}
			}
			listing[i] = key
		}

		want := -1
		for i, key := range listing {
			active := !key.ActivateAt.After(noon) && (key.RetireAt.IsZero() || key.RetireAt.After(noon))
			if active && (want < 0 || key.ActivateAt.After(listing[want].ActivateAt)) {
				want = i
			}
		}
		ring, err := ringAt(t, noon, listing...)
		if want < 0 {
			none++
			if err == nil {
				t.Fatalf("a ring without an active key was accepted: %v", listing)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		sealed[want]++
		node := cookiesession.NewTestSealer(ring)
		token := sealedBy(t, ring, noon, "payload")
		if _, label, refused := node.Open(noon, token); refused != nil || label != listing[want].Label {
			t.Fatalf("sealed with %s (%v), want %s of %+v", label, refused, listing[want].Label, ring.Keys())
		}
		if info := ring.Keys()[slices.IndexFunc(ring.Keys(), func(k cookiesession.KeyInfo) bool { return k.Label == listing[want].Label })]; info.State != cookiesession.KeySealing {
			t.Fatalf("%s is %s, want sealing", info.Label, info.State)
		}

		for _, key := range listing {
			alone := newRing(t, cookiesession.Key{Label: "alone", Secret: key.Secret})
			payload, label, refused := node.Open(noon, sealedBy(t, alone, noon, key.Label))
			if retired := !key.RetireAt.IsZero() && !key.RetireAt.After(noon); retired {
				if refused == nil || refused.Reason != cookiesession.ReasonUnknownKey || refused.KeyLabel != key.Label {
					t.Fatalf("%s has retired: got %v", key.Label, refused)
				}
			} else if refused != nil || payload != key.Label || label != key.Label {
				t.Fatalf("%s: got %q by %s, %v", key.Label, payload, label, refused)
			}
		}
	}
	if none == 0 || len(sealed) < 5 {
		t.Errorf("the listings were too tame: sealed %v, none %d", sealed, none)
	}
}

func TestReplace(t *testing.T) {
	a, b := parsedKey(t, "a", secretA), parsedKey(t, "b", secretB)
	ring := newRing(t, a)
	node := cookiesession.NewTestSealer(ring)
	token := sealedBy(t, ring, noon, "payload")
	if err := ring.Replace(b, b); err == nil {
		t.Error("a bad listing was accepted")
	}
	if payload, _, refused := node.Open(noon, token); refused != nil || payload != "payload" {
		t.Errorf("after a failed Replace: got %q, %v", payload, refused)
	}

	if err := ring.Replace(b); err != nil {
		t.Fatal(err)
	}
	clear(b.Secret) // the ring has its own copy
	if _, _, refused := node.Open(noon, token); refused == nil || refused.Reason != cookiesession.ReasonUnknownKey {
		t.Errorf("a is gone, got %v", refused)
	}
	token = sealedBy(t, parsedRing(t, "b="+secretB), noon, "payload")
	if payload, _, refused := node.Open(noon, token); refused != nil || payload != "payload" {
		t.Errorf("after Replace: got %q, %v", payload, refused)
	}
}

// The last key retires while the program runs: opening fails, sealing says why.
func TestNoKeyLeft(t *testing.T) {
	key := parsedKey(t, "a", secretA)
	key.RetireAt = noon
	ring, err := ringAt(t, noon.Add(-1), key)
	if err != nil {
		t.Fatal(err)
	}
	_, err = cookiesession.NewTestSealer(ring).Seal(noon, "payload")
	if want := "cookiesession: no key is active now; give one key an ActivateAt that has passed and no RetireAt that has"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// Each request finds one ring whole, whatever is swapped meanwhile.
func TestReplaceWithRequestsInFlight(t *testing.T) {
	kept := parsedKey(t, "kept", secretA)
	ring := newRing(t, kept)
	node := cookiesession.NewTestSealer(ring)
	old := sealedBy(t, ring, time.Now(), "old")
	stop := make(chan struct{})
	var requests sync.WaitGroup
	var answered atomic.Int64
	for range 4 {
		requests.Go(func() {
			for ; ; answered.Add(1) {
				select {
				case <-stop:
					return
				default:
				}
				if payload, label, refused := node.Open(time.Now(), old); refused != nil || payload != "old" || label != "kept" {
					t.Errorf("got %q by %s, %v", payload, label, refused)
					return
				}
				if _, err := node.Seal(time.Now(), "new"); err != nil {
					t.Error(err)
					return
				}
				if keys := ring.Keys(); !slices.IsSortedFunc(keys, func(a, b cookiesession.KeyInfo) int {
					return cmp.Compare(b.ActivateAt.Unix(), a.ActivateAt.Unix())
				}) {
					t.Errorf("unsorted: %v", keys)
					return
				}
			}
		})
	}
	for i := range 50 {
		next := cookiesession.GenerateKey(fmt.Sprint("next-", i))
		next.ActivateAt = time.Now().Add(time.Duration(i%3-1) * time.Hour)
		if err := ring.Replace(kept, next); err != nil {
			t.Error(err)
		}
		ring.RefuseBefore(next.ActivateAt)
		// Of five that end, one has begun since.
		for before := answered.Load(); answered.Load() < before+5 && !t.Failed(); {
			runtime.Gosched()
		}
	}
	close(stop)
	requests.Wait()
}

// gorilla/sessions' NewCookieStore(secret) signs and doesn't encrypt, and with two secrets in a row, as kratos passed
// them, the second became the AES key. Here each secret of a ring does both: whatever their number, no cookie shows
// what it holds, and which of them seals is the schedule's choice alone.
func TestEverySecretEncrypts(t *testing.T) {
	const name, text = "confidential", "nobody but servers may read this"
	a, b := parsedKey(t, "a", secretA), parsedKey(t, "b", secretB)
	for _, keys := range [][]cookiesession.Key{{a}, {a, b}, {b, a}} {
		ring := newRing(t, keys...)
		m := newManager(t, withKeys(ring))
		v := newVisitor(t, m)
		lines := v.visit(func(s *cookiesession.Session) { s.Put(name, text); s.Flash(name, text); s.CSRFToken() })
		for _, line := range lines {
			value, _, _ := strings.Cut(line[strings.Index(line, "=1")+2:], ";")
			token, err := textEncoding.DecodeString(value)
			if err != nil {
				t.Fatal(err)
			}
			for _, shown := range []string{line, string(token)} {
				if strings.Contains(shown, name[:6]) || strings.Contains(shown, text[:6]) {
					t.Errorf("%d keys: a cookie shows what it holds", len(keys))
				}
			}
		}
		if stats := m.Stats().Keys; len(lines) != 2 || stats[keys[0].Label].Sealed != 2 {
			t.Errorf("%d lines, sealed %v; want two by key %s", len(lines), stats, keys[0].Label)
		}
		if got := v.get(name); got != text {
			t.Errorf("%d keys: got %v", len(keys), got)
		}
	}
}

// gorilla, golangcollege, Rails and fernet try one key after the other: the cost grows with their number, and an
// attacker who makes tokens that open under several of them learns which. Here a token names its key, and is held
// against no other.
func TestOneKeyIsTried(t *testing.T) {
	a, b := parsedKey(t, "a", secretA), parsedKey(t, "b", secretB)
	token := func(key cookiesession.Key) []byte {
		ring := newRing(t, key)
		v := newVisitor(t, newManager(t, withKeys(ring)))
		v.visit(put("n", 1))
		token, err := textEncoding.DecodeString(v.cookie("")[1:])
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	ring := newRing(t, a, b)
	m := newManager(t, withKeys(ring))
	ofA, ofB := token(a), token(b)
	copy(ofB[1:17], ofA[1:17])
	s := load(m, cookieName+"=1"+textEncoding.EncodeToString(ofB))
	if r := s.Rejected(); r == nil || r.Reason != cookiesession.ReasonForged || r.KeyLabel != "a" {
		t.Errorf("got %v, want a token of b that names a refused as a's forgery", r)
	}
	if keys := m.Stats().Keys; keys["a"].Opened != 0 || keys["b"].Opened != 0 {
		t.Errorf("got %v, want no key to have opened anything", keys)
	}
}

func TestParseSecret(t *testing.T) {
	want, err := hex.DecodeString(secretAHex)
	if err != nil {
		t.Fatal(err)
	}
	urlForm := strings.NewReplacer("+", "-", "/", "_").Replace(secretA)
	stdForm := strings.NewReplacer("-", "+", "_", "/").Replace(secretA)
	for _, text := range []string{
		urlForm, urlForm + "=", stdForm, stdForm + "=",
		"base64:" + urlForm, "base64:" + stdForm + "=",
		secretAHex, strings.ToUpper(secretAHex), "hex:" + secretAHex,
		" \t" + urlForm + "\r\n", "\nhex:" + secretAHex + "\n", // oauth2-proxy: a file's last newline became part of the secret
	} {
		if got, err := cookiesession.ParseSecret(text); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%q: got %x, %v", text, got, err)
		}
	}

	// Only 64 digits are taken for hexadecimal without being called so.
	digits := secretAHex + secretAHex[:16]
	want, err = base64.StdEncoding.DecodeString(digits)
	if got, gotErr := cookiesession.ParseSecret(digits); err != nil || gotErr != nil || !bytes.Equal(got, want) {
		t.Errorf("80 digits: got %x, %v, want %x, as base64", got, gotErr, want)
	}

	random := make([]byte, 66) // all bytes differ
	for i := range random {
		random[i] = byte(i)
	}
	const notBase64 = "secret is neither base64 nor 64 hexadecimal digits; make one with GenerateKey or: cookiesession keys new"
	for _, test := range []struct{ name, text, want string }{
		{"empty", "", "secret has 0 bytes, want 32 to 64 random ones"},
		{"31 bytes", "hex:" + hex.EncodeToString(random[:31]), "secret has 31 bytes, want 32 to 64 random ones"},
		{"32 bytes", "hex:" + hex.EncodeToString(random[:32]), ""},
		{"33 bytes", "hex:" + hex.EncodeToString(random[:33]), ""},
		{"63 bytes", "hex:" + hex.EncodeToString(random[:63]), ""},
		{"64 bytes", "hex:" + hex.EncodeToString(random[:64]), ""},
		{"65 bytes", "hex:" + hex.EncodeToString(random[:65]), "secret has 65 bytes, want 32 to 64 random ones"},
		{"31 bytes in base64", base64.StdEncoding.EncodeToString(random[:31]), "secret has 31 bytes, want 32 to 64 random ones"},
		{"32 bytes in base64", base64.StdEncoding.EncodeToString(random[:32]), ""},
		{"48 bytes, 64 digits, in base64", base64.StdEncoding.EncodeToString(random[:48]), ""},
		{"64 bytes in base64", base64.StdEncoding.EncodeToString(random[:64]), ""},
		{"65 bytes in base64", base64.StdEncoding.EncodeToString(random[:65]), "secret has 65 bytes, want 32 to 64 random ones"},
		{"7 distinct bytes", "hex:" + hex.EncodeToString(distinct(7)), "secret has only 7 distinct bytes, so it is not random"},
		{"8 distinct bytes", "hex:" + hex.EncodeToString(distinct(8)), ""},
		{"block of 16", "hex:" + hex.EncodeToString(bytes.Repeat(random[:16], 2)), "secret repeats a block of 16 bytes, so it is not random"},
		{"block of 11 and some", "hex:" + hex.EncodeToString(bytes.Repeat(random[:11], 3)[:32]), "secret repeats a block of 11 bytes, so it is not random"},
		{"block of 17 of 32", "hex:" + hex.EncodeToString(bytes.Repeat(random[:17], 2)[:32]), ""},
		{"block of 32", "hex:" + hex.EncodeToString(bytes.Repeat(random[:32], 2)), "secret repeats a block of 32 bytes, so it is not random"},
		{"63 digits", secretAHex[1:], notBase64},
		{"other characters", "correct horse battery staple", notBase64},
		{"trailing bits", urlForm[:42] + "9", notBase64},
		{"padding in excess", urlForm + "==", notBase64},
		{"line break within", urlForm[:20] + "\r\n" + urlForm[20:], "secret has a line break in it"},
		{"hexadecimal with an odd digit", "hex:" + secretAHex[1:], "secret is not hexadecimal"},
		{"hexadecimal with base64", "hex:" + urlForm, "secret is not hexadecimal"},
	} {
		_, err := cookiesession.ParseSecret(test.text)
		wantError(t, test.name, err, test.want)
	}
}

// distinct returns 32 bytes, n of them distinct, without a repeated block.
func distinct(n int) []byte {
	secret := make([]byte, 32)
	for i := range n {
		secret[i] = byte(i)
	}
	return secret
}

func TestGenerateKey(t *testing.T) {
	a, b := cookiesession.GenerateKey("a"), cookiesession.GenerateKey("b")
	if len(a.Secret) != 32 || bytes.Equal(a.Secret, b.Secret) {
		t.Errorf("got secrets of %d bytes, equal: %v", len(a.Secret), bytes.Equal(a.Secret, b.Secret))
	}
	if a.Label != "a" || !a.ActivateAt.IsZero() || !a.RetireAt.IsZero() {
		t.Errorf("got %s from %v until %v, want a at once and for ever", a.Label, a.ActivateAt, a.RetireAt)
	}
	if _, err := cookiesession.NewKeyring(a, b); err != nil {
		t.Error(err)
	}
}

// No way of printing a Key shows its secret.
func TestKeysAreRedacted(t *testing.T) {
	key := parsedKey(t, "august", secretA)
	ring := newRing(t, key)
	type wrapper struct{ cookiesession.Key }
	type holder struct {
		Name string
		Key  cookiesession.Key
		Ring *cookiesession.Keyring
	}
	var outputs []string
	for _, value := range []any{
		key, &key,
		[]cookiesession.Key{key},
		[1]cookiesession.Key{key},
		map[string]cookiesession.Key{"k": key},
		wrapper{key},
		holder{"h", key, ring},
		&holder{"h", key, ring},
		[]any{key},
		ring, ring.Keys(),
	} {
		for _, verb := range "vsqxXdobBcUeEfFgGt" {
			for _, flags := range []string{"", "+", "#", " ", "0", "-", "80", ".3"} {
				outputs = append(outputs, fmt.Sprintf("%"+flags+string(verb), value))
			}
		}
		outputs = append(outputs, fmt.Sprint(value), fmt.Errorf("failed: %w, %v", fmt.Errorf("%v", value), value).Error())
		for _, marshal := range []func(any) ([]byte, error){json.Marshal, xml.Marshal} {
			output, err := marshal(value)
			outputs = append(outputs, string(output), fmt.Sprint(err))
		}
		var logged bytes.Buffer
		for _, handler := range []slog.Handler{slog.NewTextHandler(&logged, nil), slog.NewJSONHandler(&logged, nil)} {
			slog.New(handler).Info("key", "value", value, slog.Group("group", "value", value))
		}
		outputs = append(outputs, logged.String())
	}

	shown := []string{secretA[:8], base64.StdEncoding.EncodeToString(key.Secret)[:8], secretAHex[:8], strings.ToUpper(secretAHex[:8])}
	for _, verb := range []string{"%v", "%#v", "%d", "%o", "%b", "%q", "%s", "% x", "%#x"} {
		shown = append(shown, strings.Trim(fmt.Sprintf(verb, key.Secret[:4]), "[]{}\"'"))
	}
	for _, output := range outputs {
		for _, secret := range shown {
			if strings.Contains(output, secret) {
				t.Errorf("%q shows %q", output, secret)
			}
		}
	}
	if got, want := fmt.Sprint(key), "cookiesession.Key(august)"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, err := json.Marshal(key); err != nil || string(got) != `"cookiesession.Key(august)"` {
		t.Errorf("got %s, %v, want the label", got, err)
	}
	if got, want := fmt.Sprint(ring), ring.String(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := ring.String(), "cookiesession.Keyring("+ring.Fingerprint()+")"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A long label may be a secret in its place.
func TestLongLabelIsNotRepeated(t *testing.T) {
	for length, want := range map[int]bool{31: true, 32: true, 33: false} {
		key := cookiesession.GenerateKey(strings.Repeat("z", length))
		_, err := cookiesession.NewKeyring(key, key)
		if err == nil {
			t.Fatalf("%d characters: no error", length)
		}
		if got := strings.Contains(err.Error(), key.Label); got != want {
			t.Errorf("%d characters: got %q, repeated %v, want %v", length, err, got, want)
		}
	}
}

// RefuseBefore refuses what was created earlier, to the second. Whoever logs in again, or regenerates, is let in.
func TestRefuseBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ring := newRing(t)
		v := newVisitor(t, newManager(t, func(c *cookiesession.Config) { c.Keys = ring; c.Lifetime = 10 * day }))
		time.Sleep(time.Hour)
		v.visit(func(s *cookiesession.Session) { s.Put("n", 1); s.Remember(5 * day) })
		created := time.Now()
		time.Sleep(time.Hour)
		v.visit(put("n", 2)) // sealed later, but created then
		for _, test := range []struct {
			before time.Time
			want   string
		}{
			{created.Add(-time.Second), "valid"},
			{created, "valid"},
			{created.Add(1), "revoked"},
			{created.Add(time.Second), "revoked"},
			{created.Add(100 * day), "revoked"},
			{created.Add(-time.Hour), "valid"}, // the latest call counts
			{created.Add(time.Minute), "revoked"},
			{time.Time{}, "valid"},
			{time.Unix(-5, 0), "valid"},
			{created.Add(time.Minute), "revoked"},
		} {
			ring.RefuseBefore(test.before)
			if got := v.state(); got != test.want {
				t.Errorf("before %v of a session of %v: got %s, want %s", test.before, created, got, test.want)
			}
		}
		if err := ring.Replace(cookiesession.GenerateKey("new"), testKey()); err != nil {
			t.Fatal(err)
		}
		v.wantState("revoked") // Replace leaves it in force
		v.visit(login)
		v.wantState("valid")
		ring.RefuseBefore(time.Now())
		v.wantState("valid")
	})
}

// A session from before is let in no more however it is used at that moment; a Regenerate that was under way restarts
// it.
func TestRefuseBeforeWithRequestUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ring := newRing(t)
		v := newVisitor(t, newManager(t, withKeys(ring)))
		v.visit(put("n", 1))
		time.Sleep(time.Minute)
		change := v.load()
		change.Put("n", 2)
		ring.RefuseBefore(time.Now())
		v.answer(change)
		v.wantState("revoked")
	})
}
