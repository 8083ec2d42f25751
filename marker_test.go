package cookiesession_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

// markers returns the tags of the markers in the jar.
func (v *visitor) markers() (tags []string) {
	for _, name := range v.names() {
		if tag, ok := strings.CutPrefix(name, ".ended."); ok {
			tags = append(tags, tag)
		}
	}
	return tags
}

// What a marker says is only about its age; a name that isn't exactly one is none.
func TestMarkerNames(t *testing.T) {
	m := newManager(t, nil)
	v := newVisitor(t, m)
	v.visit(put("n", 1))
	suffix := endedSuffix(t, v.load().ID())
	last := suffix[len(suffix)-1]
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._"
	sameBits := suffix[:len(suffix)-1] + string(alphabet[strings.IndexByte(alphabet, last)|1]) // decodes to the same bytes where unused bits are ignored
	for _, test := range []struct {
		cookie string
		want   string
	}{
		{cookieName + suffix + "=1700000000", "ended"},
		{cookieName + suffix + "=99999999999", "ended"},
		{cookieName + suffix + "=-1", "ended"},
		{cookieName + suffix + "=0", "ended"},
		{cookieName + suffix + "=", "ended"},
		{cookieName + suffix, "ended"},
		{cookieName + suffix + "=words", "ended"},
		{cookieName + suffix + `="1700000000"`, "ended"},
		{cookieName + suffix[:len(suffix)-1] + "=1", ""},
		{cookieName + suffix + "A=1", ""},
		{cookieName + suffix + "==1", "ended"}, // the name ends at the first =
		{cookieName + suffix + ".1=1", ""},
		{cookieName + sameBits + "=1", ""},
		{cookieName + strings.ToUpper(suffix) + "=1", ""},
		{cookieName + ".ended.=1", ""},
		{cookieName + ".ended=1", ""},
		{cookieName + ".ended.AAAAAAAAAAA=1", ""},
		{"session" + suffix + "=1", ""},
		{cookieName + "2" + suffix + "=1", ""},
		{strings.ToLower(cookieName) + suffix + "=1", ""},
	} {
		for _, header := range []string{v.header() + "; " + test.cookie, test.cookie + "; " + v.header()} {
			if got := rejected(m, header); got != test.want {
				t.Errorf("with %q: got %q, want %q", test.cookie, got, test.want)
			}
		}
	}
}

// However many sessions end at about the same time, none comes back.
func TestManySessionsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 40
		v := newVisitor(t, newManager(t, nil))
		var slow []*cookiesession.Session
		for range n {
			v.visit(in)
			late := v.load()
			late.Put("late", true)
			slow = append(slow, late)
			v.visit(destroy)
			time.Sleep(10 * time.Second)
		}
		if got := len(v.markers()); got != n {
			t.Fatalf("got %d markers, want %d", got, n)
		}
		for i, late := range slow {
			if _, err := v.answer(late); err != nil {
				t.Fatal(err)
			}
			if v.state() != "ended" {
				t.Fatalf("session %d is %s after its logout", i, v.state())
			}
		}
		// All are cleaned up, once somebody is logged in again and they are old.
		v.visit(in)
		for range n / 4 {
			time.Sleep(time.Minute)
			v.visit(touched)
		}
		time.Sleep(10 * time.Minute)
		for range n / 4 {
			v.visit(touched)
		}
		if got := v.markers(); len(got) > 0 {
			t.Errorf("got %d markers left, want none", len(got))
		}
		v.wantState("valid")
	})
}

// A marker goes with a response to a valid session once it is over ten minutes old, or says nothing that can be an age.
func TestMarkersAreCleanedUp(t *testing.T) {
	const theirs = ".ended.AAAAAAAAAAA"
	now := func() int64 { return time.Now().Unix() }
	seconds := func(n int64) string { return strconv.FormatInt(n, 10) }
	for _, test := range []struct {
		name   string
		value  func() string
		delete bool
	}{
		{"new", func() string { return seconds(now()) }, false},
		{"599 s", func() string { return seconds(now() - 599) }, false},
		{"600 s", func() string { return seconds(now() - 600) }, false},
		{"601 s", func() string { return seconds(now() - 601) }, true},
		{"59 s ahead", func() string { return seconds(now() + 59) }, false},
		{"60 s ahead", func() string { return seconds(now() + 60) }, false},
		{"61 s ahead", func() string { return seconds(now() + 61) }, true},
		{"zero", func() string { return "0" }, true},
		{"negative", func() string { return "-1" }, true},
		{"least", func() string { return "-9223372036854775808" }, true},
		{"most", func() string { return "9223372036854775807" }, true},
		{"beyond", func() string { return "9223372036854775808" }, true},
		{"empty", func() string { return "" }, true},
		{"words", func() string { return "now" }, true},
		{"a fraction", func() string { return seconds(now()) + ".5" }, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				value := test.value()
				for _, visit := range []struct {
					name   string
					before func(*cookiesession.Session)
					do     func(*cookiesession.Session)
					may    bool
				}{
					{"read", put("n", 1), touched, true},
					{"change", put("n", 1), put("n", 2), true},
					{"flash", put("n", 1), func(s *cookiesession.Session) { s.Flash("f", 1) }, true},
					{"login", put("n", 1), in, true},
					{"logout", put("n", 1), destroy, true},
					{"failure", put("n", 1), put("n", func() {}), false},
					{"nobody reads", nothing, touched, false},
					{"nobody logs in", nothing, in, false},
					{"nobody logs out", nothing, destroy, false},
				} {
					v := newVisitor(t, newManager(t, nil))
					v.visit(visit.before)
					v.setCookie(theirs, value)
					lines, _ := v.try(visit.do)
					if got, want := strings.Contains(v.wrote(lines), "-["+theirs+"]"), test.delete && visit.may; got != want {
						t.Errorf("%s: wrote %s, want it deleted %v", visit.name, v.wrote(lines), want)
					}
				}
			})
		})
	}
}

// One response deletes four at most, and needs no change for it.
func TestFourMarkersAreDeletedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVisitor(t, newManager(t, nil))
		v.visit(put("n", 1))
		for i := range 11 {
			v.setCookie(fmt.Sprintf(".ended.AAAAAAAAA%cA", 'A'+i), "1")
		}
		v.setCookie(".ended.AAAAAAAAAAAA", "1") // a character too long
		for _, want := range []int{4, 4, 3, 0} {
			lines := v.visit(touched)
			if set, deleted := countLines(lines); set != 0 || deleted != want {
				t.Errorf("got %s, want %d deletions", v.wrote(lines), want)
			}
		}
		if got, want := v.names(), []string{"", ".ended.AAAAAAAAAAAA"}; !slices.Equal(got, want) {
			t.Errorf("got %q left, want %q", got, want)
		}
	})
}

// Where a marker comes twice, which a server can set for another Path, it is deleted by one line.
func TestMarkerThatComesTwice(t *testing.T) {
	v := newVisitor(t, newManager(t, nil))
	v.visit(put("n", 1))
	const marker = "; " + cookieName + ".ended.AAAAAAAAAAA="
	lines, err := v.answer(load(v.m, v.header()+marker+"1"+marker+"2"))
	if err != nil || len(lines) != 1 {
		t.Errorf("got %s and error %v, want one line", v.wrote(lines), err)
	}
}

// A program that only logs in, works and logs out doesn't carry a marker for each time.
func TestMarkersDoNotPileUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVisitor(t, newManager(t, nil))
		for range 100 {
			v.visit(in)
			time.Sleep(5 * time.Minute)
			v.visit(destroy)
			if n := len(v.markers()); n > 4 {
				t.Fatalf("got %d markers, want at most those of the last ten minutes", n)
			}
		}
	})
}

// Markers aren't deleted by a session that they refuse.
func TestRefusedSessionKeepsItsMarker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVisitor(t, newManager(t, func(c *cookiesession.Config) { c.Lifetime = 100 * 24 * time.Hour }))
		v.visit(in)
		slow := v.load()
		slow.Put("n", 1)
		v.visit(destroy)
		v.answer(slow)
		time.Sleep(24 * time.Hour)
		for range 3 {
			if lines := v.visit(touched); len(lines) > 0 {
				t.Errorf("a refusal wrote %s, want nothing", v.wrote(lines))
			}
			v.wantState("ended")
		}
		// Another logout renews it.
		if got, want := v.wrote(v.visit(destroy)), "-[] [.ended."+v.markers()[0]+"]"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}
