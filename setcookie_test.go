package cookiesession_test

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

// checkSetCookie compares the lines that a Manager of c writes by hand with what package http would write: those that
// create cookies and those that delete them. It does nothing if New refuses c.
func checkSetCookie(t *testing.T, c cookiesession.Config) (accepted bool) {
	t.Helper()
	c.Keys, c.Logger = fixedRing(t), slog.New(slog.DiscardHandler)
	m, err := cookiesession.New(c)
	if err != nil {
		return false
	}
	now := time.Unix(1_800_000_000, 0)
	m.SetClock(func() time.Time { return now })

	s := load(m)
	s.Put("v", random(4000)) // two cookies, or three if the attributes are long
	s.Flash("note", "x")
	h := http.Header{}
	if err := m.Save(h, s); err != nil {
		t.Fatal(err)
	}
	var came []string
	for _, line := range h["Set-Cookie"] {
		maxAge := 0
		if c.Persistent {
			maxAge = int((c.Lifetime + time.Second - 1) / time.Second)
			if c.Lifetime == 0 {
				maxAge = 86400
			}
		}
		if strings.HasPrefix(line, m.CookieName()+".flash") {
			maxAge = 600
		}
		came = append(came, checkLine(t, c, line, maxAge, time.Time{}))
	}
	if !strings.HasPrefix(came[1], m.CookieName()+".1=") || !strings.HasPrefix(came[len(came)-1], m.CookieName()+".flash=1") {
		t.Fatalf("got %d cookies, want parts and a flash", len(came))
	}

	s = load(m, strings.Join(came, "; "))
	if s.Get("v") != random(4000) || s.Flashed("note") != "x" {
		t.Errorf("got a session that doesn't come back")
	}
	s.Destroy()
	h = http.Header{}
	if err := m.Save(h, s); err != nil {
		t.Fatal(err)
	}
	deleted := 0
	for _, line := range h["Set-Cookie"] {
		if strings.Contains(line, ".ended.") {
			checkLine(t, c, line, 400*86400, time.Time{})
			continue
		}
		deleted++
		if cookie := checkLine(t, c, line, -1, time.Unix(0, 0)); !strings.HasSuffix(cookie, "=") {
			t.Errorf("got a deletion with a value")
		}
	}
	if deleted != len(came) {
		t.Errorf("got %d deletions, want %d", deleted, len(came))
	}
	return true
}

// checkLine compares one line with that of an http.Cookie, and has package http parse it. It returns name and value.
func checkLine(t *testing.T, c cookiesession.Config, line string, maxAge int, expires time.Time) string {
	t.Helper()
	pair, _, _ := strings.Cut(line, ";")
	name, value, _ := strings.Cut(pair, "=")
	want := &http.Cookie{
		Name: name, Value: value, Path: c.Path, Domain: c.Domain, MaxAge: maxAge, Expires: expires,
		Secure: !c.Insecure, HttpOnly: true, SameSite: c.SameSite, Partitioned: c.Partitioned,
	}
	if want.Path == "" {
		want.Path = "/"
	}
	if want.SameSite == 0 || want.SameSite == http.SameSiteDefaultMode {
		want.SameSite = http.SameSiteLaxMode
	}
	if err := want.Valid(); err != nil {
		t.Errorf("package http says %v", err)
	}
	if line != want.String() {
		t.Errorf("got  %q\nwant %q", line, want.String())
	}
	got, err := http.ParseSetCookie(line)
	if err != nil {
		t.Fatalf("package http can't parse %q: %v", line, err)
	}
	if got.Name != name || got.Value != value || got.Path != want.Path || got.Domain != c.Domain || got.MaxAge != maxAge ||
		!got.Expires.Equal(expires) && !expires.IsZero() || got.Secure == c.Insecure || !got.HttpOnly || got.SameSite != want.SameSite ||
		got.Partitioned != c.Partitioned || len(got.Unparsed) > 0 {
		t.Errorf("package http parses %q as %+v", line, got)
	}
	return pair
}

// TestSetCookie tries every combination of settings (gin-contrib, echo: Partitioned was dropped).
func TestSetCookie(t *testing.T) {
	accepted := 0
	for _, name := range []string{"", "sid"} {
		for _, domain := range []string{"", "Shop.example"} {
			for _, path := range []string{"", "/", "/app"} {
				for sameSite := range http.SameSiteNoneMode + 1 {
					for flags := range 8 {
						if checkSetCookie(t, cookiesession.Config{
							Name: name, Domain: domain, Path: path, SameSite: sameSite,
							Partitioned: flags&1 > 0, Insecure: flags&2 > 0, Persistent: flags&4 > 0,
						}) {
							accepted++
						}
					}
				}
			}
		}
	}
	// Of the flags' 8 values, 6 go with any SameSite but None, and 4 with None.
	if want := 2 * 2 * 3 * (4*6 + 4); accepted != want {
		t.Errorf("got %d combinations accepted, want %d", accepted, want)
	}
}

// FuzzSetCookie tries whatever New accepts.
func FuzzSetCookie(f *testing.F) {
	for _, seed := range []struct {
		name, domain, path string
		seconds            int64
		sameSite, flags    byte
	}{
		{"", "", "", 0, 0, 0},
		{"sid", "shop.example", "/app", 3600, 2, 4},
		{"!#$%&'*+-^_`|~", "192.0.2.1", "/a,b=%20", 1, 3, 4},
		{"n", "xn--bcher-kva.example", "//", 34560000, 4, 5},
		{"n", "a.b.c.d.e", "/" + strings.Repeat("p", 1023), 86400, 1, 2},
		{"a.b", "example.com:80", "/;", -1, 9, 255},
		{"a b", ".example", "x", 34560001, 0, 0},
		{strings.Repeat("n", 64), "shop.example.", `/"`, 60, 0, 3},
	} {
		f.Add(seed.name, seed.domain, seed.path, seed.seconds, seed.sameSite, seed.flags)
	}
	f.Fuzz(func(t *testing.T, name, domain, path string, seconds int64, sameSite, flags byte) {
		checkSetCookie(t, cookiesession.Config{
			Name: name, Domain: domain, Path: path, SameSite: http.SameSite(sameSite), Lifetime: time.Duration(seconds) * time.Second,
			Partitioned: flags&1 > 0, Insecure: flags&2 > 0, Persistent: flags&4 > 0,
		})
	})
}
