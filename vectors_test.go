package cookiesession_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/seed-50e21e88/cookiesession"
)

var update = flag.Bool("update", false, "write testdata/vectors anew")

const vectorDir = "testdata/vectors"

// A vector is one file of testdata/vectors, whose README.md says what the members mean.
type vector struct {
	About        string      `json:"about"`
	Keys         []vectorKey `json:"keys"`
	Scope        string      `json:"scope"`
	Name         string      `json:"name"`
	Now          int64       `json:"now"`
	NotBefore    int64       `json:"not_before,omitempty"`
	IdleTimeout  int64       `json:"idle_timeout,omitempty"`
	DeviceProof  int64       `json:"device_proof,omitempty"`
	Cookie       []string    `json:"cookie"`
	Expect       outcome     `json:"expect"`
	Canonical    bool        `json:"canonical,omitempty"`
	Payload      string      `json:"payload,omitempty"`
	FlashPayload string      `json:"flash_payload,omitempty"`
}

type vectorKey struct {
	Label      string `json:"label"`
	Secret     string `json:"secret"`
	ActivateAt int64  `json:"activate_at,omitempty"`
	RetireAt   int64  `json:"retire_at,omitempty"`
}

// outcome is what a reader makes of a vector.
type outcome struct {
	Session     string `json:"session"` // opens, none or a reason
	ID          string `json:"id,omitempty"`
	Created     any    `json:"created,omitempty"` // Unix seconds
	Expires     any    `json:"expires,omitempty"`
	CSRFToken   string `json:"csrf_token,omitempty"`
	CSRFRefused string `json:"csrf_refused,omitempty"`
	Values      any    `json:"values,omitempty"`
	Flash       string `json:"flash,omitempty"` // opens or a reason
	FlashValues any    `json:"flash_values,omitempty"`
	Proven      bool   `json:"proven,omitempty"`
	Lease       string `json:"lease,omitempty"` // a reason
}

// TestVectors opens every vector on disk by the public API at the vector's time.
func TestVectors(t *testing.T) {
	for _, name := range vectorNames(t) {
		t.Run(name, func(t *testing.T) {
			v := readVector(t, name)
			got := v.open(t)
			if v.Expect.Values == nil {
				got.Values = nil // a vector whose keys JSON can't hold
			}
			if got, want := asJSON(t, got), asJSON(t, v.Expect); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			v.checkPayload(t, "session", v.Name, v.Payload)
			v.checkPayload(t, "flash", v.Name+".flash", v.FlashPayload)
		})
	}
}

// TestVectorsUpdate makes every vector anew and compares it with the one on disk, or replaces that if -update is set.
// Vectors of earlier releases must stay as they are.
func TestVectorsUpdate(t *testing.T) {
	made := make(map[string]bool)
	for _, c := range vectorCases() {
		if made[c.name] {
			t.Fatalf("two cases are called %s", c.name)
		}
		made[c.name] = true
		t.Run(c.name, func(t *testing.T) {
			m := newVectorMaker(t, c.name, c.about)
			c.make(m)
			want := asJSON(t, m.finish())
			path := filepath.Join(vectorDir, c.name+".json")
			if *update {
				if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if got, err := os.ReadFile(path); err != nil || string(got) != want {
				t.Errorf("%s is not what this release makes (go test -run Vectors -update): %v", path, err)
			}
		})
	}
	for _, name := range vectorNames(t) {
		if !made[name] {
			t.Errorf("%s/%s.json has no case", vectorDir, name)
		}
	}
}

func vectorNames(t *testing.T) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(vectorDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		name, ok := strings.CutSuffix(entry.Name(), ".json")
		switch {
		case ok:
			names = append(names, name)
		case entry.Name() != "README.md":
			t.Errorf("%s/%s is not a vector", vectorDir, entry.Name())
		}
	}
	if len(names) == 0 && !*update {
		t.Fatalf("no vectors in %s", vectorDir)
	}
	return names
}

// readVector accepts nothing that it doesn't know.
func readVector(t *testing.T, name string) (v vector) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(vectorDir, name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	decoder.UseNumber()
	if err := decoder.Decode(&v); err != nil {
		t.Fatal(err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		t.Fatal("something follows the vector")
	}
	if v.About == "" || v.Name == "" || len(v.Keys) == 0 || v.Now == 0 || v.Expect.Session == "" {
		t.Fatal("about, name, keys, now or expect.session is missing")
	}
	return v
}

// manager returns a Manager that stands at the vector's time. It tells reject of refused cookies.
func (v *vector) manager(t *testing.T, reject func(*cookiesession.RejectError)) *cookiesession.Manager {
	t.Helper()
	now := func() time.Time { return time.Unix(v.Now, 0) }
	var keys []cookiesession.Key
	for _, k := range v.Keys {
		keys = append(keys, cookiesession.Key{
			Label:      k.Label,
			Secret:     unhex(k.Secret),
			ActivateAt: timeOrZero(k.ActivateAt),
			RetireAt:   timeOrZero(k.RetireAt),
		})
	}
	ring, err := cookiesession.NewKeyring(keys...)
	if err != nil {
		t.Fatal(err)
	}
	ring.SetClock(now)
	ring.RefuseBefore(timeOrZero(v.NotBefore))
	config := cookiesession.Config{
		Keys:        ring,
		Scope:       v.Scope,
		IdleTimeout: time.Duration(v.IdleTimeout) * time.Second,
		DeviceProof: time.Duration(v.DeviceProof) * time.Second,
		Logger:      slog.New(slog.DiscardHandler),
	}
	if reject != nil {
		config.OnReject = func(_ *http.Request, err *cookiesession.RejectError) { reject(err) }
	}
	if name, ok := strings.CutPrefix(v.Name, "__Host-"); ok {
		config.Name = name
	} else if name, ok := strings.CutPrefix(v.Name, "__Secure-"); ok {
		config.Name, config.Path = name, "/app"
	} else {
		config.Name, config.Insecure = v.Name, true
	}
	m, err := cookiesession.New(config)
	if err != nil {
		t.Fatal(err)
	}
	m.SetClock(now)
	return m
}

func timeOrZero(seconds int64) time.Time {
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0)
}

func (v *vector) request(t *testing.T) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://example.com/", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header["Cookie"] = v.Cookie
	return r
}

// open returns what the library makes of the vector.
func (v *vector) open(t *testing.T) (got outcome) {
	t.Helper()
	refused := make(map[string]string)
	m := v.manager(t, func(err *cookiesession.RejectError) { refused[err.Cookie] = err.Reason.String() })
	s, err := m.Load(v.request(t))
	switch {
	case s.Rejected() != nil:
		got.Session = s.Rejected().Reason.String()
		if err != s.Rejected() || refused[v.Name] != got.Session {
			t.Errorf("Load fails with %v, Rejected is %v, OnReject heard %q", err, s.Rejected(), refused[v.Name])
		}
	case s.IsNew():
		got.Session = "none"
	default:
		got.Session = "opens"
	}
	if err != nil && got.Session == "opens" {
		t.Errorf("Load fails with %v", err)
	}
	if got.Session == "opens" {
		got.ID = s.ID()
		got.Created, got.Expires = describe(s.CreatedAt().Unix()), describe(s.ExpiresAt().Unix())
		if s.VerifyCSRFToken(v.Expect.CSRFToken) {
			got.CSRFToken = v.Expect.CSRFToken
		}
		if !s.VerifyCSRFToken(v.Expect.CSRFRefused) {
			got.CSRFRefused = v.Expect.CSRFRefused
		}
		got.Values = describeAll(s.All())
		got.Proven = s.DeviceProven()
	} else if !s.IsEmpty() {
		t.Error("there are values, but no session")
	}
	messages := s.Flashes()
	if got.Flash = refused[v.Name+".flash"]; got.Flash == "" && len(messages) > 0 {
		got.Flash = "opens"
	}
	if len(messages) > 0 {
		got.FlashValues = describeAll(messages)
	}
	got.Lease = refused[v.Name+".lease"]
	return got
}

// checkPayload opens the only token that was received under base, without the library.
func (v *vector) checkPayload(t *testing.T, purpose, base, want string) {
	t.Helper()
	if want == "" {
		return
	}
	cookies := make(map[string]string)
	for _, line := range v.Cookie {
		for pair := range strings.SplitSeq(line, ";") {
			name, _, _ := strings.Cut(strings.TrimSpace(pair), "=")
			cookies[name] = strings.TrimSpace(pair)
		}
	}
	parts := []string{cookies[base]}
	for i := 1; i < int(parts[0][len(base)+1]-'0'); i++ {
		parts = append(parts, cookies[base+"."+strconv.Itoa(i)])
	}
	token, err := joinCookies(parts)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range v.Keys {
		d := derive(unhex(key.Secret), purpose, v.Scope, v.Name)
		payload, ok := d.open(token)
		if !ok && purpose == "session" {
			bound := derive(unhex(key.Secret), "bound", v.Scope, v.Name)
			payload, ok = bound.open(token)
		}
		if ok {
			if got := hex.EncodeToString(payload); got != want {
				t.Errorf("%s payload is %s, want %s", purpose, got, want)
			}
			return
		}
	}
	t.Errorf("no key opens the %s token", purpose)
}

// cookiesSet returns name and value of the cookies that saving s sets, but not of those that it deletes.
func cookiesSet(t *testing.T, m *cookiesession.Manager, s *cookiesession.Session) (cookies []string) {
	t.Helper()
	header := http.Header{}
	if err := m.Save(header, s); err != nil {
		t.Fatal(err)
	}
	for _, line := range header["Set-Cookie"] {
		if !strings.Contains(line, "; Max-Age=0;") {
			cookie, _, _ := strings.Cut(line, ";")
			cookies = append(cookies, cookie)
		}
	}
	return cookies
}

func describeAll(values map[string]any) map[string]any {
	all := make(map[string]any, len(values))
	for key, v := range values {
		all[key] = describe(v)
	}
	return all
}

// describe turns a value into what stands for it in a vector.
func describe(v any) any {
	switch v := v.(type) {
	case nil, bool:
		return v
	case int:
		return describe(int64(v))
	case int64:
		if const2to53 := int64(1 << 53); -const2to53 < v && v < const2to53 {
			return v
		}
		return map[string]any{"int": strconv.FormatInt(v, 10)}
	case uint64:
		return map[string]any{"int": strconv.FormatUint(v, 10)}
	case float32:
		return describe(float64(v))
	case float64:
		switch {
		case math.IsInf(v, 1):
			return map[string]any{"float": "Infinity"}
		case math.IsInf(v, -1):
			return map[string]any{"float": "-Infinity"}
		}
		return map[string]any{"float": strconv.FormatFloat(v, 'g', -1, 64)}
	case string:
		if utf8.ValidString(v) {
			return v
		}
		return map[string]any{"string": hex.EncodeToString([]byte(v))}
	case []byte:
		return map[string]any{"bytes": hex.EncodeToString(v)}
	case time.Time:
		return map[string]any{"time": map[string]any{"seconds": v.Unix(), "nanoseconds": v.Nanosecond()}}
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = describe(v[i])
		}
		return list
	case map[string]any:
		return map[string]any{"map": describeAll(v)}
	}
	panic("not a value")
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(v); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// A vectorCase makes one vector.
type vectorCase struct {
	name, about string
	make        func(m *vectorMaker)
}

// vectorCases are all there are: about payloads and values at the end of this file, the others in vectors_cases_test.go.
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
	m.add(m.leaseCookies(leasePayload(id, seen))...)
}

// leaseCookies seals a lease and splits it. They aren't added.
func (m *vectorMaker) leaseCookies(payload []byte, cuts ...int) []string {
	return splitToken(m.v.Name+".lease", m.token(m.v.Keys[0], "lease", payload), cuts...)
}

func leasePayload(id []byte, seen int64) []byte {
	return slices.Concat([]byte{0x92}, packBin(id), packTime(seen))
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

// nestedMaps returns n maps in each other.
func nestedMaps(n int) any {
	m := map[string]any{}
	for range n - 1 {
		m = map[string]any{"a": m}
	}
	return m
}

// manyKeys returns a map of n keys, k000 and so on.
func manyKeys(n int) map[string]any {
	values := make(map[string]any, n)
	for i := range n {
		values[fmt.Sprintf("k%03d", i)] = i
	}
	return values
}

// payloadCases are about the fields of a session payload (FORMAT.md, 6 and 6.1) and about values that a reader must
// refuse (6.5). All open.
func payloadCases() []vectorCase {
	var cases []vectorCase
	for _, c := range []struct {
		name, about string
		field       int
		digits      string
	}{
		{"map", "A map instead of an array.", 0, "87"},
		{"six", "An array of six, and a field more.", 0, "96"},
		{"eight", "An array of eight, and a field less.", 0, "98"},
		{"id-short", "An ID of 15 bytes.", 1, "c40f a0a1a2a3a4a5a6a7a8a9aaabacadae"},
		{"id-string", "An ID that is a string.", 1, "b0 a0a1a2a3a4a5a6a7a8a9aaabacadaeaf"},
		{"time-signed", "A time in a signed form.", 2, "d26955b900"},
		{"time-negative", "A negative time.", 2, "ff"},
		{"time-float", "A time that is a float.", 3, "cb41da556e4f000000"},
		{"time-large", "A time of 2^61.", 4, "cf2000000000000000"},
		{"mode", "Mode 3.", 5, "03"},
		{"csrf-short", "A CSRF secret of 15 bytes.", 6, "c40f a0a1a2a3a4a5a6a7a8a9aaabacadae"},
		{"csrf-nil", "A CSRF secret that is nil.", 6, "c0"},
		{"values-list", "Values in a list.", 7, "91 01"},
		{"values-nil", "Values that are nil.", 7, "c0"},
		{"values-missing", "No values.", 7, ""},
		{"values-truncated", "A map of two with one pair.", 7, "82 a161 01"},
		{"trailing", "A byte after the end.", 7, "81 a161 01 c0"},
		{"keys-descending", "Keys in descending order.", 7, "82 a162 01 a161 01"},
		{"keys-twice", "A key twice.", 7, "82 a161 01 a161 01"},
		{"keys-by-length", "A longer key before its prefix.", 7, "82 a26161 01 a161 01"},
		{"keys-utf-16", "Keys in the order of UTF-16 code units.", 7, "82 a4f09f9880 01 a3efbd9e 01"},
		{"keys-nested", "Keys in a nested map in descending order.", 7, "81 a161 82 a162 01 a161 01"},
		{"keys-nested-twice", "A key twice in a nested map.", 7, "81 a161 82 a162 01 a162 01"},
		{"key-bytes", "A key that is a byte string.", 7, "81 c40161 01"},
		{"key-integer", "A key of a nested map that is an integer.", 7, "81 a161 81 01 01"},
		{"code-c1", "The code c1.", 7, "81 a161 c1"},
		{"extension", "An extension of another type.", 7, "81 a161 d6 01 00000000"},
		{"extension-length", "A timestamp of one byte.", 7, "81 a161 d4 ff 00"},
		{"extension-16", "A timestamp of 16 bytes.", 7, "81 a161 d8 ff 00000000 00000000 00000000 00000000"},
		{"nanoseconds", "A timestamp with 10^9 nanoseconds.", 7, "81 a161 c7 0c ff 3b9aca00 0000000000000000"},
		{"nanoseconds-34", "A timestamp of 8 bytes with 10^9 nanoseconds.", 7, "81 a161 d7 ff ee6b280000000000"},
		{"depth", "33 levels, the map of values included.", 7, "81 a161" + lists(32)},
		{"depth-maps", "33 levels, all of them maps.", 7, strings.Repeat("81 a161", 32) + "80"},
		{"string-length", "A string that is longer than what is left.", 7, "81 a161 dbffffffff 61"},
		{"bytes-length", "A byte string that is longer than what is left.", 7, "81 a161 c6ffffffff 61"},
		{"list-count", "A list of 2^32 - 1 elements in few bytes.", 7, "81 a161 ddffffffff 00"},
		{"map-count", "A map of 2^32 - 1 pairs in few bytes.", 7, "dfffffffff a161 00"},
	} {
		cases = append(cases, vectorCase{"malformed-payload-" + c.name, c.about, func(m *vectorMaker) {
			m.session(replaceField(c.field, c.digits))
			m.refused("malformed")
		}})
	}
	return append(cases,
		vectorCase{"malformed-payload-empty", "An empty payload that authenticates.", func(m *vectorMaker) {
			m.add(m.cookies(nil)...)
			m.refused("malformed")
		}},
		vectorCase{"payload-long-forms", "Every field in a longer encoding than needed.", func(m *vectorMaker) {
			m.session(unhex("dd 00000007 c6 00000010 a0a1a2a3a4a5a6a7a8a9aaabacadaeaf cf 000000006955b900 cf 000000006955b93c cf 0000000069570a80" +
				"cd 0000 c5 0000 df 00000001 db 00000001 61 cf 0000000000000001"))
			m.opens(example(), oneDecoded)
		}},
		vectorCase{"payload-long-array", "An array whose count has 16 bits.", func(m *vectorMaker) {
			m.session(replaceField(0, "dc 0007"))
			m.opens(example(), oneDecoded)
		}},
		vectorCase{"payload-largest-time", "It expires at 2^61 - 1.", func(m *vectorMaker) {
			m.session(replaceField(4, "cf1fffffffffffffff"))
			p := example()
			p.expires = 1<<61 - 1
			m.opens(p, oneDecoded)
		}},
	)
}

// valueCases are values that a reader must accept (FORMAT.md, 6.5). What write writes is canonical.
func valueCases() []vectorCase {
	written := func(name, about string, values map[string]any) vectorCase {
		return vectorCase{"values-" + name, about, func(m *vectorMaker) { m.write(example(), values) }}
	}
	read := func(name, about, digits string, values map[string]any) vectorCase {
		return vectorCase{"values-" + name, about, func(m *vectorMaker) {
			m.session(example(digits).encode())
			m.opens(example(), values)
		}}
	}
	integers := make(map[string]any)
	for _, n := range []int64{
		0, 127, 128, 255, 256, 65535, 65536, 1<<32 - 1, 1 << 32, 1<<53 - 1, 1 << 53, math.MaxInt64,
		-1, -32, -33, -128, -129, -32768, -32769, math.MinInt32, math.MinInt32 - 1, -1<<53 + 1, -1 << 53, math.MinInt64,
	} {
		integers[fmt.Sprint(n)] = n
	}
	integers["9223372036854775808"] = uint64(1 << 63)
	integers["18446744073709551615"] = uint64(math.MaxUint64)

	lengths := make(map[string]any)
	bytes := make(map[string]any)
	for _, n := range []int{0, 1, 31, 32, 255, 256} {
		lengths[fmt.Sprint(n)] = strings.Repeat("x", n)
		bytes[fmt.Sprint(n)] = []byte(strings.Repeat("\x00\xff", n)[:n])
	}

	times := make(map[string]any)
	for name, t := range map[string][2]int64{
		"1970":                 {0, 0},
		"1970, 1 ns":           {0, 1},
		"a second before 1970": {-1, 0},
		"1 ns before 1970":     {-1, 999999999},
		"2026":                 {exampleCreated, 0},
		"2026, 123456789 ns":   {exampleCreated, 123456789},
		"2^32 - 1":             {1<<32 - 1, 0},
		"2^32":                 {1 << 32, 0},
		"2^34 - 1, last ns":    {1<<34 - 1, 999999999},
		"2^34":                 {1 << 34, 0},
		"year 1":               {-62135596800, 0},
		"9999, last ns":        {253402300799, 999999999},
		"10^13":                {1e13, 0},
		"-10^13":               {-1e13, 0},
	} {
		times[name] = time.Unix(t[0], t[1]).UTC()
	}

	list := make([]any, 16)
	for i := range list {
		list[i] = i - 8
	}
	nestedValues := map[string]any{
		"empty": []any{map[string]any{}, []any{}, "", []byte{}, nil},
		"cart": []any{
			map[string]any{"name": "Tea", "price": 4.5, "count": 2},
			map[string]any{"name": "Kettle", "price": 39.0, "count": 1, "tags": []any{"steel", "1.7 l"}},
		},
		"list of 16": list,
		"map of 16":  manyKeys(16),
	}

	notUTF8 := map[string]any{"0": "\xff", "1": "a\xc3", "2": "\xed\xa0\x80", "3": "\x00"}
	longForms := map[string]any{
		"a": 5, "b": 5, "c": -1, "d": -1, "e": "x", "f": "x", "g": []byte("x"), "h": []any{nil}, "i": map[string]any{"k": true},
		"j": time.Unix(1, 0).UTC(), "k": time.Unix(1, 0).UTC(), "l": time.Unix(1, 0).UTC(), "m": time.Unix(1, 0).UTC(), "n": 7,
	}
	nan := math.Float64frombits(0xfff0000000000001)
	return []vectorCase{
		read("none", "No values.", "80", map[string]any{}),
		written("scalars", "One of each plain type.", map[string]any{
			"nil": nil, "true": true, "false": false, "integer": 42, "float": 1.5, "string": "Ada", "bytes": []byte{0, 1, 2},
		}),
		written("integers", "The ends of every width.", integers),
		written("floats", "Floats of 64 bits; one that is a whole number, too.", map[string]any{
			"0": 0.0, "-0": math.Copysign(0, -1), "3": 3.0, "0.1": 0.1, "largest": math.MaxFloat64, "smallest": math.SmallestNonzeroFloat64,
			"infinity": math.Inf(1), "-infinity": math.Inf(-1), "nan": nan,
		}),
		{"values-floats-32", "Floats of 32 bits.", func(m *vectorMaker) {
			m.write(example(), map[string]any{
				"0.5": float32(0.5), "0.1": float32(0.1), "largest": float32(math.MaxFloat32), "infinity": float32(math.Inf(-1)), "nan": float32(nan),
			})
			m.v.Canonical = false // where 32 bits aren't what they came from
		}},
		read("nans", "NaNs of other bits than a writer writes.", "83 a161 cbfff0000000000001 a162 cb7fffffffffffffff a163 caff800001",
			map[string]any{"a": math.NaN(), "b": math.NaN(), "c": math.NaN()}),
		written("strings", "Strings around the lengths where the code changes.", lengths),
		written("text", "Text beyond ASCII.", map[string]any{
			"": "the empty key", "ä": "größer ≥ 店 😀", "__proto__": "a key like others", "a\u0000b": "\u0000\r\n\"\\;=,",
		}),
		written("not-utf-8", "Strings that aren't UTF-8.", notUTF8),
		{"values-key-not-utf-8", "Keys that aren't UTF-8. What they hold isn't said: JSON can't.", func(m *vectorMaker) {
			m.write(example(), map[string]any{"\xff": 1, "\xfe": 2, "a": 3})
			m.v.Expect.Values, m.v.Canonical = nil, false
		}},
		written("bytes", "Byte strings around the lengths where the code changes.", bytes),
		written("times", "Times around the seconds where the form changes, before 1970, and beyond what some languages hold.", times),
		written("nested", "Lists and maps in each other.", nestedValues),
		written("lists-of-15", "The longest list with a short header.", map[string]any{"15": list[:15], "16": list}),
		written("map-of-15", "The largest map with a short header.", manyKeys(15)),
		written("map-of-16", "The smallest map with a 16-bit header.", manyKeys(16)),
		written("map-of-300", "A large map.", manyKeys(300)),
		written("order", "Keys in the order of their bytes, which isn't that of UTF-16, of length, or of the alphabet.", map[string]any{
			"😀": 1, "～": 2, "é": 3, "z": 4, "Z": 5, "a": 6, "aa": 7, "": 8, "10": 9, "9": 10,
		}),
		written("depth-32", "32 levels, the map of values included.", map[string]any{"a": nested(31)}),
		read("depth-32-maps", "32 levels, all of them maps.", strings.Repeat("81 a161", 31)+"80", map[string]any{"a": nestedMaps(31)}),
		read("times-long-forms", "Times of 8 bytes whose length is told in 1, 2 and 4 bytes, and one of 12 in 4.",
			"84 a161 c708ff0000000400000001 a162 c80008ff0000000400000001 a163 c900000008ff0000000400000001 a164 c90000000cff00000001 0000000000000001",
			map[string]any{"a": time.Unix(1, 1).UTC(), "b": time.Unix(1, 1).UTC(), "c": time.Unix(1, 1).UTC(), "d": time.Unix(1, 1).UTC()}),
		read("long-forms", "Values in longer encodings than needed.", "8e"+
			"a161 cc05 a162 cf0000000000000005 a163 d0ff a164 d3ffffffffffffffff"+
			"a165 d90178 a166 db0000000178 a167 c6 00000001 78 a168 dd 00000001 c0 a169 df 00000001 da0001 6b c3"+
			"a16a d7ff0000000000000001 a16b c70cff00000000 0000000000000001 a16c c8000cff00000000 0000000000000001 a16d c900000004ff00000001"+
			"a16e d30000000000000007", longForms),
	}
}
