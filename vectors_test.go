package cookiesession_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"io"
	"log/slog"
	"math"
	"net/http"
	"os"
	"path/filepath"
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

// checkPayload opens the only token that came under base, without the library.
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
		if v <= math.MaxInt64 {
			return describe(int64(v))
		}
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
