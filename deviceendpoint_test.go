package cookiesession_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

const devicePath = "/.cookiesession/session"

type recorder = httptest.ResponseRecorder

// A caller calls the endpoint by hand, for a browser whose registration waits.
type caller struct {
	t   *testing.T
	m   *cookiesession.Manager
	b   *deviceBrowser
	key *ecdsa.PrivateKey

	keys *cookiesession.Keyring
	now  time.Time // by the server's clock
}

// newCaller returns one for a visitor who has just logged in.
func newCaller(t *testing.T, change func(*cookiesession.Config)) *caller {
	t.Helper()
	c := &caller{t: t, now: time.Now(), key: newDeviceKey(t), keys: newRing(t, playKey(0))}
	clock := func() time.Time { return c.now }
	c.keys.SetClock(clock)
	shop := newShop(t, func(config *cookiesession.Config) {
		config.Keys = c.keys
		if change != nil {
			change(config)
		}
	})
	shop.m.SetClock(clock)
	c.m, c.b = shop.m, newDeviceBrowser(t, shop)
	c.b.busy = true
	c.b.visit("/login", typed)
	if len(c.b.invited) != 1 {
		t.Fatalf("got %d invitations, want one", len(c.b.invited))
	}
	return c
}

// challenge returns that of the last invitation.
func (c *caller) challenge() string {
	return invitation.FindStringSubmatch(c.b.invited[len(c.b.invited)-1].field)[2]
}

// tag returns the session's identifier.
func (c *caller) tag() string {
	for _, cookie := range c.b.jar.All() {
		if _, tag, ok := strings.Cut(cookie.Name, ".device."); ok {
			return tag
		}
	}
	c.t.Fatal("no device cookie")
	return ""
}

// askToRegister asks to register the key, by a proof that carries a challenge back.
func (c *caller) askToRegister(challenge string) *recorder {
	return c.b.ask(devicePath, "", sign(c.t, c.key, challenge, true))
}

// askToRenew asks to renew the proof, by one that carries a challenge back.
func (c *caller) askToRenew(challenge string) *recorder {
	return c.b.ask(devicePath, c.tag(), sign(c.t, c.key, challenge, false))
}

// register registers the key, which must go well, and returns the next challenge.
func (c *caller) register() string {
	c.t.Helper()
	rec := c.askToRegister(c.challenge())
	if rec.Code != http.StatusOK || !strings.Contains(rec.Body.String(), "refresh_url") {
		c.t.Fatalf("registration: got %d %s", rec.Code, rec.Body)
	}
	return challengeOf(rec)
}

func challengeOf(rec *recorder) string {
	if m := challengeField.FindStringSubmatch(rec.Result().Header.Get("Secure-Session-Challenge")); m != nil {
		return m[1]
	}
	return ""
}

// answerOf says what an answer is: "bound", "ended", "retry", "later", or its status.
func answerOf(rec *recorder) string {
	body, cookies := strings.TrimSpace(rec.Body.String()), cookieNames(rec.Result().Header)
	switch {
	case rec.Header().Get("Cache-Control") != "no-store" || rec.Header().Get("Cross-Origin-Resource-Policy") != "same-origin":
		return fmt.Sprint("with the wrong header: ", rec.Header())
	case rec.Code == http.StatusOK && strings.HasSuffix(body, `"continue":false}`) && cookies == "":
		return "ended"
	case rec.Code == http.StatusOK && strings.Contains(body, `"refresh_url"`) && strings.Contains(cookies, ".proof.") && challengeOf(rec) != "":
		return "bound"
	case rec.Code == http.StatusForbidden && challengeOf(rec) != "" && cookies == "":
		return "retry"
	case rec.Code == http.StatusServiceUnavailable && cookies == "" && rec.Header().Get("Secure-Session-Challenge") == "":
		return "later"
	}
	return fmt.Sprint(rec.Code, " ", body, " ", cookies)
}

// TestDeviceRegistration has every row of what may happen when a browser registers.
func TestDeviceRegistration(t *testing.T) {
	for _, row := range []struct {
		name string
		call func(c *caller) *recorder
		want string
	}{
		{"good", func(c *caller) *recorder { return c.askToRegister(c.challenge()) }, "bound"},
		{"in quotes, with parameters", func(c *caller) *recorder {
			return c.b.ask(devicePath, "", `"`+sign(c.t, c.key, c.challenge(), true)+`" ; a=b`)
		}, "bound"},
		{"five minutes later", func(c *caller) *recorder {
			c.now = c.now.Add(5 * time.Minute)
			return c.askToRegister(c.challenge())
		}, "bound"},
		{"a second too late", func(c *caller) *recorder {
			c.now = c.now.Add(5*time.Minute + time.Second)
			return c.askToRegister(c.challenge())
		}, "ended"},
		{"a minute before", func(c *caller) *recorder {
			c.now = c.now.Add(-time.Minute)
			return c.askToRegister(c.challenge())
		}, "bound"},
		{"more than a minute before", func(c *caller) *recorder {
			c.now = c.now.Add(-61 * time.Second)
			return c.askToRegister(c.challenge())
		}, "later"}, // the session is from the future
		{"no proof", func(c *caller) *recorder { return c.b.ask(devicePath, "", "") }, "ended"},
		{"no JWT", func(c *caller) *recorder { return c.b.ask(devicePath, "", "a.b.c") }, "ended"},
		{"without its key", func(c *caller) *recorder { return c.b.ask(devicePath, "", sign(c.t, c.key, c.challenge(), false)) }, "ended"},
		{"no challenge of ours", func(c *caller) *recorder { return c.askToRegister("challenge") }, "ended"},
		{"empty challenge", func(c *caller) *recorder { return c.askToRegister("") }, "ended"},
		{"the session cookie as a challenge", func(c *caller) *recorder {
			_, text, _ := strings.Cut(c.b.jar.Header(site), cookieName+"=1")
			text, _, _ = strings.Cut(text, ";")
			return c.askToRegister(text)
		}, "ended"},
		{"another visitor's challenge", func(c *caller) *recorder {
			other := newDeviceBrowser(c.t, c.b.site)
			other.busy = true
			other.visit("/login", typed)
			return c.askToRegister(invitation.FindStringSubmatch(other.invited[0].field)[2])
		}, "ended"},
		{"a challenge to refresh", func(c *caller) *recorder {
			copied := c.b.clone()
			rec := copied.ask(devicePath, "", sign(c.t, c.key, c.challenge(), true))
			return c.askToRegister(challengeOf(rec))
		}, "ended"},
		{"the challenge for the ID before", func(c *caller) *recorder {
			before := c.challenge()
			c.b.visit("/regenerate", ownPage)
			return c.askToRegister(before)
		}, "ended"},
		{"the challenge for the ID after", func(c *caller) *recorder {
			c.b.visit("/regenerate", ownPage)
			return c.askToRegister(c.challenge())
		}, "bound"},
		{"twice", func(c *caller) *recorder {
			c.register()
			return c.askToRegister(c.challenge())
		}, "ended"},
		{"another key after the first", func(c *caller) *recorder {
			c.register()
			return c.b.ask(devicePath, "", sign(c.t, newDeviceKey(c.t), c.challenge(), true))
		}, "ended"},
		{"without permit", func(c *caller) *recorder {
			c.b.drop(".device.")
			return c.askToRegister(c.challenge())
		}, "ended"},
		{"with the permit only", func(c *caller) *recorder {
			c.b.remove(cookieName)
			return c.askToRegister(c.challenge())
		}, "ended"},
		{"after a logout", func(c *caller) *recorder {
			c.b.visit("/logout", ownPage)
			return c.askToRegister(c.challenge())
		}, "ended"},
		{"with the permit of an earlier ID only", func(c *caller) *recorder {
			earlier := c.b.thief() // its permit is for one ID
			c.b.visit("/regenerate", ownPage)
			c.b.visit("/regenerate", ownPage)
			permit := cookieName + ".device." + c.tag()
			c.b.set(permit, earlier.cookie(permit).Value)
			return c.askToRegister(c.challenge())
		}, "ended"},
		{"an empty identifier", func(c *caller) *recorder {
			return c.b.askWith(func(h http.Header) { h["Sec-Secure-Session-Id"] = []string{""} })
		}, "retry"},
		{"an empty identifier in quotes", func(c *caller) *recorder {
			return c.b.askWith(func(h http.Header) { h["Sec-Secure-Session-Id"] = []string{`""`} })
		}, "retry"},
		{"its identifier, though there is no key", func(c *caller) *recorder { return c.b.ask(devicePath, c.tag(), "") }, "ended"},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := newCaller(t, nil)
			rec := row.call(c)
			if got := answerOf(rec); got != row.want {
				t.Errorf("got %s, want %s", got, row.want)
			}
			if row.want == "ended" {
				c.now = time.Now()
				want := "ada"
				if strings.Contains(c.b.jar.Header(site), ".proof.") {
					want = "ada proven"
				}
				switch row.name {
				case "without permit", "with the permit of an earlier ID only":
					want = "unproven"
				case "with the permit only", "after a logout":
					want = "new"
				}
				identifier := ""
				if strings.HasPrefix(want, "ada") {
					identifier = c.tag()
				}
				if told := `"session_identifier":"` + identifier; !strings.Contains(rec.Body.String(), told) {
					t.Errorf("got %s, want %s in it", rec.Body, told)
				}
				c.b.want(c.b.visit("/", ownPage), want)
			}
		})
	}
}

// TestDeviceRegistrationWithoutCookies has what may happen when a browser registers after a login that another site's
// request completed, so that it withholds the cookies.
func TestDeviceRegistrationWithoutCookies(t *testing.T) {
	const bound, ended = "bound", `{"session_identifier":"","continue":false}`
	for _, row := range []struct {
		name string
		call func(c *caller, anonymous *deviceBrowser) *recorder
		want string
	}{
		{name: "good", want: bound},
		{name: "beside other cookies", want: bound, call: func(c *caller, anonymous *deviceBrowser) *recorder {
			anonymous.set("theme", "dark")
			anonymous.set(cookieName+".here", "1")
			return anonymous.ask(devicePath, "", sign(c.t, c.key, c.challenge(), true))
		}},
		{name: "five minutes later", want: bound, call: func(c *caller, anonymous *deviceBrowser) *recorder {
			c.now = c.now.Add(5 * time.Minute)
			return anonymous.ask(devicePath, "", sign(c.t, c.key, c.challenge(), true))
		}},
		{name: "a second too late", want: ended, call: func(c *caller, anonymous *deviceBrowser) *recorder {
			c.now = c.now.Add(5*time.Minute + time.Second)
			return anonymous.ask(devicePath, "", sign(c.t, c.key, c.challenge(), true))
		}},
		{name: "a minute before", want: bound, call: func(c *caller, anonymous *deviceBrowser) *recorder {
			c.now = c.now.Add(-time.Minute)
			return anonymous.ask(devicePath, "", sign(c.t, c.key, c.challenge(), true))
		}},
		{name: "more than a minute before", want: ended, call: func(c *caller, anonymous *deviceBrowser) *recorder {
			c.now = c.now.Add(-61 * time.Second)
			return anonymous.ask(devicePath, "", sign(c.t, c.key, c.challenge(), true))
		}},
		{name: "nothing at all", want: ended, call: func(_ *caller, anonymous *deviceBrowser) *recorder {
			return anonymous.ask(devicePath, "", "")
		}},
		{name: "no challenge of ours", want: ended, call: func(c *caller, anonymous *deviceBrowser) *recorder {
			return anonymous.ask(devicePath, "", sign(c.t, c.key, "challenge", true))
		}},
		{name: "a challenge to refresh", want: ended, call: func(c *caller, anonymous *deviceBrowser) *recorder {
			return anonymous.ask(devicePath, "", sign(c.t, c.key, c.register(), true))
		}},
		{name: "without its key", want: ended, call: func(c *caller, anonymous *deviceBrowser) *recorder {
			return anonymous.ask(devicePath, "", sign(c.t, c.key, c.challenge(), false))
		}},
		{name: "signed by another key", want: ended, call: func(c *caller, anonymous *deviceBrowser) *recorder {
			parts := strings.Split(sign(c.t, c.key, c.challenge(), true), ".")
			other := strings.Split(sign(c.t, newDeviceKey(c.t), c.challenge(), true), ".")
			return anonymous.ask(devicePath, "", parts[0]+"."+parts[1]+"."+other[2])
		}},
		{name: "an identifier", want: `{"session_identifier":"TAG","continue":false}`, call: func(c *caller, anonymous *deviceBrowser) *recorder {
			return anonymous.ask(devicePath, c.tag(), sign(c.t, c.key, c.challenge(), true))
		}},
		{name: "a marker of a logout", want: ended, call: func(c *caller, anonymous *deviceBrowser) *recorder {
			anonymous.set(cookieName+".ended."+c.tag(), "0")
			return anonymous.ask(devicePath, "", sign(c.t, c.key, c.challenge(), true))
		}},
		{name: "a session that is junk", want: ended, call: func(c *caller, anonymous *deviceBrowser) *recorder {
			anonymous.set(cookieName, "junk")
			return anonymous.ask(devicePath, "", sign(c.t, c.key, c.challenge(), true))
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := newCaller(t, nil)
			anonymous := newDeviceBrowser(t, c.b.site)
			if row.call == nil {
				row.call = func(c *caller, anonymous *deviceBrowser) *recorder {
					return anonymous.ask(devicePath, "", sign(c.t, c.key, c.challenge(), true))
				}
			}
			rec := row.call(c, anonymous)
			got := answerOf(rec)
			if got == "ended" {
				got = strings.ReplaceAll(strings.TrimSpace(rec.Body.String()), c.tag(), "TAG")
			}
			if got != row.want {
				t.Fatalf("got %s, want %s", got, row.want)
			}
			if got == bound { // nobody's, without the session
				for what, text := range map[string]string{
					"the instructions": rec.Body.String(),
					"the cookies":      strings.Join(rec.Result().Header["Set-Cookie"], "\n"),
					"the challenge":    rec.Result().Header.Get("Secure-Session-Challenge"),
				} {
					if !strings.Contains(text, c.tag()) {
						t.Errorf("got %s %s, want the session's tag in it", what, text)
					}
				}
				c.now = time.Now()
				anonymous.want(anonymous.visit("/", ownPage), "new")
			}
		})
	}
}

// TestDeviceIDOfZeros has a session whose ID is zero, which only another implementation can have written, register with
// another session's challenge: it came, so nothing is withheld, and the challenge must be its own.
func TestDeviceIDOfZeros(t *testing.T) {
	d := newMadeDevices(t, nil)
	id, now := make([]byte, 16), d.now.Unix()
	session := cookieName + "=1" + textEncoding.EncodeToString(sealFor(playKey(0), "bound",
		pack(packArray(7), packBytes(id), packTimes(now, now, now+9), 0, packBytes(nil), 0x80)))
	permit := deviceCookie(playKey(0), "device", id[:8], packDevice(id, nil))
	challenge := textEncoding.EncodeToString(sealFor(playKey(0), "challenge", pack(packArray(3), []byte{1}, packBytes(id), packTimes(now))))
	for _, row := range []struct {
		name, challenge string
		cookies         []string
		want            string
	}{
		{"with a permit and its own challenge", challenge, []string{session, permit}, "bound"},
		{"with a permit and another's challenge", d.challenge(), []string{session, permit}, "ended"},
		{"without a permit", d.challenge(), []string{session}, "ended"},
	} {
		r := asking(devicePath, "", sign(t, d.key, row.challenge, true))
		r.Header.Set("Cookie", strings.Join(row.cookies, "; "))
		rec := httptest.NewRecorder()
		d.b.site.ServeHTTP(rec, r)
		if got := answerOf(rec); got != row.want {
			t.Errorf("%s: got %s, want %s", row.name, got, row.want)
		}
	}
}

// TestDeviceMaxAgeWithoutCookies has a device cookie that is written without the session's cookies live as long as any
// session of the Manager.
func TestDeviceMaxAgeWithoutCookies(t *testing.T) {
	for _, row := range []struct {
		lifetime, remember time.Duration
		want               string
	}{
		{2 * time.Hour, time.Hour, "Max-Age=7200"},
		{2 * time.Hour, 3 * time.Hour, "Max-Age=10800"},
	} {
		c := newCaller(t, func(c *cookiesession.Config) { c.Lifetime, c.MaxRemember = row.lifetime, row.remember })
		rec := newDeviceBrowser(t, c.b.site).ask(devicePath, "", sign(t, c.key, c.challenge(), true))
		if line := rec.Result().Header["Set-Cookie"][0]; !strings.Contains(line, ".device.") || !strings.Contains(line, row.want+";") {
			t.Errorf("Lifetime %v, MaxRemember %v: got %s, want %s", row.lifetime, row.remember, line, row.want)
		}
	}
}

// TestDeviceRefresh has every row of what may happen when a browser renews.
func TestDeviceRefresh(t *testing.T) {
	for _, row := range []struct {
		name string
		call func(c *caller, next string) *recorder
		want string
	}{
		{"good", func(c *caller, next string) *recorder { return c.askToRenew(next) }, "bound"},
		{"in quotes, with parameters", func(c *caller, next string) *recorder {
			return c.b.ask(devicePath, `"`+c.tag()+`";a`, ` "`+sign(c.t, c.key, next, false)+`";b=c`)
		}, "bound"},
		{"the challenge again", func(c *caller, next string) *recorder { // in the time it has
			c.askToRenew(next)
			return c.askToRenew(next)
		}, "bound"},
		{"at the end of the challenge", func(c *caller, next string) *recorder {
			c.now = c.now.Add(deviceProof + 5*time.Minute)
			return c.askToRenew(next)
		}, "bound"},
		{"a second later", func(c *caller, next string) *recorder {
			c.now = c.now.Add(deviceProof + 5*time.Minute + time.Second)
			return c.askToRenew(next)
		}, "retry"},
		{"by a clock a minute behind", func(c *caller, next string) *recorder {
			c.now = c.now.Add(-time.Minute)
			return c.askToRenew(next)
		}, "bound"},
		{"without response", func(c *caller, next string) *recorder { return c.b.ask(devicePath, c.tag(), "") }, "retry"},
		{"empty response in quotes", func(c *caller, next string) *recorder { return c.b.ask(devicePath, c.tag(), `""`) }, "retry"},
		{"after regenerate", func(c *caller, next string) *recorder {
			c.b.visit("/regenerate", ownPage)
			return c.askToRenew(next)
		}, "bound"},
		{"empty challenge", func(c *caller, next string) *recorder { return c.askToRenew("") }, "retry"},
		{"no challenge of ours", func(c *caller, next string) *recorder { return c.askToRenew("challenge") }, "retry"},
		{"a long challenge", func(c *caller, next string) *recorder { return c.askToRenew(strings.Repeat("A", 1000)) }, "retry"},
		{"the challenge to register", func(c *caller, next string) *recorder { return c.askToRenew(c.challenge()) }, "retry"},
		{"another session's challenge", func(c *caller, next string) *recorder {
			other := newDeviceBrowser(c.t, c.b.site)
			other.visit("/login", typed)
			for _, s := range other.bindings {
				next = s.challenge
			}
			return c.askToRenew(next)
		}, "retry"},
		{"another key", func(c *caller, next string) *recorder {
			return c.b.ask(devicePath, c.tag(), sign(c.t, newDeviceKey(c.t), next, false))
		}, "ended"},
		{"with a key", func(c *caller, next string) *recorder {
			return c.b.ask(devicePath, c.tag(), sign(c.t, c.key, next, true))
		}, "ended"},
		{"no JWT", func(c *caller, next string) *recorder { return c.b.ask(devicePath, c.tag(), "a.b.c") }, "ended"},
		{"another identifier", func(c *caller, next string) *recorder {
			return c.b.ask(devicePath, "AAAAAAAAAAA", sign(c.t, c.key, next, false))
		}, "ended"},
		{"an empty identifier", func(c *caller, next string) *recorder {
			return c.b.askWith(func(h http.Header) { h["Sec-Secure-Session-Id"] = []string{""} })
		}, "retry"},
		{"without key", func(c *caller, next string) *recorder {
			tag := c.tag()
			c.b.drop(".device.")
			return c.b.ask(devicePath, tag, sign(c.t, c.key, next, false))
		}, "ended"},
		{"without proof cookie", func(c *caller, next string) *recorder {
			c.b.drop(".proof.")
			return c.askToRenew(next)
		}, "bound"},
		{"without session", func(c *caller, next string) *recorder {
			tag := c.tag()
			c.b.remove(cookieName)
			return c.b.ask(devicePath, tag, sign(c.t, c.key, next, false))
		}, "ended"},
		{"after logout", func(c *caller, next string) *recorder {
			tag := c.tag()
			c.b.visit("/logout", ownPage)
			return c.b.ask(devicePath, tag, sign(c.t, c.key, next, false))
		}, "ended"},
		{"expired", func(c *caller, next string) *recorder {
			c.now = c.now.Add(24 * time.Hour)
			return c.askToRenew(next)
		}, "ended"},
		{"GET", func(c *caller, next string) *recorder {
			r := httptest.NewRequest(http.MethodGet, "https://shop.example"+devicePath, nil)
			r.Header.Set("Sec-Secure-Session-Id", c.tag())
			return c.b.exchange(r, false)
		}, "405 POST only "},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := newCaller(t, nil)
			rec := row.call(c, c.register())
			if got := answerOf(rec); got != row.want {
				t.Errorf("got %s, want %s", got, row.want)
			}
			if allow := rec.Header().Get("Allow"); (allow == "POST") != (rec.Code == http.StatusMethodNotAllowed) { // RFC 9110, 15.5.6
				t.Errorf("got status %d with Allow %q", rec.Code, allow)
			}
		})
	}
}

// TestDeviceRenewalSealsAnew has a key of the ring retire before the session ends: the device cookie must not go with
// it.
func TestDeviceRenewalSealsAnew(t *testing.T) {
	for name, test := range map[string]struct {
		retires time.Duration // of the key that sealed; 0: never
		newer   bool          // there is a newer key
		want    string
	}{
		"never":                  {0, true, "[.proof]"},
		"long after the session": {48 * time.Hour, true, "[.proof]"},
		"before the session":     {time.Hour, true, "[.device] [.proof]"},
		"with no newer":          {time.Hour, false, "[.proof]"},
	} {
		c := newCaller(t, nil)
		next := c.register()
		old := playKey(0)
		if test.retires > 0 {
			old.RetireAt = c.now.Add(test.retires)
		}
		keys := []cookiesession.Key{old}
		if test.newer {
			keys = append(keys, playKey(1))
			keys[1].ActivateAt = c.now
		}
		if err := c.keys.Replace(keys...); err != nil {
			t.Fatal(err)
		}
		rec := c.askToRenew(next)
		if got := answerOf(rec); got != "bound" {
			t.Errorf("%s: got %s, want bound", name, got)
		}
		wrote := newDeviceBrowser(t, nil)
		wrote.jar.SetHeader(site, rec.Result().Header)
		if got := wrote.names(); got != test.want {
			t.Errorf("%s: wrote %s, want %s", name, got, test.want)
		}
	}
}

// TestDeviceBesideOneOfUnknownKey has a device cookie that doesn't open come before the one that counts.
func TestDeviceBesideOneOfUnknownKey(t *testing.T) {
	for name, bound := range map[string]bool{"register": false, "renew": true} {
		c := newCaller(t, nil)
		next := ""
		if bound {
			next = c.register()
		}
		inner := c.b.site
		c.b.site = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			of := cookieName + ".device." + c.tag()
			r.Header.Set("Cookie", of+"="+swapLetter(c.b.cookie(of).Value, 10)+"; "+r.Header.Get("Cookie"))
			inner.ServeHTTP(w, r)
		})
		identifier, proof := "", sign(t, c.key, c.challenge(), true)
		if bound {
			identifier, proof = c.tag(), sign(t, c.key, next, false)
		}
		if got := answerOf(c.b.ask(devicePath, identifier, proof)); got != "bound" {
			t.Errorf("%s: got %s, want bound", name, got)
		}
	}
}

// TestDeviceSession has the sessions that a browser may come with to register or renew: it is told to give up only if the
// session is over.
func TestDeviceSession(t *testing.T) {
	cause := errors.New("database is down")
	var revoked bool
	var hookErr error
	for _, row := range []struct {
		name  string
		spoil func(c *caller)
		want  string
	}{
		{"good", func(c *caller) {}, "bound"},
		{"sealed by an unknown key", func(c *caller) {
			if err := c.keys.Replace(playKey(1)); err != nil {
				c.t.Fatal(err)
			}
		}, "later"},
		{"from the future", func(c *caller) { c.now = c.now.Add(-2 * time.Minute) }, "later"},
		{"ambiguous", func(c *caller) {
			other := newDeviceBrowser(c.t, c.b.site)
			other.visit("/login", typed)
			c.b.site = withCookie(c.b.site, other.jar.Header(site))
		}, "later"},
		{"torn", func(c *caller) { c.b.set(cookieName, "2"+strings.Repeat("A", 28)) }, "later"},
		{"Revoked failed", func(c *caller) { hookErr = cause }, "later"},
		{"revoked", func(c *caller) { revoked = true }, "ended"},
		{"idle", func(c *caller) { c.now = c.now.Add(time.Hour + time.Second) }, "ended"},
		{"malformed", func(c *caller) { c.b.set(cookieName, "0") }, "ended"},
		{"forged", func(c *caller) {
			value := c.b.cookie(cookieName).Value
			c.b.set(cookieName, value[:len(value)-8]+"AAAAAAAA")
		}, "ended"},
		{"not device-aware", func(c *caller) { c.b.visit("/start-anew", ownPage) }, "ended"},
	} {
		t.Run(row.name, func(t *testing.T) {
			revoked, hookErr = false, nil
			proven := true
			c := newCaller(t, func(c *cookiesession.Config) {
				c.IdleTimeout = time.Hour
				c.Revoked = func(_ context.Context, s *cookiesession.Session) (bool, error) {
					proven = s.DeviceProven()
					return revoked, hookErr
				}
			})
			next, tag := c.register(), c.tag()
			row.spoil(c)
			c.b.drop(".proof.")
			proven = true
			rec := c.b.ask(devicePath, tag, sign(t, c.key, next, false))
			if got := answerOf(rec); got != row.want {
				t.Errorf("got %s, want %s", got, row.want)
			}
			if !proven && row.name != "not device-aware" {
				t.Error("Revoked: got DeviceProven false of what is about to be proven, want true")
			}
			if n := regexp.MustCompile(`"session_identifier":"([^"]*)"`).FindStringSubmatch(rec.Body.String()); row.want == "ended" && (n == nil || n[1] != tag) {
				t.Errorf("got %s, want the identifier %s", rec.Body, tag)
			}
		})
	}
}

// TestDeviceNoActiveKey has a server that can open everything and seal nothing: browsers must not give up.
func TestDeviceNoActiveKey(t *testing.T) {
	for _, ask := range []struct {
		name string
		ask  func(c *caller) *recorder
	}{
		{"register", func(c *caller) *recorder {
			return c.askToRegister(c.challenge())
		}},
		{"refresh", func(c *caller) *recorder {
			tag := c.tag()
			return c.b.ask(devicePath, tag, sign(c.t, c.key, c.b.bindings[tag].challenge, false))
		}},
		{"refresh without response", func(c *caller) *recorder { return c.b.ask(devicePath, c.tag(), "") }},
	} {
		t.Run(ask.name, func(t *testing.T) {
			c := newCaller(t, nil)
			if ask.name != "register" {
				c.b.bindings[c.tag()] = &boundSession{challenge: c.register()}
			}
			test := playKey(0)
			test.ActivateAt = time.Now().Add(day) // opens till then
			last := cookiesession.GenerateKey("last")
			last.RetireAt = time.Now().Add(time.Minute)
			if err := c.keys.Replace(test, last); err != nil {
				t.Fatal(err)
			}
			c.now = c.now.Add(time.Minute + time.Second)
			if got, want := answerOf(ask.ask(c)), "later"; got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

// TestDeviceTellsWhy logs once that a browser tried and failed, and why, and never what was received.
func TestDeviceTellsWhy(t *testing.T) {
	var log bytes.Buffer
	c := newCaller(t, func(c *cookiesession.Config) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	for range 3 {
		c.askToRegister("challenge")
	}
	next := c.register()
	for range 3 {
		c.b.ask(devicePath, c.tag(), sign(t, newDeviceKey(t), next, false))
	}
	for range 3 {
		c.b.drop(".proof.")
		r := httptest.NewRequest(http.MethodGet, "https://shop.example/", nil)
		r.Header.Set("Secure-Session-Skipped", `quota_exceeded;session_identifier="`+c.tag()+`"`)
		c.b.exchange(r, false)
	}
	for _, want := range []string{
		`why="the challenge isn't one"`, `why="the signature isn't one by the key"`, "why=quota_exceeded",
	} {
		if got := strings.Count(log.String(), want); got != 1 {
			t.Errorf("got %d lines with %s, want one:\n%s", got, want, log.String())
		}
	}
	if strings.Contains(log.String(), next) || strings.Contains(log.String(), c.tag()) {
		t.Errorf("the log repeats what was received:\n%s", log.String())
	}
}

// TestDeviceTellsWhich has the log tell one reason from another.
func TestDeviceTellsWhich(t *testing.T) {
	stranger := newCaller(t, withKeys(newRing(t, playKey(9)))).challenge()
	register := func(challenge string) func(d *madeDevices) {
		return func(d *madeDevices) { d.b.ask(devicePath, "", sign(d.t, d.key, challenge, true)) }
	}
	renewAfter := func(after time.Duration) func(d *madeDevices) {
		return func(d *madeDevices) {
			d.register()
			d.now = d.now.Add(time.Hour) // or the session would be ahead, too
			next := challengeOf(d.b.ask(devicePath, d.tag(), ""))
			d.now = d.now.Add(after)
			d.b.ask(devicePath, d.tag(), sign(d.t, d.key, next, false))
		}
	}
	for _, row := range []struct {
		name string
		call func(d *madeDevices)
		want string
	}{
		{"a stranger who signs nothing", func(d *madeDevices) { newDeviceBrowser(d.t, d.b.site).ask(devicePath, "", "") }, ""},
		{"no JWT", func(d *madeDevices) { d.b.ask(devicePath, "", "a.b.c") }, "the header isn't base64url"},
		{"a key beside the permit", func(d *madeDevices) {
			_, device, _ := strings.Cut(d.device(0, d.one), "=")
			d.b.site = withCookie(d.b.site, cookieName+".device."+d.tag()+"="+device)
			register(d.challenge())(d)
		}, "there is a key already"},
		{"as long as a challenge may be", register(strings.Repeat("A", 256)), "the challenge is refused: malformed"},
		{"longer", register(strings.Repeat("A", 258)), "the challenge isn't one"},
		{"of another shape", func(d *madeDevices) {
			payload := append(pack(packArray(3), []byte{1}, packBytes(d.id), packTimes(d.now.Unix())), 0xc0)
			register(textEncoding.EncodeToString(sealFor(playKey(0), "challenge", payload)))(d)
		}, "the challenge isn't one"},
		{"as a server seals it", func(d *madeDevices) {
			payload := pack(packArray(3), []byte{1}, packBytes(d.id), packTimes(d.now.Unix()))
			register(textEncoding.EncodeToString(sealFor(playKey(0), "challenge", payload)))(d)
		}, ""},
		{"another ring's", register(stranger), "the challenge is refused: unknown-key"},
		{"another session's", func(d *madeDevices) {
			another := newDeviceBrowser(d.t, d.b.site)
			another.busy = true
			another.visit("/login", typed)
			register(invitation.FindStringSubmatch(another.invited[0].field)[2])(d)
		}, "the challenge is another session's"},
		{"a signature that isn't one", func(d *madeDevices) {
			d.b.ask(devicePath, "", unsigned(sign(d.t, d.key, d.challenge(), true)))
		}, "the signature isn't one by the key"},
		{"neither a challenge nor a signature", func(d *madeDevices) { // which isn't verified, since that takes the longest
			newDeviceBrowser(d.t, d.b.site).ask(devicePath, "", unsigned(sign(d.t, d.key, "A", true)))
		}, "the challenge isn't one"},
		{"no JWT, to renew", func(d *madeDevices) {
			d.register()
			d.b.ask(devicePath, d.tag(), "a.b.c")
		}, "the header isn't base64url"},
		{"neither, to renew", func(d *madeDevices) {
			d.register()
			if got := answerOf(d.b.ask(devicePath, d.tag(), unsigned(sign(d.t, d.key, "A", false)))); got != "retry" {
				d.t.Errorf("neither, to renew: got %s, want retry", got)
			}
		}, "the challenge isn't one"},
		{"too old", renewAfter(deviceProof + 5*time.Minute + time.Second), "the challenge is too old"},
		{"from a clock a minute ahead", renewAfter(-time.Minute), ""},
		{"from a clock further ahead", renewAfter(-time.Minute - time.Second), "the challenge is ahead of this server's clock"},
	} {
		var log logBuffer
		d := newMadeDevices(t, func(c *cookiesession.Config) { c.Logger = log.logger() })
		row.call(&d)
		why := regexp.MustCompile(`why="?([^"\n]*)`).FindStringSubmatch(log.String())
		if why == nil {
			why = []string{"", ""}
		}
		if why[1] != row.want {
			t.Errorf("%s: logged %q, want %q", row.name, why[1], row.want)
		}
	}
}

// unsigned replaces a proof's signature by zeros.
func unsigned(proof string) string { return proof[:len(proof)-86] + strings.Repeat("A", 86) }

// TestDeviceHosts sees that browsers are told from which other hosts' pages they may renew.
func TestDeviceHosts(t *testing.T) {
	for want, hosts := range map[string][]string{
		`"allowed_refresh_initiators":[]`:                                 nil, // null isn't a list
		`"allowed_refresh_initiators":["app.shop.example","*.shop.test"]`: {"app.shop.example", "*.shop.test"},
	} {
		c := newCaller(t, func(c *cookiesession.Config) { c.DeviceHosts = hosts })
		for i := range hosts {
			hosts[i] = "changed.after.new" // which doesn't matter
		}
		rec := c.askToRegister(c.challenge())
		if got := rec.Body.String(); !strings.Contains(got, want) {
			t.Errorf("got instructions %s, want %s", got, want)
		}
	}
}

// TestDeviceOffEndpoint is what Handler answers at DevicePath without DeviceProof.
func TestDeviceOffEndpoint(t *testing.T) {
	keys := newRing(t)
	off := newShop(t, func(c *cookiesession.Config) { c.Keys, c.DeviceProof = keys, 0 })
	on := newShop(t, withKeys(keys))
	b := newDeviceBrowser(t, on)
	b.visit("/login", typed)
	tag := ownerTag(b)
	b.site = off
	if got := answerOf(b.ask(devicePath, tag, "")); got != "later" {
		t.Errorf("a bound session: got %s, want later", got)
	}
	if rec := b.ask(devicePath, "", ""); rec.Code != http.StatusNotFound {
		t.Errorf("without identifier: got status %d, want the application's 404", rec.Code)
	}
	invited := newDeviceBrowser(t, on)
	invited.busy = true
	invited.visit("/login", typed)
	challenge := invitation.FindStringSubmatch(invited.invited[0].field)[2]
	stranger := newDeviceBrowser(t, off.m.DeviceHandler())
	if got := answerOf(stranger.ask(devicePath, "", sign(t, newDeviceKey(t), challenge, true))); got != "ended" {
		t.Errorf("a registration without cookies: got %s, want ended", got)
	}
	b.visit("/start-anew", ownPage)
	if got := answerOf(b.ask(devicePath, tag, "")); got != "ended" {
		t.Errorf("an unbound session: got %s, want ended", got)
	}
}

// TestDevicePaths finds the endpoint where a prefix has been stripped, and nowhere else.
func TestDevicePaths(t *testing.T) {
	for _, c := range []struct {
		name, path, devicePath string
		asked                  string
		found                  bool
	}{
		{"default", "/", "", "/.cookiesession/session", true},
		{"default, another's", "/", "", "/.cookiesession/other", false},
		{"default, longer", "/", "", "/app/.cookiesession/session", false},
		{"default, below", "/", "", "/.cookiesession/session/", false},
		{"Path", "/shop/app", "", "/shop/app/.cookiesession/session", true},
		{"Path with a slash", "/shop/app/", "", "/shop/app/.cookiesession/session", true},
		{"Path, prefix stripped", "/shop/app", "", "/app/.cookiesession/session", true},
		{"Path stripped", "/shop/app", "", "/.cookiesession/session", true},
		{"Path, half a segment", "/shop/app", "", "/pp/.cookiesession/session", false},
		{"Path, cut too short", "/shop/app", "", "/session", false},
		{"Path in escapes", "/caf%C3%A9", "", "/café/.cookiesession/session", true},
		{"chosen", "/", "/device", "/device", true},
		{"chosen, not the default", "/", "/device", "/.cookiesession/session", false},
		{"chosen, prefix stripped", "/app", "/app/bind/device", "/device", false},
		{"chosen, ends as the default", "/app", "/app/x/.cookiesession/session", "/.cookiesession/session", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newManager(t, func(config *cookiesession.Config) {
				config.DeviceProof, config.Path, config.DevicePath = deviceProof, c.path, c.devicePath
			})
			h := m.Handler(http.NotFoundHandler())
			r := httptest.NewRequest(http.MethodPost, "https://shop.example/", nil)
			r.URL.Path = c.asked
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, r)
			if found := rec.Code != http.StatusNotFound; found != c.found {
				t.Errorf("got status %d, found %v, want %v", rec.Code, found, c.found)
			}
		})
	}
}

// TestDeviceStripPrefix walks through http.StripPrefix, also by names that need escapes.
func TestDeviceStripPrefix(t *testing.T) {
	for _, name := range []string{"session", "a%b`c"} {
		m := newManager(t, func(c *cookiesession.Config) { c.DeviceProof, c.Path, c.Name = deviceProof, "/", name })
		h := m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/login" {
				login(m.Get(r))
				return
			}
			fmt.Fprint(w, whoIs(m.Get(r)))
		}))
		b := newDeviceBrowser(t, h)
		b.visit("/login", typed)
		b.want(b.visit("/", ownPage), "ada proven")
	}
	m := newManager(t, func(c *cookiesession.Config) { c.DeviceProof, c.Path = deviceProof, "/app" })
	rec := httptest.NewRecorder()
	http.StripPrefix("/app", m.Handler(http.NotFoundHandler())).ServeHTTP(rec, httptest.NewRequest(http.MethodPost, "https://shop.example/app/.cookiesession/session", nil))
	if got := answerOf(rec); got != "ended" {
		t.Errorf("behind StripPrefix: got %s, want the endpoint's answer", got)
	}
}

// TestDeviceSkipped is the browser that says it couldn't renew: an anonymous page would have its session overwritten.
func TestDeviceSkipped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := newShop(t, nil)
		b := bound(t, shop)
		for range 6 {
			b.maySign()
		}
		time.Sleep(deviceProof - time.Minute)
		for len(b.signed) < 6 || time.Since(b.signed[0]) >= 9*time.Minute { // the quota is used up
			b.maySign()
		}
		time.Sleep(2 * time.Minute)
		for _, from := range []string{typed, ownPage} {
			p := b.visit("/change", from)
			if p.Code != http.StatusServiceUnavailable || p.Header().Get("Retry-After") == "" || p.Header().Get("Refresh") == "" ||
				p.Header().Get("Cache-Control") != "no-store" || p.Result().Header["Set-Cookie"] != nil || strings.Contains(p.Body.String(), "unproven") {
				t.Errorf("got status %d, header %v and body %s, want 503, no cookies, and nothing of the application", p.Code, p.Header(), p.Body)
			}
		}
		thief := b.thief() // which says that another session's was skipped, or nothing
		r := httptest.NewRequest(http.MethodGet, "https://shop.example/", nil)
		r.Header.Set("Secure-Session-Skipped", `server_error;session_identifier="AAAAAAAAAAA"`)
		p := thief.send(r, typed)
		if thief.want(p, "unproven"); p.again {
			t.Error("got a page in the application's place, for somebody who came from no other site")
		}
		time.Sleep(9 * time.Minute)
		b.want(b.visit("/", typed), "ada proven")
	})
}

// TestDeviceSkippedIsNoLogText logs a browser's words, not whatever a visitor sends.
func TestDeviceSkippedIsNoLogText(t *testing.T) {
	for why, want := range map[string]string{
		"quota_exceeded":        "quota_exceeded",
		strings.Repeat("z", 31): strings.Repeat("z", 31),
		strings.Repeat("z", 32): strings.Repeat("z", 32),
		strings.Repeat("z", 33): "unknown",
		"Quota":                 "unknown",
		"a=1":                   "unknown",
		"":                      "unknown",
		`server_error;session_identifier="AAAAAAAAAAA", unreachable`: "unreachable",
	} {
		synctest.Test(t, func(t *testing.T) {
			var log logBuffer
			b := bound(t, newShop(t, func(c *cookiesession.Config) { c.Logger = log.logger() }))
			time.Sleep(deviceProof + 2*time.Minute)
			tag := ownerTag(b)
			r := httptest.NewRequest(http.MethodGet, "https://shop.example/", nil)
			r.Header.Set("Secure-Session-Skipped", why+`;session_identifier="`+tag+`"`)
			log.take()
			b.thief().exchange(r, false)
			if got := log.take(); !strings.Contains(got, "why="+want+"\n") {
				t.Errorf("%q: logged %q, want %s", why, got, want)
			}
		})
	}
}

// TestDeviceStandIn is asked for by navigations from elsewhere only, and only if there is a key.
func TestDeviceStandIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := newShop(t, nil)
		b := bound(t, shop)
		time.Sleep(deviceProof + 2*time.Minute)
		thief := b.thief()
		thief.site = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json") // of the application's answers
			shop.ServeHTTP(w, r)
		})
		for _, c := range []struct {
			method, mode, from string
			without            string
			want               bool
		}{
			{"GET", "navigate", otherSite, "", true},
			{"GET", "navigate", otherHost, "", true},
			{"GET", "navigate", ownPage, "", false},
			{"GET", "navigate", typed, "", false},
			{"GET", "cors", otherSite, "", false},
			{"GET", "no-cors", otherHost, "", false},
			{"POST", "navigate", otherHost, "", false},
			{"HEAD", "navigate", otherSite, "", false},
			{"GET", "navigate", otherSite, ".device.", false},
			{"GET", "navigate", otherSite, ".proof.", true},
		} {
			r := httptest.NewRequest(c.method, "https://shop.example/", nil)
			r.Header.Set("Sec-Fetch-Mode", c.mode)
			r.Header.Set("Sec-Fetch-Site", c.from)
			copied := thief.clone()
			if c.without != "" {
				copied.drop(c.without)
			}
			rec := copied.exchange(r, false)
			if got := onceMore.MatchString(rec.Body.String()); got != c.want {
				t.Errorf("%+v: got %v, want %v", c, got, c.want)
			}
			if c.want && (strings.Contains(rec.Body.String(), "unproven") || rec.Header().Get("Content-Type") != "text/html; charset=utf-8") {
				t.Errorf("%+v: got %s of type %s, want a page and nothing of the application", c, rec.Body, rec.Header().Get("Content-Type"))
			}
		}

		// Where nobody may have to renew the session isn't even opened, unless the application does.
		opened := func() uint64 { return shop.m.Stats().Keys["test"].Opened }
		before := opened()
		b.site = shop.m.Handler(http.NotFoundHandler())
		b.bindings = nil
		b.visit("/", typed)
		if got := opened() - before; got != 0 {
			t.Errorf("a page that uses no session: %d tokens opened, want none", got)
		}
	})
}

// TestDeviceImports sees that the endpoint imports no session, which would be lost.
func TestDeviceImports(t *testing.T) {
	asked := 0
	shop := newShop(t, func(c *cookiesession.Config) {
		c.Import = func(*http.Request) (map[string]any, error) { asked++; return map[string]any{"user": "ada"}, nil }
	})
	b := newDeviceBrowser(t, shop)
	if got := answerOf(b.ask(devicePath, "", "")); got != "ended" || asked != 0 {
		t.Errorf("got %s after %d imports, want ended after none", got, asked)
	}
	b.want(b.visit("/", typed), "new") // which is imported
	if asked != 1 {
		t.Errorf("got %d imports by the page, want one", asked)
	}
}

// Without DeviceProof a link from another site opens no session that the handler ignores.
func TestLinkWithoutDeviceProof(t *testing.T) {
	m := newManager(t, nil)
	h := m.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	h.ServeHTTP(httptest.NewRecorder(), link.request(cookieName+"=junk"))
	if got := m.Stats().Rejected; len(got) > 0 {
		t.Errorf("got refusals %v, want none", got)
	}
}
