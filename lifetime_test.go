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

// Regenerate has no empty session written, and no two new sessions share a half of their IDs.
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
	for _, header := range []string{"", cookieName + "=0123456789abcdef0123456789abcdef", cookieName + "=10123456789abcdef0123456789abcdef", cookieName + "=1" + random(100), cookieName + ".1=x"} {
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

// A said is what one call in a request says about a session's life.
type said struct {
	name string
	call func(s *cookiesession.Session)
}

var sayings = []said{
	{"Remember", func(s *cookiesession.Session) { s.Remember(30 * day) }},
	{"ExpireIn", func(s *cookiesession.Session) { s.ExpireIn(3 * time.Hour) }},
	{"Persist(true)", func(s *cookiesession.Session) { s.Persist(true) }},
	{"Persist(false)", func(s *cookiesession.Session) { s.Persist(false) }},
	{"Regenerate", func(s *cookiesession.Session) { s.Regenerate() }},
}

// orders yields every order of some of the sayings.
func orders(yield func(order []said)) {
	var more func(order []said)
	more = func(order []said) {
		yield(order)
		for _, one := range sayings {
			if !slices.ContainsFunc(order, func(s said) bool { return s.name == one.name }) {
				more(append(slices.Clone(order), one))
			}
		}
	}
	more(nil)
}

// A life is what becomes of a session: how long it lasts from now, and what the browser does when it closes.
type life struct {
	left time.Duration
	mode string // browser, persistent or remembered
}

// after returns what the doc comments say of a session that had life l under a Config that gives new ones byConfig.
// Where in the order Regenerate is called doesn't matter: what is said in the same request holds on.
func (l life) after(order []said, byConfig life) life {
	if slices.ContainsFunc(order, func(s said) bool { return s.name == "Regenerate" }) {
		l = byConfig
	}
	for _, one := range order {
		switch one.name {
		case "Remember":
			l = life{30 * day, "remembered"}
		case "ExpireIn":
			l.left = 3 * time.Hour
		case "Persist(true)":
			if l.mode != "remembered" {
				l.mode = "persistent"
			}
		case "Persist(false)":
			l.mode = "browser"
		}
	}
	return l
}

// Remember, ExpireIn, Persist and Regenerate go together in every order, for a session of every mode, under either
// setting of Persistent; the browser and the server learn the same, and later requests keep it.
func TestWhatIsSaidOfALifeInEveryOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		for _, persistent := range []bool{false, true} {
			m := newManager(t, func(c *cookiesession.Config) { c.Persistent, c.IdleTimeout = persistent, time.Hour })
			byConfig := life{day, "browser"}
			if persistent {
				byConfig.mode = "persistent"
			}
			for _, received := range []struct {
				name string
				make func(s *cookiesession.Session)
				life life
			}{
				{"by Config", put("n", 1), byConfig},
				{"remembered", func(s *cookiesession.Session) { s.Put("n", 1); s.Remember(10 * day) }, life{10 * day, "remembered"}},
				{"persistent", func(s *cookiesession.Session) { s.Put("n", 1); s.Persist(true) }, life{day, "persistent"}},
				{"of the browser", func(s *cookiesession.Session) { s.Put("n", 1); s.Persist(false) }, life{day, "browser"}},
			} {
				first := newVisitor(t, m)
				first.visit(received.make)
				checkLife(t, "made "+received.name, first, received.life)
				time.Sleep(20 * time.Minute)
				received.life.left -= 20 * time.Minute
				orders(func(order []said) {
					n++
					name := fmt.Sprintf("Persistent %v, received %s, said %s", persistent, received.name, names(order))
					want := received.life.after(order, byConfig)
					v := first.clone(m)
					lines := v.visit(func(s *cookiesession.Session) {
						for _, one := range order {
							one.call(s)
						}
						s.Put("n", 2)
					})
					if got := v.sessionMaxAge(lines); got != want.maxAge() {
						t.Errorf("%s: Max-Age %s, want %s", name, got, want.maxAge())
					}
					checkLife(t, name, v, want)
				})
			}
		}
		if want := 2 * 4 * 326; n != want {
			t.Errorf("tried %d, want %d", n, want)
		}
	})
}

func names(order []said) string {
	var all []string
	for _, one := range order {
		all = append(all, one.name)
	}
	return strings.Join(all, ", ")
}

func (l life) maxAge() string {
	if l.mode == "browser" {
		return "none"
	}
	return fmt.Sprint(int64(l.left / time.Second))
}

// checkLife looks at a session as the next request brings it, and as that request changes it.
func checkLife(t *testing.T, name string, v *visitor, want life) {
	t.Helper()
	s := v.load()
	remembered := want.mode == "remembered"
	if left := time.Until(s.ExpiresAt()); left != want.left || s.Remembered() != remembered || s.IdleAt().IsZero() != remembered {
		t.Errorf("%s: next the session lasts %v, Remembered %v, IdleAt %v; want %v, %s", name, left, s.Remembered(), s.IdleAt(), want.left, want.mode)
	}
	next := v.clone(v.m)
	if got := next.sessionMaxAge(next.visit(put("next", true))); got != want.maxAge() {
		t.Errorf("%s: the next change has Max-Age %s, want %s", name, got, want.maxAge())
	}
	restarted := v.clone(v.m)
	restarted.jar.Restart()
	if got := restarted.state(); (got == "valid") != (want.mode != "browser") {
		t.Errorf("%s: when the browser was closed the session is %s, want it %s", name, got, want.mode)
	}
}

// What is said of a new session holds, too, and goes with Destroy.
func TestWhatIsSaidOfANewSession(t *testing.T) {
	for _, persistent := range []bool{false, true} {
		m := newManager(t, func(c *cookiesession.Config) { c.Persistent, c.IdleTimeout = persistent, time.Hour })
		byConfig := life{day, "browser"}
		if persistent {
			byConfig.mode = "persistent"
		}
		synctest.Test(t, func(t *testing.T) {
			orders(func(order []said) {
				for _, destroyed := range []string{"never", "before", "after"} {
					for _, logsOut := range []bool{false, true} {
						name := fmt.Sprintf("Persistent %v, said %s, destroyed %s, logs out %v", persistent, names(order), destroyed, logsOut)
						v := newVisitor(t, m)
						if logsOut {
							v.visit(func(s *cookiesession.Session) { s.Put("n", 0); s.Remember(5 * day) })
							if destroyed == "never" {
								continue
							}
						}
						want := byConfig.after(order, byConfig)
						lines := v.visit(func(s *cookiesession.Session) {
							if destroyed == "before" {
								s.Destroy()
							}
							for _, one := range order {
								one.call(s)
							}
							if destroyed == "after" {
								s.Destroy()
								want = byConfig
							}
							s.Put("n", 1)
						})
						if got := v.sessionMaxAge(lines); got != want.maxAge() {
							t.Errorf("%s: Max-Age %s, want %s", name, got, want.maxAge())
						}
						checkLife(t, name, v, want)
					}
				}
			})
		})
	}
}

// ExpireIn moves the deadline, nearer or farther, and nothing else: values, ID, creation, idle timeout and mode stay.
func TestExpireIn(t *testing.T) {
	for _, d := range []time.Duration{time.Second, 10 * time.Minute, 90*time.Minute + time.Millisecond, day, 30 * day, 400 * day} {
		for _, idle := range []time.Duration{0, time.Hour} {
			t.Run(fmt.Sprintf("%v/idle=%v", d, idle), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					v := newVisitor(t, newManager(t, withIdle(idle)))
					v.visit(put("n", 1))
					before := v.load()
					id, created := before.ID(), before.CreatedAt()
					time.Sleep(30 * time.Minute)
					said := time.Now()
					v.visit(func(s *cookiesession.Session) {
						s.ExpireIn(d)
						if !s.Changed() {
							t.Error("that is no change")
						}
					})
					ends := said.Add((d + time.Second - 1).Truncate(time.Second))
					s := v.load()
					if s.ID() != id || !s.CreatedAt().Equal(created) || s.Get("n") != int64(1) || !s.ExpiresAt().Equal(ends) || s.Remembered() {
						t.Errorf("got ID %s, CreatedAt %v, n %v, ExpiresAt %v; want %s, %v, 1, %v", s.ID(), s.CreatedAt(), s.Get("n"), s.ExpiresAt(), id, created, ends)
					}
					replayed := v.header()
					last, reason := ends, "expired"
					if until := said.Add(idle + time.Second); idle > 0 && until.Before(ends) {
						last, reason = until, "idle"
					}
					time.Sleep(time.Until(last) - time.Second)
					if got := rejected(v.m, replayed); got != "" {
						t.Errorf("in its last second: refused as %s", got)
					}
					time.Sleep(time.Second)
					if got := rejected(v.m, replayed); got != reason {
						t.Errorf("a second later: got %q, want %s", got, reason)
					}
				})
			})
		}
	}
}

// A visitor who keeps coming stays until ExpireIn's deadline, and leases are written for as long.
func TestExpireInKeepsLeases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVisitor(t, newManager(t, withIdle(time.Hour)))
		v.visit(func(s *cookiesession.Session) { s.Put("n", 1); s.ExpireIn(3 * day) })
		for range 3*48 - 1 {
			time.Sleep(30 * time.Minute)
			if got := v.wrote(v.visit(touched)); got != "[.lease]" {
				t.Fatalf("wrote %s, want a lease", got)
			}
			v.wantState("valid")
		}
		time.Sleep(30 * time.Minute)
		v.wantState("expired")
	})
}

// Remember and ExpireIn grant a second to MaxRemember, to the nanosecond, and change nothing beyond.
func TestMaxRemember(t *testing.T) {
	calls := map[string]func(*cookiesession.Session, time.Duration){
		"Remember": (*cookiesession.Session).Remember, "ExpireIn": (*cookiesession.Session).ExpireIn,
	}
	for _, most := range []time.Duration{0, time.Second, time.Hour, 30 * day, 400 * day} {
		bound := most
		if most == 0 {
			bound = 400 * day
		}
		m := newManager(t, func(c *cookiesession.Config) { c.MaxRemember = most })
		for name, call := range calls {
			for d, ok := range map[time.Duration]bool{
				-1: false, 0: false, time.Second - 1: false, time.Second: true,
				bound - 1: bound > time.Second, bound: true, bound + 1: false, 1<<63 - 1: false, -1 << 63: false,
			} {
				synctest.Test(t, func(t *testing.T) {
					v := newVisitor(t, m)
					v.visit(put("n", 1))
					s := v.load()
					before := s.ExpiresAt()
					call(s, d)
					err := s.Err()
					if (err == nil) != ok || !ok && (s.Changed() || s.Remembered() || !s.ExpiresAt().Equal(before)) {
						t.Errorf("MaxRemember %v: %s(%v): error %v, changed %v", most, name, d, err, s.Changed())
					}
					if err != nil && !strings.HasPrefix(err.Error(), fmt.Sprintf("cookiesession: %s for %v, want a second to Config.MaxRemember, %v", name, d, bound)) {
						t.Errorf("got error %q", err)
					}
					if saveErr := v.m.Save(http.Header{}, s); (saveErr == nil) != ok {
						t.Errorf("MaxRemember %v: %s(%v): Save returns %v", most, name, d, saveErr)
					}
				})
			}
		}
	}
}

// MaxRemember itself is a second to 400 days; it bounds what requests ask for, not Lifetime.
func TestMaxRememberInConfig(t *testing.T) {
	for _, test := range []struct {
		max time.Duration
		ok  bool
	}{
		{-1, false},
		{1, false},
		{time.Second - 1, false},
		{time.Second, true},
		{time.Second + 1, true},
		{400*day - 1, true},
		{400 * day, true},
		{400*day + 1, false},
	} {
		_, err := cookiesession.New(cookiesession.Config{Keys: newRing(t), MaxRemember: test.max})
		if (err == nil) != test.ok || err != nil && !strings.HasPrefix(err.Error(), "cookiesession: Config.MaxRemember is ") {
			t.Errorf("MaxRemember %v: got error %v", test.max, err)
		}
	}
	v := newVisitor(t, newManager(t, func(c *cookiesession.Config) { c.MaxRemember, c.Persistent = time.Hour, true }))
	if got := v.sessionMaxAge(v.visit(login)); got != "86400" {
		t.Errorf("Regenerate under a MaxRemember of an hour: Max-Age %s, want Lifetime's 86400", got)
	}
}

// Persist decides against Persistent, in the request that makes the session and in any later one, and what it decided
// stays while others change the session.
func TestPersist(t *testing.T) {
	for _, persistent := range []bool{false, true} {
		for _, on := range []bool{false, true} {
			for _, sameSite := range []http.SameSite{http.SameSiteLaxMode, http.SameSiteStrictMode} {
				for _, later := range []bool{false, true} {
					t.Run(fmt.Sprintf("Persistent=%v/Persist(%v)/SameSite=%v/later=%v", persistent, on, sameSite, later), func(t *testing.T) {
						synctest.Test(t, func(t *testing.T) {
							m := newManager(t, func(c *cookiesession.Config) { c.Persistent, c.SameSite = persistent, sameSite })
							v := newVisitor(t, m)
							if later {
								v.visit(put("n", 0))
								time.Sleep(time.Hour)
							}
							left := 24
							if later {
								left--
							}
							for i, do := range []func(*cookiesession.Session){
								func(s *cookiesession.Session) { s.Put("n", 1); s.Persist(on) },
								put("n", 2), put("n", 3),
								func(s *cookiesession.Session) { s.Persist(on); s.Put("n", 4) },
								func(s *cookiesession.Session) { s.CSRFToken() },
								func(s *cookiesession.Session) { s.Clear() },
							} {
								want := "none"
								if on {
									want = fmt.Sprint((left - i) * 3600)
								}
								lines := v.visit(do)
								if got := v.sessionMaxAge(lines); got != want {
									t.Errorf("visit %d: Max-Age %s, want %s", i, got, want)
								}
								for _, line := range lines { // the hint too goes with the browser, or stays
									if _, attributes, _ := strings.Cut(line, ";"); strings.Contains(attributes, "Max-Age") != on {
										t.Errorf("visit %d: a line has%s, want it persistent: %v", i, attributes, on)
									}
								}
								time.Sleep(time.Hour)
							}
							if lines := v.visit(func(s *cookiesession.Session) { s.Persist(on) }); len(lines) > 0 {
								t.Errorf("to say it again wrote %s", v.wrote(lines))
							}
							v.jar.Restart()
							if got := v.state(); (got == "valid") != on {
								t.Errorf("when the browser was closed the session is %s", got)
							}
						})
					})
				}
			}
		}
	}
}

// Persist(false) takes back what Remember said, but for the deadline.
func TestPersistForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVisitor(t, newManager(t, withIdle(time.Hour)))
		v.visit(func(s *cookiesession.Session) { s.Put("n", 1); s.Remember(30 * day) })
		time.Sleep(5 * day)
		v.wantState("valid")
		v.visit(func(s *cookiesession.Session) { s.Persist(false) })
		s := v.load()
		if s.Remembered() || time.Until(s.ExpiresAt()) != 25*day || time.Until(s.IdleAt()) != time.Hour {
			t.Errorf("Remembered %v, lasts %v, idle in %v", s.Remembered(), time.Until(s.ExpiresAt()), time.Until(s.IdleAt()))
		}
		time.Sleep(time.Hour + time.Second)
		v.wantState("idle")
	})
}

// After the commit what is said comes too late; what says nothing new doesn't.
func TestSaidTooLate(t *testing.T) {
	for _, one := range sayings {
		for _, remembered := range []bool{false, true} {
			v := newVisitor(t, newManager(t, nil))
			v.visit(func(s *cookiesession.Session) {
				s.Put("n", 1)
				if remembered {
					s.Remember(day)
				}
			})
			inHandler(v.m, requestWith(v.header()), func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(http.StatusOK)
				s := v.m.Get(r)
				one.call(s)
				tooLate := !(one.name == "Persist(true)" && remembered)
				if (s.Err() == cookiesession.ErrCommitted) != tooLate {
					t.Errorf("%s after the commit, remembered %v: got %v", one.name, remembered, s.Err())
				}
				if s.Remembered() != remembered {
					t.Errorf("%s after the commit changed the session", one.name)
				}
			})
		}
	}
}
