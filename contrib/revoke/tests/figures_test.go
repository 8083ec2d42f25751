//go:build unix

package tests

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-50e21e88/cookiesession"
	"github.com/seed-50e21e88/cookiesession/contrib/revoke"
	"github.com/seed-50e21e88/cookiesession/contrib/revoke/postgres"
	"github.com/seed-50e21e88/cookiesession/cookiesessiontest"
)

var (
	revocations = flag.Int("revocations", 30, "how many the delay is measured with")
	million     = flag.Int("entries", 40_000, "how many a start is measured with")
)

// engines calls test with each engine that there is: open returns an Engine of a server's own, which looks so often if
// nothing wakes it.
func engines(t *testing.T, test func(t *testing.T, every time.Duration, open func(t testing.TB) revoke.Engine)) {
	t.Run("Redis", func(t *testing.T) {
		server := startRedis(t)
		test(t, 0, func(t testing.TB) revoke.Engine { return goRedis(t, server.addr()) })
	})
	t.Run("Redis, revoked one by one", func(t *testing.T) {
		server := startRedis(t, "--appendonly", "no")
		test(t, 0, func(t testing.TB) revoke.Engine { return oneByOne{goRedis(t, server.addr()), server} })
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		server := startPostgres(t)
		test(t, 0, func(t testing.TB) revoke.Engine { e, _ := viaPgx(t, server.url(server.addr())); return e })
	})
	t.Run("PostgreSQL without Wake", func(t *testing.T) {
		server := startPostgres(t)
		test(t, time.Second, func(t testing.TB) revoke.Engine {
			db, err := sql.Open("pgx", server.url(server.addr()))
			must(t, err)
			t.Cleanup(func() { db.Close() })
			return postgres.New(db, postgres.Options{})
		})
	})
	t.Run("file", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "revocations")
		test(t, 100*time.Millisecond, func(testing.TB) revoke.Engine { return revoke.File(path) })
	})
	t.Run("memory", func(t *testing.T) {
		e := revoke.Memory()
		test(t, 0, func(testing.TB) revoke.Engine { return e })
	})
}

// TestDelay measures how long it takes from the call of End on one server until another refuses the session.
func TestDelay(t *testing.T) {
	engines(t, func(t *testing.T, every time.Duration, engine func(t testing.TB) revoke.Engine) {
		here, there := open(t, engine(t)), open(t, engine(t))
		m, err := newManager()
		must(t, err)
		var delays, acks []time.Duration
		n := *revocations
		if every >= time.Second {
			n = max(n/10, 3)
		}
		for value := range int64(n) {
			s, err := m.Load(new(http.Request))
			must(t, err)
			user.Put(s, value)
			there.Begin().Keep(s)
			time.Sleep(rand.N(max(every, 20*time.Millisecond)))
			asked := time.Now()
			must(t, here.End(t.Context(), "user", value))
			acks = append(acks, time.Since(asked))
			for !over(there, s) {
				if time.Since(asked) > 3*time.Second {
					t.Fatalf("a revocation isn't known after 3 s: %+v", there.Stats())
				}
				time.Sleep(20 * time.Microsecond)
			}
			delays = append(delays, time.Since(asked))
		}
		slices.Sort(delays)
		slices.Sort(acks)
		at := func(d []time.Duration, percent int) time.Duration {
			return d[len(d)*percent/100].Round(10 * time.Microsecond)
		}
		t.Logf("%d revocations: acknowledged after p50 %v, p99 %v; refused elsewhere after p50 %v, p99 %v",
			len(delays), at(acks, 50), at(acks, 99), at(delays, 50), at(delays, 99))
	})
}

// TestStart measures how long a server takes to start.
func TestStart(t *testing.T) {
	engines(t, func(t *testing.T, _ time.Duration, engine func(t testing.TB) revoke.Engine) {
		e := engine(t)
		for i := 0; i < *million; i += 1000 {
			must(t, e.PutBack(t.Context(), someEntries(i)))
		}
		started := time.Now()
		l := open(t, engine(t))
		took := time.Since(started)
		if got := l.Stats().Entries; got != (*million+999)/1000*1000 {
			t.Errorf("got %d entries, want %d", got, *million)
		}
		t.Logf("a start with %d entries takes %v", l.Stats().Entries, took.Round(time.Millisecond))
	})
}

// TestCommands counts what the engine is asked while requests are served: as much as while none are.
func TestCommands(t *testing.T) {
	const requests = 10_000
	server := startRedis(t)
	l := open(t, goRedis(t, server.addr()))
	keys, err := cookiesession.NewKeyring(cookiesession.GenerateKey("test"))
	must(t, err)
	m, err := cookiesession.New(cookiesession.Config{Keys: keys, Revoked: l.Revoked})
	must(t, err)
	r := cookiesessiontest.RequestWith(t, m, httptest.NewRequest("GET", "/", nil), func(s *cookiesession.Session) {
		user.Put(s, 7)
		l.Begin().Keep(s)
	})
	must(t, l.End(t.Context(), "user", 8))
	var in atomic.Int64
	h := l.Guard(m, m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if user.Get(m.Get(r)) == 7 {
			in.Add(1)
		}
	})))
	commands := func() (n int64) {
		info, err := server.admin.Info(context.Background(), "stats").Result()
		must(t, err)
		_, err = fmt.Sscanf(info[len("# Stats\r\n"):], "total_connections_received:%d\r\ntotal_commands_processed:%d", new(int64), &n)
		must(t, err)
		return n
	}
	before, started := commands(), time.Now()
	for range requests {
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	took := time.Since(started)
	got := commands() - before
	// A look a second is EVAL, XTRIM and XRANGE in it, and XREAD; and this test asks itself.
	if limit := 4*int64(took/time.Second+2) + 1; got > limit || in.Load() != requests {
		t.Errorf("got %d commands in %v, want %d at most; %d requests were let in", got, took, limit, in.Load())
	}
	t.Logf("%d commands while %d requests were served in %v", got, requests, took.Round(time.Millisecond))
}

// TestSize measures what an entry takes in the engine.
func TestSize(t *testing.T) {
	const n = 50_000
	fill := func(t *testing.T, e revoke.Engine) {
		t.Helper()
		for i := 0; i < n; i += 1000 {
			must(t, e.PutBack(t.Context(), someEntries(i)))
		}
	}
	t.Run("Redis", func(t *testing.T) {
		server := startRedis(t)
		fill(t, oneByOne{goRedis(t, server.addr()), server})
		bytes := server.do("MEMORY", "USAGE", "cookiesession:revocations", "SAMPLES", "0").(int64)
		t.Logf("%d B an entry", bytes/n)
		if bytes > 100*n {
			t.Errorf("got %d B an entry, want 100 at most", bytes/n)
		}
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		server := startPostgres(t)
		e, db := viaPgx(t, server.url(server.addr()))
		fill(t, e)
		var bytes int64
		must(t, db.QueryRow("SELECT pg_total_relation_size('cookiesession_revocations')").Scan(&bytes))
		t.Logf("%d B an entry", bytes/n)
		if bytes > 300*n {
			t.Errorf("got %d B an entry, want 300 at most", bytes/n)
		}
	})
}

// someEntries returns a thousand entries that are others for each thousand.
func someEntries(from int) (es []revoke.Entry) {
	expires := uint32(time.Now().Unix() + 3600)
	for n := range 1000 {
		digest := sha256.Sum256(strconv.AppendInt(nil, int64(from+n), 10))
		es = append(es, revoke.Entry{Key: revoke.Key(digest[:16]), Pos: uint64(1 + from + n), Expires: expires})
	}
	return es
}

// oneByOne puts back as Publish publishes: each entry in a stream entry of its own.
type oneByOne struct {
	revoke.Engine
	server *redisServer
}

func (e oneByOne) PutBack(ctx context.Context, es []revoke.Entry) error {
	pipe := e.server.admin.Pipeline()
	for _, entry := range es {
		pipe.Do(ctx, "XADD", "cookiesession:revocations", "*", "e", string(entry.Append(nil)))
	}
	_, err := pipe.Exec(ctx)
	return err
}
