package cookiesession_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

// Every bit of every cookie counts: whichever is flipped, and whichever character is deleted, doubled, swapped with its
// neighbour or moved to the next cookie, what comes of it doesn't open.
func TestEveryBit(t *testing.T) {
	now := time.Now()
	m := newManager(t, func(c *cookiesession.Config) { c.MaxSize, c.IdleTimeout = defaultCapacity.size(9), time.Hour })
	m.SetClock(func() time.Time { return now })

	session := func(header string) bool { return !load(m, header).IsNew() }
	flashed := func(header string) bool { return load(m, header).Flashed("f") != nil }
	header := func(change func(*cookiesession.Session)) string {
		v := newVisitor(t, m)
		v.visit(change)
		return v.header()
	}
	sealed := []struct {
		name    string
		header  string
		cookies int
		opens   func(header string) bool
	}{
		{"session of one cookie", header(put("v", "ada")), 1, session},
		{"session of two cookies", header(fill(t, m, defaultCapacity.payload(1)+2)), 2, session},
		{"session of four cookies", resplit(header(put("v", random(300))), 4), 4, session},
		{"flash of one cookie", header(flash("f", "saved")), 1, flashed},
		{"flash of nine cookies", resplit(header(flash("f", random(300))), 9), 9, flashed},
	}
	for _, s := range sealed {
		t.Run(s.name, func(t *testing.T) {
			if pairs := pairsOf(s.header); len(pairs) != s.cookies || !s.opens(s.header) {
				t.Fatalf("%d cookies, want %d that open", len(pairs), s.cookies)
			}
			t.Logf("%d changes tried", tryEveryChange(t, pairsOf(s.header), s.opens))
		})
	}

	t.Run("lease", func(t *testing.T) {
		v := newVisitor(t, m)
		v.visit(put("v", "ada"))
		kept := v.header()
		now = now.Add(59 * time.Minute)
		v.visit(func(s *cookiesession.Session) { s.Get("v") })
		now = now.Add(59 * time.Minute)
		opens := func(lease string) bool { return session(kept + "; " + lease) }
		lease := defaultName + ".lease=" + v.cookie(".lease")
		if opens("") || !opens(lease) {
			t.Fatal("the session opens without its lease, or doesn't with it")
		}
		t.Logf("%d changes tried", tryEveryChange(t, pairsOf(lease), opens))
	})
}

// resplit spreads a text of one cookie over n, which FORMAT.md allows anywhere between groups of four characters. To
// fill four cookies would take a minute under the race detector.
func resplit(header string, n int) string {
	name, value, _ := strings.Cut(header, "=")
	text := value[1:]
	token, _ := textEncoding.DecodeString(text)
	tag := textEncoding.EncodeToString(token[17:20])
	each := max(len(text)/n&^3, 28)
	pairs := []pair{{name, fmt.Sprint(n) + text[:each]}}
	for i := 1; i < n; i++ {
		to := (i + 1) * each
		if i == n-1 {
			to = len(text)
		}
		pairs = append(pairs, pair{fmt.Sprintf("%s.%d", name, i), tag + text[i*each:to]})
	}
	return join(pairs...)
}

// tryEveryChange returns how many it tried.
func tryEveryChange(t *testing.T, pairs []pair, opens func(header string) bool) (tried int) {
	t.Helper()
	try := func(i int, what string, at int, changed pair) {
		t.Helper()
		if changed == pairs[i] { // two equal neighbours have been swapped
			return
		}
		tried++
		if opens(join(with(pairs, pair{pairs[i].name, "-"})...) + "; " + join(changed)) {
			t.Errorf("cookie %d still opens with %s at %d", i, what, at)
		}
	}
	for i, p := range pairs {
		for at := range p.value {
			v := p.value
			for bit := range 8 {
				try(i, "a bit flipped", at, pair{p.name, v[:at] + string([]byte{v[at] ^ 1<<bit}) + v[at+1:]})
			}
			try(i, "a character deleted", at, pair{p.name, v[:at] + v[at+1:]})
			try(i, "a character doubled", at, pair{p.name, v[:at+1] + v[at:]})
			if at+1 < len(v) {
				try(i, "two characters swapped", at, pair{p.name, v[:at] + v[at+1:at+2] + v[at:at+1] + v[at+2:]})
			}
		}
		for at := range p.name {
			for bit := range 8 {
				try(i, "a bit of the name flipped", at, pair{p.name[:at] + string([]byte{p.name[at] ^ 1<<bit}) + p.name[at+1:], p.value})
			}
		}
	}

	// Between one cookie and the next: the end of one text, and the beginning of the other behind its tag.
	for i := 1; i < len(pairs); i++ {
		a, tag, b := pairs[i-1].value, pairs[i].value[:4], pairs[i].value[4:]
		end := len(a) - 1
		for what, changed := range map[string][2]string{
			"swapped":            {a[:end] + b[:1], tag + a[end:] + b[1:]},
			"moved to the right": {a[:end], tag + a[end:] + b},
			"moved to the left":  {a + b[:1], tag + b[1:]},
		} {
			if changed[0] == a { // two equal neighbours have been swapped
				continue
			}
			tried++
			if opens(join(with(pairs, pair{pairs[i-1].name, changed[0]}, pair{pairs[i].name, changed[1]})...)) {
				t.Errorf("still opens with a character %s between cookies %d and %d", what, i-1, i)
			}
		}
	}
	return tried
}
