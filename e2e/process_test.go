package e2e

import (
	"context"
	"flag"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The project's own programs, built by TestMain.
var demoProgram, quickstartProgram, nodeProgram, embeddedProgram, cookiesessionProgram string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "cookiesession-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	for _, build := range []struct {
		program     *string
		in, pattern string
	}{
		{&demoProgram, "..", "./examples/demo"},
		{&quickstartProgram, "..", "./examples/quickstart"},
		{&cookiesessionProgram, "..", "./cmd/cookiesession"},
		{&nodeProgram, ".", "./cmd/node"},
		{&embeddedProgram, ".", "./cmd/embedded"},
	} {
		*build.program = filepath.Join(dir, filepath.Base(build.pattern))
		cmd := exec.Command("go", "build", "-o", *build.program, build.pattern)
		cmd.Dir = build.in
		if out, err := cmd.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "%v: %v\n%s", cmd.Args, err, out)
			return 1
		}
	}
	// Every process has a group of its own, which neither a Ctrl-C nor the end of this process reaches.
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM)
	flag.Parse()
	var timeout <-chan time.Time
	if limit := flag.Lookup("test.timeout").Value.(flag.Getter).Get().(time.Duration); limit > time.Minute {
		timeout = time.After(limit - 30*time.Second)
	}
	go func() {
		select {
		case s := <-interrupted:
			fmt.Fprintln(os.Stderr, "e2e:", s)
		case <-timeout:
			fmt.Fprintln(os.Stderr, "e2e: this takes too long; the last words of what still runs:")
		}
		running.endAll()
		os.RemoveAll(dir)
		os.Exit(1)
	}()
	defer running.endAll()
	return m.Run()
}

// running are the processes that have to be ended.
var running = &processes{started: map[*process]bool{}}

type processes struct {
	mu      sync.Mutex
	started map[*process]bool
}

func (p *processes) add(started *process) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.started[started] = true
}

func (p *processes) remove(ended *process) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.started, ended)
}

func (p *processes) endAll() {
	p.mu.Lock()
	all := slices.Collect(maps.Keys(p.started))
	p.mu.Unlock()
	var wg sync.WaitGroup
	for _, started := range all {
		fmt.Fprintf(os.Stderr, "%s: %v\n%s\n", started.name, started.cmd.Args, lastOf(started.log))
		wg.Go(started.stop)
	}
	wg.Wait()
}

// A process is a program under test, or one that the test needs, with what it starts itself.
type process struct {
	name  string
	cmd   *exec.Cmd
	log   string // the file that its output goes to, appended
	ended chan struct{}
}

// start starts a program that writes to a log, which is shown if the test fails, and ends with the test.
func start(t *testing.T, name string, program string, args ...string) *process {
	t.Helper()
	p := &process{name: name, log: filepath.Join(t.TempDir(), name+".log")}
	if err := p.start(program, args); err != nil {
		t.Fatalf("%v (run.sh installs what the tests need)", err)
	}
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			t.Logf("%s: %v\n%s", p.name, p.cmd.Args, lastOf(p.log))
		}
	})
	return p
}

func (p *process) start(program string, args []string) error {
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	p.cmd = exec.Command(program, args...)
	p.cmd.Dir = filepath.Dir(p.log)
	p.cmd.Env = append(os.Environ(), "HOME="+filepath.Dir(p.log), "XDG_CONFIG_HOME=", "XDG_DATA_HOME=")
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	running.add(p)
	p.ended = make(chan struct{})
	go func(ended chan struct{}, cmd *exec.Cmd) { cmd.Wait(); close(ended) }(p.ended, p.cmd)
	return nil
}

// kill ends the process and its children at once, as a crash does, and waits until it is gone.
func (p *process) kill() {
	syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.ended
	running.remove(p)
}

// restart starts the process again that was killed.
func (p *process) restart() error { return p.start(p.cmd.Args[0], p.cmd.Args[1:]) }

// stop lets the process end in order, for five seconds.
func (p *process) stop() {
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(5 * time.Second):
	}
	p.kill()
}

// ready waits until the process answers a GET of url with 200.
func (p *process) ready(t *testing.T, url string) {
	t.Helper()
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	var last string
	for range 200 {
		select {
		case <-p.ended:
			t.Fatalf("%s ended: %v", p.name, p.cmd.ProcessState)
		case <-time.After(50 * time.Millisecond):
		}
		resp, err := client.Get(url)
		if err != nil {
			last = err.Error()
			continue
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return
		}
		last = resp.Status
	}
	t.Fatalf("%s doesn't answer: %s", p.name, last)
}

// command runs a program to its end and returns what it printed.
func command(t *testing.T, timeout time.Duration, program string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", program, args, err, out)
	}
	return string(out)
}

var ports struct {
	sync.Mutex
	next int
}

// freePort returns a port of the loopback interface on which nobody listens. It is below those that the kernel gives to
// outgoing connections: a server that is restarted must find its port free.
func freePort(t *testing.T) string {
	t.Helper()
	ports.Lock()
	defer ports.Unlock()
	if ports.next == 0 {
		ports.next = 20000 + os.Getpid()%8000
	}
	for range 1000 {
		ports.next++
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(ports.next))
		if l, err := net.Listen("tcp", address); err == nil {
			l.Close()
			return strconv.Itoa(ports.next)
		}
	}
	t.Fatal("no free port")
	return ""
}

// lastOf returns the end of a log.
func lastOf(file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	const most = 6000
	if len(text) > most {
		text = text[len(text)-most:]
		return "…" + strings.ToValidUTF8(string(text), "")
	}
	return string(text)
}
