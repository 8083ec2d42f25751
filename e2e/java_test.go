package e2e

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

const okHTTPJars = "/usr/share/java/okhttp.jar:/usr/share/java/okio.jar:/usr/share/java/okhttp-urlconnection.jar"

// TestJava has Java's clients walk a small application over TLS with the cookies that java.net.CookieManager keeps. It
// sends those that have a Max-Age in quotes, in the manner of RFC 2965.
func TestJava(t *testing.T) {
	classes := t.TempDir()
	command(t, 2*time.Minute, "javac", "-cp", okHTTPJars, "-d", classes, "java/Client.java")
	certificate := certificate(t)
	for client, quotes := range map[string]bool{"HttpClient": true, "HttpURLConnection": true, "OkHttp": false} {
		t.Run(client, func(t *testing.T) {
			t.Parallel() // they spend most of their time waiting
			app := newJavaApp(t, certificate)
			c := app.startClient(t, classes, client)
			c.walk()
			c.idle()
			if _, got := app.saw(); got != quotes {
				t.Errorf("cookies came in quotes: %v, want %v", got, quotes)
			}
			t.Logf("%d steps", c.steps)
		})
	}
}

// A javaApp is the application: one Manager whose sessions outlive the browser, and one with a short idle timeout.
type javaApp struct {
	ring           *cookiesession.Keyring
	key            cookiesession.Key // that ring begins with
	sessions, idle *cookiesession.Manager
	address        string
	certificate    string

	mu     sync.Mutex
	quotes bool // some cookie came in quotes
	parts  int  // cookies that the last request brought of the session
}

func (app *javaApp) saw() (parts int, quotes bool) {
	app.mu.Lock()
	defer app.mu.Unlock()
	return app.parts, app.quotes
}

const javaIdle = 8 * time.Second

func newJavaApp(t *testing.T, certificate string) *javaApp {
	t.Helper()
	app := &javaApp{key: cookiesession.GenerateKey("old")}
	var err error
	if app.ring, err = cookiesession.NewKeyring(app.key); err != nil {
		t.Fatal(err)
	}
	quiet := slog.New(slog.DiscardHandler)
	app.sessions, err = cookiesession.New(cookiesession.Config{
		Keys: app.ring, Persistent: true, MaxSize: 16 << 10, Logger: quiet,
	})
	if err != nil {
		t.Fatal(err)
	}
	app.idle, err = cookiesession.New(cookiesession.Config{
		Keys: app.ring, Persistent: true, Name: "idle", IdleTimeout: javaIdle, Logger: quiet,
	})
	if err != nil {
		t.Fatal(err)
	}
	certificateFile, keyFile, _ := strings.Cut(certificate, " ")
	app.certificate = certificateFile
	pair, err := tls.LoadX509KeyPair(certificateFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	app.address = "https://localhost:" + port
	server := &http.Server{Handler: app.handler(), TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}}}
	go server.ServeTLS(l, "", "")
	t.Cleanup(func() { server.Close() })
	return app
}

var (
	quotedCookie = regexp.MustCompile(`__Host-[^=;]+="`)
	sessionPart  = regexp.MustCompile(`__Host-session(\.[1-9])?=`)
)

func (app *javaApp) handler() http.Handler {
	mux := http.NewServeMux()
	page := func(pattern string, m *cookiesession.Manager, do func(s *cookiesession.Session, r *http.Request)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			s := m.Get(r)
			do(s, r)
			fmt.Fprint(w, stateOf(s))
		})
	}
	page("GET /see", app.sessions, func(*cookiesession.Session, *http.Request) {})
	page("POST /count", app.sessions, func(s *cookiesession.Session, _ *http.Request) { s.Increment("n", 1) })
	page("POST /grow", app.sessions, func(s *cookiesession.Session, r *http.Request) {
		n, _ := strconv.Atoi(r.FormValue("bytes"))
		s.Put("filler", strings.Repeat("x", n))
	})
	page("POST /login", app.sessions, func(s *cookiesession.Session, r *http.Request) {
		s.Put("user", r.FormValue("user"))
		s.Regenerate()
	})
	page("POST /logout", app.sessions, func(s *cookiesession.Session, _ *http.Request) {
		s.Destroy()
		s.Flash("note", "bye")
	})
	page("POST /remember", app.sessions, func(s *cookiesession.Session, _ *http.Request) { s.Remember(30 * 24 * time.Hour) })
	page("POST /browser", app.sessions, func(s *cookiesession.Session, _ *http.Request) { s.Persist(false) })
	page("POST /flash", app.sessions, func(s *cookiesession.Session, r *http.Request) { s.Flash("note", r.FormValue("note")) })
	mux.HandleFunc("GET /flashes", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, app.sessions.Get(r).Flashes()) })
	mux.HandleFunc("GET /token", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, app.sessions.Get(r).CSRFToken()) })
	mux.Handle("/protected", app.sessions.ProtectCSRF(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "passed") })))
	page("GET /idle", app.idle, func(*cookiesession.Session, *http.Request) {})
	page("POST /idle", app.idle, func(s *cookiesession.Session, _ *http.Request) { s.Increment("n", 1) })
	sessions := app.sessions.Handler(app.idle.Handler(mux))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		cookies := strings.Join(r.Header["Cookie"], "; ")
		app.mu.Lock()
		app.quotes = app.quotes || quotedCookie.MatchString(cookies)
		app.parts = len(sessionPart.FindAllString(cookies, -1))
		app.mu.Unlock()
		sessions.ServeHTTP(w, r)
	})
}

func stateOf(s *cookiesession.Session) string {
	refused := ""
	if err := s.Rejected(); err != nil {
		refused = " refused as " + err.Reason.String()
	}
	filler, _ := s.Get("filler").(string)
	return fmt.Sprintf("n=%v user=%v filler=%d new=%v%s", s.Get("n"), s.Get("user"), len(filler), s.IsNew(), refused)
}

// A javaClient is one process of java/Client.java.
type javaClient struct {
	t     *testing.T
	app   *javaApp
	in    io.Writer
	out   *bufio.Scanner
	steps int
}

func (app *javaApp) startClient(t *testing.T, classes, client string) *javaClient {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "java", "-cp", classes+":"+okHTTPJars, "Client", client, app.certificate)
	log, err := os.Create(filepath.Join(t.TempDir(), "java.log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = log
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v (run.sh installs what the tests need)", err)
	}
	t.Cleanup(func() {
		in.Close() // its end
		cmd.Wait()
		log.Close()
		if t.Failed() {
			t.Logf("java: %s", lastOf(log.Name()))
		}
	})
	return &javaClient{t: t, app: app, in: in, out: bufio.NewScanner(out)}
}

// say tells the client one line and returns its answer.
func (c *javaClient) say(line string) string {
	c.t.Helper()
	if _, err := fmt.Fprintln(c.in, line); err != nil {
		c.t.Fatal(err)
	}
	if !c.out.Scan() {
		c.t.Fatalf("no answer to %s: %v", line, c.out.Err())
	}
	return c.out.Text()
}

func (c *javaClient) ask(method, path, form string) string {
	c.t.Helper()
	return c.say(method + " " + c.app.address + path + " " + form)
}

// step is one request, whose answer must be want.
func (c *javaClient) step(method, path, form, want string) {
	c.t.Helper()
	c.steps++
	if got := c.ask(method, path, form); got != want {
		c.t.Errorf("step %d, %s %s %s: got %q, want %q", c.steps, method, path, form, got, want)
	}
}

func (c *javaClient) get(path, want string)        { c.t.Helper(); c.step("GET", path, "", want) }
func (c *javaClient) post(path, form, want string) { c.t.Helper(); c.step("POST", path, form, want) }

// restart closes the browser and opens it again.
func (c *javaClient) restart() { c.t.Helper(); c.say("restart") }

func state(n, user string, filler int, isNew bool) string {
	return fmt.Sprintf("200 n=%s user=%s filler=%d new=%v", n, user, filler, isNew)
}

func (c *javaClient) walk() {
	none := state("<nil>", "<nil>", 0, true)
	c.get("/see", none)
	c.post("/count", "", state("1", "<nil>", 0, true))
	c.get("/see", state("1", "<nil>", 0, false))
	c.post("/count", "", state("2", "<nil>", 0, false))
	c.get("/see", state("2", "<nil>", 0, false))

	for _, size := range []struct{ bytes, parts int }{
		{1000, 1}, {4000, 2}, {8000, 3}, {10900, 4}, {4000, 2}, {10900, 4}, {100, 1}, {8000, 3}, {0, 1},
	} {
		c.post("/grow", fmt.Sprint("bytes=", size.bytes), state("2", "<nil>", size.bytes, false))
		c.get("/see", state("2", "<nil>", size.bytes, false))
		if parts, _ := c.app.saw(); parts != size.parts {
			c.t.Errorf("step %d: %d bytes came in %d cookies, want %d", c.steps, size.bytes, parts, size.parts)
		}
	}

	c.get("/flashes", "200 map[]")
	c.post("/flash", "note=hello", state("2", "<nil>", 0, false))
	c.get("/see", state("2", "<nil>", 0, false)) // an image wouldn't eat it either
	c.get("/flashes", "200 map[note:hello]")
	c.get("/flashes", "200 map[]")
	c.post("/flash", "note="+strings.Repeat("long", 1000), state("2", "<nil>", 0, false))
	c.get("/flashes", "200 map[note:"+strings.Repeat("long", 1000)+"]")
	c.get("/flashes", "200 map[]")

	c.post("/login", "user=ada", state("2", "ada", 0, false))
	c.get("/see", state("2", "ada", 0, false))
	c.restart() // the session is persistent
	c.get("/see", state("2", "ada", 0, false))
	c.post("/logout", "", none)
	c.get("/see", none)
	c.get("/flashes", "200 map[note:bye]")
	c.get("/flashes", "200 map[]")
	c.post("/login", "user=ben", state("<nil>", "ben", 0, true))
	c.get("/see", state("<nil>", "ben", 0, false))
	c.post("/logout", "", none)
	c.get("/see", none)
	c.post("/login", "user=cem", state("<nil>", "cem", 0, true))
	c.post("/browser", "", state("<nil>", "cem", 0, false))
	c.get("/see", state("<nil>", "cem", 0, false))
	c.restart() // it isn't any more
	c.get("/see", none)
	c.post("/login", "user=dan", state("<nil>", "dan", 0, true))
	c.post("/remember", "", state("<nil>", "dan", 0, false))
	c.restart()
	c.get("/see", state("<nil>", "dan", 0, false))

	c.steps++
	if got := c.ask("POST", "/protected", "a=1"); !strings.HasPrefix(got, "403 ") {
		c.t.Errorf("without a token: got %q, want 403", got)
	}
	token, _ := strings.CutPrefix(c.ask("GET", "/token", ""), "200 ")
	c.post("/protected", "csrf_token="+token, "200 passed")
	c.step("DELETE", "/protected", "csrf_token="+token, "200 passed")

	c.rotate()
}

// rotate brings a new key into force, and drops the old one when the session has been sealed anew.
func (c *javaClient) rotate() {
	c.t.Helper()
	replace := func(keys ...cookiesession.Key) {
		if err := c.app.ring.Replace(keys...); err != nil {
			c.t.Fatal(err)
		}
	}
	next := cookiesession.GenerateKey("next")
	replace(next, c.app.key) // the first seals
	c.get("/see", state("<nil>", "dan", 0, false))
	c.post("/count", "", state("1", "dan", 0, false))
	replace(next)
	c.get("/see", state("1", "dan", 0, false))
	replace(cookiesession.GenerateKey("stranger"))
	c.get("/see", state("<nil>", "<nil>", 0, true)+" refused as unknown-key")
	replace(next)
	c.get("/see", state("1", "dan", 0, false)) // the refusal has deleted nothing
}

// idle shows that a lease, which has a Max-Age, comes back and counts. Time passes for real here, so that what comes too
// late for what it is to show is tried again.
func (c *javaClient) idle() {
	c.t.Helper()
	alive := state("1", "<nil>", 0, false)
	before := ""
	for range 5 {
		steps := c.steps
		c.post("/idle", "", state("1", "<nil>", 0, true)+before)
		started := time.Now()
		time.Sleep(javaIdle * 5 / 8)
		leased := c.ask("GET", "/idle", "")
		late := time.Since(started) > javaIdle*7/8
		started = time.Now()
		time.Sleep(javaIdle * 5 / 8)
		later := c.ask("GET", "/idle", "") // by now the session was sealed too long ago
		late = late || time.Since(started) > javaIdle*7/8
		c.steps += 2
		if !late && (leased != alive || later != alive) {
			c.t.Errorf("step %d: within the idle timeout of a lease: got %q, then %q, want %q", c.steps, leased, later, alive)
		}
		time.Sleep(javaIdle + 2*time.Second)
		before = " refused as idle"
		c.get("/idle", state("<nil>", "<nil>", 0, true)+before)
		if !late {
			return
		}
		c.steps = steps
	}
	c.t.Log("the machine is too slow to show leases")
}
