package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestAPI(t *testing.T) {
	v := newVisitor(t, newSite(t, func(o *options) { o.server = "north" }))
	for want := 1.0; want <= 3; want++ {
		status, got := v.call(http.MethodPost, "/api/count")
		if status != http.StatusOK || got["n"] != want || got["server"] != "north" || got["id"] != v.session()["id"] {
			t.Errorf("count %v: status %d, %v", want, status, got)
		}
	}
	for path, want := range map[string]int{
		"/api/size?bytes=0":     http.StatusOK,
		"/api/size?bytes=4000":  http.StatusOK,
		"/api/size?bytes=9000":  http.StatusRequestEntityTooLarge,
		"/api/size?bytes=65536": http.StatusRequestEntityTooLarge,
		"/api/size?bytes=65537": http.StatusBadRequest,
		"/api/size?bytes=-1":    http.StatusBadRequest,
		"/api/size":             http.StatusBadRequest,
	} {
		if status, answer := v.call(http.MethodPost, path); status != want {
			t.Errorf("POST %s: status %d, want %d: %v", path, status, want, answer)
		}
	}
	v.call(http.MethodPost, "/api/size?bytes=4000")
	s := v.session()
	if s["filler"] != 4000.0 || s["n"] != 3.0 || s["size"].(float64) > s["max_size"].(float64) {
		t.Errorf("4,000 bytes: %v", s)
	}
	total := 0.0
	for _, c := range s["cookies"].([]any) {
		total += c.(map[string]any)["bytes"].(float64) + float64(len("=; "))
	}
	if total != s["size"] {
		t.Errorf("the cookies listed take %v bytes, the session says %v", total, s["size"])
	}

	r := v.request(http.MethodPost, "/api/count", nil)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	if resp := v.do(r); resp.StatusCode != http.StatusForbidden {
		t.Errorf("count from another site: status %d", resp.StatusCode)
	}
}

func TestHeaders(t *testing.T) {
	v := newVisitor(t, newSite(t, func(o *options) { o.server = "north" }))
	for _, test := range []struct {
		path, contentType string
		session           bool
	}{
		{"/", "text/html; charset=utf-8", true},
		{"/api/session", "application/json", false},
		{"/device", "text/html; charset=utf-8", false},
		{"/static/style.css", "text/css; charset=utf-8", false},
		{"/static/countdown.js", "text/javascript; charset=utf-8", false},
		{"/static/device.js", "text/javascript; charset=utf-8", false},
		{"/static/icon.svg", "image/svg+xml", false},
		{"/favicon.ico", "image/svg+xml", false},
		{"/healthz", "text/plain; charset=utf-8", false},
	} {
		resp := newVisitor(t, v.site).do(v.request(http.MethodGet, test.path, nil))
		if resp.StatusCode != http.StatusOK {
			t.Errorf("GET %s: status %d", test.path, resp.StatusCode)
		}
		for name, want := range map[string]string{
			"Content-Type": test.contentType, "X-Served-By": "north",
			"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin",
		} {
			if got := resp.Header.Get(name); got != want {
				t.Errorf("GET %s: %s is %q, want %q", test.path, name, got, want)
			}
		}
		if got := resp.Header.Get("Content-Security-Policy"); !strings.HasPrefix(got, "default-src 'none';") {
			t.Errorf("GET %s: Content-Security-Policy is %q", test.path, got)
		}
		if got := len(resp.Cookies()) > 0; got != test.session {
			t.Errorf("GET %s: sets cookies: %t, want %t", test.path, got, test.session)
		}
	}
	if resp := v.do(v.request(http.MethodGet, "/nowhere", nil)); resp.StatusCode != http.StatusNotFound || len(resp.Cookies()) > 0 {
		t.Errorf("a page that is not there: status %d, %d cookies", resp.StatusCode, len(resp.Cookies()))
	}
}

func TestSpell(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second:                             "over",
		999 * time.Millisecond:                   "over",
		59 * time.Second:                         "59 s",
		time.Minute:                              "1 min",
		20*time.Minute - time.Second:             "19 min 59 s",
		time.Hour:                                "1 h",
		24*time.Hour - time.Second:               "23 h 59 min",
		24 * time.Hour:                           "1 d",
		30*24*time.Hour - time.Second:            "29 d 23 h",
		24*time.Hour + 59*time.Minute:            "1 d",
		time.Hour + time.Minute + 59*time.Second: "1 h 1 min",
	} {
		if got := spell(d); got != want {
			t.Errorf("spell(%v): got %q, want %q", d, got, want)
		}
	}
}

func TestSnippets(t *testing.T) {
	source, err := files.ReadFile("snippets_test.go")
	if err != nil {
		t.Fatal(err)
	}
	snippets := findSnippets(string(source))
	if got, want := len(snippets), strings.Count(string(source), "\nfunc Example_"); got != want || want == 0 {
		t.Errorf("got %d snippets of %d example functions", got, want)
	}
	for _, s := range snippets {
		if s.Code == "" || strings.ContainsRune(s.Code, '\t') || strings.HasPrefix(s.Code, " ") {
			t.Errorf("%s: badly cut: %q", s.Title, s.Code)
		}
	}
}

func TestRun(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	out, in := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, []string{"-addr", "127.0.0.1:0", "-name", "north"}, "", in, io.Discard)
		in.Close()
		ended <- err
	}()
	lines := bufio.NewScanner(out)
	lines.Scan()
	address, ok := strings.CutPrefix(lines.Text(), "north: ")
	if !ok {
		stop()
		t.Fatalf("the first line is %q: %v", lines.Text(), <-ended)
	}
	resp, err := http.Get(address + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || string(body) != "ok\n" {
		t.Errorf("healthz: %q, %v", body, err)
	}
	lines.Scan()
	if got := lines.Text(); !strings.Contains(got, "sessions end when this server stops") {
		t.Errorf("the second line does not say how long sessions last: %q", got)
	}
	stop()
	go io.Copy(io.Discard, out)
	if err := <-ended; err != nil {
		t.Errorf("run: %v", err)
	}
}

func TestRunRefuses(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for name, test := range map[string]struct {
		args []string
		env  string
		want string
	}{
		"a missing key file": {[]string{"-keys", "/nowhere/keys.json"}, "", "keys new -file /nowhere/keys.json"},
		"poor keys":          {nil, "secret", "COOKIESESSION_KEYS"},
		"an idle time that is longer than the lifetime": {[]string{"-idle", "25h"}, "", "IdleTimeout"},
		"arguments":                {[]string{"extra"}, "", `unexpected argument "extra"`},
		"an address that is taken": {[]string{"-addr", taken.Addr().String()}, "", taken.Addr().String() + " is taken"},
		"an address that is none":  {[]string{"-addr", "nowhere"}, "", "missing port"},
	} {
		err := run(t.Context(), test.args, test.env, io.Discard, io.Discard)
		if err == nil || strings.Count(err.Error(), test.want) != 1 {
			t.Errorf("%s: got error %v, want one that says once: %s", name, err, test.want)
		}
	}
}
