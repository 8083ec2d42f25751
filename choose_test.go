package cookiesession_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
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
		c.Revoked = func(_ context.Context, s *cookiesession.Session) (bool, error) { return s.Has("revoked"), nil }
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

// Of several that aren't valid, the one that came first gives the reason.
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

// A login where several valid sessions came ends them, so that the next request has one.
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
					// The browser keeps all but one of what came, in a place of its own.
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
	h, err := forms[1].answer(m, requestWith(first, second), login)
	if want := cookieName + " " + cookieName + endedSuffix(t, load(m, first).ID()); err != nil || cookieNames(h) != want {
		t.Errorf("wrote %q, %v; want %q", cookieNames(h), err, want)
	}
	for _, old := range []string{first, second} {
		if got := load(m, old, cookieHeader(h["Set-Cookie"])).Get("user"); got != "ada" {
			t.Errorf("user %v after the login", got)
		}
	}
}

// Regenerate where one session came, or one that is valid, ends nothing: that is for Destroy.
func TestLoginWithoutRivalsEndsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRivals(t, 1)
		for name, dead := range r.dead {
			for _, header := range []string{dead, dead + "; " + r.good, r.good + "; " + dead} {
				h, err := forms[0].answer(r.m, requestWith(header), login)
				if got := cookieNames(h); err != nil || got != cookieName {
					t.Errorf("%s: a login wrote %q, %v; want the session alone", name, got, err)
				}
			}
		}
		h, err := forms[0].answer(r.m, requestWith(r.good), login)
		if got := cookieNames(h); err != nil || got != cookieName {
			t.Errorf("a login wrote %q, %v; want the session alone", got, err)
		}
	})
}

// Destroy ends all that came and has time left, valid or not.
func TestDestroyEndsRivals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRivals(t, 1)
		for name, dead := range r.dead {
			for _, header := range []string{dead + "; " + r.good, r.good + "; " + dead} {
				h, err := forms[0].answer(r.m, requestWith(header), destroy)
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
			h, err := forms[0].answer(m, requestWith(headers...), login)
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
				h, err := forms[1].answer(m, requestWith(headers...), put("n", 1))
				if err != down || len(h["Set-Cookie"]) > 0 {
					t.Errorf("beside one that is %s: wrote %q, %v; want the hook's error", name, cookieNames(h), err)
				}
			}
		}
	})
}
