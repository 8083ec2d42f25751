package e2e

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
)

// TestVarnish: what is the same for everybody is served from the cache; one visitor's page never is to another, however
// cacheable the handler says it is, and even if Varnish is told to look cookies over.
func TestVarnish(t *testing.T) {
	keys := newKeyFile(t)
	var backends [3]string
	for i := range backends {
		backends[i] = startNode(t, fmt.Sprint("node-", i+1), keys, 0).port
	}
	for _, tt := range []struct{ name, before, after string }{
		{"as documented", "", ""},
		// The mistake that every other guide to Varnish makes: requests with cookies may be answered from the cache.
		{"cookies overlooked", "set req.backend_hint = app.backend();", "set req.backend_hint = app.backend();\n" +
			`	if (req.method == "GET") { return (hash); }`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, url := startBalancer(t, balancers[3], documented, backends, append([]string{`"^/static/"`, `"^/public/same"`}, replacement(tt.before, tt.after)...)...)
			t.Run("same", func(t *testing.T) { testSame(t, url) })
			t.Run("mine", func(t *testing.T) { testMine(t, url) })
			t.Run("start", func(t *testing.T) { testStart(t, url) })
		})
	}
}

func replacement(before, after string) []string {
	if before == "" {
		return nil
	}
	return []string{before, after}
}

// testSame: a page that never looks at the session comes from the cache, to visitors with a session too.
func testSame(t *testing.T, url string) {
	first := newVisitor().must(t, "GET", url+"/public/same")
	if vary := first.Header.Get("Vary"); vary != "" {
		t.Errorf("a page without a session varies by %s", vary)
	}
	for range 20 {
		v := newVisitor()
		v.must(t, "POST", url+"/count")
		if got := v.must(t, "GET", url+"/public/same"); got.Body != first.Body {
			t.Errorf("got %q, want %q from the cache", got.Body, first.Body)
		}
	}
	t.Logf("made once, served 21 times: %q", strings.TrimSpace(first.Body))
}

// testMine: a page that reads the session shows everybody their own.
func testMine(t *testing.T, url string) {
	const visitors, reads = 30, 40
	hits, wrong := 0, 0
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range visitors {
		wg.Go(func() {
			v := newVisitor()
			want := "for somebody without a session\n"
			for n := range reads {
				// Every third visitor stays without a session for half of the time.
				if n == 0 && i%3 != 0 || n == reads/2 {
					a, err := v.ask("POST", url+"/count")
					if err != nil || a.Status != 200 {
						t.Errorf("count: %d, %v", a.Status, err)
						return
					}
					want = "for " + a.ID + "\n"
				} else if rand.IntN(10) == 0 && n > reads/2 {
					if a, err := v.ask("POST", url+"/count"); err != nil || a.Status != 200 {
						t.Errorf("count: %d, %v", a.Status, err)
						return
					}
				}
				a, err := v.ask("GET", url+"/public/mine")
				if err != nil || a.Status != 200 {
					t.Errorf("visitor %d: %d, %v", i, a.Status, err)
					return
				}
				mu.Lock()
				if strings.Contains(a.Header.Get("X-Varnish"), " ") {
					hits++
				}
				if a.Body != want {
					wrong++
					t.Errorf("visitor %d: got %q, want %q", i, a.Body, want)
				}
				if a.Header.Get("Vary") != "Cookie" {
					t.Errorf("Vary is %q, want Cookie", a.Header.Get("Vary"))
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	t.Logf("%d visitors, %d pages that say public, %d of them from the cache, %d of somebody else", visitors, visitors*reads, hits, wrong)
}

// testStart: a page that gives a session gives everybody one of their own.
func testStart(t *testing.T, url string) {
	const visitors = 60
	bodies := map[string]int{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range visitors {
		wg.Go(func() {
			v := newVisitor()
			a, err := v.ask("GET", url+"/public/start")
			if err != nil || a.Status != 200 || v.parts() != 1 {
				t.Errorf("got %d, %v, %d cookies", a.Status, err, v.parts())
				return
			}
			mu.Lock()
			bodies[a.Body]++
			mu.Unlock()
			if cc := a.Header.Get("Cache-Control"); !strings.Contains(cc, "private") || strings.Contains(cc, "public") || strings.Contains(cc, "s-maxage") {
				t.Errorf("a response that sets cookies says Cache-Control: %s", cc)
			}
		})
	}
	wg.Wait()
	if len(bodies) != visitors {
		t.Errorf("%d visitors without a session, asking at once, got %d sessions: %v", visitors, len(bodies), bodies)
	}
	t.Logf("%d visitors who came at once got %d sessions", visitors, len(bodies))
}
