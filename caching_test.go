package cookiesession_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

// A response that depends on the session is private, for caches that ignore Vary, unless the handler has said what they
// may do. One that didn't look at the session is nobody's business.
func TestUsedSessionMakesResponsePrivate(t *testing.T) {
	m := newManager(t, nil)
	idle := newManager(t, withIdle(time.Hour))
	const refusal = "ProtectCSRF of a POST"
	for name, test := range map[string]struct {
		use  func(m *cookiesession.Manager, w http.ResponseWriter, r *http.Request)
		used bool
	}{
		"nothing":     {func(*cookiesession.Manager, http.ResponseWriter, *http.Request) {}, false},
		"Manager.Get": {func(m *cookiesession.Manager, _ http.ResponseWriter, r *http.Request) { m.Get(r) }, false},
		"FromContext": {func(_ *cookiesession.Manager, _ http.ResponseWriter, r *http.Request) {
			cookiesession.FromContext(r.Context())
		}, false},
		"Session.Get": {func(m *cookiesession.Manager, _ http.ResponseWriter, r *http.Request) { m.Get(r).Get("n") }, true},
		"Has":         {func(m *cookiesession.Manager, _ http.ResponseWriter, r *http.Request) { m.Get(r).Has("n") }, true},
		"IsNew":       {func(m *cookiesession.Manager, _ http.ResponseWriter, r *http.Request) { m.Get(r).IsNew() }, true},
		"ID":          {func(m *cookiesession.Manager, _ http.ResponseWriter, r *http.Request) { m.Get(r).ID() }, true},
		"IdleAt":      {func(m *cookiesession.Manager, _ http.ResponseWriter, r *http.Request) { m.Get(r).IdleAt() }, true},
		"Passive":     {func(m *cookiesession.Manager, _ http.ResponseWriter, r *http.Request) { m.Get(r).Passive() }, true},
		"Remembered":  {func(m *cookiesession.Manager, _ http.ResponseWriter, r *http.Request) { m.Get(r).Remembered() }, true},
		"Rejected":    {func(m *cookiesession.Manager, _ http.ResponseWriter, r *http.Request) { m.Get(r).Rejected() }, true},
		"Err":         {func(m *cookiesession.Manager, _ http.ResponseWriter, r *http.Request) { m.Get(r).Err() }, true},
		"Size":        {func(m *cookiesession.Manager, _ http.ResponseWriter, r *http.Request) { m.Get(r).Size() }, true},
		"All":         {func(m *cookiesession.Manager, _ http.ResponseWriter, r *http.Request) { m.Get(r).All() }, true},
		"a Field": {func(m *cookiesession.Manager, _ http.ResponseWriter, r *http.Request) {
			cookiesession.Field[int]("n").Get(m.Get(r))
		}, true},
		"an equal Put":    {func(m *cookiesession.Manager, _ http.ResponseWriter, r *http.Request) { m.Get(r).Put("n", 1) }, true},
		"Flashed":         {func(m *cookiesession.Manager, _ http.ResponseWriter, r *http.Request) { m.Get(r).Flashed("f") }, true},
		"Flashes":         {func(m *cookiesession.Manager, _ http.ResponseWriter, r *http.Request) { m.Get(r).Flashes() }, true},
		"FlashNow":        {func(m *cookiesession.Manager, _ http.ResponseWriter, r *http.Request) { m.Get(r).FlashNow("f", 1) }, true},
		"CSRFToken":       {func(m *cookiesession.Manager, _ http.ResponseWriter, r *http.Request) { m.Get(r).CSRFToken() }, true},
		"VerifyCSRFToken": {func(m *cookiesession.Manager, _ http.ResponseWriter, r *http.Request) { m.Get(r).VerifyCSRFToken("x") }, true},
		"FromContext, Get": {func(_ *cookiesession.Manager, _ http.ResponseWriter, r *http.Request) {
			cookiesession.FromContext(r.Context()).Get("n")
		}, true},
		"Manager.FromContext, Get": {func(m *cookiesession.Manager, _ http.ResponseWriter, r *http.Request) {
			m.FromContext(r.Context()).Get("n")
		}, true},
		"Load": {func(m *cookiesession.Manager, _ http.ResponseWriter, r *http.Request) { m.Load(r) }, true},
		"Load and Save": {func(m *cookiesession.Manager, w http.ResponseWriter, r *http.Request) {
			s, _ := m.Load(r)
			if err := m.Save(w.Header(), s); err != nil {
				t.Error(err)
			}
		}, true},
		"ProtectCSRF of a GET": {func(m *cookiesession.Manager, w http.ResponseWriter, r *http.Request) {
			m.ProtectCSRF(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, r)
		}, false},
		refusal: {func(m *cookiesession.Manager, w http.ResponseWriter, r *http.Request) {
			r.Method = "POST"
			m.ProtectCSRF(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, r)
		}, true},
	} {
		for _, visitor := range []*visitor{newVisitor(t, m), newVisitor(t, idle)} {
			for _, came := range []string{"a session", "nothing", "garbage", "a marker"} {
				switch came {
				case "a session": // with a token, so that no response here writes
					visitor.visit(func(s *cookiesession.Session) { s.Put("n", 1); s.CSRFToken() })
				case "nothing":
					visitor.jar.Restart()
				case "garbage":
					visitor.setCookie("", "1AAAA")
				case "a marker":
					visitor.setCookie("", "1AAAA")
					visitor.setCookie(".ended.AAAAAAAAAAA", "1")
				}
				for _, own := range [][]string{nil, {"public, max-age=60"}, {"no-cache"}, {"max-age=0", "must-revalidate"}, {""}} {
					for _, when := range []string{"before", "after", "taken back"} {
						if name == refusal && when != "before" {
							continue // it has been sent then
						}
						h := inHandler(visitor.m, requestWith(visitor.header()), func(w http.ResponseWriter, r *http.Request) {
							if own != nil && when != "after" {
								w.Header()["Cache-Control"] = slices.Clone(own)
							}
							test.use(visitor.m, w, r)
							if own != nil && when == "after" {
								w.Header()["Cache-Control"] = slices.Clone(own)
							}
							if when == "taken back" {
								w.Header().Del("Cache-Control")
							}
							io.WriteString(w, "page")
						})
						if len(h["Set-Cookie"]) > 0 {
							if name != "CSRFToken" && name != "an equal Put" {
								t.Errorf("%s, %s came: wrote %s", name, came, cookieNames(h))
							}
							continue
						}
						want, vary := own, []string(nil)
						if when == "taken back" {
							want = nil
						}
						if test.used {
							vary = []string{"Cookie"}
							if want == nil {
								want = []string{"private"}
							}
						}
						if !slices.Equal(h["Cache-Control"], want) || !slices.Equal(h["Vary"], vary) {
							t.Errorf("%s, %s came, handler's %q %s: got Cache-Control %q, Vary %q; want %q, %q", name, came, own, when, h["Cache-Control"], h["Vary"], want, vary)
						}
					}
				}
			}
		}
	}
}

// cdnSpellings are the ways in which a handler may come to a header that shared caches put above Cache-Control.
var cdnSpellings = func() (spellings []func(h http.Header, value string)) {
	for _, name := range []string{"CDN-Cache-Control", "Cloudflare-CDN-Cache-Control", "Surrogate-Control"} {
		for _, spelled := range []string{name, strings.ToLower(name), strings.ToUpper(name), http.CanonicalHeaderKey(name)} {
			spellings = append(spellings,
				func(h http.Header, value string) { h.Set(spelled, value) },
				func(h http.Header, value string) { h.Add(spelled, "max-age=1"); h.Add(spelled, value) },
				func(h http.Header, value string) { h[spelled] = []string{value} })
		}
	}
	return spellings
}()

// A shared cache goes by what is meant for it alone rather than by Cache-Control (RFC 9213). So that goes where cookies
// are written, however it is spelled, and from an error page; what only reads leaves it to the handler.
func TestCDNCachingGoesWithCookies(t *testing.T) {
	m := newManager(t, withIdle(time.Hour))
	v := newVisitor(t, m)
	v.visit(func(s *cookiesession.Session) { s.Put("n", 1); s.Flash("f", 1) })
	old := newVisitor(t, newManager(t, withIdle(time.Hour)))
	old.m.SetClock(func() time.Time { return time.Now().Add(-5 * time.Minute) })
	old.visit(put("n", 1))
	for name, test := range map[string]struct {
		header string
		do     func(s *cookiesession.Session)
		stays  bool
		status int
	}{
		"unused":              {v.header(), nothing, true, 200},
		"read":                {v.header(), touched, true, 200},
		"read by nobody":      {"", touched, true, 200},
		"equal value":         {v.header(), put("n", 1), true, 200},
		"written":             {v.header(), put("n", 2), false, 200},
		"started":             {"", put("n", 2), false, 200},
		"destroyed":           {v.header(), destroy, false, 200},
		"message left":        {"", flash("f", 2), false, 200},
		"message read":        {v.header(), asked, false, 200},
		"leased":              {old.header(), touched, false, 200},
		"can't be saved":      {v.header(), put("n", tooLarge), false, 500},
		"can't be encoded":    {"", put("n", func() {}), false, 500},
		"ended, can't be put": {v.header(), func(s *cookiesession.Session) { s.Destroy(); s.Put("n", tooLarge) }, false, 500},
	} {
		for i, set := range cdnSpellings {
			rec := httptest.NewRecorder()
			rec.Header().Set("X-Cdn-Cache-Control", "stays")
			set(rec.Header(), "max-age=4711") // outside
			m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				set(w.Header(), "max-age=4712")
				test.do(m.Get(r))
			})).ServeHTTP(rec, requestWith(test.header))
			h := rec.Result().Header
			text := strings.ToLower(fmt.Sprint(h))
			there := strings.Contains(text, "max-age=4712") || strings.Contains(text, "max-age=4711")
			if there != test.stays || rec.Code != test.status || h.Get("X-Cdn-Cache-Control") != "stays" {
				t.Errorf("%s, spelling %d: got %d, caching for shared caches stays %v, want %d, %v: %s", name, i, rec.Code, there, test.status, test.stays, text)
			}
			if wantsPrivate := name != "unused"; test.status == 200 && (h.Get("Cache-Control") == "private") != wantsPrivate {
				t.Errorf("%s: got Cache-Control %q", name, h.Get("Cache-Control"))
			}
			if test.status == 500 && h.Get("Cache-Control") != "no-store" {
				t.Errorf("%s: got Cache-Control %q, want no-store", name, h.Get("Cache-Control"))
			}
		}
	}
}

// Nor does a shared cache store what answers under DevicePath.
func TestCDNCachingOfDevicePath(t *testing.T) {
	m := newManager(t, func(c *cookiesession.Config) { c.DeviceProof, c.DevicePath = 10*time.Minute, "/device" })
	for _, h := range []http.Handler{m.Handler(http.NotFoundHandler()), m.DeviceHandler()} {
		for _, method := range []string{"GET", "POST"} {
			for i, set := range cdnSpellings {
				rec := httptest.NewRecorder()
				set(rec.Header(), "max-age=4711")
				h.ServeHTTP(rec, httptest.NewRequest(method, "/device", nil))
				if got := rec.Header(); rec.Code == 404 || got.Get("Cache-Control") != "no-store" || strings.Contains(fmt.Sprint(got), "4711") {
					t.Errorf("%s, spelling %d: got %d, %v", method, i, rec.Code, got)
				}
			}
		}
	}
}

// On the wire too, where HTTP/2 has names in lower case.
func TestCDNCachingOnTheWire(t *testing.T) {
	onEachProtocol(t, func(t *testing.T, proto string) {
		m := newWeb(t, nil)
		reads := false
		v := m.serve(t, proto, m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header()["CDN-Cache-Control"] = []string{"max-age=4712"}
			w.Header().Set("surrogate-control", "max-age=4712")
			if s := m.Get(r); reads {
				s.Get("n")
			} else {
				s.Put("n", 1)
			}
			w.(http.Flusher).Flush()
		})))
		for _, reads = range []bool{false, true} {
			want := ""
			if reads {
				want = "max-age=4712"
			}
			h := v.get().Header
			if h.Get("CDN-Cache-Control") != want || h.Get("Surrogate-Control") != want || h.Get("Cache-Control") != "private" {
				t.Errorf("reads %v: got %v", reads, h)
			}
		}
	})
}
