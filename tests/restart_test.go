package tests

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/seed-50e21e88/cookiesession"
	"github.com/seed-50e21e88/cookiesession/cookiesessiontest"
)

// A fleet is several servers that share nothing but the text of their keys.
type fleet struct {
	t       testing.TB
	keys    string
	servers []*httptest.Server
}

// start starts n servers, each of which makes a Keyring and a Manager of its own.
func (f *fleet) start(n int) {
	for range n {
		ring, err := cookiesession.ParseKeyring(f.keys)
		if err != nil {
			f.t.Fatal(err)
		}
		m := newManager(f.t, func(c *cookiesession.Config) { c.Keys, c.MaxSize = ring, 12000 })
		mux := http.NewServeMux()
		mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
			s := m.Get(r)
			s.Regenerate()
			s.Put("user", r.FormValue("user"))
			s.Flash("notice", "welcome")
			io.WriteString(w, s.CSRFToken())
		})
		mux.HandleFunc("POST /cart", func(w http.ResponseWriter, r *http.Request) {
			s := m.Get(r)
			if !s.VerifyCSRFToken(r.FormValue("csrf_token")) {
				http.Error(w, "refused", http.StatusForbidden)
				return
			}
			s.Push("cart", r.FormValue("item"))
		})
		mux.HandleFunc("POST /logout", func(w http.ResponseWriter, r *http.Request) { m.Get(r).Destroy() })
		mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
			s := m.Get(r)
			cart, _ := s.Get("cart").([]any)
			fmt.Fprintf(w, "%v has %d items, %v, ID %s", s.Get("user"), len(cart), s.Flashed("notice"), s.ID())
		})
		f.servers = append(f.servers, httptest.NewServer(m.Handler(mux)))
	}
}

// stop stops all servers.
func (f *fleet) stop() {
	for _, server := range f.servers {
		server.Close()
	}
	f.servers = nil
}

// request sends one request to server i, from a browser that sees one host only.
func (f *fleet) request(jar *cookiesessiontest.Jar, i int, method, path string, form url.Values) string {
	f.t.Helper()
	r, err := http.NewRequest(method, f.servers[i].URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		f.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Cookie", jar.Header(site))
	response, err := f.servers[i].Client().Do(r)
	if err != nil {
		f.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		f.t.Fatalf("%s %s: %s, %v", method, path, response.Status, err)
	}
	jar.SetHeader(site, response.Header)
	return string(body)
}

// Restart every server and the sessions survive; several servers share them. Nothing but the keys has to be kept.
func TestSessionsSurviveRestarts(t *testing.T) {
	f := &fleet{t: t, keys: "2026=hex:" + fmt.Sprintf("%x", cookiesession.GenerateKey("k").Secret)}
	defer f.stop()
	f.start(3)
	ada, bob := cookiesessiontest.NewJar(), cookiesessiontest.NewJar()
	token := f.request(ada, 0, "POST", "/login", url.Values{"user": {"ada"}})
	f.request(bob, 1, "POST", "/login", url.Values{"user": {"bob"}})
	first := f.request(ada, 2, "GET", "/", nil)
	id := first[len(first)-32:]
	if want := "ada has 0 items, welcome, ID " + id; first != want {
		t.Errorf("another server says %q, want %q", first, want)
	}
	items := 0
	for round := range 3 {
		for i := range f.servers {
			items++
			f.request(ada, i, "POST", "/cart", url.Values{"item": {strings.Repeat("x", 700)}, "csrf_token": {token}})
			want := fmt.Sprintf("ada has %d items, <nil>, ID %s", items, id)
			if got := f.request(ada, (i+1)%len(f.servers), "GET", "/", nil); got != want {
				t.Errorf("round %d: got %q, want %q", round, got, want)
			}
		}
		f.stop()
		f.start(round + 1) // another number of servers, too
	}
	if got := f.request(bob, 0, "GET", "/", nil); !strings.HasPrefix(got, "bob has 0 items, welcome") {
		t.Errorf("bob, who waited, gets %q", got)
	}

	old := ada.Clone()
	f.request(ada, 0, "POST", "/logout", nil)
	f.stop()
	f.start(2)
	if got := f.request(ada, 1, "GET", "/", nil); !strings.HasPrefix(got, "<nil> has 0 items") {
		t.Errorf("after a logout and a restart ada gets %q", got)
	}
	if got := f.request(old, 0, "GET", "/", nil); !strings.HasPrefix(got, fmt.Sprintf("ada has %d items", items)) {
		t.Errorf("ada's other browser gets %q", got)
	}
	f.keys = "other=hex:" + fmt.Sprintf("%x", cookiesession.GenerateKey("k").Secret)
	f.stop()
	f.start(1)
	if got := f.request(bob, 0, "GET", "/", nil); !strings.HasPrefix(got, "<nil> has 0 items, <nil>") {
		t.Errorf("servers with other keys say %q to bob", got)
	}
}
