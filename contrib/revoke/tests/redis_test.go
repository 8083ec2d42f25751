//go:build unix

package tests

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-50e21e88/cookiesession/contrib/revoke"
)

// Connections break, the server is killed, hangs and loses its memory.
func TestRedisChaos(t *testing.T) {
	server := startRedis(t)
	wire := newProxy(t, server.addr())
	c := newChaos(t, goRedis(t, wire.addr()), goRedis(t, wire.addr()), viaRueidis(t, server.addr()))
	c.publish(4, 2*time.Millisecond)
	c.run([]fault{
		{"CLIENT KILL", func() { server.do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes") }},
		{"connections reset", wire.reset},
		{"SIGKILL, restarted with its file", func() { server.kill(); time.Sleep(200 * time.Millisecond); server.start() }},
		{"SIGSTOP for 2 s", func() { server.hang(2 * time.Second) }},
		{"wire cut for 7 s", func() { wire.mute.Store(true); time.Sleep(7 * time.Second); wire.mute.Store(false); wire.reset() }},
		{"FLUSHALL", func() { c.loses(func() { server.do("FLUSHALL"); time.Sleep(200 * time.Millisecond) }) }},
		{"FLUSHALL, again and again while servers put back", func() {
			c.loses(func() {
				for range 5 {
					server.do("FLUSHALL")
					time.Sleep(time.Duration(c.random.IntN(60)) * time.Millisecond)
				}
				time.Sleep(200 * time.Millisecond)
			})
		}},
		{"DEL", func() {
			c.loses(func() { server.do("DEL", "cookiesession:revocations"); time.Sleep(200 * time.Millisecond) })
		}},
	})
	c.finish(goRedis(t, server.addr()))
	if c.faults["FLUSHALL"] > 0 && c.lists[0].Stats().Losses == 0 {
		t.Error("no loss was noticed")
	}
}

// Masters die, and replicas are promoted that lack the latest; once a replica hangs before, so that it lacks seconds.
func TestRedisFailover(t *testing.T) {
	master, replica := startRedis(t), startRedis(t)
	replica.follow(master)
	wire := newProxy(t, master.addr())
	c := newChaos(t, goRedis(t, wire.addr()), goRedis(t, wire.addr()), goRedis(t, wire.addr()))
	c.publish(4, time.Millisecond)
	failover := func() {
		c.loses(func() {
			master.kill()
			replica.do("REPLICAOF", "NO", "ONE")
			wire.lay(replica.addr())
			time.Sleep(200 * time.Millisecond)
		})
		next := startRedis(t)
		next.follow(replica)
		master, replica = replica, next
	}
	c.run([]fault{
		{"replica promoted", failover},
		{"replica promoted that lacks half a second", func() {
			c.loses(func() {
				replica.hang(500 * time.Millisecond) // so the hole begins before that
				failover()
			})
		}},
		{"master becomes a replica", func() {
			c.loses(func() {
				replica.do("REPLICAOF", "NO", "ONE")
				master.do("REPLICAOF", "127.0.0.1", replica.port)
				time.Sleep(500 * time.Millisecond) // the servers still talk to it
				wire.lay(replica.addr())
				time.Sleep(200 * time.Millisecond)
			})
			master, replica = replica, master
		}},
	})
	c.finish(goRedis(t, master.addr()))
}

// A replica isn't fresh, nor a master that has become one, nor one that lacks the replicas which it needs to write.
func TestRedisReplica(t *testing.T) {
	master, replica := startRedis(t), startRedis(t)
	replica.follow(master)
	following, err := revoke.OpenStale(config(goRedis(t, replica.addr())))
	must(t, err)
	defer following.Close()
	l := open(t, goRedis(t, master.addr()))
	must(t, l.End(t.Context(), "user", 1))
	eventually(t, 10*time.Second, func() error {
		if got := following.Stats(); got.Staleness != -1 || !strings.Contains(got.LastError, "READONLY") {
			return fmt.Errorf("a List of a replica: got %+v", got)
		}
		return nil
	})
	stale := func(l *revoke.List, why string) {
		t.Helper()
		eventually(t, 15*time.Second, func() error {
			if got := l.Stats(); got.Staleness < 3*time.Second || !strings.Contains(got.LastError, why) {
				return fmt.Errorf("got %+v, want a stale list because of %s", got, why)
			}
			return nil
		})
	}
	fresh := func(l *revoke.List) {
		t.Helper()
		eventually(t, 15*time.Second, func() error {
			if age := l.Stats().Staleness; age < 0 || age > 2500*time.Millisecond {
				return errStillStale
			}
			return nil
		})
	}
	master.do("CONFIG", "SET", "min-replicas-to-write", "2")
	stale(l, "NOREPLICAS")
	master.do("CONFIG", "SET", "min-replicas-to-write", "0")
	fresh(l)
	replica.do("REPLICAOF", "NO", "ONE")
	master.follow(replica)
	fresh(following)
	stale(l, "READONLY")
}

// A server that can't save refuses revocations, but has told all that it acknowledged.
func TestRedisCannotSave(t *testing.T) {
	server := startRedis(t, "--dbfilename", "directory")
	must(t, os.MkdirAll(filepath.Join(server.dir, "directory", "in-the-way"), 0o755))
	l := open(t, goRedis(t, server.addr()))
	must(t, l.End(t.Context(), "user", 1))
	server.do("CONFIG", "SET", "save", "3600 1", "stop-writes-on-bgsave-error", "yes")
	server.do("BGSAVE")
	eventually(t, 10*time.Second, func() error {
		if err := l.End(t.Context(), "user", 2); err == nil || !strings.Contains(err.Error(), "MISCONF") {
			return fmt.Errorf("End returned %v, want MISCONF", err)
		}
		return nil
	})
	time.Sleep(4 * time.Second) // the list must not become stale, which would take three
	if got := l.Stats(); got.Staleness >= 3*time.Second {
		t.Errorf("got %+v, want a fresh list", got)
	}
}

// What may be forgotten goes, by the engine's clock, once something is added; what another server needs for longer stays.
func TestRedisTrims(t *testing.T) {
	server := startRedis(t)
	short := goRedis(t, server.addr())
	now := time.Now()
	old := func(id time.Time, expires time.Time) {
		e := revoke.Entry{Key: revoke.Key{1}, Before: uint32(id.Unix()), Expires: uint32(expires.Unix())}
		server.do("XADD", "cookiesession:revocations", id.UnixMilli(), "e", string(e.Append(nil)))
	}
	for i := range 300 {
		old(now.Add(-2*time.Hour+time.Duration(i)*time.Second), now.Add(-time.Hour))
	}
	for i := range 300 {
		old(now.Add(-30*time.Minute+time.Duration(i)*time.Second), now.Add(-10*time.Minute))
	}
	publish := func() int64 {
		t.Helper()
		_, err := short.Publish(t.Context(), revoke.Entry{Key: revoke.Key{2}, Expires: uint32(now.Add(20 * time.Minute).Unix())}, nil)
		must(t, err)
		return server.streamLength()
	}
	if got := publish(); got != 601 {
		t.Errorf("got %d entries, want all: who hasn't read them can't know how long they are needed", got)
	}
	l := open(t, short) // which sees how long others' entries live: an hour
	if got := publish(); got < 302 || got > 402 {
		t.Errorf("got %d entries, want 300 younger than an hour, two new ones, and less than a node of 100", got)
	}
	if got := l.Stats().Entries; got > 1 {
		t.Errorf("got %d entries in memory", got)
	}
}

func config(e revoke.Engine) revoke.Config {
	return revoke.Config{Engine: e, Keys: []string{"user"}, MaxLifetime: time.Hour, MaxStale: 3 * time.Second}
}

// Idle, or under way, a connection sends about two commands a second, and none because of requests.
func TestRedisStalenessIdle(t *testing.T) {
	server := startRedis(t)
	l := open(t, goRedis(t, server.addr()))
	must(t, l.Sync(context.Background()))
	for started := time.Now(); time.Since(started) < 4*time.Second; time.Sleep(3 * time.Millisecond) {
		if got := l.Stats().Staleness; got >= 3*time.Second {
			t.Fatalf("got staleness %v", got)
		}
	}
}

// A stream that is lost and begun anew within a millisecond, with entries under the IDs of those that were read, is
// noticed: a follower that is at its end knows all that is in it.
func TestRedisBegunAnew(t *testing.T) {
	server := startRedis(t, "--appendonly", "no")
	writer, reader := goRedis(t, server.addr()), goRedis(t, server.addr())
	var pause sync.RWMutex
	var stop atomic.Bool
	var next atomic.Uint64
	var publishers sync.WaitGroup
	for range 4 {
		publishers.Go(func() {
			for !stop.Load() {
				pause.RLock()
				e := revoke.Entry{Expires: uint32(time.Now().Unix() + 3600)}
				binary.BigEndian.PutUint64(e.Key[:], next.Add(1))
				if _, err := writer.Publish(context.Background(), e, nil); err != nil {
					t.Error(err)
				}
				pause.RUnlock()
			}
		})
	}
	known, cursor, losses := map[revoke.Key]bool{}, "", 0
	note := func(es []revoke.Entry) {
		for _, e := range es {
			known[e.Key] = true
		}
	}
	read := func(d time.Duration) {
		for until := time.Now().Add(d); ; {
			next, more, err := reader.Read(t.Context(), cursor, note)
			switch {
			case errors.Is(err, revoke.ErrLost):
				losses++
				cursor = ""
				continue
			case err != nil:
				t.Fatal(err)
			}
			if cursor = next; !more && time.Now().After(until) {
				return
			}
		}
	}
	missed := 0
	for range 300 {
		read(2 * time.Millisecond)
		server.do("FLUSHALL")
		read(2 * time.Millisecond)
		pause.Lock()
		read(0)
		_, _, err := writer.Read(t.Context(), "", func(es []revoke.Entry) {
			for _, e := range es {
				if !known[e.Key] {
					missed++
				}
			}
		})
		must(t, err)
		pause.Unlock()
	}
	stop.Store(true)
	publishers.Wait()
	if missed > 0 || losses == 0 {
		t.Errorf("missed %d of %d entries, with %d losses", missed, next.Load(), losses)
	}
	t.Logf("%d entries, %d losses noticed", next.Load(), losses)
}
