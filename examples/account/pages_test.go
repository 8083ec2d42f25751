package main

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestEveryPage: headers, no script, no inline style, a way out in sight.
func TestEveryPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, revokeByVersion)
		stranger, member := newVisitor(t, s.app), newVisitor(t, s.app).register("ada")
		for _, c := range []struct {
			path, title string
			v           *visitor
			status      int
		}{
			{"/", "Log out everywhere, with sessions in cookies", stranger, 200},
			{"/register", "Register", stranger, 200},
			{"/login", "Log in", stranger, 200},
			{"/", "Hello, ada", member, 200},
			{"/confirm", "Is it you, ada?", member, 200},
			{"/sessions", "My sessions", member, 200},
			{"/password", "Change your password", member, 200},
			{"/admin", "Accounts and roles", member, 200},
		} {
			c.v.open(c.path)
			if c.v.status != c.status || c.v.path != c.path || c.v.title() != c.title {
				t.Errorf("%s: got %d %s %q, want %q", c.path, c.v.status, c.v.path, c.v.title(), c.title)
			}
			for name, want := range map[string]string{
				"Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
				"X-Content-Type-Options":  "nosniff",
				"Cache-Control":           "no-store",
				"Content-Type":            "text/html; charset=utf-8",
			} {
				if got := c.v.header.Get(name); !strings.Contains(got, want) {
					t.Errorf("%s: %s: got %q, want %q", c.path, name, got, want)
				}
			}
			if found := regexp.MustCompile(`<script|<style| style=| on[a-z]+=`).FindString(c.v.body); found != "" {
				t.Errorf("%s: has %q", c.path, found)
			}
			if _, found := c.v.form("/logout", "Log out"); found != (c.v == member) {
				t.Errorf("%s: logout in sight: %t", c.path, found)
			}
			if strings.Contains(c.v.body, "$argon2id$") {
				t.Errorf("%s shows a hash", c.path)
			}
		}
	})
}

// TestFormsNeedTheirToken: no form works without the token of the visitor's session, or when another site sends it.
func TestFormsNeedTheirToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, revokeByVersion)
		v, other := newVisitor(t, s.app).register("ada"), newVisitor(t, s.app).register("eve")
		mobile := phone(t, s, "ada")
		foreign, _ := other.open("/").form("/logout", "")
		login, _ := v.open("/sessions").form("/sessions/end", "")
		for action, fields := range map[string]url.Values{
			"/register":            {"name": {"new"}, "password": {password}, "again": {password}},
			"/login":               {"name": {"eve"}, "password": {password}},
			"/logout":              {},
			"/confirm":             {"password": {password}},
			"/sessions/end":        {"login": login["login"]},
			"/sessions/end-others": {},
			"/password":            {"password": {otherPassword}, "again": {otherPassword}},
			"/admin/role":          {"account": {"2"}, "role": {"blocked"}},
			"/admin/end":           {"account": {"2"}},
		} {
			for label, token := range map[string]string{"none": "", "another's": foreign.Get("csrf_token")} {
				fields.Set("csrf_token", token)
				if v.do(http.MethodPost, action, fields); v.status != http.StatusForbidden || v.title() != "This form has expired" {
					t.Errorf("%s, token %s: got %d %q", action, label, v.status, v.title())
				}
			}
			right, _ := v.open("/").form("/logout", "")
			fields.Set("csrf_token", right.Get("csrf_token"))
			r, err := http.NewRequest(http.MethodPost, origin+action, strings.NewReader(fields.Encode()))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("Cookie", v.jar.Header(r.URL))
			r.Header.Set("Sec-Fetch-Site", "cross-site")
			if resp, err := v.RoundTrip(r); err != nil || resp.StatusCode != http.StatusForbidden {
				t.Errorf("%s from another site: got %v, %v", action, resp.StatusCode, err)
			}
		}
		for _, still := range []*visitor{v, mobile} {
			still.wantMember("ada")
		}
		other.wantMember("eve")
		newVisitor(t, s.app).logIn("new", password).want(http.StatusOK, "/login", "Name or password is wrong.")
	})
}

func TestNoticeIsShownOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVisitor(t, newSite(t, revokeByVersion).app).open("/sessions")
		v.want(http.StatusOK, "/login?next=sessions", "Please log in first.")
		v.open("/login").want(http.StatusOK, "/login", "")
	})
}

// TestOtherRequests: what a browser asks for by itself starts no session, and what is there can't be listed.
func TestOtherRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, revokeByVersion)
		v := newVisitor(t, s.app)
		for path, want := range map[string]int{
			"/favicon.ico": 404, "/static/icon.svg": 200, "/static/style.css": 200, "/logout": 405, "/sessions/end": 405, "/nothing": 404,
		} {
			if v.open(path); v.status != want || len(v.jar.All()) > 0 {
				t.Errorf("%s: got %d and cookies %v, want %d and none", path, v.status, v.jar.All(), want)
			}
		}
		if got := v.open("/static/style.css").header.Get("Cache-Control"); got != "public, max-age=300" {
			t.Errorf("style: got %q", got)
		}
		v.open("/login").submit("/login", "name", "ada", "password", strings.Repeat("x", maxBody))
		if v.status == http.StatusOK {
			t.Errorf("a body above the limit: got %d", v.status)
		}
	})
}

// TestDatabaseFails: nobody is told why, and nobody loses a session by it.
func TestDatabaseFails(t *testing.T) {
	eachMeans(t, func(t *testing.T, s *site) {
		v := newVisitor(t, s.app).register("ada")
		token, _ := v.open("/sessions").form("/sessions/end-others", "")
		before := v.sessionCookie(s.app)
		if _, err := s.store.db.Exec("ALTER TABLE users RENAME TO away"); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{"/", "/sessions", "/password", "/admin"} {
			if v.open(path); v.status != http.StatusServiceUnavailable || v.title() != "Something went wrong" || strings.Contains(v.body, "no such table") {
				t.Errorf("%s: got %d %q", path, v.status, v.body)
			}
		}
		if v.do(http.MethodPost, "/sessions/end-others", token); v.status != http.StatusServiceUnavailable {
			t.Errorf("got %d %q", v.status, v.title())
		}
		if after := v.sessionCookie(s.app); after != before {
			t.Error("the session was replaced")
		}
		if _, err := s.store.db.Exec("ALTER TABLE away RENAME TO users"); err != nil {
			t.Fatal(err)
		}
		v.wantMember("ada")
	})
}

func TestAgo(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                  "just now",
		20*time.Minute - 1: "just now",
		20 * time.Minute:   "within the last hour",
		time.Hour - 1:      "within the last hour",
		time.Hour:          "an hour ago",
		2*time.Hour - 1:    "an hour ago",
		2 * time.Hour:      "2 hours ago",
		24*time.Hour - 1:   "23 hours ago",
		24 * time.Hour:     "a day ago",
		48*time.Hour - 1:   "a day ago",
		48 * time.Hour:     "2 days ago",
		rememberFor - 1:    "29 days ago",
	} {
		if got := ago(d); got != want {
			t.Errorf("%v: got %q, want %q", d, got, want)
		}
	}
}
