package cookiesession_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

// TestDeviceIsInvitedOnce logs in again with a key in force: the browser isn't asked for another.
func TestDeviceIsInvitedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newDeviceBrowser(t, newShop(t, nil))
		for i, path := range []string{"/login", "/regenerate", "/login"} {
			want := 0
			if i == 0 {
				want = 1
			}
			if got := b.visit(path, ownPage).Header().Values("Secure-Session-Registration"); len(got) != want {
				t.Errorf("%s, visit %d: got %q, want %d", path, i+1, got, want)
			}
		}
	})
}

// TestDeviceOtherKeyOfItsOrigin has two browsers register with copies of one permit: a proof by one key does nothing
// for the other.
func TestDeviceOtherKeyOfItsOrigin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := newShop(t, nil)
		one := newDeviceBrowser(t, shop)
		one.busy = true
		one.visit("/login", typed)
		two := one.clone()
		one.register()
		two.register()
		one.want(one.visit("/", ownPage), "ada proven")
		two.want(two.visit("/", ownPage), "ada proven")
		proof := ownerProof(two)
		for _, c := range two.jar.All() {
			if c.Name == proof {
				one.jar.SetCookies(site, []*http.Cookie{{Name: proof, Value: c.Value, Path: "/", Secure: true}})
			}
		}
		if got := rejected(shop.m, one.jar.Header(site)); got != "unproven" {
			t.Errorf("the other's proof: got %q, want unproven", got)
		}
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
	} {
		synctest.Test(t, func(t *testing.T) {
			var log logBuffer
			b := bound(t, newShop(t, func(c *cookiesession.Config) { c.Logger = log.logger() }))
			time.Sleep(deviceProof + 2*time.Minute)
			tag := strings.TrimPrefix(ownerProof(b), cookieName+".proof.")
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

// TestDeviceLeavesOthersAlone writes a session beside another origin's device cookie: only a login deletes that.
func TestDeviceLeavesOthersAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bound(t, newShop(t, nil))
		b.jar.SetCookies(site, []*http.Cookie{{Name: cookieName + ".device.AAAAAAAAAAA", Value: "1x", Path: "/", Secure: true}})
		before := b.names()
		b.visit("/change", ownPage)
		if got := b.names(); got != before {
			t.Errorf("after a change: got cookies %s, want %s", got, before)
		}
	})
}

// TestDeviceRenewalSealsAnew has a key of the ring retire before the session ends: the device cookie must not go with
// it.
func TestDeviceRenewalSealsAnew(t *testing.T) {
	for name, test := range map[string]struct {
		retires time.Duration // of the key that sealed; 0: never
		want    string
	}{
		"never":                  {0, "[.proof]"},
		"long after the session": {48 * time.Hour, "[.proof]"},
		"before the session":     {time.Hour, "[.device] [.proof]"},
	} {
		c := newCaller(t, nil)
		next := c.register()
		old := playKey(0)
		if test.retires > 0 {
			old.RetireAt = c.now.Add(test.retires)
		}
		newer := playKey(1)
		newer.ActivateAt = c.now
		if err := c.keys.Replace(newer, old); err != nil {
			t.Fatal(err)
		}
		rec := c.b.ask(devicePath, c.tag(), sign(t, c.key, next, false))
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
			for _, cookie := range c.b.jar.All() {
				if cookie.Name == of {
					other := "A"
					if cookie.Value[10:11] == other {
						other = "B"
					}
					r.Header.Set("Cookie", of+"="+cookie.Value[:10]+other+cookie.Value[11:]+"; "+r.Header.Get("Cookie"))
				}
			}
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

// TestDeviceProofAlone has a proof without its device cookie, which a logout deletes all the same.
func TestDeviceProofAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bound(t, newShop(t, nil))
		b.jar.SetCookies(site, []*http.Cookie{{Name: cookieName, Path: "/", Secure: true, MaxAge: -1}})
		b.drop(".device.")
		if got, want := b.names(), "[.proof]"; got != want {
			t.Fatalf("got cookies %s, want %s", got, want)
		}
		b.visit("/login", ownPage)
		if got := strings.Count(b.names(), ".proof"); got != 1 {
			t.Errorf("after a login: got %d proofs (%s), want the new session's", got, b.names())
		}
	})
}

// TestDeviceLoginCleansUp has more device cookies of other origins than one login deletes.
func TestDeviceLoginCleansUp(t *testing.T) {
	for others, want := range map[int]int{3: 0, 4: 0, 5: 1} {
		synctest.Test(t, func(t *testing.T) {
			b := bound(t, newShop(t, nil))
			for i := range others {
				name := cookieName + ".device.AAAAAAAAAA" + string(rune('A'+4*i))
				b.jar.SetCookies(site, []*http.Cookie{{Name: name, Value: "1x", Path: "/", Secure: true}})
			}
			b.visit("/regenerate", ownPage)
			if got := strings.Count(b.names(), ".device") - 1; got != want {
				t.Errorf("%d others: got %d left, want %d", others, got, want)
			}
		})
	}
}

// TestDeviceLoginByPermitBesideKey logs in with a permit while a key that isn't proven is around, as after a slow
// response: the permit counts, so the browser is asked for a key.
func TestDeviceLoginByPermitBesideKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newDeviceBrowser(t, newShop(t, nil))
		b.busy = true
		b.visit("/login", typed)
		permitted := b.clone()
		b.register()
		b.drop(".proof.")
		clear(b.bindings) // or it would renew the proof
		b.also(permitted)
		if got := b.visit("/regenerate", ownPage).Header().Values("Secure-Session-Registration"); len(got) != 1 {
			t.Errorf("got %q, want an invitation", got)
		}
	})
}

// TestDevicePermitIsNotWrittenAgain changes the values of a session of a browser that registers no key.
func TestDevicePermitIsNotWrittenAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newDeviceBrowser(t, newShop(t, nil))
		b.able = false
		b.visit("/login", typed)
		if got := cookieNames(b.visit("/change", ownPage).Result().Header); got != cookieName {
			t.Errorf("wrote %s, want %s", got, cookieName)
		}
	})
}

// TestDeviceWithManyProofs comes with more good proofs than are opened.
func TestDeviceWithManyProofs(t *testing.T) {
	c := newCaller(t, nil)
	next := c.register()
	header := c.b.jar.Header(site)
	for range 5 {
		c.now = c.now.Add(time.Second)
		rec := c.b.ask(devicePath, c.tag(), sign(t, c.key, next, false))
		if got := answerOf(rec); got != "bound" {
			t.Fatalf("got %s, want bound", got)
		}
		next = challengeOf(rec)
		header += "; " + c.b.jar.Header(site)
	}
	if got := rejected(c.m, header); got != "" {
		t.Errorf("got %q, want no refusal", got)
	}
}

// TestDeviceCountsWhatItRemembers has the counters of keys tell of each request, whether its cookies are opened anew.
func TestDeviceCountsWhatItRemembers(t *testing.T) {
	c := newCaller(t, nil)
	c.register()
	header := c.b.jar.Header(site)
	var opened []uint64
	for range 3 {
		before := c.m.Stats().Keys[playKey(0).Label].Opened
		rejected(c.m, header)
		opened = append(opened, c.m.Stats().Keys[playKey(0).Label].Opened-before)
	}
	if opened[0] != 3 || opened[1] != 3 || opened[2] != 3 {
		t.Errorf("got %d tokens opened, want 3 by each request: session, device and proof", opened)
	}
}
