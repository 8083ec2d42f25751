package cookiesession_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/seed-50e21e88/cookiesession"
)

// A token takes exactly as many cookies as FORMAT.md says, whatever the attributes, and one byte more takes one more.
func TestSplitAtTheBorders(t *testing.T) {
	longName := strings.Repeat("n", 64)
	longPath := "/" + strings.Repeat("p", 1023)
	tests := []struct {
		config     cookiesession.Config
		name       string
		attributes string
		most       int // cookies
	}{
		{cookiesession.Config{}, cookieName, defaultAttributes, 9},
		{cookiesession.Config{Persistent: true}, cookieName, defaultAttributes, 9},
		{cookiesession.Config{Insecure: true}, "session", "; Path=/; Max-Age=34560000; HttpOnly; SameSite=Lax", 9},
		{cookiesession.Config{Domain: site.Host}, "__Secure-session", "; Path=/; Domain=shop.example; Max-Age=34560000; HttpOnly; Secure; SameSite=Lax", 9},
		{cookiesession.Config{SameSite: http.SameSiteStrictMode}, cookieName, "; Path=/; Max-Age=34560000; HttpOnly; Secure; SameSite=Strict", 9},
		{cookiesession.Config{Name: longName}, "__Host-" + longName, defaultAttributes, 9},
		{cookiesession.Config{SameSite: http.SameSiteNoneMode, Partitioned: true}, cookieName, "; Path=/; Max-Age=34560000; HttpOnly; Secure; SameSite=None; Partitioned", 2},
		{cookiesession.Config{Name: longName, Path: longPath}, "__Secure-" + longName, "; Path=" + longPath + "; Max-Age=34560000; HttpOnly; Secure; SameSite=Lax", 9},
	}
	for i, test := range tests {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			c := newCapacity(test.name, test.attributes)
			largest := c.size(9)
			if test.config.Partitioned {
				largest = 9600
			}
			newManager := func(size int) (*cookiesession.Manager, error) {
				config := test.config
				config.Keys, config.MaxSize, config.Logger = newRing(t), size, slog.New(slog.DiscardHandler)
				return cookiesession.New(config)
			}
			if _, err := newManager(largest + 1); err == nil {
				t.Errorf("New took MaxSize %d, want an error above %d", largest+1, largest)
			}
			m, err := newManager(largest)
			if err != nil {
				t.Fatal(err)
			}
			for k := 1; k <= test.most; k++ {
				for _, add := range []int{-1, 0, 1} {
					lines, err := response(m, fill(t, m, c.payload(k)+add))
					want := k
					if add > 0 {
						want++
					}
					if want > 9 {
						var tooLarge *cookiesession.SizeError
						if !errors.As(err, &tooLarge) || len(lines) > 0 {
							t.Errorf("one byte more than nine cookies hold: %d lines and error %v, want a SizeError", len(lines), err)
						}
						continue
					}
					if err != nil {
						t.Fatal(err)
					}
					checkLines(t, lines)
					if got := len(withoutHint(lines)); got != want {
						t.Errorf("%d%+d bytes take %d cookies, want %d", c.payload(k), add, got, want)
					}
					if got, want := load(m, cookieHeader(lines)).Get("v"), filler(t, m, c.payload(k)+add); got != want {
						t.Errorf("%d%+d bytes come back as %.20q…", c.payload(k), add, got)
					}
				}
			}
		})
	}
}

// A full cookie 0 leaves no room for one more group of characters in the longest line that it may ever be set by.
func TestLinesAreFull(t *testing.T) {
	m := newManager(t, func(c *cookiesession.Config) {
		c.MaxSize, c.Persistent, c.Lifetime = defaultCapacity.size(9), true, 400*24*3600*1e9
	})
	lines, err := response(m, fill(t, m, defaultCapacity.payload(3)))
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range lines {
		if len(line) > 3900 || len(line) <= 3900-4 {
			t.Errorf("line %d has %d bytes, want 3897 to 3900", i, len(line))
		}
	}
}

// From every number of cookies to every other, at the least and at the most that they hold. No other library tests it,
// and oauth2-proxy (#1948, and by its source) reloads the old single cookie after growing, and after shrinking trips
// over left-over chunks.
func TestEveryTransition(t *testing.T) {
	m := newManager(t, withMaxSize(defaultCapacity.size(9)))
	const most = 9
	var values [most + 1][]string // that take so many cookies
	var visitors [most + 1][]*visitor
	values[0] = []string{""}
	visitors[0] = []*visitor{newVisitor(t, m)}
	for k := 1; k <= most; k++ {
		least := defaultCapacity.payload(max(k-1, 1)) + 1
		if k == 1 {
			least = 300
		}
		for _, n := range []int{least, defaultCapacity.payload(k) - 1, defaultCapacity.payload(k)} {
			value := filler(t, m, n)
			v := newVisitor(t, m)
			v.visit(put("v", value))
			values[k] = append(values[k], value)
			visitors[k] = append(visitors[k], v)
		}
	}

	tried := 0
	for from := range visitors {
		for _, start := range visitors[from] {
			for to := range values {
				for _, value := range values[to] {
					tried++
					v := &visitor{t, m, start.jar.Clone()}
					change := func(s *cookiesession.Session) {
						s.Put("v", value)
						s.Regenerate() // so that the same value is a change too
					}
					wantSet, wantDeleted := to, max(from-to, 0)
					if to == 0 {
						change = destroy
						wantSet = min(from, 1) // the ended marker
					}
					set, deleted := countLines(v.visit(change))
					if set != wantSet || deleted != wantDeleted {
						t.Errorf("%d→%d: %d cookies set and %d deleted, want %d and %d", from, to, set, deleted, wantSet, wantDeleted)
					}
					if got := v.chunks(); got != to {
						t.Errorf("%d→%d: the browser holds %d", from, to, got)
					}
					s := v.load()
					if to == 0 && (!s.IsNew() || s.Rejected() != nil) {
						t.Errorf("%d→0: the session is still there, or refused: %v", from, s.Rejected())
					}
					if to > 0 && (s.IsNew() || s.Get("v") != value) {
						t.Errorf("%d→%d: the session is gone: %v", from, to, s.Rejected())
					}
					if lines, err := v.answer(s); len(lines) > 0 || err != nil {
						t.Errorf("%d→%d: reading wrote %d cookies, error %v", from, to, len(lines), err)
					}
				}
			}
		}
	}
	t.Logf("%d transitions", tried)
}

// What lies beyond the count is ignored by readers and left alone; only a writer deletes it. A prototype of this design
// deleted in responses that only read, which tore a set that a parallel response had just stored.
func TestOnlyWritersDeleteStaleChunks(t *testing.T) {
	m := newManager(t, withMaxSize(defaultCapacity.size(9)))
	v := newVisitor(t, m)
	v.visit(fill(t, m, defaultCapacity.payload(5)))
	before := v.jar.All()
	v.visit(fill(t, m, defaultCapacity.payload(2)))
	for _, c := range before { // as if a late response had brought the others back
		if c.Name > cookieName+".1" {
			v.jar.SetCookies(site, []*http.Cookie{{Name: c.Name, Value: c.Value, Path: "/", Secure: true}})
		}
	}
	if got := v.chunks(); got != 5 {
		t.Fatalf("the browser holds %d chunks, want 2 and 3 stale ones", got)
	}

	readers := map[string]func(*cookiesession.Session){
		"reads":          func(s *cookiesession.Session) { s.Get("v") },
		"reads all":      func(s *cookiesession.Session) { s.All() },
		"puts the same":  func(s *cookiesession.Session) { s.Put("v", s.Get("v")) },
		"flashes":        func(s *cookiesession.Session) { s.Flash("f", 1) },
		"reads flash":    func(s *cookiesession.Session) { s.Flashed("f") },
		"puts back":      func(s *cookiesession.Session) { old := s.Pull("v"); s.Put("v", old) },
		"asks for an ID": func(s *cookiesession.Session) { s.ID() },
	}
	for name, read := range readers {
		v.visit(read)
		if got := v.chunks(); got != 5 {
			t.Errorf("a response that %s left %d chunks, want 5", name, got)
		}
		if s := v.load(); s.IsNew() {
			t.Errorf("after a response that %s the session is refused: %v", name, s.Rejected())
		}
	}

	lines := v.visit(put("w", 1))
	if set, deleted := countLines(lines); set != 3 || deleted != 2 || v.chunks() != 3 {
		t.Errorf("a writer set %d and deleted %d cookies and left %d, want 3, 2 and 3", set, deleted, v.chunks())
	}
}

// A response that only reads, and arrives after one that grew the session, does it no harm.
func TestReaderDoesNotTearParallelWriter(t *testing.T) {
	m := newManager(t, withMaxSize(defaultCapacity.size(9)))
	for from := 1; from <= 8; from++ {
		for to := 1; to <= 8; to++ {
			v := newVisitor(t, m)
			v.visit(fill(t, m, defaultCapacity.payload(9)))
			v.visit(fill(t, m, defaultCapacity.payload(from)))
			reader, writer := v.load(), v.load()
			reader.Get("v")
			reader.Flash("notice", "read")
			want := filler(t, m, defaultCapacity.payload(to)-1)
			writer.Put("v", want)
			for _, s := range []*cookiesession.Session{writer, reader} {
				if _, err := v.answer(s); err != nil {
					t.Fatal(err)
				}
			}
			if got := v.get("v"); got != want {
				t.Errorf("%d→%d: after a late reader's response the value is %.20v", from, to, got)
			}
		}
	}
}

// Of two responses that both change the session the one that arrives last wins, whole, however many cookies each takes.
func TestLastWriterWinsWhole(t *testing.T) {
	m := newManager(t, withMaxSize(defaultCapacity.size(9)))
	for start := range 10 {
		for first := 1; first <= 9; first++ {
			for last := 1; last <= 9; last++ {
				v := newVisitor(t, m)
				if start > 0 {
					v.visit(fill(t, m, defaultCapacity.payload(start)-1))
				}
				a, b := v.load(), v.load()
				a.Put("v", filler(t, m, defaultCapacity.payload(first)-2))
				want := filler(t, m, defaultCapacity.payload(last)-3)
				b.Put("v", want)
				for _, s := range []*cookiesession.Session{a, b} {
					if _, err := v.answer(s); err != nil {
						t.Fatal(err)
					}
				}
				if got := v.get("v"); got != want {
					t.Errorf("from %d, %d then %d: the value is %.20v", start, first, last, got)
				}
			}
		}
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
		{"notice", 700 + 3 + 7, true}, {"cart", 300 + 3 + 5, false}, {"", 100 + 2 + 1, false}, {"k11", 61 + 2 + 4, false},
		{"k10", 60 + 2 + 4, false}, {"k9", 59 + 2 + 3, false}, {"k8", 58 + 2 + 3, false}, {"k7", 57 + 2 + 3, false},
		{"k6", 56 + 2 + 3, false}, {"k5", 55 + 2 + 3, false},
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
