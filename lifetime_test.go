package cookiesession_test

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

var maxAgePattern = regexp.MustCompile(`; Max-Age=(\d+)`)

// sessionMaxAge returns the Max-Age of the session cookie among Set-Cookie lines, "none" if it has none, "" if it isn't
// set.
func (v *visitor) sessionMaxAge(lines []string) string {
	for _, line := range lines {
		if len(line) > len(v.m.CookieName()) && line[:len(v.m.CookieName())+1] == v.m.CookieName()+"=" {
			if m := maxAgePattern.FindStringSubmatch(line); m != nil {
				return m[1]
			}
			return "none"
		}
	}
	return ""
}

// Max-Age is the remaining life to the second, if the session is to survive the browser, and no attribute otherwise.
func TestMaxAge(t *testing.T) {
	type visit struct {
		after time.Duration
		do    func(s *cookiesession.Session)
		want  string
	}
	remember := func(d time.Duration) func(*cookiesession.Session) {
		return func(s *cookiesession.Session) { s.Put("n", 0); s.Remember(d) }
	}
	persistent := func(c *cookiesession.Config) { c.Persistent = true }
	for _, test := range []struct {
		name   string
		config func(*cookiesession.Config)
		visits []visit
	}{
		{"of the browser", nil, []visit{{0, put("n", 1), "none"}, {time.Hour, put("n", 2), "none"}, {time.Hour, login, "none"}}},
		{"persistent", persistent, []visit{
			{0, put("n", 1), "86400"},
			{time.Second, put("n", 2), "86399"},
			{time.Hour, put("n", 3), "82799"},
			{23*time.Hour - 2*time.Second, put("n", 4), "1"},
		}},
		{"persistent, Regenerate", persistent, []visit{{0, put("n", 1), "86400"}, {time.Hour, login, "86400"}, {time.Hour, put("n", 2), "82800"}}},
		{"persistent, Destroy and anew", persistent, []visit{
			{0, put("n", 1), "86400"}, {time.Hour, func(s *cookiesession.Session) { s.Destroy(); s.Put("n", 1) }, "86400"},
		}},
		{"persistent, of a life with parts of a second", func(c *cookiesession.Config) { c.Persistent, c.Lifetime = true, 90*time.Second+time.Millisecond }, []visit{
			{0, put("n", 1), "91"},
		}},
		{"the longest", func(c *cookiesession.Config) { c.Persistent, c.Lifetime = true, 400*day }, []visit{{0, put("n", 1), "34560000"}}},
		{"the shortest", func(c *cookiesession.Config) { c.Persistent, c.Lifetime = true, time.Second }, []visit{{0, put("n", 1), "1"}}},
		{"remembered", nil, []visit{{0, remember(30 * day), "2592000"}, {day, put("n", 1), "2505600"}, {time.Second, put("n", 2), "2505599"}}},
		{"remembered for a second", nil, []visit{{0, remember(time.Second), "1"}}},
		{"remembered for part of a second more", nil, []visit{{0, remember(1001 * time.Millisecond), "2"}}},
		{"remembered for 400 days", nil, []visit{{0, remember(400 * day), "34560000"}}},
		{"remembered for less than Lifetime", persistent, []visit{{0, remember(time.Hour), "3600"}}},
		{"remembered later", nil, []visit{{0, put("n", 1), "none"}, {time.Hour, remember(2 * time.Hour), "7200"}}},
		{"remembered twice", nil, []visit{{0, func(s *cookiesession.Session) { s.Put("n", 1); s.Remember(time.Hour); s.Remember(2 * time.Hour) }, "7200"}}},
		{"remembered anew", nil, []visit{{0, remember(time.Hour), "3600"}, {30 * time.Minute, remember(time.Hour), "3600"}}},
		{"remembered, then Regenerate later", nil, []visit{{0, remember(30 * day), "2592000"}, {day, login, "none"}, {time.Hour, put("n", 1), "none"}}},
		{"remembered, then Regenerate later, persistent", persistent, []visit{{0, remember(30 * day), "2592000"}, {day, login, "86400"}}},
		{"remembered before Regenerate", nil, []visit{
			{0, func(s *cookiesession.Session) { s.Remember(30 * day); login(s) }, "2592000"}, {time.Hour, put("n", 1), "2588400"},
		}},
		{"remembered after Regenerate", nil, []visit{{0, func(s *cookiesession.Session) { login(s); s.Remember(30 * day) }, "2592000"}}},
		{"remembered again with Regenerate", nil, []visit{{0, remember(30 * day), "2592000"}, {day, func(s *cookiesession.Session) { s.Remember(60 * day); login(s) }, "5184000"}}},
		{"remembered before Destroy", nil, []visit{{0, func(s *cookiesession.Session) { s.Remember(30 * day); s.Destroy(); s.Put("n", 1) }, "none"}}},
		{"remembered after Destroy", nil, []visit{{0, put("n", 1), "none"}, {0, func(s *cookiesession.Session) { s.Destroy(); s.Put("n", 1); s.Remember(30 * day) }, "2592000"}}},
		{"remembered, of nobody", nil, []visit{{0, func(s *cookiesession.Session) { s.Remember(30 * day) }, ""}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := newVisitor(t, newManager(t, test.config))
				for i, visit := range test.visits {
					time.Sleep(visit.after)
					if got := v.sessionMaxAge(v.visit(visit.do)); got != visit.want {
						t.Errorf("visit %d: Max-Age %s, want %s", i, got, visit.want)
					}
				}
			})
		})
	}
}

// A change of a session as its life ends: the browser may keep it for a second more, the server won't take it.
func TestSavedAfterItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVisitor(t, newManager(t, func(c *cookiesession.Config) { c.Persistent = true }))
		v.visit(put("n", 1))
		time.Sleep(day - time.Second)
		slow := v.load()
		slow.Put("n", 2)
		time.Sleep(10 * time.Minute)
		lines, err := v.answer(slow)
		if got := v.sessionMaxAge(lines); got != "1" || err != nil {
			t.Errorf("Max-Age %s, error %v; want 1", got, err)
		}
		v.wantState("expired")
	})
}

// What ends with the browser, and what doesn't.
func TestBrowserRestarts(t *testing.T) {
	for _, test := range []struct {
		name   string
		config func(*cookiesession.Config)
		do     func(*cookiesession.Session)
		want   string
	}{
		{"of the browser", nil, put("n", 1), "new"},
		{"persistent", func(c *cookiesession.Config) { c.Persistent = true }, put("n", 1), "valid"},
		{"remembered", nil, func(s *cookiesession.Session) { s.Put("n", 1); s.Remember(day) }, "valid"},
	} {
		v := newVisitor(t, newManager(t, test.config))
		v.visit(test.do)
		v.jar.Restart()
		if got := v.state(); got != test.want {
			t.Errorf("%s: got %s, want %s", test.name, got, test.want)
		}
	}
	// A marker outlives the browser, and so ends what another one kept.
	v := newVisitor(t, newManager(t, nil))
	v.visit(put("n", 1))
	kept := v.header()
	v.visit(destroy)
	v.jar.Restart()
	if got := rejected(v.m, v.header(), kept); got != "ended" {
		t.Errorf("after a restart: got %q, want ended", got)
	}
}

// The server enforces the end of a life from what it sealed. A browser that ignores attributes replays what it was
// sent: fastify's secure-session (CVE-2024-31999), express-session and cookie-session accepted that for ever.
func TestReplay(t *testing.T) {
	for _, test := range []struct {
		name   string
		config func(*cookiesession.Config)
		do     func(s *cookiesession.Session)
		life   time.Duration
		reason string
	}{
		{"Lifetime by default", nil, put("n", 1), day + -time.Second, "expired"},
		{"persistent", func(c *cookiesession.Config) { c.Persistent, c.Lifetime = true, time.Hour }, put("n", 1), time.Hour - time.Second, "expired"},
		{"remembered", nil, func(s *cookiesession.Session) { s.Put("n", 1); s.Remember(30 * day) }, 30*day - time.Second, "expired"},
		{"remembered beats IdleTimeout", withIdle(time.Hour), func(s *cookiesession.Session) { s.Put("n", 1); s.Remember(30 * day) }, 30*day - time.Second, "expired"},
		{"remembered beats Lifetime", nil, func(s *cookiesession.Session) { s.Put("n", 1); s.Remember(time.Hour) }, time.Hour - time.Second, "expired"},
		{"idle", withIdle(time.Hour), put("n", 1), time.Hour, "idle"},
		{"of a second", func(c *cookiesession.Config) { c.Lifetime = time.Second }, put("n", 1), 0, "expired"},
		{"of two cookies", nil, put("v", random(3500)), day - time.Second, "expired"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := newVisitor(t, newManager(t, test.config))
				v.visit(test.do)
				replayed := v.header()
				time.Sleep(test.life)
				if got := rejected(v.m, replayed); got != "" {
					t.Errorf("in its last second: refused as %s", got)
				}
				for range 3 {
					time.Sleep(time.Second)
					s := load(v.m, replayed)
					if s.Rejected() == nil || s.Rejected().Reason.String() != test.reason || len(s.Keys()) != 0 || !s.IsNew() {
						t.Errorf("afterwards: got %v with keys %q, want %s", s.Rejected(), s.Keys(), test.reason)
					}
				}
			})
		})
	}
}

// Destroy is of one browser. A copy of the cookies lives on, which is why Revoked exists; where the marker is, no
// attribute matters.
func TestReplayAfterDestroy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVisitor(t, newManager(t, nil))
		v.visit(login)
		copied := v.header()
		v.visit(destroy)
		marker := v.header()
		if got := rejected(v.m, copied+"; "+marker); got != "ended" {
			t.Errorf("with the marker: got %q, want ended", got)
		}
		if got := rejected(v.m, copied); got != "" {
			t.Errorf("without it: refused as %s, which no server can know", got)
		}
	})
}

// Using or changing a session doesn't prolong it; Regenerate does, and says so.
func TestLifetime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, func(c *cookiesession.Config) { c.Lifetime, c.IdleTimeout = 12*time.Hour, 4*time.Hour })
		v := newVisitor(t, m)
		began := time.Now()
		v.visit(put("n", 0))
		id := v.load().ID()
		check := func(created, expires time.Time) {
			t.Helper()
			s := v.load()
			if !s.CreatedAt().Equal(created) || !s.ExpiresAt().Equal(expires) || s.CreatedAt().Location() != time.UTC {
				t.Errorf("CreatedAt %v, ExpiresAt %v; want %v, %v", s.CreatedAt(), s.ExpiresAt(), created, expires)
			}
		}
		for n := range 5 {
			time.Sleep(time.Hour)
			v.visit(put("n", n+1))
			time.Sleep(time.Hour)
			v.visit(touched)
			check(began, began.Add(12*time.Hour))
		}
		if v.load().ID() != id {
			t.Error("the ID has changed")
		}
		v.visit(login)
		check(began.Add(10*time.Hour), began.Add(22*time.Hour))
		if now := v.load().ID(); now == id || now[:16] != id[:16] {
			t.Errorf("Regenerate made %s of %s, want another second half", now, id)
		}
		time.Sleep(time.Hour)
		v.visit(func(s *cookiesession.Session) { s.Remember(30 * day) })
		check(began.Add(10*time.Hour), began.Add(11*time.Hour+30*day))
	})
}

// Regenerate keeps values and messages, renews the CSRF secret if there is one, and undoes what Remember said earlier.
func TestRegenerate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVisitor(t, newManager(t, func(c *cookiesession.Config) { c.IdleTimeout, c.FlashLifetime = time.Hour, day }))
		v.visit(func(s *cookiesession.Session) {
			s.Put("cart", []string{"apple"})
			s.Flash("f", 1)
			s.Remember(30 * day)
		})
		token := v.token()
		time.Sleep(2 * time.Hour)
		v.wantState("valid") // remembered
		v.visit(func(s *cookiesession.Session) {
			before := s.ID()
			s.Regenerate()
			between := s.ID()
			s.Regenerate()
			if before == between || between == s.ID() || !s.Changed() || s.IsNew() {
				t.Errorf("IDs %s, %s, %s; Changed %v, IsNew %v", before, between, s.ID(), s.Changed(), s.IsNew())
			}
		})
		s := v.load()
		if fmt.Sprint(s.Get("cart")) != "[apple]" || s.Flashed("f") != int64(1) || s.VerifyCSRFToken(token) {
			t.Errorf("cart %v, message %v, old token verifies %v", s.Get("cart"), s.Flashed("f"), s.VerifyCSRFToken(token))
		}
		time.Sleep(time.Hour + time.Second)
		v.wantState("idle") // no longer remembered
	})
}

// Of a session that doesn't come from a cookie, Regenerate draws both halves, and an empty one stays unwritten.
// What is said of a session's life in a request holds wherever Regenerate stands in it.
func TestRegenerateAmongOthers(t *testing.T) {
	type step struct {
		name string
		do   func(s *cookiesession.Session)
	}
	steps := []step{
		{"persist", func(s *cookiesession.Session) { s.Persist(true) }},
		{"don't persist", func(s *cookiesession.Session) { s.Persist(false) }},
		{"expire", func(s *cookiesession.Session) { s.ExpireIn(time.Hour) }},
		{"remember", func(s *cookiesession.Session) { s.Remember(2 * time.Hour) }},
	}
	regenerate := step{"regenerate", (*cookiesession.Session).Regenerate}
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, nil)
		for _, before := range append([]step{{"new", put("n", 1)}}, steps...) {
			v := newVisitor(t, m)
			v.visit(func(s *cookiesession.Session) { s.Put("n", 1); before.do(s) })
			time.Sleep(time.Second)
			for i := range len(steps) * len(steps) {
				two := []step{steps[i/len(steps)], steps[i%len(steps)]}
				want := ""
				for at := range 3 {
					name := before.name + ";"
					in := v.clone(m)
					lines := in.visit(func(s *cookiesession.Session) {
						for _, step := range slices.Insert(slices.Clone(two), at, regenerate) {
							step.do(s)
							name += " " + step.name
						}
					})
					got := fmt.Sprintf("%s, %t, %v", in.sessionMaxAge(lines), in.load().Remembered(), in.load().ExpiresAt())
					if want == "" {
						want = got
					} else if got != want {
						t.Errorf("%s: got Max-Age, remembered and end %s, want %s as with regenerate in front", name, got, want)
					}
				}
			}
		}
	})
}

func TestRegenerateOfNew(t *testing.T) {
	v := newVisitor(t, newManager(t, nil))
	if lines := v.visit(func(s *cookiesession.Session) { s.Regenerate() }); len(lines) > 0 {
		t.Errorf("an empty session wrote %s", v.wrote(lines))
	}
	seen := map[string]bool{}
	for range 20 {
		id := load(v.m).ID()
		if seen[id[:16]] || seen[id[16:]] || len(id) != 32 {
			t.Errorf("ID %s repeats", id)
		}
		seen[id[:16]], seen[id[16:]] = true, true
	}
}

// All 128 bits are random, and all but the origin's 64 are drawn again by Regenerate: each is set in some of many and
// not in others.
func TestIDsAreRandom(t *testing.T) {
	m := newManager(t, nil)
	bits := func(s *cookiesession.Session) (id [16]byte) {
		if n, err := hex.Decode(id[:], []byte(s.ID())); n != len(id) || err != nil {
			t.Fatalf("ID %s: %v", s.ID(), err)
		}
		return id
	}
	var ever, always, everNew, alwaysNew [16]byte
	for i := range always {
		always[i], alwaysNew[i] = 0xff, 0xff
	}
	for range 256 { // a random bit is the same in all with a chance of 2^-255
		s := load(m)
		old := bits(s)
		s.Regenerate()
		drawn := bits(s)
		for i := range old {
			ever[i] |= old[i]
			always[i] &= old[i]
			everNew[i] |= old[i] ^ drawn[i]
			alwaysNew[i] &= old[i] ^ drawn[i]
		}
	}
	for i := range ever {
		if ever[i] != 0xff || always[i] != 0 {
			t.Errorf("byte %d of IDs: bits %08b are never set, %08b always", i, ^ever[i], always[i])
		}
		if kept := i < 8; kept && everNew[i] != 0 || !kept && (everNew[i] != 0xff || alwaysNew[i] != 0) {
			t.Errorf("byte %d of IDs: Regenerate never changes the bits %08b, and always %08b", i, ^everNew[i], alwaysNew[i])
		}
	}
}

// A client can't choose an ID: fiber CVE-2024-38513 took what was sent.
func TestIDsAreDrawn(t *testing.T) {
	v := newVisitor(t, newManager(t, nil))
	v.visit(put("n", 1))
	old := v.load().ID()
	v.setCookie("", "1"+old)
	s := v.load()
	if s.ID() == old || s.ID()[:16] == old[:16] || !s.IsNew() {
		t.Errorf("got ID %s after %s", s.ID(), old)
	}
}

func TestRememberOutOfRange(t *testing.T) {
	for _, test := range []struct {
		d  time.Duration
		ok bool
	}{
		{-time.Second, false},
		{0, false},
		{time.Second - 1, false},
		{time.Second, true},
		{400 * day, true},
		{400*day + 1, false},
		{1<<63 - 1, false},
	} {
		v := newVisitor(t, newManager(t, nil))
		s := v.load()
		s.Put("n", 1)
		before := s.ExpiresAt()
		s.Remember(test.d)
		if ok := s.Err() == nil; ok != test.ok || !ok && !s.ExpiresAt().Equal(before) {
			t.Errorf("Remember(%v): error %v, ExpiresAt %v, before %v", test.d, s.Err(), s.ExpiresAt(), before)
		}
		if err := v.m.Save(http.Header{}, s); (err == nil) != test.ok {
			t.Errorf("Remember(%v): Save returns %v", test.d, err)
		}
	}
}

// A server whose clock is behind accepts what another one has just made, up to a minute.
func TestClockSkew(t *testing.T) {
	for _, test := range []struct {
		behind time.Duration
		do     func(*cookiesession.Session)
		want   string
	}{
		{59 * time.Second, put("n", 1), ""},
		{60 * time.Second, put("n", 1), ""},
		{61 * time.Second, put("n", 1), "future"},
		{60 * time.Second, put("n", 2), ""},
		{61 * time.Second, put("n", 2), "future"},
	} {
		synctest.Test(t, func(t *testing.T) {
			m := newManager(t, withIdle(time.Hour))
			v := newVisitor(t, m)
			v.visit(put("n", 1))
			if test.want == "future" {
				time.Sleep(time.Second / 2)
			}
			v.visit(test.do)
			slow := newManager(t, withIdle(time.Hour))
			slow.SetClock(func() time.Time { return time.Now().Add(-test.behind) })
			if got := rejected(slow, v.header()); got != test.want {
				t.Errorf("%v behind: got %q, want %q", test.behind, got, test.want)
			}
		})
	}
	// sealed ahead, though created long ago
	synctest.Test(t, func(t *testing.T) {
		v := newVisitor(t, newManager(t, nil))
		v.visit(put("n", 1))
		time.Sleep(time.Hour)
		v.visit(put("n", 2))
		slow := newManager(t, nil)
		for behind, want := range map[time.Duration]string{60 * time.Second: "", 61 * time.Second: "future"} {
			slow.SetClock(func() time.Time { return time.Now().Add(-behind) })
			if got := rejected(slow, v.header()); got != want {
				t.Errorf("sealed %v ahead: got %q, want %q", behind, got, want)
			}
		}
	})
}

// fiber CVE-2024-38513: an ID that the visitor chose becomes the session's.
func TestIDsAreOurs(t *testing.T) {
	m := newManager(t, nil)
	seen := map[string]bool{}
	for _, header := range []string{"", cookieName + "=0123456789abcdef0123456789abcdef", cookieName + "=1" + random(100), cookieName + ".1=x"} {
		for range 2 {
			s := load(m, header)
			s.Put("v", 1)
			if id := s.ID(); len(id) != 32 || strings.Trim(id, "0123456789abcdef") != "" || seen[id] || strings.Contains(header, id) {
				t.Errorf("ID %s for a visitor with %.20q", id, header)
			}
			seen[s.ID()] = true
		}
	}
}
