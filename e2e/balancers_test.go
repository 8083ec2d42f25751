package e2e

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"
)

// largeSize is a MaxSize for sessions of four cookies.
const largeSize = "15500"

// TestBalancers: with the documented settings, sessions go on whichever server answers, grow and shrink.
func TestBalancers(t *testing.T) {
	backends := demos(t, "-max-size", largeSize)
	for _, b := range balancers {
		t.Run(b.name, func(t *testing.T) {
			_, url := startBalancer(t, b, documented, backends)
			t.Run("count", func(t *testing.T) { testCount(t, url) })
			t.Run("visitors", func(t *testing.T) { testVisitors(t, url) })
			t.Run("parts", func(t *testing.T) { testParts(t, url) })
			t.Run("origin", func(t *testing.T) { testOrigin(t, url) })
		})
	}
}

func testCount(t *testing.T, url string) {
	v := newVisitor()
	servers := map[string]int{}
	id := ""
	for n := 1; n <= 60; n++ {
		a := v.must(t, "POST", url+"/api/count")
		if id == "" {
			id = a.ID
		}
		if a.N != n || a.ID != id {
			t.Fatalf("request %d: counted to %d in session %s, want %d in %s", n, a.N, a.ID, n, id)
		}
		servers[a.Server]++
	}
	for name, n := range servers {
		if n < 10 {
			t.Errorf("%s answered %d of 60 requests", name, n)
		}
	}
	if len(servers) != 3 {
		t.Errorf("only %v answered", servers)
	}
	t.Logf("60 requests of one visitor, answered by %v: counted to 60", servers)
}

// testVisitors has visitors come at the same time.
func testVisitors(t *testing.T, url string) {
	const visitors, requests = 20, 30
	ids := make([]string, visitors)
	var wg sync.WaitGroup
	for i := range visitors {
		wg.Go(func() {
			v := newVisitor()
			for n := 1; n <= requests; n++ {
				a, err := v.ask("POST", url+"/api/count")
				if err != nil || a.Status != http.StatusOK || a.N != n || n > 1 && a.ID != ids[i] {
					t.Errorf("visitor %d, request %d: status %d, counted to %d, session %s after %s, error %v", i, n, a.Status, a.N, a.ID, ids[i], err)
					return
				}
				ids[i] = a.ID
			}
		})
	}
	wg.Wait()
	slices.Sort(ids)
	if distinct := len(slices.Compact(ids)); distinct != visitors {
		t.Errorf("%d visitors have %d sessions", visitors, distinct)
	}
}

// testParts takes a session from every number of cookies to every other.
func testParts(t *testing.T, url string) {
	v := newVisitor()
	bytes := map[int]int{1: 500, 2: 4000, 3: 7000, 4: 10000}
	largest := 0
	for _, from := range slices.Sorted(maps.Keys(bytes)) {
		for _, to := range slices.Sorted(maps.Keys(bytes)) {
			for _, parts := range []int{from, to} {
				set := v.must(t, "POST", fmt.Sprintf("%s/api/size?bytes=%d", url, bytes[parts]))
				largest = max(largest, set.Size)
				got := v.must(t, "GET", url+"/api/session")
				if got.Filler != bytes[parts] || got.ID != set.ID || got.Refused != "" || v.parts() != parts {
					t.Fatalf("from %d cookies to %d: %d bytes in %d cookies, refused %q; want %d bytes in %d", from, to, got.Filler, v.parts(), got.Refused, bytes[parts], parts)
				}
			}
		}
	}
	t.Logf("1 to 4 cookies, each to each; %d bytes of cookies at most", largest)
}

// testOrigin: a browser too old for Sec-Fetch-Site sends Origin alone, which has to match the Host that the server
// sees.
func testOrigin(t *testing.T, url string) {
	v := newVisitor()
	v.must(t, "POST", url+"/api/count", "Origin", url)
	if a, err := v.ask("POST", url+"/api/count", "Origin", "http://elsewhere.example"); err != nil || a.Status != http.StatusForbidden {
		t.Errorf("from another origin: got %d, %v, want 403", a.Status, err)
	}
}

// TestDefaultSize: a session that fills the default MaxSize passes every proxy as installed, but for nginx.
func TestDefaultSize(t *testing.T) {
	backends := demos(t)
	for _, b := range balancers {
		t.Run(b.name, func(t *testing.T) {
			s := stock
			if b.forDefault != nil {
				s = forDefault
			}
			_, url := startBalancer(t, b, s, backends)
			v := newVisitor()
			low, high := 0, 6144 // bytes that fit and that don't
			for high-low > 1 {
				middle := (low + high) / 2
				a, err := v.ask("POST", fmt.Sprintf("%s/api/size?bytes=%d", url, middle))
				switch {
				case err == nil && a.Status == http.StatusOK:
					low = middle
				case err == nil && a.Status == http.StatusRequestEntityTooLarge:
					high = middle
				default:
					t.Fatalf("%d bytes: got %d, %v", middle, a.Status, err)
				}
			}
			a := v.must(t, "GET", url+"/api/session")
			if a.Filler != low || a.Size > 6144 || a.Size < 6140 {
				t.Errorf("got %d bytes of session with %d of data, want 6,144 with %d", a.Size, a.Filler, low)
			}
			t.Logf("%d bytes of data, %d bytes of cookies in %d parts", low, a.Size, v.parts())
		})
	}
}

// TestStockNginx: what nginx does without its settings, to the visitor and to everybody else.
func TestStockNginx(t *testing.T) {
	backends := demos(t)
	_, url := startBalancer(t, balancers[0], stock, backends, "fail_timeout=1s", "")
	v := newVisitor()
	v.must(t, "POST", url+"/api/count")
	v.must(t, "POST", url+"/api/size?bytes=2000")
	refused := 0
	for range backends {
		a, err := v.ask("POST", url+"/api/size?bytes=4000")
		if err != nil || a.Status != http.StatusBadGateway {
			t.Errorf("4,000 bytes: got %d, %v, want 502", a.Status, err)
		}
		refused++
	}
	// To nginx each of these was a failure of the server, which it leaves alone for ten seconds.
	other := newVisitor()
	if a, err := other.ask("POST", url+"/api/count"); err != nil || a.Status != http.StatusBadGateway {
		t.Errorf("another visitor, after %d oversized responses: got %d, %v, want 502", refused, a.Status, err)
	}
	since := time.Now()
	for range 200 {
		if a, err := other.ask("POST", url+"/api/count"); err == nil && a.Status == http.StatusOK {
			break
		}
		<-time.After(100 * time.Millisecond)
	}
	t.Logf("2,000 bytes pass, 4,000 are answered with 502; after %d of those everybody got 502 for %v", refused, time.Since(since).Round(time.Second))

	if a := v.must(t, "GET", url+"/api/session"); a.Filler != 2000 || a.N != 1 {
		t.Errorf("after the 502 the session has %d bytes and counts %d, want 2000 and 1", a.Filler, a.N)
	}
}

// TestStockLarge: a session of four cookies before proxies as installed.
func TestStockLarge(t *testing.T) {
	backends := demos(t, "-max-size", largeSize)
	for _, tt := range []struct {
		balancer
		set int // the answer to the request that makes the session large
		use int // and to those of a visitor whose session is large
	}{
		{balancers[0], 502, 400},
		{balancers[1], 502, 400},
		{balancers[2], 200, 400},
		{balancers[3], 200, 400},
		{balancers[4], 200, 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, url := startBalancer(t, tt.balancer, stock, backends, "fail_timeout=1s", "max_fails=0")
			v := newVisitor()
			before := v.must(t, "POST", url+"/api/count")
			if a, err := v.ask("POST", url+"/api/size?bytes=11400"); err != nil || a.Status != tt.set {
				t.Errorf("making it large: got %d, %v, want %d", a.Status, err, tt.set)
			}
			if tt.set != 200 {
				if a := v.must(t, "POST", url+"/api/count"); a.N != 2 || a.ID != before.ID {
					t.Errorf("afterwards the session counts to %d, want 2", a.N)
				}
			}
			// The jar sends the same cookies to every port of a host.
			server := "http://127.0.0.1:" + backends[0]
			v.must(t, "POST", server+"/api/size?bytes=11400")
			if a, err := v.ask("GET", url+"/api/session"); err != nil || a.Status != tt.use {
				t.Errorf("using it: got %d, %v, want %d", a.Status, err, tt.use)
			}
			if a := v.must(t, "GET", server+"/api/session"); a.Filler != 11400 || a.ID != before.ID {
				t.Errorf("the session has %d bytes, want 11400", a.Filler)
			}
			t.Logf("%d bytes of cookies: %d when they are set, %d when they come", v.must(t, "GET", server+"/api/session").Size, tt.set, tt.use)
		})
	}
}
