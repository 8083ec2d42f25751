package cookiesession_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

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
			v.setCookie(strings.TrimPrefix(c.Name, cookieName), c.Value)
		}
	}
	if got := v.chunks(); got != 5 {
		t.Fatalf("the browser holds %d chunks, want 2 and 3 stale ones", got)
	}

	readers := map[string]func(*cookiesession.Session){
		"reads":          func(s *cookiesession.Session) { s.Get("v") },
		"reads all":      func(s *cookiesession.Session) { s.All() },
		"puts the same":  func(s *cookiesession.Session) { s.Put("v", s.Get("v")) },
		"flashes":        flash("f", 1),
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

// joiner is what the tests of joining share.
type joiner struct {
	*cookiesession.Manager
	now   time.Time
	a, a2 []pair // two writes of one session, of three cookies each
	b     []pair // another session, of three
	small []pair // another, of one
}

func newJoiner(t testing.TB) *joiner {
	t.Helper()
	j := &joiner{now: time.Now().Truncate(time.Second)}
	j.Manager = newManager(t, withMaxSize(defaultCapacity.size(9)))
	j.SetClock(func() time.Time { return j.now })
	v := newVisitor(t, j.Manager)
	v.visit(func(s *cookiesession.Session) { s.Put("is", "a"); s.Put("x", random(8000)) })
	j.a = pairsOf(v.header())
	j.now = j.now.Add(time.Second)
	v.visit(put("is", "a2"))
	j.a2 = pairsOf(v.header())
	v = newVisitor(t, j.Manager)
	v.visit(func(s *cookiesession.Session) { s.Put("is", "b"); s.Put("x", random(8100)) })
	j.b = pairsOf(v.header())
	v = newVisitor(t, j.Manager)
	v.visit(put("is", "small"))
	j.small = pairsOf(v.header())
	if len(j.a) != 3 || len(j.a2) != 3 || len(j.b) != 3 || len(j.small) != 1 {
		t.Fatalf("sessions of %d, %d, %d and %d cookies, want 3, 3, 3 and 1", len(j.a), len(j.a2), len(j.b), len(j.small))
	}
	return j
}

// reads returns "is" of the session that the header lines open to, or the reason why they don't, or "nothing".
func (j *joiner) reads(lines ...string) string {
	s := load(j.Manager, lines...)
	switch {
	case s.Rejected() != nil:
		return s.Rejected().Reason.String()
	case s.IsNew():
		return "nothing"
	}
	return s.Get("is").(string)
}

func TestJoin(t *testing.T) {
	j := newJoiner(t)
	const n0, n1, n2 = cookieName, cookieName + ".1", cookieName + ".2"
	v0, v1, v2 := j.a[0].value, j.a[1].value, j.a[2].value
	tag := v1[:4]
	a := func(changes ...pair) string { return join(with(j.a, changes...)...) }
	before := func(p ...pair) string { return join(append(p, j.a...)...) }
	after := func(p ...pair) string { return join(append(slices.Clone(j.a), p...)...) }
	small := j.small[0].value

	tests := []struct{ name, header, want string }{
		{"as sent", a(), "a"},
		{"order 0 2 1", join(j.a[0], j.a[2], j.a[1]), "a"},
		{"order 1 0 2", join(j.a[1], j.a[0], j.a[2]), "a"},
		{"order 1 2 0", join(j.a[1], j.a[2], j.a[0]), "a"},
		{"order 2 0 1", join(j.a[2], j.a[0], j.a[1]), "a"},
		{"order 2 1 0", join(j.a[2], j.a[1], j.a[0]), "a"},

		{"cookie 1 missing", a(pair{n1, "-"}), "torn"},
		{"cookie 2 missing", a(pair{n2, "-"}), "torn"},
		{"only cookie 0", join(j.a[0]), "torn"},
		{"cookie 0 of a later write", a(j.a2[0]), "torn"},
		{"cookie 1 of a later write", a(j.a2[1]), "torn"},
		{"cookie 2 of a later write", a(j.a2[2]), "torn"},
		{"cookie 0 of another session", a(j.b[0]), "torn"},
		{"cookies 1 and 2 swapped", a(pair{n1, v2}, pair{n2, v1}), "malformed"},
		{"without cookie 0", a(pair{n0, "-"}), "nothing"},
		{"without any", "", "nothing"},

		{"count 1 for 3", a(pair{n0, "1" + v0[1:]}), "forged"},
		{"count 2 for 3", a(pair{n0, "2" + v0[1:]}), "forged"},
		{"count 4 for 3", a(pair{n0, "4" + v0[1:]}, pair{n2, v2[:len(v2)&^3]}), "torn"},
		{"count 9 for 3", a(pair{n0, "9" + v0[1:]}, pair{n2, v2[:len(v2)&^3]}), "torn"},
		{"count 9 for 3, the last not of whole groups", a(pair{n0, "9" + v0[1:]}), "malformed"},
		{"count 0", a(pair{n0, "0" + v0[1:]}), "malformed"},
		{"count a letter", a(pair{n0, "c" + v0[1:]}), "malformed"},
		{"count :", a(pair{n0, ":" + v0[1:]}, pair{n2, v2[:len(v2)&^3]}), "malformed"},
		{"count /", a(pair{n0, "/" + v0[1:]}), "malformed"},
		{"count of two bytes", a(pair{n0, "³" + v0[1:]}), "malformed"},
		{"count 03", a(pair{n0, "03" + v0[1:]}), "malformed"},
		{"count 33", a(pair{n0, "33" + v0[1:]}), "malformed"},
		{"count missing", a(pair{n0, v0[1:]}), "malformed"},
		{"cookie 0 empty", a(pair{n0, ""}), "malformed"},
		{"cookie 0 only a count", a(pair{n0, "3"}), "malformed"},
		{"count 9 for 1", join(pair{n0, "9" + small[1:len(small)&^3+1-4]}), "torn"},
		{"count 1 and nothing", join(pair{n0, "1"}), "malformed"},

		{"cookie 1 empty", a(pair{n1, ""}), "torn"},
		{"cookie 1 only a tag", a(pair{n1, tag}), "malformed"},
		{"cookie 2 only a tag", a(pair{n2, tag}), "malformed"},
		{"cookie 1 without its tag", a(pair{n1, v1[4:]}), "torn"},
		{"cookie 1 with another tag", a(pair{n1, j.b[1].value[:4] + v1[4:]}), "torn"},
		{"a character short of whole groups in cookie 0", a(pair{n0, v0[:len(v0)-1]}), "malformed"},
		{"a character short of whole groups in cookie 1", a(pair{n1, v1[:len(v1)-1]}), "malformed"},
		{"a character moved from 0 to 1", a(pair{n0, v0[:len(v0)-1]}, pair{n1, tag + v0[len(v0)-1:] + v1[4:]}), "malformed"},
		{"a character moved from 1 to 2", a(pair{n1, v1[:len(v1)-1]}, pair{n2, tag + v1[len(v1)-1:] + v2[4:]}), "malformed"},
		{"a character moved from 2 to 1", a(pair{n1, v1 + v2[4:5]}, pair{n2, tag + v2[5:]}), "malformed"},
		{"a group moved from 0 to 1", a(pair{n0, v0[:len(v0)-4]}, pair{n1, tag + v0[len(v0)-4:] + v1[4:]}), "a"},
		{"a group moved from 2 to 1", a(pair{n1, v1 + v2[4:8]}, pair{n2, tag + v2[8:]}), "a"},
		{"28 characters in cookie 0", a(pair{n0, v0[:29]}, pair{n1, tag + v0[29:] + v1[4:]}), "a"},
		{"24 characters in cookie 0", a(pair{n0, v0[:25]}, pair{n1, tag + v0[25:] + v1[4:]}), "malformed"},
		{"the tag's part of cookie 0 isn't base64", a(pair{n0, v0[:24] + "!" + v0[25:]}), "malformed"},
		{"cookie 0 isn't base64", a(pair{n0, v0[:44] + "+" + v0[45:]}), "malformed"},
		{"cookie 1 isn't base64", a(pair{n1, v1[:44] + "/" + v1[45:]}), "malformed"},
		{"cookie 2 isn't base64", a(pair{n2, v2[:44] + "=" + v2[45:]}), "malformed"},
		{"padded", a(pair{n2, v2 + "="}), "malformed"},

		{"duplicates, identical", before(j.a...), "a"},
		{"ten of each, identical", join(slices.Repeat(j.a, 10)...), "a"},
		{"duplicate 1 with another tag before", before(j.b[1]), "a"},
		{"duplicate 1 with another tag after", after(j.b[1]), "a"},
		{"duplicate 1 with the same tag before", before(pair{n1, tag + j.b[1].value[4:]}), "a"},
		{"duplicate 1 with the same tag after", after(pair{n1, tag + j.b[1].value[4:]}), "a"},
		{"duplicates 1 and 2 with the same tag before", before(pair{n1, tag + j.b[1].value[4:]}, pair{n2, tag + j.b[2].value[4:]}), "a"},
		{"duplicates 1 and 2 with the same tag around", join(pair{n1, tag + j.b[1].value[4:]}, j.a[0], j.a[1], j.a[2], pair{n2, tag + j.b[2].value[4:]}), "a"},
		{"duplicate 1 empty but for the tag before", before(pair{n1, tag}), "a"},
		{"duplicate 1 empty but for the tag after", after(pair{n1, tag}), "a"},
		{"duplicate 1 not of whole groups before", before(pair{n1, v1 + "A"}), "a"},
		{"duplicate 2 not of whole groups before", before(pair{n2, v2[:len(v2)-1]}), "a"},
		{"duplicate 1 not base64 before", before(pair{n1, tag + "????"}), "a"},
		{"duplicate 1 shorter than a tag before", before(pair{n1, "AA"}), "a"},

		{"white space around", " \t" + n0 + "=" + v0 + " \t;\t" + n1 + "=" + v1 + ";;; ;" + n2 + " \t=" + v2 + " ", "a"},
		{"no white space", strings.ReplaceAll(a(), "; ", ";"), "a"},
		{"white space after =", a(pair{n0, " " + v0}), "malformed"},
		{"white space after = in cookie 1", a(pair{n1, " " + v1}), "torn"},
		{"white space in the value", a(pair{n1, v1[:40] + " " + v1[40:]}), "malformed"},
		{"a line break in the value", a(pair{n1, v1[:40] + "\r\n" + v1[40:]}), "malformed"},
		{"= missing", strings.Replace(a(), n0+"=", n0, 1), "nothing"},
		{"bare name before", n0 + "; " + a(), "a"},
		{"bare name alone", n0, "malformed"},
		{"bare names of parts before", n1 + "; " + n2 + "; " + a(), "a"},
		{"quoted", a(pair{n0, `"` + v0 + `"`}), "a"},
		{"cookie 1 quoted", a(pair{n1, `"` + v1 + `"`}), "a"},
		{"quoted, one cookie", join(pair{n0, `"` + small + `"`}), "small"},
		{"quoted and not", join(pair{n0, `"` + small + `"`}, pair{n0, small}), "small"},
		{"quoted before, only", join(pair{n0, `"` + small}), "malformed"},
		{"quoted behind, only", join(pair{n0, small + `"`}), "malformed"},
		{"quoted twice", join(pair{n0, `""` + small + `""`}), "malformed"},
		{"nothing in quotes", join(pair{n0, `""`}), "malformed"},
		{"a quote alone", join(pair{n0, `"`}), "malformed"},
		{"white space within quotes", join(pair{n0, `" ` + small + `"`}), "malformed"},
		{"quoted after white space", join(pair{n0, ` "` + small + `"`}), "malformed"},
		{"cookie 1 quoted before, only", a(pair{n1, `"` + v1}), "torn"},
		{"cookie 1 quoted behind, only", a(pair{n1, v1 + `"`}), "malformed"},
		{"one cookie", join(pair{n0, small}), "small"},
		{"one cookie and stale ones", join(append([]pair{{n0, small}}, j.a[1:]...)...), "small"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := j.reads(test.header); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

// HTTP/2 may split Cookie into crumbs; whoever joins them or doesn't, the session opens (RFC 9113, 8.2.3).
func TestSeveralCookieHeaderLines(t *testing.T) {
	j := newJoiner(t)
	var lines []string
	for _, p := range j.a {
		lines = append(lines, "theme=dark; lang=de", join(p), "")
	}
	if got := j.reads(lines...); got != "a" {
		t.Errorf("one cookie a line: got %s, want a", got)
	}
	slices.Reverse(lines)
	if got := j.reads(lines...); got != "a" {
		t.Errorf("one cookie a line, last first: got %s, want a", got)
	}
	if got := j.reads(join(j.a[:2]...)); got != "torn" {
		t.Errorf("without the last line: got %s, want torn", got)
	}
}

// Auth.js swallows name-other and sorts by suffix; no name but exactly ours is ours.
func TestSimilarNames(t *testing.T) {
	j := newJoiner(t)
	tag := j.a[1].value[:4]
	for _, name := range []string{
		cookieName + "-other", cookieName + "x", cookieName + "_", cookieName + "1", cookieName + "..1", cookieName + ".",
		cookieName + ".0", cookieName + ".9", cookieName + ".00", cookieName + ".01", cookieName + ".10", cookieName + ".1.1",
		cookieName + ".1x", cookieName + ".x", cookieName + ".-1", cookieName + ".+1", cookieName + ".１", cookieName + ".ended.x", cookieName + " .1", cookieName + "\t.flash",
		"x" + cookieName, "x" + cookieName + ".1", "__host-session", "__HOST-SESSION", "__Host-Session", "__Host-SESSION.1",
		"session", "__Secure-session", "__Host-", "",
	} {
		for _, value := range []string{"", "1", j.b[0].value, j.small[0].value, j.b[1].value, tag + j.b[1].value[4:]} {
			p := pair{name, value}
			for _, header := range []string{join(append([]pair{p, p}, j.a...)...), join(append(slices.Clone(j.a), p)...)} {
				if got := j.reads(header); got != "a" {
					t.Errorf("beside %s=%.10s…: got %s, want a", name, value, got)
				}
			}
			if got := j.reads(join(p)); got != "nothing" {
				t.Errorf("%s=%.10s… alone: got %s, want nothing", name, value, got)
			}
		}
	}
	if got := cookiesession.OwnCookies([]string{"n .1=x; n\t.flash=x"}, "n"); got != nil {
		t.Errorf("with a space before the dot: got %q, want none", got)
	}
}

// TestSmallWrites is for tokens that are small enough to be decoded into memory that isn't theirs alone.
func TestSmallWrites(t *testing.T) {
	j := newJoiner(t)
	v := newVisitor(t, j.Manager)
	var writes []pair
	for i := range 3 {
		j.now = j.now.Add(time.Second)
		v.visit(func(s *cookiesession.Session) {
			s.Put("is", fmt.Sprint("write ", i))
			s.Put("x", strings.Repeat(fmt.Sprint(i), 20))
		})
		writes = append(writes, pairsOf(v.header())...)
	}
	forged := pair{cookieName, swapLetter(j.small[0].value, 60)}
	for _, order := range [][]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}} {
		sent := []pair{writes[order[0]], writes[order[1]], writes[order[2]]}
		for _, header := range []string{join(sent...), join(append([]pair{forged}, sent...)...), join(append(sent, forged)...)} {
			s := load(j.Manager, header)
			if got, want := s.All(), map[string]any{"is": "write 2", "x": strings.Repeat("2", 20)}; !reflect.DeepEqual(got, want) {
				t.Errorf("in the order %v: got %v, %v, want %v", order, got, s.Rejected(), want)
			}
		}
	}
}

func TestCandidates(t *testing.T) {
	j := newJoiner(t)
	const n0, n1 = cookieName, cookieName + ".1"
	junk := func(n int, first string) (pairs []pair) {
		for i := range n {
			pairs = append(pairs, pair{n0, fmt.Sprintf("%sjunk%d", first, i)})
		}
		return pairs
	}
	tag := j.a[1].value[:4]
	parts := func(name string, n int) (pairs []pair) { // with a's tag
		for i := range n {
			pairs = append(pairs, pair{name, fmt.Sprintf("%sAAA%d", tag, i)})
		}
		return pairs
	}
	forged := slices.Clone(j.small)
	forged[0].value = swapLetter(forged[0].value, 60)
	cat := func(lists ...[]pair) string { return join(slices.Concat(lists...)...) }

	tests := []struct{ name, header, want string }{
		{"three more before", cat(junk(3, "1"), j.a), "a"},
		{"three more after", cat(j.a, junk(3, "1")), "a"},
		{"three more around", cat(junk(2, "1"), j.a, junk(3, "1")), "a"},
		{"three more without a count", cat(junk(3, ""), j.a), "a"},
		{"four more before", cat(junk(4, "1"), j.a), "ambiguous"},
		{"four more after", cat(j.a, junk(4, "1")), "ambiguous"},
		{"four more without a count", cat(junk(4, ""), j.a), "ambiguous"},
		{"one more, often", cat(slices.Repeat(junk(1, "1"), 1000), j.a, slices.Repeat(junk(1, "1"), 1000)), "a"},

		{"two sessions", cat(j.a, j.b), "ambiguous"},
		{"two sessions, mixed", cat(j.b[:1], j.a, j.b[1:]), "ambiguous"},
		{"two sessions, one of one cookie", cat(j.a, j.small), "ambiguous"},
		{"a session and a torn one", cat(j.b[:2], j.a), "a"},
		{"a session and a forged one", cat(forged, j.a), "a"},
		{"a session and a forged one after", cat(j.a, forged), "a"},
		{"two writes, older first", cat(j.a, j.a2), "a2"},
		{"two writes, newer first", cat(j.a2, j.a), "a2"},
		{"two writes, the newer torn", cat(j.a2[1:], j.a), "a"},
		{"two writes and another session", cat(j.a, j.a2, j.small), "ambiguous"},
		{"two writes and a forged one", cat(j.a, j.a2, forged), "a2"},

		{"parts that are hardly a tag", cat([]pair{{n1, ""}, {n1, tag[:1]}, {n1, tag[:3]}, {n1, tag}}, j.a), "a"},
		{"many of the flash message's cookie 1", cat(parts(cookieName+".flash.1", 9), j.a), "a"},
		{"two of cookie 1 and two of cookie 2", cat(parts(n1, 1), parts(cookieName+".2", 1), j.a), "a"},
		{"four of cookie 1", cat(parts(n1, 3), j.a), "a"},
		{"five of cookie 1", cat(parts(n1, 4), j.a), "ambiguous"},
		{"ten of cookie 1", cat(parts(n1, 9), j.a), "ambiguous"},
		{"ten of cookie 1 and of cookie 2", cat(parts(n1, 9), parts(cookieName+".2", 9), j.a), "ambiguous"},
		{"five of cookie 1 after", cat(j.a, parts(n1, 4)), "ambiguous"},
		{"three of cookie 1 and two of cookie 2", cat(parts(n1, 2), parts(cookieName+".2", 1), j.a), "ambiguous"},
		{"twelve of cookie 3", cat(parts(cookieName+".3", 12), j.a), "a"},
		{"thousands of cookie 3", cat(parts(cookieName+".3", 5000), j.a), "ambiguous"},
		{"thousands of cookie 3 and nothing else", cat(parts(cookieName+".3", 5000)), "ambiguous"},
		{"thousands of what has no place", cat(parts(cookieName+".0", 999), parts(cookieName+".9", 999), parts(cookieName+".10", 999), j.a), "a"},
		{"nothing that opens", cat(junk(1, ""), forged), "malformed"},
		{"nothing that opens, otherwise", cat(forged, junk(1, "")), "forged"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := j.reads(test.header); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

// swapLetter returns text with another character of base64 at i.
func swapLetter(text string, i int) string {
	other := "A"
	if text[i] == 'A' {
		other = "B"
	}
	return text[:i] + other + text[i+1:]
}

// After login the browser may hold the old session's cookie beside the new one's, on another domain: which is in force
// can't be known, and the older could be an attacker's.
func TestRegeneratedSessionIsAnother(t *testing.T) {
	m := newManager(t, nil)
	v := newVisitor(t, m)
	v.visit(put("user", "guest"))
	old := v.header()
	v.visit(func(s *cookiesession.Session) { s.Regenerate(); s.Put("user", "ada") })
	if got := rejected(m, old+"; "+v.header()); got != "ambiguous" {
		t.Errorf("before and after Regenerate together: got %q, want ambiguous", got)
	}
}

// tinyauth #155, cockroach #70376: a cookie of the same name that another application has set on the parent domain
// shadows the real one.
func TestTossedCookie(t *testing.T) {
	m := newManager(t, func(c *cookiesession.Config) { c.Insecure = true })
	v := newVisitor(t, m)
	sibling := &url.URL{Scheme: "https", Host: "blog.example.org", Path: "/"}
	shop := &url.URL{Scheme: "https", Host: "shop.example.org", Path: "/cart/"}
	for _, tossed := range []*http.Cookie{
		{Name: "session", Value: "7b3e0f8e-another-framework", Domain: "example.org", Path: "/cart"}, // a longer path comes first
		{Name: "session", Value: "1" + strings.Repeat("A", 200), Domain: "example.org", Path: "/"},
		{Name: "session.1", Value: "AAAAAAAA", Domain: "example.org", Path: "/"},
	} {
		v.jar.SetCookies(sibling, []*http.Cookie{tossed})
	}
	send := func() string { return v.jar.Header(shop) }

	s := load(m, send())
	if s.Rejected() == nil || !s.IsNew() {
		t.Fatalf("foreign cookies open: %v", s.Rejected())
	}
	s.Put("cart", []string{"tea", random(4000)})
	h := http.Header{}
	if err := m.Save(h, s); err != nil {
		t.Fatal(err)
	}
	v.jar.SetHeader(shop, h)
	if got := strings.Count(send(), "session="); got != 3 {
		t.Fatalf("the browser sends %d cookies of the name, want 3", got)
	}
	if s := load(m, send()); s.IsNew() || s.Get("cart").([]any)[0] != "tea" {
		t.Errorf("behind tossed cookies the session is lost: %v", s.Rejected())
	}
}

// nextjs-auth0 #2782: chunks whose first part is gone stay in the browser for ever, and count against its limits.
func TestOrphansAreDeletedByTheNextWrite(t *testing.T) {
	j := newJoiner(t)
	v := newVisitor(t, j.Manager)
	for _, p := range j.a[1:] {
		v.setCookie(strings.TrimPrefix(p.name, cookieName), p.value)
	}
	if lines := v.visit(func(s *cookiesession.Session) { s.Get("x") }); len(lines) > 0 {
		t.Errorf("a reader wrote %d cookies, want none", len(lines))
	}
	if s := v.load(); s.Rejected() != nil || !s.IsNew() {
		t.Errorf("orphans: refused with %v, want a new session and no refusal", s.Rejected())
	}
	v.visit(put("x", 1))
	if got := v.names(); !slices.Equal(got, []string{""}) {
		t.Errorf("after a write the browser holds %q, want one cookie", got)
	}
	for _, p := range j.a[1:] {
		v.setCookie(strings.TrimPrefix(p.name, cookieName), p.value)
	}
	v.visit(destroy)
	if got := v.chunks(); got != 0 {
		t.Errorf("after Destroy the browser holds %d session cookies, want none", got)
	}
}
