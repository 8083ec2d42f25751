package fibersession_test

import (
	"bufio"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/adaptor"
	"github.com/gofiber/fiber/v3/middleware/cache"
	"github.com/gofiber/fiber/v3/middleware/encryptcookie"
	"github.com/gofiber/fiber/v3/middleware/recover"
	"github.com/gofiber/fiber/v3/middleware/timeout"
	"github.com/seed-50e21e88/cookiesession"
	fibersession "github.com/seed-50e21e88/cookiesession/contrib/fiber"
	"github.com/seed-50e21e88/cookiesession/cookiesessiontest"
)

// What Config's functions are given doesn't depend on Fiber's memory.
func TestRequestIsACopy(t *testing.T) {
	var rejected []*http.Request
	m := newManager(t, func(c *cookiesession.Config) {
		c.OnReject = func(r *http.Request, _ *cookiesession.RejectError) { rejected = append(rejected, r) }
	})
	app := newApp(m)
	app.Post("/*", func(c fiber.Ctx) error {
		return c.SendString(fmt.Sprint(fibersession.Get(c).IsNew(), string(c.Body())))
	})
	client, _, base := newClient(t, app)
	for _, word := range []string{"first", "other"} {
		r, err := http.NewRequest("POST", base+"/"+word+"?q="+word, strings.NewReader(word))
		if err != nil {
			t.Fatal(err)
		}
		r.Header["X-Word"] = []string{word, word}
		r.Header.Set("Cookie", m.CookieName()+"="+word)
		r.Host = word + ".example"
		if _, body := do(t, client, r); body != "true"+word {
			t.Errorf("got %q", body)
		}
	}
	if len(rejected) != 2 {
		t.Fatalf("OnReject was told %d times", len(rejected))
	}
	for i, word := range []string{"first", "other"} {
		r := rejected[i]
		got := fmt.Sprint(r.Method, r.Host, r.URL, r.RequestURI, r.Header["X-Word"], r.Header["Cookie"])
		want := fmt.Sprint("POST", word+".example", "/"+word+"?q="+word, "/"+word+"?q="+word, []string{word, word}, []string{m.CookieName() + "=" + word})
		if got != want || r.RemoteAddr == "" {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// With DisableHeaderNormalizing, names of header fields are sent as handlers spell them.
func TestSpellingOfHeader(t *testing.T) {
	m := newManager(t, nil)
	app := fiber.New(fiber.Config{DisableHeaderNormalizing: true})
	app.Use("*", fibersession.Middleware(m))
	app.Get("/", func(c fiber.Ctx) error {
		c.Set("CDN-Cache-Control", "max-age=600")
		c.Set("vary", "Accept")
		fibersession.Get(c).Put("user", "grace")
		return nil
	})
	client, _, base := newClient(t, app)
	resp, _ := get(t, client, base)
	h := resp.Header
	if s := cookiesessiontest.Session(t, m, resp); s.Get("user") != "grace" || h.Get("CDN-Cache-Control") != "" || strings.Join(h["Vary"], ", ") != "Accept, Cookie" {
		t.Errorf("got %v with header %v", s.All(), h)
	}
}

// A session is right when Fiber has used its request's memory for others, even if it is opened only then, and although
// what the handler put into it lies in that memory.
func TestSessionIsACopy(t *testing.T) {
	m := newManager(t, nil)
	app := newApp(m)
	const n = 10
	unopened, changed := make(chan *cookiesession.Session, n), make(chan *cookiesession.Session, n)
	app.Get("/read", func(c fiber.Ctx) error { unopened <- fibersession.Get(c); return nil })
	app.Get("/change/:key", func(c fiber.Ctx) error {
		s := fibersession.Get(c)
		s.Put(c.Params("key"), c.Query("value"))
		changed <- s
		return nil
	})
	client, _, base := newClient(t, app)
	client.Jar = nil // each request is another visitor's
	for i := range n {
		for _, path := range []string{"/read", fmt.Sprintf("/change/key%d?value=value%d", i, i)} {
			r, err := http.NewRequest("GET", base+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			do(t, client, cookiesessiontest.RequestWith(t, m, r, func(s *cookiesession.Session) {
				s.Put("user", i)
				s.Flash("notice", i)
			}))
		}
	}
	for i := range n {
		s := <-unopened
		if got, want := fmt.Sprint(s.All(), s.Flashed("notice")), fmt.Sprint(map[string]any{"user": i}, i); got != want {
			t.Errorf("opened late: got %s, want %s", got, want)
		}
		s = <-changed
		want := map[string]any{"user": int64(i), fmt.Sprint("key", i): fmt.Sprint("value", i)}
		if got := s.All(); !maps.Equal(got, want) {
			t.Errorf("changed: got %v, want %v", got, want)
		}
	}
}

// What the package's documentation says about what writes a body when the handler has returned.
func TestContextIsUsedAgain(t *testing.T) {
	m := newManager(t, nil)
	app := newApp(m)
	returned, served, read := make(chan bool), make(chan fiber.Ctx), make(chan bool)
	app.Get("/stream", func(c fiber.Ctx) error {
		s := fibersession.Get(c)
		return c.SendStreamWriter(func(w *bufio.Writer) {
			returned <- true
			if c == <-served {
				fmt.Fprint(w, s.Get("user"), " ", fibersession.Get(c).Get("user"))
			}
			read <- true
		})
	})
	app.Get("/other", func(c fiber.Ctx) error {
		served <- c
		<-read
		return nil
	})
	client, _, base := newClient(t, app)
	client.Jar = nil // each request is another visitor's
	request := func(path, user string) *http.Request {
		r, err := http.NewRequest("GET", base+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		return cookiesessiontest.Request(t, m, r, map[string]any{"user": user})
	}
	for range 200 { // pools forget under the race detector, and where there are many processors
		stream := make(chan string, 1)
		go func(r *http.Request) {
			_, body := do(t, client, r)
			stream <- body
		}(request("/stream", "grace"))
		<-returned
		do(t, client, request("/other", "ada"))
		if got := <-stream; got == "grace ada" {
			return
		} else if got != "" {
			t.Fatalf("got %q, want the session of grace by itself and that of ada by the context", got)
		}
	}
	t.Error("Fiber has used no context again: does it still?")
}

// What the package's documentation says about Fiber's cache.
func TestCache(t *testing.T) {
	m := newManager(t, nil)
	session := fibersession.Middleware(m)
	for _, tt := range []struct {
		name  string
		chain []any
		ada   string // what she gets after grace
	}{
		{"before Middleware", []any{"*", cache.New(), session}, "ada"},
		{"behind Middleware", []any{"*", session, cache.New()}, "grace"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			app := fiber.New()
			app.Use(tt.chain...)
			app.Get("/", func(c fiber.Ctx) error { return c.SendString(fmt.Sprint(fibersession.Get(c).Get("user"))) })
			client, _, base := newClient(t, app)
			client.Jar = nil
			for _, visitor := range []struct{ user, want string }{{"grace", "grace"}, {"ada", tt.ada}} {
				r, err := http.NewRequest("GET", base, nil)
				if err != nil {
					t.Fatal(err)
				}
				r = cookiesessiontest.Request(t, m, r, map[string]any{"user": visitor.user})
				if _, body := do(t, client, r); body != visitor.want {
					t.Errorf("%s got the page of %s, want that of %s", visitor.user, body, visitor.want)
				}
			}
		})
	}
}

// What the package's documentation says about Fiber's encryptcookie.
func TestEncryptCookie(t *testing.T) {
	m := newManager(t, nil)
	session, encrypt := fibersession.Middleware(m), encryptcookie.New(encryptcookie.Config{Key: encryptcookie.GenerateKey(32)})
	for _, tt := range []struct {
		name  string
		chain []any
		size  int
		want  string // in the second request
	}{
		{"before Middleware, small", []any{"*", encrypt, session}, 1000, "1000"},
		{"before Middleware, large", []any{"*", encrypt, session}, 2500, "0"},
		{"behind Middleware, large", []any{"*", session, encrypt}, 4000, "4000"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			app := fiber.New(fiber.Config{ReadBufferSize: 16 << 10})
			app.Use(tt.chain...)
			app.Get("/put", func(c fiber.Ctx) error {
				fibersession.Get(c).Put("text", strings.Repeat("x", tt.size))
				return nil
			})
			app.Get("/get", func(c fiber.Ctx) error {
				return c.SendString(fmt.Sprint(len(cookiesession.Field[string]("text").Get(fibersession.Get(c)))))
			})
			client, _, base := newClient(t, app)
			get(t, client, base+"/put")
			if _, body := get(t, client, base+"/get"); body != tt.want {
				t.Errorf("got %s bytes, want %s", body, tt.want)
			}
		})
	}
}

// Fiber takes URLs that net/http refuses, and app.Use leaves out unless it is told "*".
func TestOddURL(t *testing.T) {
	m := newManager(t, nil)
	app := newApp(m)
	app.Get("/*", func(c fiber.Ctx) error { fibersession.Get(c).Put("user", "grace"); return nil })
	app.Post("/*", fibersession.ProtectCSRF(m), func(fiber.Ctx) error { t.Error("the handler ran"); return nil })
	_, _, base := newClient(t, app)
	for method, want := range map[string]int{"GET": 200, "POST": 403} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "%s foo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", method)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if s := cookiesessiontest.Session(t, m, resp); resp.StatusCode != want || s.Has("user") != (method == "GET") {
			t.Errorf("%s: got %d, %v", method, resp.StatusCode, s.All())
		}
	}
}

// Fiber sends these responses before Middleware can add to them, as the package's documentation says.
func TestResponseSentEarly(t *testing.T) {
	m := newManager(t, nil)
	app := newApp(m)
	late := make(chan error, 1)
	app.Get("/end", func(c fiber.Ctx) error {
		fibersession.Get(c).Put("user", "grace")
		if err := c.SendString("end"); err != nil {
			return err
		}
		return c.End()
	})
	answered := make(chan struct{})
	app.Get("/timeout", timeout.New(func(c fiber.Ctx) error {
		s := fibersession.Get(c)
		s.Put("user", "grace")
		<-answered
		s.Put("user", "mallory")
		late <- s.Err()
		return nil
	}, timeout.Config{Timeout: time.Millisecond}))
	client, _, base := newClient(t, app)
	for path, want := range map[string]string{"/end": "end", "/timeout": "Request Timeout"} {
		resp, body := get(t, client, base+path)
		if body != want || resp.Header["Set-Cookie"] != nil {
			t.Errorf("%s: got %q with cookies %q", path, body, resp.Header["Set-Cookie"])
		}
	}
	close(answered)
	if err := <-late; !errors.Is(err, cookiesession.ErrCommitted) {
		t.Errorf("got %v, want ErrCommitted", err)
	}
}

// Fiber's default refuses sessions that a Manager's default allows: the package's documentation says what to do.
func TestReadBufferSize(t *testing.T) {
	for size, want := range map[int]int{0: 431, 16 << 10: 200} {
		app := fiber.New(fiber.Config{ReadBufferSize: size})
		app.Use(fibersession.Middleware(newManager(t, nil)))
		app.Get("/", func(c fiber.Ctx) error {
			fibersession.Get(c).Put("text", strings.Repeat("x", 4000))
			return nil
		})
		client, _, base := newClient(t, app)
		get(t, client, base)
		if resp, _ := get(t, client, base); resp.StatusCode != want {
			t.Errorf("ReadBufferSize %d: got %d, want %d", size, resp.StatusCode, want)
		}
	}
}

// Why this package exists: Fiber's adaptor by itself doesn't keep the promises.
func TestAdaptorAlone(t *testing.T) {
	t.Run("HTTPMiddleware is done before the handlers start", func(t *testing.T) {
		m := newManager(t, nil)
		var s *cookiesession.Session
		app := fiber.New()
		app.Use(adaptor.HTTPMiddleware(func(next http.Handler) http.Handler {
			return m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				s = m.Get(r)
				next.ServeHTTP(w, r)
			}))
		}))
		var err error
		app.Get("/", func(fiber.Ctx) error {
			s.Put("user", "grace")
			err = s.Err()
			return nil
		})
		client, jar, base := newClient(t, app)
		get(t, client, base)
		if !errors.Is(err, cookiesession.ErrCommitted) || len(jar.All()) != 0 {
			t.Errorf("got error %v and %d cookies: has HTTPMiddleware learnt to wait?", err, len(jar.All()))
		}
	})
	t.Run("FiberApp loses the request's context", func(t *testing.T) {
		app := fiber.New()
		app.Use(recover.New())
		app.Get("/", func(c fiber.Ctx) error {
			fibersession.Get(c)
			return nil
		})
		outer := fiber.New()
		outer.Use(adaptor.HTTPHandler(newManager(t, nil).Handler(adaptor.FiberApp(app))))
		client, _, base := newClient(t, outer)
		if resp, body := get(t, client, base); resp.StatusCode != 500 || !strings.Contains(body, "did not come through a Handler") {
			t.Errorf("got %d %q: has FiberApp learnt to hand it on?", resp.StatusCode, body)
		}
	})
}
