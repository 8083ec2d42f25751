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
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/seed-50e21e88/cookiesession/contrib/revoke"
)

// fileProcess is the variable that makes this program a process which revokes by the file that it names, for as long as
// its standard input is open. For each revocation it prints the value.
const fileProcess = "REVOKE_TEST_FILE"

func runFileProcess() {
	l, err := revoke.Open(context.Background(), revoke.Config{
		Engine: revoke.File(os.Getenv(fileProcess)), Keys: []string{"user"}, MaxLifetime: time.Hour, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		panic(err)
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		value, err := strconv.ParseInt(lines.Text(), 10, 64)
		if err == nil {
			err = l.End(context.Background(), "user", value)
		}
		fmt.Println(err == nil)
	}
}

// A revoker is a process that revokes when it's told to.
type revoker struct {
	cmd     *exec.Cmd
	tell    *bufio.Writer
	answers *bufio.Scanner
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

func (r *revoker) end(value int64) error {
	fmt.Fprintln(r.tell, value)
	if err := r.tell.Flush(); err != nil {
		return err
	}
	if !r.answers.Scan() || r.answers.Text() != "true" {
		return errNotAcknowledged
	}
	return nil
}

func (r *revoker) kill() {
	r.cmd.Process.Kill()
	r.cmd.Wait()
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
			// What the file lost before anybody had read it, only the process that wrote it can put back: it gets the time.
			time.Sleep(2 * time.Second)
			mu.Lock()
			defer mu.Unlock()
			i := c.random.IntN(processes)
			revokers[i].kill()
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
