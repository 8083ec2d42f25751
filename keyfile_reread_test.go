package cookiesession_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

// A token with an unknown key makes the ring read its file, at most once in five seconds.
func TestUnknownKeyReadsTheFileAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		captureLog(t)
		ring, path := ringOfFile(t)
		node := cookiesession.NewTestSealer(ring)
		token := func(label, secret string) []byte {
			return sealedBy(t, newRing(t, parsedKey(t, label, secret)), time.Now(), label)
		}
		b, c := token("b", secretB), token("c", secretC)
		opens := func(token []byte) bool {
			_, _, refused := node.Open(time.Now(), token)
			if refused != nil && refused.Reason != cookiesession.ReasonUnknownKey {
				t.Fatal(refused)
			}
			return refused == nil
		}

		writeKeys(t, path, "a="+secretA+",b="+secretB)
		if !opens(token("a", secretA)) || labels(ring) != "a" {
			t.Error("the file was read for a known key")
		}
		if !opens(b) {
			t.Error("the file wasn't read for an unknown key")
		}
		writeKeys(t, path, "a="+secretA+",b="+secretB+",c="+secretC)
		time.Sleep(5*time.Second - time.Nanosecond)
		if opens(c) {
			t.Error("the file was read twice in five seconds")
		}
		time.Sleep(time.Nanosecond)
		if !opens(c) {
			t.Error("the file wasn't read after five seconds")
		}

		// Opening, Reload and Watch don't count, and a key that has retired is as good as unknown.
		time.Sleep(5 * time.Second)
		writeKeys(t, path, `{"keys": [{"label": "a", "secret": "`+secretA+`"}, {"label": "c", "secret": "`+secretC+`", "retire_at": "1999-01-01T00:00:00Z"}]}`)
		if err := ring.Reload(); err != nil {
			t.Fatal(err)
		}
		writeKeys(t, path, "a="+secretA+",c="+secretC)
		if !opens(c) {
			t.Error("the file wasn't read for a retired key")
		}

		// A broken file shows in the refusal, also between two readings.
		writeKeys(t, path, "b="+zeroSecret)
		time.Sleep(5 * time.Second)
		for range 2 {
			_, _, refused := node.Open(time.Now(), b)
			want := "cookiesession: cookie  refused: unknown-key: cookiesession: key file " + path + ": key 1: key b: secret has only 1 distinct bytes, so it is not random"
			if refused == nil || refused.Error() != want {
				t.Errorf("got  %v\nwant %s", refused, want)
			}
		}
	})
}

// A shareFile is a key file on a network share that can hang.
type shareFile struct {
	mu    sync.Mutex
	text  string
	hangs chan struct{} // nil: it doesn't
	reads int
}

func (f *shareFile) read(string) ([]byte, error) {
	f.mu.Lock()
	f.reads++
	hangs := f.hangs
	f.mu.Unlock()
	if hangs != nil {
		<-hangs
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return []byte(f.text), nil
}

// hang makes reads from now on hang until the returned function is called, or the test ends.
func (f *shareFile) hang(t *testing.T) (release func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	hangs := make(chan struct{})
	f.hangs = hangs
	release = sync.OnceFunc(func() {
		f.mu.Lock()
		f.hangs = nil
		f.mu.Unlock()
		close(hangs)
	})
	t.Cleanup(release)
	return release
}

// write puts text into the file.
func (f *shareFile) write(text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.text = text
}

// count returns how many reads have begun.
func (f *shareFile) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.reads
}

// onShare returns a ring of the one key a, its file, and a function that opens a token of key b for a request, and
// returns how long that took and whether it opened.
func onShare(t *testing.T) (ring *cookiesession.Keyring, f *shareFile, request func(context.Context) (time.Duration, bool)) {
	t.Helper()
	f = &shareFile{text: "a=" + secretA}
	ring, err := cookiesession.OpenTestKeyFile(f.read)
	if err != nil {
		t.Fatal(err)
	}
	token := sealedBy(t, newRing(t, parsedKey(t, "b", secretB)), time.Now(), "payload")
	node := cookiesession.NewTestSealer(ring)
	return ring, f, func(ctx context.Context) (time.Duration, bool) {
		begin := time.Now()
		_, _, refused := node.OpenFor(ctx, time.Now(), token)
		if refused != nil && refused.Reason != cookiesession.ReasonUnknownKey {
			t.Errorf("got %v, want unknown-key", refused)
		}
		return time.Since(begin), refused == nil
	}
}

// Another server has the new key file already: what it seals opens here at the first request, for whatever purpose.
func TestUnknownKeyOfEveryPurpose(t *testing.T) {
	for purpose, change := range map[string]func(s *cookiesession.Session){
		"session": func(*cookiesession.Session) {},
		"bound":   func(s *cookiesession.Session) { s.Regenerate() },
		"flash":   func(s *cookiesession.Session) { s.Destroy(); s.Flash("n", 1) },
	} {
		synctest.Test(t, func(t *testing.T) {
			captureLog(t)
			server := func(ring *cookiesession.Keyring) *cookiesession.Manager {
				return newManager(t, func(c *cookiesession.Config) { c.Keys, c.DeviceProof = ring, 10*time.Minute })
			}
			ring, path := ringOfFile(t)
			here := server(ring)
			v := newVisitor(t, server(parsedRing(t, "b="+secretB+",a="+secretA)))
			v.visit(func(s *cookiesession.Session) { s.Put("n", 1); change(s) })
			writeKeys(t, path, "a="+secretA+",b="+secretB)
			s := load(here, v.header())
			got := s.Get("n")
			if purpose == "flash" {
				got = s.Flashed("n")
			}
			if got != int64(1) {
				t.Errorf("%s: got %v, and %v", purpose, got, s.Rejected())
			}
		})
	}
}

// While the file hangs, whoever has it read, a request with an unknown key goes on after a second at most, and those
// that come when the read has taken a second don't wait.
func TestHangingKeyFileDelaysNoRequestForLong(t *testing.T) {
	for _, test := range []struct {
		name  string
		begin func(t *testing.T, ring *cookiesession.Keyring)
		reads int // that begin while the file hangs
	}{
		{"nobody else reads", func(*testing.T, *cookiesession.Keyring) {}, 1},
		{"Watch hangs", func(t *testing.T, ring *cookiesession.Keyring) { go ring.Watch(t.Context(), time.Second, nil) }, 1},
		{"Reload hangs", func(t *testing.T, ring *cookiesession.Keyring) { go ring.Reload() }, 1},
		{"several of each hang", func(t *testing.T, ring *cookiesession.Keyring) {
			for range 3 {
				go ring.Watch(t.Context(), time.Second, nil)
				go ring.Reload()
			}
		}, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			logged := captureLog(t)
			synctest.Test(t, func(t *testing.T) {
				ring, f, request := onShare(t)
				release := f.hang(t)
				test.begin(t, ring)
				synctest.Wait()
				before := f.count()
				var early sync.WaitGroup
				for i := range 20 { // within the first second
					early.Go(func() {
						after := time.Duration(i) * 50 * time.Millisecond
						time.Sleep(after)
						if took, opened := request(t.Context()); opened || took != time.Second-after {
							t.Errorf("after %v: took %v, opened %v; want %v, refused", after, took, opened, time.Second-after)
						}
					})
				}
				early.Wait()
				running := goroutines("cookiesession.(*")
				for range 1000 {
					time.Sleep(7 * time.Second)
					if took, opened := request(t.Context()); opened || took != 0 {
						t.Fatalf("later: took %v, opened %v; want refused at once", took, opened)
					}
				}
				if got := goroutines("cookiesession.(*"); got > running {
					t.Errorf("requests left goroutines: %d before, %d after", running, got)
				}
				if got := f.count() - before; got > test.reads {
					t.Errorf("%d reads began while the file hung, want one at a time", got)
				}
				if got := logged(); len(got) != 1 || !strings.Contains(got[0], "level=WARN") || !strings.Contains(got[0], "still being read") {
					t.Errorf("got %q, want one warning of the read that hangs", got)
				}
				if labels(ring) != "a" {
					t.Errorf("in force while the file hangs: %s, want a", labels(ring))
				}
				const want = "cookiesession: key file test: reading it takes over 1s"
				if err := ring.RereadForUnknownKey(t.Context()); err == nil || err.Error() != want {
					t.Errorf("got %v, want %s", err, want)
				}

				f.write("a=" + secretA + ",b=" + secretB)
				release()
				synctest.Wait()
				if _, opened := request(t.Context()); !opened {
					t.Error("the file doesn't hang any more and isn't read")
				}
			})
		})
	}
}

// A request waits for a second in all: also where another read that may keep requests waiting for longer, since it is
// for others, follows the one that was under way.
func TestRequestWaitsASecondInAll(t *testing.T) {
	captureLog(t)
	synctest.Test(t, func(t *testing.T) {
		var reads atomic.Int32
		over := make(chan struct{})
		ring, err := cookiesession.OpenTestKeyFile(func(string) ([]byte, error) {
			switch reads.Add(1) {
			case 1:
			case 2:
				time.Sleep(600 * time.Millisecond)
			default:
				<-over
			}
			return []byte("a=" + secretA), nil
		})
		if err != nil {
			t.Fatal(err)
		}
		go ring.Reload()
		synctest.Wait()
		begin := time.Now()
		var all sync.WaitGroup
		request := func() {
			if err := ring.RereadForUnknownKey(t.Context()); err == nil {
				t.Error("got no error while the file hangs")
			}
		}
		all.Go(func() {
			request()
			if took := time.Since(begin); took != time.Second {
				t.Errorf("the first request took %v, want a second", took)
			}
		})
		time.Sleep(500 * time.Millisecond)
		for range 50 { // of which one begins the read that hangs
			all.Go(request)
		}
		all.Wait()
		close(over)
		synctest.Wait()
	})
}

// A read that ends just within a second serves the request that waits for it.
func TestSlowKeyFileServesWhoWaits(t *testing.T) {
	for _, test := range []struct {
		takes  time.Duration
		opened bool
	}{{0, true}, {time.Second - 1, true}, {time.Second + 1, false}} { // at a second sharp either may come first
		synctest.Test(t, func(t *testing.T) {
			captureLog(t)
			_, f, request := onShare(t)
			release := f.hang(t)
			f.write("b=" + secretB)
			go func() {
				time.Sleep(test.takes)
				release()
			}()
			took, opened := request(t.Context())
			if opened != test.opened || took != min(test.takes, time.Second) {
				t.Errorf("a read of %v: took %v, opened %v; want opened %v", test.takes, took, opened, test.opened)
			}
			time.Sleep(time.Second)
			if _, opened := request(t.Context()); !opened {
				t.Error("a request that waited no longer kept the file from coming into force")
			}
		})
	}
}

// A read that Watch began may have seen the old file, so a request that finds it under way has another follow, and
// waits for a second in all.
func TestUnknownKeyWhileWatchReads(t *testing.T) {
	for _, test := range []struct {
		first, second time.Duration // what the reads take
		opened        bool
	}{{600 * time.Millisecond, 300 * time.Millisecond, true}, {600 * time.Millisecond, 500 * time.Millisecond, false}} {
		synctest.Test(t, func(t *testing.T) {
			captureLog(t)
			var begun atomic.Int32
			takes := []time.Duration{0, test.first, test.second}
			ring, err := cookiesession.OpenTestKeyFile(func(string) ([]byte, error) {
				n := begun.Add(1) - 1
				time.Sleep(takes[n])
				return []byte([]string{"a=" + secretA, "a=" + secretA, "b=" + secretB}[n]), nil
			})
			if err != nil {
				t.Fatal(err)
			}
			go ring.Watch(t.Context(), time.Hour, nil)
			synctest.Wait()
			begin := time.Now()
			err = ring.RereadForUnknownKey(t.Context())
			if took, want := time.Since(begin), min(test.first+test.second, time.Second); took != want || (err == nil) != test.opened || begun.Load() != 3 {
				t.Errorf("took %v with %d reads, %v; want %v and three", took, begun.Load(), err, want)
			}
			if (labels(ring) == "b") != test.opened {
				t.Errorf("in force: %s", labels(ring))
			}
			time.Sleep(time.Second)
		})
	}
}

// Reload puts the file into force as it is when Reload is called: a read that had begun before isn't enough.
func TestReloadWhileTheFileIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		captureLog(t)
		var begun atomic.Int32
		ring, err := cookiesession.OpenTestKeyFile(func(string) ([]byte, error) {
			n := begun.Add(1) - 1
			if n == 1 {
				time.Sleep(time.Minute)
			}
			return []byte([]string{"a=" + secretA, "a=" + secretA, "b=" + secretB}[n]), nil
		})
		if err != nil {
			t.Fatal(err)
		}
		go ring.Watch(t.Context(), time.Hour, nil)
		synctest.Wait()
		if err := ring.Reload(); err != nil || labels(ring) != "b" {
			t.Errorf("in force: %s, %v; want b", labels(ring), err)
		}
	})
}

// Within five seconds of the last read for an unknown key, nobody waits for a read of Watch's that hangs.
func TestUnknownKeyThatIsNotDueDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		captureLog(t)
		ring, f, request := onShare(t)
		request(t.Context())
		f.hang(t)
		go ring.Watch(t.Context(), time.Minute, nil)
		synctest.Wait()
		if took, opened := request(t.Context()); opened || took != 0 {
			t.Errorf("took %v, opened %v; want refused at once", took, opened)
		}
	})
}

// A request that has ended waits for nothing.
func TestHangingKeyFileAndEndedRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, f, request := onShare(t)
		f.hang(t)
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		for _, want := range []time.Duration{300 * time.Millisecond, 0} {
			if took, opened := request(ctx); opened || took != want {
				t.Errorf("took %v, opened %v; want %v, refused", took, opened, want)
			}
		}
	})
}

// Session, flash messages and lease, all under an unknown key, keep one request waiting for a second in all. A broken
// file is logged once for all requests.
func TestRequestsUnderAnUnknownKey(t *testing.T) {
	logged := captureLog(t)
	synctest.Test(t, func(t *testing.T) {
		ring, f, _ := onShare(t)
		var log logBuffer
		managerOf := func(ring *cookiesession.Keyring) *cookiesession.Manager {
			return newManager(t, func(c *cookiesession.Config) {
				c.Keys, c.IdleTimeout, c.Logger = ring, time.Hour, log.logger()
			})
		}
		v := newVisitor(t, managerOf(newRing(t, parsedKey(t, "b", secretB))))
		v.visit(both(1, "message"))
		time.Sleep(2 * time.Minute)
		v.visit(touched)
		if got := len(v.names()); got != 3 {
			t.Fatalf("got %d cookies, want session, flash and lease", got)
		}
		m := managerOf(ring)
		request := func(ctx context.Context, want time.Duration) {
			t.Helper()
			begin := time.Now()
			s, err := m.Load(requestWith(v.header()).WithContext(ctx))
			s.Flashes()
			var refused *cookiesession.RejectError
			if took := time.Since(begin); took != want || !errors.As(err, &refused) || refused.Reason != cookiesession.ReasonUnknownKey || refused.Err == nil {
				t.Errorf("took %v, %v; want %v, and unknown-key with what is wrong with the file", took, err, want)
			}
		}

		f.write("b=" + zeroSecret)
		for range 20 {
			request(t.Context(), 0)
		}
		synctest.Wait()
		lines := strings.Split(log.String(), "\n")
		if got := len(slices.DeleteFunc(append(lines, logged()...), func(line string) bool { return !strings.Contains(line, "level=WARN") })); got != 1 {
			t.Errorf("%d warnings, want one: %q", got, lines)
		}

		time.Sleep(5 * time.Second)
		release := f.hang(t)
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		request(ctx, 300*time.Millisecond)
		request(t.Context(), 700*time.Millisecond) // of the second that the read may take
		request(t.Context(), 0)
		release()
		synctest.Wait()
		time.Sleep(5 * time.Second)
		f.hang(t)
		request(t.Context(), time.Second)
	})
}

// Watch returns when its context ends, also while the file hangs.
func TestWatchEndsWhileTheFileHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		captureLog(t)
		ring, f, _ := onShare(t)
		release := f.hang(t)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			ring.Watch(ctx, time.Second, func(err error) { t.Errorf("reported %v", err) })
			close(ended)
		}()
		time.Sleep(time.Minute)
		cancel()
		<-ended
		release()
	})
}

// A broken file and visitors with unknown keys: the log has a line for each time the file is read, however many come.
func TestBrokenKeyFileIsLoggedOnceARead(t *testing.T) {
	logged := captureLog(t)
	synctest.Test(t, func(t *testing.T) {
		_, f, request := onShare(t)
		f.write("b=" + zeroSecret)
		for range 12 {
			for range 20 {
				if _, opened := request(t.Context()); opened {
					t.Fatal("a broken file opened a token")
				}
			}
			time.Sleep(time.Second)
		}
		lines := logged() // of the reads after 0, 5 and 10 seconds
		if len(lines) != 3 {
			t.Errorf("got %d lines, want 3: %q", len(lines), lines)
		}
		for _, line := range lines {
			if !strings.Contains(line, "level=WARN") || !strings.Contains(line, "distinct bytes") || strings.Contains(line, zeroSecret) {
				t.Errorf("got %s, want a warning that says what is wrong", line)
			}
		}
	})
}

// A logger, and what Watch reports to, may use the ring and sessions, and take their time.
func TestNoLoggerUnderTheKeyFilesLock(t *testing.T) {
	restoreDefaultLogger(t)
	synctest.Test(t, func(t *testing.T) {
		ring, f, request := onShare(t)
		use := func() {
			for _, err := range []error{ring.Reload(), ring.Replace(parsedKey(t, "a", secretA)), ring.Reload()} {
				if err != nil && !strings.Contains(err.Error(), "distinct bytes") {
					t.Error(err)
				}
			}
			request(t.Context())
			ring.Fingerprint()
		}
		var lines, reports atomic.Int32
		slog.SetDefault(slog.New(loggerFunc(func() {
			lines.Add(1)
			use()
			time.Sleep(time.Hour)
		})))
		ctx, cancel := context.WithCancel(t.Context())
		go ring.Watch(ctx, time.Minute, func(error) {
			reports.Add(1)
			use()
		})
		synctest.Wait()
		for i, text := range []string{"b=" + zeroSecret, "c=" + secretC} {
			want := int32(i + 1)
			f.write(text)
			if took, opened := request(t.Context()); opened || took != 0 {
				t.Errorf("took %v, opened %v; want refused, without waiting for the logger", took, opened)
			}
			time.Sleep(3 * time.Hour)
			if lines.Load() < want || reports.Load() != want { // an unknown key in what Watch reports to may make a line more
				t.Errorf("logged %d and reported %d, want %d", lines.Load(), reports.Load(), want)
			}
		}
		cancel()
	})
}

// A loggerFunc is called for each line.
type loggerFunc func()

func (f loggerFunc) Enabled(context.Context, slog.Level) bool  { return true }
func (f loggerFunc) Handle(context.Context, slog.Record) error { f(); return nil }
func (f loggerFunc) WithAttrs([]slog.Attr) slog.Handler        { return f }
func (f loggerFunc) WithGroup(string) slog.Handler             { return f }

// Many requests with an unknown key at once: all wait for the one that reads, and all open.
func TestUnknownKeyReadsOnceForMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		captureLog(t)
		_, f, request := onShare(t)
		f.write("b=" + secretB)
		release := f.hang(t)
		go func() {
			time.Sleep(time.Millisecond)
			release()
		}()
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if took, opened := request(t.Context()); !opened || took != time.Millisecond {
					t.Errorf("took %v, opened %v", took, opened)
				}
			})
		}
		wg.Wait()
		if got := f.count(); got != 2 { // one opened it
			t.Errorf("%d reads, want 2", got)
		}
	})
}

// makePipe makes a named pipe, or skips the test where the system has none.
func makePipe(t *testing.T, path string) {
	t.Helper()
	if out, err := exec.Command("mkfifo", path).CombinedOutput(); err != nil {
		t.Skipf("no pipes here: %v %s", err, out)
	}
}

// A pipe in the place of the key file is refused, since opening it would wait for a writer.
func TestKeyFileBecomesAPipe(t *testing.T) {
	captureLog(t)
	ring, path := ringOfFile(t)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	makePipe(t, path)
	want := "cookiesession: key file " + path + ": not a regular file"
	for _, err := range []error{ring.RereadForUnknownKey(t.Context()), ring.Reload()} {
		if fmt.Sprint(err) != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if labels(ring) != "a" {
		t.Errorf("in force: %s, want a", labels(ring))
	}
}

// A read that hangs in the system, here in opening a pipe that nobody writes to, ends with its request for who waits.
func TestReadHangsInTheSystem(t *testing.T) {
	captureLog(t)
	path := filepath.Join(t.TempDir(), "keys")
	makePipe(t, path)
	opened := false
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	ring, err := cookiesession.OpenTestKeyFile(func(string) ([]byte, error) {
		if !opened {
			opened = true
			return []byte("a=" + secretA), nil
		}
		cancel()
		defer close(ended)
		return os.ReadFile(path)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := ring.RereadForUnknownKey(ctx); err == nil {
		t.Error("got no error from a read that hangs")
	}
	writeKeys(t, path, "b="+secretB) // what the read has waited for
	<-ended
}
