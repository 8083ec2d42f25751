package revoke

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"testing"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

// BenchmarkLookup finds keys that are there and keys that aren't, in turn, and says what an entry takes.
func BenchmarkLookup(b *testing.B) {
	for _, n := range []int{1_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("entries=%d", n), func(b *testing.B) {
			entries, size := filled(n)
			keys := make([]Key, 1<<16)
			for i := range keys {
				keys[i] = testKey(i%2*n+i*7919%n, false)
			}
			b.ReportAllocs()
			b.ResetTimer()
			found := 0
			for i := range b.N {
				if entries.lookup(&keys[i%len(keys)]).Pos != 0 {
					found++
				}
			}
			if b.N > 1000 && (found < b.N/3 || found > b.N*2/3) {
				b.Errorf("found %d of %d", found, b.N)
			}
			b.ReportMetric(size, "B/entry")
		})
	}
}

// filled returns a table of so many entries, and what each takes of memory in bytes.
func filled(n int) (*table, float64) {
	before := heap()
	entries := new(table)
	for i := range n {
		entries.raise(Entry{Key: testKey(i, false), Pos: 1, Expires: 1<<32 - 1}, true)
	}
	return entries, float64(heap()-before) / float64(n)
}

func heap() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// BenchmarkRevoked asks for a session with a mark: three lookups and two digests.
func BenchmarkRevoked(b *testing.B) {
	keys, err := cookiesession.NewKeyring(cookiesession.GenerateKey("bench"))
	if err != nil {
		b.Fatal(err)
	}
	m, err := cookiesession.New(cookiesession.Config{Keys: keys})
	if err != nil {
		b.Fatal(err)
	}
	for _, n := range []int{0, 1_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("entries=%d", n), func(b *testing.B) {
			l, err := Open(context.Background(), Config{Engine: Memory(), Keys: []string{"user"}, MaxLifetime: time.Hour})
			if err != nil {
				b.Fatal(err)
			}
			defer l.Close()
			for i := range n {
				l.entries.raise(Entry{Key: testKey(i, false), Pos: 1, Expires: 1<<32 - 1}, true)
			}
			s, err := m.Load(new(http.Request))
			if err != nil {
				b.Fatal(err)
			}
			s.Put("user", "ada")
			l.Begin().Keep(s)
			b.ReportAllocs()
			for b.Loop() {
				if over, err := l.Revoked(context.Background(), s); over || err != nil {
					b.Fatal(over, err)
				}
			}
		})
	}
}
