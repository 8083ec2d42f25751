package revoke_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-50e21e88/cookiesession"
	"github.com/seed-50e21e88/cookiesession/contrib/revoke"
	"github.com/seed-50e21e88/cookiesession/cookiesessiontest"
)

// A fleet is some servers with one key ring and one engine, which can fail.
type fleet struct {
	t      testing.TB
	keys   *cookiesession.Keyring
	engine *fallible
	change func(c *revoke.Config) // of every server's
}

func newFleet(t testing.TB) *fleet {
	t.Helper()
	keys, err := cookiesession.NewKeyring(cookiesession.GenerateKey("test"))
	if err != nil {
		t.Fatal(err)
	}
	return &fleet{t: t, keys: keys, engine: &fallible{Engine: revoke.Memory()}}
}

// A server is one process of a fleet.
type server struct {
	fleet   *fleet
	list    *revoke.List
	manager *cookiesession.Manager
	engine  *fallible
	log     *strings.Builder // to be read once the list is closed, or nothing runs
}

// server starts a server. Its connection to the engine can fail by itself.
func (f *fleet) server(change func(c *revoke.Config)) *server {
	f.t.Helper()
	s := f.stale(change)
	for s.list.Stats().Staleness < 0 {
		time.Sleep(time.Millisecond) // in a bubble that costs nothing
	}
	return s
}

// stale starts a server that doesn't wait for the engine.
func (f *fleet) stale(change func(c *revoke.Config)) *server {
	f.t.Helper()
	s := &server{fleet: f, engine: &fallible{Engine: f.engine}, log: new(strings.Builder)}
	c := revoke.Config{
		Engine:      s.engine,
		Keys:        []string{"user"},
		MaxLifetime: day,
		Logger:      slog.New(slog.NewTextHandler(s.log, nil)),
	}
	if f.change != nil {
		f.change(&c)
	}
	if change != nil {
		change(&c)
	}
	var err error
	if s.list, err = revoke.OpenStale(c); err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { s.list.Close() })
	s.manager, err = cookiesession.New(cookiesession.Config{
		Keys: f.keys, Revoked: s.list.Revoked, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return s
}

const day = 24 * time.Hour

// A fallible Engine fails as it's told.
type fallible struct {
	revoke.Engine

	mu    sync.Mutex
	err   error         // of every call
	hangs chan struct{} // every call waits until it's closed, or its context ends
	calls int
}

var errDown = errors.New("engine is down")

func (f *fallible) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

// hang returns a function that lets calls go on.
func (f *fallible) hang() (goOn func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	hangs := make(chan struct{})
	f.hangs = hangs
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		close(hangs)
		f.hangs = nil
	}
}

func (f *fallible) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls
}

func (f *fallible) pass(ctx context.Context) error {
	f.mu.Lock()
	f.calls++
	hangs, err := f.hangs, f.err
	f.mu.Unlock()
	if hangs != nil {
		select {
		case <-hangs:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return err
}

func (f *fallible) Publish(ctx context.Context, e revoke.Entry, only *revoke.Condition) (revoke.Entry, error) {
	if err := f.pass(ctx); err != nil {
		return e, err
	}
	return f.Engine.Publish(ctx, e, only)
}

func (f *fallible) PutBack(ctx context.Context, es []revoke.Entry) error {
	if err := f.pass(ctx); err != nil {
		return err
	}
	return f.Engine.PutBack(ctx, es)
}

func (f *fallible) Read(ctx context.Context, cursor string, sink func([]revoke.Entry)) (string, bool, error) {
	if err := f.pass(ctx); err != nil {
		return "", false, err
	}
	return f.Engine.Read(ctx, cursor, sink)
}

var site = &url.URL{Scheme: "https", Host: "example.com", Path: "/"}

// A browser visits servers of a fleet.
type browser struct{ jar *cookiesessiontest.Jar }

func newBrowser() *browser { return &browser{cookiesessiontest.NewJar()} }

// copied returns a thief's browser.
func (b *browser) copied() *browser { return &browser{b.jar.Clone()} }

func (b *browser) request() *http.Request {
	r := httptest.NewRequest("GET", site.String(), nil)
	if cookies := b.jar.Header(site); cookies != "" {
		r.Header.Set("Cookie", cookies)
	}
	return r
}

// visit sends a request through Guard and Handler, and keeps the cookies that come. It returns the status.
func (b *browser) visit(s *server, handle func(s *cookiesession.Session)) int {
	return b.send(s.list.Guard(s.manager, s.manager.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		handle(s.manager.Get(r))
	}))))
}

func (b *browser) send(h http.Handler) int {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, b.request())
	b.jar.SetHeader(site, w.Result().Header)
	return w.Code
}

// who returns whose session the browser has by the server: "nobody", or "503" if it isn't told.
func (b *browser) who(s *server) string {
	user := "nobody"
	status := b.visit(s, func(s *cookiesession.Session) {
		if u, ok := s.Get("user").(string); ok {
			user = u
		}
	})
	if status != http.StatusOK {
		return fmt.Sprint(status)
	}
	return user
}

// login logs user in. meanwhile happens between the check of the password and the new session.
func (b *browser) login(s *server, user string, meanwhile ...func()) {
	login := s.list.Begin()
	for _, do := range meanwhile {
		do()
	}
	b.visit(s, func(s *cookiesession.Session) {
		s.Regenerate()
		s.Put("user", user)
		login.Keep(s)
	})
}

// want fails the test if the browser's session at a server is another's.
func (b *browser) want(t testing.TB, s *server, want string) {
	t.Helper()
	if got := b.who(s); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// heard waits until all servers have heard of what was revoked.
func heard() {
	synctest.Wait()
	time.Sleep(10 * time.Millisecond)
	synctest.Wait()
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
