package e2e

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestLimits measures what each proxy, as installed, lets through, and what a visitor gets beyond.
func TestLimits(t *testing.T) {
	backends := stubs(t)
	for _, limits := range []struct {
		balancer
		request, requestStatus   int // bytes of cookies in the largest Cookie line; beyond
		response, responseStatus int // bytes of name, value and attributes of all cookies that a response may set; beyond
	}{
		{balancers[0], 8182, 400, 3978, 502},
		{balancers[1], 15193, 400, 15126, 502},
		{balancers[2], 8183, 400, 0, 0},
		{balancers[3], 8184, 400, 32567, 503},
		{balancers[4], 0, 0, 0, 0},
	} {
		t.Run(limits.name, func(t *testing.T) {
			// To nginx a header that is too long is a failure of the server, which then gets no request for a while.
			_, url := startBalancer(t, limits.balancer, stock, backends, "fail_timeout=1s", "max_fails=0")
			address := strings.TrimPrefix(url, "http://")

			largest, status := bisect(t, 300_000, func(n int) int { return get(t, address, "/healthz", n) })
			check(t, "Cookie line of a request", largest, status, limits.request, limits.requestStatus)

			largest, status = bisect(t, 300_000, func(n int) int { return get(t, address, "/set?bytes="+strconv.Itoa(n), 0) })
			check(t, "Set-Cookie lines of a response", largest, status, limits.response, limits.responseStatus)
		})
	}
}

// check compares what was measured with what we say of it, to a few bytes in a hundred: a release may count otherwise.
func check(t *testing.T, what string, largest, status, want, wantStatus int) {
	t.Helper()
	if status == 0 {
		t.Logf("%s: %d bytes pass", what, largest)
	} else {
		t.Logf("%s: up to %d bytes pass, then %d", what, largest, status)
	}
	if status != wantStatus || want > 0 && (largest < want*96/100 || largest > want*104/100) {
		t.Errorf("%s: want up to %d bytes, then %d", what, want, wantStatus)
	}
}

// bisect returns the largest n below most that is answered with 200, and the answer to n+1; most and 0 if all are.
func bisect(t *testing.T, most int, ask func(n int) int) (largest, status int) {
	t.Helper()
	if status := ask(1); status != http.StatusOK {
		t.Fatalf("got %d for a single byte", status)
	}
	if ask(most) == http.StatusOK {
		return most, 0
	}
	low, high := 1, most
	for high-low > 1 {
		middle := (low + high) / 2
		if got := ask(middle); got == http.StatusOK {
			low = middle
		} else {
			high, status = middle, got
		}
	}
	return low, status
}

// get asks for a path with so many bytes of cookies in one line, and returns the status. What can't be read counts as
// -1. It writes its request itself: no library of ours or the standard's has a say in its size.
func get(t *testing.T, address, path string, cookies int) int {
	t.Helper()
	conn, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	line := ""
	if cookies > 0 {
		line = "Cookie: " + strings.Repeat("c", cookies) + "\r\n"
	}
	// A proxy that has read enough answers while we still write, so an error here says nothing.
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\n%sConnection: close\r\n\r\n", path, address, line)
	resp, err := http.ReadResponse(bufio.NewReaderSize(conn, 1<<20), nil)
	if err != nil {
		return -1
	}
	resp.Body.Close()
	return resp.StatusCode
}

// stubs starts three servers that set as many bytes of cookies as they are asked for, in lines of at most 3,900 as the
// library does.
func stubs(t *testing.T) (ports [3]string) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.FormValue("bytes"))
		for ; n > 0; n -= 3900 {
			w.Header().Add("Set-Cookie", strings.Repeat("c", min(n, 3900)))
		}
	})
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:"+freePort(t))
		if err != nil {
			t.Fatal(err)
		}
		server := &http.Server{Handler: handler, MaxHeaderBytes: 1 << 20}
		go server.Serve(l)
		t.Cleanup(func() { server.Close() })
		_, ports[i], _ = net.SplitHostPort(l.Addr().String())
	}
	return ports
}
