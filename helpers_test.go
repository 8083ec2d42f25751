package cookiesession_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"flag"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-50e21e88/cookiesession"
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
