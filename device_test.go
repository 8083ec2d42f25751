package cookiesession_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

// TestDeviceLife walks from login to logout as a browser that binds sessions does.
func TestDeviceLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := newShop(t, nil)
		b := newDeviceBrowser(t, shop)
		b.busy = true
		b.want(b.visit("/login", typed), "new")
		if got, want := b.names(), "[.] [.device]"; got != want {
			t.Fatalf("after login: got cookies %s, want %s", got, want)
		}
		b.want(b.visit("/", ownPage), "ada")
		b.busy = false
		b.register()
		if got, want := b.names(), "[.] [.device] [.proof]"; got != want {
			t.Fatalf("after registration: got cookies %s, want %s", got, want)
		}
		b.want(b.visit("/", ownPage), "ada proven")

		time.Sleep(8*time.Minute + time.Second) // under two minutes are left
		b.want(b.visit("/change", ownPage), "ada proven")
		if got, want := strings.Join(b.did, ", "), "register 200, refresh 200"; got != want {
			t.Errorf("the browser did %s, want %s", got, want)
		}
		time.Sleep(time.Hour) // the proof is gone
		b.want(b.visit("/", typed), "ada proven")
		time.Sleep(time.Hour)
		p := b.visit("/", otherSite)
		if b.want(p, "ada proven"); !p.again {
			t.Error("a link from another site: the browser renewed, though it was another site's request")
		}
		thief := b.thief()
		thief.want(thief.visit("/", typed), "ada proven")
		time.Sleep(11 * time.Minute)
		thief.want(thief.visit("/", typed), "unproven")
		b.want(b.visit("/logout", ownPage), "ada proven")
		b.want(b.visit("/", ownPage), "new")
		if got, want := b.names(), "[.ended]"; got != want {
			t.Errorf("after logout: got cookies %s, want %s", got, want)
		}
		if len(b.bindings) != 0 {
			t.Errorf("after logout: the browser keeps %d bindings, want none", len(b.bindings))
		}
		want := cookiesession.DeviceStats{Offered: 1, Registered: 1, Refreshed: 4, Ended: 1, Retried: 2}
		if got := shop.m.Stats().Device; got != want {
			t.Errorf("got Stats.Device %+v, want %+v", got, want)
		}
	})
}

// TestDeviceUnable is the visitor whose browser can't bind sessions, or may not: nothing changes.
func TestDeviceUnable(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(b *deviceBrowser)
	}{
		{"no such feature", func(b *deviceBrowser) { b.able = false }},
		{"quota used up at login", func(b *deviceBrowser) {
			for range 6 {
				b.maySign()
			}
		}},
		{"registration comes too late", func(b *deviceBrowser) {
			b.busy = true
			b.visit("/login", typed)
			time.Sleep(5*time.Minute + time.Second)
			b.busy = false
			b.register()
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newDeviceBrowser(t, newShop(t, nil))
				c.spoil(b)
				if len(b.did) == 0 {
					b.visit("/login", typed)
				}
				for _, from := range []string{typed, ownPage, otherSite, otherHost} {
					time.Sleep(time.Hour)
					b.want(b.visit("/", from), "ada")
				}
				b.want(b.visit("/change", ownPage), "ada")
				b.able = false // or another invitation might go well
				b.want(b.visit("/regenerate", ownPage), "ada")
				b.want(b.visit("/extend", ownPage), "ada")
				time.Sleep(47 * time.Hour)
				b.want(b.visit("/", ownPage), "ada")
			})
		})
	}
}

// bound returns a browser that is logged in and bound.
func bound(t *testing.T, s shop) *deviceBrowser {
	t.Helper()
	b := newDeviceBrowser(t, s)
	b.visit("/login", typed)
	b.want(b.visit("/", ownPage), "ada proven")
	return b
}

// actions are what a thief may call.
var actions = []string{"/", "/change", "/regenerate", "/mallory", "/remember", "/persist", "/extend", "/start-anew", "/logout"}

// TestDeviceTheft copies the jar of a bound session and does with it what a thief may: it is worth nothing once the
// proof in it has expired, whatever was called in the meantime, by whatever browser.
func TestDeviceTheft(t *testing.T) {
	for _, stolen := range []struct {
		name  string
		after time.Duration // registration
	}{
		{"at once", 0},
		{"in the middle", 5 * time.Minute},
		{"when the cookie is about to go", deviceProof - time.Second},
		{"when the cookie has gone", deviceProof + time.Second},
	} {
		for _, action := range actions {
			for _, without := range []string{"", ".proof.", ".device."} {
				for _, able := range []bool{false, true} {
					t.Run(fmt.Sprintf("%s, %s, without %s, able %v", stolen.name, action, without, able), func(t *testing.T) {
						synctest.Test(t, func(t *testing.T) {
							b := bound(t, newShop(t, nil))
							time.Sleep(stolen.after)
							thief := b.thief()
							thief.able = able
							if without != "" {
								thief.drop(without)
							}
							lives := without == "" && stolen.after < deviceProof
							if lives {
								thief.want(thief.visit(action, typed), "ada proven")
							} else {
								thief.want(thief.visit(action, typed), "unproven")
							}
							copied := thief.thief() // with what the actions set
							time.Sleep(deviceProof + time.Minute - stolen.after - time.Second)
							if lives && (action == "/" || action == "/change") { // to the last second
								thief.want(thief.visit("/", typed), "ada proven")
							}
							time.Sleep(time.Second)
							for _, also := range actions {
								copied.able = !able
								copied.clone().wantNobody(copied.clone().visit(also, typed))
								thief.clone().wantNobody(thief.clone().visit(also, typed))
							}
							thief.wantNobody(thief.visit("/", otherSite))
							for _, bound := range thief.bindings { // of sessions of its own at most
								if bound.cookie == ownerProof(b) {
									t.Error("the thief has registered a key of its own for the session that it stole")
								}
							}
							b.want(b.visit("/", typed), "ada proven") // the owner has noticed nothing
						})
					})
				}
			}
		}
	}
}

// ownerProof returns the name of the cookie that proves the session of a browser that has one.
func ownerProof(b *deviceBrowser) string {
	for _, s := range b.bindings {
		return s.cookie
	}
	return ""
}
