package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	loadVisitors  = 400
	loadRequests  = 100_000 // at least
	loadRotations = 10
	loadAtOnce    = 32
	visitRequests = 10

	rotateIn    = 4 * time.Second         // a new key seals from then on
	rotateEvery = 7 * time.Second         // more than the 5 s between two looks for unknown keys
	rotateLate  = 1500 * time.Millisecond // when one server gets the new file
	killEvery   = 3 * time.Second
	killFor     = 400 * time.Millisecond
)

// TestLoad: keys rotate, servers die and come back, one server's key file is late and another never looks at its file,
// and no session is lost. What a visitor has is exactly what they were told.
func TestLoad(t *testing.T) {
	l := &load{keys: newKeyFile(t)}
	l.lateKeys = filepath.Join(t.TempDir(), "late.json")
	l.copyKeys(t)
	l.nodes = []nodeServer{
		startNode(t, "node-1", l.keys, 250*time.Millisecond),
		startNode(t, "node-2", l.lateKeys, 250*time.Millisecond),
		startNode(t, "node-3", l.keys, -1), // a cookie under a key that it doesn't know makes it look
	}
	for _, b := range balancers {
		_, url := startBalancer(t, b, documented, [3]string{l.nodes[0].port, l.nodes[1].port, l.nodes[2].port})
		l.urls = append(l.urls, url)
	}

	began := time.Now()
	visiting, leave := context.WithTimeout(t.Context(), 5*time.Minute)
	defer leave()
	var faults, visits sync.WaitGroup
	faulting, calm := context.WithCancel(visiting)
	defer calm()
	visits.Go(func() { l.visit(visiting) })
	faults.Go(func() { l.killInTurn(t, faulting) })
	l.rotate(t, visiting)
	for l.requests.Load() < loadRequests && wait(visiting, 100*time.Millisecond) {
	}
	calm()
	faults.Wait()
	l.settle(t, visiting)
	leave()
	visits.Wait()
	took := time.Since(began).Round(time.Second)

	t.Logf("%d requests of %d visitors in %v through %d proxies to %d servers; %d rotations, %d servers killed and restarted; "+
		"%d answers 502 to 504 and %d broken connections tried again; sessions lost: %d",
		l.requests.Load(), loadVisitors, took, len(l.urls), len(l.nodes), l.rotations, l.restarts,
		l.badGateways.Load(), l.broken.Load(), l.lost.Load())
	t.Logf("answers by server: %v; cookies at most: %d", l.served(), l.most.Load())
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, problem := range l.problems {
		t.Error(problem)
	}
	if got := l.requests.Load(); got < loadRequests {
		t.Errorf("%d requests, want %d", got, loadRequests)
	}
	if l.rotations != loadRotations || l.restarts < loadRotations {
		t.Errorf("%d rotations, %d restarts, want %d and more", l.rotations, l.restarts, loadRotations)
	}
	if l.most.Load() != 4 {
		t.Errorf("the largest session had %d cookies, want 4", l.most.Load())
	}
}

type load struct {
	keys, lateKeys      string // key files
	nodes               []nodeServer
	urls                []string // of the balancers
	rotations, restarts int

	requests, badGateways, broken, lost, most atomic.Int64

	mu       sync.Mutex
	byServer map[string]int
	problems []string
}

// wait tells whether ctx lasted for d.
func wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// A regular knows what their session has to hold.
type regular struct {
	*visitor
	id        string
	n, filler int
}

// visit lets visitors come until ctx ends, loadAtOnce at a time, a visit in 6 ms at most: the machine has other work.
// Each one's visits follow one another.
func (l *load) visit(ctx context.Context) {
	outside := make(chan *regular, loadVisitors)
	for range loadVisitors {
		outside <- &regular{visitor: newVisitor()}
	}
	pace := time.NewTicker(6 * time.Millisecond)
	defer pace.Stop()
	var wg sync.WaitGroup
	for range loadAtOnce {
		wg.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case <-pace.C:
				}
				v := <-outside
				for range visitRequests {
					l.step(v)
				}
				outside <- v
			}
		})
	}
	wg.Wait()
	// Everybody's last word.
	for range loadVisitors {
		v := <-outside
		l.request(v, "GET", "/session")
	}
}

// step counts, reads, or changes the size of v's session.
func (l *load) step(v *regular) {
	switch i := rand.IntN(10); {
	case v.id == "" || i < 6:
		l.request(v, "POST", "/count")
	case i < 8:
		l.request(v, "GET", "/session")
	default:
		// Most sessions are small; some take four cookies.
		bytes := rand.IntN(600)
		if rand.IntN(4) == 0 {
			bytes = rand.IntN(11000)
		}
		l.request(v, "POST", fmt.Sprint("/size?bytes=", bytes))
	}
}

// request asks until there is an answer: a server that is killed can't give one. Then it checks that the session in v's
// jar is what the answers so far make it.
func (l *load) request(v *regular, method, path string) {
	for try := range 500 {
		if try > 0 {
			<-time.After(10 * time.Millisecond)
		}
		l.requests.Add(1)
		a, err := v.ask(method, l.urls[rand.IntN(len(l.urls))]+path)
		switch {
		case a.Status == http.StatusOK:
			if method == "POST" {
				v.n++
				if _, bytes, ok := strings.Cut(path, "="); ok {
					fmt.Sscan(bytes, &v.filler)
				}
			}
			if err != nil { // The header came, so the jar has the session; what it holds the next answer tells.
				l.broken.Add(1)
				return
			}
			l.check(v, method+" "+path, a)
			return
		case err != nil:
			l.broken.Add(1)
		case a.Status >= 502 && a.Status <= 504:
			l.badGateways.Add(1)
		default:
			l.problem("%s %s: got %d: %.200s", method, path, a.Status, a.Body)
			return
		}
	}
	l.problem("%s %s: no answer in 500 tries", method, path)
}

func (l *load) check(v *regular, request string, a answer) {
	if v.id == "" {
		v.id = a.ID
	}
	if a.ID != v.id || a.Refused != "" {
		l.lost.Add(1)
		l.problem("%s at %s: session %s instead of %s, refused: %q", request, a.Server, a.ID, v.id, a.Refused)
	} else if a.N != v.n || a.Filler != v.filler {
		l.problem("%s at %s: counts %d and holds %d bytes, want %d and %d", request, a.Server, a.N, a.Filler, v.n, v.filler)
	}
	v.id, v.n, v.filler = a.ID, a.N, a.Filler
	if parts := int64(v.parts()); parts > l.most.Load() {
		l.most.Store(parts)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.byServer == nil {
		l.byServer = map[string]int{}
	}
	l.byServer[a.Server]++
}

func (l *load) problem(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.problems) < 20 {
		l.problems = append(l.problems, fmt.Sprintf(format, args...))
	}
}

func (l *load) served() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.byServer
}

// rotate rotates the keys as an operator does.
func (l *load) rotate(t *testing.T, ctx context.Context) {
	for wait(ctx, rotateEvery-rotateLate) {
		began := time.Now()
		out := command(t, time.Minute, cookiesessionProgram, "keys", "rotate", "-file", l.keys, "-in", rotateIn.String(), "-lifetime", "24h")
		wait(ctx, rotateLate)
		l.copyKeys(t)
		if took := time.Since(began); took > rotateIn-time.Second {
			t.Fatalf("it took %v to rotate and copy keys that are in force after %v: this machine is too busy", took, rotateIn)
		}
		l.rotations++
		plan, _, _ := strings.Cut(out, "\n")
		t.Logf("%d requests, rotation %d: %s", l.requests.Load(), l.rotations, plan)
		if l.rotations == loadRotations {
			wait(ctx, rotateIn)
			return
		}
	}
}

// copyKeys brings the key file to the server that has one of its own, in one step.
func (l *load) copyKeys(t *testing.T) {
	text, err := os.ReadFile(l.keys)
	if err == nil {
		err = os.WriteFile(l.lateKeys+".new", text, 0o600)
	}
	if err == nil {
		err = os.Rename(l.lateKeys+".new", l.lateKeys)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// killInTurn kills one server after the other, and starts it again.
func (l *load) killInTurn(t *testing.T, ctx context.Context) {
	for i := 0; wait(ctx, killEvery); i++ {
		n := l.nodes[i%len(l.nodes)]
		n.kill()
		wait(ctx, killFor)
		if err := n.restart(); err != nil {
			t.Error(err)
			return
		}
		l.restarts++
	}
}

// settle waits until all servers have the same keys. Visitors still come, so the server that looks at its file only
// when a cookie makes it look has its cause.
func (l *load) settle(t *testing.T, ctx context.Context) {
	var rings []string
	for range 150 {
		rings = rings[:0]
		for _, n := range l.nodes {
			resp, err := client.Get("http://127.0.0.1:" + n.port + "/keys")
			if err != nil {
				continue
			}
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			var ring struct{ Fingerprint string }
			if json.Unmarshal(body, &ring) == nil {
				rings = append(rings, ring.Fingerprint)
			}
		}
		if len(rings) == len(l.nodes) && len(slices.Compact(slices.Clone(rings))) == 1 {
			t.Logf("all servers have the key ring %s", rings[0])
			return
		}
		if !wait(ctx, 100*time.Millisecond) {
			break
		}
	}
	t.Errorf("the servers have the key rings %v", rings)
}
