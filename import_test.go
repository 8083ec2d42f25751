package cookiesession_test

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/seed-50e21e88/cookiesession"
)

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

// Only received cookies are deleted, with the attributes of this Config.
func TestImportCookiesDeleted(t *testing.T) {
	m := newManager(t, func(c *cookiesession.Config) {
		withImport(c)
		c.Domain, c.Path, c.Insecure = "shop.example", "/in", true
	})
	s := load(m, "legacy=ada; legacy2=b; Legacy.sig=c")
	s.Keys()
	h := http.Header{}
	if err := m.Save(h, s); err != nil {
		t.Fatal(err)
	}
	const gone = "=; Path=/in; Domain=shop.example; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; HttpOnly; SameSite=Lax"
	if got := h["Set-Cookie"]; len(got) != 2 || got[1] != "legacy"+gone {
		t.Errorf("got %q, want the session and %q", got, "legacy"+gone)
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
