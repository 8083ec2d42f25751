package cookiesession_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

// After MaxSize was lowered, sessions beyond it can still be changed, as long as session and messages together don't
// grow: otherwise every write would answer 500 until they expire.
func TestWritesThatDoNotGrowPassLoweredMaxSize(t *testing.T) {
	const limit = 1000
	session := func(size int) func(*cookiesession.Session) {
		return func(s *cookiesession.Session) { s.Put("v", random(size)); s.Put("n", 1) }
	}
	mixed := func(size, message int) func(*cookiesession.Session) {
		return func(s *cookiesession.Session) { session(size)(s); s.Flash("f", random(message)) }
	}
	for _, test := range []struct {
		name   string
		before func(*cookiesession.Session) // under the larger MaxSize
		do     func(*cookiesession.Session)
		passes bool
	}{
		{"a value of the same size", session(2000), put("n", 2), true},
		{"a smaller value", session(2000), put("v", random(1999)), true},
		{"a value deleted", session(2000), func(s *cookiesession.Session) { s.Delete("n") }, true},
		{"less in fewer cookies", session(5000), put("v", random(2000)), true},
		{"all cleared", session(2000), func(s *cookiesession.Session) { s.Clear() }, true},
		{"a value in the place of another", session(2000), func(s *cookiesession.Session) { s.Delete("n"); s.Put("m", 1) }, true},
		{"Regenerate", session(2000), func(s *cookiesession.Session) { s.Regenerate() }, true},
		{"Remember", session(2000), func(s *cookiesession.Session) { s.Remember(time.Hour) }, true},
		{"Persist", session(2000), func(s *cookiesession.Session) { s.Persist(true) }, true},
		{"a new CSRF secret", func(s *cookiesession.Session) { session(2000)(s); s.CSRFToken() }, func(s *cookiesession.Session) { s.RegenerateCSRFToken() }, true},
		{"logout", session(2000), destroy, true},
		{"logout, and little", session(2000), func(s *cookiesession.Session) { s.Destroy(); s.Put("n", 1) }, true},
		{"logout, and a message", session(2000), func(s *cookiesession.Session) { s.Destroy(); s.Flash("f", "bye") }, true},
		{"below the limit, then up to it", session(2000), func(s *cookiesession.Session) { s.Put("v", random(500)); s.Put("w", "x") }, true},
		{"read", session(2000), touched, true},

		{"a larger value", session(2000), put("v", random(2001)), false},
		{"another value", session(2000), put("w", 1), false},
		{"a CSRF token", session(2000), func(s *cookiesession.Session) { s.CSRFToken() }, false},
		{"a message", session(2000), flash("f", 1), false},
		{"logout, and as much again", session(2000), func(s *cookiesession.Session) { s.Destroy(); s.Put("v", random(2000)) }, false},
		{"a value for nobody", nothing, put("v", random(2000)), false},

		{"beside a message, a value of the same size", mixed(2000, 2000), put("n", 2), true},
		{"a large message, a small session", mixed(10, 2000), put("n", 2), true},
		{"the same, and the session grows", mixed(10, 2000), put("w", 1), false},
		{"the message read", mixed(2000, 2000), asked, true},
		{"the message kept", mixed(2000, 2000), func(s *cookiesession.Session) { s.Reflash() }, true},
		{"the message replaced by a smaller one", mixed(2000, 2000), func(s *cookiesession.Session) { s.Flashes(); s.Flash("f", random(1500)) }, true},
		{"the message read, and the session takes part of its room", mixed(2000, 2000), func(s *cookiesession.Session) { s.Flashes(); s.Put("w", random(100)) }, true},
		{"the message read, and the session takes more", mixed(2000, 100), func(s *cookiesession.Session) { s.Flashes(); s.Put("w", random(2000)) }, false},
		{"another message", mixed(10, 2000), flash("g", 1), false},

		{"no session, the message kept", flash("f", random(2000)), func(s *cookiesession.Session) { s.Reflash() }, true},
		{"no session, the message replaced by a smaller one", flash("f", random(2000)), func(s *cookiesession.Session) { s.Flashes(); s.Flash("f", random(1500)) }, true},
		{"no session, another message", flash("f", random(2000)), flash("g", 1), false},
		{"no session, and a login", flash("f", random(2000)), login, false},
	} {
		for _, form := range forms {
			t.Run(test.name+"/"+form.name, func(t *testing.T) {
				before := newVisitor(t, newManager(t, withMaxSize(20000)))
				before.visit(test.before)
				v := before.clone(newManager(t, withMaxSize(limit)))
				held := len(v.header()) + len("; ")
				size := 0
				h, err := form.answer(v.m, requestWith(v.header()), func(s *cookiesession.Session) { test.do(s); size = s.Size() })
				if (err == nil) != test.passes {
					t.Errorf("%d bytes, %d before: got %v, want it saved %v", size, held, err, test.passes)
				}
				var tooLarge *cookiesession.SizeError
				if form.name != "Handler" && err != nil && (!errors.As(err, &tooLarge) || tooLarge.Size != size || tooLarge.Limit != limit) {
					t.Errorf("got %v, want a SizeError with %d of %d", err, size, limit)
				}
				if err != nil && test.name != "logout, and as much again" && len(h["Set-Cookie"]) > 0 {
					t.Errorf("wrote %s beside an error", v.wrote(h["Set-Cookie"]))
				}
				v.jar.SetHeader(site, h)
				if got := v.state(); err == nil && got != before.state() && test.name != "logout" && test.name != "logout, and a message" {
					t.Errorf("the session is %s afterwards", got)
				}
			})
		}
	}
}

// It is the last write that mustn't be exceeded, so a session shrinks step by step until it is within MaxSize again.
func TestSessionShrinksBelowLoweredMaxSize(t *testing.T) {
	v := newVisitor(t, newManager(t, withMaxSize(20000)))
	v.visit(put("v", random(3000)))
	v = v.clone(newManager(t, withMaxSize(1000)))
	for _, step := range []struct {
		size   int
		passes bool
	}{{2000, true}, {2001, false}, {2000, true}, {1000, true}, {1500, false}, {400, true}, {500, true}, {1000, false}} {
		_, err := v.try(put("v", random(step.size)))
		if (err == nil) != step.passes {
			t.Errorf("%d bytes: got %v, want it saved %v", step.size, err, step.passes)
		}
	}
	if got := v.get("v"); got != random(500) {
		t.Errorf("got %s", fmt.Sprint(got)[:20])
	}
}

// What took nine cookies can take ten under longer attributes. It isn't written, though it doesn't grow.
func TestNeverTenCookies(t *testing.T) {
	at := func(path string) *cookiesession.Manager {
		return newManager(t, func(c *cookiesession.Config) { c.Path, c.MaxSize = path, 20000 })
	}
	short := newManager(t, func(c *cookiesession.Config) { c.Path, c.MaxSize = "/a", 34000 })
	lines, err := response(short, put("v", random(24800)))
	if err != nil || len(lines) != 9 {
		t.Fatalf("got %d cookies, %v; want 9", len(lines), err)
	}
	for path, passes := range map[string]bool{"/a": true, "/" + strings.Repeat("a", 1000): false} {
		m := at(path)
		s := load(m, cookieHeader(lines))
		s.Put("v", random(24799))
		h := http.Header{}
		var tooLarge *cookiesession.SizeError
		if err := m.Save(h, s); (err == nil) != passes || !passes && !errors.As(err, &tooLarge) {
			t.Errorf("Path of %d characters: got %v, want it saved %v", len(path), err, passes)
		}
		checkLines(t, h["Set-Cookie"])
	}
}
