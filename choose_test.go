package cookiesession_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-50e21e88/cookiesession"
	"github.com/seed-50e21e88/cookiesession/cookiesessiontest"
)

// Several session cookies of one name. Browsers get there when Partitioned, Domain or Path changes between deployments,
// and keep the old cookie for as long as it lives.

// rivals makes sessions of which at most one is valid, when its clock has come to the end.
type rivals struct {
	m    *cookiesession.Manager
	dead map[string]string // Cookie headers by the reason for which they are refused
	good string
}

// newRivals must be called in a synctest bubble. Values have size bytes.
func newRivals(t *testing.T, size int) rivals {
	ring := newRing(t)
	configure := func(c *cookiesession.Config) {
		c.Keys, c.IdleTimeout, c.Lifetime = ring, time.Hour, 3*time.Hour
		c.Revoked = revokesMarked
	}
	m := newManager(t, configure)
	sealed := func(fn func(*cookiesession.Session)) string {
		lines, err := response(m, func(s *cookiesession.Session) { s.Put("v", random(size)); fn(s) })
		if err != nil {
			t.Fatal(err)
		}
		return cookieHeader(lines)
	}
	r := rivals{m: m, dead: make(map[string]string)}
	notBefore := sealed(func(s *cookiesession.Session) { s.ExpireIn(day); s.Remember(day) }) // idle doesn't end it
	time.Sleep(time.Hour)
	ring.RefuseBefore(time.Now())
	r.dead["revoked, by not-before"] = notBefore
	r.dead["expired"] = sealed(nothing)
	time.Sleep(100 * time.Minute)
	r.dead["idle"] = sealed(nothing)
	time.Sleep(80 * time.Minute)
	r.dead["revoked"] = sealed(put("revoked", true))
	r.dead["ended"] = sealed(nothing)
	r.dead["ended"] += "; " + cookieName + endedSuffix(t, load(m, r.dead["ended"]).ID()) + "=" + fmt.Sprint(time.Now().Unix())
	ahead := newManager(t, configure)
	ahead.SetClock(func() time.Time { return time.Now().Add(61 * time.Second) })
	lines, err := response(ahead, put("v", random(size)))
	if err != nil {
		t.Fatal(err)
	}
	r.dead["future"] = cookieHeader(lines)
	r.good = sealed(put("n", 1))
	for name, header := range r.dead {
		if got, want := rejected(m, header), strings.Split(name, ",")[0]; got != want {
			t.Fatalf("%s: the session alone is %q, want %q", name, got, want)
		}
	}
	return r
}

// A session that isn't valid is no rival of one that is, in any order, size and number.
func TestInvalidSessionIsNoRival(t *testing.T) {
	for _, size := range []int{1, 3500} {
		synctest.Test(t, func(t *testing.T) {
			r := newRivals(t, size)
			headers := make(map[string]string)
			for name, dead := range r.dead {
				headers[name+", before"] = dead + "; " + r.good
				headers[name+", behind"] = r.good + "; " + dead
				for other, dead2 := range r.dead {
					if other > name {
						headers[name+" and "+other+", around"] = dead + "; " + r.good + "; " + dead2
						headers[name+" and "+other+", before"] = dead + "; " + dead2 + "; " + r.good
					}
				}
			}
			headers["three"] = strings.Join([]string{r.dead["expired"], r.dead["ended"], r.dead["idle"], r.good}, "; ")
			for name, header := range headers {
				for _, form := range forms {
					h, err := form.answer(r.m, requestWith(header), func(s *cookiesession.Session) {
						if s.IsNew() || s.Rejected() != nil || s.Get("n") != int64(1) {
							t.Errorf("%s, %s: got n %v, rejected %v; want 1", name, form.name, s.Get("n"), s.Rejected())
						}
					})
					if err != nil || len(h["Set-Cookie"]) != 0 {
						t.Errorf("%s, %s: a read wrote %q, %v", name, form.name, cookieNames(h), err)
					}
					h, err = form.answer(r.m, requestWith(strings.Split(header, "; ")...), put("n", 2))
					if got := cookieNames(h); err != nil || !strings.HasPrefix(got, cookieName) || strings.Contains(got, "ended") {
						t.Errorf("%s, %s: a change wrote %q, %v", name, form.name, got, err)
					}
				}
			}
			if got := r.m.Stats().Rejected["ambiguous"]; got != 0 {
				t.Errorf("got %d refused as ambiguous", got)
			}
		})
	}
}

// Of several that aren't valid, the one that was received first gives the reason.
func TestReasonOfSeveralInvalidSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRivals(t, 1)
		for name, dead := range r.dead {
			for other, dead2 := range r.dead {
				want := strings.Split(name, ",")[0]
				if got := rejected(r.m, dead, dead2); other != name && got != want {
					t.Errorf("%s, then %s: got %q, want %q", name, other, got, want)
				}
			}
		}
	})
}

// Of several that can't be decoded, the first one's key is named.
func TestKeyOfSeveralMalformedSessions(t *testing.T) {
	m := newManager(t, withKeys(newRing(t, playKey(0), playKey(1))))
	other := newManager(t, withKeys(newRing(t, playKey(1))))
	a, b := m.SealPayload("session", []byte("a")), other.SealPayload("session", []byte("b"))
	for want, headers := range map[string][]string{playKey(0).Label: {a, b}, playKey(1).Label: {b, a}} {
		if err := load(m, headers...).Rejected(); err == nil || err.Reason != cookiesession.ReasonMalformed || err.KeyLabel != want {
			t.Errorf("got %+v, want one that is malformed under %s", err, want)
		}
	}
}

// Of one session two states were received, the later of which ended first. Destroy marks the session while either has
// time left.
func TestDestroyEndsEarlierState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, func(c *cookiesession.Config) { c.Lifetime = time.Hour })
		v := newVisitor(t, m)
		v.visit(put("n", 1))
		earlier := v.header()
		time.Sleep(time.Second)
		v.visit(func(s *cookiesession.Session) { s.ExpireIn(time.Minute) })
		later := v.header()
		for _, test := range []struct {
			after   time.Duration // the one before
			state   string
			markers int
		}{
			{0, "", 1},
			{2 * time.Minute, "expired", 1},
			{time.Hour, "expired", 0},
		} {
			time.Sleep(test.after)
			for _, headers := range [][]string{{earlier, later}, {later, earlier}} {
				if got := rejected(m, headers...); got != test.state {
					t.Errorf("after %v: got %q, want %q", test.after, got, test.state)
				}
				h, err := bySave.answer(m, requestWith(headers...), destroy)
				if got := strings.Count(cookieNames(h), ".ended."); err != nil || got != test.markers {
					t.Errorf("after %v: Destroy wrote %q, %v; want %d markers", test.after, cookieNames(h), err, test.markers)
				}
				if test.markers > 0 && rejected(m, earlier, cookieHeader(h["Set-Cookie"])) != "ended" {
					t.Errorf("after %v: the earlier state alone isn't ended", test.after)
				}
			}
		}
	})
}

// A session whose device isn't proven is no rival of one that is valid. Its browser is asked to renew the proof only if
// nothing else is in the way, and only for a key of its own.
func TestUnprovenSessionIsNoRival(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := newShop(t, nil)
		b, other := bound(t, shop), bound(t, shop)
		b.drop(".proof.")
		unproven := b.jar.Header(site)
		session, _, _ := strings.Cut(unproven, "; ")
		device := cookieName + ".device." + ownerTag(b) + "="
		otherKey := other.cookie(cookieName + ".device." + ownerTag(other)).Value
		permit := newDeviceBrowser(t, shop)
		permit.able = false
		permit.visit("/login", typed)
		var stale string
		for _, c := range permit.jar.All() {
			if strings.Contains(c.Name, ".device.") {
				stale = c.Name + "=" + c.Value
			}
		}
		permit.visit("/regenerate", ownPage)
		permit.visit("/regenerate", ownPage)
		permit.drop(".device.")
		good, _ := live(t, shop.m, 2, 1)
		for _, test := range []struct {
			name    string
			headers []string
			want    string
			renews  bool
		}{
			{"alone", []string{unproven}, "unproven", true},
			{"before a valid one", []string{unproven, good[0]}, "", false},
			{"behind a valid one", []string{good[0], unproven}, "", false},
			{"before two valid ones", []string{unproven, good[0], good[1]}, "ambiguous", false},
			{"without a key", []string{session}, "unproven", false},
			{"with another session's key", []string{session, device + otherKey}, "unproven", false},
			{"with an earlier ID's permit", []string{permit.jar.Header(site), stale}, "unproven", false},
		} {
			if got := rejected(shop.m, test.headers...); got != test.want {
				t.Errorf("%s: got %q, want %q", test.name, got, test.want)
			}
			r := requestWith(test.headers...)
			r.Header.Set("Sec-Fetch-Mode", "navigate")
			r.Header.Set("Sec-Fetch-Site", otherSite)
			rec := httptest.NewRecorder()
			shop.ServeHTTP(rec, r)
			if got := onceMore.MatchString(rec.Body.String()); got != test.renews {
				t.Errorf("%s: asked to renew: %v, want %v", test.name, got, test.renews)
			}
		}
	})
}

// A deployment that changes where the session's cookie belongs, and then a login: the browser keeps the cookie of before.
func TestLoginAfterAttributesChanged(t *testing.T) {
	page := mustURL(t, "https://www.shop.example/app/page")
	type config = cookiesession.Config
	for name, change := range map[string][2]func(c *config){
		"Partitioned":        {func(c *config) { c.Partitioned = true }, func(*config) {}},
		"no longer":          {func(*config) {}, func(c *config) { c.Partitioned = true }},
		"None, Partitioned":  {func(c *config) { c.SameSite = http.SameSiteNoneMode }, func(c *config) { c.SameSite, c.Partitioned = http.SameSiteNoneMode, true }},
		"Domain":             {func(c *config) { c.Path = "/app" }, func(c *config) { c.Path, c.Domain = "/app", "shop.example" }},
		"another Domain":     {func(c *config) { c.Domain = "www.shop.example" }, func(c *config) { c.Domain = "shop.example" }},
		"another Path":       {func(c *config) { c.Path = "/app" }, func(c *config) { c.Path, c.Domain = "/", "www.shop.example" }},
		"a deeper Path":      {func(c *config) { c.Path, c.Domain = "/", "shop.example" }, func(c *config) { c.Path, c.Domain = "/app", "shop.example" }},
		"Insecure with Path": {func(c *config) { c.Insecure = true }, func(c *config) { c.Insecure, c.Path = true, "/app" }},
	} {
		for _, end := range []string{"logout", "expiry", "idle timeout", "revocation", "not-before"} {
			for _, form := range forms {
				t.Run(name+"/"+end+"/"+form.name, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						ring := newRing(t)
						var revokedID string
						deploy := func(change func(*config)) *cookiesession.Manager {
							return newManager(t, func(c *config) {
								c.Keys, c.IdleTimeout, c.Persistent, c.Lifetime = ring, 5*time.Hour, true, 6*time.Hour
								c.Revoked = func(_ context.Context, s *cookiesession.Session) (bool, error) { return s.ID() == revokedID, nil }
								change(c)
							})
						}
						jar := cookiesessiontest.NewJar()
						visit := func(m *cookiesession.Manager, fn func(*cookiesession.Session)) (state string) {
							h, err := form.answer(m, requestWith(jar.Header(page)), func(s *cookiesession.Session) {
								state = "valid"
								if s.Rejected() != nil {
									state = s.Rejected().Reason.String()
								} else if s.IsNew() {
									state = "new"
								}
								fn(s)
							})
							if err != nil {
								t.Fatal(err)
							}
							jar.SetHeader(page, h)
							return state
						}
						before, after := deploy(change[0]), deploy(change[1])
						visit(before, login)
						if got := visit(after, touched); got != "valid" {
							t.Fatalf("after the deployment the session is %s", got)
						}
						switch end {
						case "logout":
							visit(after, destroy)
						case "expiry":
							time.Sleep(4 * time.Hour)
							visit(after, touched)
							time.Sleep(2*time.Hour - time.Second) // the browser drops it a second later
							after.SetClock(func() time.Time { return time.Now().Add(time.Second) })
						case "idle timeout":
							time.Sleep(5*time.Hour + time.Second)
						case "revocation":
							visit(after, func(s *cookiesession.Session) { revokedID = s.ID() })
						case "not-before":
							time.Sleep(time.Second)
							ring.RefuseBefore(time.Now())
						}
						if got := visit(after, login); got == "valid" || got == "new" || got == "ambiguous" {
							t.Fatalf("the session is %s after its end", got)
						}
						// With two cookies of one name from now on.
						for range 2 {
							if got := visit(after, touched); got != "valid" {
								t.Errorf("after the login the session is %s, want valid", got)
							}
							visit(after, func(s *cookiesession.Session) { s.Increment("n", 1) })
						}
						n := 0
						visit(after, func(s *cookiesession.Session) { n = int(s.Get("n").(int64)) })
						if n != 2 {
							t.Errorf("counted to %d, want 2", n)
						}
						visit(after, destroy)
						if got := visit(after, touched); got == "valid" || got == "ambiguous" {
							t.Errorf("after the logout the session is %s", got)
						}
					})
				})
			}
		}
	}
}

// live returns n valid sessions, as Cookie headers, and the names of their markers.
func live(t *testing.T, m *cookiesession.Manager, n, size int) (headers, markers []string) {
	for i := range n {
		lines, err := response(m, func(s *cookiesession.Session) { s.Put("n", i); s.Put("v", random(size)) })
		if err != nil {
			t.Fatal(err)
		}
		headers = append(headers, cookieHeader(lines))
		markers = append(markers, cookieName+endedSuffix(t, load(m, headers[i]).ID()))
	}
	return headers, markers
}

// Regenerate ends ambiguous sessions even if there is nothing to save yet.
func TestRegenerateAloneEndsAmbiguousSessions(t *testing.T) {
	for _, form := range forms {
		m := newManager(t, nil)
		headers, markers := live(t, m, 2, 1)
		h, err := form.answer(m, requestWith(headers...), (*cookiesession.Session).Regenerate)
		slices.Sort(markers)
		if got, want := sortedNames(cookieNames(h)), strings.Join(markers, " "); err != nil || got != want {
			t.Errorf("%s: wrote %q, error %v, want %q", form.name, got, err, want)
		}
	}
}

// Of two valid sessions, any could be the visitor's: none is used, and what is put doesn't make one of them so.
func TestTwoValidSessionsStayAmbiguous(t *testing.T) {
	for _, n := range []int{2, 3, 4} {
		for _, form := range forms {
			for name, test := range map[string]struct {
				do   func(*cookiesession.Session)
				want string
			}{
				"read":          {touched, ""},
				"change":        {put("n", 7), cookieName},
				"Remember":      {func(s *cookiesession.Session) { s.Put("n", 7); s.Remember(time.Hour) }, cookieName},
				"a CSRF token":  {func(s *cookiesession.Session) { s.CSRFToken() }, cookieName},
				"a message":     {flash("f", 1), cookieName + ".flash"},
				"a failed one":  {func(s *cookiesession.Session) { login(s); s.Put("v", func() {}) }, ""},
				"one too large": {func(s *cookiesession.Session) { login(s); s.Put("v", tooLarge) }, ""},
			} {
				m := newManager(t, nil)
				headers, _ := live(t, m, n, 1)
				for range n {
					headers = append(headers[1:], headers[0])
					h, _ := form.answer(m, requestWith(headers...), func(s *cookiesession.Session) {
						if r := s.Rejected(); r == nil || r.Reason != cookiesession.ReasonAmbiguous || !s.IsNew() || s.Has("n") {
							t.Errorf("%d, %s: got n %v, rejected %v; want ambiguous", n, name, s.Get("n"), r)
						}
						test.do(s)
					})
					if got := cookieNames(h); got != test.want {
						t.Errorf("%d, %s, %s: wrote %q, want %q", n, form.name, name, got, test.want)
					}
				}
			}
		}
	}
}

// A login where several valid sessions were received ends them, so that the next request has one.
func TestLoginEndsAmbiguousSessions(t *testing.T) {
	for _, size := range []int{1, 3500} {
		for _, n := range []int{2, 3, 4} {
			for _, form := range forms {
				for name, do := range map[string]func(*cookiesession.Session){
					"values, then Regenerate":       login,
					"Regenerate, then values":       func(s *cookiesession.Session) { s.Regenerate(); s.Put("user", "ada") },
					"Regenerate twice":              func(s *cookiesession.Session) { s.Regenerate(); login(s) },
					"and Remember":                  func(s *cookiesession.Session) { s.Remember(2 * day); login(s) },
					"and a CSRF token":              func(s *cookiesession.Session) { s.CSRFToken(); login(s) },
					"and a message":                 func(s *cookiesession.Session) { login(s); s.Flash("f", "welcome") },
					"Destroy before":                func(s *cookiesession.Session) { s.Destroy(); login(s) },
					"Destroy, values, no login":     func(s *cookiesession.Session) { s.Destroy(); s.Put("user", "ada") },
					"a read of everything before":   func(s *cookiesession.Session) { s.All(); s.Rejected(); login(s) },
					"Regenerate, Destroy and again": func(s *cookiesession.Session) { login(s); s.Destroy(); login(s) },
				} {
					m := newManager(t, func(c *cookiesession.Config) { c.MaxSize = 30000 })
					headers, markers := live(t, m, n, size)
					h, err := form.answer(m, requestWith(headers...), do)
					if err != nil {
						t.Fatal(err)
					}
					names := strings.Fields(cookieNames(h))
					for _, marker := range markers {
						if got := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return name != marker }); len(got) != 1 {
							t.Errorf("%d of %d B, %s, %s: wrote %q, want %q once", n, size, form.name, name, names, marker)
						}
					}
					// The browser keeps all but one of what it sent, in a place of its own.
					next := append(headers[1:], cookieHeader(h["Set-Cookie"]))
					for range len(next) {
						next = append(next[1:], next[0])
						s := load(m, next...)
						if s.Rejected() != nil || s.Get("user") != "ada" {
							t.Errorf("%d of %d B, %s, %s: the next request is refused with %v, user %v", n, size, form.name, name, s.Rejected(), s.Get("user"))
						}
					}
				}
			}
		}
	}
}

// Two states of one session, of which a login has made one: they are two sessions of one origin, which ends as a whole.
func TestLoginEndsAmbiguousOrigin(t *testing.T) {
	m := newManager(t, nil)
	v := newVisitor(t, m)
	v.visit(put("n", 1))
	first := v.header()
	v.visit(login)
	second := v.header()
	h, err := bySave.answer(m, requestWith(first, second), login)
	if want := cookieName + " " + cookieName + endedSuffix(t, load(m, first).ID()); err != nil || cookieNames(h) != want {
		t.Errorf("wrote %q, %v; want %q", cookieNames(h), err, want)
	}
	for _, old := range []string{first, second} {
		if got := load(m, old, cookieHeader(h["Set-Cookie"])).Get("user"); got != "ada" {
			t.Errorf("user %v after the login", got)
		}
	}
}

// Regenerate where one session was received, or one that is valid, ends nothing: that is for Destroy.
func TestLoginWithoutRivalsEndsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRivals(t, 1)
		for name, dead := range r.dead {
			for _, header := range []string{dead, dead + "; " + r.good, r.good + "; " + dead} {
				h, err := byHandler.answer(r.m, requestWith(header), login)
				if got := cookieNames(h); err != nil || got != cookieName {
					t.Errorf("%s: a login wrote %q, %v; want the session alone", name, got, err)
				}
			}
		}
		h, err := byHandler.answer(r.m, requestWith(r.good), login)
		if got := cookieNames(h); err != nil || got != cookieName {
			t.Errorf("a login wrote %q, %v; want the session alone", got, err)
		}
	})
}

// Destroy ends all that was received and has time left, valid or not.
func TestDestroyEndsRivals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRivals(t, 1)
		for name, dead := range r.dead {
			for _, header := range []string{dead + "; " + r.good, r.good + "; " + dead} {
				h, err := byHandler.answer(r.m, requestWith(header), destroy)
				want := 2
				if name == "expired" {
					want = 1 // has no life left
				}
				names := cookieNames(h)
				if got := strings.Count(names, ".ended."); err != nil || got != want || !strings.HasPrefix(names, "-"+cookieName) {
					t.Errorf("%s: wrote %q, %v; want %d markers", name, names, err, want)
				}
				after := header + "; " + cookieHeader(h["Set-Cookie"])
				if got := rejected(r.m, after); got == "ambiguous" || got == "" {
					t.Errorf("%s: got %q after the logout", name, got)
				}
			}
		}
	})
}

// One that couldn't be checked counts as valid: beside a valid one it is a rival, beside one that isn't it is the visitor's,
// of whom nobody knows.
func TestUncheckedSessionIsARival(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRivals(t, 1)
		down := errors.New("database is down")
		var asked int
		m := newManager(t, func(c *cookiesession.Config) {
			c.IdleTimeout = time.Hour
			c.Revoked = func(_ context.Context, s *cookiesession.Session) (bool, error) {
				asked++
				if s.Has("down") {
					return false, down
				}
				return s.Has("revoked"), nil
			}
		})
		lines, err := response(m, put("down", true))
		if err != nil {
			t.Fatal(err)
		}
		unchecked := cookieHeader(lines)
		for _, headers := range [][]string{{unchecked, r.good}, {r.good, unchecked}, {unchecked, r.dead["revoked"], r.good}} {
			if got := rejected(m, headers...); got != "ambiguous" {
				t.Errorf("beside a valid session: got %q, want ambiguous", got)
			}
			h, err := byHandler.answer(m, requestWith(headers...), login)
			if err != nil || strings.Count(cookieNames(h), ".ended.") < 2 {
				t.Errorf("a login wrote %q, %v; want markers", cookieNames(h), err)
			}
			next := append(slices.Clone(headers), cookieHeader(h["Set-Cookie"]))
			if s := load(m, next...); s.Get("user") != "ada" {
				t.Errorf("after the login: rejected %v, user %v", s.Rejected(), s.Get("user"))
			}
		}
		for name, dead := range r.dead {
			if strings.Contains(name, "not-before") || name == "idle" || name == "expired" {
				continue // that's another ring's, and its clock
			}
			for _, headers := range [][]string{{unchecked, dead}, {dead, unchecked}} {
				s, err := m.Load(requestWith(headers...))
				if !errors.Is(err, down) || !s.IsNew() {
					t.Errorf("beside one that is %s: got %v", name, err)
				}
				h, err := bySave.answer(m, requestWith(headers...), put("n", 1))
				if err != down || len(h["Set-Cookie"]) > 0 {
					t.Errorf("beside one that is %s: wrote %q, %v; want the hook's error", name, cookieNames(h), err)
				}
			}
		}
	})
}

func withRevoked(f func(context.Context, *cookiesession.Session) (bool, error)) func(*cookiesession.Config) {
	return func(c *cookiesession.Config) { c.Revoked = f }
}

// Revoked is asked once for a session that is valid otherwise, by whichever goroutine uses it first, and for no other.
func TestRevokedIsAskedOnce(t *testing.T) {
	for _, test := range []struct {
		name  string
		spoil func(v *visitor)
		use   func(s *cookiesession.Session)
		want  int32
	}{
		{"valid", func(*visitor) {}, touched, 1},
		{"used a lot", func(*visitor) {}, func(s *cookiesession.Session) { s.Get("n"); s.Put("n", 2); s.Flashes(); s.CSRFToken(); s.Regenerate() }, 1},
		{"used by many", func(*visitor) {}, func(s *cookiesession.Session) {
			var running sync.WaitGroup
			for range 16 {
				running.Go(func() { s.Get("n") })
			}
			running.Wait()
		}, 1},
		{"not used", func(*visitor) {}, nothing, 0},
		{"new", func(v *visitor) { v.jar.Restart() }, put("n", 2), 0},
		{"expired", func(*visitor) { time.Sleep(day) }, touched, 0},
		{"idle", func(*visitor) { time.Sleep(2 * time.Hour) }, touched, 0},
		{"ended", func(v *visitor) { slow := v.load(); slow.Put("n", 2); v.visit(destroy); v.answer(slow) }, touched, 0},
		{"garbage", func(v *visitor) { v.setCookie("", "1AAAA") }, touched, 0},
		{"the same twice", func(v *visitor) { v.setCookie(".flash", v.cookie("")) }, touched, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := newVisitor(t, newManager(t, withIdle(time.Hour)))
				v.visit(put("n", 1))
				test.spoil(v)
				var asked atomic.Int32
				m := newManager(t, func(c *cookiesession.Config) {
					c.IdleTimeout = time.Hour
					c.Revoked = func(context.Context, *cookiesession.Session) (bool, error) { asked.Add(1); return false, nil }
				})
				inHandler(m, requestWith(v.header()), func(_ http.ResponseWriter, r *http.Request) { test.use(m.Get(r)) })
				if got := asked.Load(); got != test.want {
					t.Errorf("asked %d times, want %d", got, test.want)
				}
			})
		})
	}
}

// A session that is revoked, or of which nobody can tell, is refused; its cookies are left alone.
func TestRevoked(t *testing.T) {
	down := errors.New("database is down")
	for _, test := range []struct {
		name    string
		revoked bool
		err     error
		want    string
	}{
		{"no", false, nil, "valid"},
		{"yes", true, nil, "revoked"},
		{"error", false, down, "revoked"},
		{"error and yes", true, down, "revoked"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var log logBuffer
			v := newVisitor(t, newManager(t, func(c *cookiesession.Config) {
				c.Logger = log.logger()
				c.Revoked = func(context.Context, *cookiesession.Session) (bool, error) { return test.revoked, test.err }
			}))
			v.visit(func(s *cookiesession.Session) { s.Put("n", 1); s.CSRFToken() })
			v.wantState(test.want)
			if lines := v.visit(touched); len(lines) > 0 {
				t.Errorf("wrote %s, want nothing", v.wrote(lines))
			}
			s, err := v.m.Load(requestWith(v.header()))
			if s == nil || s.IsNew() != (test.want != "valid") || s.Has("n") != (test.want == "valid") {
				t.Errorf("got IsNew %v, n %v", s.IsNew(), s.Get("n"))
			}
			if test.want == "valid" {
				return
			}
			var refused *cookiesession.RejectError
			if !errors.As(err, &refused) || refused.Reason != cookiesession.ReasonRevoked || refused.KeyLabel != "test" || errors.Is(err, down) != (test.err != nil) {
				t.Errorf("Load returns %v", err)
			}
			if logged := strings.Contains(log.String(), "database is down"); logged != (test.err != nil) {
				t.Errorf("logged %q", log.String())
			}
			old := v.header()
			lines, err := v.try(put("n", 2))
			if test.err != nil { // the session may be good, so nothing takes its place
				if err != down || len(lines) > 0 {
					t.Errorf("wrote %q, %v, want nothing and the hook's error", v.wrote(lines), err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			// What is put now is a session of its own.
			m := newManager(t, nil)
			if a, b := load(m, old).ID(), load(m, v.header()).ID(); a[:16] == b[:16] {
				t.Errorf("a new session has the origin of the one that was refused: %s, %s", a, b)
			}
		})
	}
}

// The hook may read the session, and what it does to it changes nothing.
func TestRevokedReadsSession(t *testing.T) {
	type key struct{}
	var seen string
	v := newVisitor(t, newManager(t, withRevoked(func(ctx context.Context, s *cookiesession.Session) (bool, error) {
		seen = fmt.Sprint(ctx.Value(key{}), s.Get("user"), s.Keys(), s.All(), s.IsNew(), s.Changed(), s.Flashed("f"), len(s.ID()), s.Rejected(), s.Err())
		s.Put("user", "mallory")
		s.Delete("n")
		s.Flash("g", 1)
		s.Regenerate()
		s.Remember(time.Hour)
		s.Destroy()
		return false, nil
	})))
	v.visit(func(s *cookiesession.Session) { s.Put("user", "ada"); s.Put("n", 1); s.Flash("f", 7) })
	id := ""
	h := inHandler(v.m, requestWith(v.header()).WithContext(context.WithValue(context.Background(), key{}, "ctx")), func(_ http.ResponseWriter, r *http.Request) {
		id = v.m.Get(r).ID()
		wantValues(t, v.m.Get(r), "n=1 user=ada")
	})
	if len(h["Set-Cookie"]) > 0 {
		t.Errorf("wrote %s, want nothing", v.wrote(h["Set-Cookie"]))
	}
	if want := "ctxada[n user] map[n:1 user:ada] false false 7 32 <nil> <nil>"; seen != want {
		t.Errorf("the hook saw %s, want %s", seen, want)
	}
	if v.load().ID() != id || v.messages() != "f=7" {
		t.Errorf("ID %s after %s, messages %s", v.load().ID(), id, v.messages())
	}
}

// A number that is kept with the account ends all sessions that have another, also one that a request under way makes
// young, and one whose password was checked before the number changed, all within a second. CreatedAt would spare both.
func TestRevokedByNumber(t *testing.T) {
	const number = cookiesession.Field[int]("number")
	account := 1
	m := newManager(t, withRevoked(func(_ context.Context, s *cookiesession.Session) (bool, error) {
		return number.Get(s) != account, nil
	}))
	login := func(read int) func(*cookiesession.Session) {
		return func(s *cookiesession.Session) { s.Regenerate(); number.Put(s, read) }
	}
	here, elsewhere, late := newVisitor(t, m), newVisitor(t, m), newVisitor(t, m)
	here.visit(login(account))
	elsewhere.visit(login(account))
	read := account // when late's password is checked
	elsewhere.visit(func(s *cookiesession.Session) {
		number.Get(s)
		here.visit(func(s *cookiesession.Session) {
			account++
			login(account)(s)
		})
		s.Regenerate()
	})
	late.visit(login(read))
	if s := here.load(); number.Get(s) != 2 {
		t.Errorf("the session that changed the number is refused: %v", s.Rejected())
	}
	for name, v := range map[string]*visitor{"the other session": elsewhere, "the login under way": late} {
		if s := v.load(); number.Has(s) || s.Rejected() == nil || s.Rejected().Reason != cookiesession.ReasonRevoked {
			t.Errorf("%s: number %d, rejected %v", name, number.Get(s), s.Rejected())
		}
	}
}

// The hook may use other sessions, and other Managers' of the same request: it holds no lock that they need.
func TestRevokedDoesNotDeadlock(t *testing.T) {
	outer := newManager(t, func(c *cookiesession.Config) { c.Name = "outer" })
	var m *cookiesession.Manager
	var depth int
	m = newManager(t, withRevoked(func(ctx context.Context, s *cookiesession.Session) (bool, error) {
		depth++
		if depth == 1 {
			again := requestWith(cookieName + "=" + "1AAAA")
			if _, err := m.Load(again); err == nil {
				t.Error("Load of garbage within the hook succeeds")
			}
			cookiesession.FromContext(ctx).Put("asked", s.Get("n"))
			m.Stats()
		}
		return false, nil
	}))
	v := newVisitor(t, m)
	v.visit(put("n", 1))
	rec := httptest.NewRecorder()
	outer.Handler(m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if m.Get(r).Get("n") != int64(1) || outer.Get(r).Get("asked") != int64(1) {
			t.Errorf("n = %v, asked = %v", m.Get(r).Get("n"), outer.Get(r).Get("asked"))
		}
	}))).ServeHTTP(rec, requestWith(v.header()))
	if got := cookieNames(rec.Result().Header); got != "__Host-outer" {
		t.Errorf("wrote %s, want the outer session", got)
	}
}

// An error of Revoked has no session's lease renewed, and no marker forgotten.
func TestFailingRevokedTouchesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var down error
		v := newVisitor(t, newManager(t, func(c *cookiesession.Config) {
			c.IdleTimeout = time.Hour
			c.Revoked = func(context.Context, *cookiesession.Session) (bool, error) { return false, down }
		}))
		v.visit(put("n", 1))
		v.setCookie(".ended.AAAAAAAAAAA", "1") // old
		v.setCookie(".1", "AAAAold")
		time.Sleep(10 * time.Minute)
		down = errors.New("database is down")
		if lines := v.visit(touched); len(lines) > 0 {
			t.Errorf("wrote %s, want nothing", v.wrote(lines))
		}
		down = nil
		if got, want := v.wrote(v.visit(touched)), "-[.ended.AAAAAAAAAAA] [.lease]"; got != want {
			t.Errorf("afterwards it wrote %s, want %s", got, want)
		}
	})
}

// A received text is one of up to four session cookies of one name.
type receivedText struct {
	header    string
	refused   string // why nothing can be read from it, or ""
	id        string
	sealed    int64
	expires   int64
	n         string // value of the key n, which tells the texts apart
	hasToken  bool   // it has a CSRF secret
	isBound   bool   // it is sealed as one that is bound to a device
	revoked   string // what Revoked says of it: "", "revoked" or "fails"
	fromAhead bool
}

// verdict is what a Manager makes of the received texts.
type verdict struct {
	refused   string
	unchecked bool
	n         string // of the session in use
	hasToken  bool   // likewise
	isBound   bool   // likewise
	ends      string // the origins that Destroy ends, sorted
	ambiguous string // those that Regenerate ends
}

// judge is what choose does, as simply as its rules can be written down: decode each text, of one ID the one that was
// sealed last, the first of equals; what isn't valid is no rival; of several that are valid none is used.
func judge(texts []receivedText, ended string, now int64) (v verdict) {
	v.ends, v.ambiguous = "[]", "[]"
	var sessions []receivedText
	alive := map[string]bool{} // by ID
	for _, text := range texts {
		if text.refused != "" {
			continue
		}
		alive[text.id] = alive[text.id] || now < text.expires
		same := func(other receivedText) bool { return other.id == text.id }
		if i := slices.IndexFunc(sessions, same); i < 0 {
			sessions = append(sessions, text)
		} else if text.sealed > sessions[i].sealed {
			sessions[i] = text
		}
	}
	if len(sessions) == 0 {
		if len(texts) > 0 {
			v.refused = texts[0].refused
		}
		return v
	}
	var eligible []receivedText
	fails := false
	for _, s := range sessions {
		reason := ""
		switch {
		case s.fromAhead:
			reason = "future"
		case now >= s.expires:
			reason = "expired"
		case s.id[:8] == ended:
			reason = "ended"
		case s.revoked == "revoked":
			reason = "revoked"
		default:
			eligible = append(eligible, s)
			fails = fails || s.revoked == "fails"
		}
		if v.refused == "" {
			v.refused = reason
		}
	}
	switch {
	case len(eligible) > 1:
		v.refused = "ambiguous"
	case fails:
		v.refused, v.unchecked = "revoked", true
	case len(eligible) == 1:
		v.refused, v.n, v.hasToken, v.isBound = "", eligible[0].n, eligible[0].hasToken, eligible[0].isBound
	}
	var origins []string
	for _, s := range sessions {
		if o := s.id[:8]; (alive[s.id] || v.n == s.n) && !slices.Contains(origins, o) {
			origins = append(origins, o)
		}
	}
	slices.Sort(origins)
	v.ends = fmt.Sprint(origins)
	if len(eligible) > 1 {
		v.ambiguous = v.ends
	}
	return v
}

// TestChoiceAgreesWithRules compares what Managers make of several session cookies with judge, for random ones.
func TestChoiceAgreesWithRules(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ring := newRing(t)
		m := newManager(t, func(c *cookiesession.Config) {
			c.Keys = ring
			c.Revoked = func(_ context.Context, s *cookiesession.Session) (bool, error) {
				if s.Get("r") == "fails" {
					return false, errors.New("no answer")
				}
				return s.Get("r") == "revoked", nil
			}
		})
		stranger := newManager(t, withKeys(newRing(t, playKey(1)))) // whose key m doesn't know
		purposes := map[bool]string{false: "session", true: "bound"}
		now := time.Now().Unix()
		ids := []string{"origin01half0001", "origin01half0002", "origin02half0001", "origin03half0001"}
		seen := make(map[string]int)
		rnd := rand.New(rand.NewPCG(1, 2))
		for range 3000 {
			var texts []receivedText
			var headers []string
			for i := range rnd.IntN(5) {
				text := receivedText{id: ids[rnd.IntN(len(ids))], n: fmt.Sprint(i), sealed: now - int64(rnd.IntN(3)), expires: now + 100}
				switch rnd.IntN(8) {
				case 0:
					text.refused = "malformed"
				case 1:
					text.refused = "forged"
				case 2:
					text.expires = now
				case 3:
					text.fromAhead = true
					text.sealed = now + 61
				case 4:
					text.revoked = []string{"revoked", "fails"}[rnd.IntN(2)]
				}
				text.isBound = rnd.IntN(2) == 0
				var csrf []byte
				if text.hasToken = rnd.IntN(2) == 0; text.hasToken {
					csrf = bytes.Repeat([]byte{byte(i + 1)}, 16)
				}
				values := packMap("n", text.n, "r", text.revoked)
				if text.refused == "malformed" {
					values = append(values, 0)
				}
				payload := pack(packArray(7), packBytes([]byte(text.id)), packTimes(now-10, text.sealed, text.expires), rnd.IntN(2), packBytes(csrf), values)
				if text.header = m.SealPayload(purposes[text.isBound], payload); text.refused == "forged" {
					last := len(text.header) - 9
					text.header = text.header[:last] + string(text.header[last]^1|1) + text.header[last+1:]
					if rnd.IntN(2) == 0 {
						text.header, text.refused = stranger.SealPayload(purposes[text.isBound], payload), "unknown-key"
					} else if rejected(m, text.header) != "forged" {
						text.header, text.refused = cookieName+"=1", "malformed"
					}
				}
				if !slices.ContainsFunc(texts, func(other receivedText) bool { return other.header == text.header }) {
					texts, headers = append(texts, text), append(headers, text.header)
				}
			}
			ended := ""
			if rnd.IntN(3) == 0 {
				ended = ids[rnd.IntN(len(ids))][:8]
				headers = append(headers, cookieName+".ended."+textEncoding.EncodeToString([]byte(ended))+"=1")
			}
			want := judge(texts, ended, now)
			var got verdict
			s, err := m.Load(requestWith(headers...))
			var refused *cookiesession.RejectError
			if errors.As(err, &refused) {
				got.refused, got.unchecked = refused.Reason.String(), refused.Err != nil
			}
			if n, ok := s.Get("n").(string); ok {
				got.n = n
			}
			if s.IsNew() != (got.n == "") || s.Changed() || got.n == "" && !s.IsEmpty() {
				t.Fatalf("%+v: got a session that is new: %v, changed: %v, with %v", texts, s.IsNew(), s.Changed(), s.All())
			}
			s.CSRFToken()
			got.hasToken = !s.Changed() // or it would have drawn a secret
			h := http.Header{}
			if s.Put("v", 1); got.n != "" && m.Save(h, s) == nil {
				got.isBound = m.Inspect(cookieHeader(h["Set-Cookie"]))[0].DeviceAware
			}
			endedBy := func(end func(*cookiesession.Session)) string {
				h, _ := bySave.answer(m, requestWith(headers...), end)
				var origins []string
				for _, line := range h["Set-Cookie"] {
					if _, tag, ok := strings.Cut(line, ".ended."); ok && !strings.Contains(line, "Max-Age=0") {
						tag, _, _ = strings.Cut(tag, "=")
						origin, err := textEncoding.DecodeString(tag)
						if err != nil {
							t.Fatal(err)
						}
						origins = append(origins, string(origin))
					}
				}
				slices.Sort(origins)
				return fmt.Sprint(origins)
			}
			got.ends = endedBy(destroy)
			got.ambiguous = endedBy(func(s *cookiesession.Session) { s.Regenerate(); s.Put("n", "new") })
			if got != want {
				t.Fatalf("%+v with marker of %q: got %+v, want %+v", texts, ended, got, want)
			}
			seen[got.refused]++
		}
		for _, reason := range []string{"", "malformed", "unknown-key", "forged", "future", "expired", "ended", "revoked", "ambiguous"} {
			if seen[reason] == 0 {
				t.Errorf("no request was %q", reason)
			}
		}
	})
}
