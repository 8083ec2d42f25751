package cookiesession_test

import (
	"crypto/cipher"
	"crypto/rand"
	"fmt"
	"math"
	mathrand "math/rand/v2"
	"net/http"
	"net/http/httptest"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/seed-50e21e88/cookiesession"
)

// Each benchmark of a size has the floor beside it: the least that an honest implementation must do, which is one
// XChaCha20-Poly1305 open, or open and seal with a fresh random nonce, package base64 one way or both, and the header
// string, all in reused buffers, without making any Go value. The metric x-floor is the median ratio of rounds in which
// the two took turns, so that what else the machine does hits both.

var benchSizes = []struct {
	name  string
	bytes int // of the values, as msgpack
}{
	{"110B", 110},
	{"1KiB", 1 << 10},
	{"9KiB", 9 << 10},
}

// mixedValues puts values of all kinds into s until they take about n bytes.
func mixedValues(s *cookiesession.Session, n int) {
	s.Put("n", 41)
	s.Put("user", "grace.hopper@example.com")
	s.Put("admin", true)
	s.Put("since", time.Date(2026, 11, 3, 9, 30, 0, 0, time.UTC))
	s.Put("roles", []string{"editor", "author"})
	base := s.Size()
	for i := 0; (s.Size()-base)*3/4 < n-100; i++ {
		key := fmt.Sprintf("item-%03d", i)
		switch rest := n - 100 - (s.Size()-base)*3/4; {
		case rest < 60:
			s.Put(key, strings.Repeat("x", max(rest-14, 1)))
		case i%3 == 0:
			s.Put(key, map[string]any{"sku": "A-17", "count": i, "price": 12.5, "tags": []any{"new", "blue"}})
		case i%3 == 1:
			s.Put(key, "a line of text as an address or a title has it")
		default:
			s.Put(key, []any{i, i * 1000, false, nil, "x"})
		}
	}
}

// benchConfig has room for the largest of benchSizes.
func benchConfig(c *cookiesession.Config) { c.MaxSize = 32 << 10 }

// sealedRequest returns a request with the cookies of a session that fill has filled.
func sealedRequest(tb testing.TB, m *cookiesession.Manager, fill func(*cookiesession.Session)) *http.Request {
	tb.Helper()
	v := newVisitor(tb, m)
	v.visit(fill)
	r := httptest.NewRequest("GET", "https://example.com/", nil)
	r.Header.Set("Cookie", v.header())
	return r
}

// serve returns a function that sends r through m once.
func serve(m *cookiesession.Manager, r *http.Request, handle func(*cookiesession.Session)) func() {
	h := m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handle(m.Get(r))
		w.WriteHeader(http.StatusNoContent)
	}))
	w := discard{http.Header{}}
	return func() {
		clear(w.header)
		h.ServeHTTP(w, r)
	}
}

// floor returns functions that do the least for reading, and for changing, a session of n bytes.
func floor(tb testing.TB, n int) (read, change func()) {
	tb.Helper()
	key := make([]byte, chacha20poly1305.KeySize)
	rand.Read(key)
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		tb.Fatal(err)
	}
	const header, nonce = 17, chacha20poly1305.NonceSizeX
	seal := func(aead cipher.AEAD, token, payload []byte) []byte {
		token = append(token[:0], make([]byte, header)...)
		token = token[:header+nonce]
		rand.Read(token[header:])
		return aead.Seal(token, token[header:], payload, token[:header])
	}
	payload := make([]byte, n)
	token := seal(aead, make([]byte, 0, 2*n+200), payload)
	text := textEncoding.EncodeToString(token)
	encoded := []byte(text)
	buf, line := make([]byte, 0, 2*n+200), make([]byte, 0, 2*n+200)
	read = func() {
		n, err := textEncoding.Decode(buf[:cap(buf)], encoded)
		if err != nil {
			tb.Fatal(err)
		}
		token := buf[:n]
		if _, err := aead.Open(token[header+nonce:header+nonce], token[header:header+nonce], token[header+nonce:], token[:header]); err != nil {
			tb.Fatal(err)
		}
	}
	out := make([]byte, 0, 2*n+200)
	change = func() {
		read()
		out = seal(aead, out, payload)
		line = append(line[:0], "__Host-session="...)
		line = textEncoding.AppendEncode(line, out)
		line = append(line, "; Path=/; HttpOnly; Secure; SameSite=Lax"...)
		sink = string(line)
	}
	return read, change
}

var sink string

// ratio measures ours beside floor.
func ratio(b *testing.B, floor, ours func()) {
	b.Helper()
	b.ReportAllocs()
	for b.Loop() {
		ours()
	}
	b.StopTimer()
	floors, times := turns(floor, ours)
	ratios := make([]float64, len(times))
	for i := range ratios {
		ratios[i] = times[i] / floors[i]
	}
	b.ReportMetric(median(ratios), "x-floor")
	b.ReportMetric(median(floors), "floor-ns/op")
}

// turns lets two functions take turns and returns how long a call of each took in each round, in nanoseconds. Each turn
// lasts several cycles of the collector, of which a small heap has one every 4 ms: with shorter turns it would be chance
// in whose turn a cycle begins, and the median would count that cycle in full, or not at all.
func turns(one, other func()) (ones, others []float64) {
	const (
		rounds = 15
		turn   = 20e6 // nanoseconds, at least
	)
	times := func(f func(), n int) float64 {
		start := time.Now()
		for range n {
			f()
		}
		return float64(time.Since(start)) / float64(n)
	}
	n := max(int(turn/min(times(one, 100), times(other, 100))), 10)
	for range rounds {
		ones = append(ones, times(one, n))
		others = append(others, times(other, n))
	}
	return ones, others
}

// besideHeap runs a benchmark twice: with the heap of a test, 4 MB that the collector goes through every few thousand
// requests, and beside 64 MB of live pointers, as a server has them. What a request allocates costs something else there.
func besideHeap(b *testing.B, name string, run func(*testing.B)) {
	b.Run(name, run)
	b.Run(name+"/heap=64MB", func(b *testing.B) {
		type object struct{ others [8]*object } // 64 bytes, all of them pointers
		live := make([]object, 1<<20)
		random := mathrand.New(mathrand.NewPCG(1, 2))
		for i := range live {
			for k := range live[i].others {
				live[i].others[k] = &live[random.IntN(len(live))]
			}
		}
		run(b)
		runtime.KeepAlive(live)
	})
}

func median(all []float64) float64 { return slices.Sorted(slices.Values(all))[len(all)/2] }

func BenchmarkIgnored(b *testing.B) {
	m := newManager(b, benchConfig)
	besideHeap(b, "cookie=none", func(b *testing.B) {
		run := serve(m, httptest.NewRequest("GET", "https://example.com/", nil), nothing)
		b.ReportAllocs()
		for b.Loop() {
			run()
		}
	})
	for _, size := range benchSizes {
		besideHeap(b, "cookie="+size.name, func(b *testing.B) {
			r := sealedRequest(b, m, func(s *cookiesession.Session) { mixedValues(s, size.bytes) })
			run := serve(m, r, nothing)
			b.ReportAllocs()
			for b.Loop() {
				run()
			}
		})
	}
}

func BenchmarkRead(b *testing.B) {
	m := newManager(b, benchConfig)
	for _, size := range benchSizes {
		besideHeap(b, "size="+size.name, func(b *testing.B) {
			r := sealedRequest(b, m, func(s *cookiesession.Session) { mixedValues(s, size.bytes) })
			read, _ := floor(b, size.bytes+41)
			ratio(b, read, serve(m, r, func(s *cookiesession.Session) {
				if user.Get(s) == "" {
					b.Fatal("no user")
				}
			}))
			b.ReportMetric(float64(len(r.Header.Get("Cookie"))), "cookie-B")
		})
	}
}

const (
	user  = cookiesession.Field[string]("user")
	count = cookiesession.Field[int]("n")
)

func BenchmarkChange(b *testing.B) {
	m := newManager(b, benchConfig)
	for _, size := range benchSizes {
		besideHeap(b, "size="+size.name, func(b *testing.B) {
			r := sealedRequest(b, m, func(s *cookiesession.Session) { mixedValues(s, size.bytes) })
			_, change := floor(b, size.bytes+41)
			ratio(b, change, serve(m, r, func(s *cookiesession.Session) { count.Put(s, count.Get(s)+1) }))
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	for _, size := range benchSizes {
		var keys []cookiesession.Key
		for i := range 16 {
			keys = append(keys, cookiesession.GenerateKey(fmt.Sprint("k", i)))
		}
		m := newManager(b, func(c *cookiesession.Config) { benchConfig(c); c.Keys = newRing(b, keys[15]) })
		m16 := newManager(b, func(c *cookiesession.Config) { benchConfig(c); c.Keys = newRing(b, keys...) })
		r := sealedRequest(b, m, func(s *cookiesession.Session) { mixedValues(s, size.bytes) })
		read := func(s *cookiesession.Session) { user.Get(s) }
		besideHeap(b, "keys=16/size="+size.name, func(b *testing.B) {
			// Here the floor is the same with one key.
			ratio(b, serve(m, r, read), serve(m16, r, read))
		})
	}
}

// BenchmarkTouch is a request that reads a session and has its lease renewed. The metric ns/touch is what it takes more
// than to read the same session without an idle timeout: to open the received lease, and to seal and write the next.
func BenchmarkTouch(b *testing.B) {
	for _, size := range benchSizes {
		besideHeap(b, "size="+size.name, func(b *testing.B) {
			now := time.Now()
			m := newManager(b, func(c *cookiesession.Config) { benchConfig(c); c.IdleTimeout = time.Hour })
			m.SetClock(func() time.Time { return now })
			r := sealedRequest(b, m, func(s *cookiesession.Session) { mixedValues(s, size.bytes) })
			without := newManager(b, benchConfig)
			without.SetClock(func() time.Time { return now })
			read := func(s *cookiesession.Session) { user.Get(s) }
			base := serve(without, r.Clone(b.Context()), read)

			now = now.Add(2 * time.Minute)
			answer := httptest.NewRecorder()
			m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { read(m.Get(r)) })).ServeHTTP(answer, r)
			lease := answer.Result().Cookies()
			if len(lease) != 1 {
				b.Fatalf("got %d cookies, want a lease", len(lease))
			}
			r.AddCookie(lease[0])
			now = now.Add(2 * time.Minute)
			touch := serve(m, r, read)
			b.ReportAllocs()
			for b.Loop() {
				touch()
			}
			b.StopTimer()
			bases, touches := turns(base, touch)
			more := make([]float64, len(bases))
			for i := range more {
				more[i] = touches[i] - bases[i]
			}
			b.ReportMetric(median(more), "ns/touch")
		})
	}
}

// BenchmarkParallel shows whether requests share a lock: compare with -cpu 1,2.
func BenchmarkParallel(b *testing.B) {
	m := newManager(b, benchConfig)
	r := sealedRequest(b, m, func(s *cookiesession.Session) { mixedValues(s, 1<<10) })
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		run := serve(m, r, func(s *cookiesession.Session) { count.Put(s, count.Get(s)+1) })
		for pb.Next() {
			run()
		}
	})
}

// BenchmarkHostile sends what a visitor can make up. The floor is what net/http takes to parse the same header, if it
// weren't to give up at 3,000 cookies. A refusal is logged, which costs what the logger costs; here that is little.
func BenchmarkHostile(b *testing.B) {
	b.Setenv("GODEBUG", "httpcookiemaxnum=0")
	m := newManager(b, benchConfig)
	name := m.CookieName()
	forged := func(bytes, cookies int) string {
		good := sealedRequest(b, m, func(s *cookiesession.Session) { mixedValues(s, bytes) }).Header.Get("Cookie")
		if n := strings.Count(good, "="); n != cookies {
			b.Fatalf("a session of %d bytes has %d cookies, want %d", bytes, n, cookies)
		}
		return good[:len(good)-5] + "AAAAA"
	}
	repeat := func(n int, f func(i int) string) string {
		var pairs []string
		for i := range n {
			pairs = append(pairs, f(i))
		}
		return strings.Join(pairs, "; ")
	}
	for _, hostile := range []struct{ name, cookie string }{
		{"foreign=10000", repeat(10000, func(i int) string { return fmt.Sprintf("c%d=v%d", i, i) })},
		{"foreign=1MB", repeat(250, func(i int) string { return fmt.Sprintf("c%d=%s", i, strings.Repeat("v", 4000)) })},
		{"heads=1MB", repeat(250, func(i int) string { return name + "=1" + strings.Repeat("A", 4000) })},
		{"distinct-heads=1MB", repeat(250, func(i int) string { return fmt.Sprintf("%s=1%s%d", name, strings.Repeat("A", 4000), i) })},
		{"parts=1MB", repeat(250, func(i int) string { return fmt.Sprintf("%s.%d=AAAA%s%d", name, i%8+1, strings.Repeat("A", 4000), i) })},
		{"markers=10000", repeat(10000, func(i int) string { return fmt.Sprintf("%s.ended.AAAAAA%04dA=1", name, i) })},
		{"forged=4", forged(9<<10, 4)},
		{"forged=9", forged(23<<10+500, 9)},
		{"unknown-key", name + "=1AQ" + strings.Repeat("A", 200)},
		{"nothing=1MB", strings.Repeat(";", 1<<20)},
	} {
		b.Run(hostile.name, func(b *testing.B) {
			r := httptest.NewRequest("GET", "https://example.com/", nil)
			r.Header.Set("Cookie", hostile.cookie)
			h := http.Header{"Cookie": r.Header["Cookie"]}
			parse := func() { (&http.Request{Header: h}).CookiesNamed(name) }
			ratio(b, parse, serve(m, r, func(s *cookiesession.Session) { s.Get("user") }))
		})
	}
	b.Run("put=64kB", func(b *testing.B) { // what can't be saved, put again and again
		r := httptest.NewRequest("GET", "https://example.com/", nil)
		large := strings.Repeat("x", 64<<10)
		copied := make([]byte, len(large))
		ratio(b, func() {
			for range 10 {
				copy(copied, large)
			}
		}, serve(m, r, func(s *cookiesession.Session) {
			for range 10 {
				s.Put("x", large)
			}
		}))
	})
}

// BenchmarkDevice reads one value of a device-aware session. The metric x-floor, here, is how many times as long that
// takes as with the same session without DeviceProof.
func BenchmarkDevice(b *testing.B) {
	fill := func(s *cookiesession.Session) { mixedValues(s, 110) }
	read := func(s *cookiesession.Session) {
		if user.Get(s) == "" {
			b.Fatal("no user")
		}
	}
	on := func(c *cookiesession.Config) { c.DeviceProof = deviceProof }
	plain := newManager(b, nil)
	unbound := serve(plain, sealedRequest(b, plain, fill), read)
	for _, bench := range []struct {
		name     string
		able, on bool
	}{
		{"key", true, true},
		{"permit", false, true},
		{"key, switched off", true, false},
	} {
		b.Run(bench.name, func(b *testing.B) {
			m := newManager(b, on)
			visitor := newDeviceBrowser(b, m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				fill(m.Get(r))
				m.Get(r).Regenerate()
			})))
			visitor.able = bench.able
			visitor.visit("/", typed)
			r := httptest.NewRequest("GET", "https://example.com/", nil)
			r.Header.Set("Cookie", visitor.jar.Header(site))
			if !bench.on {
				m = plain
			}
			if s, err := m.Load(r); err != nil || s.DeviceProven() != (bench.able && bench.on) {
				b.Fatalf("got DeviceProven %v, error %v", s.DeviceProven(), err)
			}
			ratio(b, unbound, serve(m, r, read))
			b.ReportMetric(float64(len(r.Header.Get("Cookie"))), "cookie-B")
		})
	}
	b.Run("unbound session, switched on", func(b *testing.B) {
		m := newManager(b, on)
		ratio(b, unbound, serve(m, sealedRequest(b, plain, fill), read))
	})
}

// An account is a struct of eight fields as sessions hold them.
type account struct {
	ID      int64
	Name    string
	Email   string
	Admin   bool
	Balance float64
	Since   time.Time
	Roles   []string
	Address struct {
		City string
		Zip  uint32
	}
}

func exampleAccount(n int64) account {
	a := account{
		ID: n, Name: "Grace Hopper", Email: "grace@example.com", Admin: true, Balance: 12.5,
		Since: time.Date(2026, 11, 3, 9, 30, 0, 0, time.UTC), Roles: []string{"editor", "author"},
	}
	a.Address.City, a.Address.Zip = "Arlington", 22201
	return a
}

const accountField = cookiesession.Field[account]("account")

// BenchmarkStruct puts and looks up a struct of eight fields in a session that is open.
func BenchmarkStruct(b *testing.B) {
	s := load(newManager(b, nil))
	b.Run("op=put", func(b *testing.B) {
		b.ReportAllocs()
		for n := int64(0); b.Loop(); n++ {
			accountField.Put(s, exampleAccount(n))
		}
	})
	accountField.Put(s, exampleAccount(1))
	b.Run("op=lookup", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := accountField.Lookup(s); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// Memory is most of what a request costs a server with a large heap, so its bytes and allocations are bounded.
func TestRequestMemory(t *testing.T) {
	m := newManager(t, benchConfig)
	ignore := func(*cookiesession.Session) {}
	read := func(s *cookiesession.Session) { user.Get(s) }
	change := func(s *cookiesession.Session) { count.Put(s, count.Get(s)+1) }
	for _, test := range []struct {
		name          string
		size          int
		do            func(*cookiesession.Session)
		bytes, allocs uint64
	}{
		{"ignored", 110, ignore, 448, 2},
		{"read", 110, read, 950, 4},
		{"read", 1 << 10, read, 1900, 6},
		{"change", 110, change, 1350, 5},
		{"change", 1 << 10, change, 3400, 7},
	} {
		run := serve(m, sealedRequest(t, m, func(s *cookiesession.Session) { mixedValues(s, test.size) }), test.do)
		bytes, allocs := uint64(math.MaxUint64), uint64(math.MaxUint64)
		for range 50 { // the least counts: pooled buffers may have to be made anew, and other goroutines allocate too
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			run()
			runtime.ReadMemStats(&after)
			bytes, allocs = min(bytes, after.TotalAlloc-before.TotalAlloc), min(allocs, after.Mallocs-before.Mallocs)
		}
		if bytes > test.bytes || allocs > test.allocs || allocs == 0 {
			t.Errorf("%s, %d B: got %d bytes in %d allocations, want at most %d in %d", test.name, test.size, bytes, allocs, test.bytes, test.allocs)
		}
	}
}

// A struct costs a handful of allocations, not one for each step of reflection.
func TestStructAllocations(t *testing.T) {
	s := load(newManager(t, nil))
	n := int64(0)
	if got := testing.AllocsPerRun(200, func() { n++; accountField.Put(s, exampleAccount(n)) }); got > 8 {
		t.Errorf("storing a struct of eight fields: got %v allocations, want at most 8", got)
	}
	var read account
	var err error
	if got := testing.AllocsPerRun(200, func() { read, err = accountField.Lookup(s) }); got > 20 {
		t.Errorf("reading a struct of eight fields: got %v allocations, want at most 20", got)
	}
	if want := exampleAccount(n); err != nil || !reflect.DeepEqual(read, want) {
		t.Errorf("got %+v, %v, want %+v", read, err, want)
	}
}
