package e2e

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

// TestTooManyCookies: a visitor whose cookies exceed the limit of nginx is locked out, unless its file says what to
// delete.
func TestTooManyCookies(t *testing.T) {
	backends := demos(t)
	for _, tt := range []struct {
		name        string
		settings    settings
		bytes       int // of the session's data
		first, then int
	}{
		{"as installed", stock, 2000, http.StatusBadRequest, http.StatusBadRequest},
		{"configured", forDefault, 4000, http.StatusRequestHeaderFieldsTooLarge, http.StatusOK},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, address := startBalancer(t, balancers[0], tt.settings, backends)
			v := newVisitor()
			v.must(t, "POST", fmt.Sprintf("%s/api/size?bytes=%d", address, tt.bytes))
			u, err := url.Parse(address)
			if err != nil {
				t.Fatal(err)
			}
			others := http.Header{} // what others of the domain have set
			for i := range 3 {
				others.Add("Set-Cookie", fmt.Sprintf("other%d=%s; Path=/", i, strings.Repeat("o", (8000-tt.bytes)/3)))
			}
			v.jar.SetHeader(u, others)
			for i, want := range []int{tt.first, tt.then} {
				if a, err := v.ask("GET", address+"/api/session"); err != nil || a.Status != want {
					t.Errorf("request %d: got %d, %v, want %d", i+1, a.Status, err, want)
				}
			}
		})
	}
}

// TestAuthRequest: nginx asks a server with sessions who may see an application, and passes on that the session was
// used.
func TestAuthRequest(t *testing.T) {
	ring, err := cookiesession.NewKeyring(cookiesession.GenerateKey("auth"))
	if err != nil {
		t.Fatal(err)
	}
	sessions, err := cookiesession.New(cookiesession.Config{Keys: ring, IdleTimeout: 20 * time.Second, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	auth := http.NewServeMux()
	auth.HandleFunc("POST /login", func(_ http.ResponseWriter, r *http.Request) { sessions.Get(r).Put("user", "ada") })
	auth.HandleFunc("GET /auth", func(w http.ResponseWriter, r *http.Request) {
		if sessions.Get(r).Get("user") == nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	app := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "members only") })

	text, err := os.ReadFile(examples + "nginx-auth.conf")
	if err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	config := strings.NewReplacer("8080", port, "8081", serve(t, sessions.Handler(auth)), "8082", serve(t, app)).Replace(string(text))
	file := filepath.Join(t.TempDir(), "nginx-auth.conf")
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	program, args := nginx(t, file, port)
	p := start(t, "nginx", program, args...)
	address := "http://127.0.0.1:" + port

	v := newVisitor()
	for range 200 { // until nginx listens
		if _, err = v.ask("POST", address+"/login"); err == nil {
			break
		}
		select {
		case <-p.ended:
			t.Fatalf("nginx ended: %v", p.cmd.ProcessState)
		case <-time.After(50 * time.Millisecond):
		}
	}
	if a, err := newVisitor().ask("GET", address+"/"); err != nil || a.Status != http.StatusUnauthorized {
		t.Errorf("a stranger gets %d, %v, want 401", a.Status, err)
	}
	leased := false
	for range 100 { // a lease is due when two of the twenty seconds are over
		if a := v.must(t, "GET", address+"/"); a.Body != "members only" {
			t.Fatalf("got %q", a.Body)
		}
		for _, c := range v.jar.All() {
			leased = leased || c.Name == "__Host-session.lease"
		}
		if leased {
			break
		}
		<-time.After(100 * time.Millisecond)
	}
	if !leased {
		t.Error("no lease in ten seconds")
	}
	v.must(t, "GET", address+"/")
}

// TestNoFileInPlaceOfErrorPage: nginx sends the file that a handler names, but not if the session couldn't be saved.
func TestNoFileInPlaceOfErrorPage(t *testing.T) {
	ring, err := cookiesession.NewKeyring(cookiesession.GenerateKey("files"))
	if err != nil {
		t.Fatal(err)
	}
	sessions, err := cookiesession.New(cookiesession.Config{Keys: ring, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	app := sessions.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Accel-Redirect", "/files/file")
		if r.URL.Path == "/unsaved" {
			sessions.Get(r).Put("large", strings.Repeat("x", 20_000))
		}
	}))
	dir, port := t.TempDir(), freePort(t)
	file := filepath.Join(dir, "nginx-files.conf")
	config := strings.NewReplacer("PORT", port, "APP", serve(t, app), "DIR", dir).Replace(`server {
	listen 127.0.0.1:PORT;
	location / { proxy_pass http://127.0.0.1:APP; }
	location /files/ { internal; alias DIR/; }
}
`)
	for name, text := range map[string]string{file: config, filepath.Join(dir, "file"): "for members"} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil { // nginx's workers may be another user's
		t.Fatal(err)
	}
	program, args := nginx(t, file, port)
	p := start(t, "nginx", program, args...)
	v := newVisitor()
	for range 200 { // until nginx listens
		if _, err = v.ask("GET", "http://127.0.0.1:"+port+"/saved"); err == nil {
			break
		}
		select {
		case <-p.ended:
			t.Fatalf("nginx ended: %v", p.cmd.ProcessState)
		case <-time.After(50 * time.Millisecond):
		}
	}
	for path, want := range map[string]string{"/saved": "200 for members", "/unsaved": "500 Internal Server Error\n"} {
		a, err := v.ask("GET", "http://127.0.0.1:"+port+path)
		if got := fmt.Sprint(a.Status, " ", a.Body); err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", path, got, err, want)
		}
	}
}

// serve starts a server on a port of its own, and returns that.
func serve(t *testing.T, handler http.Handler) string {
	t.Helper()
	port := freePort(t)
	l, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	return port
}
