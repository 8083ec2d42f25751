package fibersession_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/adaptor"
	"github.com/gofiber/fiber/v3/middleware/compress"
	"github.com/gofiber/fiber/v3/middleware/recover"
	"github.com/seed-50e21e88/cookiesession"
	fibersession "github.com/seed-50e21e88/cookiesession/contrib/fiber"
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

func newApp(m *cookiesession.Manager) *fiber.App {
	app := fiber.New(fiber.Config{StreamRequestBody: true, ReadBufferSize: 32 << 10})
	app.Use("*", recover.New(), fibersession.Middleware(m))
	return app
}

// newClient starts app and returns a strict browser for it.
func newClient(t testing.TB, app *fiber.App) (client *http.Client, jar *cookiesessiontest.Jar, base string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- app.Listener(listener, fiber.ListenConfig{DisableStartupMessage: true}) }()
	transport := new(http.Transport)
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		if err := errors.Join(app.Shutdown(), <-served); err != nil {
			t.Error(err)
		}
	})
	jar = cookiesessiontest.NewJar()
	return &http.Client{
		Transport: transport, Jar: jar,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, jar, "http://" + listener.Addr().String()
}

func do(t testing.TB, client *http.Client, r *http.Request) (*http.Response, string) {
	t.Helper()
	resp, err := client.Do(r)
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

func get(t testing.TB, client *http.Client, url string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest("GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return do(t, client, r)
}

// Every way in which Fiber's handlers answer.
var answers = []struct {
	name    string
	handler fiber.Handler
	status  int
	body    string
}{
	{"nothing", func(fiber.Ctx) error { return nil }, 200, ""},
	{"SendStatus", func(c fiber.Ctx) error { return c.SendStatus(204) }, 204, ""},
	{"SendString", func(c fiber.Ctx) error { return c.Status(418).SendString("tea") }, 418, "tea"},
	{"JSON", func(c fiber.Ctx) error { return c.JSON([]int{1}) }, 200, "[1]"},
	{"Write", func(c fiber.Ctx) error { _, err := fmt.Fprint(c, "text"); return err }, 200, "text"},
	{"Redirect", func(c fiber.Ctx) error { return c.Redirect().To("/elsewhere") }, 303, ""},
	{"SendStream", func(c fiber.Ctx) error { return c.SendStream(strings.NewReader("stream")) }, 200, "stream"},
	{"SendStreamWriter", func(c fiber.Ctx) error {
		return c.SendStreamWriter(func(w *bufio.Writer) {
			for i := range 3 {
				fmt.Fprint(w, i)
				w.Flush()
			}
		})
	}, 200, "012"},
	{"an error", func(fiber.Ctx) error { return errors.New("oops") }, 500, "oops"},
	{"a Fiber error", func(fiber.Ctx) error { return fiber.NewError(409, "taken") }, 409, "taken"},
	{"a handler of net/http", adaptor.HTTPHandler(http.NotFoundHandler()), 404, "404 page not found\n"},
}

func TestCommit(t *testing.T) {
	for _, tt := range answers {
		t.Run(tt.name, func(t *testing.T) {
			m := newManager(t, nil)
			app := newApp(m)
			app.Get("/", func(c fiber.Ctx) error {
				c.Set("X-Other", "1")
				c.Set("Cache-Control", "public, max-age=60")
				c.Set("CDN-Cache-Control", "max-age=600")
				c.Vary("Accept")
				c.Cookie(&fiber.Cookie{Name: "theme", Value: "dark"})
				fibersession.Get(c).Put("user", "grace")
				return tt.handler(c)
			})
			client, _, base := newClient(t, app)
			resp, body := get(t, client, base)
			if resp.StatusCode != tt.status || body != tt.body {
				t.Errorf("got %d %q, want %d %q", resp.StatusCode, body, tt.status, tt.body)
			}
			if s := cookiesessiontest.Session(t, m, resp); s.Get("user") != "grace" {
				t.Errorf("the response set %v", s.All())
			}
			h := resp.Header
			if cookies := resp.Cookies(); len(cookies) != 2 || cookies[0].Name != "theme" {
				t.Errorf("got Set-Cookie %q", h["Set-Cookie"])
			}
			slices.Sort(h["Vary"])
			if got := strings.Join(h["Vary"], ", "); got != "Accept, Cookie" {
				t.Errorf("got Vary %q", got)
			}
			if got := h.Get("Cache-Control"); got != "max-age=60, private" || strings.Join(h["X-Other"], ", ") != "1" {
				t.Errorf("got Cache-Control %q, X-Other %q", got, h["X-Other"])
			}
			if got := h.Get("CDN-Cache-Control"); got != "" {
				t.Errorf("got CDN-Cache-Control %q with Set-Cookie", got)
			}
		})
	}
}

// scs: after a failed commit the 500 page is followed by the handler's body.
func TestFailedCommit(t *testing.T) {
	for _, tt := range answers {
		t.Run(tt.name, func(t *testing.T) {
			app := newApp(newManager(t, nil))
			app.Get("/", func(c fiber.Ctx) error {
				c.Set("X-Other", "1")
				c.Set("ETag", `"handler's"`)
				fibersession.Get(c).Put("long", strings.Repeat("x", 9000))
				return tt.handler(c)
			})
			client, jar, base := newClient(t, app)
			resp, body := get(t, client, base)
			if resp.StatusCode != 500 || body != "Internal Server Error\n" || len(jar.All()) != 0 {
				t.Errorf("got %d %q and %d cookies, want the error page alone", resp.StatusCode, body, len(jar.All()))
			}
			h := resp.Header
			if h.Get("Etag") != "" || h.Get("Content-Type") != "text/plain; charset=utf-8" || h.Get("X-Other") != "1" || h.Get("Cache-Control") != "no-store" {
				t.Errorf("got header %v", h)
			}
		})
	}
}

func TestSessionOverRequests(t *testing.T) {
	m := newManager(t, func(c *cookiesession.Config) { c.MaxSize = 20000 })
	app := newApp(m)
	app.Get("/add", func(c fiber.Ctx) error {
		s := fibersession.Get(c)
		s.Put("text", cookiesession.Field[string]("text").Get(s)+strings.Repeat("x", 3000))
		return c.SendString(fmt.Sprint(s.Size()))
	})
	app.Get("/flash", func(c fiber.Ctx) error {
		fibersession.Get(c).Flash("notice", "bye")
		fibersession.Get(c).Destroy()
		return c.Redirect().To("/read")
	})
	app.Get("/read", func(c fiber.Ctx) error {
		s := fibersession.Get(c)
		return c.SendString(fmt.Sprintf("%d%v", len(cookiesession.Field[string]("text").Get(s)), s.Flashed("notice")))
	})
	client, jar, base := newClient(t, app)
	for range 3 {
		get(t, client, base+"/add")
	}
	if _, body := get(t, client, base+"/read"); body != "9000<nil>" {
		t.Errorf("got %q", body)
	}
	old := jar.Clone()
	get(t, client, base+"/flash")
	if _, body := get(t, client, base+"/read"); body != "0bye" {
		t.Errorf("got %q", body)
	}
	address, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	jar.SetCookies(address, old.Cookies(address)) // a slow response brings the session back
	if _, body := get(t, client, base+"/read"); body != "0<nil>" {
		t.Errorf("after logout: got %q", body)
	}
}

func TestPanicSavesNothing(t *testing.T) {
	app := newApp(newManager(t, nil))
	app.Get("/", func(c fiber.Ctx) error {
		fibersession.Get(c).Put("user", "mallory")
		panic("half-way")
	})
	client, jar, base := newClient(t, app)
	if resp, _ := get(t, client, base); resp.StatusCode != 500 || len(jar.All()) != 0 || resp.Header["Set-Cookie"] != nil {
		t.Errorf("got %d with cookies %v", resp.StatusCode, jar.All())
	}
}

func TestNotFound(t *testing.T) {
	m := newManager(t, nil)
	app := newApp(m)
	app.Use(func(c fiber.Ctx) error {
		fibersession.Get(c).Increment("pages", 1)
		return c.Next()
	})
	client, _, base := newClient(t, app)
	for n := int64(1); n < 3; n++ {
		resp, body := get(t, client, base+"/nowhere")
		if s := cookiesessiontest.Session(t, m, resp); resp.StatusCode != 404 || body != "Not Found" || s.Get("pages") != n {
			t.Errorf("got %d %q, %v", resp.StatusCode, body, s.All())
		}
	}
}

// An error page may show who is logged in, and 404 is among what caches keep by default (RFC 9110, 15.1).
func TestErrorHandlerReads(t *testing.T) {
	m := newManager(t, nil)
	app := fiber.New(fiber.Config{ErrorHandler: func(c fiber.Ctx, err error) error {
		if c.Query("cache") != "" {
			c.Set("Cache-Control", "max-age=5")
		}
		return c.Status(404).SendString(fmt.Sprint("sorry, ", fibersession.Get(c).Get("user")))
	}})
	app.Use("*", fibersession.Middleware(m))
	app.Get("/login", func(c fiber.Ctx) error { fibersession.Get(c).Put("user", "grace"); return nil })
	app.Get("/marked", func(c fiber.Ctx) error {
		c.Set("Cache-Control", "no-store")
		c.Vary("Cookie")
		return fiber.ErrNotFound
	})
	client, _, base := newClient(t, app)
	get(t, client, base+"/login")
	for path, caching := range map[string]string{"/nowhere": "private", "/nowhere?cache=1": "max-age=5", "/marked": "no-store"} {
		resp, body := get(t, client, base+path)
		vary, got := strings.Join(resp.Header["Vary"], ", "), strings.Join(resp.Header["Cache-Control"], ", ")
		if resp.StatusCode != 404 || body != "sorry, grace" || vary != "Cookie" || got != caching {
			t.Errorf("%s: got %d %q, Vary %q, Cache-Control %q; want the page, Cookie, %s", path, resp.StatusCode, body, vary, got, caching)
		}
	}
}

func TestReadingSetsNothing(t *testing.T) {
	app := newApp(newManager(t, nil))
	app.Get("/login", func(c fiber.Ctx) error { fibersession.Get(c).Put("user", "grace"); return nil })
	app.Get("/read", func(c fiber.Ctx) error { return c.JSON(fibersession.Get(c).Get("user")) })
	app.Get("/other", func(c fiber.Ctx) error { return c.SendString("hello") })
	client, _, base := newClient(t, app)
	get(t, client, base+"/login")
	for path, vary := range map[string]string{"/read": "Cookie", "/other": ""} {
		resp, _ := get(t, client, base+path)
		if resp.Header["Set-Cookie"] != nil || resp.Header.Get("Vary") != vary {
			t.Errorf("%s: Set-Cookie %q, Vary %q", path, resp.Header["Set-Cookie"], resp.Header.Get("Vary"))
		}
	}
}

func TestCompression(t *testing.T) {
	for _, value := range []string{"fits", strings.Repeat("x", 9000)} {
		m := newManager(t, nil)
		app := fiber.New()
		app.Use(compress.New(), fibersession.Middleware(m), compress.New())
		text := strings.Repeat("text ", 1000)
		app.Get("/", func(c fiber.Ctx) error {
			fibersession.Get(c).Put("value", value)
			return c.SendString(text)
		})
		client, _, base := newClient(t, app)
		resp, body := get(t, client, base)
		if len(value) > 1000 {
			if resp.StatusCode != 500 || body != "Internal Server Error\n" {
				t.Errorf("got %d %.100q, want the error page alone", resp.StatusCode, body)
			}
			continue
		}
		if s := cookiesessiontest.Session(t, m, resp); body != text || !resp.Uncompressed || s.Get("value") != value {
			t.Errorf("got %d bytes, compressed %t, %v", len(body), resp.Uncompressed, s.All())
		}
	}
}

// gorilla/sessions: a change after the first Write is lost silently.
func TestLateChange(t *testing.T) {
	app := newApp(newManager(t, nil))
	late := make(chan error, 1)
	app.Get("/", func(c fiber.Ctx) error {
		s := fibersession.Get(c)
		return c.SendStreamWriter(func(w *bufio.Writer) {
			s.Put("user", "grace")
			late <- s.Err()
			fmt.Fprint(w, "body")
		})
	})
	client, _, base := newClient(t, app)
	if _, body := get(t, client, base); body != "body" {
		t.Errorf("got %q", body)
	}
	if err := <-late; !errors.Is(err, cookiesession.ErrCommitted) {
		t.Errorf("got %v, want ErrCommitted", err)
	}
}

func TestTwoManagers(t *testing.T) {
	m, admin := newManager(t, nil), newManager(t, func(c *cookiesession.Config) { c.Name = "admin" })
	app := newApp(m)
	app.Use(fibersession.Middleware(admin), fibersession.Middleware(m)) // the second m passes through
	app.Get("/", func(c fiber.Ctx) error {
		fibersession.GetFrom(m, c).Put("a", 1)
		fibersession.Get(c).Put("b", 2)
		return nil
	})
	client, jar, base := newClient(t, app)
	resp, _ := get(t, client, base)
	a, b := cookiesessiontest.Session(t, m, resp), cookiesessiontest.Session(t, admin, resp)
	if len(jar.All()) != 2 || a.Get("a") != int64(1) || a.Has("b") || b.Get("b") != int64(2) || b.Has("a") {
		t.Errorf("got %d cookies, %v and %v", len(jar.All()), a.All(), b.All())
	}
}

// While browsers register a device's key or renew a proof, it's the Manager that answers.
func TestDeviceRequest(t *testing.T) {
	m := newManager(t, func(c *cookiesession.Config) { c.DeviceProof = 10 * time.Minute })
	app := newApp(m)
	app.Use(func(c fiber.Ctx) error {
		if c.Method() != fiber.MethodGet {
			t.Error("a handler ran")
		}
		return c.Next()
	})
	app.Get("/", func(c fiber.Ctx) error {
		fibersession.Get(c).Regenerate()
		fibersession.Get(c).Put("user", "grace")
		return nil
	})
	client, _, base := newClient(t, app)
	resp, _ := get(t, client, base)
	if got := resp.Header.Get("Secure-Session-Registration"); !strings.Contains(got, `path="/.cookiesession/session"`) {
		t.Errorf("got the invitation %q", got)
	}
	r, err := http.NewRequest("POST", base+"/.cookiesession/session", nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp, body := do(t, client, r); resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "application/json" {
		t.Errorf("got %d %q with %v", resp.StatusCode, body, resp.Header)
	}
}

func TestGetWithoutMiddleware(t *testing.T) {
	app := fiber.New()
	app.Use(recover.New())
	app.Get("/", func(c fiber.Ctx) error { fibersession.Get(c).Put("a", 1); return nil })
	client, _, base := newClient(t, app)
	if resp, body := get(t, client, base); resp.StatusCode != 500 || !strings.Contains(body, "did not come through a Handler") {
		t.Errorf("got %d %q", resp.StatusCode, body)
	}
}

func TestProtectCSRF(t *testing.T) {
	m := newManager(t, nil)
	app := newApp(m)
	app.Use(fibersession.ProtectCSRF(m))
	app.Get("/", func(c fiber.Ctx) error {
		s := fibersession.Get(c)
		s.Put("user", "grace")
		return c.SendString(s.CSRFToken())
	})
	app.Post("/", func(c fiber.Ctx) error {
		return c.SendString(fmt.Sprint(c.FormValue("name"), " ", fibersession.Get(c).Get("user")))
	})
	client, _, base := newClient(t, app)
	_, token := get(t, client, base)
	form := url.Values{"name": {"ada"}, cookiesession.CSRFField: {token}}.Encode()
	tests := []struct {
		name        string
		path, body  string
		header      http.Header
		status      int
		wantContent string
	}{
		{"a token in the form", "/", form, http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, 200, "ada grace"},
		{"a token in the header", "/", "", http.Header{cookiesession.CSRFHeader: {token}}, 200, " grace"},
		{"no token", "/", "", nil, 403, "403 forbidden"},
		{"a token in the URL", "/?" + form, "", nil, 403, "403 forbidden"},
		{"from another site", "/", "", http.Header{cookiesession.CSRFHeader: {token}, "Sec-Fetch-Site": {"cross-site"}}, 403, "403 forbidden"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := http.NewRequest("POST", base+tt.path, strings.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			for key, values := range tt.header {
				r.Header.Set(key, values[0])
			}
			if resp, body := do(t, client, r); resp.StatusCode != tt.status || !strings.HasPrefix(body, tt.wantContent) {
				t.Errorf("got %d %q, want %d %q", resp.StatusCode, body, tt.status, tt.wantContent)
			}
		})
	}
}
