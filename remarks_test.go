package cookiesession_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/seed-50e21e88/cookiesession"
)

// Clear-Site-Data: "cookies" in a response with Destroy makes browsers drop the marker too, so that a slow response logs
// the visitor in again. The log says so, once.
func TestClearSiteDataBesideDestroy(t *testing.T) {
	type lines = []string
	for _, test := range []struct {
		value lines
		warns bool
	}{
		{lines{`"cookies"`}, true},
		{lines{`"*"`}, true},
		{lines{`"cache", "cookies", "storage"`}, true},
		{lines{`"cache","cookies"`}, true},
		{lines{`"cache"`, `"cookies"`}, true},
		{lines{` "cookies" `}, true},
		{lines{`"cache", "storage"`}, false},
		{lines{`cookies`}, false}, // browsers want the quotes
		{lines{`"Cookies"`}, false},
		{lines{`"cookies2"`}, false},
		{lines{``}, false},
		{nil, false},
	} {
		for name, use := range map[string]struct {
			do    func(*cookiesession.Session)
			warns bool
		}{
			"logout":            {destroy, true},
			"logout and more":   {func(s *cookiesession.Session) { s.Destroy(); s.Put("n", 1) }, true},
			"logout and a flop": {func(s *cookiesession.Session) { s.Destroy(); s.Put("v", tooLarge) }, true},
			"change":            {put("n", 2), false},
			"read":              {touched, false},
		} {
			for _, form := range []string{"Handler", "Handler, set last", "Load and Save"} {
				m := newWeb(t, func(c *cookiesession.Config) {
					c.ErrorHandler = func(http.ResponseWriter, *http.Request, error) {}
				})
				v := newVisitor(t, m.Manager)
				v.visit(put("n", 1))
				for range 2 {
					switch form {
					case "Load and Save":
						h := http.Header{"Clear-Site-Data": test.value}
						s := v.load()
						use.do(s)
						m.Save(h, s)
					default:
						m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
							if form == "Handler" {
								w.Header()["Clear-Site-Data"] = test.value
							}
							use.do(m.Get(r))
							w.Header()["Clear-Site-Data"] = test.value
							w.WriteHeader(http.StatusOK)
						})).ServeHTTP(httptest.NewRecorder(), requestWith(v.header()))
					}
				}
				got := m.log.take()
				want := 0
				if test.warns && use.warns {
					want = 1
				}
				if strings.Count(got, "Clear-Site-Data") != want || strings.Count(got, "\n") != want {
					t.Errorf("%q, %s, %s: logged %q, want %d warnings", test.value, name, form, got, want)
				}
			}
		}
	}
}

// Where cookies can't stick, since Config.Domain isn't the host's, the log says so once.
func TestForeignHost(t *testing.T) {
	for host, warns := range map[string]bool{
		"shop.example": false, "Shop.Example": false, "www.shop.example": false, "www.shop.example:8443": false, "shop.example:80": false,
		"": false, "example": true, "bookshop.example": true, "shop.example.org": true, "localhost:8080": true, "127.0.0.1": true, "[::1]:80": true,
	} {
		for _, form := range forms {
			m := newWeb(t, func(c *cookiesession.Config) { c.Domain = "shop.example" })
			for _, do := range []func(*cookiesession.Session){touched, put("n", 1), put("n", 1)} {
				r := requestWith()
				r.Host = host
				if _, err := form.answer(m.Manager, r, do); err != nil {
					t.Fatal(err)
				}
			}
			want := 0
			if warns {
				want = 1
			}
			if got := m.log.take(); strings.Count(got, "Config.Domain") != want || strings.Count(got, "\n") != want {
				t.Errorf("%q, %s: logged %q, want %d warnings", host, form.name, got, want)
			}
		}
	}
	m := newWeb(t, nil) // host-only
	r := requestWith()
	r.Host = "anything.example"
	if _, err := forms[0].answer(m.Manager, r, put("n", 1)); err != nil || m.log.take() != "" {
		t.Errorf("warned of a host-only cookie, %v", err)
	}
}
