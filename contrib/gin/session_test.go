package ginsession_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/seed-50e21e88/cookiesession"
	ginsession "github.com/seed-50e21e88/cookiesession/contrib/gin"
	"github.com/seed-50e21e88/cookiesession/cookiesessiontest"
)

func init() { gin.SetMode(gin.ReleaseMode) }

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

// seen is what middleware outside Sessions sees when the handlers are done.
type seen struct {
	status, size int
	written      bool
}

// newRouter returns a router as gin.Default makes it, with Sessions. What the outermost middleware sees is sent to the
// channel.
func newRouter(m *cookiesession.Manager) (*gin.Engine, <-chan seen) {
	outcome := make(chan seen, 10)
	router := gin.New()
	router.Use(func(c *gin.Context) {
		c.Next()
		outcome <- seen{c.Writer.Status(), c.Writer.Size(), c.Writer.Written()}
	})
	router.Use(gin.RecoveryWithWriter(io.Discard), ginsession.Sessions(m))
	return router, outcome
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

// Every way in which gin's handlers answer.
func answers(t testing.TB) []struct {
	name    string
	handler gin.HandlerFunc
	status  int
	body    string
	size    int // as gin counts: -1 if nothing has sent the header yet
} {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file.txt")
	if err := os.WriteFile(file, []byte("a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	return []struct {
		name    string
		handler gin.HandlerFunc
		status  int
		body    string
		size    int
	}{
		{"nothing", func(*gin.Context) {}, 200, "", -1},
		{"Status", func(c *gin.Context) { c.Status(204) }, 204, "", -1},
		{"WriteHeaderNow", func(c *gin.Context) { c.Status(202); c.Writer.WriteHeaderNow() }, 202, "", 0},
		{"WriteHeaderNow twice", func(c *gin.Context) { c.Writer.WriteHeaderNow(); c.Writer.WriteHeaderNow() }, 200, "", 0},
		{"Write", func(c *gin.Context) { c.Status(201); c.Writer.Write([]byte("bytes")) }, 201, "bytes", 5},
		{"WriteString", func(c *gin.Context) { c.Writer.WriteString("text") }, 200, "text", 4},
		{"String", func(c *gin.Context) { c.String(418, "tea %d", 1) }, 418, "tea 1", 5},
		{"JSON", func(c *gin.Context) { c.JSON(200, gin.H{"a": 1}) }, 200, `{"a":1}`, 7},
		{"JSON without a body", func(c *gin.Context) { c.JSON(304, gin.H{"a": 1}) }, 304, "", 0},
		{"Data", func(c *gin.Context) { c.Data(200, "text/plain", []byte("data")) }, 200, "data", 4},
		{"Redirect", func(c *gin.Context) { c.Redirect(303, "/elsewhere") }, 303, "<a href=\"/elsewhere\">See Other</a>.\n\n", 37},
		{"File", func(c *gin.Context) { c.File(file) }, 200, "a file", 6},
		{"DataFromReader", func(c *gin.Context) {
			c.DataFromReader(200, 6, "text/plain", strings.NewReader("reader"), nil)
		}, 200, "reader", 6},
		{"Stream", func(c *gin.Context) {
			n := 0
			c.Stream(func(w io.Writer) bool {
				n++
				fmt.Fprint(w, n)
				return n < 3
			})
		}, 200, "123", 3},
		{"SSEvent", func(c *gin.Context) { c.SSEvent("tick", 1); c.Writer.Flush() }, 200, "event:tick\ndata:1\n\n", 19},
		{"Flush", func(c *gin.Context) { c.Status(203); c.Writer.Flush() }, 203, "", 0},
		{"ResponseController", func(c *gin.Context) {
			rc := http.NewResponseController(c.Writer)
			if err := errors.Join(rc.SetWriteDeadline(time.Now().Add(time.Hour)), rc.Flush()); err != nil {
				t.Error(err)
			}
		}, 200, "", 0},
		{"Unwrap", func(c *gin.Context) {
			c.Writer.(interface{ Unwrap() http.ResponseWriter }).Unwrap().Write([]byte("beneath"))
		}, 200, "beneath", 7},
		{"Abort", func(c *gin.Context) { c.AbortWithStatus(401) }, 401, "", 0},
		{"AbortWithStatusJSON", func(c *gin.Context) { c.AbortWithStatusJSON(403, gin.H{}) }, 403, "{}", 2},
		{"AbortWithError", func(c *gin.Context) { c.AbortWithError(502, io.EOF) }, 502, "", 0},
	}
}

func TestCommit(t *testing.T) {
	for _, tt := range answers(t) {
		t.Run(tt.name, func(t *testing.T) {
			m := newManager(t, nil)
			router, outcome := newRouter(m)
			router.GET("/", func(c *gin.Context) {
				ginsession.Default(c).Put("user", "grace")
				tt.handler(c)
				if got := c.Writer.Written(); got != (tt.size >= 0) {
					t.Errorf("Written is %t", got)
				}
			}, func(c *gin.Context) {
				if strings.HasPrefix(tt.name, "Abort") {
					t.Error("Abort didn't stop the chain")
				}
			})
			client, _, base := newClient(t, router)
			resp, body := get(t, client, base)
			if resp.StatusCode != tt.status || body != tt.body {
				t.Errorf("got %d %q, want %d %q", resp.StatusCode, body, tt.status, tt.body)
			}
			if got, want := <-outcome, (seen{tt.status, tt.size, tt.size >= 0}); got != want {
				t.Errorf("middleware saw %+v, want %+v", got, want)
			}
			if s := cookiesessiontest.Session(t, m, resp); s.Get("user") != "grace" {
				t.Errorf("the response set %v", s.All())
			}
		})
	}
}

// scs: after a failed commit the 500 page is followed by the handler's body.
func TestFailedCommit(t *testing.T) {
	for _, tt := range answers(t) {
		t.Run(tt.name, func(t *testing.T) {
			m := newManager(t, nil)
			router, outcome := newRouter(m)
			router.GET("/", func(c *gin.Context) {
				ginsession.Default(c).Put("long", strings.Repeat("x", 9000))
				tt.handler(c)
			})
			client, jar, base := newClient(t, router)
			resp, body := get(t, client, base)
			if resp.StatusCode != 500 || body != "Internal Server Error\n" {
				t.Errorf("got %d %q, want the error page alone", resp.StatusCode, body)
			}
			if got, want := <-outcome, (seen{500, len("Internal Server Error\n"), true}); got != want {
				t.Errorf("middleware saw %+v, want %+v", got, want)
			}
			if n := len(jar.All()); n != 0 {
				t.Errorf("got %d cookies", n)
			}
		})
	}
}

// gin only notes a status, so that a later one would replace the error page's.
func TestStatusOfErrorPageStays(t *testing.T) {
	m := newManager(t, func(c *cookiesession.Config) {
		c.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) {
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusInsufficientStorage)
		}
	})
	router, outcome := newRouter(m)
	router.GET("/", func(c *gin.Context) {
		ginsession.Default(c).Put("long", strings.Repeat("x", 9000))
		c.String(201, "first")
		c.String(202, "second")
	})
	client, _, base := newClient(t, router)
	if resp, body := get(t, client, base); resp.StatusCode != 507 || body != "" {
		t.Errorf("got %d %q, want 507 without a body", resp.StatusCode, body)
	}
	if got, want := <-outcome, (seen{507, 0, true}); got != want {
		t.Errorf("middleware saw %+v, want %+v", got, want)
	}
}

// While browsers register a device's key or renew a proof, it's the Manager that answers.
func TestDeviceRequest(t *testing.T) {
	m := newManager(t, func(c *cookiesession.Config) { c.DeviceProof = 10 * time.Minute })
	router, outcome := newRouter(m)
	router.Use(func(c *gin.Context) {
		if c.Request.Method != http.MethodGet {
			t.Error("a handler ran")
		}
	})
	router.GET("/", func(c *gin.Context) {
		ginsession.Default(c).Regenerate()
		ginsession.Default(c).Put("user", "grace")
	})
	client, _, base := newClient(t, router)
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
	if got := <-outcome; resp.StatusCode != 200 || got.status != 200 || resp.Header.Get("Content-Type") != "application/json" {
		t.Errorf("got %d with %v, and middleware saw %+v", resp.StatusCode, resp.Header, got)
	}
}

// gin's Stream panics if the response writer isn't an http.CloseNotifier, an interface of old.
func TestStreamEndsWhenTheClientLeaves(t *testing.T) {
	for _, around := range []bool{false, true} { // the router, in the place of Sessions
		t.Run(fmt.Sprintf("Manager.Handler around the router %t", around), func(t *testing.T) {
			m := newManager(t, nil)
			router, _ := newRouter(m)
			if around {
				router = gin.New()
			}
			left := make(chan bool, 1)
			router.GET("/", func(c *gin.Context) {
				left <- c.Stream(func(w io.Writer) bool { io.WriteString(w, "tick"); return true })
			})
			handler := http.Handler(router)
			if around {
				handler = m.Handler(router)
			}
			client, _, base := newClient(t, handler)
			resp, err := client.Get(base)
			if err != nil {
				t.Fatal(err)
			}
			_, err = io.ReadFull(resp.Body, make([]byte, 40))
			resp.Body.Close()
			if err != nil {
				t.Fatal(err)
			}
			if !<-left {
				t.Error("Stream says that the handler ended it")
			}
		})
	}
}

func TestPanicSavesNothing(t *testing.T) {
	m := newManager(t, nil)
	router, outcome := newRouter(m)
	router.GET("/", func(c *gin.Context) {
		ginsession.Default(c).Put("user", "mallory")
		panic("half-way")
	})
	client, jar, base := newClient(t, router)
	resp, _ := get(t, client, base)
	if resp.StatusCode != 500 || len(jar.All()) != 0 || resp.Header["Set-Cookie"] != nil {
		t.Errorf("got %d with cookies %v", resp.StatusCode, jar.All())
	}
	if got := <-outcome; got.status != 500 {
		t.Errorf("middleware saw %+v", got)
	}
}

func TestNoRoute(t *testing.T) {
	m := newManager(t, nil)
	router, outcome := newRouter(m)
	router.Use(func(c *gin.Context) { ginsession.Default(c).Increment("pages", 1) })
	client, _, base := newClient(t, router)
	for n := int64(1); n < 3; n++ {
		resp, body := get(t, client, base+"/nowhere")
		if resp.StatusCode != 404 || body != "404 page not found" {
			t.Errorf("got %d %q", resp.StatusCode, body)
		}
		if s := cookiesessiontest.Session(t, m, resp); s.Get("pages") != n {
			t.Errorf("got %v, want %d", s.Get("pages"), n)
		}
		<-outcome
	}

	router.NoRoute(func(c *gin.Context) { c.String(404, "sorry, %v", ginsession.Default(c).Get("pages")) })
	if resp, body := get(t, client, base+"/nowhere"); resp.StatusCode != 404 || body != "sorry, 3" {
		t.Errorf("got %d %q", resp.StatusCode, body)
	}
}

func TestReadingSetsNothing(t *testing.T) {
	m := newManager(t, nil)
	router, _ := newRouter(m)
	router.GET("/login", func(c *gin.Context) { ginsession.Default(c).Put("user", "grace") })
	router.GET("/read", func(c *gin.Context) { c.String(200, "%v", ginsession.Default(c).Get("user")) })
	router.GET("/other", func(c *gin.Context) { c.String(200, "hello") })
	client, _, base := newClient(t, router)
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
	router, _ := newRouter(m)
	late := make(chan error, 1)
	router.GET("/", func(c *gin.Context) {
		c.String(200, "body")
		s := ginsession.Default(c)
		s.Put("user", "grace")
		late <- s.Err()
	})
	client, _, base := newClient(t, router)
	get(t, client, base)
	if err := <-late; !errors.Is(err, cookiesession.ErrCommitted) {
		t.Errorf("got %v, want ErrCommitted", err)
	}
}

func TestHijack(t *testing.T) {
	m := newManager(t, nil)
	router, outcome := newRouter(m)
	router.GET("/", func(c *gin.Context) {
		s := ginsession.Default(c)
		s.Put("user", "grace")
		h := make(http.Header)
		if err := m.Save(h, s); err != nil {
			t.Error(err)
		}
		conn, _, err := c.Writer.Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nSet-Cookie: %s\r\n\r\n", h.Get("Set-Cookie"))
		s.Put("user", "ada")
		if err := s.Err(); !errors.Is(err, cookiesession.ErrCommitted) {
			t.Errorf("a change after Hijack: got %v, want ErrCommitted", err)
		}
	})
	server := httptest.NewServer(router)
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
	router, _ := newRouter(m)
	router.Use(ginsession.Sessions(admin), ginsession.Sessions(m)) // the second m passes through
	router.GET("/", func(c *gin.Context) {
		m.Get(c.Request).Put("a", 1)
		ginsession.Default(c).Put("b", 2)
		c.String(200, "ok")
	})
	client, jar, base := newClient(t, router)
	resp, _ := get(t, client, base)
	a, b := cookiesessiontest.Session(t, m, resp), cookiesessiontest.Session(t, admin, resp)
	if len(jar.All()) != 2 || a.Get("a") != int64(1) || a.Has("b") || b.Get("b") != int64(2) || b.Has("a") {
		t.Errorf("got %d cookies, %v and %v", len(jar.All()), a.All(), b.All())
	}
}

func TestDefaultWithoutSessions(t *testing.T) {
	c, _ := gin.CreateTestContext(httptest.NewRecorder())
	c.Request = httptest.NewRequest("GET", "/", nil)
	defer func() {
		if recover() == nil {
			t.Error("Default without Sessions doesn't panic")
		}
	}()
	ginsession.Default(c)
}

func TestProtectCSRF(t *testing.T) {
	m := newManager(t, nil)
	router, outcome := newRouter(m)
	router.Use(ginsession.ProtectCSRF(m))
	handled := false
	router.POST("/", func(c *gin.Context) {
		handled = true
		c.String(200, "%s %v", c.PostForm("name"), ginsession.Default(c).Get("user"))
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
			router.ServeHTTP(w, r)
			if handled != (tt.status == 200) {
				t.Errorf("the handler ran: %t", handled)
			}
			if w.Code != tt.status || !strings.HasPrefix(w.Body.String(), tt.body) {
				t.Errorf("got %d %q, want %d %q", w.Code, w.Body, tt.status, tt.body)
			}
			if got := <-outcome; got.status != tt.status {
				t.Errorf("middleware saw %+v", got)
			}
		})
	}
}

func TestRequestContext(t *testing.T) {
	m := newManager(t, nil)
	router, _ := newRouter(m)
	type key struct{}
	router.Use(func(c *gin.Context) {
		c.Request = c.Request.WithContext(context.WithValue(c.Request.Context(), key{}, 1))
	})
	router.GET("/", func(c *gin.Context) { c.String(200, "%v", ginsession.Default(c.Copy()) == m.Get(c.Request)) })
	client, _, base := newClient(t, router)
	if _, body := get(t, client, base); body != "true" {
		t.Errorf("got %s", body)
	}
}
