package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestThrottle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := newThrottle(3, 10*time.Second)
		take := func(key string, want time.Duration) {
			t.Helper()
			if got := th.take(key); got != want {
				t.Errorf("%s: got %v, want %v", key, got, want)
			}
		}
		take("a", 0)
		take("a", 0)
		take("a", 0)
		take("a", 10*time.Second)
		take("b", 0)
		time.Sleep(10*time.Second - 1)
		take("a", 1)
		time.Sleep(time.Nanosecond)
		take("a", 0)
		take("a", 10*time.Second)
		th.giveBack("a")
		take("a", 0)
		take("a", 10*time.Second)
		time.Sleep(time.Hour) // fills it to three, no more
		take("a", 0)
		take("a", 0)
		take("a", 0)
		take("a", 10*time.Second)
	})
}

// TestThrottleCountsAtOnce: attempts that are made at a time count, too.
func TestThrottleCountsAtOnce(t *testing.T) {
	th := newThrottle(5, time.Hour)
	var passed atomic.Int64
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			if th.take("a") == 0 {
				passed.Add(1)
			}
		})
	}
	wg.Wait()
	if passed.Load() != 5 {
		t.Errorf("got %d, want 5", passed.Load())
	}
}

// TestGuessing: the sixth wrong password from one address is refused, the right one too, and others aren't.
func TestGuessing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, revokeByVersion)
		v := newVisitor(t, s.app).register("ada")
		newVisitor(t, s.app).register("eve")
		for _, name := range []string{"ada", "nobody"} {
			guesser := newVisitor(t, s.app)
			for range 5 {
				guesser.logIn(name, otherPassword).want(http.StatusOK, "/login", "Name or password is wrong.")
			}
			for _, guess := range []string{otherPassword, password} {
				if guesser.logIn(name, guess); guesser.status != http.StatusTooManyRequests || guesser.header.Get("Retry-After") != "31" {
					t.Errorf("%s: got %d, Retry-After %q", name, guesser.status, guesser.header.Get("Retry-After"))
				}
				guesser.wantMember("")
			}
		}
		newVisitor(t, s.app).logIn("eve", password).wantMember("eve")
		elsewhere := newVisitor(t, s.app)
		elsewhere.address = "198.51.100.7:99"
		elsewhere.logIn("ada", password).wantMember("ada")

		// A confirmation is a guess like any other.
		time.Sleep(confirmFor)
		v.open("/password")
		for range 5 {
			v.submit("/confirm", "password", otherPassword)
		}
		if v.submit("/confirm", "password", password); v.status != http.StatusTooManyRequests {
			t.Errorf("confirmation: got %d, want 429", v.status)
		}
		time.Sleep(30 * time.Second)
		v.open("/password").submit("/confirm", "password", password).want(http.StatusOK, "/password", "")
	})
}

// TestGuessingWidely: many names from one address, and one name from many.
func TestGuessingWidely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPasswordThrottle()
		for n := range 50 {
			if wait := p.take(fmt.Sprint("name", n), "192.0.2.1"); wait != 0 {
				t.Fatalf("name %d: got %v", n, wait)
			}
		}
		if wait := p.take("name50", "192.0.2.1"); wait != 10*time.Second {
			t.Errorf("got %v, want 10s", wait)
		}
		p = newPasswordThrottle()
		refused := 0
		for n := range 101 {
			if p.take("ada", fmt.Sprint("192.0.2.", n)) != 0 {
				refused = n
			}
		}
		if refused != 100 {
			t.Errorf("refused at %d, want 100", refused)
		}
	})
}

func TestSuccessDoesNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, revokeByVersion)
		newVisitor(t, s.app).register("ada")
		for range 60 {
			newVisitor(t, s.app).logIn("ada", password).wantMember("ada")
		}
	})
}

func TestAddressOf(t *testing.T) {
	for remote, want := range map[string]string{
		"192.0.2.1:80":              "192.0.2.1",
		"[::ffff:192.0.2.1]:80":     "192.0.2.1",
		"[2001:db8:1:2:3:4:5:6]:80": "2001:db8:1:2::/64",
		"[fe80::1%eth0]:80":         "fe80::/64",
		"@":                         "@",
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = remote
		if got := addressOf(r); got != want {
			t.Errorf("%s: got %s, want %s", remote, got, want)
		}
	}
}
