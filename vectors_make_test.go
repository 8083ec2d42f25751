package cookiesession_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A vectorCase makes one vector.
type vectorCase struct {
	name, about string
	make        func(m *vectorMaker)
}

func vectorCases() []vectorCase {
	return slices.Concat(cookieCases(), keyCases(), rivalCases(), validityCases(), flashCases(), payloadCases(), valueCases(), deviceCases())
}

// The keys of vectors: current seals, others are added where a case needs them.
var (
	currentKey  = vectorKey{Label: "current", Secret: "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"}
	previousKey = vectorKey{Label: "previous", Secret: "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f"}
	longKey     = vectorKey{Label: "long", Secret: currentKey.Secret + previousKey.Secret}
)

// A vectorMaker puts one vector together.
type vectorMaker struct {
	t      *testing.T
	name   string
	nonces int
	v      vector
}

func newVectorMaker(t *testing.T, name, about string) *vectorMaker {
	return &vectorMaker{t: t, name: name, v: vector{
		About: about,
		Keys:  []vectorKey{currentKey},
		Scope: "shop",
		Name:  "__Host-session",
		Now:   exampleNow,
	}}
}

func (m *vectorMaker) finish() vector {
	if m.v.Expect.Session == "" {
		m.v.Expect.Session = "none"
	}
	if m.v.Cookie == nil {
		m.v.Cookie = []string{}
	}
	return m.v
}

// nonce differs from case to case, and is the same in every run.
func (m *vectorMaker) nonce() []byte {
	m.nonces++
	sum := sha256.Sum256([]byte(m.name + "#" + strconv.Itoa(m.nonces)))
	return sum[:24]
}

// add adds cookies to the last Cookie line.
func (m *vectorMaker) add(cookies ...string) {
	if len(m.v.Cookie) == 0 {
		m.v.Cookie = []string{strings.Join(cookies, "; ")}
		return
	}
	last := &m.v.Cookie[len(m.v.Cookie)-1]
	*last = strings.Join(append([]string{*last}, cookies...), "; ")
}

// token seals a payload under key without the library.
func (m *vectorMaker) token(key vectorKey, purpose string, payload []byte) []byte {
	d := derive(unhex(key.Secret), purpose, m.v.Scope, m.v.Name)
	return d.seal(m.nonce(), payload)
}

// cookies seals a session payload under the first key and splits it. They aren't added.
func (m *vectorMaker) cookies(payload []byte, cuts ...int) []string {
	return splitToken(m.v.Name, m.token(m.v.Keys[0], "session", payload), cuts...)
}

// session adds the cookies of the only session payload.
func (m *vectorMaker) session(payload []byte, cuts ...int) {
	m.v.Payload = hex.EncodeToString(payload)
	m.add(m.cookies(payload, cuts...)...)
}

// flash adds the cookies of the only flash payload.
func (m *vectorMaker) flash(payload []byte, cuts ...int) {
	m.v.FlashPayload = hex.EncodeToString(payload)
	m.add(splitToken(m.v.Name+".flash", m.token(m.v.Keys[0], "flash", payload), cuts...)...)
}

func (m *vectorMaker) lease(id []byte, seen int64) {
	payload := slices.Concat([]byte{0x92}, packBin(id), packTime(seen))
	m.add(splitToken(m.v.Name+".lease", m.token(m.v.Keys[0], "lease", payload))...)
}

func (m *vectorMaker) marker(origin []byte, value string) {
	m.add(m.v.Name + ".ended." + textEncoding.EncodeToString(origin) + "=" + value)
}

// opens expects p with the given values.
func (m *vectorMaker) opens(p *sessionPayload, values map[string]any) {
	m.v.Expect.Session = "opens"
	m.v.Expect.ID = hex.EncodeToString(p.id)
	m.v.Expect.Created, m.v.Expect.Expires = describe(p.created), describe(p.expires)
	if values != nil {
		m.v.Expect.Values = describeAll(values)
	}
}

func (m *vectorMaker) refused(reason string) { m.v.Expect.Session = reason }

// write lets the library put values into p at its time of sealing and adds the cookies that it sets. The session is
// expected to open.
func (m *vectorMaker) write(p *sessionPayload, values map[string]any) {
	m.t.Helper()
	empty := *p
	empty.values = []byte{0x80}
	w := m.v
	w.Now, w.Cookie = p.sealed, m.cookies(empty.encode())
	cookies := m.library(&w, func(s session) {
		for key, v := range values {
			s.Put(key, v)
		}
	})
	payload := m.payload("session", cookies)
	if prefix := empty.encode(); !bytes.HasPrefix(payload, prefix[:len(prefix)-1]) {
		m.t.Fatalf("the library wrote %x, want it to begin with %x", payload, prefix[:len(prefix)-1])
	}
	m.v.Payload, m.v.Canonical = hex.EncodeToString(payload), true
	m.add(cookies...)
	m.opens(p, values)
}

// writeFlash lets the library flash messages that expire at the given time.
func (m *vectorMaker) writeFlash(expires int64, messages map[string]any) {
	m.t.Helper()
	w := m.v
	w.Now, w.Cookie = expires-600, nil
	cookies := m.library(&w, func(s session) {
		for key, v := range messages {
			s.Flash(key, v)
		}
	})
	m.v.FlashPayload, m.v.Canonical = hex.EncodeToString(m.payload("flash", cookies)), true
	m.add(cookies...)
	m.v.Expect.Flash, m.v.Expect.FlashValues = "opens", describeAll(messages)
}

// writeLease lets the library answer a request with the cookies so far.
func (m *vectorMaker) writeLease(seen int64) {
	m.t.Helper()
	w := m.v
	w.Now = seen
	m.add(m.library(&w, func(session) {})...)
}

// session is what write and its like need of a Session.
type session interface {
	Put(key string, v any)
	Flash(key string, v any)
}

// library returns the cookies that the library sets for w after change.
func (m *vectorMaker) library(w *vector, change func(session)) []string {
	m.t.Helper()
	manager := w.manager(m.t, nil)
	manager.SetNonce(func(b []byte) { copy(b, m.nonce()) })
	s, err := manager.Load(w.request(m.t))
	if err != nil {
		m.t.Fatal(err)
	}
	change(s)
	cookies := cookiesSet(m.t, manager, s)
	if len(cookies) == 0 {
		m.t.Fatal("the library set no cookie")
	}
	return cookies
}

// payload opens what the library wrote without the library.
func (m *vectorMaker) payload(purpose string, cookies []string) []byte {
	m.t.Helper()
	token, err := joinCookies(cookies)
	if err != nil {
		m.t.Fatal(err)
	}
	for _, key := range m.v.Keys {
		d := derive(unhex(key.Secret), purpose, m.v.Scope, m.v.Name)
		if payload, ok := d.open(token); ok {
			return payload
		}
	}
	m.t.Fatalf("no key opens the %s token that the library wrote", purpose)
	return nil
}

// exampleFields are the fields of a valid session payload in hexadecimal; the first is the array's code.
func exampleFields() []string {
	return []string{
		"97", "c410 a0a1a2a3a4a5a6a7a8a9aaabacadaeaf", "ce6955b900", "ce6955b93c", "ce69570a80", "00", "c400", "81 a161 01",
	}
}

// replaceField returns the payload of exampleFields with field i replaced.
func replaceField(i int, digits string) []byte {
	fields := exampleFields()
	fields[i] = digits
	return unhex(strings.Join(fields, ""))
}

// lists returns the encoding of n empty lists in each other.
func lists(n int) string { return strings.Repeat("91", n-1) + "90" }

// nested returns what lists decodes to.
func nested(n int) any {
	list := []any{}
	for range n - 1 {
		list = []any{list}
	}
	return list
}

// manyKeys returns a map of n keys, k000 and so on.
func manyKeys(n int) map[string]any {
	values := make(map[string]any, n)
	for i := range n {
		values[fmt.Sprintf("k%03d", i)] = i
	}
	return values
}
