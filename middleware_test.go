package cookiesession_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

// A commitPath is a way in which a handler may or may not send its header.
type commitPath struct {
	name    string
	run     func(w http.ResponseWriter, r *http.Request)
	commits bool // before it returns
	status  int
	body    string
	method  string // GET if empty
}

var lastModified = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

var commitPaths = []commitPath{
	{
		name: "nothing (seshcookie: a handler that writes nothing never set the cookie)", status: 200,
		run: func(http.ResponseWriter, *http.Request) {},
	},
	{
		name: "WriteHeader", status: 201, commits: true,
		run: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(201) },
	},
	{
		name: "WriteHeader 204", status: 204, commits: true,
		run: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) },
	},
	{
		name: "WriteHeader 304", status: 304, commits: true,
		run: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(304) },
	},
	{
		name: "Write", status: 200, commits: true, body: "body",
		run: func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("body")) },
	},
	{
		name: "Write nothing", status: 200, commits: true,
		run: func(w http.ResponseWriter, _ *http.Request) { w.Write(nil) },
	},
	{
		name: "WriteHeader and Write twice", status: 203, commits: true, body: "body",
		run: func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(203)
			w.Write([]byte("bo"))
			w.Write([]byte("dy"))
		},
	},
	{
		name: "WriteString", status: 200, commits: true, body: "body",
		run: func(w http.ResponseWriter, _ *http.Request) { w.(io.StringWriter).WriteString("body") },
	},
	{
		name: "Flush before any Write (scs 2.9, seshcookie, golangcollege: the cookie was lost)", status: 200, commits: true, body: "body",
		run: func(w http.ResponseWriter, _ *http.Request) {
			w.(http.Flusher).Flush()
			w.Write([]byte("body"))
		},
	},
	{
		name: "Flush alone", status: 200, commits: true,
		run: func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush() },
	},
	{
		name: "ResponseController.Flush before any Write", status: 200, commits: true, body: "body",
		run: func(w http.ResponseWriter, _ *http.Request) {
			http.NewResponseController(w).Flush()
			w.Write([]byte("body"))
		},
	},
	{
		name: "ResponseController.Flush through a writer that only unwraps", status: 200, commits: true, body: "body",
		run: func(w http.ResponseWriter, _ *http.Request) {
			http.NewResponseController(onlyUnwrap{w}).Flush()
			w.Write([]byte("body"))
		},
	},
	{
		name: "Write to what the writer unwraps to", status: 201, commits: true, body: "body",
		run: func(w http.ResponseWriter, _ *http.Request) {
			w = w.(interface{ Unwrap() http.ResponseWriter }).Unwrap()
			w.Header().Set("Etag", `"deep"`)
			w.WriteHeader(201)
			w.Write([]byte("body"))
		},
	},
	{
		name: "io.Copy", status: 200, commits: true, body: "body",
		run: func(w http.ResponseWriter, _ *http.Request) { io.Copy(w, onlyReader{strings.NewReader("body")}) },
	},
	{
		name: "io.Copy to a writer and nothing else", status: 200, commits: true, body: "body",
		run: func(w http.ResponseWriter, _ *http.Request) {
			io.Copy(struct{ io.Writer }{w}, strings.NewReader("body"))
		},
	},
	{
		name: "ServeContent", status: 200, commits: true, body: "body",
		run: func(w http.ResponseWriter, r *http.Request) {
			http.ServeContent(w, r, "page.txt", lastModified, strings.NewReader("body"))
		},
	},
	{
		name: "ServeContent of a part", status: 206, commits: true, body: "od",
		run: func(w http.ResponseWriter, r *http.Request) {
			r.Header.Set("Range", "bytes=1-2")
			http.ServeContent(w, r, "page.txt", lastModified, strings.NewReader("body"))
		},
	},
	{
		name: "ServeContent not modified", status: 304, commits: true,
		run: func(w http.ResponseWriter, r *http.Request) {
			r.Header.Set("If-Modified-Since", lastModified.Format(http.TimeFormat))
			http.ServeContent(w, r, "page.txt", lastModified, strings.NewReader("body"))
		},
	},
	{
		name: "Redirect", status: 303, commits: true,
		run: func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/next", http.StatusSeeOther) }, method: http.MethodPost,
	},
	{
		name: "Error", status: 418, commits: true, body: "no coffee\n",
		run: func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no coffee", http.StatusTeapot) },
	},
	{
		name: "HEAD", status: 200, commits: true,
		run: func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("body")) }, method: http.MethodHead,
	},
	{
		name: "HEAD, nothing", status: 200,
		run: func(http.ResponseWriter, *http.Request) {}, method: http.MethodHead,
	},
	{
		name: "103 and nothing (scs 2.9: a 103 followed by Put lost the cookie)", status: 200,
		run: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusEarlyHints) },
	},
	{
		name: "102, 103, 103 and a body", status: 200, commits: true, body: "body",
		run: func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusProcessing)
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusEarlyHints)
			w.Write([]byte("body"))
		},
	},
	{
		name: "trailers", status: 200, commits: true, body: "body",
		run: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Trailer", "Checksum")
			w.Write([]byte("body"))
			w.Header().Set("Checksum", "4")
		},
	},
}

type onlyReader struct{ io.Reader }

// onlyUnwrap is a response writer as many middlewares have one.
type onlyUnwrap struct{ w http.ResponseWriter }

func (u onlyUnwrap) Header() http.Header         { return u.w.Header() }
func (u onlyUnwrap) WriteHeader(status int)      { u.w.WriteHeader(status) }
func (u onlyUnwrap) Write(b []byte) (int, error) { return u.w.Write(b) }
func (u onlyUnwrap) Unwrap() http.ResponseWriter { return u.w }

// TestCommitOnEveryPath changes the session before and after all that a handler may do with its response: what came
// before is saved, exactly once; what came too late is refused, told and counted (gorilla/sessions: a change after the
// first Write was lost silently).
func TestCommitOnEveryPath(t *testing.T) {
	wrappers := []struct {
		name string
		wrap func(http.Handler) http.Handler
	}{
		{"bare", func(h http.Handler) http.Handler { return h }},
		{"over a writer that only unwraps", func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(onlyUnwrap{w}, r) })
		}},
	}
	for _, p := range commitPaths {
		t.Run(p.name, func(t *testing.T) {
			for _, wrapper := range wrappers {
				if wrapper.name != "bare" && strings.HasPrefix(p.name, "Flush") {
					continue // there the writer is no http.Flusher
				}
				t.Run(wrapper.name, func(t *testing.T) {
					onEachProtocol(t, func(t *testing.T, proto string) { testPath(t, proto, p, wrapper.wrap) })
				})
			}
		})
	}
}

func testPath(t *testing.T, proto string, p commitPath, wrap func(http.Handler) http.Handler) {
	m := newWeb(t, nil)
	var lateErr error
	v := m.serve(t, proto, wrap(m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := m.Get(r)
		s.Put("before", true)
		p.run(w, r)
		s.Put("before", true) // no change
		if s.Err() != nil {
			t.Errorf("storing an equal value failed: %v", s.Err())
		}
		s.Put("after", true)
		s.Put("after", 2)
		lateErr = s.Err()
		s.Put("after", true)
	}))))
	method := p.method
	if method == "" {
		method = http.MethodGet
	}
	a := v.do(v.request(method, ""))
	if a.StatusCode != p.status || a.body != p.body {
		t.Errorf("got %d %q, want %d %q", a.StatusCode, a.body, p.status, p.body)
	}
	if got := cookieNames(a.Header); got != "__Host-session" {
		t.Errorf("got cookies %q, want the session's", got)
	}
	if m.sealed() != 1 {
		t.Errorf("got %d tokens sealed, want one", m.sealed())
	}
	logged := m.log.String()
	if !p.commits {
		v.wantValues("after=true before=true")
		m.wantStats(1, 0, 0)
		if lateErr != nil || logged != "" {
			t.Errorf("got %v and logged %q, want a change in time", lateErr, logged)
		}
		return
	}
	v.wantValues("before=true")
	m.wantStats(1, 0, 3)
	if !errors.Is(lateErr, cookiesession.ErrCommitted) {
		t.Errorf("got %v, want ErrCommitted", lateErr)
	}
	if strings.Count(logged, "\n") != 1 || !strings.Contains(logged, "after the response header was sent") {
		t.Errorf("got logged %q, want one line", logged)
	}
}

// TestLateChanges tries every method that changes something after the commit, and those that don't.
func TestLateChanges(t *testing.T) {
	changes := map[string]func(*cookiesession.Session){
		"Put":                 put("n", 2),
		"Put unencodable":     put("n", make(chan int)),
		"Pull":                func(s *cookiesession.Session) { s.Pull("n") },
		"Push":                func(s *cookiesession.Session) { s.Push("list", 2) },
		"Increment":           func(s *cookiesession.Session) { s.Increment("n", 1) },
		"Delete":              func(s *cookiesession.Session) { s.Delete("n") },
		"Delete two":          func(s *cookiesession.Session) { s.Delete("list", "n") },
		"Clear":               func(s *cookiesession.Session) { s.Clear() },
		"Regenerate":          func(s *cookiesession.Session) { s.Regenerate() },
		"Destroy":             destroy,
		"Remember":            func(s *cookiesession.Session) { s.Remember(time.Hour) },
		"ExpireIn":            func(s *cookiesession.Session) { s.ExpireIn(time.Hour) },
		"Persist":             func(s *cookiesession.Session) { s.Persist(true) },
		"Flash":               flash("note", "x"),
		"Flashed":             func(s *cookiesession.Session) { s.Flashed("note") },
		"Flashes":             asked,
		"Keep":                func(s *cookiesession.Session) { s.Keep("note") },
		"Reflash":             func(s *cookiesession.Session) { s.Reflash() },
		"RegenerateCSRFToken": func(s *cookiesession.Session) { s.RegenerateCSRFToken() },
		"CSRFToken":           func(s *cookiesession.Session) { s.CSRFToken() },
		"Field.Put":           func(s *cookiesession.Session) { cookiesession.Field[int]("n").Put(s, 3) },
		"Field.Update": func(s *cookiesession.Session) {
			cookiesession.Field[int]("n").Update(s, func(n int) int { return n + 1 })
		},
		"Field.Flash":         func(s *cookiesession.Session) { cookiesession.Field[int]("n").Flash(s, 1) },
		"- Get":               func(s *cookiesession.Session) { s.Get("n") },
		"- equal Put":         put("n", int8(1)),
		"- Increment by 0":    func(s *cookiesession.Session) { s.Increment("n", 0) },
		"- Delete of nothing": func(s *cookiesession.Session) { s.Delete("none") },
		"- Pull of nothing":   func(s *cookiesession.Session) { s.Pull("none") },
		"- All":               func(s *cookiesession.Session) { s.All() },
		"- FlashNow":          func(s *cookiesession.Session) { s.FlashNow("note", "x") },
		"- Field.Update":      func(s *cookiesession.Session) { cookiesession.Field[int]("n").Update(s, func(n int) int { return n }) },
	}
	keys := map[string]string{ // of the first change
		"Put": "n", "Put unencodable": "n", "Pull": "n", "Push": "list", "Increment": "n", "Delete": "n", "Delete two": "list",
		"Flash": "note", "Field.Put": "n", "Field.Update": "n", "Field.Flash": "n",
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			m := newWeb(t, nil)
			var err, destroyErr error
			var n any
			first := true
			v := m.serve(t, "HTTP/1.1", m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				s := m.Get(r)
				if first {
					first = false
					s.Put("n", 1)
					s.Push("list", 1)
					s.Flash("note", "hello")
					if name == "RegenerateCSRFToken" {
						s.CSRFToken()
					}
					return
				}
				s.Has("n")
				io.WriteString(w, "body")
				change(s)
				err, n = s.Err(), s.Get("n")
				s.Destroy()
				destroyErr = s.Err()
			})))
			v.get()
			before := v.jar.Header(mustURL(t, v.URL))
			a := v.get()
			if got := cookieNames(a.Header); got != "" {
				t.Errorf("got cookies %q, want none", got)
			}
			if got := v.jar.Header(mustURL(t, v.URL)); got != before {
				t.Errorf("the cookies changed")
			}
			if n != int64(1) {
				t.Errorf("got n = %v after a change that was refused, want 1", n)
			}
			if !errors.Is(destroyErr, cookiesession.ErrCommitted) {
				t.Errorf("got %v from Destroy, want ErrCommitted", destroyErr)
			}
			late := uint64(1)
			switch {
			case strings.HasPrefix(name, "-"):
				late = 0
				if err != nil {
					t.Errorf("got %v, want nil", err)
				}
			case !errors.Is(err, cookiesession.ErrCommitted):
				t.Errorf("got %v, want ErrCommitted", err)
			case name == "Delete two":
				late = 2
			}
			m.wantStats(1, 0, late+1) // Destroy's
			what := "change=" + name
			if key := keys[name]; key != "" {
				what = "key=" + key
			} else if late == 0 {
				what = "change=Destroy"
			}
			if got, want := m.log.String(), " path=/ "+what+"\n"; strings.Count(got, "\n") != 1 || !strings.HasSuffix(got, want) {
				t.Errorf("got logged %q, want one line that ends with %q", got, want)
			}
			if logged := m.log.String(); strings.Count(logged, "\n") != 1 {
				t.Errorf("got logged %q, want one line for the session", logged)
			}
		})
	}
}

// TestInformationalResponses looks at the 1xx responses themselves: they pass through, without cookies.
func TestInformationalResponses(t *testing.T) {
	onEachProtocol(t, func(t *testing.T, proto string) {
		m := newWeb(t, nil)
		v := m.serve(t, proto, m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s := m.Get(r)
			s.Put("before", 1)
			w.Header().Set("Link", "</style.css>; rel=preload")
			w.WriteHeader(http.StatusEarlyHints)
			s.Put("between", 2)
			w.WriteHeader(http.StatusProcessing)
			w.WriteHeader(199)
			s.Put("after", 3)
			io.WriteString(w, "body")
		})))
		var got []string
		r := v.request(http.MethodGet, "")
		r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
			Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
				got = append(got, fmt.Sprint(code, h.Get("Link"), h["Set-Cookie"], h["Vary"]))
				return nil
			},
		}))
		a := v.do(r)
		want := "[103</style.css>; rel=preload[] [] 102</style.css>; rel=preload[] [] 199</style.css>; rel=preload[] []]"
		if fmt.Sprint(got) != want {
			t.Errorf("got informational responses %v, want %s", got, want)
		}
		if a.StatusCode != 200 || a.body != "body" {
			t.Errorf("got %d %q", a.StatusCode, a.body)
		}
		v.wantValues("after=3 before=1 between=2")
		m.wantStats(1, 0, 0)
	})
}

// TestContinue has net/http send a 100 itself, at the first read of the body.
func TestContinue(t *testing.T) {
	onEachProtocol(t, func(t *testing.T, proto string) {
		m := newWeb(t, nil)
		v := m.serve(t, proto, m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			m.Get(r).Put("before", 1)
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			m.Get(r).Put("after", string(body))
		})))
		continued := false
		r := v.request(http.MethodPost, "upload")
		r.Header.Set("Expect", "100-continue")
		r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{Got100Continue: func() { continued = true }}))
		v.Client().Transport.(*http.Transport).ExpectContinueTimeout = time.Hour
		v.do(r)
		if !continued {
			t.Error("got no 100")
		}
		v.wantValues("after=upload before=1")
	})
}

// TestServerSentEvents has the client read while the handler still runs.
func TestServerSentEvents(t *testing.T) {
	onEachProtocol(t, func(t *testing.T, proto string) {
		m := newWeb(t, nil)
		seen := make(chan struct{})
		v := m.serve(t, proto, m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			m.Get(r).Put("stream", 1)
			w.Header().Set("Content-Type", "text/event-stream")
			for _, event := range []string{"", "data: one\n\n", "data: two\n\n"} {
				io.WriteString(w, event)
				if err := http.NewResponseController(w).Flush(); err != nil {
					t.Error(err)
				}
				await(r, seen)
			}
		})))
		resp, err := v.Client().Do(v.request(http.MethodGet, ""))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if got := cookieNames(resp.Header); got != "__Host-session" {
			t.Errorf("got cookies %q with the first Flush", got)
		}
		v.wantValues("stream=1")
		seen <- struct{}{}
		for _, want := range []string{"data: one\n\n", "data: two\n\n"} {
			got := make([]byte, len(want))
			if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != want {
				t.Fatalf("got event %q, %v; want %q", got, err, want)
			}
			seen <- struct{}{}
		}
		<-m.returned
	})
}

// TestSessionNotTouched shows that a request pays nothing, and its response says nothing, for a session that nobody
// asks for.
func TestSessionNotTouched(t *testing.T) {
	m := newWeb(t, withIdle(time.Minute))
	r := httptest.NewRequest(http.MethodGet, "https://example.com/", nil)
	r.Header.Set("Cookie", "__Host-session=1AAAA; __Host-session.flash=1AAAA")
	w := httptest.NewRecorder()
	m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.Get(r)
		cookiesession.FromContext(r.Context())
		w.Header().Set("Cache-Control", "public")
		io.WriteString(w, "body")
	})).ServeHTTP(w, r)
	want := http.Header{"Cache-Control": {"public"}, "Content-Type": {"text/plain; charset=utf-8"}}
	if got := w.Result().Header; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got header %v, want %v", got, want)
	}
	if s := m.Stats(); len(s.Rejected) != 0 || s.Keys["test"].Opened != 0 {
		t.Errorf("got %+v, want a cookie that nobody looked at", s)
	}
}

// TestPanic shows that a panic commits nothing, and what becomes of the response.
func TestPanic(t *testing.T) {
	recovering := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer func() {
				if recover() != nil {
					http.Error(w, "sorry", http.StatusInternalServerError)
				}
			}()
			next.ServeHTTP(w, r)
		})
	}
	none := func(next http.Handler) http.Handler { return next }
	for _, test := range []struct {
		name            string
		outside, inside func(http.Handler) http.Handler
		value           any
		write           bool // before the panic
		status          int  // 0: no response
		values          string
	}{
		{"nobody recovers", none, none, "boom", false, 0, "old=1"},
		{"ErrAbortHandler", none, none, http.ErrAbortHandler, false, 0, "old=1"},
		{"recovered outside", recovering, none, "boom", false, 500, "old=1"},
		{"recovered inside: an answer as any other", none, recovering, "boom", false, 500, "new=2 old=1"},
		{"recovered inside and outside", recovering, recovering, "boom", false, 500, "new=2 old=1"},
		{"after the commit", none, recovering, "boom", true, 202, "new=2 old=1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			onEachProtocol(t, func(t *testing.T, proto string) {
				m := newWeb(t, nil)
				first := true
				v := m.serve(t, proto, test.outside(m.Handler(test.inside(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					s := m.Get(r)
					if first {
						first = false
						s.Put("old", 1)
						return
					}
					s.Put("new", 2)
					if test.write {
						w.WriteHeader(202)
					}
					panic(test.value)
				})))))
				v.get()
				resp, err := v.Client().Do(v.request(http.MethodPost, ""))
				<-m.returned
				status := 0
				if err == nil {
					resp.Body.Close()
					status = resp.StatusCode
				}
				if status != test.status {
					t.Errorf("got %d, %v; want %d", status, err, test.status)
				}
				v.wantValues(test.values)
				m.wantStats(1+uint64(strings.Count(test.values, "new")), 0, 0)
			})
		})
	}
}

// TestWriteAfterPanic shows what becomes of a goroutine that outlives its handler's panic.
func TestWriteAfterPanic(t *testing.T) {
	m := newWeb(t, nil)
	var s *cookiesession.Session
	var kept http.ResponseWriter
	h := m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s, kept = m.Get(r), w
		s.Put("user", "grace")
		panic("boom")
	}))
	w := httptest.NewRecorder()
	func() {
		defer func() { recover() }()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	}()
	s.Put("late", true)
	if err := s.Err(); !errors.Is(err, cookiesession.ErrCommitted) {
		t.Errorf("a change: got %v, want ErrCommitted", err)
	}
	io.WriteString(kept, "late")
	if h := w.Header(); h["Set-Cookie"] != nil || h["Vary"] != nil {
		t.Errorf("a write: got header %v", h)
	}
	m.wantStats(0, 0, 1)
}

// upload returns a form with a file of size bytes and fields, each a name and a value, and its Content-Type.
func upload(t *testing.T, size int, fields ...string) (body []byte, contentType string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	part, err := w.CreateFormFile("file", "large")
	if err != nil {
		t.Fatal(err)
	}
	part.Write(make([]byte, size))
	for i := 0; i < len(fields); i += 2 {
		w.WriteField(fields[i], fields[i+1])
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), w.FormDataContentType()
}

// readUpload reads the file of a form that upload made.
func readUpload(t *testing.T, r *http.Request, size int64) {
	t.Helper()
	file, _, err := r.FormFile("file")
	if err != nil {
		t.Error(err)
		return
	}
	defer file.Close()
	if n, err := io.Copy(io.Discard, file); n != size || err != nil {
		t.Errorf("read %d bytes, %v; want %d", n, err, size)
	}
}

// temporaryFiles returns a count of the files that package os has made since, and not removed.
func temporaryFiles(t *testing.T) func() int {
	t.Helper()
	directory := t.TempDir()
	t.Setenv("TMPDIR", directory)
	return func() int {
		entries, err := os.ReadDir(directory)
		if err != nil {
			t.Error(err)
		}
		return len(entries)
	}
}

// The temporary files of a form that was parsed inside Handler go when the request ends, as without the library: net/http
// removes those of the request that it made, which the application never sees. (With HTTP/2, Go 1.27.2 forgets to.)
func TestFormFilesAreRemoved(t *testing.T) {
	const size, memory = 1 << 16, 1 << 10
	body, contentType := upload(t, size)
	recovering := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer func() { recover() }()
			next.ServeHTTP(w, r)
		})
	}
	mux := func(next http.Handler) http.Handler {
		m := http.NewServeMux()
		m.Handle("POST /{path...}", next)
		return m
	}
	other := newManager(t, func(c *cookiesession.Config) { c.Name = "other" })
	type wrap = func(m *web, h http.Handler) http.Handler
	post := func(t *testing.T, proto string, wrap wrap, panics bool) (during, after int) {
		files := temporaryFiles(t)
		m := newWeb(t, nil)
		user := newVisitor(t, m.Manager)
		token := user.token()
		v := m.serve(t, proto, wrap(m, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if err := r.ParseMultipartForm(memory); err != nil {
				t.Error(err)
				return
			}
			during = files()
			readUpload(t, r, size)
			if panics {
				panic("boom")
			}
		})))
		r := v.request(http.MethodPost, string(body))
		r.Header.Set("Content-Type", contentType)
		r.Header.Set("Cookie", user.header())
		r.Header.Set(cookiesession.CSRFHeader, token)
		v.do(r)
		v.Close() // waits for the request's end
		return during, files()
	}
	without := func(_ *web, h http.Handler) http.Handler { return h }
	for _, test := range []struct {
		name   string
		wrap   wrap
		panics bool
	}{
		{"Handler", func(m *web, h http.Handler) http.Handler { return m.Handler(h) }, false},
		{"a mux inside", func(m *web, h http.Handler) http.Handler { return m.Handler(mux(h)) }, false},
		{"a mux outside", func(m *web, h http.Handler) http.Handler { return mux(m.Handler(h)) }, false},
		{"Handler twice", func(m *web, h http.Handler) http.Handler { return m.Handler(m.Handler(h)) }, false},
		{"two Managers", func(m *web, h http.Handler) http.Handler { return m.Handler(other.Handler(h)) }, false},
		{"ProtectCSRF, with the token in the header", func(m *web, h http.Handler) http.Handler { return m.Handler(m.ProtectCSRF(h)) }, false},
		{"recovered outside", func(m *web, h http.Handler) http.Handler { return recovering(m.Handler(h)) }, true},
		{"recovered outside of two Managers", func(m *web, h http.Handler) http.Handler { return recovering(m.Handler(other.Handler(h))) }, true},
		{"recovered outside of ProtectCSRF", func(m *web, h http.Handler) http.Handler { return recovering(m.Handler(m.ProtectCSRF(h))) }, true},
		{"recovered inside", func(m *web, h http.Handler) http.Handler { return m.Handler(recovering(h)) }, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			onEachProtocol(t, func(t *testing.T, proto string) {
				_, usual := post(t, proto, without, false)
				if usual != 0 && proto == "HTTP/1.1" {
					t.Errorf("got %d files at the end without Handler, want none", usual)
				}
				if during, after := post(t, proto, test.wrap, test.panics); during != 1 || after != usual {
					t.Errorf("got %d files while the handler ran, want 1; %d at the end, want %d", during, after, usual)
				}
			})
		})
	}
}

// A form that was parsed outside of Handler is its owner's.
func TestFormParsedOutside(t *testing.T) {
	files := temporaryFiles(t)
	body, contentType := upload(t, 1<<16)
	m := newWeb(t, nil)
	inner := m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if _, _, err := r.FormFile("file"); err != nil {
			t.Error(err)
		}
	}))
	after := 0
	v := m.serve(t, "HTTP/1.1", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseMultipartForm(1 << 10); err != nil {
			t.Error(err)
		}
		form := r.MultipartForm
		inner.ServeHTTP(w, r)
		if after = files(); r.MultipartForm != form {
			t.Error("got another form after Handler")
		}
	}))
	r := v.request(http.MethodPost, string(body))
	r.Header.Set("Content-Type", contentType)
	v.do(r)
	v.Close()
	if got := files(); after != 1 || got != 0 {
		t.Errorf("got %d files after Handler, want 1; %d at the end, want none", after, got)
	}
}

// An ErrorHandler that answers is the only one that answers, whatever its statuses.
func TestErrorPageHasOneStatus(t *testing.T) {
	for _, test := range []struct{ statuses, want []int }{
		{nil, []int{500}},
		{[]int{200}, []int{200}},
		{[]int{201}, []int{201}},
		{[]int{507}, []int{507}},
		{[]int{103}, []int{103, 500}},
		{[]int{199}, []int{199, 500}},
		{[]int{103, 200}, []int{103, 200}},
		{[]int{507, 103}, []int{507, 103}},
	} {
		m := newManager(t, func(c *cookiesession.Config) {
			c.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) {
				for _, status := range test.statuses {
					w.WriteHeader(status)
				}
				io.WriteString(w, "sorry")
			}
		})
		w := &statusWriter{discard: discard{http.Header{}}}
		m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			m.Get(r).Put("n", tooLarge)
		})).ServeHTTP(w, requestWith())
		if !slices.Equal(w.got, test.want) {
			t.Errorf("ErrorHandler wrote %d: got %d, want %d", test.statuses, w.got, test.want)
		}
	}
}

// A statusWriter notes the statuses that it gets.
type statusWriter struct {
	discard
	got []int
}

func (w *statusWriter) WriteHeader(status int) { w.got = append(w.got, status) }

// Whoever logs a request outside Handler reads the pattern that a mux inside matched, in whatever order they are put
// together: the same as without the library.
func TestPatternIsReadOutside(t *testing.T) {
	m := newManager(t, nil)
	other := newManager(t, func(c *cookiesession.Config) { c.Name = "other" })
	type wrap = func(http.Handler) http.Handler
	without := func(next http.Handler) http.Handler { return next }
	mux := func(pairs ...any) *http.ServeMux {
		mux := http.NewServeMux()
		for i := 0; i < len(pairs); i += 2 {
			mux.Handle(pairs[i].(string), pairs[i+1].(http.Handler))
		}
		return mux
	}
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Pattern, " ", r.PathValue("id")) })
	fails := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	unsaved := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s, ok := r.Context().Value(m).(*cookiesession.Session); ok {
			s.Put("n", tooLarge)
		}
		http.Error(w, "", http.StatusInternalServerError)
	})
	for _, test := range []struct {
		name  string
		chain func(sessions wrap) http.Handler
		want  map[string]string // by request
	}{
		{"a mux inside", func(sessions wrap) http.Handler {
			return sessions(mux("GET /items/{id}", page, "/about", page))
		}, map[string]string{
			"GET /items/7": "GET /items/{id}", "HEAD /items/7": "GET /items/{id}", "POST /items/7": "", "GET /about": "/about", "GET /nowhere": "",
		}},
		{"a mux outside", func(sessions wrap) http.Handler {
			return mux("GET /items/{id}", sessions(page))
		}, map[string]string{"GET /items/7": "GET /items/{id}"}},
		{"a mux on either side", func(sessions wrap) http.Handler {
			return mux("/shop/", sessions(mux("GET /shop/{id}", page)), "/", sessions(page))
		}, map[string]string{"GET /shop/7": "GET /shop/{id}", "GET /": "/", "GET /shop/7/8": "", "POST /shop/7": ""}},
		{"a mux in a mux", func(sessions wrap) http.Handler {
			return sessions(mux("/shop/", mux("GET /shop/{id}", page)))
		}, map[string]string{"GET /shop/7": "GET /shop/{id}"}},
		{"under a prefix, which copies the request", func(sessions wrap) http.Handler {
			return sessions(mux("/shop/", http.StripPrefix("/shop", mux("GET /{id}", page))))
		}, map[string]string{"GET /shop/7": "/shop/"}},
		{"Handler in Handler", func(sessions wrap) http.Handler {
			return sessions(sessions(mux("GET /{id}", page)))
		}, map[string]string{"GET /7": "GET /{id}"}},
		{"a redirect to a clean path", func(sessions wrap) http.Handler {
			return sessions(mux("/shop/", page))
		}, map[string]string{"GET /shop": "/shop/", "GET /shop//7": "/shop/"}},
		{"a panic", func(sessions wrap) http.Handler {
			return sessions(mux("GET /{id}", fails))
		}, map[string]string{"GET /7": "GET /{id}"}},
		{"a session that can't be saved", func(sessions wrap) http.Handler {
			return sessions(mux("GET /{id}", unsaved))
		}, map[string]string{"GET /7": "GET /{id}"}},
		{"set by hand", func(sessions wrap) http.Handler {
			return sessions(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { r.Pattern = "/by/hand" }))
		}, map[string]string{"GET /7": "/by/hand"}},
		{"taken back", func(sessions wrap) http.Handler {
			return mux("/", sessions(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { r.Pattern = "" })))
		}, map[string]string{"GET /7": ""}},
	} {
		for name, sessions := range map[string]wrap{
			"without the library": without, "Handler": m.Handler,
			"ProtectCSRF":    func(next http.Handler) http.Handler { return m.Handler(m.ProtectCSRF(next)) },
			"two Managers":   func(next http.Handler) http.Handler { return m.Handler(other.Handler(next)) },
			"over a context": func(next http.Handler) http.Handler { return withContext(m.Handler(next)) },
		} {
			for request, want := range test.want {
				var method, target string
				fmt.Sscan(request, &method, &target)
				r := httptest.NewRequest(method, target, nil)
				if name == "ProtectCSRF" && method == "POST" {
					continue // which is refused
				}
				func() {
					defer func() { recover() }()
					test.chain(sessions).ServeHTTP(httptest.NewRecorder(), r)
				}()
				if r.Pattern != want {
					t.Errorf("%s, %s: %s: outside the pattern is %q, want %q", test.name, name, request, r.Pattern, want)
				}
			}
		}
	}
}

// withContext is a middleware between the logger and Handler that copies the request and gives back what it learns.
func withContext(next http.Handler) http.Handler {
	type key struct{}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		inner := r.WithContext(context.WithValue(r.Context(), key{}, 1))
		defer func() { r.Pattern = inner.Pattern }()
		next.ServeHTTP(w, inner)
	})
}

// What has been committed isn't lost when the connection is taken over.
func TestHijackAfterCommitWarnsOfNothing(t *testing.T) {
	for name, commits := range map[string]bool{"before": false, "after": true} {
		var log logBuffer
		m := newManager(t, func(c *cookiesession.Config) { c.Logger = log.logger() })
		m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			m.Get(r).Put("n", 1)
			if commits {
				w.WriteHeader(http.StatusOK)
			}
			w.(http.Hijacker).Hijack()
		})).ServeHTTP(hijackable{httptest.NewRecorder()}, requestWith())
		if got := strings.Contains(log.take(), "hijacked with unsaved changes"); got == commits {
			t.Errorf("%s the commit: got a warning %v, want %v", name, got, !commits)
		}
	}
}

// The exchange is response writer and context: to log either shows neither cookies nor values, and what is discarded
// looks written.
func TestExchangeShowsNothing(t *testing.T) {
	m := newManager(t, func(c *cookiesession.Config) { c.ErrorHandler = func(http.ResponseWriter, *http.Request, error) {} })
	inHandler(m, requestWith(), func(w http.ResponseWriter, r *http.Request) {
		for _, x := range []any{w, r.Context(), w.(interface{ Unwrap() http.ResponseWriter }).Unwrap()} {
			if got, want := fmt.Sprintf("%+v", x), "cookiesession.exchange"; got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		}
		m.Get(r).Put("n", tooLarge)
		if n, err := io.WriteString(w, "more"); n != 4 || err != nil {
			t.Errorf("got %d, %v of what is discarded, want 4", n, err)
		}
	})
}
