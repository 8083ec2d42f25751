package cookiesession_test

import (
	"bytes"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-50e21e88/cookiesession"
	"github.com/seed-50e21e88/cookiesession/cookiesessiontest"
)

// A web is a Manager, its log, and the servers on which a test tries it.
type web struct {
	*cookiesession.Manager
	t         *testing.T
	ring      *cookiesession.Keyring
	log       logBuffer // the Manager's
	serverLog logBuffer // net/http's, empty after every request: see browser.do
	returned  chan struct{}
}

const webKey = "web"

// newWeb makes a Manager of the zero Config, as changed by change unless that is nil.
func newWeb(t *testing.T, change func(*cookiesession.Config)) *web {
	t.Helper()
	ring, err := cookiesession.NewKeyring(cookiesession.GenerateKey(webKey))
	if err != nil {
		t.Fatal(err)
	}
	w := &web{t: t, ring: ring, returned: make(chan struct{}, 64)}
	config := cookiesession.Config{Keys: ring, Logger: slog.New(slog.NewTextHandler(&w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	if change != nil {
		change(&config)
	}
	if w.Manager, err = cookiesession.New(config); err != nil {
		t.Fatal(err)
	}
	return w
}

// sealed returns how many tokens have been sealed.
func (w *web) sealed() uint64 { return w.Stats().Keys[webKey].Sealed }

// wantStats checks the counters of responses.
func (w *web) wantStats(saved, saveErrors, late uint64) {
	w.t.Helper()
	if s := w.Stats(); s.Saved != saved || s.SaveErrors != saveErrors || s.Late != late {
		w.t.Errorf("got Saved %d, SaveErrors %d, Late %d; want %d, %d, %d", s.Saved, s.SaveErrors, s.Late, saved, saveErrors, late)
	}
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

// An answer is a response with its body.
type answer struct {
	*http.Response
	body string
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

func (v *browser) get() answer {
	v.t.Helper()
	return v.do(v.request(http.MethodGet, ""))
}

func (v *browser) request(method, body string) *http.Request {
	v.t.Helper()
	r, err := http.NewRequest(method, v.URL, strings.NewReader(body))
	if err != nil {
		v.t.Fatal(err)
	}
	return r
}

// session returns the session that the browser's next request would bring.
func (v *browser) session() *cookiesession.Session {
	v.t.Helper()
	return v.web.sessionIn(v.jar, v.URL)
}

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

// wantValues checks what the browser's next request would bring, as "key=value key=value".
func (v *browser) wantValues(want string) {
	v.t.Helper()
	wantValues(v.t, v.session(), want)
}

func wantValues(t *testing.T, s *cookiesession.Session, want string) {
	t.Helper()
	var got []string
	for _, key := range s.Keys() {
		got = append(got, fmt.Sprintf("%s=%v", key, s.Get(key)))
	}
	if got := strings.Join(got, " "); got != want {
		t.Errorf("got a session with %q, want %q", got, want)
	}
}

// cookieNames returns the names that a header's Set-Cookie lines set, and those that they delete with a minus sign.
func cookieNames(h http.Header) string {
	var names []string
	for _, line := range h["Set-Cookie"] {
		name, rest, _ := strings.Cut(line, "=")
		if strings.Contains(rest, "Max-Age=0") {
			name = "-" + name
		}
		names = append(names, name)
	}
	return strings.Join(names, " ")
}

// A logBuffer collects what is logged.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// take returns what has been logged and forgets it.
func (b *logBuffer) take() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.buf.Reset()
	return b.buf.String()
}

// tooLarge is a value that no session of the default size can hold, and that doesn't occur by chance.
var tooLarge = strings.Repeat("large secret ", 1000)

func mustURL(t *testing.T, address string) *url.URL {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// cookiesFor returns the Cookie header lines, one for each cookie, of a visitor whose session fn has made.
func cookiesFor(m *web, fn func(s *cookiesession.Session)) ([]string, error) {
	s, err := m.Load(httptest.NewRequest(http.MethodGet, "/", nil))
	if err != nil {
		return nil, err
	}
	fn(s)
	h := http.Header{}
	err = m.Save(h, s)
	var cookies []string
	for _, line := range h["Set-Cookie"] {
		cookie, _, _ := strings.Cut(line, ";")
		cookies = append(cookies, cookie)
	}
	return cookies, err
}

// endedMarker returns the name of the marker for the origin, which is the first half of a session's ID.
func endedMarker(t *testing.T, name, origin string) string {
	t.Helper()
	b, err := hex.DecodeString(origin)
	if err != nil || len(b) != 8 {
		t.Fatalf("got origin %q", origin)
	}
	return name + ".ended." + textEncoding.EncodeToString(b)
}

// await waits for c, or for the end of the request, whose browser has given up.
func await(r *http.Request, c <-chan struct{}) {
	select {
	case <-c:
	case <-r.Context().Done():
	}
}

// sortedNames returns what cookieNames has returned in an order of its own.
func sortedNames(cookieNames string) string {
	names := strings.Fields(cookieNames)
	slices.Sort(names)
	return strings.Join(names, " ")
}
