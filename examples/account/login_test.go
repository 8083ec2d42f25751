package main

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestRegister(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, revokeByVersion)
		v := newVisitor(t, s.app)
		const badName = "A name has up to 32 letters a to z, digits, dots, hyphens and underscores, and begins with a letter or digit."
		for _, c := range []struct{ label, name, password, again, notice string }{
			{"no name", "", password, password, badName},
			{"markup", "<b>", password, password, badName},
			{"look-alike", "аda", password, password, badName}, // a Cyrillic first letter
			{"no UTF-8", "\xff", password, password, badName},
			{"too long for a cookie", strings.Repeat("n", 8000), password, password, badName},
			{"33 characters", strings.Repeat("n", 33), password, password, badName},
			{"14 characters", "ada", strings.Repeat("é", 14), strings.Repeat("é", 14), "A password has at least 15 characters. A few words do."},
			{"1,025 bytes", "ada", strings.Repeat("x", 1025), strings.Repeat("x", 1025), "This password is too long."},
			{"typing error", "ada", password, password + "x", "The two passwords differ."},
		} {
			v.open("/register").submit("/register", "name", c.name, "password", c.password, "again", c.again)
			if v.status != http.StatusOK || v.path != "/register" || v.notice() != c.notice {
				t.Errorf("%s: got %d %s %q, want %q", c.label, v.status, v.path, v.notice(), c.notice)
			}
		}
		for _, c := range []struct{ name, password, shown string }{
			{" Ada ", strings.Repeat("é", 15), "ada"},
			{strings.Repeat("n", 32), strings.Repeat("x", 1024), strings.Repeat("n", 32)},
		} {
			v = newVisitor(t, s.app)
			v.open("/register").submit("/register", "name", c.name, "password", c.password, "again", c.password)
			v.want(http.StatusOK, "/", "Welcome, "+c.shown+".")
			v.wantMember(c.shown)
			v = newVisitor(t, s.app)
			v.logIn(c.name, c.password).want(http.StatusOK, "/", "You are logged in as "+c.shown+".")
		}
		v = newVisitor(t, s.app)
		v.open("/register").submit("/register", "name", "ADA", "password", password, "again", password)
		v.want(http.StatusOK, "/register", "This name is taken.")
		if !strings.Contains(v.body, `value="ada"`) {
			t.Error("the name is to be typed again")
		}
	})
}

// TestOddNames: what somebody has typed always fits into the notice's cookie.
func TestOddNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVisitor(t, newSite(t, revokeByVersion).app)
		for _, c := range []struct{ name, shown string }{
			{"Ünal", "ünal"},
			{strings.Repeat("n", 100), strings.Repeat("n", 100)},
			{strings.Repeat("n", 101), ""},
			{strings.Repeat("n", 8000), ""},
			{"\xff", "\ufffd"},
		} {
			v.logIn(c.name, password).want(http.StatusOK, "/login", "Name or password is wrong.")
			if !strings.Contains(v.body, `name="name" value="`+c.shown+`"`) {
				t.Errorf("%.20q is not to be typed again as %.20q", c.name, c.shown)
			}
		}
	})
}

// TestFirstIsAdmin: and nobody else.
func TestFirstIsAdmin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, revokeByVersion)
		for _, c := range []struct {
			name   string
			status int
		}{{"root", http.StatusOK}, {"ada", http.StatusForbidden}} {
			if v := newVisitor(t, s.app).register(c.name).open("/admin"); v.status != c.status {
				t.Errorf("%s: got %d, want %d", c.name, v.status, c.status)
			}
		}
		if v := newVisitor(t, s.app).open("/admin"); v.path != "/login?next=admin" {
			t.Errorf("a stranger: got %s", v.path)
		}
	})
}

// TestNothingTellsAccounts: who isn't there, has another password or is blocked gets the same page, after the same work.
func TestNothingTellsAccounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, revokeByVersion)
		root := newVisitor(t, s.app).register("root")
		newVisitor(t, s.app).register("here")
		newVisitor(t, s.app).register("gone")
		root.open("/admin").submitTo("/admin/role", " gone\"", "role", "blocked")
		pages := map[string]string{}
		for _, c := range []struct{ label, name, password string }{
			{"no such account", "nobody", password},
			{"no such name", "<no name>", password},
			{"another password", "here", otherPassword},
			{"no password", "here", ""},
			{"blocked", "gone", password},
		} {
			v := newVisitor(t, s.app)
			worked := false
			finish := midway(s.app, func() { v.logIn(c.name, c.password); worked = true })
			if worked {
				t.Errorf("%s: answered without computing a hash", c.label)
			}
			finish()
			v.want(http.StatusOK, "/login", "Name or password is wrong.")
			v.wantMember("")
			body, _, _ := strings.Cut(v.body, "<form")
			pages[v.notice()+body] = c.label
		}
		if len(pages) != 1 {
			t.Errorf("pages differ: %v", pages)
		}
	})
}

// TestFixation: a session that somebody else knows of doesn't become a logged-in one.
func TestFixation(t *testing.T) {
	eachMeans(t, func(t *testing.T, s *site) {
		newVisitor(t, s.app).register("ada")
		v := newVisitor(t, s.app).open("/login")
		attacker := v.copied()
		v.submit("/login", "name", "ada", "password", password)
		v.wantMember("ada")
		attacker.wantMember("")
		// The copy's CSRF token is worth nothing in the session that came of it.
		stale, _ := attacker.open("/login").form("/login", "")
		v.do(http.MethodPost, "/logout", stale)
		if v.status != http.StatusForbidden {
			t.Errorf("logged out by the token of the session before: %d", v.status)
		}
	})
}

func TestNextLeadsToOwnPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, revokeByVersion)
		newVisitor(t, s.app).register("ada")
		for next, want := range map[string]string{
			"sessions": "/sessions", "password": "/password", "": "/",
			"//evil.example": "/", "https://evil.example": "/", "/sessions": "/", "logout": "/",
		} {
			v := newVisitor(t, s.app).open("/login")
			v.submit("/login", "name", "ada", "password", password, "next", next)
			if v.path != want {
				t.Errorf("next=%q: got %s, want %s", next, v.path, want)
			}
			v = newVisitor(t, s.app).open("/login?next=" + next)
			fields, _ := v.form("/login", "")
			if got := fields.Get("next"); want == "/" && got != "" {
				t.Errorf("the form took over next=%q", got)
			}
		}
		v := newVisitor(t, s.app).open("/sessions")
		v.submit("/login", "name", "ada", "password", password)
		v.want(http.StatusOK, "/sessions", "You are logged in as ada.")
	})
}

// TestConfirm: what is sensitive asks for the password again, once it was given too long ago.
func TestConfirm(t *testing.T) {
	eachMeans(t, func(t *testing.T, s *site) {
		v := newVisitor(t, s.app).register("ada") // who is an administrator, too
		other := phone(t, s, "ada")
		id := func() string {
			t.Helper()
			fields, _ := v.open("/sessions").form("/sessions/end", "")
			return fields.Get("login")
		}
		time.Sleep(confirmFor - time.Second)
		v.open("/password").want(http.StatusOK, "/password", "")
		time.Sleep(time.Second)
		for _, page := range []string{"/password", "/admin"} {
			v.open(page).want(http.StatusOK, "/confirm?next="+page[1:], "This needs your password again.")
		}
		for _, c := range []struct {
			action string
			pairs  []string
		}{
			{"/sessions/end", []string{"login", id()}},
			{"/sessions/end-others", nil},
			{"/password", []string{"password", otherPassword, "again", otherPassword}},
			{"/admin/role", []string{"account", "1", "role", "member"}},
			{"/admin/end", []string{"account", "1"}},
		} {
			fields, _ := v.open("/").form("/logout", "") // for its token
			for i := 0; i < len(c.pairs); i += 2 {
				fields.Set(c.pairs[i], c.pairs[i+1])
			}
			v.do(http.MethodPost, c.action, fields)
			if !strings.HasPrefix(v.path, "/confirm?next=") || v.notice() != "This needs your password again. Then press the button once more." {
				t.Errorf("%s: got %s %q", c.action, v.path, v.notice())
			}
		}
		other.wantMember("ada")

		v.open("/sessions").submit("/sessions/end-others")
		v.submit("/confirm", "password", otherPassword)
		v.want(http.StatusOK, "/confirm?next=sessions", "Name or password is wrong.")
		v.submit("/confirm", "password", password).want(http.StatusOK, "/sessions", "")
		v.submit("/sessions/end-others")
		other.wantMember("")
		v.wantMember("ada")
	})
}

// TestConfirmKeepsRemembering: Regenerate drops Remember unless it is called again.
func TestConfirmKeepsRemembering(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, revokeByVersion)
		newVisitor(t, s.app).register("ada")
		v := newVisitor(t, s.app).logIn("ada", password, "remember", "yes")
		time.Sleep(10 * 24 * time.Hour)
		v.confirm("/password").submit("/password", "password", otherPassword, "again", otherPassword)
		v.jar.Restart()
		time.Sleep(rememberFor - time.Second)
		v.jar.Restart()
		v.wantMember("ada")
		if got := v.sessions(); len(got) != 1 {
			t.Errorf("listed: got %q, want it for as long as it lasts", got)
		}
	})
}

func TestRememberMe(t *testing.T) {
	for _, c := range []struct {
		label    string
		remember string
		unused   time.Duration
		restart  bool
		want     string
	}{
		{"not remembered", "", idleTimeout, false, "ada"},
		{"not remembered, idle", "", idleTimeout + time.Second, false, ""},
		{"not remembered, browser closed", "", 0, true, ""},
		{"remembered, browser closed", "yes", 0, true, "ada"},
		{"remembered, to the last second", "yes", rememberFor - time.Second, true, "ada"},
		{"remembered, over", "yes", rememberFor, true, ""},
	} {
		t.Run(c.label, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, revokeByVersion)
				newVisitor(t, s.app).register("ada")
				v := newVisitor(t, s.app).logIn("ada", password, "remember", c.remember)
				copied := v.copied() // whatever the browser deletes, the server says what is over
				time.Sleep(c.unused)
				if c.restart {
					v.jar.Restart()
				}
				v.wantMember(c.want)
				if !c.restart || c.remember != "" {
					copied.wantMember(c.want)
				}
			})
		})
	}
}

// TestAbandonedRequest: a browser that goes away while sessions are ended doesn't stop that, nor harm the database in
// memory.
func TestAbandonedRequest(t *testing.T) {
	eachMeans(t, func(t *testing.T, s *site) {
		v := newVisitor(t, s.app).register("ada")
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		u, err := s.store.userByName(t.Context(), "ada")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.store.userByName(gone, "ada"); !errors.Is(err, context.Canceled) {
			t.Errorf("read: got %v, want %v", err, context.Canceled)
		}
		logins, err := s.store.logins(t.Context(), u.ID, time.Now())
		if err != nil || len(logins) != 1 {
			t.Fatalf("got %v, %v", logins, err)
		}
		if err := s.endLogin(gone, logins[0].ID); err != nil {
			t.Errorf("one: got %v", err)
		}
		v.wantMember("")
		v.logIn("ada", password)
		if err := s.endAll(gone, u.ID); err != nil {
			t.Errorf("all: got %v", err)
		}
		v.wantMember("")
	})
}
