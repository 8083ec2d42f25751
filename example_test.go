package cookiesession_test

import (
	"context"
	"encoding/json"
	"errors"
	"expvar"
	"fmt"
	"html/template"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/seed-50e21e88/cookiesession"
	"github.com/seed-50e21e88/cookiesession/cookiesessiontest"
)

// browse starts a server and returns what fetches a page with a browser's cookies.
func browse(h http.Handler) (get func(path string) string, stop func()) {
	b := newTab(h)
	return b.get, b.stop
}

func newSessions(c cookiesession.Config) *cookiesession.Manager {
	if c.Keys == nil {
		keys, err := cookiesession.NewKeyring(cookiesession.GenerateKey("2026-11"))
		if err != nil {
			log.Fatal(err)
		}
		c.Keys = keys
	}
	m, err := cookiesession.New(c)
	if err != nil {
		log.Fatal(err)
	}
	return m
}

// A slow page that only reads arrives after a fast one has changed a value. The change stays.
func Example_reading() {
	sessions := newSessions(cookiesession.Config{})
	slow, done := make(chan bool), make(chan bool)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /cart/{item}", func(w http.ResponseWriter, r *http.Request) {
		sessions.Get(r).Put("cart", r.PathValue("item"))
	})
	mux.HandleFunc("GET /slow", func(w http.ResponseWriter, r *http.Request) {
		before := sessions.Get(r).Get("cart")
		slow <- true
		<-slow // here the fast request runs
		fmt.Fprint(w, before)
	})
	mux.HandleFunc("GET /cart", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, sessions.Get(r).Get("cart"))
	})
	get, stop := browse(sessions.Handler(mux))
	defer stop()

	get("/cart/book")
	go func() {
		fmt.Println("the slow page shows:", get("/slow"))
		done <- true
	}()
	<-slow
	get("/cart/lamp")
	slow <- true
	<-done
	fmt.Println("the cart holds:", get("/cart"))
	// Output:
	// the slow page shows: book
	// the cart holds: lamp
}

// A slow page that changes the session arrives after the logout and brings its cookie back. It's refused.
func Example_logout() {
	sessions := newSessions(cookiesession.Config{})
	slow, done := make(chan bool), make(chan bool)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /login", func(w http.ResponseWriter, r *http.Request) {
		s := sessions.Get(r)
		s.Regenerate()
		s.Put("user", "grace")
	})
	mux.HandleFunc("GET /logout", func(w http.ResponseWriter, r *http.Request) {
		sessions.Get(r).Destroy()
	})
	mux.HandleFunc("GET /slow", func(w http.ResponseWriter, r *http.Request) {
		sessions.Get(r).Put("seen", true)
		slow <- true
		<-slow // here the visitor logs out
	})
	mux.HandleFunc("GET /who", func(w http.ResponseWriter, r *http.Request) {
		s := sessions.Get(r)
		fmt.Fprint(w, s.Get("user"))
		if why := s.Rejected(); why != nil {
			fmt.Fprint(w, ", refused: ", why.Reason)
		}
	})
	get, stop := browse(sessions.Handler(mux))
	defer stop()

	get("/login")
	fmt.Println(get("/who"))
	go func() {
		get("/slow")
		done <- true
	}()
	<-slow
	get("/logout")
	slow <- true
	<-done
	fmt.Println(get("/who"))
	// Output:
	// grace
	// <nil>, refused: ended
}

// The next key is added before it activates. Sessions live on, and are sealed with it when they change.
func Example_rotation() {
	current := cookiesession.GenerateKey("2026-08")
	keys, err := cookiesession.NewKeyring(current)
	if err != nil {
		log.Fatal(err)
	}
	sessions := newSessions(cookiesession.Config{Keys: keys})
	get, stop := browse(sessions.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, sessions.Get(r).Increment("n", 1))
	})))
	defer stop()
	fmt.Println("n =", get("/"))

	next := cookiesession.GenerateKey("2026-11")
	next.ActivateAt = time.Now() // in operation: some minutes ahead, when every server has it
	current.RetireAt = next.ActivateAt.Add(24 * time.Hour)
	if err := keys.Replace(next, current); err != nil {
		log.Fatal(err)
	}
	for _, key := range keys.Keys() {
		fmt.Println(key.Label, key.State)
	}
	fmt.Println("n =", get("/"))
	fmt.Println("n =", get("/"))
	stats := sessions.Stats()
	fmt.Println("2026-08 sealed", stats.Keys["2026-08"].Sealed, "opened", stats.Keys["2026-08"].Opened)
	fmt.Println("2026-11 sealed", stats.Keys["2026-11"].Sealed, "opened", stats.Keys["2026-11"].Opened)
	// Output:
	// n = 1
	// 2026-11 sealing
	// 2026-08 opening
	// n = 2
	// n = 3
	// 2026-08 sealed 1 opened 1
	// 2026-11 sealed 2 opened 1
}

// A change back to what was there is no change, so no cookie is written.
func Example_values() {
	sessions := newSessions(cookiesession.Config{})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /set", func(w http.ResponseWriter, r *http.Request) {
		sessions.Get(r).Put("prices", map[string]int{"tea": 3, "cake": 5})
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		s := sessions.Get(r)
		prices := s.Get("prices")
		s.Delete("prices")
		deleted := s.Changed()
		s.Put("prices", prices)
		fmt.Fprint(w, deleted, " ", s.Changed()) // the first byte of the body commits the session
	})
	get, stop := browse(sessions.Handler(mux))
	defer stop()
	get("/set")
	fmt.Println(get("/"))
	// Output:
	// true false
}

// Another site posts to a page that puts a value into the session. The browser withholds the session's cookies from
// that request, so the visitor looks new. Nothing is saved: it would replace the login that the browser has.
func Example_anotherSite() {
	sessions := newSessions(cookiesession.Config{})
	h := sessions.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sessions.Get(r).Increment("visits", 1)
	}))
	for _, site := range []string{"none", "cross-site"} {
		r := httptest.NewRequest("POST", "https://shop.example/", nil)
		r.Header.Set("Sec-Fetch-Site", site)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		fmt.Println(site, "cookies:", len(w.Header()["Set-Cookie"]))
	}
	// Output:
	// none cookies: 1
	// cross-site cookies: 0
}

// Without any middleware: Load and Save.
func ExampleManager_Load() {
	sessions := newSessions(cookiesession.Config{})
	get, stop := browse(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s, err := sessions.Load(r)
		if err != nil {
			log.Print(err) // the visitor has a new session; err says why
		}
		n := s.Increment("n", 1)
		if err := sessions.Save(w.Header(), s); err != nil {
			http.Error(w, "could not save", http.StatusInternalServerError)
			return
		}
		fmt.Fprint(w, n)
	}))
	defer stop()
	fmt.Println(get("/"), get("/"))
	// Output:
	// 1 2
}

// A message survives the redirect, is shown once, and doesn't rewrite the session.
func ExampleSession_Flash() {
	sessions := newSessions(cookiesession.Config{})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /save", func(w http.ResponseWriter, r *http.Request) {
		sessions.Get(r).Flash("notice", "Saved.")
		http.Redirect(w, r, "/", http.StatusSeeOther)
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%q", cookiesession.Field[string]("notice").Flashed(sessions.Get(r)))
	})
	get, stop := browse(sessions.Handler(mux))
	defer stop()
	fmt.Println(get("/save"))
	fmt.Println(get("/"))
	// Output:
	// "Saved."
	// ""
}

// A form carries the session's token in a hidden field; ProtectCSRF asks for it.
func ExampleManager_ProtectCSRF() {
	sessions := newSessions(cookiesession.Config{})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /form", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `<input type="hidden" name="%s" value="%s">`, cookiesession.CSRFField, sessions.Get(r).CSRFToken())
	})
	mux.HandleFunc("POST /form", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "done")
	})
	h := sessions.Handler(sessions.ProtectCSRF(mux))

	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("POST", "https://example.com/form", nil))
	fmt.Println(w.Code)
	// Output:
	// 403
}

// Log out everywhere: every account has a number, a session keeps it from login on, and whoever adds one to it ends all
// sessions that have the old one. The account is read before its password is checked, so that a login under way doesn't
// get the new number. Comparing CreatedAt with the time of the event has holes: Regenerate makes a session young, and
// so does a login that was under way.
func ExampleConfig_revoked() {
	const user, version = cookiesession.Field[string]("user"), cookiesession.Field[int]("version")
	versions := map[string]int{"grace": 1} // a column of the accounts' table
	sessions := newSessions(cookiesession.Config{
		Revoked: func(_ context.Context, s *cookiesession.Session) (bool, error) {
			if !user.Has(s) {
				return false, nil // nobody is logged in
			}
			return version.Get(s) != versions[user.Get(s)], nil // an error of the database goes here
		},
	})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /login", func(w http.ResponseWriter, r *http.Request) {
		account := versions["grace"] // then check the password
		s := sessions.Get(r)
		s.Regenerate()
		user.Put(s, "grace")
		version.Put(s, account)
	})
	mux.HandleFunc("GET /log-out-everywhere-else", func(w http.ResponseWriter, r *http.Request) {
		s := sessions.Get(r)
		versions[user.Get(s)]++
		s.Regenerate()
		version.Put(s, versions[user.Get(s)])
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, user.Or(sessions.Get(r), "nobody"))
	})
	handler := sessions.Handler(mux)
	phone, stop := browse(handler)
	defer stop()
	laptop, stop := browse(handler)
	defer stop()
	phone("/login")
	laptop("/login")
	fmt.Println("phone:", phone("/"), "laptop:", laptop("/"))
	laptop("/log-out-everywhere-else")
	fmt.Println("phone:", phone("/"), "laptop:", laptop("/"))
	// Output:
	// phone: grace laptop: grace
	// phone: nobody laptop: grace
}

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
	metric("cookiesession_late_changes_total", "counter", "Changes after the response header was sent, which are lost.")
	fmt.Fprintf(w, "cookiesession_late_changes_total %d\n", stats.Late)
	metric("cookiesession_withheld_total", "counter", "Responses that started no session for another site's request.")
	fmt.Fprintf(w, "cookiesession_withheld_total %d\n", stats.Withheld)
	metric("cookiesession_csrf_refused_total", "counter", "Requests that ProtectCSRF refused, by reason.")
	for reason, n := range stats.CSRFRefused {
		fmt.Fprintf(w, "cookiesession_csrf_refused_total{reason=%q} %d\n", reason, n)
	}
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
	// cookiesession_late_changes_total 0
	// cookiesession_withheld_total 0
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

// A tab is a page in a browser that has one visitor's cookies.
type tab struct {
	client *http.Client
	url    string
	stop   func()
	token  string // the CSRF token of the last page with a form
}

// newTab starts a server for a visitor.
func newTab(h http.Handler) *tab {
	server := httptest.NewTLSServer(h)
	client := server.Client()
	client.Jar = cookiesessiontest.NewJar()
	return &tab{client: client, url: server.URL, stop: server.Close}
}

var tokenField = regexp.MustCompile(`name="csrf_token" value="([^"]*)"`)

// page reads what the server answered.
func (b *tab) page(resp *http.Response, err error) string {
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		log.Fatal(err)
	}
	if found := tokenField.FindSubmatch(body); found != nil {
		b.token = string(found[1])
	}
	return string(body)
}

func (b *tab) get(path string) string { return b.page(b.client.Get(b.url + path)) }

// post sends the form of the last page.
func (b *tab) post(path string, form url.Values) string {
	form.Set(cookiesession.CSRFField, b.token)
	return b.page(b.client.PostForm(b.url+path, form))
}

// A login page: a form with its CSRF token, a message that is shown once, a new session ID at login, and a logout. What
// changes the session comes before the template's first byte. Flashed counts as a change, since it consumes messages;
// so does the first CSRFToken.
func Example_login() {
	sessions := newSessions(cookiesession.Config{})
	const user = cookiesession.Field[string]("user")
	page := template.Must(template.New("page").Parse(
		`{{with .Notice}}{{.}} {{end}}{{with .User}}Hello, {{.}}.{{else}}Log in:{{end}}<form method="post">` +
			`<input type="hidden" name="csrf_token" value="{{.Token}}">…</form>`))

	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		s := sessions.Get(r)
		data := map[string]any{"Notice": s.Flashed("notice"), "User": user.Get(s), "Token": s.CSRFToken()}
		if err := page.Execute(w, data); err != nil { // from here on the session can't change
			log.Print(err)
		}
	})
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		s := sessions.Get(r)
		if r.PostFormValue("password") != "secret" {
			s.Flash("notice", "That is not the password.")
		} else {
			s.Regenerate() // always at login
			user.Put(s, r.PostFormValue("name"))
			s.Flash("notice", "You are logged in.")
		}
		http.Redirect(w, r, "/", http.StatusSeeOther)
	})
	mux.HandleFunc("POST /logout", func(w http.ResponseWriter, r *http.Request) {
		s := sessions.Get(r)
		s.Destroy()
		s.Flash("notice", "You are logged out.")
		http.Redirect(w, r, "/", http.StatusSeeOther)
	})

	b := newTab(sessions.Handler(sessions.ProtectCSRF(mux)))
	defer b.stop()
	show := func(page string) { fmt.Println(page[:strings.Index(page, "<form")]) }
	show(b.get("/"))
	show(b.post("/login", url.Values{"name": {"grace"}, "password": {"guess"}}))
	show(b.post("/login", url.Values{"name": {"grace"}, "password": {"secret"}}))
	show(b.get("/"))
	show(b.post("/logout", url.Values{}))
	// Output:
	// Log in:
	// That is not the password. Log in:
	// You are logged in. Hello, grace.
	// Hello, grace.
	// You are logged out. Log in:
}

// What ProtectCSRF refuses, in words that help: a form that has grown old is another thing than one that another site
// has sent.
func ExampleCSRFError() {
	sessions := newSessions(cookiesession.Config{
		CSRFFailure: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			err := cookiesession.CSRFError(r)
			var tooLarge *http.MaxBytesError
			switch {
			case errors.As(err, &tooLarge):
				http.Error(w, "This is too large.", http.StatusRequestEntityTooLarge)
			case errors.Is(err, cookiesession.ErrCSRFOrigin):
				http.Error(w, "Another site sent this.", http.StatusForbidden)
			default: // ErrCSRFNoSession, ErrCSRFNoToken, ErrCSRFToken
				http.Error(w, "This form is no longer valid. Please load it again.", http.StatusForbidden)
			}
		}),
	})
	h := sessions.Handler(sessions.ProtectCSRF(http.NotFoundHandler()))

	for _, site := range []string{"same-origin", "cross-site"} {
		r := httptest.NewRequest("POST", "https://shop.example/order", nil)
		r.Header.Set("Sec-Fetch-Site", site)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		fmt.Print(w.Code, " ", w.Body)
	}
	// Output:
	// 403 This form is no longer valid. Please load it again.
	// 403 Another site sent this.
}

// A session that can't be saved: most often it has become too large.
func ExampleConfig_errorHandler() {
	sessions := newSessions(cookiesession.Config{
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			var tooLarge *cookiesession.SizeError
			if errors.As(err, &tooLarge) {
				fmt.Println("largest:", tooLarge.Keys[0].Key) // for the log
				http.Error(w, "Your cart is full.", http.StatusRequestEntityTooLarge)
				return
			}
			http.Error(w, "Please try again.", http.StatusServiceUnavailable) // also what Revoked failed with
		},
	})
	get, stop := browse(sessions.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sessions.Get(r).Put("cart", strings.Repeat("x", 7000))
		fmt.Fprint(w, "added") // is discarded
	})))
	defer stop()
	fmt.Print(get("/"))
	// Output:
	// largest: cart
	// Your cart is full.
}

// Login at an OpenID provider that answers with response_mode=form_post: the provider's site posts to the application,
// and the browser withholds the session's Lax cookies from that. The POST is answered by 303 to a GET, which brings
// them. (Under SameSite=Strict that wouldn't bring them either.) The code in the URL is of no use without the PKCE
// verifier in the session, and once only.
func Example_formPost() {
	sessions := newSessions(cookiesession.Config{MaxSize: 8000}) // room for the provider's tokens
	const user, state = cookiesession.Field[string]("user"), cookiesession.Field[string]("state")

	mux := http.NewServeMux()
	mux.HandleFunc("GET /login", func(w http.ResponseWriter, r *http.Request) {
		state.Put(sessions.Get(r), "random") // with nonce and verifier; then to the provider
	})
	mux.HandleFunc("POST /callback", func(w http.ResponseWriter, r *http.Request) {
		query := url.Values{"state": {r.PostFormValue("state")}, "code": {r.PostFormValue("code")}}
		http.Redirect(w, r, "/callback?"+query.Encode(), http.StatusSeeOther) // it has used no session
	})
	mux.HandleFunc("GET /callback", func(w http.ResponseWriter, r *http.Request) {
		s := sessions.Get(r)
		if want := state.Pull(s); want == "" || r.FormValue("state") != want {
			http.Error(w, "Please log in again.", http.StatusBadRequest)
			return
		}
		s.Regenerate()
		user.Put(s, "grace") // what the provider says in exchange for the code
		fmt.Fprint(w, "Hello, grace.")
	})
	h := sessions.Handler(mux)

	login := httptest.NewRecorder()
	h.ServeHTTP(login, httptest.NewRequest("GET", "https://shop.example/login", nil))
	cookie, _, _ := strings.Cut(login.Header().Get("Set-Cookie"), ";")

	post := httptest.NewRequest("POST", "https://shop.example/callback", strings.NewReader("state=random&code=1234"))
	post.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	post.Header.Set("Sec-Fetch-Site", "cross-site") // and no cookie
	posted := httptest.NewRecorder()
	h.ServeHTTP(posted, post)
	fmt.Println(posted.Code, posted.Header().Get("Location"), "cookies:", len(posted.Header()["Set-Cookie"]))

	get := httptest.NewRequest("GET", "https://shop.example"+posted.Header().Get("Location"), nil)
	get.Header.Set("Sec-Fetch-Site", "cross-site")
	get.Header.Set("Sec-Fetch-Mode", "navigate")
	get.Header.Set("Cookie", cookie)
	got := httptest.NewRecorder()
	h.ServeHTTP(got, get)
	fmt.Println(got.Code, got.Body)
	// Output:
	// 303 /callback?code=1234&state=random cookies: 0
	// 200 Hello, grace.
}

// Of responses that change one session at the same time, the browser keeps the last to arrive, and nothing tells the
// others. What must not get lost belongs into a session of its own (a second Manager with another Name), if each is
// written by one kind of request, or into a database. Logging out ends both.
func Example_parallelWrites() {
	ring, err := cookiesession.NewKeyring(cookiesession.GenerateKey("2026-11"))
	if err != nil {
		log.Fatal(err)
	}
	sessions := newSessions(cookiesession.Config{Keys: ring})
	carts := newSessions(cookiesession.Config{Keys: ring, Name: "cart"})

	var arrived sync.WaitGroup
	mux := http.NewServeMux()
	mux.HandleFunc("GET /parallel/{key}", func(w http.ResponseWriter, r *http.Request) {
		s := sessions.Get(r)
		s.Get("user") // what the browser sent is what this request works with
		arrived.Done()
		arrived.Wait()
		s.Put(r.PathValue("key"), true)
	})
	mux.HandleFunc("GET /cart/{item}", func(w http.ResponseWriter, r *http.Request) {
		carts.Get(r).Push("items", r.PathValue("item"))
	})
	mux.HandleFunc("GET /logout", func(w http.ResponseWriter, r *http.Request) {
		sessions.Get(r).Destroy()
		carts.Get(r).Destroy()
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, len(sessions.Get(r).Keys()), " of session, cart ", carts.Get(r).Get("items"))
	})
	get, stop := browse(sessions.Handler(carts.Handler(mux)))
	defer stop()

	arrived.Add(3)
	var all sync.WaitGroup
	for _, key := range []string{"a", "b", "c"} {
		all.Go(func() { get("/parallel/" + key) })
	}
	all.Wait()
	get("/cart/tea") // whenever it comes, it collides with none of them
	fmt.Println(get("/"))
	get("/logout")
	fmt.Println(get("/"))
	// Output:
	// 1 of session, cart [tea]
	// 0 of session, cart <nil>
}

// Remember keeps a visitor logged in for 30 days, whatever Config says of the other sessions.
func ExampleSession_Remember() {
	sessions := newSessions(cookiesession.Config{Lifetime: 8 * time.Hour, IdleTimeout: time.Hour})
	get, stop := browse(sessions.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := sessions.Get(r)
		s.Regenerate()
		s.Put("user", "grace")
		s.Remember(30 * 24 * time.Hour)
		fmt.Fprint(w, s.ExpiresAt().Sub(s.CreatedAt()))
	})))
	defer stop()
	fmt.Println(get("/"))
	// Output:
	// 720h0m0s
}

// ExpireIn sets a deadline, and IdleTimeout stays in force: here an administrator's session ends after an hour. Persist
// says whether the cookie outlives the browser.
func ExampleSession_ExpireIn() {
	sessions := newSessions(cookiesession.Config{Persistent: true, Lifetime: 8 * time.Hour, IdleTimeout: 20 * time.Minute})
	get, stop := browse(sessions.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := sessions.Get(r)
		s.Regenerate()
		s.Put("admin", "grace")
		s.ExpireIn(time.Hour)
		s.Persist(false)
		fmt.Fprint(w, s.ExpiresAt().Sub(s.CreatedAt()), " ", s.IdleAt().Sub(s.CreatedAt()))
	})))
	defer stop()
	fmt.Println(get("/"))
	// Output:
	// 1h0m0s 20m0s
}

// A page asks every minute how long the visitor is logged in, to warn in time. Asking doesn't count as use.
func ExampleSession_Passive() {
	sessions := newSessions(cookiesession.Config{IdleTimeout: 20 * time.Minute})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /login", func(w http.ResponseWriter, r *http.Request) { sessions.Get(r).Put("user", "grace") })
	mux.HandleFunc("GET /left", func(w http.ResponseWriter, r *http.Request) {
		s := sessions.Get(r)
		s.Passive()
		end := s.ExpiresAt()
		if idle := s.IdleAt(); !idle.IsZero() && idle.Before(end) {
			end = idle
		}
		fmt.Fprint(w, time.Until(end).Round(time.Minute))
	})
	get, stop := browse(sessions.Handler(mux))
	defer stop()
	get("/login")
	fmt.Println(get("/left"))
	// Output:
	// 20m0s
}

// Keys that a secret manager hands out, as the JSON of a key file or as a list: fetched at the start, then every minute.
// When that fails, or brings nothing that can be used, the keys in force stay.
func ExampleKeyring_ReplaceText() {
	secrets := make(chan string, 2) // stands for the secret manager
	secrets <- `{"keys": [{"label": "2026-11", "secret": "` + secretA + `"}]}`
	secrets <- `{"keys": [{"label": "2026-11", "secr` // cut off

	keys, err := cookiesession.ParseKeyring(<-secrets)
	if err != nil {
		log.Fatal(err)
	}
	before := keys.Fingerprint()
	if err := keys.ReplaceText(<-secrets); err != nil { // in a goroutine, for every tick of a time.Ticker
		fmt.Println("the keys in force stay:", keys.Fingerprint() == before)
	}
	// Output:
	// the keys in force stay: true
}

// A health check that tells whether all servers have the same keys.
func ExampleKeyring_Fingerprint() {
	keys, _, remove := keysInNewFile()
	defer remove()
	health := func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok, ring", keys.Fingerprint()) }

	w := httptest.NewRecorder()
	health(w, nil)
	fmt.Print(w.Body)
	// Output:
	// ok, ring a73adc1f0a995134
}
