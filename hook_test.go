package cookiesession_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

// What can't be stored is a mistake in the program, whether or not a hook fails: to try again won't help.
func TestValueErrorComesBeforeHooks(t *testing.T) {
	v := newVisitor(t, newManager(t, nil))
	v.visit(put("user", "ada"))
	cause := errors.New("database is down")
	m := newManager(t, withRevoked(func(context.Context, *cookiesession.Session) (bool, error) { return false, cause }))
	for _, form := range forms {
		_, err := form.answer(m, requestWith(v.header()), func(s *cookiesession.Session) {
			s.Put("n", 1)
			s.Put("c", make(chan int))
		})
		if err == nil || errors.Is(err, cause) || err.Error() == "status 503" {
			t.Errorf("%s: got %v, want the error of the value", form.name, err)
		}
	}
}

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
		}, "__Host-session.flash=1" + forged, asked, 200},
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

// A hook that panics while the response is being committed has kept nothing from being written: what recovers from it
// inside Handler, and answers, still logs the visitor out.
func TestHookPanicsInCommit(t *testing.T) {
	m := newManager(t, func(c *cookiesession.Config) {
		c.OnReject = func(*http.Request, *cookiesession.RejectError) { panic("oops") }
	})
	v := newVisitor(t, m)
	v.visit(put("user", "ada"))
	w := httptest.NewRecorder()
	m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if p := recover(); p != "oops" {
				t.Errorf("got panic %v, want the hook's", p)
			}
			http.Error(w, "sorry", http.StatusInternalServerError)
			if m.Get(r).Put("late", 1); !errors.Is(m.Get(r).Err(), cookiesession.ErrCommitted) {
				t.Errorf("a change behind the answer: got %v, want ErrCommitted", m.Get(r).Err())
			}
		}()
		m.Get(r).Destroy()
		io.WriteString(w, "you are logged out") // looks into the flash cookie, which is forged
	})).ServeHTTP(w, requestWith(v.header()+"; "+cookieName+".flash=1forged"))
	lines := w.Result().Header["Set-Cookie"]
	if _, deleted := countLines(lines); w.Code != http.StatusInternalServerError || deleted == 0 {
		t.Errorf("got status %d and cookies %q, want 500 and the deletion of the session", w.Code, lines)
	}
}

// TestHooksWhileTheHandlerReturns has a goroutine that outlives the handler, as one inside http.TimeoutHandler does,
// use the session first, and thereby call a hook, while the pattern is copied to the request outside. The race detector
// watches.
func TestHooksWhileTheHandlerReturns(t *testing.T) {
	var rejected atomic.Int64
	m := newManager(t, func(c *cookiesession.Config) {
		c.OnReject = func(r *http.Request, _ *cookiesession.RejectError) {
			if r.URL.Path == "/item/1" {
				rejected.Add(1)
			}
		}
	})
	var late sync.WaitGroup
	mux := http.NewServeMux()
	mux.HandleFunc("/item/{id}", func(_ http.ResponseWriter, r *http.Request) {
		s := m.Get(r)
		late.Go(func() { s.Get("user") })
	})
	const rounds = 100
	for range rounds {
		r := httptest.NewRequest(http.MethodGet, "/item/1", nil)
		r.Header.Set("Cookie", cookieName+"=1forged")
		m.Handler(mux).ServeHTTP(httptest.NewRecorder(), r)
		late.Wait()
	}
	if got := rejected.Load(); got != rounds {
		t.Errorf("got %d calls of OnReject, want %d", got, rounds)
	}
}

// A response that changes nothing of a session which it has read doesn't look into the flash cookie.
func TestCommitLeavesFlashAlone(t *testing.T) {
	m := newManager(t, func(c *cookiesession.Config) {
		c.OnReject = func(_ *http.Request, err *cookiesession.RejectError) {
			t.Errorf("got %v, want a cookie that nobody looked at", err)
		}
	})
	v := newVisitor(t, m)
	v.visit(put("user", "ada"))
	inHandler(m, requestWith(v.header()+"; "+cookieName+".flash=1forged"), func(w http.ResponseWriter, r *http.Request) {
		m.Get(r).Get("user")
		io.WriteString(w, "a page")
	})
}

// A hook that writes to the response while that is being committed commits it, and nobody does so again.
func TestHookWritesInCommit(t *testing.T) {
	var response http.ResponseWriter
	pages := 0
	m := newManager(t, func(c *cookiesession.Config) {
		c.OnReject = func(*http.Request, *cookiesession.RejectError) { response.WriteHeader(http.StatusTeapot) }
		c.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { pages++ }
	})
	v := newVisitor(t, m)
	v.visit(put("user", "ada"))
	w := httptest.NewRecorder()
	m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		response = w
		m.Get(r).Put("user", make(chan int))
		m.Get(r).Put("admin", false)
		io.WriteString(w, "saved")
	})).ServeHTTP(w, requestWith(v.header()+"; "+cookieName+".flash=1forged"))
	if w.Code != http.StatusInternalServerError || w.Body.Len() > 0 || pages != 1 {
		t.Errorf("got status %d, %q and %d error pages; want 500, and one", w.Code, w.Body, pages)
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

// withImport takes over the cookie "legacy", which holds the user's name.
func withImport(c *cookiesession.Config) {
	c.ImportCookies = []string{"legacy", "legacy.sig"}
	c.Import = func(r *http.Request) (map[string]any, error) {
		cookie, err := r.Cookie("legacy")
		if err != nil {
			return nil, nil
		}
		return map[string]any{"user": cookie.Value}, nil
	}
}

// remembers returns a browser that another library logged in.
func remembers(t *testing.T, m *cookiesession.Manager) *visitor {
	v := newVisitor(t, m)
	v.jar.SetCookies(site, []*http.Cookie{{Name: "legacy", Value: "ada", Path: "/"}, {Name: "legacy.sig", Value: "x", Path: "/"}, {Name: "other", Value: "y", Path: "/"}})
	return v
}

// Import is asked if the session is used and the request brought no part of a session. Flash messages and leases are none.
func TestImportIsAsked(t *testing.T) {
	for _, test := range []struct {
		cookies string
		want    int32
	}{
		{"", 1},
		{"legacy=ada", 1},
		{cookieName + ".flash=1AAAA", 1},
		{cookieName + ".lease=1AAAA; " + cookieName + ".flash.1=AAAA", 1},
		{cookieName + ".other=1", 1},
		{cookieName + ".9=AAAAA", 1},
		{cookieName + ".0=AAAAA", 1},
		{cookieName + ".10=AAAAA", 1},
		{cookieName + "2=1AAAA", 1},
		{"session=1AAAA", 1},
		{cookieName + ".ended.tooshort=1", 1},
		{cookieName + ".ended.AAAAAAAAAAB=1", 1},
		{cookieName + ".ended.AAAAAAAAAAAA=1", 1},
		{cookieName + ".ended.AAAAAAAAAA==1", 1},
		{cookieName + "=1AAAA", 0},
		{cookieName + "=", 0},
		{cookieName, 0},
		{"legacy=ada; " + cookieName + "=garbage", 0},
		{cookieName + ".1=AAAAA", 0},
		{cookieName + ".8=", 0},
		{cookieName + ".ended.AAAAAAAAAAA=1700000000", 0},
		{cookieName + ".ended.AAAAAAAAAAA=", 0},
	} {
		var asked atomic.Int32
		m := newManager(t, func(c *cookiesession.Config) {
			c.Import = func(*http.Request) (map[string]any, error) { asked.Add(1); return map[string]any{"n": 1}, nil }
		})
		inHandler(m, requestWith(test.cookies), func(http.ResponseWriter, *http.Request) {})
		if asked.Load() != 0 {
			t.Errorf("%q: asked though the session wasn't used", test.cookies)
		}
		inHandler(m, requestWith(test.cookies), func(_ http.ResponseWriter, r *http.Request) {
			var running sync.WaitGroup
			for range 8 {
				running.Go(func() { m.Get(r).Keys() })
			}
			running.Wait()
		})
		if got := asked.Load(); got != test.want {
			t.Errorf("%q: asked %d times, want %d", test.cookies, got, test.want)
		}
	}
	t.Run("valid session", func(t *testing.T) {
		m := newManager(t, func(c *cookiesession.Config) {
			c.Import = func(*http.Request) (map[string]any, error) { t.Error("asked"); return nil, nil }
		})
		plain := newVisitor(t, newManager(t, nil))
		plain.visit(put("n", 1))
		plain.clone(m).wantState("valid")
	})
}

// An imported session is new and changed: the response to a request that only reads it saves it, and deletes what it
// was imported from.
func TestImport(t *testing.T) {
	v := remembers(t, newManager(t, withImport))
	before := v.clone(v.m)
	lines := v.visit(func(s *cookiesession.Session) {
		if s.Get("user") != "ada" || !s.IsNew() || !s.Changed() || s.IsEmpty() || s.Rejected() != nil || s.Err() != nil {
			t.Errorf("got user %v, IsNew %v, Changed %v, IsEmpty %v, Rejected %v, Err %v", s.Get("user"), s.IsNew(), s.Changed(), s.IsEmpty(), s.Rejected(), s.Err())
		}
	})
	const gone = "=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; HttpOnly; Secure; SameSite=Lax"
	if len(lines) != 3 || !strings.HasPrefix(lines[0], cookieName+"=1") || lines[1] != "legacy"+gone || lines[2] != "legacy.sig"+gone {
		t.Errorf("wrote %q", lines)
	}
	v.wantState("valid")
	if v.get("user") != "ada" || v.jar.Header(site) != "other=y; "+cookieName+"="+v.cookie("") {
		t.Errorf("got user %v, cookies %q", v.get("user"), v.names())
	}
	if lines := v.visit(touched); len(lines) > 0 {
		t.Errorf("the next request wrote %s", v.wrote(lines))
	}

	// A login at once, under a new ID.
	before.visit(login)
	if before.state() != "valid" || before.get("user") != "ada" {
		t.Errorf("after a login: %s, user %v", before.state(), before.get("user"))
	}
}

// Revoked is asked about an imported session when its own cookie comes, not before. So whoever keeps sending the old
// cookie alone is let in each time: Import must know whom Revoked would refuse.
func TestRevokedIsNotAskedAboutImport(t *testing.T) {
	asked := 0
	v := remembers(t, newManager(t, func(c *cookiesession.Config) {
		withImport(c)
		c.Revoked = func(context.Context, *cookiesession.Session) (bool, error) { asked++; return true, nil }
	}))
	for range 2 {
		if old := v.clone(v.m); old.get("user") != "ada" || asked != 0 {
			t.Errorf("with the old cookie: got user %v, asked %d times, want ada, 0", old.get("user"), asked)
		}
	}
	v.visit(touched)
	if v.wantState("revoked"); asked != 1 {
		t.Errorf("with the new cookie: asked %d times, want 1", asked)
	}
}

// Only received cookies are deleted, with the attributes of this Config.
func TestImportCookiesDeleted(t *testing.T) {
	m := newManager(t, func(c *cookiesession.Config) {
		withImport(c)
		c.Domain, c.Path, c.Insecure = "shop.example", "/in", true
	})
	const gone = "=; Path=/in; Domain=shop.example; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; HttpOnly; SameSite=Lax"
	for _, header := range []string{
		"legacy=ada; legacy2=b; Legacy.sig=c",
		"legacy=ada; legacy=bob; legacy.sig.x=c", // once, whatever else begins alike
	} {
		s := load(m, header)
		s.Keys()
		h := http.Header{}
		if err := m.Save(h, s); err != nil {
			t.Fatal(err)
		}
		if got := h["Set-Cookie"]; len(got) != 2 || got[1] != "legacy"+gone {
			t.Errorf("%s: got %q, want the session and %q", header, got, "legacy"+gone)
		}
	}
}

// Whoever logs out where Import panics gets rid of the other library's cookies, too.
func TestLogoutWhereImportPanics(t *testing.T) {
	m := newManager(t, func(c *cookiesession.Config) {
		withImport(c)
		c.Import = func(*http.Request) (map[string]any, error) { panic("oops") }
	})
	h := inHandler(m, requestWith("legacy=ada"), func(_ http.ResponseWriter, r *http.Request) {
		func() {
			defer func() { recover() }()
			m.Get(r).Keys()
		}()
		m.Get(r).Destroy()
	})
	if got := cookieNames(h); got != "-legacy" {
		t.Errorf("wrote %q, want the deletion of legacy", got)
	}
}

// What Import finds is nothing until a response has saved it.
func TestImportFails(t *testing.T) {
	broken := errors.New("legacy cookie broken")
	for _, test := range []struct {
		name   string
		values map[string]any
		err    error
		do     func(*cookiesession.Session)
	}{
		{"error", nil, broken, touched},
		{"error, with values", map[string]any{"user": "ada"}, broken, touched},
		{"error, then a value", nil, broken, put("n", 1)}, // for good values may yet be found
		{"a value that can't be", map[string]any{"user": "ada", "f": func() {}}, nil, touched},
		{"nothing", nil, nil, touched},
		{"an empty map", map[string]any{}, nil, touched},
		{"too much", map[string]any{"user": "ada", "v": random(9000)}, nil, touched},
		{"and a failing Put", map[string]any{"user": "ada"}, nil, put("f", func() {})},
	} {
		t.Run(test.name, func(t *testing.T) {
			var log logBuffer
			v := remembers(t, newManager(t, func(c *cookiesession.Config) {
				withImport(c)
				c.Logger = log.logger()
				c.Import = func(*http.Request) (map[string]any, error) { return test.values, test.err }
			}))
			before := v.header()
			s, err := v.m.Load(requestWith(before))
			failed := test.err != nil || test.name == "a value that can't be" || test.name == "too much"
			if (err != nil) != failed || errors.Is(err, broken) != (test.err != nil) || failed && !s.IsEmpty() {
				t.Errorf("Load returns %v with keys %q", err, s.Keys())
			}
			if logged := strings.Contains(log.String(), "Import failed"); logged != failed {
				t.Errorf("logged %q", log.String())
			}
			test.do(s)
			changed := s.Changed()
			lines, err := v.answer(s)
			if len(lines) > 0 || v.header() != before {
				t.Errorf("wrote %s, want nothing", v.wrote(lines))
			}
			if test.err != nil && changed != (err == broken) {
				t.Errorf("Save returns %v, want Import's error if something was changed: %v", err, changed)
			}
		})
	}
}

// Destroy deletes the other library's cookies too, whether the session came from them or not, and a marker ends
// importing in that browser.
func TestImportAndDestroy(t *testing.T) {
	m := newManager(t, withImport)
	v := remembers(t, m)
	imported := v.clone(m)
	if got := cookieNames(http.Header{"Set-Cookie": v.visit(destroy)}); got != "-legacy -legacy.sig" {
		t.Errorf("Destroy of what was imported wrote %q", got)
	}
	v.wantState("new")
	if v.get("user") != nil {
		t.Error("logged in after a logout")
	}

	imported.visit(touched)
	slow := imported.load()
	slow.Put("n", 1)
	imported.jar.SetCookies(site, []*http.Cookie{{Name: "legacy", Value: "ada", Path: "/"}}) // the old application is still in use
	imported.visit(destroy)
	if got := imported.header(); strings.Contains(got, "legacy") {
		t.Errorf("Destroy left %q", got)
	}
	imported.jar.SetCookies(site, []*http.Cookie{{Name: "legacy", Value: "ada", Path: "/"}})
	for _, late := range []bool{false, true} {
		if late {
			imported.answer(slow)
		}
		if s := imported.load(); s.Has("user") || !s.IsNew() {
			t.Errorf("after a logout, slow response %v: user %v", late, s.Get("user"))
		}
	}
}

// What isn't promised: an import under way at the logout of the session that another import made brings the visitor
// back, since there was no session to mark. The documentation says so.
func TestImportUnderWayAtLogout(t *testing.T) {
	v := remembers(t, newManager(t, withImport))
	slow := v.load()
	touched(slow)
	v.visit(touched)
	v.visit(destroy)
	v.answer(slow)
	if v.get("user") != "ada" {
		t.Errorf("user %v; if that has become impossible, say so in the documentation", v.get("user"))
	}
	v.visit(destroy)
	v.wantState("new")
}

// Import gets the original request, and what it returns is copied.
func TestImportGetsRequest(t *testing.T) {
	list := []any{int64(1)}
	values := map[string]any{"list": list}
	v := newVisitor(t, newManager(t, func(c *cookiesession.Config) {
		c.Import = func(r *http.Request) (map[string]any, error) {
			if r.URL.Path != "/page" || r.Header.Get("Authorization") != "token" || fmt.Sprint(r.Cookies()) != "[a=b]" {
				t.Errorf("got %s with %v", r.URL, r.Header)
			}
			r.Header.Set("Authorization", "changed")
			return values, nil
		}
	}))
	r := requestWith("a=b")
	u := *r.URL
	u.Path = "/page"
	r.URL = &u
	r.Header.Set("Authorization", "token")
	inHandler(v.m, r, func(_ http.ResponseWriter, r *http.Request) {
		s := v.m.Get(r)
		s.Keys()
		list[0] = int64(2)
		values["list"] = nil
		if got := s.Get("list"); !reflect.DeepEqual(got, []any{int64(1)}) {
			t.Errorf("got %v, want [1]", got)
		}
		if r.Header.Get("Authorization") != "token" {
			t.Error("the hook changed the handler's request")
		}
	})
}

// TestImportCleared has imported values deleted at once: the other library's cookies must go all the same, or the
// values would be back with the next request.
func TestImportCleared(t *testing.T) {
	m := newManager(t, func(c *cookiesession.Config) {
		withImport(c)
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
		v.jar.SetHeader(site, http.Header{"Set-Cookie": {"legacy=ada; Path=/"}})
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

// However long a request uses its session, it is told once that Import failed.
func TestFailingImportIsLoggedOnceARequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newWeb(t, func(c *cookiesession.Config) {
			c.Import = func(*http.Request) (map[string]any, error) { return nil, errors.New("database is down") }
		})
		s := load(m.Manager)
		for range 3 {
			s.Get("n")
			time.Sleep(2 * time.Second)
		}
		if got := m.log.String(); strings.Count(got, "Import failed") != 1 {
			t.Errorf("logged %q, want one line", got)
		}
	})
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
