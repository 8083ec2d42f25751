//go:build unix

package tests

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/seed-50e21e88/cookiesession/contrib/revoke"
	"github.com/seed-50e21e88/cookiesession/contrib/revoke/redis"
)

// A redisServer keeps what it acknowledges, in an append-only file that is synced each time.
type redisServer struct {
	t    testing.TB
	dir  string
	port string
	args []string
	*program
	admin *goredis.Client
}

func startRedis(t testing.TB, args ...string) *redisServer {
	t.Helper()
	path := find(t, "Redis", "redis-server", "REDIS_SERVER")
	r := &redisServer{t: t, dir: directory(t), port: port(t)}
	r.args = append([]string{
		path, "--port", r.port, "--bind", "127.0.0.1", "--dir", r.dir, "--save", "", "--appendonly", "yes",
		"--appendfsync", "always", "--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1", "--enable-debug-command", "yes",
	}, args...)
	r.admin = goredis.NewClient(&goredis.Options{Addr: r.addr(), MaxRetries: -1, DialerRetries: 1})
	t.Cleanup(func() { r.admin.Close() })
	r.start()
	return r
}

func (r *redisServer) addr() string { return "127.0.0.1:" + r.port }

func (r *redisServer) start() {
	r.t.Helper()
	r.program = start(r.t, r.dir, r.args...)
	eventually(r.t, 20*time.Second, func() error { return r.admin.Ping(context.Background()).Err() })
}

// do sends a command to the server, and fails the test if that fails.
func (r *redisServer) do(args ...any) any {
	r.t.Helper()
	reply, err := r.admin.Do(context.Background(), args...).Result()
	if err != nil {
		r.t.Errorf("%v: %v", args, err)
	}
	return reply
}

// follow makes the server a replica of another, and waits until it has what that has.
func (r *redisServer) follow(master *redisServer) {
	r.t.Helper()
	r.do("REPLICAOF", "127.0.0.1", master.port)
	eventually(r.t, 20*time.Second, func() error {
		if info, err := r.admin.Info(context.Background(), "replication").Result(); err != nil || !strings.Contains(info, "master_link_status:up") {
			return errors.New("replica is not in sync")
		}
		return nil
	})
}

// hang stops the server for a while.
func (r *redisServer) hang(d time.Duration) {
	r.signal(syscall.SIGSTOP)
	time.Sleep(d)
	r.signal(syscall.SIGCONT)
}

// goRedis returns an Engine on a go-redis client.
func goRedis(t testing.TB, addr string) revoke.Engine {
	client := goredis.NewClient(&goredis.Options{
		Addr: addr, ContextTimeoutEnabled: true, DialTimeout: 2 * time.Second, ReadTimeout: 3 * time.Second,
	})
	t.Cleanup(func() { client.Close() })
	return redis.New(func(ctx context.Context, args ...any) (any, error) { return client.Do(ctx, args...).Result() }, redis.Options{})
}

// streamLength returns how many stream entries there are.
func (r *redisServer) streamLength() int64 {
	n, _ := r.admin.XLen(context.Background(), "cookiesession:revocations").Result()
	return n
}

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

func init() { goredis.SetLogger(silent{}) } // of connections that break, as they should
