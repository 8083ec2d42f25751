package cookiesession_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

// Requests that another site started, to which browsers don't add the session's cookies: RFC 6265bis, 5.2, and Fetch
// Metadata, by which they say so.

// A fetch is how a browser says that a request came about.
type fetch struct {
	name, method     string
	site, mode, dest string // Sec-Fetch-…, "" for none
}

// request returns the fetch as a request to the site with the given cookies.
func (f fetch) request(cookies string) *http.Request {
	r := requestWith(cookies)
	r.Method = f.method
	for name, value := range map[string]string{"Sec-Fetch-Site": f.site, "Sec-Fetch-Mode": f.mode, "Sec-Fetch-Dest": f.dest} {
		if value != "" {
			r.Header.Set(name, value)
		}
	}
	return r
}

var (
	postedForm = fetch{"a form posted from elsewhere", "POST", "cross-site", "navigate", "document"}
	link       = fetch{"a link from elsewhere", "GET", "cross-site", "navigate", "document"}

	// fromElsewhere get no cookies but under SameSite=None.
	fromElsewhere = []fetch{
		postedForm,
		{"a form posted into a frame", "POST", "cross-site", "navigate", "iframe"},
		{"another method", "PUT", "cross-site", "cors", "empty"},
		{"fetch", "GET", "cross-site", "cors", "empty"},
		{"fetch without CORS", "POST", "cross-site", "no-cors", "empty"},
		{"an image", "GET", "cross-site", "no-cors", "image"},
		{"a script", "GET", "cross-site", "no-cors", "script"},
		{"a WebSocket", "GET", "cross-site", "websocket", "websocket"},
		{"an iframe", "GET", "cross-site", "navigate", "iframe"},
		{"a frame", "GET", "cross-site", "navigate", "frame"},
		{"a fenced frame", "GET", "cross-site", "navigate", "fencedframe"},
		{"an embedded page", "GET", "cross-site", "navigate", "embed"},
		{"an object", "GET", "cross-site", "navigate", "object"},
		{"a frame of an older browser", "GET", "cross-site", "nested-navigate", "iframe"},
		{"no mode", "GET", "cross-site", "", ""},
		{"HEAD by a script", "HEAD", "cross-site", "cors", "empty"},
	}
	// links get them under SameSite=Lax.
	links = []fetch{
		link,
		{"a link, HEAD", "HEAD", "cross-site", "navigate", "document"},
		{"a link of a browser that names no destination", "GET", "cross-site", "navigate", ""},
	}
	// ownRequests always get them.
	ownRequests = []fetch{
		{"a form of the site", "POST", "same-origin", "navigate", "document"},
		{"fetch of the site", "POST", "same-origin", "cors", "empty"},
		{"a form of a sister site", "POST", "same-site", "navigate", "document"},
		{"a frame in a sister site", "GET", "same-site", "navigate", "iframe"},
		{"an address typed in", "GET", "none", "navigate", "document"},
		{"a form, by a browser that doesn't say", "POST", "", "", ""},
		{"a page, by a browser that doesn't say", "GET", "", "", ""},
	}
)

// A policy is a SameSite with what of Strict's hint the browser has.
type policy struct {
	name     string
	sameSite http.SameSite
	hint     bool // NAME.here is sent, as it is with a link
	withheld func(f fetch) bool
}

var policies = []policy{
	{"Lax", http.SameSiteLaxMode, false, isFromElsewhere},
	{"the default", 0, false, isFromElsewhere},
	{"Strict", http.SameSiteStrictMode, false, isFromElsewhere},
	{"Strict, with the hint", http.SameSiteStrictMode, true, func(f fetch) bool { return f.site == "cross-site" }},
	{"None", http.SameSiteNoneMode, false, func(fetch) bool { return false }},
}

func isFromElsewhere(f fetch) bool { return slices.Contains(fromElsewhere, f) }

// set is a change for newManager.
func (p policy) set(c *cookiesession.Config) { c.SameSite = p.sameSite }

// cookies returns what a browser adds to a request without the session.
func (p policy) cookies() string {
	if p.hint {
		return cookieName + ".here=1"
	}
	return "theme=dark"
}

// eachFetch tries every kind of request under every policy, in both forms.
func eachFetch(t *testing.T, test func(t *testing.T, p policy, f fetch, form form)) {
	for _, p := range policies {
		for _, f := range slices.Concat(fromElsewhere, links, ownRequests) {
			for _, form := range forms {
				t.Run(p.name+"/"+f.name+"/"+form.name, func(t *testing.T) { test(t, p, f, form) })
			}
		}
	}
}

// sendWithout sends r to a path of the server without the browser's cookies, but gives the browser the response: the jar
// knows no SameSite.
func (v *browser) sendWithout(r *http.Request, path string) {
	v.t.Helper()
	r.URL = mustURL(v.t, v.URL+path)
	client := *v.Client()
	client.Jar = nil
	resp, err := client.Do(r)
	if err != nil {
		v.t.Fatal(err)
	}
	resp.Body.Close()
	<-v.web.returned
	v.jar.SetHeader(r.URL, resp.Header)
}

// A form is one of the two ways of using a Manager.
type form struct {
	name string
	// answer changes the session of r by fn and returns the response's header. The error is Save's, or says what else
	// than 200 the status is.
	answer func(m *cookiesession.Manager, r *http.Request, fn func(*cookiesession.Session)) (http.Header, error)
}

var forms = []form{byHandler, bySave}

var (
	byHandler = form{"Handler", func(m *cookiesession.Manager, r *http.Request, fn func(*cookiesession.Session)) (h http.Header, err error) {
		rec := httptest.NewRecorder()
		m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { fn(m.Get(r)) })).ServeHTTP(rec, r)
		if rec.Code != http.StatusOK {
			err = fmt.Errorf("status %d", rec.Code)
		}
		return rec.Result().Header, err
	}}
	bySave = form{"Load and Save", func(m *cookiesession.Manager, r *http.Request, fn func(*cookiesession.Session)) (http.Header, error) {
		s, _ := m.Load(r)
		fn(s)
		h := http.Header{}
		return h, m.Save(h, s)
	}}
)

// A response to a request whose cookies were withheld starts no session, whatever its page puts or draws: the visitor
// may have one. Any site could log visitors out by posting to a page whose layout calls CSRFToken.
func TestWithheldRequestStartsNoSession(t *testing.T) {
	eachFetch(t, func(t *testing.T, p policy, f fetch, form form) {
		for name, page := range map[string]func(s *cookiesession.Session){
			"a value":              put("n", 1),
			"a CSRF token":         func(s *cookiesession.Session) { s.CSRFToken() },
			"both, and an ID":      func(s *cookiesession.Session) { s.CSRFToken(); s.ID(); s.Put("n", 1) },
			"a counter":            func(s *cookiesession.Session) { s.Increment("n", 1) },
			"a list":               func(s *cookiesession.Session) { s.Push("n", 1) },
			"a deadline":           func(s *cookiesession.Session) { s.Put("n", 1); s.ExpireIn(time.Hour) },
			"persistence":          func(s *cookiesession.Session) { s.Persist(true); s.Put("n", 1) },
			"after Clear":          func(s *cookiesession.Session) { s.Put("m", 1); s.Clear(); s.Put("n", 1) },
			"nothing, only a read": func(s *cookiesession.Session) { s.Get("n") },
		} {
			m := newManager(t, p.set)
			withheld := p.withheld(f)
			changed := false
			h, err := form.answer(m, f.request(p.cookies()), func(s *cookiesession.Session) {
				page(s)
				changed = s.Changed()
			})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			want, counted := cookieName, uint64(0)
			switch {
			case name == "nothing, only a read":
				want = ""
			case withheld:
				want, counted = "", 1
			case p.sameSite == http.SameSiteStrictMode:
				want += " " + cookieName + ".here"
			}
			if got := cookieNames(h); got != want || changed != (want != "") {
				t.Errorf("%s: wrote %q, Changed %v, want %q", name, got, changed, want)
			}
			if h.Get("Vary") != "Cookie" || h.Get("Cache-Control") != "private" {
				t.Errorf("%s: got Vary %q and Cache-Control %q", name, h.Get("Vary"), h.Get("Cache-Control"))
			}
			if got := m.Stats(); got.Withheld != counted || got.SaveErrors != 0 {
				t.Errorf("%s: got Stats %d withheld, %d errors, want %d and none", name, got.Withheld, got.SaveErrors, counted)
			}
		}
	})
}

// Nor may a shared cache keep such a response for visitors of this site: its form has a token that is in no session. It
// varies by Sec-Fetch-Site as well, which no handler thinks of, so it is as private as if the session had been saved. A
// page that only reads is the same for all who have no session, wherever they come from.
func TestWithheldPageIsNotForOthers(t *testing.T) {
	for _, f := range slices.Concat(fromElsewhere, []fetch{{"a visitor of this site", "GET", "same-origin", "navigate", "document"}}) {
		for name, test := range map[string]struct {
			page func(s *cookiesession.Session)
			want string
		}{
			"draws a token": {func(s *cookiesession.Session) { s.CSRFToken() }, "max-age=60, private"},
			"only reads":    {touched, "public, max-age=60"},
		} {
			for _, form := range publicForms {
				h, err := form.answer(newManager(t, nil), f.request(""), test.page)
				if err != nil {
					t.Fatalf("%s, %s, %s: %v", f.name, name, form.name, err)
				}
				cdn := h.Get("CDN-Cache-Control")
				if got := h.Get("Cache-Control"); got != test.want || (cdn != "") != (name == "only reads") {
					t.Errorf("%s, %s, %s: got Cache-Control %q and for a CDN %q, want %q", f.name, name, form.name, got, cdn, test.want)
				}
			}
		}
	}
}

// publicForms are the forms in a handler that says that its page is public.
var publicForms = []form{
	{"Handler", func(m *cookiesession.Manager, r *http.Request, fn func(*cookiesession.Session)) (http.Header, error) {
		return inHandler(m, r, func(w http.ResponseWriter, r *http.Request) {
			sayPublic(w.Header())
			fn(m.Get(r))
		}), nil
	}},
	{"Load and Save", func(m *cookiesession.Manager, r *http.Request, fn func(*cookiesession.Session)) (http.Header, error) {
		s, _ := m.Load(r)
		fn(s)
		h := http.Header{}
		sayPublic(h)
		return h, m.Save(h, s)
	}},
}

func sayPublic(h http.Header) {
	h.Set("Cache-Control", "public, max-age=60")
	h.Set("CDN-Cache-Control", "max-age=60")
}

// A session that wouldn't be saved can't be too large.
func TestWithheldSessionMayBeTooLarge(t *testing.T) {
	for _, form := range forms {
		m := newManager(t, nil)
		if h, err := form.answer(m, postedForm.request(""), put("v", tooLarge)); err != nil || cookieNames(h) != "" {
			t.Errorf("%s: wrote %q, %v", form.name, cookieNames(h), err)
		}
		if _, err := form.answer(m, postedForm.request(""), put("v", func() {})); err == nil {
			t.Errorf("%s: a value that can't be encoded went unnoticed", form.name)
		}
	}
}

// The visitor whom another site sends somewhere stays logged in, over either protocol.
func TestOtherSitesCannotLogOut(t *testing.T) {
	for _, p := range policies {
		if p.sameSite == http.SameSiteNoneMode || p.name == "Strict" {
			continue // the cookies come, or the browser has none
		}
		t.Run(p.name, func(t *testing.T) {
			onEachProtocol(t, func(t *testing.T, proto string) {
				m := newWeb(t, p.set)
				v := m.serve(t, proto, m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/login" {
						login(m.Get(r))
						return
					}
					fmt.Fprintf(w, "<input value=%q>", m.Get(r).CSRFToken())
				})))
				r := v.request(http.MethodPost, "")
				r.URL.Path = "/login"
				v.do(r)
				before := v.jar.Header(mustURL(t, v.URL))
				for _, f := range append(fromElsewhere, link) {
					if !p.withheld(f) || f.name == "a WebSocket" {
						continue // the cookies come; net/http's client opens none
					}
					r := f.request("")
					if f == link {
						r = f.request(p.cookies())
					}
					v.sendWithout(r, "/")
					if got := v.jar.Header(mustURL(t, v.URL)); got != before {
						t.Errorf("%s changed the browser's cookies", f.name)
					}
				}
				v.wantValues("user=ada")
			})
		})
	}
}

// Regenerate and Remember say that a login happens here, as a form_post of OpenID Connect or a SAML response: then the
// session is saved, whenever they are called.
func TestWithheldLoginIsSaved(t *testing.T) {
	for name, do := range map[string]func(s *cookiesession.Session){
		"Regenerate, then values":           func(s *cookiesession.Session) { s.Regenerate(); s.Put("user", "ada") },
		"values, then Regenerate":           login,
		"Remember, then values":             func(s *cookiesession.Session) { s.Remember(time.Hour); s.Put("user", "ada") },
		"values, then Remember":             func(s *cookiesession.Session) { s.Put("user", "ada"); s.Remember(time.Hour) },
		"Remember and Regenerate":           func(s *cookiesession.Session) { s.Remember(time.Hour); login(s) },
		"a CSRF token before":               func(s *cookiesession.Session) { s.CSRFToken(); login(s) },
		"Destroy before":                    func(s *cookiesession.Session) { s.Destroy(); login(s) },
		"a login, Destroy, and another one": func(s *cookiesession.Session) { login(s); s.Destroy(); login(s) },
	} {
		eachFetch(t, func(t *testing.T, p policy, f fetch, form form) {
			m := newManager(t, p.set)
			h, err := form.answer(m, f.request(p.cookies()), do)
			if err != nil {
				t.Fatal(err)
			}
			set := h["Set-Cookie"]
			if got := load(m, cookieHeader(set)).Get("user"); got != "ada" || m.Stats().Withheld != 0 {
				t.Errorf("%s: wrote %s, user %v, %d withheld", name, cookieNames(h), got, m.Stats().Withheld)
			}
			if hint := strings.Contains(cookieNames(h), ".here"); hint != (p.sameSite == http.SameSiteStrictMode) {
				t.Errorf("%s: wrote %s", name, cookieNames(h))
			}
		})
	}
	// What was a login is none any more after Destroy.
	for name, do := range map[string]func(s *cookiesession.Session){
		"Regenerate": func(s *cookiesession.Session) { login(s); s.Destroy(); s.Put("n", 1) },
		"Remember":   func(s *cookiesession.Session) { s.Remember(time.Hour); s.Destroy(); s.Put("n", 1) },
	} {
		for _, form := range forms {
			h, err := form.answer(newManager(t, nil), postedForm.request(""), do)
			if got := cookieNames(h); err != nil || got != "-"+cookieName {
				t.Errorf("%s before Destroy, %s: wrote %q, %v; want the deletion alone", name, form.name, got, err)
			}
		}
	}
	// A refused duration logs nobody in.
	h, err := bySave.answer(newManager(t, nil), postedForm.request(""), func(s *cookiesession.Session) { s.Put("n", 1); s.Remember(0) })
	if err == nil || len(h["Set-Cookie"]) > 0 {
		t.Errorf("a Remember out of range: wrote %q, %v", cookieNames(h), err)
	}
}

// A visitor who comes from elsewhere for the first time gets a session, and the first form works.
func TestFirstFormOfNewVisitorWorks(t *testing.T) {
	for _, p := range policies {
		if p.hint {
			continue // isn't new
		}
		t.Run(p.name, func(t *testing.T) {
			m := newManager(t, p.set)
			token := ""
			h, err := byHandler.answer(m, link.request(""), func(s *cookiesession.Session) { token = s.CSRFToken() })
			if err != nil {
				t.Fatal(err)
			}
			if !load(m, cookieHeader(h["Set-Cookie"])).VerifyCSRFToken(token) {
				t.Errorf("the form isn't accepted that the first page shows, with cookies %s", cookieNames(h))
			}
		})
	}
}

// Where the browser withholds the session's cookies, Destroy deletes cookie 0, without which there is no session. Elsewhere
// nothing was received and nothing is deleted: a second click on "log out" that arrives late would end the next login.
func TestDestroyWhereCookiesWereWithheld(t *testing.T) {
	eachFetch(t, func(t *testing.T, p policy, f fetch, form form) {
		for name, test := range map[string]struct {
			do   func(s *cookiesession.Session)
			also string // what is written beside
		}{
			"alone":           {destroy, ""},
			"twice":           {func(s *cookiesession.Session) { s.Destroy(); s.Destroy() }, ""},
			"after a value":   {func(s *cookiesession.Session) { s.Put("n", 1); s.Destroy() }, ""},
			"with a message":  {func(s *cookiesession.Session) { s.Destroy(); s.Flash("f", "you are logged out") }, " " + cookieName + ".flash"},
			"after a message": {func(s *cookiesession.Session) { s.Flash("f", "you are logged out"); s.Destroy() }, " " + cookieName + ".flash"},
		} {
			m := newManager(t, p.set)
			changed := false
			h, err := form.answer(m, f.request(p.cookies()), func(s *cookiesession.Session) { test.do(s); changed = s.Changed() })
			want := ""
			if p.withheld(f) {
				want = "-" + cookieName
			}
			if p.sameSite == http.SameSiteStrictMode && (p.withheld(f) || p.hint) {
				want += " -" + cookieName + ".here"
			}
			want += test.also
			if got := cookieNames(h); err != nil || sortedNames(got) != sortedNames(want) || changed != p.withheld(f) {
				t.Errorf("%s: wrote %q, %v, Changed %v; want %q", name, got, err, changed, want)
			}
		}
	})
}

// What comes after Destroy, and what fails, keeps the visitor no longer logged in.
func TestDestroyWhereCookiesWereWithheldAndMore(t *testing.T) {
	for name, test := range map[string]struct {
		do    func(s *cookiesession.Session)
		fails bool
		want  string
	}{
		"a value":                    {func(s *cookiesession.Session) { s.Destroy(); s.Put("n", 1) }, false, "-" + cookieName},
		"a CSRF token":               {func(s *cookiesession.Session) { s.Destroy(); s.CSRFToken() }, false, "-" + cookieName},
		"a value that can't be":      {func(s *cookiesession.Session) { s.Destroy(); s.Put("n", func() {}) }, true, "-" + cookieName},
		"a message that is too long": {func(s *cookiesession.Session) { s.Destroy(); s.Flash("f", tooLarge) }, true, "-" + cookieName},
		"a login":                    {func(s *cookiesession.Session) { s.Destroy(); login(s) }, false, cookieName},
		"a login that is too large":  {func(s *cookiesession.Session) { s.Destroy(); login(s); s.Put("v", tooLarge) }, true, "-" + cookieName},
	} {
		for _, form := range forms {
			h, err := form.answer(newManager(t, nil), postedForm.request(""), test.do)
			if got := cookieNames(h); got != test.want || (err != nil) != test.fails {
				t.Errorf("%s, %s: wrote %q, %v; want %q", name, form.name, got, err, test.want)
			}
		}
	}
	m := newManager(t, func(c *cookiesession.Config) {
		c.Domain, c.Path, c.SameSite, c.ImportCookies = site.Host, "/app", http.SameSiteStrictMode, []string{"legacy", "other"}
	})
	h, err := bySave.answer(m, link.request("__Secure-session.here=1; legacy=ada"), destroy)
	const gone = "; Path=/app; Domain=shop.example; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; HttpOnly; Secure; SameSite="
	want := []string{"__Secure-session=" + gone + "Strict", "__Secure-session.here=" + gone + "Lax", "legacy=" + gone + "Strict"}
	if got := h["Set-Cookie"]; err != nil || !slices.Equal(got, want) {
		t.Errorf("wrote %q, %v\nwant  %q", got, err, want)
	}
}

// A single logout by POST ends a session of any size, with its lease and its messages left behind, over either protocol.
func TestSingleLogoutByPost(t *testing.T) {
	for _, size := range []int{10, 3500} {
		onEachProtocol(t, func(t *testing.T, proto string) {
			m := newWeb(t, withIdle(time.Hour))
			v := m.serve(t, proto, m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				s := m.Get(r)
				switch r.URL.Path {
				case "/login":
					login(s)
					s.Put("v", random(size))
				case "/logout":
					s.Destroy()
					s.Flash("f", "bye")
				}
			})))
			for _, path := range []string{"/login", "/logout"} {
				v.sendWithout(postedForm.request(""), path)
				wantLoggedIn := path == "/login"
				if s := v.session(); s.Has("user") != wantLoggedIn {
					t.Errorf("after %s with %d bytes: user %v", path, size, s.Get("user"))
				}
			}
			if got := v.session().Flashed("f"); got != "bye" {
				t.Errorf("got message %v, want bye", got)
			}
		})
	}
}

// A second click on "log out" that arrives after the next login doesn't end that.
func TestSecondClickOnLogOut(t *testing.T) {
	for _, sameSite := range []http.SameSite{http.SameSiteLaxMode, http.SameSiteStrictMode, http.SameSiteNoneMode} {
		v := newVisitor(t, newManager(t, func(c *cookiesession.Config) { c.SameSite = sameSite }))
		v.visit(login)
		v.visit(destroy)
		second := v.load() // the browser has dropped the cookies by now
		second.Destroy()
		v.visit(login)
		if lines, err := v.answer(second); err != nil || len(lines) > 0 {
			t.Errorf("SameSite %d: the second click wrote %s, %v", sameSite, v.wrote(lines), err)
		}
		v.wantState("valid")
	}
}

// NAME.here comes and goes with a session under SameSite=Strict, and says nothing but that there is one.
func TestHint(t *testing.T) {
	for _, test := range []struct {
		name string
		do   func(*cookiesession.Session)
		want string // on top of a session
		new  string // on top of none
	}{
		{"read", touched, "", ""},
		{"change", put("n", 2), "[.here] []", "[.here] []"},
		{"a CSRF token", func(s *cookiesession.Session) { s.CSRFToken() }, "[.here] []", "[.here] []"},
		{"login", login, "[.here] []", "[.here] []"},
		{"flash", flash("f", 1), "[.flash]", "[.flash]"},
		{"destroy", destroy, "-[.here] -[] [ended]", ""},
		{"destroy, and a session anew", func(s *cookiesession.Session) { s.Destroy(); s.Put("n", 2) }, "[.here] [] [ended]", "[.here] []"},
		{"clear", func(s *cookiesession.Session) { s.Clear() }, "[.here] []", ""},
	} {
		m := newManager(t, func(c *cookiesession.Config) { c.SameSite = http.SameSiteStrictMode })
		v := newVisitor(t, m)
		if got := withoutTags(v.wrote(v.visit(test.do))); got != test.new {
			t.Errorf("%s of a new visitor: wrote %q, want %q", test.name, got, test.new)
		}
		v = newVisitor(t, m)
		v.visit(put("n", 1))
		if got := withoutTags(v.wrote(v.visit(test.do))); got != test.want {
			t.Errorf("%s: wrote %q, want %q", test.name, got, test.want)
		}
	}
	for _, sameSite := range []http.SameSite{0, http.SameSiteDefaultMode, http.SameSiteLaxMode, http.SameSiteNoneMode} {
		v := newVisitor(t, newManager(t, func(c *cookiesession.Config) { c.SameSite = sameSite }))
		v.setCookie(".here", "1")
		v.visit(put("n", 1))
		v.visit(put("n", 2))
		if got := v.wrote(v.visit(destroy)); strings.Contains(got, "here") {
			t.Errorf("SameSite %d: wrote %s, want no hint", sameSite, got)
		}
	}
}

// The hint lives as long as the session: what remains of it would keep new visitors from their first form.
func TestHintLivesAsLongAsItsSession(t *testing.T) {
	for name, test := range map[string]struct {
		persistent bool
		do         func(*cookiesession.Session)
		want       string // Max-Age
	}{
		"ends with the browser": {false, put("n", 1), ""},
		"persistent":            {true, put("n", 1), "; Max-Age=86400"},
		"remembered":            {false, func(s *cookiesession.Session) { s.Put("n", 1); s.Remember(2 * day) }, "; Max-Age=172800"},
		"not to persist":        {true, func(s *cookiesession.Session) { s.Put("n", 1); s.Persist(false) }, ""},
		"with a deadline":       {true, func(s *cookiesession.Session) { s.Put("n", 1); s.ExpireIn(time.Hour) }, "; Max-Age=3600"},
	} {
		m := newManager(t, func(c *cookiesession.Config) {
			c.SameSite, c.Persistent = http.SameSiteStrictMode, test.persistent
		})
		now := time.Now()
		m.SetClock(func() time.Time { return now })
		lines, err := response(m, test.do)
		want := cookieName + ".here=1; Path=/" + test.want + "; HttpOnly; Secure; SameSite=Lax"
		if err != nil || len(lines) != 2 || lines[1] != want || !strings.Contains(lines[0], "; Path=/"+test.want+"; HttpOnly") {
			t.Errorf("%s: wrote %q, %v; want the session and %q", name, lines, err, want)
		}
	}
}

// Whatever the hint's value, it says that there is a session; what only looks like it says nothing.
func TestHintNames(t *testing.T) {
	m := newManager(t, func(c *cookiesession.Config) { c.SameSite = http.SameSiteStrictMode })
	for cookie, withheld := range map[string]bool{
		cookieName + ".here=1":     true,
		cookieName + ".here=":      true,
		cookieName + ".here":       true,
		cookieName + `.here="1"`:   true,
		cookieName + ".here=x":     true,
		cookieName + ".here.1=1":   false,
		cookieName + ".heres=1":    false,
		cookieName + ".Here=1":     false,
		cookieName + ".hint=1":     false,
		"session.here=1":           false,
		cookieName + "2.here=1":    false,
		"x" + cookieName + ".here": false,
	} {
		h, err := byHandler.answer(m, link.request("a=b; "+cookie), put("n", 1))
		if got := cookieNames(h); err != nil || (got == "") != withheld {
			t.Errorf("%q: wrote %q, %v; want nothing %v", cookie, got, err, withheld)
		}
	}
}

// A hint that is left from SameSite=Strict means nothing under Lax, where the session itself comes with links.
func TestHintUnderLax(t *testing.T) {
	for _, form := range forms {
		h, err := form.answer(newManager(t, nil), link.request(cookieName+".here=1"), put("n", 1))
		if got := cookieNames(h); err != nil || got != cookieName {
			t.Errorf("%s: wrote %q, error %v, want a session", form.name, got, err)
		}
	}
}

// Part of a session, or one that is refused, is what the browser has to send: it withheld nothing.
func TestWhatComesWasNotWithheld(t *testing.T) {
	for _, cookie := range []string{"=1AAAA", "=", "", ".1=AAAA", ".8="} {
		m := newManager(t, nil)
		h, err := byHandler.answer(m, postedForm.request(cookieName+cookie), put("n", 1))
		if got := cookieNames(h); err != nil || !strings.HasPrefix(got, cookieName) {
			t.Errorf("%q: wrote %q, %v; want a session", cookie, got, err)
		}
	}
	// A message, a lease, a marker and other cookies are no part of one.
	for _, cookie := range []string{".flash=1AAAA", ".lease=1AAAA", ".ended.AAAAAAAAAAA=1", ".here=1", ".9=AAAA", "2=1AAAA", ".other=1"} {
		h, err := byHandler.answer(newManager(t, nil), postedForm.request(cookieName+cookie), put("n", 1))
		if got := cookieNames(h); err != nil || got != "" {
			t.Errorf("%q: wrote %q, %v; want nothing", cookie, got, err)
		}
	}
}

// The first such response is logged, since the developer wonders where the value has gone.
func TestWithheldIsLoggedOnce(t *testing.T) {
	for _, form := range forms {
		t.Run(form.name, func(t *testing.T) {
			m := newWeb(t, nil)
			form.answer(m.Manager, postedForm.request(""), touched)
			form.answer(m.Manager, postedForm.request(""), destroy)
			form.answer(m.Manager, postedForm.request(""), login)
			form.answer(m.Manager, link.request(""), put("n", 1))
			if got := m.log.take(); got != "" {
				t.Errorf("logged %q of what nothing is kept from", got)
			}
			for range 3 {
				form.answer(m.Manager, postedForm.request(""), put("secret", "secret value"))
			}
			got := m.log.take()
			if strings.Count(got, "\n") != 1 || !strings.Contains(got, "method=POST path=/") || !strings.Contains(got, "Regenerate") || strings.Contains(got, "secret") {
				t.Errorf("logged %q, want one line that tells what to do", got)
			}
			_, err := form.answer(m.Manager, postedForm.request(""), func(s *cookiesession.Session) {
				s.Put("n", 1)
				s.Put("c", make(chan int))
			})
			if got := m.Stats().Withheld; got != 3 || err == nil {
				t.Errorf("counted %d, want 3; error %v of what can't be stored", got, err)
			}
		})
	}
}

// A request whose cookies were withheld imports nothing: the visitor may have a newer session, or have logged out, with
// the marker that says so withheld as well.
func TestWithheldRequestImportsNothing(t *testing.T) {
	eachFetch(t, func(t *testing.T, p policy, f fetch, form form) {
		asked := 0
		m := newManager(t, func(c *cookiesession.Config) {
			withImport(c)
			p.set(c)
			hook := c.Import
			c.Import = func(r *http.Request) (map[string]any, error) { asked++; return hook(r) }
		})
		h, err := form.answer(m, f.request(p.cookies()+"; legacy=ada"), touched)
		want := 1
		if p.withheld(f) {
			want = 0
		}
		if got := cookieNames(h); err != nil || asked != want || (got != "") != (want == 1) {
			t.Errorf("asked %d times, wrote %q, %v; want %d", asked, got, err, want)
		}
	})
}

// As it happens in a browser: the old library's cookie comes with every request, the session only where Lax lets it.
func TestOldCookieBringsNobodyBack(t *testing.T) {
	for _, form := range forms {
		v := remembers(t, newManager(t, withImport))
		v.visit(put("cart", 7))
		legacy := []*http.Cookie{{Name: "legacy", Value: "ada", Path: "/"}} // the old application is still in use
		elsewhere := func(do func(*cookiesession.Session)) string {
			v.jar.SetCookies(site, legacy)
			h, err := form.answer(v.m, postedForm.request("legacy=ada"), do)
			if err != nil {
				t.Fatal(err)
			}
			v.jar.SetHeader(site, h)
			return cookieNames(h)
		}
		if got := elsewhere(put("n", 1)); got != "" || v.get("cart") != int64(7) {
			t.Errorf("%s: a request from elsewhere wrote %q, cart %v", form.name, got, v.get("cart"))
		}
		v.visit(destroy)
		for _, do := range []func(*cookiesession.Session){touched, put("n", 1)} {
			if got := elsewhere(do); got != "" {
				t.Errorf("%s: after the logout it wrote %q", form.name, got)
			}
			if s := v.load(); s.Has("user") || !s.IsNew() {
				t.Errorf("%s: logged in after a logout", form.name)
			}
		}
		// The marker comes with a link, under Lax, and bars the import there.
		h, err := form.answer(v.m, link.request(v.header()), touched)
		if got := cookieNames(h); err != nil || got != "" {
			t.Errorf("%s: a link after the logout wrote %q, %v", form.name, got, err)
		}
	}
}
