package echosession_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/labstack/echo/v5"
	"github.com/labstack/echo/v5/middleware"
	"github.com/seed-50e21e88/cookiesession"
	echosession "github.com/seed-50e21e88/cookiesession/contrib/echo"
	"github.com/seed-50e21e88/cookiesession/cookiesessiontest"
)

func newManager(t testing.TB, change func(*cookiesession.Config)) *cookiesession.Manager {
	t.Helper()
	keys, err := cookiesession.NewKeyring(cookiesession.GenerateKey("test"))
	if err != nil {
		t.Fatal(err)
	}
	c := cookiesession.Config{Keys: keys, Logger: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&c)
	}
	m, err := cookiesession.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// seen is what middleware outside Middleware sees when the handler is done.
type seen struct {
	status    int
	committed bool
}

// newEcho returns an Echo that uses Middleware. What the outermost middleware sees is sent to the channel.
func newEcho(m *cookiesession.Manager, inside ...echo.MiddlewareFunc) (*echo.Echo, <-chan seen) {
	outcome := make(chan seen, 10)
	e := echo.New()
	e.Logger = slog.New(slog.DiscardHandler)
	e.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c *echo.Context) error {
			err := next(c)
			response, _ := echo.UnwrapResponse(c.Response())
			outcome <- seen{response.Status, response.Committed}
			return err
		}
	})
	e.Use(middleware.Recover(), echosession.Middleware(m))
	e.Use(inside...)
	return e, outcome
}

// newClient starts a server for h and returns a strict browser for it.
func newClient(t testing.TB, h http.Handler) (client *http.Client, jar *cookiesessiontest.Jar, base string) {
	t.Helper()
	server := httptest.NewTLSServer(h)
	t.Cleanup(server.Close)
	jar = cookiesessiontest.NewJar()
	client = server.Client()
	client.Jar = jar
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return client, jar, server.URL
}

func get(t testing.TB, client *http.Client, url string) (*http.Response, string) {
	t.Helper()
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

// Every way in which Echo's handlers answer.
var answers = []struct {
	name      string
	handler   echo.HandlerFunc
	status    int
	body      string
	committed bool // when the handler is done
}{
	{"nothing", func(*echo.Context) error { return nil }, 200, "", false},
	{"NoContent", func(c *echo.Context) error { return c.NoContent(204) }, 204, "", true},
	{"String", func(c *echo.Context) error { return c.String(418, "tea") }, 418, "tea", true},
	{"HTML", func(c *echo.Context) error { return c.HTML(200, "<p>") }, 200, "<p>", true},
	{"JSON", func(c *echo.Context) error { return c.JSON(201, []int{1}) }, 201, "[1]\n", true},
	{"JSON that fails", func(c *echo.Context) error { return c.JSON(200, make(chan int)) }, 500, `{"message":"Internal Server Error"}` + "\n", false},
	{"XML", func(c *echo.Context) error { return c.XMLBlob(200, []byte("<a/>")) }, 200, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<a/>", true},
	{"Blob", func(c *echo.Context) error { return c.Blob(200, "text/plain", []byte("blob")) }, 200, "blob", true},
	{"Stream", func(c *echo.Context) error { return c.Stream(200, "text/plain", strings.NewReader("stream")) }, 200, "stream", true},
	{"File", func(c *echo.Context) error {
		return c.FileFS("a.txt", fstest.MapFS{"a.txt": {Data: []byte("a file")}})
	}, 200, "a file", true},
	{"Redirect", func(c *echo.Context) error { return c.Redirect(303, "/elsewhere") }, 303, "", true},
	{"Write", func(c *echo.Context) error { _, err := io.WriteString(c.Response(), "text"); return err }, 200, "text", true},
	{"Flush", func(c *echo.Context) error {
		c.Response().WriteHeader(202)
		return http.NewResponseController(c.Response()).Flush()
	}, 202, "", true},
	{"server-sent events", func(c *echo.Context) error {
		for i := range 3 {
			if _, err := fmt.Fprintf(c.Response(), "data: %d\n\n", i); err != nil {
				return err
			}
			if err := http.NewResponseController(c.Response()).Flush(); err != nil {
				return err
			}
		}
		return nil
	}, 200, "data: 0\n\ndata: 1\n\ndata: 2\n\n", true},
	{"an error", func(*echo.Context) error { return errors.New("secret") }, 500, `{"message":"Internal Server Error"}` + "\n", false},
	{"an HTTP error", func(*echo.Context) error { return echo.NewHTTPError(409, "taken") }, 409, `{"message":"taken"}` + "\n", false},
	{"an error after the header", func(c *echo.Context) error {
		if err := c.String(202, "half"); err != nil {
			return err
		}
		return errors.New("secret")
	}, 202, "half", true},
	{"a handler of net/http", echo.WrapHandler(http.NotFoundHandler()), 404, "404 page not found\n", true},
}

func TestCommit(t *testing.T) {
	for _, tt := range answers {
		t.Run(tt.name, func(t *testing.T) {
			m := newManager(t, nil)
			e, outcome := newEcho(m)
			e.GET("/", func(c *echo.Context) error {
				echosession.Get(c).Put("user", "grace")
				return tt.handler(c)
			})
			client, _, base := newClient(t, e)
			resp, body := get(t, client, base)
			if resp.StatusCode != tt.status || body != tt.body {
				t.Errorf("got %d %q, want %d %q", resp.StatusCode, body, tt.status, tt.body)
			}
			if s := cookiesessiontest.Session(t, m, resp); s.Get("user") != "grace" {
				t.Errorf("the response set %v", s.All())
			}
			want := seen{tt.status, tt.committed}
			if !tt.committed {
				want.status = 200 // what Echo starts with
			}
			if got := <-outcome; got != want {
				t.Errorf("middleware saw %+v, want %+v", got, want)
			}
		})
	}
}

// scs: after a failed commit the 500 page is followed by the handler's body.
func TestFailedCommit(t *testing.T) {
	for _, tt := range answers {
		t.Run(tt.name, func(t *testing.T) {
			m := newManager(t, nil)
			e, outcome := newEcho(m)
			e.GET("/", func(c *echo.Context) error {
				echosession.Get(c).Put("long", strings.Repeat("x", 9000))
				return tt.handler(c)
			})
			client, jar, base := newClient(t, e)
			resp, body := get(t, client, base)
			if resp.StatusCode != 500 || body != "Internal Server Error\n" {
				t.Errorf("got %d %q, want the error page alone", resp.StatusCode, body)
			}
			if got, want := <-outcome, (seen{500, true}); got != want {
				t.Errorf("middleware saw %+v, want %+v", got, want)
			}
			if n := len(jar.All()); n != 0 {
				t.Errorf("got %d cookies", n)
			}
		})
	}
}

func TestCompression(t *testing.T) {
	for _, where := range []string{"outside", "inside"} {
		for _, value := range []string{"fits", strings.Repeat("x", 9000)} {
			t.Run(fmt.Sprintf("%s, %d bytes", where, len(value)), func(t *testing.T) {
				m := newManager(t, nil)
				e := echo.New()
				e.Logger = slog.New(slog.DiscardHandler)
				if where == "outside" {
					e.Use(middleware.Gzip(), echosession.Middleware(m))
				} else {
					e.Use(echosession.Middleware(m), middleware.Gzip())
				}
				e.GET("/", func(c *echo.Context) error {
					echosession.Get(c).Put("value", value)
					return c.String(200, "body")
				})
				client, _, base := newClient(t, e)
				resp, body := get(t, client, base)
				if len(value) > 1000 {
					if resp.StatusCode != 500 || body != "Internal Server Error\n" {
						t.Errorf("got %d %q, want the error page alone", resp.StatusCode, body)
					}
					return
				}
				if s := cookiesessiontest.Session(t, m, resp); resp.StatusCode != 200 || body != "body" || !resp.Uncompressed || s.Get("value") != value {
					t.Errorf("got %d %q, compressed %t, %v", resp.StatusCode, body, resp.Uncompressed, s.All())
				}
			})
		}
	}
}

func TestPanicSavesNothing(t *testing.T) {
	m := newManager(t, nil)
	e, _ := newEcho(m)
	e.GET("/", func(c *echo.Context) error {
		echosession.Get(c).Put("user", "mallory")
		panic("half-way")
	})
	client, jar, base := newClient(t, e)
	resp, body := get(t, client, base)
	if resp.StatusCode != 500 || !strings.Contains(body, "Internal Server Error") || len(jar.All()) != 0 || resp.Header["Set-Cookie"] != nil {
		t.Errorf("got %d %q with cookies %v", resp.StatusCode, body, jar.All())
	}
}

func TestHooks(t *testing.T) {
	m := newManager(t, nil)
	e, _ := newEcho(m, func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c *echo.Context) error {
			response, err := echo.UnwrapResponse(c.Response())
			if err != nil {
				return err
			}
			response.Before(func() { echosession.Get(c).Put("before", true) }) // the last chance
			return next(c)
		}
	})
	e.GET("/", func(c *echo.Context) error { return c.String(200, "ok") })
	client, _, base := newClient(t, e)
	resp, _ := get(t, client, base)
	if s := cookiesessiontest.Session(t, m, resp); s.Get("before") != true {
		t.Errorf("got %v", s.All())
	}
}

func TestNotFound(t *testing.T) {
	m := newManager(t, nil)
	e, _ := newEcho(m, func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c *echo.Context) error {
			echosession.Get(c).Increment("pages", 1)
			return next(c)
		}
	})
	client, _, base := newClient(t, e)
	for n := int64(1); n < 3; n++ {
		resp, body := get(t, client, base+"/nowhere")
		if s := cookiesessiontest.Session(t, m, resp); resp.StatusCode != 404 || !strings.Contains(body, "Not Found") || s.Get("pages") != n {
			t.Errorf("got %d %q, %v", resp.StatusCode, body, s.All())
		}
	}
}

func TestReadingSetsNothing(t *testing.T) {
	m := newManager(t, nil)
	e, _ := newEcho(m)
	e.GET("/login", func(c *echo.Context) error { echosession.Get(c).Put("user", "grace"); return nil })
	e.GET("/read", func(c *echo.Context) error { return c.JSON(200, echosession.Get(c).Get("user")) })
	e.GET("/other", func(c *echo.Context) error { return c.String(200, "hello") })
	client, _, base := newClient(t, e)
	get(t, client, base+"/login")
	for path, vary := range map[string]string{"/read": "Cookie", "/other": ""} {
		resp, _ := get(t, client, base+path)
		if resp.Header["Set-Cookie"] != nil || resp.Header.Get("Vary") != vary {
			t.Errorf("%s: Set-Cookie %q, Vary %q", path, resp.Header["Set-Cookie"], resp.Header.Get("Vary"))
		}
	}
}

// gorilla/sessions: a change after the first Write is lost silently.
func TestLateChange(t *testing.T) {
	m := newManager(t, nil)
	e, _ := newEcho(m)
	late := make(chan error, 1)
	e.GET("/", func(c *echo.Context) error {
		err := c.String(200, "body")
		s := echosession.Get(c)
		s.Put("user", "grace")
		late <- s.Err()
		return err
	})
	client, _, base := newClient(t, e)
	get(t, client, base)
	if err := <-late; !errors.Is(err, cookiesession.ErrCommitted) {
		t.Errorf("got %v, want ErrCommitted", err)
	}
}

func TestHijack(t *testing.T) {
	m := newManager(t, nil)
	e, outcome := newEcho(m)
	e.GET("/", func(c *echo.Context) error {
		s := echosession.Get(c)
		s.Put("user", "grace")
		h := make(http.Header)
		if err := m.Save(h, s); err != nil {
			return err
		}
		conn, _, err := http.NewResponseController(c.Response()).Hijack()
		if err != nil {
			return err
		}
		defer conn.Close()
		fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nSet-Cookie: %s\r\n\r\n", h.Get("Set-Cookie"))
		s.Put("user", "ada")
		if err := s.Err(); !errors.Is(err, cookiesession.ErrCommitted) {
			t.Errorf("a change after Hijack: got %v, want ErrCommitted", err)
		}
		return nil
	})
	server := httptest.NewServer(e)
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if s := cookiesessiontest.Session(t, m, resp); resp.StatusCode != 101 || s.Get("user") != "grace" {
		t.Errorf("got %d, %v", resp.StatusCode, s.All())
	}
	<-outcome
}

func TestTwoManagers(t *testing.T) {
	m, admin := newManager(t, nil), newManager(t, func(c *cookiesession.Config) { c.Name = "admin" })
	e, _ := newEcho(m, echosession.Middleware(admin), echosession.Middleware(m)) // the second m passes through
	e.GET("/", func(c *echo.Context) error {
		m.Get(c.Request()).Put("a", 1)
		echosession.Get(c).Put("b", 2)
		return c.String(200, "ok")
	})
	client, jar, base := newClient(t, e)
	resp, _ := get(t, client, base)
	a, b := cookiesessiontest.Session(t, m, resp), cookiesessiontest.Session(t, admin, resp)
	if len(jar.All()) != 2 || a.Get("a") != int64(1) || a.Has("b") || b.Get("b") != int64(2) || b.Has("a") {
		t.Errorf("got %d cookies, %v and %v", len(jar.All()), a.All(), b.All())
	}
}

// While browsers register a device's key or renew a proof, it's the Manager that answers.
func TestDeviceRequest(t *testing.T) {
	m := newManager(t, func(c *cookiesession.Config) { c.DeviceProof = 10 * time.Minute })
	e, outcome := newEcho(m, func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c *echo.Context) error {
			if c.Request().Method != http.MethodGet {
				t.Error("a handler ran")
			}
			return next(c)
		}
	})
	e.GET("/", func(c *echo.Context) error {
		echosession.Get(c).Regenerate()
		echosession.Get(c).Put("user", "grace")
		return c.NoContent(204)
	})
	client, _, base := newClient(t, e)
	resp, _ := get(t, client, base)
	if got := resp.Header.Get("Secure-Session-Registration"); !strings.Contains(got, `path="/.cookiesession/session"`) {
		t.Errorf("got the invitation %q", got)
	}
	<-outcome
	resp, err := client.Post(base+"/.cookiesession/session", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if got := <-outcome; resp.StatusCode != 200 || got != (seen{200, true}) || resp.Header.Get("Content-Type") != "application/json" {
		t.Errorf("got %d with %v, and middleware saw %+v", resp.StatusCode, resp.Header, got)
	}
}

func TestGetWithoutMiddleware(t *testing.T) {
	c := echo.New().NewContext(httptest.NewRequest("GET", "/", nil), httptest.NewRecorder())
	defer func() {
		if recover() == nil {
			t.Error("Get without Middleware doesn't panic")
		}
	}()
	echosession.Get(c)
}

// Middleware can't work beneath a writer that hides Echo's Response, and says so.
func TestForeignWriter(t *testing.T) {
	e := echo.New()
	e.Logger = slog.New(slog.DiscardHandler)
	c := e.NewContext(httptest.NewRequest("GET", "/", nil), httptest.NewRecorder())
	c.SetResponse(httptest.NewRecorder())
	err := echosession.Middleware(newManager(t, nil))(func(*echo.Context) error {
		t.Error("the handler ran")
		return nil
	})(c)
	if err == nil {
		t.Error("got no error")
	}
}

func TestProtectCSRF(t *testing.T) {
	m := newManager(t, nil)
	e, outcome := newEcho(m, echosession.ProtectCSRF(m))
	handled := false
	e.POST("/", func(c *echo.Context) error {
		handled = true
		return c.String(200, fmt.Sprint(c.FormValue("name"), " ", echosession.Get(c).Get("user")))
	})
	tests := []struct {
		name    string
		prepare func(r *http.Request, token string)
		status  int
		body    string
	}{
		{"a token in the form", func(r *http.Request, token string) {
			form := url.Values{"name": {"ada"}, cookiesession.CSRFField: {token}}
			r.Body = io.NopCloser(strings.NewReader(form.Encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}, 200, "ada grace"},
		{"a token in the header", func(r *http.Request, token string) { r.Header.Set(cookiesession.CSRFHeader, token) }, 200, " grace"},
		{"no token", func(*http.Request, string) {}, 403, "403 forbidden"},
		{"from another site", func(r *http.Request, token string) {
			r.Header.Set(cookiesession.CSRFHeader, token)
			r.Header.Set("Sec-Fetch-Site", "cross-site")
		}, 403, "403 forbidden"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest("POST", "/", nil)
			r = cookiesessiontest.RequestWith(t, m, r, func(s *cookiesession.Session) {
				s.Put("user", "grace")
				tt.prepare(r, s.CSRFToken())
			})
			handled = false
			w := httptest.NewRecorder()
			e.ServeHTTP(w, r)
			if handled != (tt.status == 200) {
				t.Errorf("the handler ran: %t", handled)
			}
			if w.Code != tt.status || !strings.HasPrefix(w.Body.String(), tt.body) {
				t.Errorf("got %d %q, want %d %q", w.Code, w.Body, tt.status, tt.body)
			}
			if got := <-outcome; got != (seen{tt.status, true}) {
				t.Errorf("middleware saw %+v", got)
			}
		})
	}
}
