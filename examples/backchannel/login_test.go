package main

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/seed-50e21e88/cookiesession/contrib/revoke"
)

// TestLoginUnderWay: the provider ends a session between its own login and ours.
func TestLoginUnderWay(t *testing.T) {
	for _, c := range []struct {
		label string
		who   []any
	}{{"user", []any{"sub", "ada"}}, {"session", []any{"sub", "ada", "sid", "s1"}}} {
		t.Run(c.label+", while the code is exchanged", func(t *testing.T) {
			p := newProvider(t, true)
			s := newSite(t, p, newKeys(t), revoke.Memory())
			p.between = func() { s.notify(p.sign(p.logout(c.who...))) }
			v := newVisitor(t, s)
			p.sub, p.sid = "ada", "s1"
			v.press("/login")
			v.want("")
			p.between = nil
			v.logIn(p, "ada", "s2").want("ada")
		})
	}
	t.Run("session, before the code comes, on either server", func(t *testing.T) {
		p, keys, engine := newProvider(t, true), newKeys(t), revoke.Memory()
		here, there := newSite(t, p, keys, engine), newSite(t, p, keys, engine)
		for sid, told := range map[string]*site{"s1": here, "s2": there} {
			if got := told.notify(p.sign(p.logout("sub", "ada", "sid", sid))); got != http.StatusOK {
				t.Errorf("got %d, want 200", got)
			}
			if err := here.list.Sync(t.Context()); err != nil {
				t.Fatal(err)
			}
			v := newVisitor(t, here)
			p.sub, p.sid = "ada", sid
			if got := v.press("/login"); got != http.StatusBadRequest {
				t.Errorf("%s: got %d, want 400", sid, got)
			}
			v.want("")
			v.logIn(p, "ada", sid+" again").want("ada")
		}
	})
}

// TestRefusedLogins: what doesn't belong to this browser's attempt, or couldn't be ended later.
func TestRefusedLogins(t *testing.T) {
	p := newProvider(t, true)
	s := newSite(t, p, newKeys(t), revoke.Memory())
	for _, c := range []struct {
		label string
		spoil claims
	}{
		{"nonce", claims{"nonce": "another"}},
		{"no nonce", claims{"nonce": ""}},
		{"no sub", claims{"sub": ""}},
		{"no sid", claims{"sid": ""}},
		{"aud", claims{"aud": "another"}},
		{"iss", claims{"iss": "https://elsewhere.example"}},
		{"exp", claims{"exp": 1}},
	} {
		p.mu.Lock()
		p.sub, p.sid, p.spoil = "ada", "s1", c.spoil
		p.mu.Unlock()
		v := newVisitor(t, s)
		if got := v.press("/login"); got != http.StatusBadRequest || strings.Contains(v.body, "another") {
			t.Errorf("%s: got %d %q, want 400", c.label, got, v.body)
		}
		v.want("")
	}
	p.mu.Lock()
	p.spoil = nil
	p.mu.Unlock()

	// A link that somebody else has begun, and one that was used.
	v := newVisitor(t, s)
	v.client.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if r.URL.Path == "/callback" {
			return http.ErrUseLastResponse
		}
		return nil
	}
	if v.press("/login"); !strings.HasPrefix(v.location, s.url+"/callback?") {
		t.Fatalf("got %q, want a link back", v.location)
	}
	other := newVisitor(t, s)
	if got := other.got(other.client.Get(v.location)); got != http.StatusBadRequest {
		t.Errorf("another's link: got %d, want 400", got)
	}
	other.want("")
	p.sub, p.sid = "ada", "s9"
	v = newVisitor(t, s).logIn(p, "ada", "s9")
	v.want("ada")
	if got := v.got(v.client.Get(s.url + "/callback?" + url.Values{"code": {"x"}, "state": {""}}.Encode())); got != http.StatusBadRequest {
		t.Errorf("no attempt: got %d, want 400", got)
	}
	v.want("ada")
}

// TestAttempts: what is checked before the provider is asked.
func TestAttempts(t *testing.T) {
	p := newProvider(t, true)
	s := newSite(t, p, newKeys(t), revoke.Memory())
	for _, c := range []struct {
		label, state string
		try          attempt
		want         string
	}{
		{"none", "", attempt{}, "no login is under way in this browser, or it took too long"},
		{"slow", "x", attempt{State: "x", Begun: time.Now().Add(-loginWithin)}, "no login is under way in this browser, or it took too long"},
		{"another", "y", attempt{State: "x", Begun: time.Now()}, "state of another attempt"},
		{"without state", "", attempt{State: "x", Begun: time.Now()}, "state of another attempt"},
		{"good so far", "x", attempt{State: "x", Begun: time.Now().Add(-loginWithin + time.Minute)}, "oauth2: "},
	} {
		r := httptest.NewRequest(http.MethodGet, "/callback?code=c&state="+c.state, nil)
		session, err := s.sessions.Load(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.finish(session, c.try, r); err == nil || !strings.HasPrefix(err.Error(), c.want) || subject.Has(session) {
			t.Errorf("%s: got %v, want %q", c.label, err, c.want)
		}
	}
}

func TestFormsNeedTheirToken(t *testing.T) {
	p := newProvider(t, true)
	v := newVisitor(t, newSite(t, p, newKeys(t), revoke.Memory())).logIn(p, "ada", "s1")
	for _, action := range []string{"/login", "/logout"} {
		if got := v.got(v.client.PostForm(v.site.url+action, nil)); got != http.StatusForbidden {
			t.Errorf("%s: got %d, want 403", action, got)
		}
	}
	v.want("ada")
}
