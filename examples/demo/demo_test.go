package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

func TestCounter(t *testing.T) {
	v := newVisitor(t, newSite(t, nil))
	for n, want := range []string{"1 view of this page", "2 views of this page", "3 views of this page"} {
		v.open("/")
		if got := v.page.byClass("count").text(); got != want {
			t.Errorf("load %d: got %q, want %q", n+1, got, want)
		}
	}
	v.open("/slow?wait=0s")
	v.call(http.MethodPost, "/api/count")
	if got := v.session()["views"]; got != 3.0 {
		t.Errorf("views after pages that are not the counted one: got %v, want 3", got)
	}
	if other := newVisitor(t, v.site); other.session()["id"] != "" {
		t.Error("a visitor who has seen nothing has a session")
	}
}

func TestName(t *testing.T) {
	v := newVisitor(t, newSite(t, nil))
	v.open("/")
	v.submit("/name", "name", " <b>Ada</b>  & co ")
	if got, want := v.notice(), "Your name is <b>Ada</b> & co."; got != want {
		t.Errorf("notice: got %q, want %q", got, want)
	}
	v.open("/")
	if got := v.notice(); got != "" {
		t.Errorf("the notice is shown again: %q", got)
	}
	if got, want := v.page.byClass("greeting").text(), "Hello, <b>Ada</b> & co."; got != want {
		t.Errorf("greeting: got %q, want %q", got, want)
	}
	for _, name := range []string{"", " \t ", strings.Repeat("é", 41), "\xff"} {
		v.submit("/name", "name", name)
		if got := v.session()["name"]; got != "<b>Ada</b> & co" {
			t.Fatalf("the name became %q", got)
		}
	}
	v.submit("/name", "name", strings.Repeat("é", 40))
	if got := v.session()["name"]; got != strings.Repeat("é", 40) {
		t.Errorf("a name of 40 characters: got %q", got)
	}
	id := v.session()["id"]
	v.submit("/clear")
	if s := v.session(); s["name"] != "" || s["id"] != id {
		t.Errorf("after Clear: name %q, ID kept: %t", s["name"], s["id"] == id)
	}
}

func TestCart(t *testing.T) {
	v := newVisitor(t, newSite(t, nil))
	v.open("/")
	if v.page.byID("cart").byClass("empty") == nil {
		t.Error("an empty cart does not say so")
	}
	v.submit("/cart", "op", "add ginger")
	v.submit("/cart", "op", "add ginger")
	v.submit("/cart", "op", "add oat")
	if got, want := v.page.byID("cart").byClass("total").text(), "Total €9.20"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	v.submit("/cart", "op", "remove ginger")
	v.submit("/cart", "op", "remove oat")
	if got, want := v.page.byID("cart").byClass("total").text(), "Total €3.20"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	v.submit("/cart", "op", "empty")
	if v.page.byID("cart").byClass("empty") == nil {
		t.Error("the cart was not emptied")
	}
}

func TestLogin(t *testing.T) {
	v := newVisitor(t, newSite(t, nil))
	v.open("/members")
	if got := v.notice(); !strings.Contains(got, "for those who are logged in") {
		t.Errorf("members without login: notice %q", got)
	}
	before := v.session()["id"]
	v.submit("/login", "name", "Ada")
	if s := v.session(); s["user"] != "Ada" || s["id"] == before {
		t.Errorf("after login: user %q, ID changed: %t", s["user"], s["id"] != before)
	}
	v.open("/members")
	if got := v.page.find(func(e *element) bool { return e.name == "h1" }).text(); got != "Members" {
		t.Fatalf("logged in, /members shows %q", got)
	}
	v.submit("/logout")
	if got := v.notice(); !strings.HasPrefix(got, "You are logged out.") {
		t.Errorf("notice: got %q", got)
	}
	v.open("/members")
	if s := v.session(); s["user"] != "" || v.page.byID("user") == nil {
		t.Errorf("after logout: user %q", s["user"])
	}
}

func TestRemember(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, remember := range []bool{false, true} {
			v := newVisitor(t, newSite(t, nil))
			v.open("/")
			want := ""
			if remember {
				v.submit("/login", "name", "Ada", "remember", "yes")
				want = "Ada"
			} else {
				v.submit("/login", "name", "Ada")
			}
			idle := v.jar.Clone()
			v.jar.Restart()
			if got := v.session()["user"]; got != want {
				t.Errorf("remember %t, browser restarted: user %q, want %q", remember, got, want)
			}
			v.jar = idle
			time.Sleep(20*time.Minute + time.Second)
			if got := v.session()["user"]; got != want {
				t.Errorf("remember %t, idle for 20 minutes: user %q, want %q", remember, got, want)
			}
		}
	})
}

func TestHowLongItLasts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVisitor(t, newSite(t, nil))
		v.open("/")
		facts := func() (list []string) {
			for _, line := range v.page.byID("session").byClass("facts").all(func(e *element) bool { return e.name == "div" }) {
				list = append(list, line.text())
			}
			return list[3:]
		}
		for _, step := range []struct {
			op      string
			want    []string
			restart bool // the session outlives the browser
		}{
			{"persist", []string{"Ends in 1 d 2 Jan 2000, 00:00:00 UTC", "Idle in 20 min 1 Jan 2000, 00:20:00 UTC", "When the browser closes it stays"}, true},
			{"close", []string{"Ends in 1 d 2 Jan 2000, 00:00:00 UTC", "Idle in 20 min 1 Jan 2000, 00:20:00 UTC", "When the browser closes it ends"}, false},
			{"minute", []string{"Ends in 1 min 1 Jan 2000, 00:01:00 UTC", "Idle in 20 min 1 Jan 2000, 00:20:00 UTC", "When the browser closes it ends"}, false},
		} {
			v.submit("/last", "op", step.op)
			if got := facts(); !slices.Equal(got, step.want) {
				t.Errorf("%s: the page says %q, want %q", step.op, got, step.want)
			}
			jar := v.jar.Clone()
			v.jar.Restart()
			if got := v.session()["id"] != ""; got != step.restart {
				t.Errorf("%s: outlives the browser: %t, want %t", step.op, got, step.restart)
			}
			v.jar = jar
		}
		time.Sleep(time.Minute)
		if got := v.session()["refused"]; got != "expired" {
			t.Errorf("after a minute: refused %q, want expired", got)
		}

		v.open("/")
		v.submit("/login", "name", "Ada", "remember", "yes")
		want := []string{"Ends in 30 d 31 Jan 2000, 00:01:00 UTC", "Idle at no time: it never idles out", "When the browser closes it stays: remembered"}
		if got := facts(); !slices.Equal(got, want) {
			t.Errorf("remembered: the page says %q, want %q", got, want)
		}
	})
}

func TestIdleIsPutOffByReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVisitor(t, newSite(t, nil))
		v.open("/")
		for range 4 {
			time.Sleep(15 * time.Minute)
			if s := v.session(); s["refused"] != "" {
				t.Fatalf("used every 15 minutes, yet refused: %s", s["refused"])
			}
		}
		v.open("/")
		if got, want := v.page.byClass("held").text(), "__Host-session.lease last seen sealed with key-1"; !strings.Contains(got, want) {
			t.Errorf("the page lists %q, want %q among them", got, want)
		}
		time.Sleep(20*time.Minute + time.Second)
		v.open("/")
		if got := v.page.byClass("problem").text(); !strings.Contains(got, "Idle: nobody used it") {
			t.Errorf("after 20 idle minutes the page says %q", got)
		}
	})
}

func TestRotate(t *testing.T) {
	v := newVisitor(t, newSite(t, nil))
	v.open("/")
	v.submit("/login", "name", "Ada")
	for n := 1; n <= maxMadeKeys+2; n++ {
		v.submit("/rotate")
		want := fmt.Sprintf("Your session came sealed with key-%d and is now sealed with key-%d .", n, n+1)
		if got := v.page.byID("keys").byClass("lead").text(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	s := v.session()
	if got, want := s["opened_by"], fmt.Sprintf("key-%d", maxMadeKeys+3); got != want {
		t.Errorf("opened by %v, want %s", got, want)
	}
	if s["user"] != "Ada" || s["views"] != float64(maxMadeKeys+4) {
		t.Errorf("after rotating: user %q, %v views", s["user"], s["views"])
	}
	if got := len(s["keys"].([]any)); got != maxMadeKeys {
		t.Errorf("got %d keys, want at most %d", got, maxMadeKeys)
	}
}

func TestEndAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(300 * time.Millisecond) // begin amid a second
		site := newSite(t, nil)
		v, other := newVisitor(t, site), newVisitor(t, site)
		v.open("/")
		v.submit("/login", "name", "Ada")
		other.open("/")
		other.submit("/login", "name", "Bea")

		v.submit("/end-all")
		if got := v.page.byID("keys").text(); !strings.Contains(got, "Every session that existed is refused") {
			t.Errorf("notice missing: %q", got)
		}
		for _, who := range []*visitor{v, other} {
			if s := who.session(); s["user"] != "" {
				t.Errorf("%s is still logged in", s["user"])
			}
		}
		v.submit("/login", "name", "Ada") // the page that followed can be used at once
		if s := v.session(); s["user"] != "Ada" {
			t.Errorf("logged in anew: user %q, refused %q", s["user"], s["refused"])
		}
	})
}

func TestLogoutSticksUnderSlowPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVisitor(t, newSite(t, nil))
		v.open("/")
		v.submit("/login", "name", "Ada")
		slow := v.request(http.MethodGet, "/slow?wait=10s", nil)
		arrived := make(chan struct{})
		go func() {
			defer close(arrived)
			if resp := v.do(slow); len(resp.Cookies()) == 0 {
				t.Error("the slow page set no cookie, so it shows nothing")
			}
		}()
		synctest.Wait()
		v.submit("/logout")
		<-arrived
		if s := v.session(); s["user"] != "" || s["refused"] != "ended" {
			t.Errorf("after the slow page: user %q, refused %q, want nobody and ended", s["user"], s["refused"])
		}
	})
}

func TestSlowPageStopsWithItsVisitor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVisitor(t, newSite(t, nil))
		v.open("/")
		ctx, leave := context.WithCancel(t.Context())
		leave()
		start := time.Now()
		resp := v.do(v.request(http.MethodGet, "/slow?wait=15s", nil).WithContext(ctx))
		if waited := time.Since(start); waited != 0 || len(resp.Cookies()) != 0 {
			t.Errorf("waited %v and set %d cookies for a visitor who has left", waited, len(resp.Cookies()))
		}
		v.open("/slow?wait=1h")
		if waited := time.Since(start); waited != maxWait {
			t.Errorf("asked to wait an hour: took %v, want %v", waited, maxWait)
		}
	})
}

func TestCSRF(t *testing.T) {
	site := newSite(t, nil)
	v, other := newVisitor(t, site), newVisitor(t, site)
	v.open("/")
	other.open("/")
	token := func(v *visitor) string {
		return v.page.find(func(e *element) bool { return e.attr["name"] == cookiesession.CSRFField }).attr["value"]
	}
	for _, test := range []struct {
		name, token, site string
		status            int
	}{
		{"no token", "", "same-origin", http.StatusForbidden},
		{"another visitor's token", token(other), "same-origin", http.StatusForbidden},
		{"sent from another site", token(v), "cross-site", http.StatusForbidden},
		{"our own form", token(v), "same-origin", http.StatusSeeOther},
	} {
		for _, path := range []string{"/name", "/cart", "/login", "/logout", "/clear", "/fill", "/rotate", "/end-all", "/steal"} {
			if test.status == http.StatusSeeOther && path != "/name" {
				continue
			}
			r := v.request(http.MethodPost, path, url.Values{"name": {"Eve"}, cookiesession.CSRFField: {test.token}})
			r.Header.Set("Sec-Fetch-Site", test.site)
			resp := v.do(r)
			if resp.StatusCode != test.status {
				t.Errorf("%s, POST %s: got status %d, want %d", test.name, path, resp.StatusCode, test.status)
			}
			if test.status == http.StatusForbidden {
				parsePage(t, resp.Body)
				if got := v.session()["name"]; got != "" {
					t.Fatalf("%s, POST %s: the name became %q", test.name, path, got)
				}
			}
		}
	}
	if got := v.session()["name"]; got != "Eve" {
		t.Errorf("our own form: name %q", got)
	}
}

// A visitor whose form is refused is told why.
func TestForbidden(t *testing.T) {
	site := newSite(t, nil)
	ended := newVisitor(t, site)
	ended.open("/")
	keyless := newVisitor(t, newSite(t, nil))
	keyless.open("/")
	keyless.site = site
	for _, test := range []struct {
		name      string
		v         *visitor
		site      string
		form      int // bytes
		status    int
		wantWords string
	}{
		{"from another site", ended, "cross-site", 10, http.StatusForbidden, "Another site sent it."},
		{"no cookie", newVisitor(t, site), "same-origin", 10, http.StatusForbidden, "Safari"},
		{"a session that has ended", keyless, "same-origin", 10, http.StatusForbidden, "has ended"},
		{"a wrong token", ended, "same-origin", 10, http.StatusForbidden, "not your session’s"},
		{"a large form", ended, "same-origin", maxBody, http.StatusRequestEntityTooLarge, "more than 65,536 bytes"},
	} {
		r := test.v.request(http.MethodPost, "/name", url.Values{
			cookiesession.CSRFField: {strings.Repeat("A", 33)}, "name": {strings.Repeat("x", test.form)},
		})
		r.Header.Set("Sec-Fetch-Site", test.site)
		resp := test.v.do(r)
		if got := parsePage(t, resp.Body).find(func(e *element) bool { return e.name == "main" }).text(); resp.StatusCode != test.status || !strings.Contains(got, test.wantWords) {
			t.Errorf("%s: got status %d, %q; want %d, %q", test.name, resp.StatusCode, got, test.status, test.wantWords)
		}
	}
}

func TestRestart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(file, []byte(`{"keys": [{"label": "a", "secret": "`+secret+`"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, file, env string }{
		{"key file", file, ""},
		{"environment", "", secret},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := func(name string) http.Handler {
				return newSite(t, func(o *options) {
					keys, err := openKeys(test.file, test.env)
					if err != nil {
						t.Fatal(err)
					}
					o.keys, o.server = keys, name
				})
			}
			v := newVisitor(t, server("one"))
			v.open("/")
			v.submit("/login", "name", "Ada")
			v.call(http.MethodPost, "/api/count")
			v.site = server("two")
			_, count := v.call(http.MethodPost, "/api/count")
			if count["n"] != 2.0 || count["server"] != "two" {
				t.Errorf("after a restart: counted %v on %v, want 2 on two", count["n"], count["server"])
			}
			v.open("/members")
			if got := v.page.byClass("who").text(); got != "Ada · served by two" {
				t.Errorf("after a restart: %q", got)
			}

			// These keys are an operator's, not a visitor's.
			v.open("/")
			ring := v.session()["ring"]
			token := v.page.find(func(e *element) bool { return e.attr["name"] == cookiesession.CSRFField }).attr["value"]
			for _, path := range []string{"/rotate", "/end-all"} {
				if v.page.find(func(e *element) bool { return e.attr["action"] == path }) != nil {
					t.Errorf("the page offers %s", path)
				}
				v.do(v.request(http.MethodPost, path, url.Values{cookiesession.CSRFField: {token}}))
			}
			if s := v.session(); s["ring"] != ring || s["user"] != "Ada" {
				t.Errorf("a visitor changed an operator's keys: ring %v, user %q", s["ring"], s["user"])
			}
		})
	}
	t.Run("keys of its own", func(t *testing.T) {
		v := newVisitor(t, newSite(t, nil))
		v.open("/")
		v.site = newSite(t, nil)
		if got := v.session()["refused"]; got != "unknown-key" {
			t.Errorf("another server's cookie: refused %q, want unknown-key", got)
		}
	})
}

const secret = "hex:00112233445566778899aabbccddeeff102132435465768798a9bacbdcedfe0f"
