package cookiesession_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

// bound returns a browser that is logged in and bound.
func bound(t *testing.T, s shop) *deviceBrowser {
	t.Helper()
	b := newDeviceBrowser(t, s)
	b.visit("/login", typed)
	b.want(b.visit("/", ownPage), "ada proven")
	return b
}

// actions are what a thief may call.
var actions = []string{"/", "/change", "/regenerate", "/mallory", "/remember", "/persist", "/extend", "/start-anew", "/logout"}

// TestDeviceTheft copies the jar of a bound session and does with it what a thief may: it is worth nothing once the
// proof in it has expired, whatever was called in the meantime, by whatever browser.
func TestDeviceTheft(t *testing.T) {
	for _, stolen := range []struct {
		name  string
		after time.Duration // registration
	}{
		{"at once", 0},
		{"in the middle", 5 * time.Minute},
		{"when the cookie is about to go", deviceProof - time.Second},
		{"when the cookie has gone", deviceProof + time.Second},
	} {
		for _, action := range actions {
			for _, without := range []string{"", ".proof.", ".device."} {
				for _, able := range []bool{false, true} {
					t.Run(fmt.Sprintf("%s, %s, without %s, able %v", stolen.name, action, without, able), func(t *testing.T) {
						synctest.Test(t, func(t *testing.T) {
							b := bound(t, newShop(t, nil))
							time.Sleep(stolen.after)
							thief := b.thief()
							thief.able = able
							if without != "" {
								thief.drop(without)
							}
							lives := without == "" && stolen.after < deviceProof
							if lives {
								thief.want(thief.visit(action, typed), "ada proven")
							} else {
								thief.want(thief.visit(action, typed), "unproven")
							}
							copied := thief.thief() // with what the actions set
							time.Sleep(deviceProof + time.Minute - stolen.after - time.Second)
							if lives && (action == "/" || action == "/change") { // to the last second
								thief.want(thief.visit("/", typed), "ada proven")
							}
							time.Sleep(time.Second)
							for _, also := range actions {
								copied.able = !able
								copied.clone().wantNobody(copied.clone().visit(also, typed))
								thief.clone().wantNobody(thief.clone().visit(also, typed))
							}
							thief.wantNobody(thief.visit("/", otherSite))
							for _, bound := range thief.bindings { // of sessions of its own at most
								if bound.cookie == ownerProof(b) {
									t.Error("the thief has registered a key of its own for the session that it stole")
								}
							}
							b.want(b.visit("/", typed), "ada proven") // the owner has noticed nothing
						})
					})
				}
			}
		}
	}
}

// ownerProof returns the name of the cookie that proves the session of a browser that has one.
func ownerProof(b *deviceBrowser) string {
	for _, s := range b.bindings {
		return s.cookie
	}
	return ""
}

// ownerTag returns the identifier of the session of a browser that has one.
func ownerTag(b *deviceBrowser) string {
	return strings.TrimPrefix(ownerProof(b), cookieName+".proof.")
}

// TestDeviceMixedJars puts cookies of two visitors' jars together: each needs its own.
func TestDeviceMixedJars(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := newShop(t, nil)
		victim := bound(t, shop)
		permitted := newDeviceBrowser(t, shop) // the thief's own
		permitted.able = false
		permitted.visit("/mallory", typed)
		own := newDeviceBrowser(t, shop)
		own.visit("/mallory", typed)
		values := func(b *deviceBrowser) map[string]string {
			all := map[string]string{}
			for _, c := range b.jar.All() {
				kind, _, _ := strings.Cut(strings.TrimPrefix(c.Name, cookieName+"."), ".")
				all[strings.TrimPrefix(kind, cookieName)] = c.Value
			}
			return all
		}
		of, permit, key := values(victim), values(permitted), values(own)
		tag := ownerTag(victim)
		session := pair{cookieName, of[""]}
		for _, c := range []struct {
			name          string
			device, proof string
			want          string
		}{
			{"its own", of["device"], of["proof"], ""},
			{"no device", "", of["proof"], "unproven"},
			{"no proof", of["device"], "", "unproven"},
			{"the thief's permit", permit["device"], of["proof"], "unproven"},
			{"the thief's permit alone", permit["device"], "", "unproven"},
			{"the thief's key", key["device"], of["proof"], "unproven"},
			{"the thief's key and proof", key["device"], key["proof"], "unproven"},
			{"the thief's proof", of["device"], key["proof"], "unproven"},
			{"device for proof", of["device"], of["device"], "unproven"},
			{"proof for device", of["proof"], of["proof"], "unproven"},
			{"session for device", of[""], of["proof"], "unproven"},
		} {
			pairs := []pair{session}
			if c.device != "" {
				pairs = append(pairs, pair{cookieName + ".device." + tag, c.device})
			}
			if c.proof != "" {
				pairs = append(pairs, pair{cookieName + ".proof." + tag, c.proof})
			}
			if got := rejected(shop.m, join(pairs...)); got != c.want {
				t.Errorf("%s: got %q, want %q", c.name, got, c.want)
			}
		}
		// Cookies of other tags, and too many, change nothing.
		header := join(session, pair{cookieName + ".device." + tag, of["device"]}, pair{cookieName + ".proof." + tag, of["proof"]})
		for i := range 6 {
			header = fmt.Sprintf("%s.device.AAAAAAAAAA%c=1x; %s.proof.AAAAAAAAAA%c=%s; %s", cookieName, 'A'+4*i, cookieName, 'A'+4*i, of["proof"], header)
		}
		if got := rejected(shop.m, header); got != "" {
			t.Errorf("with cookies of other origins: got %q, want no refusal", got)
		}
	})
}

// TestDeviceProofsEnd has clocks a minute apart, and the last second of a proof.
func TestDeviceProofsEnd(t *testing.T) {
	c := newCaller(t, nil)
	c.register()
	header := c.b.jar.Header(site)
	for _, at := range []struct {
		after time.Duration
		want  string
	}{
		{-60 * time.Second, ""}, // another server's clock
		{0, ""},
		{deviceProof, ""},
		{deviceProof + 59*time.Second, ""},
		{deviceProof + 60*time.Second, "unproven"},
		{deviceProof + 61*time.Second, "unproven"},
	} {
		now := c.now
		c.now = now.Add(at.after)
		if got := rejected(c.m, header); got != at.want {
			t.Errorf("after %v: got %q, want %q", at.after, got, at.want)
		}
		c.now = now
	}
}

// TestDeviceRefreshIsNoVisit sees that a page that only renews, as an open tab does, becomes idle, and that a renewal
// writes device cookies only.
func TestDeviceRefreshIsNoVisit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bound(t, newShop(t, withIdle(time.Hour)))
		binding := b.bindings[slices.Collect(maps.Keys(b.bindings))[0]]
		for range 5 {
			time.Sleep(10*time.Minute + time.Second)
			before := b.names()
			b.refresh(binding)
			binding = b.bindings[binding.identifier]
			if got := b.names(); got != "[.] [.device] [.proof]" {
				t.Fatalf("got cookies %s after %s, want session, device and proof", got, before)
			}
		}
		time.Sleep(10 * time.Minute)
		b.want(b.visit("/", typed), "idle")
	})
}

// TestDeviceRetiredProof has a proof whose key retires before it: that it has been opened before changes nothing.
func TestDeviceRetiredProof(t *testing.T) {
	c := newCaller(t, nil)
	c.register()
	c.b.busy = false
	c.b.want(c.b.visit("/", ownPage), "ada proven")
	old := playKey(0)
	old.RetireAt = c.now.Add(time.Minute)
	if err := c.keys.Replace(playKey(1), old); err != nil {
		t.Fatal(err)
	}
	c.b.want(c.b.visit("/change", ownPage), "ada proven") // seals session and device anew
	c.b.want(c.b.visit("/", ownPage), "ada proven")
	c.now = c.now.Add(time.Minute)
	c.b.want(c.b.visit("/", ownPage), "unproven")
}

// TestDeviceLogins logs in again, with cookies of other origins around.
func TestDeviceLogins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := newShop(t, nil)
		b := bound(t, shop)
		for range 6 { // the session cookie goes, as at the end of its life; the device cookies stay
			b.remove(cookieName)
			time.Sleep(10 * time.Minute)
			b.visit("/login", typed)
			b.want(b.visit("/", ownPage), "ada proven")
			if got, want := b.names(), "[.] [.device] [.proof]"; got != want {
				t.Errorf("after another login: got cookies %s, want %s", got, want)
			}
		}
		b.want(b.visit("/log-in-anew", ownPage), "ada proven")
		if got, want := b.names(), "[.] [.device] [.ended] [.proof]"; got != want {
			t.Errorf("after Destroy and a login: got cookies %s, want %s", got, want)
		}
		b.want(b.visit("/", ownPage), "ada proven")
		b.want(b.visit("/start-anew", ownPage), "ada proven")
		if got, want := b.names(), "[.] [.ended] [.ended]"; got != want {
			t.Errorf("after Destroy and a value: got cookies %s, want %s", got, want)
		}
		b.want(b.visit("/", ownPage), "bob")
	})
}

// TestDeviceSave uses Load, Save and DeviceHandler, and saves more than once.
func TestDeviceSave(t *testing.T) {
	m := newManager(t, func(c *cookiesession.Config) { c.DeviceProof = deviceProof })
	mux := http.NewServeMux()
	mux.Handle(devicePath, m.DeviceHandler())
	action := login
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s, _ := m.Load(r)
		before := whoIs(s)
		action(s)
		if err := m.Save(w.Header(), s); err != nil {
			t.Error(err)
		}
		if err := m.Save(w.Header(), s); err != nil {
			t.Error(err)
		}
		fmt.Fprint(w, before)
	})
	b := newDeviceBrowser(t, mux)
	b.want(b.visit("/", typed), "new")
	action = nothing
	b.want(b.visit("/", typed), "ada proven")
	if got, want := m.Stats().Device, (cookiesession.DeviceStats{Offered: 1, Registered: 1}); got != want {
		t.Errorf("got Stats.Device %+v, want %+v", got, want)
	}

	h := http.Header{"Secure-Session-Registration": {`(ES256);path="/other";challenge="x"`}}
	s := load(m)
	login(s)
	for range 2 {
		if err := m.Save(h, s); err != nil {
			t.Fatal(err)
		}
		if got := h["Secure-Session-Registration"]; len(got) != 2 || !strings.Contains(got[0], "/other") || !invitation.MatchString(got[1]) {
			t.Errorf("got invitations %q, want another's and ours", got)
		}
		if got := cookieNames(h); !strings.Contains(got, ".device.") {
			t.Errorf("got cookies %s, want a permit", got)
		}
	}
	s.Destroy()
	if err := m.Save(h, s); err != nil {
		t.Fatal(err)
	}
	if got := h["Secure-Session-Registration"]; len(got) != 1 || !strings.Contains(got[0], "/other") {
		t.Errorf("after Destroy: got invitations %q, want the other's only", got)
	}
	if got := cookieNames(h); strings.Contains(got, ".device.") {
		t.Errorf("after Destroy: got cookies %s, want no permit", got)
	}
	delete(h, "Secure-Session-Registration")
	if err := m.Save(h, s); err != nil || h["Secure-Session-Registration"] != nil {
		t.Errorf("got %v, invitations %q, want none", err, h["Secure-Session-Registration"])
	}
}

// TestDeviceManagers has two Managers in one response.
func TestDeviceManagers(t *testing.T) {
	one := newManager(t, func(c *cookiesession.Config) { c.DeviceProof, c.Name = deviceProof, "one" })
	two := newManager(t, func(c *cookiesession.Config) { c.DeviceProof, c.Name = deviceProof, "two" })
	b := newDeviceBrowser(t, one.Handler(two.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/login" {
			login(one.Get(r))
			login(two.Get(r))
			return
		}
		fmt.Fprint(w, whoIs(one.Get(r)), ", ", whoIs(two.Get(r)))
	}))))
	b.visit("/login", typed)
	b.want(b.visit("/", ownPage), "ada proven, ada proven")
	if len(b.bindings) != 2 {
		t.Errorf("got %d bindings, want two", len(b.bindings))
	}
}

// TestDeviceRevokedWantsBound has an application whose staff must be bound: with Revoked, who isn't is out once
// the registration's time is over.
func TestDeviceRevokedWantsBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := newShop(t, func(c *cookiesession.Config) {
			c.Revoked = func(_ context.Context, s *cookiesession.Session) (bool, error) {
				return s.Get("user") == "ada" && !s.DeviceProven() && time.Since(s.CreatedAt()) > time.Minute, nil
			}
		})
		able, unable := bound(t, shop), newDeviceBrowser(t, shop)
		unable.able = false
		unable.visit("/login", typed)
		unable.want(unable.visit("/", typed), "ada")
		late := newDeviceBrowser(t, shop)
		late.busy = true
		late.visit("/login", typed)
		time.Sleep(2 * time.Minute)
		able.want(able.visit("/", typed), "ada proven")
		unable.want(unable.visit("/", typed), "revoked")
		late.register()
		late.want(late.visit("/", typed), "ada proven")
	})
}

// TestDeviceForgets sees that cookies other than the device's stay as they are when a session is refused as unproven.
func TestDeviceForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bound(t, newShop(t, nil))
		time.Sleep(deviceProof + 2*time.Minute)
		thief := b.thief()
		before := thief.jar.Header(site)
		thief.want(thief.visit("/", typed), "unproven")
		if got := thief.jar.Header(site); got != before {
			t.Errorf("got other cookies after a page that only reads: %s, want %s", got, before)
		}
		thief.want(thief.visit("/logout", typed), "unproven") // ends it all the same
		if got, want := thief.names(), "[.ended]"; got != want {
			t.Errorf("after logout: got cookies %s, want %s", got, want)
		}
	})
}

// TestDeviceOffers has logins that invite nobody.
func TestDeviceOffers(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(s *cookiesession.Session)
		want bool
	}{
		{"login", login, true},
		{"Regenerate without values", func(s *cookiesession.Session) { s.Regenerate() }, false},
		{"a value", put("v", 1), false},
		{"Remember without Regenerate", func(s *cookiesession.Session) { s.Put("v", 1); s.Remember(time.Hour) }, false},
		{"Regenerate before Destroy", func(s *cookiesession.Session) { login(s); s.Destroy(); s.Put("v", 1) }, false},
		{"too large", func(s *cookiesession.Session) { login(s); s.Put("v", tooLarge) }, false},
	} {
		m := newManager(t, func(c *cookiesession.Config) { c.DeviceProof = deviceProof })
		s := load(m)
		c.do(s)
		h := http.Header{}
		m.Save(h, s)
		if got := h["Secure-Session-Registration"] != nil; got != c.want {
			t.Errorf("%s: got an invitation: %v, want %v", c.name, got, c.want)
		}
		if got := strings.Contains(cookieNames(h), ".device."); got != c.want {
			t.Errorf("%s: got a permit: %v, want %v", c.name, got, c.want)
		}
	}
}

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
		one.set(proof, two.cookie(proof).Value)
		if got := rejected(shop.m, one.jar.Header(site)); got != "unproven" {
			t.Errorf("the other's proof: got %q, want unproven", got)
		}
	})
}

// TestDeviceLeavesOthersAlone writes a session beside another origin's device cookie: only a login deletes that.
func TestDeviceLeavesOthersAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bound(t, newShop(t, nil))
		b.set(cookieName+".device.AAAAAAAAAAE", "1x")
		before := b.names()
		b.visit("/change", ownPage)
		if got := b.names(); got != before {
			t.Errorf("after a change: got cookies %s, want %s", got, before)
		}
		b.visit("/logout", ownPage)
		if got, want := b.names(), "[.device] [.ended]"; got != want {
			t.Errorf("after logout: got cookies %s, want %s", got, want)
		}
	})
}

// TestDeviceProofAlone has a proof without its device cookie, which a logout deletes all the same.
func TestDeviceProofAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bound(t, newShop(t, nil))
		b.remove(cookieName)
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
	for others, want := range map[int]int{0: 0, 3: 0, 4: 0, 5: 1} {
		synctest.Test(t, func(t *testing.T) {
			b := bound(t, newShop(t, nil))
			for i := range others {
				b.set(cookieName+".device.AAAAAAAAAA"+string(rune('A'+4*i)), "1x")
			}
			p := b.visit("/regenerate", ownPage)
			if got := strings.Count(b.names(), ".device") - 1; got != want {
				t.Errorf("%d others: got %d left, want %d", others, got, want)
			}
			if set, deleted := countLines(p.Result().Header["Set-Cookie"]); set != 2 || deleted != 2*(others-want) {
				t.Errorf("%d others: got %d lines and %d deletions, want session and device, and device and proof of %d", others, set, deleted, others-want)
			}
		})
	}
}

// Device cookies of other sessions stay where no bound session is saved.
func TestDeviceLoginThatBindsNothing(t *testing.T) {
	const other = cookieName + ".device.AAAAAAAAAAE=1x"
	on := newManager(t, func(c *cookiesession.Config) { c.DeviceProof = deviceProof })
	off := newManager(t, nil)
	v := newVisitor(t, off)
	v.visit(put("n", 1))
	for name, test := range map[string]struct {
		m       *cookiesession.Manager
		request *http.Request
		want    string
	}{
		"nothing to save": {on, requestWith(other), ""},
		"switched off":    {off, requestWith(v.header(), other), cookieName},
	} {
		for _, form := range forms {
			h, err := form.answer(test.m, test.request.Clone(t.Context()), (*cookiesession.Session).Regenerate)
			if got := cookieNames(h); err != nil || got != test.want {
				t.Errorf("%s, %s: wrote %q, error %v, want %q", name, form.name, got, err, test.want)
			}
		}
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
		b.site = withCookie(b.site, permitted.jar.Header(site))
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

// TestDeviceUnprovenIsCounted has a copy without the proof refused, and counted.
func TestDeviceUnprovenIsCounted(t *testing.T) {
	d := newMadeDevices(t, nil)
	if got := rejected(d.m, d.session, d.device(0, d.one)); got != "unproven" {
		t.Errorf("got %q, want unproven", got)
	}
	if got := d.m.Stats().Rejected; len(got) != 1 || got["unproven"] != 1 {
		t.Errorf("got %v counted, want one unproven", got)
	}
}

// TestDeviceProvenAfterDestroy has the session that begins after a Destroy unbound.
func TestDeviceProvenAfterDestroy(t *testing.T) {
	d := newMadeDevices(t, nil)
	s := load(d.m, d.session, d.device(0, d.one), d.proven(d.one))
	before := s.DeviceProven()
	s.Destroy()
	if after := s.DeviceProven(); !before || after {
		t.Errorf("got DeviceProven %v, and %v after Destroy; want true and false", before, after)
	}
}

// TestDeviceAmongOthers has device cookies and proofs of other origins before the session's own: sixteen of each are
// kept, of which a login deletes some.
func TestDeviceAmongOthers(t *testing.T) {
	d := newMadeDevices(t, nil)
	for others, want := range map[int]string{14: "", 15: "", 16: "unproven"} {
		for _, kind := range []string{"device", "proof"} {
			var cookies []string
			for i := range others {
				cookies = append(cookies, fmt.Sprintf("%s.%s.%s=1AAAA", cookieName, kind, textEncoding.EncodeToString([]byte{7: byte(i)})))
			}
			cookies = append(cookies, d.session, d.device(0, d.one), d.proven(d.one))
			if got := rejected(d.m, cookies...); got != want {
				t.Errorf("%d others for the %s: got %q, want %q", others, kind, got, want)
			}
		}
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

// deviceCookie returns a device cookie, or a proof, as a server with another bug may seal it.
func deviceCookie(key cookiesession.Key, purpose string, origin, payload []byte) string {
	return splitToken(cookieName+"."+purpose+"."+textEncoding.EncodeToString(origin), sealFor(key, purpose, payload))[0]
}

// sealFor returns the token of any payload.
func sealFor(key cookiesession.Key, purpose string, payload []byte) []byte {
	nonce := make([]byte, 24)
	rand.Read(nonce)
	d := derive(key.Secret, purpose, "", cookieName)
	return d.seal(nonce, payload)
}

// packDevice returns the payload of a device cookie: a permit, if key is nil.
func packDevice(id []byte, key *ecdsa.PrivateKey) []byte {
	return pack(packArray(3), packBytes(id), packTimes(time.Now().Unix()), packBytes(compressed(key)))
}

// packProof returns the payload of a proof.
func packProof(origin []byte, key *ecdsa.PrivateKey, expires time.Time) []byte {
	hash := sha256.Sum256(compressed(key))
	return pack(packArray(3), packBytes(origin), packBytes(hash[:16]), packTimes(expires.Unix()))
}

func compressed(key *ecdsa.PrivateKey) []byte {
	if key == nil {
		return nil
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		panic(err)
	}
	return append([]byte{2 + point[64]&1}, point[1:33]...)
}

// madeDevices are cookies of a device-aware session, made by hand.
type madeDevices struct {
	*caller
	session    string // the session cookie alone, as all that follow: name=value
	id, origin []byte
	one, two   *ecdsa.PrivateKey
}

func newMadeDevices(t *testing.T, change func(*cookiesession.Config)) madeDevices {
	t.Helper()
	d := madeDevices{caller: newCaller(t, change), one: newDeviceKey(t), two: newDeviceKey(t)}
	d.session = cookieName + "=" + d.b.cookie(cookieName).Value
	d.id = unhex(load(d.m, d.b.jar.Header(site)).ID())
	d.origin = d.id[:8]
	return d
}

// device returns a device cookie that a key of the ring has sealed: a permit, if key is nil.
func (d *madeDevices) device(sealedBy int, key *ecdsa.PrivateKey) string {
	return deviceCookie(playKey(sealedBy), "device", d.origin, packDevice(d.id, key))
}

// proven returns a good proof by a key.
func (d *madeDevices) proven(key *ecdsa.PrivateKey) string {
	return deviceCookie(playKey(0), "proof", d.origin, packProof(d.origin, key, d.now.Add(time.Minute)))
}

// renew has a browser with the given cookies renew by a key.
func (d *madeDevices) renew(key *ecdsa.PrivateKey, cookies ...string) string {
	d.t.Helper()
	proof := ""
	for range 2 { // for the challenge, then with it
		r := requestWith(cookies...)
		r.Method = http.MethodPost
		r.URL = &url.URL{Path: devicePath}
		r.Header.Set("Sec-Secure-Session-Id", d.tag())
		r.Header.Set("Secure-Session-Response", proof)
		rec := httptest.NewRecorder()
		d.b.site.ServeHTTP(rec, r)
		if got := answerOf(rec); got != "retry" || proof != "" {
			return got
		}
		proof = sign(d.t, key, challengeOf(rec), false)
	}
	panic("unreachable")
}

// TestDeviceOfSeveral has several device cookies of one name, as for several Paths: the key that is proven counts,
// wherever it comes, or else the first.
func TestDeviceOfSeveral(t *testing.T) {
	d := newMadeDevices(t, nil)
	one, two, permit := d.device(0, d.one), d.device(0, d.two), d.device(0, nil)
	for _, row := range []struct {
		name    string
		cookies []string
		want    string // why the session is refused
		proven  bool
		by      *ecdsa.PrivateKey // renews
	}{
		{"the first proven", []string{one, two, d.proven(d.one)}, "", true, d.one},
		{"the second proven", []string{one, two, d.proven(d.two)}, "", true, d.two},
		{"the first proven, behind its proof", []string{d.proven(d.one), one, two}, "", true, d.one},
		{"both proven", []string{one, two, d.proven(d.two), d.proven(d.one)}, "", true, d.one},
		{"neither", []string{one, two}, "unproven", false, d.one},
		{"neither, the other way round", []string{two, one}, "unproven", false, d.two},
		{"a permit before", []string{permit, one, two}, "", false, d.one},
		{"a permit behind", []string{two, one, permit}, "", false, d.two},
		{"a permit before, and a proof", []string{permit, one, d.proven(d.one)}, "", true, d.one},
		{"a permit alone", []string{permit}, "", false, nil},
	} {
		cookies := append([]string{d.session}, row.cookies...)
		s := load(d.m, cookies...)
		if got := rejected(d.m, cookies...); got != row.want || s.DeviceProven() != row.proven {
			t.Errorf("%s: got %q, proven %v; want %q, %v", row.name, got, s.DeviceProven(), row.want, row.proven)
		}
		for _, key := range []*ecdsa.PrivateKey{d.one, d.two} {
			want := "ended"
			if key == row.by {
				want = "bound"
			}
			if got := d.renew(key, cookies...); got != want {
				t.Errorf("%s: renewal by key one %v, two %v: got %s, want %s", row.name, key == d.one, key == d.two, got, want)
			}
		}
	}
}

// TestDeviceBesideJunk has device cookies and proofs that don't open before the good ones, of which four are tried. What
// may pass at another server keeps the key alive.
func TestDeviceBesideJunk(t *testing.T) {
	d := newMadeDevices(t, nil)
	one, proof := d.device(0, d.one), d.proven(d.one)
	for _, kind := range []string{"device", "proof"} {
		var junk []string
		for n := range 6 {
			want := ""
			if n > 3 {
				want = "unproven"
			}
			if got := rejected(d.m, append(slices.Clone(junk), d.session, one, proof)...); got != want {
				t.Errorf("%d times junk for the %s: got %q, want %q", n, kind, got, want)
			}
			junk = append(junk, fmt.Sprintf("%s.%s.%s=%s%d", cookieName, kind, d.tag(), []string{"1AAA", "x"}[n%2], n)) // no token, and no text
		}
	}
	malformed, unknown := cookieName+".device."+d.tag()+"=1AAAA", d.device(7, d.one)
	earlierID := append(slices.Clone(d.origin), "earlier."...)
	earlier := deviceCookie(playKey(0), "device", d.origin, packDevice(earlierID, nil))
	tooLong := func(payload []byte) []byte { return append(payload, 0xc0) }
	withoutField := func(payload []byte, last int) []byte { return payload[:len(payload)-last] }
	for _, row := range []struct {
		name    string
		cookies []string
		want    string
		renewal string
	}{
		{"good", []string{one, proof}, "", "bound"},
		{"malformed", []string{malformed}, "unproven", "ended"},
		{"of an unknown key", []string{unknown}, "unproven", "later"},
		{"of an unknown key, and malformed", []string{unknown, malformed}, "unproven", "later"},
		{"malformed, and of an unknown key", []string{malformed, unknown}, "unproven", "later"},
		{"a permit for an earlier ID, and of an unknown key", []string{earlier, unknown}, "unproven", "later"},
		{"a permit for an earlier ID", []string{earlier}, "unproven", "ended"},
		{"of an unknown key, and good", []string{unknown, one, proof}, "", "bound"},
		{"a device that is too long", []string{deviceCookie(playKey(0), "device", d.origin, tooLong(packDevice(d.id, d.one))), proof}, "unproven", "ended"},
		{"a permit that is too long", []string{deviceCookie(playKey(0), "device", d.origin, tooLong(packDevice(d.id, nil)))}, "unproven", "ended"},
		{"a device without its last field", []string{deviceCookie(playKey(0), "device", d.origin, withoutField(packDevice(d.id, d.one), 2+33)), proof}, "unproven", "ended"},
		{"a device whose key is no point", []string{deviceCookie(playKey(0), "device", d.origin, pack(packArray(3), packBytes(d.id), packTimes(1), packBytes(append([]byte{4}, compressed(d.one)[1:]...)))), proof}, "unproven", "ended"},
		{"a key of zeros, which doesn't make it a permit", []string{deviceCookie(playKey(0), "device", d.origin, pack(packArray(3), packBytes(d.id), packTimes(1), packBytes(make([]byte, 33)))), proof}, "unproven", "ended"},
		{"a key of zeros and a second ID", []string{deviceCookie(playKey(0), "device", d.origin, pack(packArray(4), packBytes(d.id), packTimes(1), packBytes(make([]byte, 33)), packBytes(earlierID)))}, "unproven", "ended"},
		{"a permit for a second ID of zeros", []string{deviceCookie(playKey(0), "device", d.origin, pack(packArray(4), packBytes(d.id), packTimes(1), packBytes(nil), packBytes(make([]byte, 16))))}, "unproven", "ended"},
		{"a proof without its last field", []string{one, deviceCookie(playKey(0), "proof", d.origin, withoutField(packProof(d.origin, d.one, d.now.Add(time.Minute)), 5))}, "unproven", "bound"},
		{"a proof that is too long", []string{one, deviceCookie(playKey(0), "proof", d.origin, tooLong(packProof(d.origin, d.one, d.now.Add(time.Minute))))}, "unproven", "bound"},
	} {
		cookies := append([]string{d.session}, row.cookies...)
		if got := rejected(d.m, cookies...); got != row.want {
			t.Errorf("%s: got %q, want %q", row.name, got, row.want)
		}
		if got := d.renew(d.one, cookies...); got != row.renewal {
			t.Errorf("%s: a renewal got %s, want %s", row.name, got, row.renewal)
		}
	}
}

// TestDeviceIsWritten has what a response writes of the device, by what was received and what the handler does, with
// DeviceProof on and off. The ring's newest key seals; what the one before sealed is sealed anew.
func TestDeviceIsWritten(t *testing.T) {
	d := newMadeDevices(t, nil)
	if err := d.keys.Replace(playKey(1), playKey(0)); err != nil {
		t.Fatal(err)
	}
	off := newManager(t, withKeys(d.keys))
	off.SetClock(func() time.Time { return d.now })
	extend := func(s *cookiesession.Session) { s.ExpireIn(48 * time.Hour) }
	change := put("n", 1)
	key, permit, newKey, newPermit := d.device(0, d.one), d.device(0, nil), d.device(1, d.one), d.device(1, nil)
	proof := d.proven(d.one)
	next := append(d.origin[:8:8], "nextnext"...)
	forBefore := deviceCookie(playKey(1), "device", d.origin, pack(packArray(4), packBytes(next), packTimes(d.now.Unix()), packBytes(nil), packBytes(d.id)))
	for _, row := range []struct {
		name    string
		m       *cookiesession.Manager
		cookies []string
		do      func(*cookiesession.Session)
		want    string // nothing, "key" or "permit", and whether the browser is invited
	}{
		{"a key of before", d.m, []string{key, proof}, change, "key"},
		{"a key of now", d.m, []string{newKey, proof}, change, ""},
		{"a key of now and a new end", d.m, []string{newKey, proof}, extend, "key"},
		{"a permit of before", d.m, []string{permit}, change, "permit"},
		{"a permit of now", d.m, []string{newPermit}, change, ""},
		{"a permit of now and a new end", d.m, []string{newPermit}, extend, "permit"},
		{"a permit for the ID before and a new end", d.m, []string{forBefore}, extend, "permit for the ID before"},
		{"two permits, the first of before", d.m, []string{permit, newPermit}, change, "permit"},
		{"two permits, the first of now", d.m, []string{newPermit, permit}, change, ""},
		{"a permit of before, beside a key of now", d.m, []string{permit, newKey}, change, "permit"},
		{"a permit of now, beside a key of before", d.m, []string{newPermit, key}, change, ""},
		{"a login by key", d.m, []string{newKey, proof}, login, "key"},
		{"a login by key, beside a permit", d.m, []string{newPermit, newKey, proof}, login, "key"},
		{"a login by permit", d.m, []string{newPermit}, login, "permit for the ID before, invited"},
		{"a login by permit, beside a key", d.m, []string{newPermit, newKey}, login, "permit for the ID before, invited"},

		{"off", off, nil, change, ""},
		{"off, a login", off, nil, login, ""},
		{"off, a key of before", off, []string{key}, change, "key"},
		{"off, a key of now", off, []string{newKey}, change, ""},
		{"off, a key of before and a permit", off, []string{newPermit, key}, change, "key"},
		{"off, a key of before, then a permit", off, []string{key, newPermit}, change, "key"},
		{"off, a permit of before", off, []string{permit}, change, "permit"},
		{"off, a login by permit", off, []string{newPermit}, login, "permit for the ID before"},
	} {
		s := load(row.m, append([]string{d.session}, row.cookies...)...)
		if s.Rejected() != nil {
			t.Errorf("%s: refused with %v", row.name, s.Rejected())
		}
		row.do(s)
		h := http.Header{}
		if err := row.m.Save(h, s); err != nil {
			t.Fatal(err)
		}
		if got := deviceWritten(row.m, h); got != row.want {
			t.Errorf("%s: wrote %q, want %q", row.name, got, row.want)
		}
	}

	// A request that began when the proof still held, and ends when it doesn't: the key stays, or a thief could have
	// a permit in its place.
	s := load(d.m, d.session, newKey, proof)
	s.Get("user")
	d.now = d.now.Add(2 * time.Minute)
	s.Regenerate()
	h := http.Header{}
	if err := d.m.Save(h, s); err != nil || deviceWritten(d.m, h) != "key" {
		t.Errorf("after the proof's end: wrote %q, %v; want the key", deviceWritten(d.m, h), err)
	}
}

// TestDeviceKeyRetiresMeanwhile has the ring's key that sealed the device cookie go while a request is under way: the
// response can't write the device's key again, and must not write a permit in its place. Where a permit came, a login
// writes another.
func TestDeviceKeyRetiresMeanwhile(t *testing.T) {
	loginAfterLogout := func(s *cookiesession.Session) { s.Destroy(); login(s) }
	d := newMadeDevices(t, nil)
	key, permit := []string{d.session, d.device(0, d.one), d.proven(d.one)}, []string{d.session, d.device(0, nil)}
	for _, row := range []struct {
		name    string
		cookies []string
		do      func(*cookiesession.Session)
		want    string
	}{
		{"key, a change", key, put("n", 1), ""},
		{"key, a login", key, login, ""},
		{"key, a login after logout", key, loginAfterLogout, "permit, invited"},
		{"permit, a change", permit, put("n", 1), ""},
		{"permit, a login", permit, login, "permit, invited"},
	} {
		s := load(d.m, row.cookies...)
		if s.Rejected() != nil {
			t.Fatalf("%s: refused with %v", row.name, s.Rejected())
		}
		if err := d.keys.Replace(playKey(1)); err != nil {
			t.Fatal(err)
		}
		row.do(s)
		h := http.Header{}
		if err := d.m.Save(h, s); err != nil || deviceWritten(d.m, h) != row.want {
			t.Errorf("%s: wrote %q, %v; want %q", row.name, deviceWritten(d.m, h), err, row.want)
		}
		if err := d.keys.Replace(playKey(0)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDeviceCookiesOfOthers sends device cookies of other origins with a page that only reads. Whoever has no valid
// session may get one again by a response under way, so nothing is deleted then.
func TestDeviceCookiesOfOthers(t *testing.T) {
	d := newMadeDevices(t, nil)
	var others []string
	for i := range byte(6) {
		others = append(others, deviceCookie(playKey(0), "device", packID(i)[2:10], packDevice(packID(i)[2:], nil)))
	}
	for _, row := range []struct {
		name    string
		cookies []string
		want    int // deletions
	}{
		{"a valid session and 4 of others", append([]string{d.session, d.device(0, nil)}, others[:4]...), 0},
		{"a valid session and 5 of others", append([]string{d.session, d.device(0, nil)}, others[:5]...), 2 * 4},
		{"no session", others, 0},
		{"a session that isn't proven", append([]string{d.session}, others...), 0},
	} {
		s := load(d.m, row.cookies...)
		h := http.Header{}
		if err := d.m.Save(h, s); err != nil || len(h["Set-Cookie"]) != row.want {
			t.Errorf("%s: got %q, %v; want %d deletions", row.name, cookieNames(h), err, row.want)
		}
	}
}

// deviceWritten says what a response writes of a device.
func deviceWritten(m *cookiesession.Manager, h http.Header) (what string) {
	for _, is := range m.Inspect(cookieHeader(h["Set-Cookie"])) {
		if is.Purpose != "device" {
			continue
		}
		what = "permit"
		if is.DeviceKey != "" {
			what = "key"
		}
		if is.PreviousID != "" {
			what += " for the ID before"
		}
	}
	if h["Secure-Session-Registration"] != nil {
		what += ", invited"
	}
	return what
}

// TestDeviceOfSlowResponse has a response with the session of before a login arrive after it: it holds by the permit,
// which names both IDs, and a login from a session that isn't bound asks for a key.
func TestDeviceOfSlowResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := newShop(t, nil)
		unable := newDeviceBrowser(t, shop)
		unable.able = false
		unable.visit("/login", typed)
		before := unable.cookie(cookieName)
		unable.visit("/regenerate", ownPage)
		unable.jar.SetCookies(site, []*http.Cookie{before})
		unable.want(unable.visit("/", ownPage), "ada")

		b := newDeviceBrowser(t, shop)
		b.visit("/change", typed)
		anonymous := b.cookie(cookieName)
		b.visit("/login", ownPage)
		b.want(b.visit("/", ownPage), "ada proven")
		b.jar.SetCookies(site, []*http.Cookie{anonymous})
		clear(b.bindings)
		if got := deviceWritten(shop.m, b.visit("/login", ownPage).Result().Header); got != "permit, invited" {
			t.Errorf("a login from the session of before the first: wrote %q, want a permit and an invitation", got)
		}
	})
}

// TestInspectBound sees what a bound session's cookies are.
func TestInspectBound(t *testing.T) {
	shop := newShop(t, nil)
	b := bound(t, shop)
	found := map[string]cookiesession.Inspection{}
	for _, is := range shop.m.Inspect(b.jar.Header(site)) {
		found[is.Purpose] = is
	}
	session, device, proof := found["session"], found["device"], found["proof"]
	switch {
	case len(found) != 3 || session.Reason != 0 || device.Reason != 0 || proof.Reason != 0:
		t.Errorf("got %+v, want three that open", found)
	case !session.DeviceAware || device.ID != session.ID || proof.ID != session.ID[:16]:
		t.Errorf("got %+v, want a device-aware session, and device and proof of it", found)
	case len(device.DeviceKey) != 32 || proof.DeviceKey != device.DeviceKey || device.PreviousID != "":
		t.Errorf("got device key %q and %q in the proof, want the same", device.DeviceKey, proof.DeviceKey)
	case time.Until(proof.Expires) < deviceProof+50*time.Second:
		t.Errorf("the proof expires in %v", time.Until(proof.Expires))
	}
}
