package cookiesession_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

// A hook that panics leaves an anonymous visitor and a session that works: what recovers from the panic inside
// Handler, to answer with a page of its own, may use it. If it was to say whether the visitor has a session, nobody
// knows now, so what is put replaces nothing.
func TestHookPanics(t *testing.T) {
	v := newVisitor(t, newManager(t, nil))
	v.visit(put("user", "ada"))
	forged := strings.Repeat("A", 100)
	for _, test := range []struct {
		name   string
		change func(c *cookiesession.Config)
		header string
		use    func(s *cookiesession.Session)
		status int // of a response that puts a value
	}{
		{"Revoked", func(c *cookiesession.Config) {
			c.Revoked = func(context.Context, *cookiesession.Session) (bool, error) { panic("oops") }
		}, v.header(), func(s *cookiesession.Session) { s.Get("user") }, 503},
		{"Import", func(c *cookiesession.Config) {
			c.Import = func(*http.Request) (map[string]any, error) { panic("oops") }
		}, "", func(s *cookiesession.Session) { s.Get("user") }, 503},
		{"OnReject", func(c *cookiesession.Config) {
			c.OnReject = func(*http.Request, *cookiesession.RejectError) { panic("oops") }
		}, "__Host-session=1" + forged, func(s *cookiesession.Session) { s.Get("user") }, 200},
		{"OnReject of flash", func(c *cookiesession.Config) {
			c.OnReject = func(*http.Request, *cookiesession.RejectError) { panic("oops") }
		}, "__Host-session.flash=1" + forged, func(s *cookiesession.Session) { s.Flashes() }, 200},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := newManager(t, test.change)
			serve := func(then func(s *cookiesession.Session)) (status int, wrote string) {
				w := httptest.NewRecorder()
				m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					s := m.Get(r)
					panicked := func() (p any) {
						defer func() { p = recover() }()
						test.use(s)
						return nil
					}()
					if panicked != "oops" {
						t.Errorf("got panic %v, want the hook's", panicked)
					}
					if user, flashes := s.Get("user"), len(s.Flashes()); user != nil || flashes > 0 || !s.IsNew() {
						t.Errorf("got user %v and %d flash messages, new: %v; want an anonymous visitor", user, flashes, s.IsNew())
					}
					then(s)
				})).ServeHTTP(w, requestWith(test.header))
				return w.Code, cookieNames(w.Result().Header)
			}
			if status, wrote := serve(nothing); status != http.StatusOK || wrote != "" {
				t.Errorf("a page: got status %d and cookies %q, want 200 and none", status, wrote)
			}
			if status, wrote := serve(put("error", "page")); status != test.status || strings.HasPrefix(wrote, "__Host-session") != (status == http.StatusOK) {
				t.Errorf("a page that puts a value: got status %d and cookies %q, want %d, and the new session only with 200", status, wrote, test.status)
			}
		})
	}
}

// A hook that loads the session which is being opened would never end.
func TestHookLoads(t *testing.T) {
	var m *cookiesession.Manager
	for name, test := range map[string]struct {
		change func(c *cookiesession.Config)
		header string
	}{
		"Import": {func(c *cookiesession.Config) {
			c.Import = func(r *http.Request) (map[string]any, error) {
				s, err := m.Load(r)
				return s.All(), err
			}
		}, ""},
		"OnReject": {func(c *cookiesession.Config) {
			c.OnReject = func(r *http.Request, _ *cookiesession.RejectError) { m.Load(r) }
		}, "__Host-session=1forged"},
	} {
		m = newManager(t, test.change)
		panicked := func() (p any) {
			defer func() { p = recover() }()
			m.Load(requestWith(test.header))
			return nil
		}()
		if text, ok := panicked.(string); !ok || !strings.HasPrefix(text, "cookiesession: Load ") {
			t.Errorf("%s: got panic %v, want one that says what is wrong", name, panicked)
		}
	}
}

// TestImportCleared has imported values deleted at once: the other library's cookies must go all the same, or the
// values would be back with the next request.
func TestImportCleared(t *testing.T) {
	m := newManager(t, func(c *cookiesession.Config) {
		c.Import = func(r *http.Request) (map[string]any, error) {
			if _, err := r.Cookie("legacy"); err != nil {
				return nil, nil
			}
			return map[string]any{"user": "ada"}, nil
		}
		c.ImportCookies = []string{"legacy", "legacy"}
	})
	for _, test := range []struct {
		name string
		do   func(s *cookiesession.Session)
		want string
	}{
		{"saved", nothing, "__Host-session -legacy"},
		{"cleared", func(s *cookiesession.Session) { s.Clear() }, "-legacy"},
		{"deleted", func(s *cookiesession.Session) { s.Delete("user") }, "-legacy"},
		{"destroyed", destroy, "-legacy"},
		{"not storable", put("f", func() {}), ""},
		{"not storable after Clear", func(s *cookiesession.Session) { s.Clear(); s.Put("f", func() {}) }, ""},
	} {
		v := newVisitor(t, m)
		v.jar.SetHeader(site, http.Header{"Set-Cookie": {"legacy=x; Path=/"}})
		s := v.load()
		if s.Get("user") != "ada" {
			t.Fatalf("%s: nothing imported", test.name)
		}
		test.do(s)
		h := http.Header{}
		m.Save(h, s)
		if got := cookieNames(h); got != test.want {
			t.Errorf("%s: got cookies %q, want %q", test.name, got, test.want)
		}
	}
}

// Save returns an error for a session that isn't there.
func TestSaveOfNoSession(t *testing.T) {
	h := http.Header{}
	if err := newManager(t, nil).Save(h, nil); err == nil || len(h) > 0 {
		t.Errorf("got %v and header %v, want an error alone", err, h)
	}
}

// An import that is too large is one that failed: else each response to its visitor would be an error page.
func TestImportTooLarge(t *testing.T) {
	length := 0
	m := newWeb(t, func(c *cookiesession.Config) {
		c.Import = func(*http.Request) (map[string]any, error) { return map[string]any{"old": random(length)}, nil }
	})
	v := newVisitor(t, m.Manager)
	const limit = 6144
	for length = 4000; v.load().Size() < limit; length++ {
	}
	s, err := m.Load(requestWith(""))
	if err != nil || s.Size() != limit {
		t.Fatalf("got %d bytes, error %v; want an import of the largest size", s.Size(), err)
	}
	if lines := v.visit(nothing); len(lines) != 2 || v.cost() != limit {
		t.Errorf("got %d lines and a Cookie header of %d bytes, want %d", len(lines), v.cost(), limit)
	}
	for length++; ; length++ { // three bytes are four characters, so one more may cost nothing
		if s, err = m.Load(requestWith("")); err != nil {
			break
		}
	}
	var tooLarge *cookiesession.SizeError
	if !errors.As(err, &tooLarge) || tooLarge.Size <= limit || tooLarge.Limit != limit || tooLarge.Keys[0].Key != "old" || !s.IsEmpty() {
		t.Errorf("got %v and a session with %q, want a SizeError and an empty one", err, s.Keys())
	}
	if logged := m.log.String(); strings.Contains(logged, random(length)[:20]) || !strings.Contains(logged, `level=ERROR msg="cookiesession: Import failed`) {
		t.Errorf("got logged %q", logged)
	}
	s.Put("new", 1)
	h := http.Header{}
	if err := m.Save(h, s); err != nil || cookieNames(h) != "__Host-session" {
		t.Errorf("got %q, %v from Save, want the visitor's new session", cookieNames(h), err)
	}
}

type revokedFunc = func(ctx context.Context, s *cookiesession.Session) (bool, error)

func withRevoked(f revokedFunc) func(*cookiesession.Config) {
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

// A hook that panics commits nothing, and the session stays closed.
func TestRevokedPanics(t *testing.T) {
	calls := 0
	v := newVisitor(t, newManager(t, withRevoked(func(context.Context, *cookiesession.Session) (bool, error) { calls++; panic("oh") })))
	v.visit(put("n", 1))
	h := inHandler(v.m, requestWith(v.header()), func(_ http.ResponseWriter, r *http.Request) {
		defer func() {
			if got := recover(); got != "oh" {
				t.Errorf("recovered %v", got)
			}
		}()
		v.m.Get(r).Put("n", 2)
	})
	if len(h["Set-Cookie"]) > 0 || calls != 1 {
		t.Errorf("wrote %s after %d calls", v.wrote(h["Set-Cookie"]), calls)
	}
}

// RefuseBefore refuses what was created earlier, to the second. Whoever logs in again, or regenerates, is let in.
func TestRefuseBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ring := newRing(t)
		v := newVisitor(t, newManager(t, func(c *cookiesession.Config) { c.Keys = ring; c.Lifetime = 10 * day }))
		time.Sleep(time.Hour)
		v.visit(func(s *cookiesession.Session) { s.Put("n", 1); s.Remember(5 * day) })
		created := time.Now()
		time.Sleep(time.Hour)
		v.visit(put("n", 2)) // sealed later, but created then
		for _, test := range []struct {
			before time.Time
			want   string
		}{
			{created.Add(-time.Second), "valid"},
			{created, "valid"},
			{created.Add(1), "revoked"},
			{created.Add(time.Second), "revoked"},
			{created.Add(100 * day), "revoked"},
			{created.Add(-time.Hour), "valid"}, // the latest call counts
			{created.Add(time.Minute), "revoked"},
			{time.Time{}, "valid"},
			{time.Unix(-5, 0), "valid"},
			{created.Add(time.Minute), "revoked"},
		} {
			ring.RefuseBefore(test.before)
			if got := v.state(); got != test.want {
				t.Errorf("before %v of a session of %v: got %s, want %s", test.before, created, got, test.want)
			}
		}
		if err := ring.Replace(cookiesession.GenerateKey("new"), fixedKey()); err != nil {
			t.Fatal(err)
		}
		v.wantState("revoked") // Replace leaves it in force
		v.visit(login)
		v.wantState("valid")
		ring.RefuseBefore(time.Now())
		v.wantState("valid")
	})
}

// A session from before is let in no more however it is used at that moment; a Regenerate that was under way restarts
// it.
func TestRefuseBeforeWithRequestUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ring := newRing(t)
		v := newVisitor(t, newManager(t, func(c *cookiesession.Config) { c.Keys = ring }))
		v.visit(put("n", 1))
		time.Sleep(time.Minute)
		change := v.load()
		change.Put("n", 2)
		ring.RefuseBefore(time.Now())
		v.answer(change)
		v.wantState("revoked")
	})
}

func fixedKey() cookiesession.Key {
	secret := make([]byte, 32)
	for i := range secret {
		secret[i] = byte(i)
	}
	return cookiesession.Key{Label: "test", Secret: secret}
}

// A failingHook is a Manager whose Revoked or Import fails while down is not nil.
type failingHook struct {
	*web
	down *error
}

// failingHooks returns one for each hook and way of failing, and a visitor whom it would know otherwise.
func failingHooks(t *testing.T, change func(*cookiesession.Config)) map[string]func() (failingHook, *visitor) {
	revoked := func(answer bool) func() (failingHook, *visitor) {
		return func() (failingHook, *visitor) {
			h := failingHook{down: new(error)}
			h.web = newWeb(t, func(c *cookiesession.Config) {
				c.Revoked = func(context.Context, *cookiesession.Session) (bool, error) { return answer && *h.down != nil, *h.down }
				change(c)
			})
			v := newVisitor(t, h.Manager)
			v.visit(func(s *cookiesession.Session) { s.Put("user", "ada"); s.Put("v", random(3500)) })
			return h, v
		}
	}
	imported := func(values map[string]any) func() (failingHook, *visitor) {
		return func() (failingHook, *visitor) {
			h := failingHook{down: new(error)}
			h.web = newWeb(t, func(c *cookiesession.Config) {
				withImport(c)
				hook := c.Import
				c.Import = func(r *http.Request) (map[string]any, error) {
					if *h.down != nil {
						return values, *h.down
					}
					return hook(r)
				}
				change(c)
			})
			return h, remembers(t, h.Manager)
		}
	}
	return map[string]func() (failingHook, *visitor){
		"Revoked": revoked(false), "Revoked, and says yes": revoked(true),
		"Import": imported(nil), "Import, and has values": imported(map[string]any{"user": "mallory"}),
	}
}

// A hook that fails, as a database does, decides nothing: the visitor is anonymous for this request, pages that only read
// are served, and what would take the place of the session that nobody could check isn't saved. Afterwards it is there
// again.
func TestFailingHookReplacesNothing(t *testing.T) {
	down := errors.New("database is down")
	for name, make := range failingHooks(t, func(*cookiesession.Config) {}) {
		for what, test := range map[string]struct {
			do    func(*cookiesession.Session)
			fails bool
			wrote string
		}{
			"read":                    {func(s *cookiesession.Session) { s.Get("user"); s.All() }, false, ""},
			"an ID":                   {func(s *cookiesession.Session) { s.ID() }, false, ""},
			"a token verified":        {func(s *cookiesession.Session) { s.VerifyCSRFToken("x") }, false, ""},
			"Regenerate of nothing":   {func(s *cookiesession.Session) { s.Regenerate() }, false, ""},
			"Remember of nothing":     {func(s *cookiesession.Session) { s.Remember(time.Hour) }, false, ""},
			"a value taken back":      {func(s *cookiesession.Session) { s.Put("n", 1); s.Delete("n") }, false, ""},
			"Clear":                   {func(s *cookiesession.Session) { s.Clear() }, false, ""},
			"a message":               {flash("f", 1), false, "[.flash]"}, // no part of the session
			"a value":                 {put("n", 1), true, ""},
			"a counter":               {func(s *cookiesession.Session) { s.Increment("n", 1) }, true, ""},
			"a CSRF token":            {func(s *cookiesession.Session) { s.CSRFToken() }, true, ""},
			"a login":                 {login, true, ""},
			"a remembered login":      {func(s *cookiesession.Session) { login(s); s.Remember(time.Hour) }, true, ""},
			"a value and a message":   {both(1, 2), true, ""},
			"a value, then too large": {func(s *cookiesession.Session) { s.Put("n", 1); s.Put("v", tooLarge) }, true, ""},
		} {
			for _, form := range forms {
				t.Run(name+"/"+what+"/"+form.name, func(t *testing.T) {
					m, v := make()
					before := v.header()
					*m.down = down
					h, err := form.answer(m.Manager, requestWith(before), func(s *cookiesession.Session) {
						if !s.IsNew() || s.Has("user") {
							t.Errorf("got user %v of a visitor of whom nobody knows", s.Get("user"))
						}
						test.do(s)
					})
					if got := v.wrote(h["Set-Cookie"]); got != test.wrote {
						t.Errorf("wrote %s, want %q", got, test.wrote)
					}
					switch {
					case !test.fails:
						if err != nil {
							t.Error(err)
						}
					case form.name == "Handler":
						if err == nil || err.Error() != "status 503" {
							t.Errorf("got %v, want status 503", err)
						}
					case err != down:
						t.Errorf("Save returns %v, want the hook's error", err)
					}
					v.jar.SetHeader(site, h)
					*m.down = nil
					if got := v.get("user"); got != "ada" {
						t.Errorf("afterwards user is %v, want ada", got)
					}
				})
			}
		}
	}
}

// Destroy needs to know nothing: it works while a hook fails, and what is put then starts a new session.
func TestDestroyWhileHookFails(t *testing.T) {
	for name, make := range failingHooks(t, func(*cookiesession.Config) {}) {
		for what, do := range map[string]func(*cookiesession.Session){
			"alone":           destroy,
			"after a value":   func(s *cookiesession.Session) { s.Put("n", 1); s.Destroy() },
			"then a value":    func(s *cookiesession.Session) { s.Destroy(); s.Put("n", 1) },
			"then a login":    func(s *cookiesession.Session) { s.Destroy(); login(s) },
			"with a message":  func(s *cookiesession.Session) { s.Destroy(); s.Flash("f", "bye") },
			"then a mistake":  func(s *cookiesession.Session) { s.Destroy(); s.Put("n", func() {}) },
			"twice, and more": func(s *cookiesession.Session) { s.Destroy(); s.Put("n", 1); s.Destroy(); s.CSRFToken() },
		} {
			for _, form := range forms {
				m, v := make()
				slow := v.load()
				slow.Put("late", true)
				*m.down = errors.New("database is down")
				h, err := form.answer(m.Manager, requestWith(v.header()), do)
				if (err != nil) != (what == "then a mistake") {
					t.Errorf("%s, %s, %s: %v", name, what, form.name, err)
				}
				v.jar.SetHeader(site, h)
				*m.down = nil
				if s := v.load(); s.Has("user") != (what == "then a login") {
					t.Errorf("%s, %s, %s: user %v afterwards", name, what, form.name, s.Get("user"))
				}
				if strings.HasPrefix(name, "Revoked") {
					v.answer(slow)
					v.wantState("ended")
				}
			}
		}
	}
}

// ErrorHandler gets the hook's error, and answers as it likes.
func TestErrorHandlerOfFailingHook(t *testing.T) {
	down := errors.New("database is down")
	for status, handle := range map[int]func(w http.ResponseWriter){
		503: func(http.ResponseWriter) {},
		200: func(w http.ResponseWriter) { w.WriteHeader(200) },
		502: func(w http.ResponseWriter) { http.Error(w, "later", http.StatusBadGateway) },
	} {
		var got error
		for name, make := range failingHooks(t, func(c *cookiesession.Config) {
			c.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, err error) { got = err; handle(w) }
		}) {
			m, v := make()
			*m.down = down
			rec := httptest.NewRecorder()
			m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				m.Get(r).CSRFToken()
				http.Error(w, "not found", 404)
			})).ServeHTTP(rec, requestWith(v.header()))
			if got != down || rec.Code != status || len(rec.Result().Cookies()) > 0 || strings.Contains(rec.Body.String(), "not found") {
				t.Errorf("%s: got error %v, status %d, body %q; want %d", name, got, rec.Code, rec.Body, status)
			}
		}
	}
}

// A form that is sent while a hook fails isn't refused as forged: nobody knows. What needs no token is served.
func TestProtectCSRFWhileHookFails(t *testing.T) {
	for name, make := range failingHooks(t, func(*cookiesession.Config) {}) {
		m, v := make()
		token := ""
		v.visit(func(s *cookiesession.Session) { token = s.CSRFToken() })
		if strings.HasPrefix(name, "Import") {
			v = remembers(t, m.Manager) // or it wouldn't be asked
		}
		*m.down = errors.New("database is down")
		for method, want := range map[string]int{"GET": 200, "HEAD": 200, "POST": 503, "DELETE": 503} {
			rec := httptest.NewRecorder()
			r := requestWith(v.header())
			r.Method = method
			r.Header.Set(cookiesession.CSRFHeader, token)
			m.Handler(m.ProtectCSRF(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))).ServeHTTP(rec, r)
			if rec.Code != want || len(rec.Result().Cookies()) > 0 {
				t.Errorf("%s, %s: got %d with %q, want %d", name, method, rec.Code, cookieNames(rec.Result().Header), want)
			}
		}
		if got := m.Stats().CSRFRefused; len(got) > 0 {
			t.Errorf("%s: counted %v as refused", name, got)
		}
	}
}

// A database that is down for minutes doesn't fill the log: it is told once a second, whatever the requests do.
func TestFailingHookIsLoggedOnceASecond(t *testing.T) {
	for what, do := range map[string]func(*cookiesession.Session){"read": touched, "change": put("n", 1), "logout": destroy} {
		for _, form := range forms {
			synctest.Test(t, func(t *testing.T) {
				for name, make := range failingHooks(t, func(*cookiesession.Config) {}) {
					m, v := make()
					*m.down = errors.New("database is down")
					m.log.take()
					for range 100 { // in ten seconds
						form.answer(m.Manager, requestWith(v.header()), do)
						time.Sleep(100 * time.Millisecond)
					}
					if got := strings.Count(m.log.take(), "\n"); got != 10 && got != 11 { // seconds begun
						t.Errorf("%s, %s, %s: logged %d lines in ten seconds, want one a second", name, what, form.name, got)
					}
				}
			})
		}
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

// Values that Import found but that can't be used are no failure of a moment: a session may start without them.
func TestUnusableImportBarsNothing(t *testing.T) {
	for name, values := range map[string]map[string]any{"not encodable": {"f": func() {}}, "too large": {"v": random(9000)}} {
		for _, form := range forms {
			m := newManager(t, func(c *cookiesession.Config) {
				c.Import = func(*http.Request) (map[string]any, error) { return values, nil }
			})
			h, err := form.answer(m, requestWith("legacy=ada"), put("n", 1))
			if got := cookieNames(h); err != nil || got != cookieName {
				t.Errorf("%s, %s: wrote %q, %v; want a session", name, form.name, got, err)
			}
		}
	}
}

// What Import may bring can be saved, to the byte.
func TestImportAtTheLimit(t *testing.T) {
	accepted, refused := 0, 0
	for n := 500; n < 700; n++ {
		m := newManager(t, func(c *cookiesession.Config) {
			c.MaxSize = 1000
			c.Import = func(*http.Request) (map[string]any, error) { return map[string]any{"v": random(n)}, nil }
		})
		s, err := m.Load(requestWith())
		if err != nil {
			refused++
			continue
		}
		accepted++
		if err := m.Save(http.Header{}, s); err != nil {
			t.Errorf("a value of %d bytes: imported, but %v", n, err)
		}
	}
	if accepted == 0 || refused == 0 {
		t.Errorf("got %d accepted and %d refused, want some of both", accepted, refused)
	}
}
