package cookiesession_test

import (
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
		if got, want := b.names(), "[.device] []"; got != want {
			t.Fatalf("after login: got cookies %s, want %s", got, want)
		}
		b.want(b.visit("/", ownPage), "ada")
		b.busy = false
		b.register()
		if got, want := b.names(), "[.device] [.proof] []"; got != want {
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
