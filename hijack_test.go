package cookiesession_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"testing"

	"github.com/seed-50e21e88/cookiesession"
)

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
			if logged := m.log.String(); strings.Contains(logged, "hijacked with unsaved changes") != test.warned {
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
