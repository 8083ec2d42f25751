package e2e

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestWebKit has WebKitGTK, Safari's relative, walk the demo: over TLS, since it refuses Secure cookies over plain HTTP
// even from localhost.
func TestWebKit(t *testing.T) {
	keys := newKeyFile(t)
	port := freePort(t)
	address := "http://127.0.0.1:" + port
	demo := start(t, "demo", demoProgram, "-addr", "127.0.0.1:"+port, "-keys", keys)
	demo.ready(t, address+"/healthz")
	site := overTLS(t, address)
	driver := startWebKit(t)
	w := openWindow(t, driver)

	step := func(name string, f func(t *testing.T)) {
		t.Run(name, func(t *testing.T) {
			outer := w.t
			w.t = t
			defer func() { w.t = outer }()
			f(t)
		})
		if t.Failed() {
			t.FailNow() // the window is where it should not be
		}
	}

	step("count", func(t *testing.T) {
		for _, want := range []string{"1 view of this page", "2 views of this page", "3 views of this page"} {
			w.open(site)
			if got := w.text(".count"); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		}
	})

	step("cookie", func(t *testing.T) {
		all := w.cookies()
		if len(all) != 1 {
			t.Fatalf("got %d cookies, want 1", len(all))
		}
		c := all[0]
		t.Logf("%s: %d bytes, HttpOnly %t, Secure %t, SameSite %s, domain %s, path %s", c.Name, len(c.Value), c.HTTPOnly, c.Secure, c.SameSite, c.Domain, c.Path)
		if c.Name != "__Host-session" || !c.HTTPOnly || !c.Secure || c.SameSite != "Lax" || c.Path != "/" || c.Domain != "localhost" {
			t.Errorf("got %+v", c)
		}
	})

	step("login", func(t *testing.T) {
		before := w.state(site)
		w.open(site)
		w.write("#login input[name=name]", "Ada")
		w.press("#login button")
		if got := w.text("#notice"); !strings.Contains(got, "Ada") {
			t.Errorf("notice: got %q", got)
		}
		w.reload()
		if got := w.text("#notice"); got != "" {
			t.Errorf("the notice is shown again: %q", got)
		}
		if s := w.state(site); s.User != "Ada" || s.ID == before.ID {
			t.Errorf("user %q, ID changed: %t", s.User, s.ID != before.ID)
		}
		w.open(site + "/members")
		if got := w.text("h1"); got != "Members" {
			t.Errorf("the members' page shows %q", got)
		}
	})

	step("restart", func(t *testing.T) {
		before := w.state(site)
		demo.kill()
		if err := demo.restart(); err != nil {
			t.Fatal(err)
		}
		demo.ready(t, address+"/healthz")
		if s := w.state(site); s.User != "Ada" || s.ID != before.ID {
			t.Errorf("user %q, refused %q", s.User, s.Refused)
		}
	})

	step("full", func(t *testing.T) {
		w.open(site)
		w.press("button[value=full]")
		full := w.state(site)
		t.Logf("%d bytes of data, %d of %d bytes of cookies, stored as %v", full.Filler, full.Size, full.MaxSize, w.sizes())
		if full.Size > full.MaxSize || full.Size < full.MaxSize-4 {
			t.Errorf("%d bytes of %d", full.Size, full.MaxSize)
		}
		w.open(site)
		w.press("button[value=byte]")
		if s := w.state(site); s.Filler != full.Filler || s.ID != full.ID {
			t.Errorf("one byte more: %d bytes are left of %d", s.Filler, full.Filler)
		}
		w.open(site)
		w.press("button[value=drop]")
		if n := len(w.sizes()); n != 1 {
			t.Errorf("%d cookies are left, want 1", n)
		}
	})

	step("logout with a slow response in flight", func(t *testing.T) {
		w.open(site)
		var first string
		w.do("GET", w.session+"/window", nil, &first)
		var second struct{ Handle string }
		w.do("POST", w.session+"/window/new", map[string]any{"type": "tab"}, &second)
		w.do("POST", w.session+"/window", map[string]any{"handle": second.Handle}, nil)
		w.open(site + "/healthz")
		w.run(`setTimeout(() => location.href = '/slow?wait=4s'); return ''`)
		<-time.After(time.Second)
		w.do("POST", w.session+"/window", map[string]any{"handle": first}, nil)
		w.press("form[action='/logout'] button")
		if s := w.state(site); s.User != "" {
			t.Fatalf("%s is still logged in", s.User)
		}
		w.do("POST", w.session+"/window", map[string]any{"handle": second.Handle}, nil)
		for i := 0; !strings.Contains(w.text("main"), "Ada"); i++ {
			if i == 100 {
				t.Fatalf("the slow page shows %q", w.text("body"))
			}
			<-time.After(100 * time.Millisecond)
		}
		w.do("POST", w.session+"/window", map[string]any{"handle": first}, nil)
		if s := w.state(site); s.User != "" || s.Refused != "ended" {
			t.Errorf("after the slow response: user %q, refused %q, want ended", s.User, s.Refused)
		}
	})

	step("another window", func(t *testing.T) {
		w.close()
		w = openWindow(t, driver)
		w.open(site)
		if got := w.text(".count"); got != "1 view of this page" {
			t.Errorf("got %q", got)
		}
	})

	step("nine cookies", func(t *testing.T) {
		port := freePort(t)
		large := start(t, "large", demoProgram, "-addr", "127.0.0.1:"+port, "-keys", keys, "-max-size", "34000")
		large.ready(t, "http://127.0.0.1:"+port+"/healthz")
		site := overTLS(t, "http://127.0.0.1:"+port)
		w.open(site)
		w.press("button[value=full]")
		full := w.state(site)
		sizes := w.sizes()
		t.Logf("%d bytes of data in %d cookies, %d bytes", full.Filler, len(sizes), full.Size)
		if len(sizes) != 9 || full.Refused != "" || full.Filler < 25_000 {
			t.Errorf("%d cookies, refused %q", len(sizes), full.Refused)
		}
		w.open(site)
		w.press("button[value=drop]")
		if n := len(w.sizes()); n != 1 {
			t.Errorf("%d cookies are left, want 1", n)
		}
	})
	w.close()
}

// sizes returns the bytes of name and value of the cookies that carry the session.
func (w *window) sizes() (bytes []int) {
	w.t.Helper()
	all := w.cookies()
	slices.SortFunc(all, func(a, b storedCookie) int { return strings.Compare(a.Name, b.Name) })
	for _, c := range all {
		if rest, ours := strings.CutPrefix(c.Name, "__Host-session"); ours && (rest == "" || len(rest) == 2) {
			bytes = append(bytes, len(c.Name)+len(c.Value))
		}
	}
	return bytes
}

// overTLS puts TLS and HTTP/2 in front of a server, and returns the address.
func overTLS(t *testing.T, server string) string {
	t.Helper()
	target, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Host = r.In.Host },
		Transport: &http.Transport{DisableKeepAlives: true}, // the server may have been killed meanwhile
	}
	front := httptest.NewUnstartedServer(proxy)
	front.EnableHTTP2 = true
	front.TLS = &tls.Config{}
	front.StartTLS()
	t.Cleanup(front.Close)
	_, port, _ := strings.Cut(strings.TrimPrefix(front.URL, "https://"), ":")
	return fmt.Sprintf("https://localhost:%s", port)
}
