package cookiesession_test

import (
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-50e21e88/cookiesession"
	"github.com/seed-50e21e88/cookiesession/cookiesessiontest"
)

// Keys, managers and what changes their Config.

// newRing returns a Keyring with the given keys. Without any it has one called "test", the same in every process, since
// fuzzing needs that.
func newRing(t testing.TB, keys ...cookiesession.Key) *cookiesession.Keyring {
	t.Helper()
	if len(keys) == 0 {
		keys = []cookiesession.Key{testKey()}
	}
	ring, err := cookiesession.NewKeyring(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// testKey returns the key of newRing.
func testKey() cookiesession.Key {
	secret := make([]byte, 32)
	for i := range secret {
		secret[i] = byte(i)
	}
	return cookiesession.Key{Label: "test", Secret: secret}
}

// newManager returns a Manager with the key "test" and no log, as changed by change unless that is nil.
func newManager(t testing.TB, change func(*cookiesession.Config)) *cookiesession.Manager {
	t.Helper()
	c := cookiesession.Config{Keys: newRing(t), Logger: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&c)
	}
	m, err := cookiesession.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// withKeys is a change for newManager.
func withKeys(ring *cookiesession.Keyring) func(*cookiesession.Config) {
	return func(c *cookiesession.Config) { c.Keys = ring }
}

// withMaxSize is a change for newManager.
func withMaxSize(n int) func(*cookiesession.Config) {
	return func(c *cookiesession.Config) { c.MaxSize = n }
}

// withIdle is a change for newManager.
func withIdle(d time.Duration) func(*cookiesession.Config) {
	return func(c *cookiesession.Config) { c.IdleTimeout = d }
}

var full = flag.Bool("full", false, "try as much as in continuous integration, for most of a minute")

// fullDepth returns whether tests that take long try everything. With -race or -short they don't, whatever -full says.
func fullDepth() bool { return *full && !testing.Short() && !raceDetector }

// raceDetector is whether the tests run under it, which makes them ten times slower.
var raceDetector = func() bool {
	build, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(build.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}()

const day = 24 * time.Hour

// Requests and responses without a visitor.

// load opens the session of a request with the given Cookie header lines.
func load(m *cookiesession.Manager, cookies ...string) *cookiesession.Session {
	s, _ := m.Load(requestWith(cookies...))
	return s
}

// requestWith returns a request with the given Cookie header lines.
func requestWith(cookies ...string) *http.Request {
	r := &http.Request{Method: http.MethodGet, URL: site, Host: site.Host, Header: http.Header{}}
	if strings.Join(cookies, "") != "" {
		r.Header["Cookie"] = cookies
	}
	return r
}

// rejected returns the reason for which a request with these Cookie header lines gets no session, or "".
func rejected(m *cookiesession.Manager, cookies ...string) string {
	if err := load(m, cookies...).Rejected(); err != nil {
		return err.Reason.String()
	}
	return ""
}

// response returns the Set-Cookie lines of a response to a visitor without cookies.
func response(m *cookiesession.Manager, fn func(*cookiesession.Session)) ([]string, error) {
	s := load(m)
	fn(s)
	h := http.Header{}
	err := m.Save(h, s)
	return h["Set-Cookie"], err
}

// inHandler answers r within m's Handler and returns the response's header.
func inHandler(m *cookiesession.Manager, r *http.Request, fn http.HandlerFunc) http.Header {
	rec := httptest.NewRecorder()
	m.Handler(fn).ServeHTTP(rec, r)
	return rec.Result().Header
}

// discard is a response writer that costs nothing.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}

// wantValues checks what a session holds, as "key=value key=value".
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

// Cookie headers and Set-Cookie lines.

// A pair is one cookie of a Cookie header.
type pair struct{ name, value string }

// join returns a Cookie header.
func join(pairs ...pair) string {
	var all []string
	for _, p := range pairs {
		all = append(all, p.name+"="+p.value)
	}
	return strings.Join(all, "; ")
}

// pairsOf returns the pairs of what join made.
func pairsOf(header string) []pair {
	var pairs []pair
	for part := range strings.SplitSeq(header, "; ") {
		name, value, _ := strings.Cut(part, "=")
		pairs = append(pairs, pair{name, value})
	}
	return pairs
}

// with returns pairs with some replaced, by name, or without them where the new value is "-".
func with(pairs []pair, changes ...pair) []pair {
	var changed []pair
	for _, p := range pairs {
		if i := slices.IndexFunc(changes, func(c pair) bool { return c.name == p.name }); i >= 0 {
			p = changes[i]
		}
		if p.value != "-" {
			changed = append(changed, p)
		}
	}
	return changed
}

// cookieHeader returns the Cookie header that Set-Cookie lines lead to, whatever their attributes.
func cookieHeader(lines []string) string {
	var pairs []string
	for _, line := range lines {
		pair, _, _ := strings.Cut(line, ";")
		pairs = append(pairs, pair)
	}
	return strings.Join(pairs, "; ")
}

// checkLines holds Set-Cookie lines against what every browser takes.
func checkLines(t testing.TB, lines []string) {
	t.Helper()
	seen := map[string]bool{}
	for _, line := range lines {
		if len(line) > 3900 {
			t.Errorf("Set-Cookie line of %d bytes, want at most 3900", len(line))
		}
		pair, _, _ := strings.Cut(line, ";")
		name, value, _ := strings.Cut(pair, "=")
		if len(name)+len(value) > 4096 {
			t.Errorf("cookie %s: name and value have %d bytes, want at most 4096", name, len(name)+len(value))
		}
		if seen[name] {
			t.Errorf("cookie %s is set twice in one response", name)
		}
		seen[name] = true
	}
}

// deletion matches a Set-Cookie line that deletes a cookie.
var deletion = regexp.MustCompile(`^[^=;]+=; .*Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0`)

// withoutHint returns lines without the one that SameSite=Strict adds, of NAME.here.
func withoutHint(lines []string) (rest []string) {
	for _, line := range lines {
		if name, _, _ := strings.Cut(line, "="); !strings.HasSuffix(name, ".here") {
			rest = append(rest, line)
		}
	}
	return rest
}

// countLines returns how many Set-Cookie lines set a cookie and how many delete one.
func countLines(lines []string) (set, deleted int) {
	for _, line := range lines {
		if deletion.MatchString(line) {
			deleted++
		} else {
			set++
		}
	}
	return set, deleted
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

// sortedNames returns what cookieNames has returned in an order of its own.
func sortedNames(cookieNames string) string {
	names := strings.Fields(cookieNames)
	slices.Sort(names)
	return strings.Join(names, " ")
}

// endedSuffix returns what follows the session cookie's name in that of the marker for a session.
func endedSuffix(t testing.TB, id string) string {
	t.Helper()
	origin, err := hex.DecodeString(id[:16])
	if err != nil {
		t.Fatal(err)
	}
	return ".ended." + textEncoding.EncodeToString(origin)
}

// capacity is what FORMAT.md says of how many characters of text fit into k cookies of a Manager, worked out anew.
type capacity struct {
	name        string
	head, other int
}

// newCapacity takes the cookie's name and the longest attributes that a line may have.
func newCapacity(name, attributes string) capacity {
	wholeGroups := func(n int) int { return n / 4 * 4 }
	return capacity{
		name:  name,
		head:  wholeGroups(3900 - len(name+"="+"1"+attributes)),
		other: wholeGroups(3900 - len(name+".1="+"tag4"+attributes)),
	}
}

// payload returns the most bytes of payload that fit into k cookies.
func (c capacity) payload(k int) int {
	const overhead = 1 + 16 + 24 + 16 // version, key ID, nonce, authentication
	return (c.head+(k-1)*c.other)/4*3 - overhead
}

// size returns what k full cookies add to the Cookie header.
func (c capacity) size(k int) int {
	n := len(c.name+"=1; ") + c.head
	return n + (k-1)*(len(c.name+".1=tag4; ")+c.other)
}

const defaultAttributes = "; Path=/; Max-Age=34560000; HttpOnly; Secure; SameSite=Lax"

var defaultCapacity = newCapacity(cookieName, defaultAttributes)

// Logs and goroutines.

// A logBuffer collects what is logged.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// logger returns one that writes everything to b.
func (b *logBuffer) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug}))
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

// goroutines returns how many goroutines have all of this in their stacks. To count all that the process has would count
// what comes and goes by itself.
func goroutines(parts ...string) (n int) {
	stacks := make([]byte, 1<<20)
	for stack := range strings.SplitSeq(string(stacks[:runtime.Stack(stacks, true)]), "\n\n") {
		if !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(stack, part) }) {
			n++
		}
	}
	return n
}

// restoreDefaultLogger makes slog's default what it is now when the test ends, and so package log, whose lines
// slog.SetDefault leads to the new default for good.
func restoreDefaultLogger(t *testing.T) {
	before, output, flags := slog.Default(), log.Writer(), log.Flags()
	t.Cleanup(func() {
		slog.SetDefault(before)
		log.SetOutput(output)
		log.SetFlags(flags)
	})
}

// captureLog sends slog.Default to a buffer until t ends. take returns what has been logged, line by line, and forgets
// it.
func captureLog(t *testing.T) (take func() []string) {
	var lines logBuffer
	restoreDefaultLogger(t)
	slog.SetDefault(slog.New(slog.NewTextHandler(&lines, nil)))
	return func() []string { return slices.Collect(strings.Lines(lines.take())) }
}

// Payloads are put together by hand here, so that they can be wrong.

// pack puts parts together: bytes as they are, an int as one byte.
func pack(parts ...any) []byte {
	var b []byte
	for _, part := range parts {
		switch part := part.(type) {
		case int:
			b = append(b, byte(part))
		case string:
			b = append(b, part...)
		case []byte:
			b = append(b, part...)
		default:
			panic(fmt.Sprintf("pack of a %T", part))
		}
	}
	return b
}

func packArray(n int) []byte { return []byte{0x90 | byte(n)} }

// packID returns a session ID of 16 bytes b.
func packID(b byte) []byte {
	data := make([]byte, 16)
	for i := range data {
		data[i] = b
	}
	return packBytes(data)
}

func packBytes(data []byte) []byte { return append([]byte{0xc4, byte(len(data))}, data...) }

func packString(s string) []byte { return append([]byte{0xa0 | byte(len(s))}, s...) }

func packTimes(times ...int64) (b []byte) {
	for _, t := range times {
		b = binary.BigEndian.AppendUint32(append(b, 0xce), uint32(t))
	}
	return b
}

// packMap returns a map of strings, in the order given.
func packMap(pairs ...string) []byte {
	b := []byte{0x80 | byte(len(pairs)/2)}
	for _, s := range pairs {
		b = append(b, packString(s)...)
	}
	return b
}

// packLease returns the payload of a lease.
func packLease(sessionID string, seen int64) []byte {
	data, err := hex.DecodeString(sessionID)
	if err != nil {
		panic(err)
	}
	return pack(packArray(2), packBytes(data), packTimes(seen))
}

// Visitors, whose requests a Manager answers without a server.

// The cookies' names under the zero Config.
const (
	cookieName = "__Host-session"
	flashName  = cookieName + ".flash"
	leaseName  = cookieName + ".lease"
)

// site is what visitors visit.
var site = &url.URL{Scheme: "https", Host: "shop.example", Path: "/"}

// A visitor is a strict browser whose requests m answers.
type visitor struct {
	t   testing.TB
	m   *cookiesession.Manager
	jar *cookiesessiontest.Jar
}

// newVisitor returns one without cookies.
func newVisitor(t testing.TB, m *cookiesession.Manager) *visitor {
	return &visitor{t, m, cookiesessiontest.NewJar()}
}

// visit answers one request: fn changes the session, and the browser gets the response. It returns the Set-Cookie
// lines.
func (v *visitor) visit(fn func(s *cookiesession.Session)) []string {
	v.t.Helper()
	lines, err := v.try(fn)
	if err != nil {
		v.t.Fatalf("Save: %v", err)
	}
	return lines
}

// try is visit for what may fail to be saved.
func (v *visitor) try(fn func(s *cookiesession.Session)) ([]string, error) {
	v.t.Helper()
	s := v.load()
	fn(s)
	return v.answer(s)
}

// load begins a request that answer ends.
func (v *visitor) load() *cookiesession.Session {
	return load(v.m, v.header())
}

// answer sends the response of a request that load began.
func (v *visitor) answer(s *cookiesession.Session) ([]string, error) {
	v.t.Helper()
	h := http.Header{}
	err := v.m.Save(h, s)
	checkLines(v.t, h["Set-Cookie"])
	v.jar.SetHeader(site, h)
	return h["Set-Cookie"], err
}

// visitInto answers a request as visit does, and gives the response to another browser too.
func (v *visitor) visitInto(other *visitor, fn func(s *cookiesession.Session)) {
	v.t.Helper()
	for _, line := range v.visit(fn) {
		other.jar.SetHeader(site, http.Header{"Set-Cookie": {line}})
	}
}

// get returns what a session that only reads holds under key.
func (v *visitor) get(key string) any { return v.load().Get(key) }

// state returns what the next request gets: "valid", "new" or the reason for which it is refused.
func (v *visitor) state() string {
	s := v.load()
	switch {
	case s.Rejected() != nil:
		return s.Rejected().Reason.String()
	case s.IsNew():
		return "new"
	}
	return "valid"
}

// wantState checks what state returns.
func (v *visitor) wantState(want string) {
	v.t.Helper()
	if got := v.state(); got != want {
		v.t.Errorf("the session is %s, want %s", got, want)
	}
}

// clone returns the same browser at another server.
func (v *visitor) clone(m *cookiesession.Manager) *visitor { return &visitor{v.t, m, v.jar.Clone()} }

// header returns the Cookie header that the visitor would send now.
func (v *visitor) header() string { return v.jar.Header(site) }

// names returns the names of the cookies in the jar, sorted, without the Manager's prefix to all of them: "" is cookie
// 0.
func (v *visitor) names() []string {
	var names []string
	for _, c := range v.jar.All() {
		names = append(names, strings.TrimPrefix(c.Name, v.m.CookieName()))
	}
	slices.Sort(names)
	return names
}

// cookie returns the value of a cookie in the jar, by the name that names has.
func (v *visitor) cookie(suffix string) string {
	v.t.Helper()
	for _, c := range v.jar.All() {
		if c.Name == v.m.CookieName()+suffix {
			return c.Value
		}
	}
	v.t.Fatalf("no cookie %s%s among %q", v.m.CookieName(), suffix, v.names())
	return ""
}

// setCookie puts a cookie into the jar, by the name that names has.
func (v *visitor) setCookie(suffix, value string) {
	v.jar.SetCookies(site, []*http.Cookie{{Name: v.m.CookieName() + suffix, Value: value, Path: "/", Secure: true}})
}

// chunks returns how many session cookies are in the jar, in which no number may be left out.
func (v *visitor) chunks() int {
	v.t.Helper()
	n := 0
	for _, name := range v.names() {
		if name == "" || len(name) == 2 && name[0] == '.' {
			want := ""
			if n > 0 {
				want = "." + string(rune('0'+n))
			}
			if name != want {
				v.t.Fatalf("session cookies %q, cookie %d is missing", v.names(), n)
			}
			n++
		}
	}
	return n
}

// markers returns the tags of the markers in the jar.
func (v *visitor) markers() (tags []string) {
	for _, name := range v.names() {
		if tag, ok := strings.CutPrefix(name, ".ended."); ok {
			tags = append(tags, tag)
		}
	}
	return tags
}

// wrote returns the names that Set-Cookie lines set, sorted, without the Manager's prefix to all of them; those that
// are deleted come with a minus sign.
func (v *visitor) wrote(lines []string) string {
	var names []string
	for _, line := range lines {
		name, _, _ := strings.Cut(line, "=")
		name = "[" + strings.TrimPrefix(name, v.m.CookieName()) + "]"
		if deletion.MatchString(line) {
			name = "-" + name
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// What a request does with its session.

// put is a change for visit, as what follows is.
func put(key string, value any) func(*cookiesession.Session) {
	return func(s *cookiesession.Session) { s.Put(key, value) }
}

// destroy logs out.
func destroy(s *cookiesession.Session) { s.Destroy() }

// nothing doesn't use the session.
func nothing(*cookiesession.Session) {}

// touched opens the session, which counts as use, and changes nothing.
func touched(s *cookiesession.Session) { s.IsEmpty() }

// login logs in.
func login(s *cookiesession.Session) {
	s.Put("user", "ada")
	s.Regenerate()
}

// flash leaves a message.
func flash(key string, value any) func(*cookiesession.Session) {
	return func(s *cookiesession.Session) { s.Flash(key, value) }
}

// both stores a value and leaves a message.
func both(value, message any) func(*cookiesession.Session) {
	return func(s *cookiesession.Session) { s.Put("v", value); s.Flash("f", message) }
}

// asked reads all messages.
func asked(s *cookiesession.Session) { s.Flashes() }

// fill makes a session's payload n bytes long, if it holds nothing else.
func fill(t testing.TB, m *cookiesession.Manager, n int) func(*cookiesession.Session) {
	return put("v", filler(t, m, n))
}

// filler returns a string with which a session that holds nothing else has a payload of n bytes.
func filler(t testing.TB, m *cookiesession.Manager, n int) string {
	t.Helper()
	s := load(m)
	s.Put("v", random(1000))
	length := 1000 + n - len(m.PayloadOf(s, s.CreatedAt()))
	s.Put("v", random(length))
	if got := len(m.PayloadOf(s, s.CreatedAt())); got != n {
		t.Fatalf("payload has %d bytes, want %d", got, n)
	}
	return random(length)
}

// tooLarge is a value that no session of the default size can hold, and that doesn't occur by chance.
var tooLarge = strings.Repeat("large secret ", 1000)

// random returns n characters that don't repeat themselves much, the same for every run.
func random(n int) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	b := make([]byte, n)
	x := uint64(n)*0x9e3779b97f4a7c15 + 1
	for i := range b {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b[i] = letters[x>>58]
	}
	return string(b)
}

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
