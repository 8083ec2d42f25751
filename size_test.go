package cookiesession_test

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
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
		{"a value larger by a byte, which takes one of text", session(2001), put("v", random(2002)), false},
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
				held := v.cost()
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

// cost is what the jar adds to a Cookie header, "; " counted once a cookie, as Size and MaxSize count.
func (v *visitor) cost() int { return len(v.header()) + len("; ") }

// Size and SizeError.Size are what the browser then really sends, and MaxSize is exact: one byte less refuses, the size
// itself doesn't.
func TestSizeIsWhatTheBrowserSends(t *testing.T) {
	big := newManager(t, withMaxSize(defaultCapacity.size(9)))
	steps := map[string][]func(*cookiesession.Session){
		"session":             {put("v", random(700))},
		"session of two":      {put("v", random(3000))},
		"session of five":     {put("v", random(14000))},
		"grown":               {put("v", random(3000)), put("w", random(9000))},
		"shrunk":              {put("v", random(9000)), put("v", random(3000))},
		"flash":               {flash("f", random(700))},
		"flash of two":        {flash("f", random(3000))},
		"both":                {both(random(3000), random(3000))},
		"session beside what": {flash("f", random(2000)), put("v", random(2000))},
		"flash beside what":   {put("v", random(2000)), flash("f", random(2000))},
		"flash added to what": {flash("f", random(2000)), flash("g", random(2000))},
		"flash read":          {both("x", random(2000)), func(s *cookiesession.Session) { s.Flashed("f"); s.Put("v", random(900)) }},
		"flash kept":          {both("x", random(2000)), func(s *cookiesession.Session) { s.Reflash(); s.Put("v", random(900)) }},
		"flash replaced":      {both("x", random(2000)), func(s *cookiesession.Session) { s.Flashed("f"); s.Flash("g", random(900)) }},
		"after Destroy":       {both(random(2000), random(2000)), func(s *cookiesession.Session) { s.Destroy(); s.Put("w", random(900)) }},
		"CSRF":                {func(s *cookiesession.Session) { s.CSRFToken(); s.Put("v", random(900)) }},
		"regenerated":         {put("v", random(3000)), func(s *cookiesession.Session) { s.Regenerate() }},
		"remembered":          {put("v", random(3000)), func(s *cookiesession.Session) { s.Remember(400 * 24 * 3600 * 1e9) }},
	}
	for name, changes := range steps {
		t.Run(name, func(t *testing.T) {
			v := newVisitor(t, big)
			for _, change := range changes[:len(changes)-1] {
				v.visit(change)
			}
			start, held, last := v.jar.Clone(), v.cost(), changes[len(changes)-1]
			said := 0
			v.visit(func(s *cookiesession.Session) {
				last(s)
				said = s.Size()
			})
			size := v.cost() - endedMarkers(v)
			if said != size {
				t.Errorf("Size is %d, but the browser sends %d bytes", said, size)
			}
			if s := v.load(); s.Size() != size {
				t.Errorf("Size of the next request is %d, but it brought %d bytes", s.Size(), size)
			}

			for _, limit := range []int{size - 1, size, size + 1} {
				v := &visitor{t, newManager(t, withMaxSize(limit)), start.Clone()}
				before := v.header()
				lines, err := v.try(func(s *cookiesession.Session) {
					last(s)
					if s.Size() != size {
						t.Errorf("limit %d: Size is %d, want %d", limit, s.Size(), size)
					}
				})
				var tooLarge *cookiesession.SizeError
				switch {
				case limit >= size || size <= held && name != "after Destroy": // it doesn't grow
					if err != nil {
						t.Errorf("limit %d for %d bytes, %d before: %v, want no error", limit, size, held, err)
					}
				case !errors.As(err, &tooLarge):
					t.Errorf("limit %d for %d bytes: error %v, want a SizeError", limit, size, err)
				case tooLarge.Size != size || tooLarge.Limit != limit:
					t.Errorf("SizeError says %d of %d, want %d of %d", tooLarge.Size, tooLarge.Limit, size, limit)
				case name == "after Destroy":
					if got := v.names(); len(got) != 2 || !strings.HasPrefix(got[0], ".ended.") || got[1] != ".flash" {
						t.Errorf("limit %d: a refused session after Destroy left %q, want marker and flash", limit, got)
					}
				case len(lines) > 0 || v.header() != before:
					t.Errorf("limit %d: %d cookies written beside a SizeError, want none", limit, len(lines))
				}
			}
		})
	}
}

// endedMarkers returns what ended markers add to the Cookie header: they come on top.
func endedMarkers(v *visitor) (n int) {
	for _, c := range v.jar.All() {
		if strings.Contains(c.Name, ".ended.") {
			n += len(c.Name+"=; ") + len(c.Value)
		}
	}
	return n
}

// What Destroy has deleted leaves its room to the message that says so.
func TestDestroyMakesRoom(t *testing.T) {
	v := newVisitor(t, newManager(t, withMaxSize(1000)))
	v.visit(put("v", random(600)))
	v.visit(func(s *cookiesession.Session) {
		s.Destroy()
		s.Flash("f", random(600))
	})
	if got := v.get("v"); got != nil || v.load().Flashed("f") != random(600) {
		t.Errorf("got %v and another message, want the message alone", got)
	}
}

func TestSizeOfNothing(t *testing.T) {
	m := newManager(t, nil)
	v := newVisitor(t, m)
	for name, change := range map[string]func(*cookiesession.Session){
		"nothing":     nothing,
		"an ID":       func(s *cookiesession.Session) { s.ID() },
		"flash asked": func(s *cookiesession.Session) { s.Flashed("f") },
	} {
		s := v.load()
		change(s)
		if got := s.Size(); got != 0 {
			t.Errorf("%s: Size is %d, want 0", name, got)
		}
	}
	v.visit(both("x", "y"))
	s := v.load()
	s.Destroy()
	s.Flashed("f")
	if got := s.Size(); got != 0 {
		t.Errorf("destroyed and read: Size is %d, want 0", got)
	}
}

// A SizeError names the largest keys, largest first, ten at most, and tells flash messages apart. No cookie is written,
// and what the browser holds stays as it was.
func TestSizeError(t *testing.T) {
	m := newManager(t, withMaxSize(2000))
	v := newVisitor(t, m)
	v.visit(func(s *cookiesession.Session) { s.Put("user", "ada"); s.Flash("old", random(40)) })
	before := v.header()

	s := v.load()
	s.Keep("old")
	s.Flash("notice", random(700))
	for i := range 12 {
		s.Put(fmt.Sprint("k", i), random(50+i))
	}
	s.Put("cart", random(300))
	s.Put("", random(100))
	h := http.Header{"Set-Cookie": {"theme=dark"}, "Vary": {"Accept"}}
	err := m.Save(h, s)
	var tooLarge *cookiesession.SizeError
	if !errors.As(err, &tooLarge) {
		t.Fatalf("Save: %v, want a SizeError", err)
	}
	type size = cookiesession.KeySize
	want := []size{
		{"notice", 700 + 3 + 7, true},
		{"cart", 300 + 3 + 5, false},
		{"", 100 + 2 + 1, false},
		{"k11", 61 + 2 + 4, false},
		{"k10", 60 + 2 + 4, false},
		{"k9", 59 + 2 + 3, false},
		{"k8", 58 + 2 + 3, false},
		{"k7", 57 + 2 + 3, false},
		{"k6", 56 + 2 + 3, false},
		{"k5", 55 + 2 + 3, false},
	}
	if !slices.Equal(tooLarge.Keys, want) {
		t.Errorf("Keys are %v, want %v", tooLarge.Keys, want)
	}
	if tooLarge.Size <= tooLarge.Limit || tooLarge.Limit != 2000 || tooLarge.Size != s.Size() {
		t.Errorf("SizeError says %d of %d, want %d of 2000", tooLarge.Size, tooLarge.Limit, s.Size())
	}
	wantText := fmt.Sprintf(`cookiesession: session needs %d bytes of the Cookie header, Config.MaxSize allows 2000; largest "notice" (710) in flash, "cart" (308), "" (103)`, s.Size())
	if err.Error() != wantText {
		t.Errorf("got  %s\nwant %s", err, wantText)
	}
	if want := (http.Header{"Set-Cookie": {"theme=dark"}, "Vary": {"Accept", "Cookie"}, "Cache-Control": {"private"}}); !reflect.DeepEqual(h, want) {
		t.Errorf("the response header is %v, want %v", h, want)
	}
	v.jar.SetHeader(site, h)
	if got := strings.TrimSuffix(v.header(), "; theme=dark"); got != before {
		t.Error("the browser's cookies have changed")
	}

	s.Delete("cart", "")
	s.Put("user", "bob")
	for i := range 12 {
		s.Delete(fmt.Sprint("k", i))
	}
	if err := m.Save(h, s); err != nil {
		t.Fatalf("Save after making room: %v", err)
	}
	v.jar.SetHeader(site, h)
	if got := v.get("user"); got != "bob" {
		t.Errorf("after making room user is %v, want bob", got)
	}
	if stats := m.Stats(); stats.Saved != 2 || stats.SaveErrors != 1 {
		t.Errorf("Stats count %d saved and %d errors, want 2 and 1", stats.Saved, stats.SaveErrors)
	}
}

// No compartment takes more than nine cookies, even where MaxSize has room for more: as the room for text divides by
// four, a longer name may come to fewer bytes in nine cookies, by more than a tenth takes if the name is short.
func TestNineCookiesAreTheLimit(t *testing.T) {
	for n := range 8 {
		path := "/" + strings.Repeat("p", n)
		m := newManager(t, func(c *cookiesession.Config) {
			c.Name, c.Insecure, c.Path = "n", true, path
			c.MaxSize = newCapacity("n", "; Path="+path+"; Max-Age=34560000; HttpOnly; SameSite=Lax").size(9)
		})
		most := 20000
		for step := 8000; step > 0; {
			if _, err := response(m, flash("f", random(most+step))); err == nil {
				most += step
			} else {
				step /= 2
			}
		}
		lines, err := response(m, flash("f", random(most)))
		if err != nil || len(lines) != 9 {
			t.Errorf("path %s: the largest flash message takes %d cookies, error %v, want 9", path, len(lines), err)
		}
		if got := load(m, cookieHeader(lines)).Flashed("f"); got != random(most) {
			t.Errorf("path %s: the largest flash message doesn't come back", path)
		}
		var tooLarge *cookiesession.SizeError
		if _, err := response(m, flash("f", random(most+1))); !errors.As(err, &tooLarge) || tooLarge.Size <= tooLarge.Limit {
			t.Errorf("path %s: one byte more: %v, want a SizeError whose Size is above its Limit", path, err)
		}
	}
}

// gorilla/sessions can't destroy a session that has become too large, since deleting encodes it first.
func TestDestroyWhatIsTooLarge(t *testing.T) {
	v := newVisitor(t, newManager(t, withMaxSize(9000)))
	v.visit(put("v", random(6000)))
	v.m = newManager(t, withMaxSize(1000)) // the limit has been lowered
	if _, err := v.try(put("w", 1)); err == nil {
		t.Error("a session above the lowered limit was saved, want a SizeError")
	}
	if got := v.load().Get("v"); got != random(6000) {
		t.Error("a session above the lowered limit can't be read")
	}
	lines := v.visit(func(s *cookiesession.Session) {
		s.Put("more", random(9000))
		s.Destroy()
	})
	if set, deleted := countLines(lines); set != 1 || deleted != 3 || v.chunks() != 0 {
		t.Errorf("Destroy set %d and deleted %d cookies and left %d, want 1, 3 and 0", set, deleted, v.chunks())
	}
}

// TestTooLargeWithManyKeys has a session stay as large as it is under a lower MaxSize, with more keys than a short map has.
func TestTooLargeWithManyKeys(t *testing.T) {
	for n := range 4 {
		large, small := newManager(t, nil), newManager(t, withMaxSize(1000))
		v := newVisitor(t, large)
		v.visit(func(s *cookiesession.Session) {
			for i := range 20 {
				s.Put(string(rune('a'+i)), random(100+n))
			}
		})
		if _, err := v.clone(small).try(put("a", random(101 + n)[1:])); err != nil {
			t.Errorf("%d: got %v, want a session saved that doesn't grow", n, err)
		}
		if _, err := v.clone(small).try(put("a", random(104+n))); err == nil {
			t.Errorf("%d: got no error for a session that grows", n)
		}
	}
}

// TestSizeWithoutWhatIsTooLate flashes and keeps messages after the commit: they are refused, and take no space.
func TestSizeWithoutWhatIsTooLate(t *testing.T) {
	m := newManager(t, nil)
	for name, late := range map[string]func(*cookiesession.Session){
		"Flash": flash("f", "late"),
		"Keep":  func(s *cookiesession.Session) { s.FlashNow("f", "late"); s.Keep("f") },
	} {
		inHandler(m, requestWith(), func(w http.ResponseWriter, r *http.Request) {
			s := m.Get(r)
			s.Put("n", 1)
			w.WriteHeader(http.StatusOK)
			before := s.Size()
			late(s)
			if got := s.Size(); got != before || !errors.Is(s.Err(), cookiesession.ErrCommitted) {
				t.Errorf("%s: got Size %d and error %v, want %d and ErrCommitted", name, got, s.Err(), before)
			}
		})
	}
}

// TestBytesOnTheWire logs what the promises cost: Set-Cookie lines with their line ends, and the Cookie header of the
// next requests. The session holds one short value, the name is the default.
func TestBytesOnTheWire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVisitor(t, newManager(t, withIdle(30*time.Minute)))
		bytes := func(lines []string) (n int) {
			for _, line := range lines {
				n += len("Set-Cookie: ") + len(line) + len("\r\n")
			}
			return n
		}
		was := 0
		log := func(what string, want int, lines []string) {
			now := len(v.header())
			t.Logf("%-40s %d lines, %4d bytes of the response; each later request %+d bytes, %d in all", what, len(lines), bytes(lines), now-was, now)
			was = now
			if bytes(lines) != want {
				t.Errorf("%s: %d bytes, want %d", what, bytes(lines), want)
			}
		}
		log("login, one short value", 209, v.visit(login))
		log("a read", 0, v.visit(touched))
		time.Sleep(2 * time.Minute)
		log("a touch", 198, v.visit(touched))
		log("a change", 213, v.visit(put("n", 1)))
		log("a flash of 18 bytes", 209, v.visit(flash("notice", "Your cart is empty")))
		log("reading it", 125, v.visit(asked))
		log("logout, with a lease", 358, v.visit(destroy))
		log("a login afterwards", 209, v.visit(login))
		time.Sleep(11 * time.Minute)
		log("a touch that deletes the marker", 335, v.visit(touched))
		plain := newVisitor(t, newManager(t, nil))
		plain.visit(login)
		was = len(plain.header())
		v = plain
		log("logout, without a lease", 233, v.visit(destroy))
	})
}
