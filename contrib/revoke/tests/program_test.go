//go:build unix

package tests

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A program is a server's process. It ends with the test, and with the process of the tests, however that ends.
type program struct {
	t    testing.TB
	args []string
	pid  int
	cmd  *exec.Cmd
	held io.WriteCloser
}

// guardian starts a program, prints its process ID, and kills it when standard input ends.
const guardian = `"$0" "$@" </dev/null & echo $!; read end; kill -CONT $! 2>/dev/null; kill -KILL $! 2>/dev/null; wait`

// nobody is whom servers run as if the tests run as root, which PostgreSQL refuses.
const nobody = 65534

func credential() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true}
	if os.Getuid() == 0 {
		attr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	}
	return attr
}

// directory returns a directory that servers can write to.
func directory(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "revoke")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	if os.Getuid() == 0 {
		must(t, os.Chown(dir, nobody, nobody))
	}
	return dir
}

func start(t testing.TB, dir string, args ...string) *program {
	t.Helper()
	p := &program{t: t, args: args}
	p.cmd = exec.Command("/bin/sh", append([]string{"-c", guardian}, args...)...)
	p.cmd.Dir = dir
	p.cmd.SysProcAttr = credential()
	log, err := os.OpenFile(filepath.Join(dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	must(t, err)
	defer log.Close()
	p.cmd.Stderr = log
	p.held, err = p.cmd.StdinPipe()
	must(t, err)
	out, err := p.cmd.StdoutPipe()
	must(t, err)
	must(t, p.cmd.Start())
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			b, _ := os.ReadFile(filepath.Join(dir, "log"))
			t.Logf("%s logged: …%s", args[0], b[max(0, len(b)-2000):])
		}
	})
	reader := bufio.NewReader(out)
	line, err := reader.ReadString('\n')
	must(t, err)
	p.pid, err = strconv.Atoi(strings.TrimSpace(line))
	must(t, err)
	go io.Copy(io.Discard, reader)
	return p
}

// kill ends the program at once, and returns when it is gone.
func (p *program) kill() {
	if p.cmd == nil {
		return
	}
	p.held.Close()
	p.cmd.Wait()
	p.cmd = nil
}

// signal sends a signal to the program and its children.
func (p *program) signal(s syscall.Signal) {
	syscall.Kill(p.pid, s)
	for _, child := range children(p.pid) {
		syscall.Kill(child, s)
	}
}

// children returns the processes that a process has started.
func children(pid int) (found []int) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		b, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
		if parent, _ := strconv.Atoi(fields[1]); parent == pid {
			child, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			found = append(found, child)
		}
	}
	return found
}

// find returns the path of a program, or skips the test, or the benchmark, with a line that says what was left out.
func find(t testing.TB, what, name, variable string, places ...string) string {
	t.Helper()
	if path := os.Getenv(variable); path != "" {
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			path = filepath.Join(path, name)
		}
		return path
	}
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	for _, place := range places {
		found, _ := filepath.Glob(place)
		if len(found) > 0 {
			return found[len(found)-1]
		}
	}
	skipped(what)
	t.Skipf("%s is not in PATH, and %s is not set: %s is not tested", name, variable, what)
	return ""
}

// port returns one that nobody listens on.
func port(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	must(t, err)
	return port
}

// eventually waits until ok returns nil, and fails the test after a while.
func eventually(t testing.TB, within time.Duration, ok func() error) {
	t.Helper()
	deadline := time.Now().Add(within)
	for {
		err := ok()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("still after %v: %v", within, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var errStillRuns = errors.New("a process still runs")

// zombie reports whether a process is over, though nobody has asked how it ended.
func zombie(pid int) bool {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err != nil || strings.HasPrefix(string(b[strings.LastIndexByte(string(b), ')')+1:]), " Z")
}
