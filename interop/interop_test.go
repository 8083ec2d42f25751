// Package interop holds the library against a second implementation of FORMAT.md, which is in JavaScript: what one seals
// the other opens, and both refuse the same for the same reasons.
package interop

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os/exec"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/seed-50e21e88/cookiesession"
	"github.com/seed-50e21e88/cookiesession/cookiesessiontest"
)

const program = "main.mjs"

// A request is a line that the program reads: main.mjs says what it does with one.
type request struct {
	agreement
	Cookie []octets `json:"cookie"`
	CSRF   []string `json:"csrf,omitempty"`

	Session *content `json:"session,omitempty"`
	Flash   *content `json:"flash,omitempty"`
	Lease   *content `json:"lease,omitempty"`
	Change  any      `json:"change,omitempty"`
	Destroy bool     `json:"destroy,omitempty"`
	Parts   int      `json:"parts,omitempty"`
	Device  *string  `json:"device,omitempty"` // of a device-aware session: its key, or "" for a permit
}

// An agreement is what both implementations are told. Its fields are members of a vector.
type agreement struct {
	Keys        []key  `json:"keys"`
	Scope       scope  `json:"scope"`
	Name        string `json:"name"`
	Now         int64  `json:"now"`
	NotBefore   int64  `json:"not_before,omitempty"`
	IdleTimeout int64  `json:"idle_timeout,omitempty"`
	DeviceProof int64  `json:"device_proof,omitempty"`
}

type key struct {
	Secret     string `json:"secret"`
	ActivateAt int64  `json:"activate_at,omitempty"`
	RetireAt   int64  `json:"retire_at,omitempty"`
}

// A content is what a compartment holds; Payload counts for all of it but Max-Age.
type content struct {
	ID      string `json:"id,omitempty"`
	Created int64  `json:"created,omitempty"`
	Sealed  int64  `json:"sealed,omitempty"`
	Expires int64  `json:"expires,omitempty"`
	Mode    int    `json:"mode"`
	CSRF    string `json:"csrf,omitempty"`
	Values  any    `json:"values,omitempty"`
	Seen    int64  `json:"seen,omitempty"`
	Payload string `json:"payload,omitempty"`
}

func (r request) String() string { return asJSON(r) }

// A scope is any bytes; in JSON it is a string, or a byte string in the vectors' notation.
type scope string

func (s scope) MarshalJSON() ([]byte, error) {
	if utf8.ValidString(string(s)) {
		return json.Marshal(string(s))
	}
	return json.Marshal(describe([]byte(s)))
}

// octets are any bytes; in JSON each is a character.
type octets string

func (o octets) MarshalJSON() ([]byte, error) {
	var b strings.Builder
	for _, c := range []byte(o) {
		b.WriteRune(rune(c))
	}
	return json.Marshal(b.String())
}

// A reply is what the program writes.
type reply struct {
	outcome
	Payload        string   `json:"payload"`
	Canonical      bool     `json:"canonical"`
	CSRFToken      string   `json:"csrf_token"`
	FlashPayload   string   `json:"flash_payload"`
	FlashCanonical bool     `json:"flash_canonical"`
	SetCookie      []string `json:"set_cookie"`
	Challenge      string   `json:"challenge"`
}

// An outcome is what a reader makes of a request.
type outcome struct {
	Session     string `json:"session,omitempty"` // opens, none or a reason
	ID          string `json:"id,omitempty"`
	Created     any    `json:"created,omitempty"`
	Expires     any    `json:"expires,omitempty"`
	Values      any    `json:"values,omitempty"`
	CSRF        []bool `json:"csrf,omitempty"`  // which tokens it accepts
	Flash       string `json:"flash,omitempty"` // opens or a reason
	FlashValues any    `json:"flash_values,omitempty"`
	Lease       string `json:"lease,omitempty"` // a reason
	Proven      bool   `json:"proven,omitempty"`
}

func (o outcome) String() string { return asJSON(o) }

func asJSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// node has the program answer the requests.
func node(t *testing.T, command string, requests []request) []reply {
	t.Helper()
	var in bytes.Buffer
	encoder := json.NewEncoder(&in)
	for _, r := range requests {
		if r.Cookie == nil {
			r.Cookie = []octets{}
		}
		if err := encoder.Encode(r); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("node", program, command)
	cmd.Stdin = &in
	out, err := cmd.Output()
	if err != nil {
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
			t.Fatalf("%v: %s", err, exit.Stderr)
		}
		t.Fatal(err)
	}
	decoder := json.NewDecoder(bytes.NewReader(out))
	decoder.UseNumber()
	replies := make([]reply, len(requests))
	for i := range replies {
		r := &replies[i]
		if err := decoder.Decode(r); err != nil {
			t.Fatalf("reply %d of %d: %v", i, len(replies), err)
		}
		r.Created, r.Expires = normal(r.Created), normal(r.Expires)
		r.Values, r.FlashValues = normal(r.Values), normal(r.FlashValues)
		if reflect.DeepEqual(r.FlashValues, describe(map[string]any{})) {
			r.Flash, r.FlashValues = "", nil // the library doesn't tell no messages from no cookie
		}
	}
	if decoder.More() {
		t.Fatal("more replies than requests")
	}
	return replies
}

// at runs f at a time.
func at(t *testing.T, now int64, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Unix(now, 0)))
		f(t)
	})
}

// manager returns a Manager for the agreement. change may change its Config.
func (a *agreement) manager(t *testing.T, change func(*cookiesession.Config)) *cookiesession.Manager {
	t.Helper()
	var keys []cookiesession.Key
	for i, k := range a.Keys {
		secret, err := hex.DecodeString(k.Secret)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, cookiesession.Key{
			Label: fmt.Sprint("key", i), Secret: secret, ActivateAt: timeOrZero(k.ActivateAt), RetireAt: timeOrZero(k.RetireAt),
		})
	}
	ring, err := cookiesession.NewKeyring(keys...)
	if err != nil {
		t.Fatal(err)
	}
	ring.RefuseBefore(timeOrZero(a.NotBefore))
	c := cookiesession.Config{
		Keys:        ring,
		Scope:       string(a.Scope),
		IdleTimeout: time.Duration(a.IdleTimeout) * time.Second,
		Lifetime:    maxLifetime,
		MaxSize:     33000,
		Logger:      slog.New(slog.DiscardHandler),
	}
	if name, ok := strings.CutPrefix(a.Name, "__Host-"); ok {
		c.Name = name
	} else if name, ok := strings.CutPrefix(a.Name, "__Secure-"); ok {
		c.Name, c.Path = name, "/app"
	} else {
		c.Name, c.Insecure = a.Name, true
	}
	if change != nil {
		change(&c)
	}
	m, err := cookiesession.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

const maxLifetime = 400 * 24 * time.Hour

func timeOrZero(seconds int64) time.Time {
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0)
}

// page is where a browser meets the agreement's cookies.
func (a *agreement) page() *url.URL {
	u := &url.URL{Scheme: "https", Host: "example.com", Path: "/app"}
	if !strings.HasPrefix(a.Name, "__") {
		u.Scheme = "http"
	}
	return u
}

// load returns the Session of a request with the cookies.
func load(m *cookiesession.Manager, cookie []octets) *cookiesession.Session {
	r := &http.Request{Header: http.Header{}}
	for _, line := range cookie {
		r.Header["Cookie"] = append(r.Header["Cookie"], string(line))
	}
	s, _ := m.Load(r) // the error is Rejected's
	return s
}

// open returns what the library makes of the request.
func (r *request) open(t *testing.T) (got outcome) {
	t.Helper()
	at(t, r.Now, func(t *testing.T) {
		refused := make(map[string]string)
		m := r.manager(t, func(c *cookiesession.Config) {
			c.OnReject = func(_ *http.Request, err *cookiesession.RejectError) { refused[err.Cookie] = err.Reason.String() }
		})
		s := load(m, r.Cookie)
		switch {
		case s.Rejected() != nil:
			got.Session = s.Rejected().Reason.String()
		case s.IsNew():
			got.Session = "none"
		default:
			got.Session = "opens"
			got.ID = s.ID()
			got.Created, got.Expires = describe(s.CreatedAt().Unix()), describe(s.ExpiresAt().Unix())
			got.Values = describe(s.All())
			for _, token := range r.CSRF {
				got.CSRF = append(got.CSRF, s.VerifyCSRFToken(token))
			}
		}
		messages := s.Flashes()
		if got.Flash = refused[r.Name+".flash"]; got.Flash == "" && len(messages) > 0 {
			got.Flash, got.FlashValues = "opens", describe(messages)
		}
		got.Lease = refused[r.Name+".lease"]
	})
	return got
}

// receive returns the Cookie header of a browser that gets the lines in a response.
func (a *agreement) receive(jar *cookiesessiontest.Jar, lines []string) []octets {
	jar.SetHeader(a.page(), http.Header{"Set-Cookie": lines})
	return []octets{octets(jar.Header(a.page()))}
}
