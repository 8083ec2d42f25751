package cookiesession_test

import (
	"context"
	"encoding/json"
	"expvar"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

// keysInNewFile writes a key file with one key for an example.
func keysInNewFile() (ring *cookiesession.Keyring, path string, remove func()) {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	path = filepath.Join(dir, "keys.json")
	if err := os.WriteFile(path, []byte(`{"keys": [{"label": "2026-11", "secret": "`+secretA+`"}]}`), 0o600); err != nil {
		log.Fatal(err)
	}
	if ring, err = cookiesession.OpenKeyFile(path); err != nil {
		log.Fatal(err)
	}
	return ring, path, func() { os.RemoveAll(dir) }
}

// What a server does at its start.
func ExampleOpenKeyFile_server() {
	ctx := context.Background()

	keys, err := cookiesession.OpenKeyFile("/etc/shop/keys.json")
	if err != nil {
		log.Fatal(err)
	}
	go keys.Watch(ctx, 0, nil) // looks every 5 seconds; what it finds is logged

	sessions, err := cookiesession.New(cookiesession.Config{Keys: keys})
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe("localhost:8080", sessions.Handler(http.DefaultServeMux)))
}

// A server that switches keys by itself: it watches its key file, and keeps the last good keys while the file is
// broken.
func ExampleKeyring_Watch() {
	keys, path, remove := keysInNewFile()
	defer remove()

	ctx, stop := context.WithCancel(context.Background())
	told := make(chan error)
	ended := make(chan struct{})
	go func() {
		keys.Watch(ctx, 10*time.Millisecond, func(err error) { told <- err }) // 0 is right for a server: every 5 seconds
		close(ended)
	}()

	const rotated = `{"keys": [{"label": "2026-11b", "secret": "` + secretB + `"}, {"label": "2026-11", "secret": "` + secretA + `"}]}`
	if err := os.WriteFile(path+".new", []byte(rotated), 0o600); err != nil {
		log.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		log.Fatal(err)
	}
	fmt.Println("error:", <-told)
	for _, key := range keys.Keys() {
		fmt.Println(key.Label, key.State)
	}
	stop()
	<-ended
	// Output:
	// error: <nil>
	// 2026-11b sealing
	// 2026-11 opening
}

// The counters of a Manager at /debug/vars.
func ExampleManager_Stats_expvar() {
	sessions := newSessions(cookiesession.Config{})
	expvar.Publish("sessions", expvar.Func(func() any { return sessions.Stats() }))
	// Package expvar has registered its handler with http.DefaultServeMux; serve that on an address of its own.

	get, stop := browse(sessions.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		sessions.Get(r).Increment("views", 1)
	})))
	defer stop()
	get("/")
	get("/")

	var stats cookiesession.Stats
	if err := json.Unmarshal([]byte(expvar.Get("sessions").String()), &stats); err != nil {
		log.Fatal(err)
	}
	fmt.Println("saved:", stats.Saved, "opened with 2026-11:", stats.Keys["2026-11"].Opened)
	// Output: saved: 2 opened with 2026-11: 1
}

// writeMetrics writes a Manager's counters and the states of its keys in Prometheus' text format.
func writeMetrics(w io.Writer, sessions *cookiesession.Manager, keys *cookiesession.Keyring) {
	stats := sessions.Stats()
	metric := func(name, kind, help string) { fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind) }

	// Labels of keys and reasons have no character that would have to be escaped.
	metric("cookiesession_key_info", "gauge", "Keys of the ring and what they do.")
	for _, key := range keys.Keys() {
		fmt.Fprintf(w, "cookiesession_key_info{key=%q,state=%q} 1\n", key.Label, key.State)
	}
	metric("cookiesession_ring_info", "gauge", "Fingerprint of the ring: equal on all servers but for moments after a rotation.")
	fmt.Fprintf(w, "cookiesession_ring_info{fingerprint=%q} 1\n", keys.Fingerprint())
	metric("cookiesession_opened_total", "counter", "Tokens opened, by key.")
	for label, key := range stats.Keys {
		fmt.Fprintf(w, "cookiesession_opened_total{key=%q} %d\n", label, key.Opened)
	}
	metric("cookiesession_sealed_total", "counter", "Tokens sealed, by key.")
	for label, key := range stats.Keys {
		fmt.Fprintf(w, "cookiesession_sealed_total{key=%q} %d\n", label, key.Sealed)
	}
	metric("cookiesession_rejected_total", "counter", "Cookies refused, by reason.")
	for reason, n := range stats.Rejected {
		fmt.Fprintf(w, "cookiesession_rejected_total{reason=%q} %d\n", reason, n)
	}
	metric("cookiesession_save_errors_total", "counter", "Responses that could not save the session.")
	fmt.Fprintf(w, "cookiesession_save_errors_total %d\n", stats.SaveErrors)
}

// The counters of a Manager for Prometheus.
func ExampleManager_Stats_prometheus() {
	keys, _, remove := keysInNewFile()
	defer remove()
	sessions := newSessions(cookiesession.Config{Keys: keys})
	metrics := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		writeMetrics(w, sessions, keys)
	})

	get, stop := browse(sessions.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		sessions.Get(r).Increment("views", 1)
	})))
	defer stop()
	get("/")
	get("/")

	w := httptest.NewRecorder()
	metrics.ServeHTTP(w, nil)
	for line := range strings.Lines(w.Body.String()) {
		if !strings.HasPrefix(line, "#") {
			fmt.Print(line)
		}
	}
	// Output:
	// cookiesession_key_info{key="2026-11",state="sealing"} 1
	// cookiesession_ring_info{fingerprint="a73adc1f0a995134"} 1
	// cookiesession_opened_total{key="2026-11"} 1
	// cookiesession_sealed_total{key="2026-11"} 2
	// cookiesession_save_errors_total 0
}

// Can this key go? No session is lost once the longest lifetime has passed since any server last sealed with it. Ask
// every server: each knows only its own, and only since it started.
func ExampleManager_Stats_canThisKeyGo() {
	const longestLifetime = 24 * time.Hour
	now := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	servers := map[string]cookiesession.KeyStats{ // Stats().Keys["2026-08"] of each
		"one": {Sealed: 90210, LastSealed: now.Add(-43 * time.Hour), Opened: 412345, LastOpened: now.Add(-21 * time.Hour)},
		"two": {Sealed: 88377, LastSealed: now.Add(-23 * time.Hour), Opened: 409876, LastOpened: now.Add(-time.Hour)},
	}
	var last time.Time
	for _, key := range servers {
		if key.LastSealed.After(last) {
			last = key.LastSealed
		}
	}
	if free := last.Add(longestLifetime); now.Before(free) {
		fmt.Println("not before", free)
	} else {
		fmt.Println("yes")
	}
	// Output: not before 2026-11-23 10:00:00 +0000 UTC
}
