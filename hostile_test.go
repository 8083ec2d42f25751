package cookiesession_test

import (
	"errors"
	"fmt"
	"math"
	"runtime"
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
		lease := cookieName + ".lease=" + v.cookie(".lease")
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

// net/http finds nothing at all among more than 3,000 cookies, in r.Cookie as in r.Cookies; the session is there all
// the same.
func TestAmongTenThousandCookies(t *testing.T) {
	j := newJoiner(t)
	var foreign []pair
	for i := range 5000 {
		foreign = append(foreign, pair{fmt.Sprintf("c%d", i), "v"})
	}
	pairs := append(append(append([]pair{}, foreign...), j.a...), foreign...)
	if got := j.reads(join(pairs...)); got != "a" {
		t.Errorf("one line: got %s, want a", got)
	}
	lines := make([]string, len(pairs))
	for i, p := range pairs {
		lines[i] = join(p)
	}
	if got := j.reads(lines...); got != "a" {
		t.Errorf("10,003 lines: got %s, want a", got)
	}
}

// repeated returns a Cookie header of about 1 MB: the pair that next returns, again and again.
func repeated(next func(i int) string) string {
	var b strings.Builder
	for i := 0; b.Len() < 1<<20; i++ {
		b.WriteString(next(i))
		b.WriteString("; ")
	}
	return b.String()
}

// Katana #463 allocates what the visitor's count says. Here whatever names, counts and lengths a visitor sends cost no
// more memory than a few times what was sent, and a number of allocations that doesn't grow with it.
func TestMemoryIsBounded(t *testing.T) {
	j := newJoiner(t)
	m := newManager(t, func(c *cookiesession.Config) {
		c.MaxSize, c.IdleTimeout = defaultCapacity.size(9), time.Hour
	})
	const n = cookieName
	tag := j.a[1].value[:4]
	middle := strings.Repeat("AAAA", 1<<20/4/8)
	giants := func(count string, k int) string { // a text spread over k parts, with a's tag
		pairs := []pair{{n, count + j.a[0].value[1:]}}
		for i := 1; i < k; i++ {
			pairs = append(pairs, pair{fmt.Sprintf("%s.%d", n, i), tag + middle})
		}
		return join(pairs...)
	}

	tests := []struct {
		name, header string
		bytes        uint64 // that may be allocated
		allocations  uint64
	}{
		{"distinct cookies 0", repeated(func(i int) string { return fmt.Sprintf("%s=1%d", n, i) }), 16 << 10, 60},
		{"distinct cookies 0 without a count", repeated(func(i int) string { return fmt.Sprintf("%s=%d", n, i+1000000) }), 16 << 10, 60},
		{"one cookie 0, often", repeated(func(int) string { return n + "=9" }), 16 << 10, 60},
		{"bare names", repeated(func(int) string { return n }), 16 << 10, 60},
		{"parts", repeated(func(i int) string { return fmt.Sprintf("%s.%d=%s%d", n, i%8+1, tag, i) }), 16 << 10, 60},
		{"a session and parts", join(j.a...) + "; " + repeated(func(i int) string { return fmt.Sprintf("%s.%d=%s%d", n, i%8+1, tag, i) }), 16 << 10, 60},
		{"a session and parts of other numbers", join(j.a...) + "; " + repeated(func(i int) string { return fmt.Sprintf("%s.%d=%s%d", n, i+9, tag, i) }), 64 << 10, 60},
		{"flash", join(j.a...) + "; " + repeated(func(i int) string { return fmt.Sprintf("%s.flash=1%d", n, i) }), 64 << 10, 60},
		{"flash parts", join(j.a...) + "; " + repeated(func(i int) string { return fmt.Sprintf("%s.flash.%d=%s%d", n, i%8+1, tag, i) }), 64 << 10, 60},
		{"leases", join(j.a...) + "; " + repeated(func(i int) string { return fmt.Sprintf("%s.lease=1%d", n, i) }), 64 << 10, 60},
		{"lease parts", join(j.a...) + "; " + repeated(func(i int) string { return fmt.Sprintf("%s.lease.%d=%s%d", n, i%8+1, tag, i) }), 64 << 10, 60},
		{"ended markers of others", join(j.a...) + "; " + repeated(func(i int) string { return fmt.Sprintf("%s.ended.%010dA=1", n, i) }), 64 << 10, 60},
		{"semicolons", strings.Repeat(";", 1<<20), 16 << 10, 60},
		{"white space", strings.Repeat(" \t", 1<<19), 16 << 10, 60},
		{"counts up to nine, nothing behind them", join(pair{n, "9" + j.a[0].value[1:]}), 32 << 10, 60},
		{"one giant", n + "=1" + strings.Repeat("AQEB", 1<<18), 1 << 20, 60},
		{"a giant of nine parts", giants("9", 9), 1 << 20, 60},
		{"four giants", strings.Join([]string{n + "=1" + middle + "B", n + "=1" + middle + "C", n + "=1" + middle + "D", n + "=1" + middle + "E"}, "; "), 1 << 20, 60},
		{"four readings of a giant", giants("9", 9) + fmt.Sprintf("; %s.8=%sB; %s.8=%sC; %s.8=%sD", n, tag, n, tag, n, tag), 5 << 20, 60},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			use := func() {
				s := load(m, test.header)
				s.Get("is")
				s.Flashed("f")
				s.Put("new", 1)
				var tooLarge *cookiesession.SizeError // where a megabyte of flash cookies stays
				if err := m.Save(map[string][]string{}, s); err != nil && !errors.As(err, &tooLarge) {
					t.Fatal(err)
				}
			}
			use() // fills pools and logs what is logged once
			// The least of some tries: a collection, or the race detector, may empty the pools in between.
			bytes, allocations := uint64(math.MaxUint64), uint64(math.MaxUint64)
			for range 5 {
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				use()
				runtime.ReadMemStats(&after)
				bytes = min(bytes, after.TotalAlloc-before.TotalAlloc)
				allocations = min(allocations, after.Mallocs-before.Mallocs)
			}
			if bytes > test.bytes {
				t.Errorf("allocated %d bytes for a header of %d, want at most %d", bytes, len(test.header), test.bytes)
			}
			if allocations > test.allocations {
				t.Errorf("%d allocations, want at most %d", allocations, test.allocations)
			}
		})
	}
}
