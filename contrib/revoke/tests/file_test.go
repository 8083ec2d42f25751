//go:build unix

package tests

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/seed-50e21e88/cookiesession/contrib/revoke"
)

// fileProcess is the variable that makes this program a process which revokes by the file that it names, for as long as
// its standard input is open. A line of it is a value to revoke, or one with a question mark: is it known to be revoked?
// Each is answered with a line, true or false.
const fileProcess = "REVOKE_TEST_FILE"

func runFileProcess() {
	ctx := context.Background()
	l, err := revoke.Open(ctx, revoke.Config{
		Engine: revoke.File(os.Getenv(fileProcess)), Keys: []string{"user"}, MaxLifetime: time.Hour, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		panic(err)
	}
	sessions := newPast()
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		text, asked := strings.CutSuffix(lines.Text(), "?")
		value, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			panic(err)
		}
		if asked {
			fmt.Println(over(l, sessions.session(value)))
		} else {
			fmt.Println(l.End(ctx, "user", value) == nil)
		}
	}
}

// A revoker is a process that revokes when it's told to.
type revoker struct {
	cmd *exec.Cmd

	mu      sync.Mutex // held until a line is answered
	tell    *bufio.Writer
	answers *bufio.Scanner
	told    atomic.Int64 // to revoke, as the last
}

func startRevoker(t testing.TB, path string) *revoker {
	t.Helper()
	r := &revoker{cmd: exec.Command(os.Args[0])}
	r.cmd.Env = append(os.Environ(), fileProcess+"="+path)
	in, err := r.cmd.StdinPipe()
	must(t, err)
	out, err := r.cmd.StdoutPipe()
	must(t, err)
	must(t, r.cmd.Start())
	r.tell, r.answers = bufio.NewWriter(in), bufio.NewScanner(out)
	return r
}

// line returns whether the process answers a line with true.
func (r *revoker) line(line string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintln(r.tell, line)
	return r.tell.Flush() == nil && r.answers.Scan() && r.answers.Text() == "true"
}

func (r *revoker) end(value int64) error {
	if r.told.Store(value); !r.line(strconv.FormatInt(value, 10)) {
		return errNotAcknowledged
	}
	return nil
}

// knows reports whether the process would refuse a session of a user. It waits until the process has revoked what it was
// told to.
func (r *revoker) knows(value int64) bool { return r.line(strconv.FormatInt(value, 10) + "?") }

// freeze returns when the process does nothing any more.
func (r *revoker) freeze(t testing.TB) {
	t.Helper()
	must(t, r.cmd.Process.Signal(syscall.SIGSTOP))
	var status syscall.WaitStatus
	var err error = syscall.EINTR
	for err == syscall.EINTR {
		_, err = syscall.Wait4(r.cmd.Process.Pid, &status, syscall.WUNTRACED, nil)
	}
	must(t, err)
	if !status.Stopped() {
		t.Fatalf("a process ended by itself: %v", status)
	}
}

func (r *revoker) kill() {
	r.cmd.Process.Kill()
	r.cmd.Wait()
}

// doubtful returns which revocations only processes can put back, not the servers here, since the file lacks them. It waits
// for the servers to read what the file holds. The process that it's asked for is frozen.
func doubtful(c *chaos, path string, frozen *revoker) (values []int64) {
	told := frozen.told.Load() // it may have been acknowledged just now
	all := []ack{{value: told, session: c.session(told)}}
	c.mu.Lock()
	for _, a := range c.acks {
		if !c.unpromised[a.value] {
			all = append(all, a)
		}
	}
	c.mu.Unlock()
	eventually(c.t, 15*time.Second, func() error {
		values = values[:0]
		held := map[revoke.Key]bool{}
		engine := revoke.File(path)
		for cursor, more := "", true; more; {
			var err error
			if cursor, more, err = engine.Read(context.Background(), cursor, func(es []revoke.Entry) {
				for _, e := range es {
					held[e.Key] = true
				}
			}); err != nil {
				return err
			}
		}
		for _, a := range all {
			if slices.ContainsFunc(c.lists, func(l *revoke.List) bool { return over(l, a.session) }) {
				continue
			}
			e, err := c.lists[0].Entry("user", a.value)
			must(c.t, err)
			if held[e.Key] {
				return errUnread
			}
			values = append(values, a.value)
		}
		return nil
	})
	return values
}

// Processes that share a file are killed in the middle of what they write, and the file is truncated, replaced, deleted.
func TestFileChaos(t *testing.T) {
	path := filepath.Join(t.TempDir(), "revocations")
	c := newChaos(t, revoke.File(path), revoke.File(path))
	c.publish(2, 3*time.Millisecond)
	const processes = 3
	var mu sync.Mutex
	revokers := make([]*revoker, processes)
	for i := range revokers {
		revokers[i] = startRevoker(t, path)
		c.running.Go(func() {
			for !c.stopped() {
				mu.Lock()
				r := revokers[i]
				mu.Unlock()
				c.revoke(func(_ context.Context, value int64) error { return r.end(value) })
				time.Sleep(time.Millisecond)
			}
		})
	}
	defer func() {
		for _, r := range revokers {
			r.kill()
		}
	}()
	c.run([]fault{
		{"process killed", func() {
			mu.Lock()
			defer mu.Unlock()
			i := c.random.IntN(processes)
			revokers[i].freeze(t)
			values := doubtful(c, path, revokers[i])
			revokers[i].kill()
			for _, value := range values {
				others := slices.Delete(slices.Clone(revokers), i, i+1)
				if !slices.ContainsFunc(others, func(r *revoker) bool { return r.knows(value) }) {
					c.nobodyKnows(value)
				}
			}
			revokers[i] = startRevoker(t, path)
		}},
		{"torn record", func() {
			f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			if err == nil {
				f.Write(make([]byte, 1+c.random.IntN(35)))
				f.Close()
			}
		}},
		{"deleted", func() { c.loses(func() { os.Remove(path); time.Sleep(300 * time.Millisecond) }) }},
		{"an older copy is renamed there", func() {
			c.loses(func() {
				content, _ := os.ReadFile(path)
				os.WriteFile(path+".old", content[:len(content)/72*36], 0o600)
				os.Rename(path+".old", path)
				time.Sleep(300 * time.Millisecond)
			})
		}},
		{"an older copy is written there", func() {
			c.loses(func() {
				content, _ := os.ReadFile(path)
				os.WriteFile(path, content[:len(content)/72*36], 0o600)
				time.Sleep(300 * time.Millisecond)
			})
		}},
	})
	c.finish(revoke.File(path))
}
