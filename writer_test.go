package cookiesession_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

// A spy is a response writer that notes what reaches it, and the cookies that its header held then.
type spy struct {
	*httptest.ResponseRecorder
	calls []string
}

func newSpy() *spy { return &spy{ResponseRecorder: httptest.NewRecorder()} }

var (
	errSpy   = errors.New("spy")
	deadline = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
)

func (s *spy) note(call string) { s.calls = append(s.calls, call+" "+cookieNames(s.Header())) }

func (s *spy) WriteHeader(int) { s.note("WriteHeader") }
func (s *spy) Write(b []byte) (int, error) {
	s.note("Write")
	return len(b), errSpy
}

// The optional methods, each of which a writer may have or not.
type (
	spyFlush     struct{ s *spy }
	spyHijack    struct{ s *spy }
	spyReadFrom  struct{ s *spy }
	spyFlushErr  struct{ s *spy }
	spyDeadlines struct{ s *spy }
)

func (f spyFlush) Flush() { f.s.note("Flush") }
func (f spyHijack) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	f.s.note("Hijack")
	return nil, nil, errSpy
}

func (f spyReadFrom) ReadFrom(io.Reader) (int64, error) {
	f.s.note("ReadFrom")
	return 7, errSpy
}

func (f spyFlushErr) FlushError() error {
	f.s.note("FlushError")
	return errSpy
}

func (f spyDeadlines) SetReadDeadline(t time.Time) error {
	f.s.note("SetReadDeadline " + t.Format("2006"))
	return errSpy
}

func (f spyDeadlines) SetWriteDeadline(t time.Time) error {
	f.s.note("SetWriteDeadline " + t.Format("2006"))
	return errSpy
}

func (f spyDeadlines) EnableFullDuplex() error {
	f.s.note("EnableFullDuplex")
	return errSpy
}

// plainWriter hides the Flush of httptest.ResponseRecorder.
type plainWriter struct{ http.ResponseWriter }

// writers are all combinations of what the middleware must answer for.
func writers(s *spy) map[string]http.ResponseWriter {
	p, f, h, r := plainWriter{s}, spyFlush{s}, spyHijack{s}, spyReadFrom{s}
	return map[string]http.ResponseWriter{
		"": p,
		"Flush": struct {
			plainWriter
			spyFlush
		}{p, f},
		"Hijack": struct {
			plainWriter
			spyHijack
		}{p, h},
		"ReadFrom": struct {
			plainWriter
			spyReadFrom
		}{p, r},
		"Flush Hijack": struct {
			plainWriter
			spyFlush
			spyHijack
		}{p, f, h},
		"Flush ReadFrom": struct {
			plainWriter
			spyFlush
			spyReadFrom
		}{p, f, r},
		"Hijack ReadFrom": struct {
			plainWriter
			spyHijack
			spyReadFrom
		}{p, h, r},
		"Flush Hijack ReadFrom": struct {
			plainWriter
			spyFlush
			spyHijack
			spyReadFrom
		}{p, f, h, r},
	}
}

// through calls fn with what the middleware makes of w, in a request whose session is changed.
func through(t *testing.T, w http.ResponseWriter, fn func(w http.ResponseWriter, s *cookiesession.Session)) {
	t.Helper()
	m := newWeb(t, nil)
	m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.Get(r).Put("n", 1)
		fn(w, m.Get(r))
	})).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
}

// TestTypeAssertions asks the middleware's writer for each optional interface over each kind of writer underneath: it
// has what that has, but ReadFrom always, and commits before it passes a call on.
func TestTypeAssertions(t *testing.T) {
	for name := range writers(newSpy()) {
		t.Run(name, func(t *testing.T) {
			for _, method := range []string{"Flush", "Hijack", "ReadFrom"} {
				s := newSpy()
				var n int64
				var err error
				called := false
				through(t, writers(s)[name], func(w http.ResponseWriter, _ *cookiesession.Session) {
					switch method {
					case "Flush":
						if f, ok := w.(http.Flusher); ok {
							called = true
							f.Flush()
						}
					case "Hijack":
						if h, ok := w.(http.Hijacker); ok {
							called = true
							_, _, err = h.Hijack()
						}
					case "ReadFrom":
						if r, ok := w.(io.ReaderFrom); ok {
							called = true
							w.WriteHeader(http.StatusOK) // or the source's first bytes are written
							s.calls = nil
							n, err = r.ReadFrom(strings.NewReader("x"))
						}
					}
				})
				underneath := strings.Contains(name, method)
				if want := underneath || method == "ReadFrom"; called != want {
					t.Errorf("%s: got the method: %v, want %v", method, called, want)
				}
				if !called {
					continue
				}
				passedOn := method
				if !underneath {
					passedOn = "Write"
				}
				if got := fmt.Sprint(s.calls); got != "["+passedOn+" __Host-session]" {
					t.Errorf("%s: got calls %s, want one of %s with the cookie", method, got, passedOn)
				}
				if !underneath {
					if n != 1 || err != errSpy {
						t.Errorf("%s: got %d, %v from Write underneath", method, n, err)
					}
					continue
				}
				if method == "Hijack" && err != errSpy || method == "ReadFrom" && (err != errSpy || n != 7) {
					t.Errorf("%s: got %d, %v from underneath", method, n, err)
				}
			}
		})
	}
}

// closeNotifier is a recorder that tells when the client has gone.
type closeNotifier struct {
	*httptest.ResponseRecorder
	gone chan bool
}

func (c closeNotifier) CloseNotify() <-chan bool { return c.gone }

// Frameworks older than request contexts assert that a response writer is an http.CloseNotifier, and panic if it isn't.
func TestCloseNotify(t *testing.T) {
	notifies := closeNotifier{httptest.NewRecorder(), make(chan bool, 1)}
	notifies.gone <- true
	for _, test := range []struct {
		name string
		w    http.ResponseWriter
		want bool
	}{{"underneath", notifies, true}, {"not underneath", httptest.NewRecorder(), false}} {
		newManager(t, nil).Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			gone := w.(interface{ CloseNotify() <-chan bool }).CloseNotify()
			got := false
			select {
			case got = <-gone:
			default:
			}
			if got != test.want || gone == nil {
				t.Errorf("%s: got %v, want %v", test.name, got, test.want)
			}
		})).ServeHTTP(test.w, requestWith())
	}
}

// controls are what http.ResponseController can do. Those that send the header must commit.
var controls = []struct {
	name    string
	call    func(c *http.ResponseController) error
	commits bool
}{
	{"Flush", func(c *http.ResponseController) error { return c.Flush() }, true},
	{"Hijack", func(c *http.ResponseController) error { _, _, err := c.Hijack(); return err }, true},
	{"SetReadDeadline", func(c *http.ResponseController) error { return c.SetReadDeadline(deadline) }, false},
	{"SetWriteDeadline", func(c *http.ResponseController) error { return c.SetWriteDeadline(deadline) }, false},
	{"EnableFullDuplex", func(c *http.ResponseController) error { return c.EnableFullDuplex() }, false},
}

// TestResponseController has it find what the writer underneath can do, however deep that is wrapped, with the same
// outcome as without the middleware, and can't get past the commit.
func TestResponseController(t *testing.T) {
	kinds := func(s *spy) map[string]http.ResponseWriter {
		all := writers(s)
		all["FlushError"] = struct {
			plainWriter
			spyFlushErr
		}{plainWriter{s}, spyFlushErr{s}}
		all["Flush and FlushError"] = struct {
			plainWriter
			spyFlush
			spyFlushErr
		}{plainWriter{s}, spyFlush{s}, spyFlushErr{s}}
		all["deadlines"] = struct {
			plainWriter
			spyDeadlines
		}{plainWriter{s}, spyDeadlines{s}}
		for name, w := range maps.Clone(all) {
			all[name+" under one that only unwraps"] = onlyUnwrap{w}
		}
		return all
	}
	for name := range kinds(newSpy()) {
		t.Run(name, func(t *testing.T) {
			for _, control := range controls {
				for depth, wrap := range []func(http.ResponseWriter) http.ResponseWriter{
					func(w http.ResponseWriter) http.ResponseWriter { return w },
					func(w http.ResponseWriter) http.ResponseWriter { return onlyUnwrap{onlyUnwrap{w}} },
				} {
					bare, s := newSpy(), newSpy()
					wantErr := control.call(http.NewResponseController(kinds(bare)[name]))
					var err error
					through(t, kinds(s)[name], func(w http.ResponseWriter, session *cookiesession.Session) {
						err = control.call(http.NewResponseController(wrap(w)))
						session.Put("later", 1)
						committed := len(bare.calls) > 0 && control.commits
						if errors.Is(session.Err(), cookiesession.ErrCommitted) != committed {
							t.Errorf("%s at depth %d: got committed: %v, want %v", control.name, depth, !committed, committed)
						}
					})
					if errors.Is(err, errSpy) != errors.Is(wantErr, errSpy) || errors.Is(err, http.ErrNotSupported) != errors.Is(wantErr, http.ErrNotSupported) {
						t.Errorf("%s at depth %d: got %v, want %v", control.name, depth, err, wantErr)
					}
					var want []string
					for _, call := range bare.calls {
						if control.commits {
							call += "__Host-session"
						}
						want = append(want, call)
					}
					if fmt.Sprint(s.calls) != fmt.Sprint(want) {
						t.Errorf("%s at depth %d: got calls %q, want %q", control.name, depth, s.calls, want)
					}
				}
			}
		})
	}
}

// TestControlsOverServers tries them on net/http's own writers.
func TestControlsOverServers(t *testing.T) {
	onEachProtocol(t, func(t *testing.T, proto string) {
		for _, control := range controls {
			if control.name == "Hijack" {
				continue // see TestHijack
			}
			t.Run(control.name, func(t *testing.T) {
				m := newWeb(t, nil)
				v := m.serve(t, proto, m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					m.Get(r).Put("n", 1)
					if err := control.call(http.NewResponseController(w)); err != nil {
						t.Error(err)
					}
					io.WriteString(w, "body")
				})))
				if a := v.get(); a.body != "body" {
					t.Errorf("got body %q", a.body)
				}
				v.wantValues("n=1")
			})
		}
	})
}

// TestFullDuplex reads a request's body after the first bytes of the response have been sent.
func TestFullDuplex(t *testing.T) {
	onEachProtocol(t, func(t *testing.T, proto string) {
		m := newWeb(t, nil)
		v := m.serve(t, proto, m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			m.Get(r).Put("n", 1)
			if err := http.NewResponseController(w).EnableFullDuplex(); err != nil {
				t.Error(err)
			}
			io.WriteString(w, "got ")
			w.(http.Flusher).Flush()
			if _, err := io.Copy(w, r.Body); err != nil {
				t.Error(err)
			}
		})))
		body := strings.Repeat("x", 300_000) // more than net/http would read by itself
		if a := v.do(v.request(http.MethodPost, body)); a.body != "got "+body {
			t.Errorf("got %d bytes, want %d", len(a.body), len("got "+body))
		}
		v.wantValues("n=1")
	})
}

// A listener whose connections note what net/http gives to their ReadFrom, which on a *net.TCPConn is sendfile.
type copyListener struct {
	net.Listener
	copied chan string
}

type copyConn struct {
	net.Conn
	copied chan string
}

func (l copyListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	return &copyConn{conn, l.copied}, err
}

func (c *copyConn) ReadFrom(src io.Reader) (int64, error) {
	what := fmt.Sprintf("%T", src)
	if limited, ok := src.(*io.LimitedReader); ok {
		what += fmt.Sprintf(" of %T", limited.R)
	}
	c.copied <- what
	return io.Copy(c.Conn, src)
}

// TestSendfile shows that a file reaches the connection as it does without the middleware.
func TestSendfile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "page.txt")
	content := strings.Repeat("0123456789", 10_000)
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	for handlerName, handler := range map[string]http.HandlerFunc{
		"ServeFile": func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, name) },
		"io.Copy": func(w http.ResponseWriter, _ *http.Request) {
			f, err := os.Open(name)
			if err != nil {
				t.Error(err)
				return
			}
			defer f.Close()
			w.Header().Set("Content-Length", fmt.Sprint(len(content)))
			if _, err := io.Copy(w, f); err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run(handlerName, func(t *testing.T) {
			m := newWeb(t, nil)
			copied := make(map[string]string)
			for kind, h := range map[string]http.Handler{
				"without": handler,
				"with": m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					m.Get(r).Put("n", 1)
					handler(w, r)
				})),
			} {
				server := httptest.NewUnstartedServer(h)
				listener := copyListener{server.Listener, make(chan string, 8)}
				server.Listener = listener
				server.Start()
				resp, err := server.Client().Get(server.URL)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || string(body) != content {
					t.Errorf("got %d bytes, %v", len(body), err)
				}
				if got := cookieNames(resp.Header); kind == "with" && got != "__Host-session" {
					t.Errorf("got cookies %q, want the session's", got)
				}
				server.Close()
				close(listener.copied)
				for what := range listener.copied {
					copied[kind] += what + "\n"
				}
			}
			if copied["with"] != copied["without"] || !strings.Contains(copied["with"], "os.") {
				t.Errorf("got the connection's ReadFrom called with %q, want %q", copied["with"], copied["without"])
			}
		})
	}
}

// upgrade answers as a WebSocket library does: it hijacks the connection and writes a header of its own, h, then echoes
// one byte.
func upgrade(t *testing.T, w http.ResponseWriter, h http.Header) error {
	conn, rw, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return err
	}
	return echo(t, conn, rw, h)
}

func echo(t *testing.T, conn net.Conn, rw *bufio.ReadWriter, h http.Header) error {
	defer conn.Close()
	fmt.Fprint(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n")
	if err := h.Write(rw); err != nil {
		t.Error(err)
	}
	io.WriteString(rw, "\r\n")
	rw.Flush()
	b, err := rw.ReadByte()
	if err != nil {
		t.Error(err)
	}
	rw.WriteByte(b)
	return rw.Flush()
}

// upgraded sends an upgrade request. It returns the response once a byte has come back, or if it is no upgrade.
func (v *browser) upgraded() answer {
	v.t.Helper()
	r := v.request(http.MethodGet, "")
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "echo")
	if line := v.jar.Header(r.URL); line != "" {
		r.Header.Set("Cookie", line)
	}
	resp, err := v.Client().Transport.RoundTrip(r) // the Client's timeout would take the connection's Write away
	if err != nil {
		v.t.Fatal(err)
	}
	defer resp.Body.Close()
	v.jar.SetHeader(r.URL, resp.Header)
	if resp.StatusCode != http.StatusSwitchingProtocols {
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			v.t.Error(err)
		}
		<-v.web.returned
		return answer{resp, string(body)}
	}
	b := []byte{'x'}
	conn := resp.Body.(io.ReadWriter)
	if _, err := conn.Write(b); err != nil {
		v.t.Error(err)
	}
	if _, err := io.ReadFull(conn, b); err != nil || b[0] != 'x' {
		v.t.Errorf("got %q, %v over the upgraded connection", b, err)
	}
	resp.Body.Close()
	<-v.web.returned
	return answer{resp, ""}
}

// TestHijack has every order of changing, saving and hijacking.
func TestHijack(t *testing.T) {
	for _, test := range []struct {
		name    string
		handle  func(s *cookiesession.Session, m *web, w http.ResponseWriter) error
		values  string
		cookies string
		warned  bool
	}{
		{"session not touched", func(_ *cookiesession.Session, _ *web, w http.ResponseWriter) error {
			return upgrade(t, w, nil)
		}, "old=1", "", false},
		{"session read", func(s *cookiesession.Session, _ *web, w http.ResponseWriter) error {
			s.Get("old")
			return upgrade(t, w, nil)
		}, "old=1", "", false},
		{"changed", func(s *cookiesession.Session, _ *web, w http.ResponseWriter) error {
			s.Put("new", 2)
			return upgrade(t, w, nil)
		}, "old=1", "", true},
		{"flashed", func(s *cookiesession.Session, _ *web, w http.ResponseWriter) error {
			s.Flash("note", "x")
			return upgrade(t, w, nil)
		}, "old=1", "", true},
		{"destroyed", func(s *cookiesession.Session, _ *web, w http.ResponseWriter) error {
			s.Destroy()
			return upgrade(t, w, nil)
		}, "old=1", "", true},
		{"changed and changed back", func(s *cookiesession.Session, _ *web, w http.ResponseWriter) error {
			s.Put("old", 2)
			s.Put("old", 1)
			return upgrade(t, w, nil)
		}, "old=1", "", false},
		{"changed, the hijacker sends the response's header", func(s *cookiesession.Session, _ *web, w http.ResponseWriter) error {
			s.Put("new", 2)
			return upgrade(t, w, w.Header())
		}, "new=2 old=1", "__Host-session", true},
		{"saved into the upgrade's header", func(s *cookiesession.Session, m *web, w http.ResponseWriter) error {
			s.Put("new", 2)
			h := http.Header{"Sec-Websocket-Accept": {"x"}}
			if err := m.Save(h, s); err != nil {
				return err
			}
			return upgrade(t, w, h)
		}, "new=2 old=1", "__Host-session", false},
		{"changed after Save", func(s *cookiesession.Session, m *web, w http.ResponseWriter) error {
			h := http.Header{}
			s.Put("new", 2)
			if err := m.Save(h, s); err != nil {
				return err
			}
			s.Put("newer", 3)
			return upgrade(t, w, h)
		}, "new=2 old=1", "__Host-session", true},
		{"by ResponseController, through a writer that only unwraps", func(s *cookiesession.Session, _ *web, w http.ResponseWriter) error {
			s.Put("new", 2)
			conn, rw, err := http.NewResponseController(onlyUnwrap{w}).Hijack()
			if err != nil {
				return err
			}
			return echo(t, conn, rw, w.Header())
		}, "new=2 old=1", "__Host-session", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := newWeb(t, nil)
			first := true
			var lateErr error
			v := m.serve(t, "HTTP/1.1", m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				s := m.Get(r)
				if first {
					first = false
					s.Put("old", 1)
					return
				}
				if err := test.handle(s, m, w); err != nil {
					t.Error(err)
				}
				if _, err := w.Write([]byte("x")); !errors.Is(err, http.ErrHijacked) {
					t.Errorf("got %v from Write, want ErrHijacked", err)
				}
				s.Put("late", 1)
				lateErr = s.Err()
			})))
			v.get()
			a := v.upgraded()
			if got := cookieNames(a.Header); a.StatusCode != 101 || got != test.cookies {
				t.Errorf("got %d with cookies %q, want 101 with %q", a.StatusCode, got, test.cookies)
			}
			v.wantValues(test.values)
			if !errors.Is(lateErr, cookiesession.ErrCommitted) {
				t.Errorf("got %v from a change on the hijacked connection, want ErrCommitted", lateErr)
			}
			if logged := m.log.String(); strings.Contains(logged, "see Save\" method=GET path=/") != test.warned {
				t.Errorf("got logged %q, want a warning: %v", logged, test.warned)
			}
		})
	}
}

// TestHijackThatFails has a session that can't be saved: the visitor gets an error page, and the hijacker an error in
// place of the connection.
func TestHijackThatFails(t *testing.T) {
	for name, hijack := range map[string]func(w http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error){
		"Hijacker": func(w http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error) { return w.(http.Hijacker).Hijack() },
		"ResponseController": func(w http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error) {
			return http.NewResponseController(w).Hijack()
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := newWeb(t, nil)
			v := m.serve(t, "HTTP/1.1", m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				m.Get(r).Put("new", tooLarge)
				conn, _, err := hijack(w)
				if err == nil {
					conn.Close()
					t.Error("got a connection")
				}
				http.Error(w, "no upgrade", http.StatusTeapot) // as WebSocket libraries do
			})))
			a := v.upgraded()
			if a.StatusCode != 500 || a.body != "Internal Server Error\n" {
				t.Errorf("got %d %q, want an error page", a.StatusCode, a.body)
			}
			m.wantStats(0, 1, 0)
			if logged := m.log.String(); strings.Count(logged, "\n") != 1 || !strings.Contains(logged, "session not saved") {
				t.Errorf("got logged %q, want that the session was not saved", logged)
			}
		})
	}
}

// TestHijackOverHTTP2 can't be had: the attempt must neither panic (golangcollege) nor commit.
func TestHijackOverHTTP2(t *testing.T) {
	m := newWeb(t, nil)
	v := m.serve(t, "HTTP/2.0", m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.Get(r).Put("before", 1)
		if _, ok := w.(http.Hijacker); ok {
			t.Error("got a Hijacker")
		}
		if _, _, err := http.NewResponseController(w).Hijack(); !errors.Is(err, http.ErrNotSupported) {
			t.Errorf("got %v, want ErrNotSupported", err)
		}
		m.Get(r).Put("after", 2)
	})))
	v.get()
	v.wantValues("after=2 before=1")
	if logged := m.log.String(); logged != "" {
		t.Errorf("got logged %q", logged)
	}
}

// TestSwitchingProtocols writes a 101 without hijacking: it is a final response, unlike the other 1xx.
func TestSwitchingProtocols(t *testing.T) {
	m := newWeb(t, nil)
	v := m.serve(t, "HTTP/1.1", m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := m.Get(r)
		s.Put("n", 1)
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "echo")
		w.WriteHeader(http.StatusSwitchingProtocols)
		s.Put("late", 1)
		if !errors.Is(s.Err(), cookiesession.ErrCommitted) {
			t.Errorf("got %v, want ErrCommitted", s.Err())
		}
	})))
	resp, err := v.Client().Do(v.request(http.MethodGet, ""))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	<-m.returned
	if got := cookieNames(resp.Header); resp.StatusCode != 101 || got != "__Host-session" {
		t.Errorf("got %d with cookies %q, want 101 with the session", resp.StatusCode, got)
	}
	v.wantValues("n=1")
}

// TestUpgradeByReverseProxy shows a hijacker that does send the response's header.
func TestUpgradeByReverseProxy(t *testing.T) {
	m := newWeb(t, nil)
	backend := m.serve(t, "HTTP/1.1", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := upgrade(t, w, http.Header{"Set-Cookie": {"theme=dark"}}); err != nil {
			t.Error(err)
		}
	}))
	v := m.serve(t, "HTTP/1.1", m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.Get(r).Put("new", 2)
		proxy := httputil.NewSingleHostReverseProxy(mustURL(t, backend.URL))
		proxy.Transport = backend.Client().Transport
		proxy.ServeHTTP(w, r)
	})))
	a := v.upgraded()
	<-m.returned // the backend's
	if got, want := cookieNames(a.Header), "__Host-session theme"; a.StatusCode != 101 || got != want {
		t.Errorf("got %d with cookies %q, want 101 with %q", a.StatusCode, got, want)
	}
	v.wantValues("new=2")
}

// What io.Copy makes of a source: a header is sent with the source's first byte, as without the middleware, so the
// session can be changed until then.

var errSource = errors.New("source failed")

// A source that has no byte leaves the session open: the handler says why in a message, and redirects.
func TestCopyOfNothingCommitsNothing(t *testing.T) {
	for name, source := range map[string]io.Reader{
		"empty": onlyReader{strings.NewReader("")},
		"fails": iotest.ErrReader(errSource),
	} {
		t.Run(name, func(t *testing.T) {
			onEachProtocol(t, func(t *testing.T, proto string) {
				m := newWeb(t, nil)
				v := m.serve(t, proto, m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					s := m.Get(r)
					s.IsEmpty()
					if n, err := io.Copy(w, source); n != 0 || name == "fails" && err != errSource {
						t.Errorf("got %d, %v from io.Copy", n, err)
					}
					s.Flash("notice", "no such file")
					http.Redirect(w, r, "/files", http.StatusSeeOther)
				})))
				a := v.get()
				if a.StatusCode != http.StatusSeeOther || cookieNames(a.Header) != "__Host-session.flash" {
					t.Errorf("got %d with cookies %q, want a redirect with the message", a.StatusCode, cookieNames(a.Header))
				}
				m.wantStats(1, 0, 0)
			})
		})
	}
}

// A source that looks at the session when it is read, as a page does that is rendered meanwhile, is in time.
func TestCopyFromSourceThatChangesTheSession(t *testing.T) {
	onEachProtocol(t, func(t *testing.T, proto string) {
		m := newWeb(t, nil)
		v := m.serve(t, proto, m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.Copy(w, sourceFunc(func(b []byte) (int, error) {
				m.Get(r).Put("n", 1)
				return copy(b, "page"), io.EOF
			}))
		})))
		if a := v.get(); a.body != "page" {
			t.Errorf("got %q", a.body)
		}
		v.wantValues("n=1")
		m.wantStats(1, 0, 0)
	})
}

type sourceFunc func(b []byte) (int, error)

func (f sourceFunc) Read(b []byte) (int, error) { return f(b) }

// Sources around the 512 bytes that are read before the rest is handed on arrive whole, as does an error after them.
func TestCopyArrivesWhole(t *testing.T) {
	for _, size := range []int{1, 511, 512, 513, 1024, 100_000} {
		content := strings.Repeat("0123456789", size/10+1)[:size]
		for name, test := range map[string]struct {
			source io.Reader
			err    error
		}{
			"ends":            {strings.NewReader(content), nil},
			"fails":           {io.MultiReader(strings.NewReader(content), iotest.ErrReader(errSource)), errSource},
			"fails with data": {failWith(content), errSource},
		} {
			m := newWeb(t, nil)
			v := m.serve(t, "HTTP/1.1", m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				m.Get(r).Put("n", 1)
				if n, err := io.Copy(w, onlyReader{test.source}); n != int64(size) || err != test.err {
					t.Errorf("%d bytes, %s: got %d, %v from io.Copy", size, name, n, err)
				}
			})))
			if a := v.get(); a.body != content {
				t.Errorf("%d bytes, %s: got %d bytes", size, name, len(a.body))
			}
			v.wantValues("n=1")
		}
	}
}

// failWith returns a source that fails together with the end of its content, and would go on if it were asked again.
func failWith(content string) io.Reader {
	return sourceFunc(func(b []byte) (int, error) {
		n := copy(b, content)
		if content = content[n:]; content != "" {
			return n, nil
		}
		content = "more"
		return n, errSource
	})
}

// Of a source of more than 512 bytes, the rest is handed to the writer underneath in one call, if that can read. If not,
// nothing is split.
func TestCopyIsHandedOn(t *testing.T) {
	for _, test := range []struct {
		size           int
		reads          bool
		writes, copied int
	}{
		{511, true, 1, 0},
		{512, true, 1, 0},
		{513, true, 1, 1},
		{5000, true, 1, 5000 - 512},
		{5000, false, 1, 0},
	} {
		rec := &copyRecorder{ResponseRecorder: httptest.NewRecorder()}
		var under http.ResponseWriter = plainWriter{rec}
		if test.reads {
			under = rec
		}
		through(t, under, func(w http.ResponseWriter, _ *cookiesession.Session) {
			if n, err := io.Copy(w, onlyReader{strings.NewReader(strings.Repeat("x", test.size))}); int(n) != test.size || err != nil {
				t.Errorf("got %d, %v from io.Copy of %d bytes", n, err, test.size)
			}
		})
		calls := 0
		if test.reads && test.size >= 512 {
			calls = 1
		}
		if rec.writes != test.writes || rec.calls != calls || rec.copied != test.copied || rec.Body.Len() != test.size {
			t.Errorf("%d bytes: got %d writes and %d bytes by %d calls of ReadFrom, want %d, %d by %d", test.size, rec.writes, rec.copied, rec.calls, test.writes, test.copied, calls)
		}
	}
}

type copyRecorder struct {
	*httptest.ResponseRecorder
	writes, calls, copied int
}

func (c *copyRecorder) Write(b []byte) (int, error) {
	c.writes++
	return c.ResponseRecorder.Write(b)
}

func (c *copyRecorder) ReadFrom(src io.Reader) (int64, error) {
	n, err := io.Copy(c.Body, src)
	c.calls, c.copied = c.calls+1, c.copied+int(n)
	return n, err
}

// A handler that writes until a write fails, as one that streams events does, returns when the visitor has gone, although
// an error page has taken its output's place.
func TestDiscardingEndsWithTheVisitor(t *testing.T) {
	onEachProtocol(t, func(t *testing.T, proto string) {
		m := newWeb(t, nil)
		v := m.serve(t, proto, m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			m.Get(r).Put("new", tooLarge)
			if n, err := io.WriteString(w, "event"); n != 5 || err != nil {
				t.Errorf("got %d, %v from a write while the visitor is there", n, err)
			}
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			for name, write := range map[string]func() (int64, error){
				"Write":       func() (int64, error) { n, err := w.Write([]byte("event")); return int64(n), err },
				"WriteString": func() (int64, error) { n, err := io.WriteString(w, "event"); return int64(n), err },
				"ReadFrom":    func() (int64, error) { return io.Copy(w, endless(100)) },
			} {
				if n, err := write(); n != 0 || !errors.Is(err, context.Canceled) {
					t.Errorf("got %d, %v from %s after the visitor has gone", n, err, name)
				}
			}
		})))
		ctx, leave := context.WithCancel(t.Context())
		resp, err := v.Client().Do(v.request(http.MethodGet, "").WithContext(ctx))
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != http.StatusInternalServerError {
			t.Errorf("got %d, want an error page", resp.StatusCode)
		}
		leave()
		resp.Body.Close()
		<-m.returned
	})
}

// endless is a source that never ends; it fails after so many reads, so that a copy of all of it does.
func endless(reads int) io.Reader {
	return sourceFunc(func(b []byte) (int, error) {
		if reads--; reads < 0 {
			return 0, errSource
		}
		return len(b), nil
	})
}
