package cookiesession_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/seed-50e21e88/cookiesession"
)

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
