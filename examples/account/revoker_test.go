package main

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestMySessions walks the page: what is listed, what is marked, and what ends.
func TestMySessions(t *testing.T) {
	eachMeans(t, func(t *testing.T, s *site) {
		laptop := newVisitor(t, s.app).register("ada")
		if got, want := laptop.sessions(), []string{"Firefox on Linux *"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		time.Sleep(time.Minute)
		mobile := phone(t, s, "ada")
		stranger := newVisitor(t, s.app).register("eve")
		time.Sleep(2 * time.Minute)
		tablet := phone(t, s, "ada")
		tablet.agent = "curl/8"
		if got, want := laptop.sessions(), []string{"Chrome on Android", "Chrome on Android", "Firefox on Linux *"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}

		// The first line is the tablet's: it logged in last.
		laptop.submitTo("/sessions/end", "Chrome on Android")
		laptop.want(http.StatusOK, "/sessions", "The session has ended.")
		tablet.wantMember("")
		mobile.wantMember("ada")

		laptop.submit("/sessions/end-others")
		laptop.want(http.StatusOK, "/sessions", "All your other sessions have ended.")
		if got, want := laptop.sessions(), []string{"Firefox on Linux *"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		mobile.wantMember("")
		laptop.wantMember("ada")
		stranger.wantMember("eve")
	})
}

// TestLogoutEndsCopies: Destroy alone leaves a copied cookie good until it expires.
func TestLogoutEndsCopies(t *testing.T) {
	eachMeans(t, func(t *testing.T, s *site) {
		v := newVisitor(t, s.app).register("ada")
		thief := v.copied()
		thief.wantMember("ada")
		v.open("/").submit("/logout")
		v.want(http.StatusOK, "/", "You are logged out.")
		v.wantMember("")
		thief.wantMember("")
	})
}

// TestLogoutDespiteTheDatabase: the visitor's own browser is logged out in any case.
func TestLogoutDespiteTheDatabase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, revokeByMemory)
		v := newVisitor(t, s.app).register("ada").open("/sessions")
		if _, err := s.store.db.Exec("ALTER TABLE logins RENAME TO away"); err != nil {
			t.Fatal(err)
		}
		v.submit("/logout").want(http.StatusOK, "/", "You are logged out.")
		if _, err := s.store.db.Exec("ALTER TABLE away RENAME TO logins"); err != nil {
			t.Fatal(err)
		}
		v.wantMember("")
	})
}

// TestCopyOfTheOneThatStays: who copied the very cookie of the browser in which "log out everywhere else" is pressed is
// somewhere else.
func TestCopyOfTheOneThatStays(t *testing.T) {
	eachMeans(t, func(t *testing.T, s *site) {
		v := newVisitor(t, s.app).register("ada")
		thief := v.copied()
		v.open("/sessions").submit("/sessions/end-others")
		v.wantMember("ada")
		thief.wantMember("")
	})
}

// TestRegenerateDoesNotSave: a session that is regenerated while the others are ended is young afterwards, and over all
// the same.
func TestRegenerateDoesNotSave(t *testing.T) {
	eachMeans(t, func(t *testing.T, s *site) {
		laptop := newVisitor(t, s.app).register("ada")
		mobile := phone(t, s, "ada")
		time.Sleep(confirmFor)
		laptop.confirm("/password")

		there := s.server() // which the phone talks to
		mobile.at(there)
		mobile.open("/password")
		finish := midway(there, func() { mobile.submit("/confirm", "password", password) })
		laptop.open("/sessions").submit("/sessions/end-others")
		time.Sleep(time.Minute)
		finish()
		mobile.want(http.StatusOK, "/login?next=password", "Please log in first.")
		mobile.wantMember("")
		laptop.wantMember("ada")
	})
}

// TestLoginUnderWay: the password is right when it is looked up, and is changed before the session begins.
func TestLoginUnderWay(t *testing.T) {
	for _, change := range []struct {
		name string
		do   func(owner, admin *visitor)
	}{
		{"password", func(owner, _ *visitor) {
			owner.open("/password").submit("/password", "password", otherPassword, "again", otherPassword)
		}},
		{"everywhere else", func(owner, _ *visitor) { owner.open("/sessions").submit("/sessions/end-others") }},
		{"administrator", func(_, admin *visitor) { admin.open("/admin").submitTo("/admin/end", " ada\"") }},
		{"blocked", func(_, admin *visitor) { admin.open("/admin").submitTo("/admin/role", " ada\"", "role", "blocked") }},
	} {
		t.Run(change.name, func(t *testing.T) {
			eachMeans(t, func(t *testing.T, s *site) {
				admin := newVisitor(t, s.app).register("root")
				owner := newVisitor(t, s.app).register("ada")
				there := s.server()
				thief := newVisitor(t, there)
				thief.agent = androidChrome
				finish := midway(there, func() { thief.logIn("ada", password) })
				change.do(owner, admin)
				finish()
				thief.want(http.StatusOK, "/login", "The account was changed while you logged in. Please try again.")
				thief.wantMember("")
				if change.name == "password" || change.name == "everywhere else" {
					if got, want := owner.sessions(), []string{"Firefox on Linux *"}; !slices.Equal(got, want) {
						t.Errorf("listed: got %q, want %q", got, want)
					}
				}
			})
		})
	}
}

// TestResponseUnderWay: the session has begun, but its cookie reaches the browser after the others were ended.
func TestResponseUnderWay(t *testing.T) {
	eachMeans(t, func(t *testing.T, s *site) {
		owner := newVisitor(t, s.app).register("ada")
		thief := newVisitor(t, s.app)
		thief.open("/login")
		fields, _ := thief.form("/login", "")
		fields.Set("name", "ada")
		fields.Set("password", password)
		thief.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		thief.do(http.MethodPost, "/login", fields)
		thief.client.CheckRedirect = nil
		owner.open("/sessions").submit("/sessions/end-others")
		thief.wantMember("")
	})
}

// TestMomentsBeforeTheSessionBegins: the same, in the moment in which the login has been listed already.
func TestMomentsBeforeTheSessionBegins(t *testing.T) {
	eachMeans(t, func(t *testing.T, s *site) {
		newVisitor(t, s.app).register("ada")
		thief := newVisitor(t, s.app)
		thief.site = s.sessions.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			keep := s.revoker.begin()
			u, err := s.store.userByName(r.Context(), "ada")
			if err == nil {
				err = s.endAll(r.Context(), u.ID)
			}
			if err == nil {
				_, err = s.store.db.Exec("INSERT INTO logins VALUES ('late', ?, 'device', 0, 0, 1 << 40)", u.ID)
			}
			if err != nil {
				t.Error(err)
			}
			session := s.sessions.Get(r)
			userID.Put(session, u.ID)
			loginID.Put(session, "late")
			renew(session, false)
			keep(session, u)
		}))
		thief.open("/")
		thief.at(s.app)
		thief.wantMember("")
	})
}

// TestSameSecond: sessions that begin in the second in which others end are neither spared nor caught.
func TestSameSecond(t *testing.T) {
	eachMeans(t, func(t *testing.T, s *site) {
		start := time.Now()
		owner := newVisitor(t, s.app).register("ada")
		before := phone(t, s, "ada")
		owner.open("/sessions").submit("/sessions/end-others")
		after := phone(t, s, "ada")
		before.wantMember("")
		after.wantMember("ada")
		owner.wantMember("ada")
		if !time.Now().Equal(start) {
			t.Fatal("time has passed, so this shows nothing")
		}
	})
}

// TestEndedCannotEndOthers: of two sessions that end each other at a time, one stays. The other must not come out of it
// with the newest version.
func TestEndedCannotEndOthers(t *testing.T) {
	for _, change := range []struct {
		name, page string
		pairs      []string
	}{
		{"password", "/password", []string{"password", otherPassword, "again", otherPassword}},
		{"confirmation", "/confirm", []string{"password", password}},
	} {
		t.Run(change.name, func(t *testing.T) {
			eachMeans(t, func(t *testing.T, s *site) {
				owner := newVisitor(t, s.app).register("ada")
				there := s.server()
				thief := phone(t, s, "ada")
				thief.at(there)
				thief.open(change.page)
				finish := midway(there, func() { thief.submit(change.page, change.pairs...) })
				owner.open("/sessions").submit("/sessions/end-others")
				finish()
				thief.wantMember("")
				owner.wantMember("ada")
				if owner.copied().logIn("ada", password); owner.status != http.StatusOK {
					t.Errorf("the password that stays: got %d", owner.status)
				}
			})
		})
	}
}

func TestChangePassword(t *testing.T) {
	eachMeans(t, func(t *testing.T, s *site) {
		laptop := newVisitor(t, s.app).register("ada")
		mobile, thief := phone(t, s, "ada"), laptop.copied()
		laptop.open("/password").submit("/password", "password", otherPassword, "again", otherPassword)
		laptop.want(http.StatusOK, "/sessions", "Your password is changed, and all your other sessions have ended.")
		laptop.wantMember("ada")
		mobile.wantMember("")
		thief.wantMember("")
		mobile.logIn("ada", password).want(http.StatusOK, "/login", "Name or password is wrong.")
		mobile.logIn("ada", otherPassword)
		mobile.wantMember("ada")
	})
}

// TestEndOneOfAnother: nobody ends the sessions of others by their ID, though it is no secret that opens anything.
func TestEndOneOfAnother(t *testing.T) {
	eachMeans(t, func(t *testing.T, s *site) {
		ada, eve := newVisitor(t, s.app).register("ada"), newVisitor(t, s.app).register("eve")
		u, err := s.store.userByName(t.Context(), "ada")
		if err != nil {
			t.Fatal(err)
		}
		logins, err := s.store.logins(t.Context(), u.ID, time.Now())
		if err != nil || len(logins) != 1 {
			t.Fatalf("got %v, %v", logins, err)
		}
		phone(t, s, "eve")
		eve.open("/sessions").submit("/sessions/end", "login", logins[0].ID)
		eve.want(http.StatusOK, "/sessions", "This session has ended already.")
		ada.wantMember("ada")
	})
}

// TestAnotherInTheSameBrowser: who logs in where somebody is logged in ends that session, and inherits nothing of it.
func TestAnotherInTheSameBrowser(t *testing.T) {
	eachMeans(t, func(t *testing.T, s *site) {
		v := newVisitor(t, s.app).register("ada")
		copied := v.copied()
		newVisitor(t, s.app).register("eve")
		v.logIn("eve", password)
		v.wantMember("eve")
		copied.wantMember("")
		laptop := phone(t, s, "ada")
		if got, want := laptop.sessions(), []string{"Chrome on Android *"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// TestValuesOfAnother: nor may what the application keeps in sessions go from one account to another.
func TestValuesOfAnother(t *testing.T) {
	eachMeans(t, func(t *testing.T, s *site) {
		v := newVisitor(t, s.app).register("ada")
		v.site = s.sessions.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			session := s.sessions.Get(r)
			session.Put("draft", "of ada")
			u, err := s.store.addUser(r.Context(), "eve", "no hash")
			if err == nil {
				err = s.startSession(r, u, s.revoker.begin())
			}
			if err != nil || session.Has("draft") {
				t.Errorf("got keys %q, %v", session.Keys(), err)
			}
		}))
		v.site = sharingRows(v.site)
		v.open("/")
		v.at(s.app)
		v.wantMember("eve")
	})
}

// TestListForgets: what has idled out is no longer listed, what is in use stays, and is used "just now".
func TestListForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, revokeByVersion)
		laptop := newVisitor(t, s.app).register("ada")
		phone(t, s, "ada")
		for range 6 {
			time.Sleep(10 * time.Minute)
			if got := laptop.sessions(); len(got) != 2 {
				t.Errorf("too early: got %q", got)
			}
		}
		time.Sleep(10 * time.Minute)
		if got, want := laptop.sessions(), []string{"Firefox on Linux *"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		if !strings.Contains(laptop.body, ">just now<") {
			t.Errorf("got %q", laptop.body)
		}
		time.Sleep(idleTimeout - time.Second)
		laptop.wantMember("ada")
	})
}

// TestLastUseRevivesNothing: a request that is under way while its session ends must not put it back on the list.
func TestLastUseRevivesNothing(t *testing.T) {
	eachMeans(t, func(t *testing.T, s *site) {
		v := newVisitor(t, s.app).register("ada")
		u, err := s.store.userByName(t.Context(), "ada")
		if err != nil {
			t.Fatal(err)
		}
		logins, err := s.store.logins(t.Context(), u.ID, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		v.open("/").submit("/logout")
		if err := s.store.touch(t.Context(), logins[0].ID, time.Now(), time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if logins, err := s.store.logins(t.Context(), u.ID, time.Now()); err != nil || len(logins) != 0 {
			t.Errorf("got %v, %v, want none", logins, err)
		}
	})
}

func TestRolesChangeAtOnce(t *testing.T) {
	eachMeans(t, func(t *testing.T, s *site) {
		root, ada := newVisitor(t, s.app).register("root"), newVisitor(t, s.app).register("ada")
		if ada.open("/admin"); ada.status != http.StatusForbidden {
			t.Errorf("a member: got %d, want 403", ada.status)
		}
		setRole := func(role, notice string) {
			t.Helper()
			root.confirm("/admin").submitTo("/admin/role", " ada\"", "role", role)
			root.want(http.StatusOK, "/admin", notice)
		}
		setRole("admin", "The role is changed, and counts from now on.")
		ada.confirm("/admin")
		setRole("member", "The role is changed, and counts from now on.")
		if ada.open("/admin"); ada.status != http.StatusForbidden {
			t.Errorf("a member again: got %d, want 403", ada.status)
		}
		setRole("emperor", "Nobody changes the role of their own account.")
		if strings.Contains(ada.open("/").body, "/admin") {
			t.Error("a member is shown the administrators' page")
		}

		setRole("blocked", "The role is changed, and counts from now on.")
		ada.wantMember("")
		ada.logIn("ada", password).want(http.StatusOK, "/login", "Name or password is wrong.")
		copied := ada.copied()
		setRole("member", "The role is changed, and counts from now on.")
		copied.wantMember("") // what has ended stays so
		ada.logIn("ada", password)
		ada.wantMember("ada")

		root.open("/admin").submitTo("/admin/end", " ada\"")
		root.want(http.StatusOK, "/admin", "All sessions of the account have ended.")
		ada.wantMember("")
		root.wantMember("root")
	})
}

// TestBlockedIsNobody: even before, or without, the end of the sessions.
func TestBlockedIsNobody(t *testing.T) {
	eachMeans(t, func(t *testing.T, s *site) {
		v := newVisitor(t, s.app).register("ada")
		if err := s.store.setRole(t.Context(), 1, roleBlocked); err != nil {
			t.Fatal(err)
		}
		v.wantMember("")
		if v.open("/sessions"); v.path != "/login?next=sessions" {
			t.Errorf("got %s", v.path)
		}
	})
}

func TestAdminsKeepTheirRole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, revokeByVersion)
		root := newVisitor(t, s.app).register("root")
		newVisitor(t, s.app).register("ada")
		root.open("/admin").submitTo("/admin/role", " ada\"", "account", "1", "role", "member")
		root.want(http.StatusOK, "/admin", "Nobody changes the role of their own account.")
		root.submitTo("/admin/role", " ada\"", "account", "99", "role", "member")
		root.want(http.StatusOK, "/admin", "There is no such account.")
		if root.open("/admin").status != http.StatusOK {
			t.Errorf("got %d, want 200", root.status)
		}
	})
}

// TestStoreKeepsVersions: what hands out a version that is good does so only to those who have one.
func TestStoreKeepsVersions(t *testing.T) {
	st, err := openStore(t.TempDir() + "/accounts ?#.db")
	if err != nil {
		t.Fatal(err)
	}
	defer st.close()
	ctx := t.Context()
	ada, err := st.addUser(ctx, "ada", "hash")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	mine := login{ID: "mine", Created: now, Seen: now, expires: now.Add(time.Hour)}
	if err := st.addLogin(ctx, ada, mine); err != nil {
		t.Fatal(err)
	}
	if _, err := st.endOthers(ctx, ada, "another's", "new"); !errors.Is(err, errEnded) {
		t.Errorf("login not listed: got %v, want %v", err, errEnded)
	}
	version, err := st.endOthers(ctx, ada, "mine", "new")
	if err != nil || version != ada.version+1 {
		t.Errorf("got %d, %v, want %d", version, err, ada.version+1)
	}
	if _, err := st.endOthers(ctx, ada, "mine", "newer"); !errors.Is(err, errEnded) {
		t.Errorf("old version: got %v, want %v", err, errEnded)
	}
	if err := st.addLogin(ctx, ada, login{ID: "late", Created: now, Seen: now, expires: now.Add(time.Hour)}); !errors.Is(err, errEnded) {
		t.Errorf("late login: got %v, want %v", err, errEnded)
	}
	if got, err := st.userByName(ctx, "ada"); err != nil || got.password != "new" {
		t.Errorf("password: got %q, %v, want what the good version set", got.password, err)
	}
	if _, err := st.addUser(ctx, "ada", "hash"); !errors.Is(err, errTaken) {
		t.Errorf("name: got %v, want %v", err, errTaken)
	}
	if err := st.addLogin(ctx, user{ID: ada.ID, version: version}, login{ID: "next", Created: now.Add(time.Hour), Seen: now, expires: now}); err != nil {
		t.Fatal(err)
	}
	if logins, err := st.logins(ctx, ada.ID, now.Add(-time.Second)); err != nil || len(logins) != 1 || logins[0].ID != "next" {
		t.Errorf("got %v, %v, want what has expired to be gone", logins, err)
	}
}
