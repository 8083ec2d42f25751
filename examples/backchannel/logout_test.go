package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/seed-50e21e88/cookiesession/contrib/revoke"
)

// TestLogout: a session of the provider's, and a user, end on every server of the fleet; nobody else does.
func TestLogout(t *testing.T) {
	p, keys, engine := newProvider(t, true), newKeys(t), revoke.Memory()
	one, two := newSite(t, p, keys, engine), newSite(t, p, keys, engine)
	laptop := newVisitor(t, one).logIn(p, "ada", "s1")
	phone := newVisitor(t, two).logIn(p, "ada", "s2")
	other := newVisitor(t, two).logIn(p, "bea", "s3")
	thief := *laptop
	for _, v := range []*visitor{laptop, phone} {
		v.want("ada")
	}
	sync := func() {
		t.Helper()
		if err := errors.Join(one.list.Sync(t.Context()), two.list.Sync(t.Context())); err != nil {
			t.Fatal(err)
		}
	}

	// The provider reaches whichever server.
	if got := two.notify(p.sign(p.logout("sub", "ada", "sid", "s1"))); got != http.StatusOK {
		t.Errorf("got %d, want 200", got)
	}
	sync()
	laptop.want("")
	thief.want("")
	phone.want("ada")

	laptop.logIn(p, "ada", "s4").want("ada")
	if got := one.notify(p.sign(p.logout("sub", "ada"))); got != http.StatusOK {
		t.Errorf("got %d, want 200", got)
	}
	sync()
	laptop.want("")
	phone.want("")
	other.want("bea")
	phone.logIn(p, "ada", "s5").want("ada")

	if phone.press("/logout"); strings.Contains(phone.body, "ada") {
		t.Errorf("got %q", phone.body)
	}
	phone.want("")
}

// TestRefusedTokens: none of these ends anything.
func TestRefusedTokens(t *testing.T) {
	p := newProvider(t, true)
	s := newSite(t, p, newKeys(t), revoke.Memory())
	v := newVisitor(t, s).logIn(p, "ada", "s1")
	foreign, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good := func(pairs ...any) claims { return p.logout(append([]any{"sub", "ada", "sid", "s1"}, pairs...)...) }
	unsigned := func(c claims) string {
		parts := strings.Split(p.sign(c), ".")
		return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + parts[1] + "."
	}
	at := func(d time.Duration) int64 { return time.Now().Add(d).Unix() }
	whole := p.sign(good())
	for _, c := range []struct{ label, token string }{
		{"none", ""},
		{"no JWT", "x.y.z"},
		{"unsigned", unsigned(good())},
		{"no signature", whole[:strings.LastIndex(whole, ".")+1]},
		{"shared secret", signWith(t, jose.HS256, []byte(strings.Repeat("secret", 6)), good())},
		{"another key", signWith(t, jose.ES256, foreign, good())},
		{"another's claims", strings.Join([]string{strings.Split(whole, ".")[0], strings.Split(p.sign(good("sub", "bea")), ".")[1], strings.Split(whole, ".")[2]}, ".")},
		{"iss", p.sign(good("iss", "https://elsewhere.example"))},
		{"no iss", p.sign(good("iss", nil))},
		{"aud", p.sign(good("aud", "another-client"))},
		{"no aud", p.sign(good("aud", nil))},
		{"exp", p.sign(good("exp", at(-time.Second)))},
		{"no exp", p.sign(good("exp", nil))},
		{"old iat", p.sign(good("iat", at(-maxAge-time.Second)))},
		{"future iat", p.sign(good("iat", at(clockSkew+5*time.Second)))},
		{"no iat", p.sign(good("iat", nil))},
		{"no jti", p.sign(good("jti", nil))},
		{"no events", p.sign(good("events", nil))},
		{"other event", p.sign(good("events", claims{"http://schemas.openid.net/event/other": claims{}}))},
		{"null event", p.sign(good("events", claims{event: nil}))},
		{"text event", p.sign(good("events", claims{event: "yes"}))},
		{"nonce", p.sign(good("nonce", "n"))},
		{"null nonce", p.sign(good("nonce", json.RawMessage("null")))},
		{"nobody", p.sign(p.logout())},
		{"ID token", p.sign(claims{"iss": p.url, "aud": clientID, "sub": "ada", "sid": "s1", "iat": at(0), "exp": at(time.Minute), "nonce": "n", "jti": "j"})},
	} {
		t.Run(c.label, func(t *testing.T) {
			s.t = t
			if got := s.notify(c.token); got != http.StatusBadRequest {
				t.Errorf("got %d, want 400", got)
			}
		})
	}
	s.t = t
	if resp, err := http.Get(s.url + "/backchannel-logout?logout_token=" + url.QueryEscape(whole)); err != nil || resp.StatusCode == http.StatusOK {
		t.Errorf("GET: got %v, %v", resp.StatusCode, err)
	}
	if resp, err := http.Post(s.url+"/backchannel-logout?logout_token="+url.QueryEscape(whole), "application/x-www-form-urlencoded", nil); err != nil || resp.StatusCode != http.StatusBadRequest {
		t.Errorf("token in the URL: got %v, %v", resp.StatusCode, err)
	}
	v.want("ada")

	for _, c := range []struct {
		label string
		iat   time.Duration
	}{{"oldest", -maxAge + 20*time.Second}, {"newest", clockSkew}} {
		v := newVisitor(t, s).logIn(p, "ada", c.label)
		v.want("ada")
		if got := s.notify(p.sign(good("sid", c.label, "iat", at(c.iat)))); got != http.StatusOK {
			t.Errorf("%s iat: got %d, want 200", c.label, got)
		}
		v.want("")
	}
}

// TestReplay: a token ends what began before it, once.
func TestReplay(t *testing.T) {
	p := newProvider(t, true)
	s := newSite(t, p, newKeys(t), revoke.Memory())
	v := newVisitor(t, s).logIn(p, "ada", "s1")
	token := p.sign(p.logout("sub", "ada"))
	if got := s.notify(token); got != http.StatusOK {
		t.Errorf("got %d, want 200", got)
	}
	v.want("")
	v.logIn(p, "ada", "s2").want("ada")
	if got := s.notify(token); got != http.StatusBadRequest {
		t.Errorf("again: got %d, want 400", got)
	}
	v.want("ada")
}

// A failing engine can't be written to.
type failing struct {
	revoke.Engine
	now atomic.Bool
}

func (f *failing) Publish(ctx context.Context, e revoke.Entry, only *revoke.Condition) (revoke.Entry, error) {
	if f.now.Load() {
		return e, errors.New("engine is down")
	}
	return f.Engine.Publish(ctx, e, only)
}

// TestRetry: what failed isn't a replay when it comes again.
func TestRetry(t *testing.T) {
	p, engine := newProvider(t, true), &failing{Engine: revoke.Memory()}
	s := newSite(t, p, newKeys(t), engine)
	v := newVisitor(t, s).logIn(p, "ada", "s1")
	token := p.sign(p.logout("sub", "ada"))
	engine.now.Store(true)
	if got := s.notify(token); got != http.StatusBadRequest {
		t.Errorf("engine down: got %d, want 400", got)
	}
	engine.now.Store(false)
	if got := s.notify(token); got != http.StatusOK {
		t.Errorf("engine up: got %d, want 200", got)
	}
	v.want("")
}

// TestWithoutSIDs: a provider that doesn't name its sessions ends all of a user's.
func TestWithoutSIDs(t *testing.T) {
	p := newProvider(t, false)
	s := newSite(t, p, newKeys(t), revoke.Memory())
	v := newVisitor(t, s).logIn(p, "ada", "")
	if got := s.notify(p.sign(p.logout("sid", "s1"))); got != http.StatusBadRequest {
		t.Errorf("sid alone: got %d, want 400, since no session has one", got)
	}
	v.want("ada")
	if got := s.notify(p.sign(p.logout("sub", "ada", "sid", "s1"))); got != http.StatusOK {
		t.Errorf("got %d, want 200", got)
	}
	v.want("")
}

func TestRecently(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecently(time.Minute)
		add := func(key string, want bool) {
			t.Helper()
			if got := r.add(key); got != want {
				t.Errorf("%s: got %t, want %t", key, got, want)
			}
		}
		add("a", true)
		add("a", false)
		time.Sleep(30 * time.Second)
		add("b", true)
		time.Sleep(30 * time.Second)
		add("a", false)
		time.Sleep(time.Nanosecond)
		add("a", true)
		r.remove("a")
		add("a", true)
		time.Sleep(2 * time.Minute)
		add("c", true)
		if len(r.until) != 1 {
			t.Errorf("got %d kept, want 1", len(r.until))
		}
	})
}
