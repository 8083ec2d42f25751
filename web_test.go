package cookiesession_test

import (
	"compress/gzip"
	"crypto/tls"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/seed-50e21e88/cookiesession"
	"github.com/seed-50e21e88/cookiesession/cookiesessiontest"
)

// Browsers, whose requests go over a connection to a server.

// A web is a Manager, its log, and the servers on which a test tries it.
type web struct {
	*cookiesession.Manager
	t         *testing.T
	ring      *cookiesession.Keyring
	log       logBuffer // the Manager's
	serverLog logBuffer // net/http's, empty after every request: see browser.do
	returned  chan struct{}
}

// newWeb makes a Manager as newManager does.
func newWeb(t *testing.T, change func(*cookiesession.Config)) *web {
	t.Helper()
	w := &web{t: t, ring: newRing(t), returned: make(chan struct{}, 64)}
	w.Manager = newManager(t, func(c *cookiesession.Config) {
		c.Keys, c.Logger = w.ring, w.log.logger()
		if change != nil {
			change(c)
		}
	})
	return w
}

// sealed returns how many tokens have been sealed.
func (w *web) sealed() uint64 { return w.Stats().Keys["test"].Sealed }

// wantStats checks the counters of responses.
func (w *web) wantStats(saved, saveErrors, late uint64) {
	w.t.Helper()
	if s := w.Stats(); s.Saved != saved || s.SaveErrors != saveErrors || s.Late != late {
		w.t.Errorf("got Saved %d, SaveErrors %d, Late %d; want %d, %d, %d", s.Saved, s.SaveErrors, s.Late, saved, saveErrors, late)
	}
}

// serve starts a TLS server for h, which is to contain the middleware, if any.
func (w *web) serve(t *testing.T, proto string, h http.Handler) *browser {
	t.Helper()
	v := &browser{t: t, web: w, jar: cookiesessiontest.NewJar()}
	v.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		defer func() { w.returned <- struct{}{} }()
		h.ServeHTTP(rw, r)
	}))
	v.Config.ErrorLog = log.New(&w.serverLog, "", 0)
	v.EnableHTTP2 = proto == "HTTP/2.0"
	v.StartTLS()
	t.Cleanup(v.Close)
	client := v.Client()
	client.Jar = v.jar
	client.Timeout = 20 * time.Second // so that a lost response fails the test
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	transport := client.Transport.(*http.Transport)
	transport.DisableCompression = true
	if proto == "HTTP/1.1" {
		transport.ForceAttemptHTTP2 = false
		transport.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	}
	return v
}

// sessionIn returns the session that a jar holds for an address.
func (w *web) sessionIn(jar *cookiesessiontest.Jar, address string) *cookiesession.Session {
	w.t.Helper()
	r := httptest.NewRequest(http.MethodGet, address, nil)
	if line := jar.Header(mustURL(w.t, address)); line != "" {
		r.Header.Set("Cookie", line)
	}
	s, err := w.Load(r)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// onEachProtocol runs test over HTTP/1.1 and HTTP/2.
func onEachProtocol(t *testing.T, test func(t *testing.T, proto string)) {
	for _, proto := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(proto, func(t *testing.T) { test(t, proto) })
	}
}

// A browser visits a server and keeps its cookies.
type browser struct {
	*httptest.Server
	t   *testing.T
	web *web
	jar *cookiesessiontest.Jar
}

// get sends a GET as do does.
func (v *browser) get() answer {
	v.t.Helper()
	return v.do(v.request(http.MethodGet, ""))
}

// request returns a request to the server.
func (v *browser) request(method, body string) *http.Request {
	v.t.Helper()
	r, err := http.NewRequest(method, v.URL, strings.NewReader(body))
	if err != nil {
		v.t.Fatal(err)
	}
	return r
}

// do sends r and waits until the handler has returned.
func (v *browser) do(r *http.Request) answer {
	v.t.Helper()
	resp, err := v.Client().Do(r)
	if err != nil {
		v.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	<-v.web.returned
	if want := "HTTP/1.1"; resp.Proto != want && !v.EnableHTTP2 || resp.Proto == want && v.EnableHTTP2 {
		v.t.Fatalf("got a response over %s", resp.Proto)
	}
	if logged := v.web.serverLog.String(); logged != "" {
		v.t.Errorf("net/http logged %q", logged)
	}
	return answer{resp, string(body)}
}

// session returns the session that the browser's next request would bring.
func (v *browser) session() *cookiesession.Session {
	v.t.Helper()
	return v.web.sessionIn(v.jar, v.URL)
}

// wantValues checks what the browser's next request would bring, as "key=value key=value".
func (v *browser) wantValues(want string) {
	v.t.Helper()
	wantValues(v.t, v.session(), want)
}

// An answer is a response with its body.
type answer struct {
	*http.Response
	body string
}

// text returns the body, decompressed if the answer says that it is compressed.
func (a answer) text(t *testing.T) string {
	t.Helper()
	if a.Header.Get("Content-Encoding") != "gzip" {
		return a.body
	}
	gz, err := gzip.NewReader(strings.NewReader(a.body))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(gz)
	if err != nil {
		t.Error(err)
	}
	return string(plain)
}

// mustURL parses an address.
func mustURL(t *testing.T, address string) *url.URL {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// await waits for c, or for the end of the request, whose browser has given up.
func await(r *http.Request, c <-chan struct{}) {
	select {
	case <-c:
	case <-r.Context().Done():
	}
}
