package cookiesession_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"net/http"
	"runtime"
	"slices"
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

// fuzzed is a Manager whose keys and clock are the same in every process, so that a corpus keeps opening.
func fuzzed(f testing.TB) *cookiesession.Manager {
	m := newManager(f, func(c *cookiesession.Config) { c.MaxSize, c.IdleTimeout = defaultCapacity.size(9), time.Hour })
	m.SetClock(func() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) })
	return m
}

// fuzzedValues returns the values of session and flash i, which say what they are.
func fuzzedValues(i int) map[string]any {
	return map[string]any{"sealed": int64(i), "by": "the fuzz test", "filler": random([]int{0, 300, 3000, 9000, 20000}[i])}
}

// fuzzedHeaders returns the Cookie headers of sessions and flash messages with fuzzedValues, of one to nine cookies.
func fuzzedHeaders(f testing.TB, m *cookiesession.Manager) (headers []string) {
	for i := range 5 {
		v := newVisitor(f, m)
		v.visit(func(s *cookiesession.Session) {
			for key, value := range fuzzedValues(i) {
				s.Put(key, value)
			}
			if i < 3 {
				for key, value := range fuzzedValues(i) {
					s.Flash(key, value)
				}
			}
		})
		headers = append(headers, v.header())
	}
	return headers
}

// Whatever a visitor sends, nothing panics, and only what was sealed opens.
func FuzzOpen(f *testing.F) {
	m := fuzzed(f)
	headers := fuzzedHeaders(f, m)
	for _, header := range headers {
		f.Add(header)
		f.Add(strings.ReplaceAll(header, "; ", "\n"))
	}
	small := pairsOf(headers[0])
	for _, header := range []string{
		"", ";", "=", "; =; ", cookieName, cookieName + "=", cookieName + "=1", cookieName + "=9", cookieName + ".1=AAAA",
		cookieName + "=10; " + cookieName + "=2; " + cookieName + ".1=", headers[1] + "; " + headers[0], headers[0] + "; " + headers[0],
		join(small[0]) + "\x00", "\"" + headers[0] + "\"", cookieName + ".ended.AAAAAAAAAAA=1; " + headers[0], cookieName + ".lease=" + small[0].value + "; " + headers[0],
		cookieName + ".flash=" + small[0].value, strings.Replace(headers[3], "=3", "=2", 1), strings.Replace(headers[3], "=3", "=9", 1),
		strings.Repeat(cookieName+"=1AAAA; ", 10), strings.Repeat(cookieName+".8=AAAAAAAA; ", 40),
	} {
		f.Add(header)
	}
	known := map[string]bool{}
	for i := range 5 {
		known[fmt.Sprint(fuzzedValues(i))] = true
	}
	f.Fuzz(func(t *testing.T, header string) {
		s := load(m, strings.Split(header, "\n")...)
		if all := fmt.Sprint(s.All()); !s.IsNew() && !known[all] {
			t.Errorf("opened what nobody sealed: %s", all)
		}
		if flashes := s.Flashes(); len(flashes) > 0 && !known[fmt.Sprint(flashes)] {
			t.Errorf("opened a flash message that nobody sealed: %v", flashes)
		}
		if s.IsNew() && len(s.All()) > 0 || !s.IsNew() && s.Rejected() != nil {
			t.Error("a session that is new, or refused, has values")
		}
		s.Put("new", 1)
		h := http.Header{}
		if err := m.Save(h, s); err == nil {
			checkLines(t, h["Set-Cookie"])
		}
	})
}

// Change anything in a set of cookies that was accepted, and it is refused.
func FuzzMalleability(f *testing.F) {
	m := fuzzed(f)
	headers := fuzzedHeaders(f, m)
	for i := range headers {
		for change := range byte(7) {
			f.Add(byte(i), change, uint16(20), uint16(1), byte('A'))
			f.Add(byte(i), change, uint16(len(headers[i])/2), uint16(7), byte(';'))
			f.Add(byte(i), change, uint16(len(headers[i])-1), uint16(4), byte(0x80))
		}
	}
	f.Fuzz(func(t *testing.T, which, change byte, at, n uint16, b byte) {
		header := headers[int(which)%len(headers)]
		from := int(at) % len(header)
		to := min(from+int(n), len(header))
		changed := header
		switch change % 7 {
		case 0:
			changed = header[:from] + string([]byte{b}) + header[from+1:]
		case 1:
			changed = header[:from] + string([]byte{b}) + header[from:]
		case 2: // a run deleted
			changed = header[:from] + header[to:]
		case 3: // a run doubled
			changed = header[:to] + header[from:]
		case 4: // a run replaced
			changed = header[:from] + strings.Repeat(string([]byte{b}), to-from) + header[to:]
		case 5: // a run moved to the end
			changed = header[:from] + header[to:] + header[from:to]
		case 6: // the rest of another set
			other := headers[int(b)%len(headers)]
			changed = header[:from] + other[min(from, len(other)):]
		}
		received := cookiesession.OwnCookies([]string{changed}, cookieName)
		whole := func(flash bool) bool { // the cookies that were changed are all still there, with what they held
			for _, own := range cookiesession.OwnCookies([]string{header}, cookieName) {
				if strings.HasPrefix(own[0], ".flash") == flash && !slices.Contains(received, own) {
					return false
				}
			}
			return true
		}
		s := load(m, changed)
		if want := fmt.Sprint(fuzzedValues(int(which) % len(headers))); !s.IsNew() && !whole(false) && fmt.Sprint(s.All()) == want {
			t.Errorf("change %d at %d to %d: the session still opens", change%7, from, to)
		}
		if flashes := s.Flashes(); len(flashes) > 0 && !whole(true) && fmt.Sprint(flashes) == fmt.Sprint(fuzzedValues(int(which)%len(headers))) {
			t.Errorf("change %d at %d to %d: the flash message still opens", change%7, from, to)
		}
	})
}

// A payload that is accepted means the same after it has been encoded again, and again after all of its values have
// been decoded.
func FuzzDecode(f *testing.F) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).Unix()
	head := pack(packArray(7), packID(1), packTimes(now, now, now+1000), 0, packBytes(nil))
	for _, values := range [][]byte{
		{0x80},
		packMap("k", "v"), packMap("", "", "a", "b"), packMap("b", "", "a", ""), pack(0x81, packString("k"), 0xc0),
		pack(0x81, packString("k"), 0xca, "\x7f\xc0\x00\x00"), pack(0x81, packString("k"), 0xcb, "\xff\xf8\x00\x00\x00\x00\x00\x01"),
		pack(0x81, packString("k"), 0xd6, 0xff, "\x00\x00\x00\x01"), pack(0x81, packString("k"), 0xc7, 12, 0xff, strings.Repeat("\x01", 12)),
		pack(0x81, packString("k"), 0xd3, "\x00\x00\x00\x00\x00\x00\x00\x05"), pack(0x81, packString("k"), 0xcf, "\xff\xff\xff\xff\xff\xff\xff\xff"),
		pack(0x81, packString("k"), 0x92, 1, 0x81, packString("x"), packBytes([]byte("y"))), pack(0xde, "\x00\x01", 0xd9, 1, "k", 0xda, "\x00\x01", "v"),
		pack(0x81, packString("k"), "\xdd\xff\xff\xff\xff"), pack(0x81, packString("k"), strings.Repeat("\x91", 40)),
	} {
		f.Add(byte(0), pack(head, values))
		f.Add(byte(1), pack(packArray(2), packTimes(now), values))
	}
	f.Add(byte(0), pack(packArray(7), packID(1), packTimes(now, now, now), 2, packID(0), 0x80))
	f.Add(byte(2), packLease(strings.Repeat("ab", 16), now))
	f.Add(byte(2), pack(0xdc, "\x00\x02", 0xc5, "\x00\x10", strings.Repeat("i", 16), 0xcf, "\x00\x00\x00\x00\x00\x00\x00\x01"))
	f.Fuzz(func(t *testing.T, which byte, payload []byte) {
		checkUsualHead(t, payload)
		purpose := []string{"session", "flash", "lease"}[which%3]
		p, again, ok := cookiesession.DecodePayload(purpose, payload)
		if !ok {
			return
		}
		p2, again2, ok := cookiesession.DecodePayload(purpose, again)
		if !ok || !bytes.Equal(again, again2) || !same(p, p2) {
			t.Fatalf("%x became %x (accepted: %t), which means something else", payload, again, ok)
		}
		p3, _, ok := cookiesession.DecodePayload("flash", pack(packArray(2), 1, p.Encoded))
		if !ok || p3.Encoded != p.Encoded {
			t.Fatalf("the values of %x, encoded one by one as %x, are refused or mean something else", payload, p.Encoded)
		}
	})
}

// same compares what two payloads mean. Values are compared as encoded, because NaN doesn't equal itself.
func same(p, q cookiesession.Payload) bool {
	return p.ID == q.ID && p.Times == q.Times && p.Mode == q.Mode && p.CSRF == q.CSRF && p.Encoded == q.Encoded
}

// A token of any length, split for lines with any space for attributes, joins to itself, whatever the order, and takes
// the cookies and bytes that it was said to take, and no more than it needs.
func FuzzJoinSplit(f *testing.F) {
	for _, n := range []uint16{57, 58, 59, 60, 100, 2811, 2868, 2869, 2870, 5700, 8600, 25000, 25700, 40000} {
		for _, reserved := range []uint16{0, 59, 2300} {
			f.Add([]byte("seed"), n, reserved, byte(14))
		}
	}
	f.Fuzz(func(t *testing.T, seed []byte, length, reserved uint16, nameLength byte) {
		const leastToken = 57
		reserved %= 2400
		name := strings.Repeat("n", int(nameLength)%80+1)
		token := make([]byte, max(int(length), leastToken))
		for i := range token {
			token[i] = byte(i * 7)
		}
		copy(token, seed)

		cookies, number, size := cookiesession.Split(token, name, int(reserved))
		if number > 9 {
			return
		}
		if len(cookies) != number {
			t.Fatalf("%d cookies, said to be %d", len(cookies), number)
		}
		for i, cookie := range cookies {
			size -= len(cookie) + len("; ")
			if n := len(cookie) + int(reserved); n > 3900 || i < number-1 && n <= 3900-4 {
				t.Errorf("cookie %d of %d makes a line of %d bytes, want 3897 to 3900, or less for the last", i, number, n)
			}
		}
		if size != 0 {
			t.Errorf("the cookies are %d bytes less than was said", size)
		}
		for _, lines := range [][]string{cookies, {strings.Join(cookies, "; ")}, reversedLines(cookies)} {
			if joined, ok := cookiesession.Join(lines, name); !ok || !bytes.Equal(joined, token) {
				t.Errorf("%d bytes in %d cookies don't join to themselves", len(token), number)
			}
		}
	})
}

func reversedLines(lines []string) []string {
	lines = slices.Clone(lines)
	slices.Reverse(lines)
	return lines
}

// The Cookie header is read as net/http reads it, but for what no cookie of ours has: bytes that net/http drops a cookie
// for.
func FuzzCookieHeader(f *testing.F) {
	for _, line := range []string{
		"", "a=b", "n=1", "n=1; n=2", "n=1;n.1=2;;n.2=3", " n = 1 ;\tn.1\t=2", "n", "n.1", "n;n", "=1", "n==1", "n=a=b", "n.=x", "n..1=x", "nn=1; n-1=2",
		`n="1"`, `n="`, `n=""`, `n="1`, `n=1"`, `n="1";n.1="2" `, `n= "1"`, `n=""1""`, `n=" 1"`, "n=a b", "n=a,b", "n=\x00", "n=ä", "n=a\\b", "n =1", "n\x00=1", "N=1", "n.1 .2=x", "\r\nn=1\r\n", "n=1\n;n=2",
	} {
		f.Add(line, "x=y; "+line+"; n=3", "n")
	}
	f.Add("__Host-session=1AQ; __Host-session.1=x", "__Host-session.flash=2", cookieName)
	f.Fuzz(func(t *testing.T, first, second, name string) {
		if (&http.Cookie{Name: name}).Valid() != nil || strings.Count(first+second, ";") > 2900 { // net/http stops at 3,000
			return
		}
		lines := []string{first, second}
		var want, got [][2]string
		for _, c := range (&http.Request{Header: http.Header{"Cookie": lines}}).Cookies() {
			if suffix, ok := strings.CutPrefix(c.Name, name); ok && (suffix == "" || suffix[0] == '.') {
				want = append(want, [2]string{suffix, c.Value})
			}
		}
		for _, own := range cookiesession.OwnCookies(lines, name) {
			valid := (&http.Cookie{Name: name + own[0]}).Valid() == nil
			for _, b := range []byte(own[1]) {
				valid = valid && b >= ' ' && b < 0x7f && b != '"' && b != '\\'
			}
			if valid {
				got = append(got, own)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("of %q and %q for %q: got %q, want %q", first, second, name, got, want)
		}
	})
}
