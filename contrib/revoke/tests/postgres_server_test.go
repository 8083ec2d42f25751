//go:build unix

package tests

import (
	"context"
	"database/sql"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/seed-50e21e88/cookiesession/contrib/revoke"
	"github.com/seed-50e21e88/cookiesession/contrib/revoke/postgres"
)

type postgresServer struct {
	t    testing.TB
	bin  string
	dir  string
	data string
	port string
	*program
	admin *sql.DB
}

func startPostgres(t testing.TB) *postgresServer {
	t.Helper()
	p := newPostgres(t)
	p.run("initdb", "-D", p.data, "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8", "--locale=C")
	p.start()
	_, err := p.admin.Exec(postgres.Schema)
	must(t, err)
	return p
}

func newPostgres(t testing.TB) *postgresServer {
	t.Helper()
	path := find(t, "PostgreSQL", "postgres", "POSTGRES_BIN", "/usr/lib/postgresql/*/bin/postgres", "/usr/libexec/postgresql*/postgres")
	if resolved, err := filepath.EvalSymlinks(path); err == nil {
		path = resolved
	}
	dir := directory(t)
	p := &postgresServer{t: t, bin: filepath.Dir(path), dir: dir, data: filepath.Join(dir, "data"), port: port(t)}
	var err error
	p.admin, err = sql.Open("pgx", p.url(p.addr()))
	must(t, err)
	t.Cleanup(func() { p.admin.Close() })
	return p
}

// run runs one of PostgreSQL's programs.
func (p *postgresServer) run(name string, args ...string) {
	p.t.Helper()
	cmd := exec.Command(filepath.Join(p.bin, name), args...)
	cmd.Dir, cmd.SysProcAttr = p.dir, credential()
	if out, err := cmd.CombinedOutput(); err != nil {
		p.t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

func (p *postgresServer) addr() string { return "127.0.0.1:" + p.port }

func (p *postgresServer) url(addr string) string {
	return "postgres://postgres@" + addr + "/postgres?sslmode=disable&connect_timeout=2"
}

// start starts the server. What it was told to write survives its own crashes without fsync, which is all there is here.
func (p *postgresServer) start() {
	p.t.Helper()
	p.program = start(p.t, p.dir, filepath.Join(p.bin, "postgres"), "-D", p.data, "-p", p.port, "-k", p.dir,
		"-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "max_wal_senders=4", "-c", "wal_level=replica")
	eventually(p.t, 30*time.Second, p.admin.Ping)
}

// crash kills the server's processes, and starts it again.
func (p *postgresServer) crash() {
	p.t.Helper()
	p.killAll()
	p.start()
}

// killAll kills all processes of the server, of which none can start another meanwhile.
func (p *postgresServer) killAll() {
	p.t.Helper()
	syscall.Kill(p.pid, syscall.SIGSTOP)
	left := children(p.pid)
	for _, pid := range left {
		syscall.Kill(pid, syscall.SIGKILL)
	}
	p.kill()
	eventually(p.t, 10*time.Second, func() error {
		for _, pid := range left {
			if syscall.Kill(pid, 0) == nil && !zombie(pid) {
				return errStillRuns
			}
		}
		return nil
	})
	must(p.t, os.Remove(filepath.Join(p.data, "postmaster.pid"))) // its process ID may be somebody else's by now
}

// hang stops the server's processes for a while.
func (p *postgresServer) hang(d time.Duration) {
	p.signal(syscall.SIGSTOP)
	time.Sleep(d)
	p.signal(syscall.SIGCONT)
}

// terminate ends every connection but the test's own.
func (p *postgresServer) terminate() {
	p.admin.Exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'")
}

// viaPgx returns an Engine on pgx, with LISTEN, and its database.
func viaPgx(t testing.TB, url string) (revoke.Engine, *sql.DB) {
	db, err := sql.Open("pgx", url)
	must(t, err)
	t.Cleanup(func() { db.Close() })
	return postgres.New(db, postgres.Options{Wake: wakeByPgx(url)}), db
}

func wakeByPgx(url string) func(ctx context.Context, wake func()) error {
	return func(ctx context.Context, wake func()) error {
		conn, err := pgx.Connect(ctx, url)
		if err != nil {
			return err
		}
		defer conn.Close(context.Background())
		if _, err := conn.Exec(ctx, "LISTEN "+postgres.Channel); err != nil {
			return err
		}
		for {
			wake()
			if _, err := conn.WaitForNotification(ctx); err != nil {
				return err
			}
		}
	}
}
