package e2e

import (
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

// Where Debian's packages libapache2-mod-security2 and modsecurity-crs put what they bring.
const (
	modSecurity      = "/etc/modsecurity/modsecurity.conf-recommended"
	coreRuleSetSetup = "/etc/modsecurity/crs/crs-setup.conf"
	coreRuleSet      = "/usr/share/modsecurity-crs/rules/*.conf"
)

// TestFirewall: ModSecurity with the OWASP Core Rule Set lets sessions of all sizes pass, up to paranoia level 3, because
// their text has no "--", which is an SQL comment to it. In base64url they would be refused.
//
// What random text is refused for even so, such as ".nsr" and "0x39c", is in half a percent of the largest sessions. One
// percent is the bound for each level. For each size it would be passed by chance, so there it is two.
func TestFirewall(t *testing.T) {
	const sessions, inBase64url = 1000, 200 // of each size
	app := startApp(t)
	for level := 1; level <= 3; level++ {
		t.Run(fmt.Sprint("level=", level), func(t *testing.T) {
			w := startFirewall(t, level, app.port, "")
			if got := w.ask(t, ""); got != http.StatusOK {
				t.Fatalf("without cookies: got %d, want 200", got)
			}
			total := 0
			sizes := []int{60, 1000, 4000}
			for _, bytes := range sizes {
				headers := app.sessions(t, sessions, bytes)
				app.opened.Store(0)
				refused := w.refused(t, headers)
				total += refused
				opened := int(app.opened.Load())
				dashed := make([]string, inBase64url)
				for i := range dashed {
					dashed[i] = strings.ReplaceAll(headers[i], ".", "-")
				}
				refusedDashed := w.refused(t, dashed)
				t.Logf("values of %d bytes: %d of %d sessions refused, in base64url %d of %d", bytes, refused, sessions, refusedDashed, inBase64url)
				if refused > sessions*2/100 {
					t.Errorf("values of %d bytes: %d of %d sessions refused, want at most %d", bytes, refused, sessions, sessions*2/100)
				}
				if opened != sessions-refused {
					t.Errorf("values of %d bytes: %d sessions opened, want the %d that were not refused", bytes, opened, sessions-refused)
				}
				if level > 1 && bytes == 4000 && refusedDashed < inBase64url/3 {
					t.Errorf("values of %d bytes, in base64url: %d of %d sessions refused, want at least %d", bytes, refusedDashed, inBase64url, inBase64url/3)
				}
				for _, attack := range []string{"1' OR '1'='1", "1 UNION SELECT password FROM users--", "<script>alert(1)</script>"} {
					if got := w.ask(t, headers[0]+"; theme="+attack); got != http.StatusForbidden {
						t.Errorf("values of %d bytes, and another cookie with %s: got %d, want 403", bytes, attack, got)
					}
				}
			}
			if most := sessions * len(sizes) / 100; total > most {
				t.Errorf("%d of %d sessions refused, want at most %d", total, sessions*len(sizes), most)
			}
		})
	}
}

// TestFirewallExclusion: with modsecurity.conf no session is refused, whatever its text, and attacks in other cookies
// are.
func TestFirewallExclusion(t *testing.T) {
	const sessions = 200
	app := startApp(t)
	w := startFirewall(t, 3, app.port, examples+"modsecurity.conf")
	headers := app.sessions(t, sessions, 4000)
	for i, header := range headers { // as bad as text can be
		headers[i] = strings.ReplaceAll(header, ".", "-")
	}
	if refused := w.refused(t, headers); refused > 0 {
		t.Errorf("%d of %d sessions refused, want none", refused, sessions)
	}
	if got := w.ask(t, headers[0]+"; theme=1' OR '1'='1"); got != http.StatusForbidden {
		t.Errorf("an attack in another cookie: got %d, want 403", got)
	}
}

// An app is an application behind the firewall.
type app struct {
	port    string
	manager *cookiesession.Manager
	opened  atomic.Int64 // requests that brought a session
}

func startApp(t *testing.T) *app {
	t.Helper()
	ring, err := cookiesession.NewKeyring(cookiesession.GenerateKey("firewall"))
	if err != nil {
		t.Fatal(err)
	}
	a := &app{port: freePort(t)}
	a.manager, err = cookiesession.New(cookiesession.Config{Keys: ring, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:"+a.port)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: a.manager.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s := a.manager.Get(r); s.Get("values") != nil {
			a.opened.Add(1)
		}
		io.WriteString(w, "ok\n")
	}))}
	go server.Serve(listener)
	t.Cleanup(func() { server.Close() })
	return a
}

// sessions returns the Cookie headers of so many sessions with so many bytes of values.
func (a *app) sessions(t *testing.T, n, bytes int) (headers []string) {
	t.Helper()
	for range n {
		s, err := a.manager.Load(&http.Request{Header: http.Header{}})
		if err != nil {
			t.Fatal(err)
		}
		values := make([]byte, bytes)
		for i := range values {
			values[i] = byte(rand.Uint32())
		}
		s.Put("values", values)
		h := http.Header{}
		if err := a.manager.Save(h, s); err != nil {
			t.Fatal(err)
		}
		var pairs []string
		for _, line := range h["Set-Cookie"] {
			pair, _, _ := strings.Cut(line, ";")
			pairs = append(pairs, pair)
		}
		headers = append(headers, strings.Join(pairs, "; "))
	}
	return headers
}

// A firewall is Apache with ModSecurity and the Core Rule Set as Debian configures them, in force, before a server.
type firewall struct{ url string }

// startFirewall starts one that also has what stands in the file called further, if that isn't "".
func startFirewall(t *testing.T, level int, port, further string) *firewall {
	t.Helper()
	w := &firewall{"http://127.0.0.1:" + freePort(t)}
	data := t.TempDir()
	for dir, mode := range map[string]os.FileMode{filepath.Dir(data): 0o755, data: 0o777} {
		if err := os.Chmod(dir, mode); err != nil { // Apache gives up root's rights
			t.Fatal(err)
		}
	}
	file := filepath.Join(t.TempDir(), "firewall.conf")
	if further != "" {
		path, err := filepath.Abs(further)
		if err != nil {
			t.Fatal(err)
		}
		further = "Include " + path
	}
	config := strings.Join([]string{
		"LoadModule unique_id_module /usr/lib/apache2/modules/mod_unique_id.so",
		"LoadModule security2_module /usr/lib/apache2/modules/mod_security2.so",
		"Listen " + strings.TrimPrefix(w.url, "http://"),
		"Include " + modSecurity,
		"SecRuleEngine On",
		"SecAuditEngine Off",
		"SecTmpDir " + data,
		"SecDataDir " + data,
		"Include " + coreRuleSetSetup,
		fmt.Sprintf(`SecAction "id:900000,phase:1,nolog,pass,t:none,setvar:tx.paranoia_level=%d"`, level),
		"Include " + coreRuleSet,
		further,
		"ProxyPass / http://127.0.0.1:" + port + "/",
	}, "\n") + "\n"
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	program, args := apache(t, file, "")
	p := start(t, "firewall", program, args...)
	for range 200 {
		if _, err := w.send(""); err == nil {
			return w
		}
		select {
		case <-p.ended:
			t.Fatalf("Apache ended: %v", p.cmd.ProcessState)
		case <-time.After(50 * time.Millisecond):
		}
	}
	t.Fatal("Apache doesn't answer")
	return nil
}

// send asks for a page as a browser does, since much of what other programs send counts against them, and returns the
// status.
func (w *firewall) send(cookies string) (int, error) {
	r, err := http.NewRequest(http.MethodGet, w.url, nil)
	if err != nil {
		return 0, err
	}
	r.Host = "shop.example"
	r.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
	r.Header.Set("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")
	r.Header.Set("Accept-Language", "en-US,en;q=0.5")
	if cookies != "" {
		r.Header.Set("Cookie", cookies)
	}
	resp, err := client.Do(r)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

func (w *firewall) ask(t *testing.T, cookies string) int {
	t.Helper()
	status, err := w.send(cookies)
	if err != nil {
		t.Fatal(err)
	}
	return status
}

// refused sends the Cookie headers and returns how many are answered with 403. The others must be answered with 200.
func (w *firewall) refused(t *testing.T, headers []string) (refused int) {
	t.Helper()
	statuses := make([]int, len(headers))
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for i := worker; i < len(headers); i += 4 {
				status, err := w.send(headers[i])
				if err != nil {
					t.Error(err)
				}
				statuses[i] = status
			}
		})
	}
	wg.Wait()
	for _, status := range statuses {
		switch status {
		case http.StatusOK:
		case http.StatusForbidden:
			refused++
		default:
			t.Errorf("got %d, want 200 or 403", status)
		}
	}
	return refused
}
