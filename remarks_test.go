package cookiesession_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

// Clear-Site-Data: "cookies" in a response with Destroy makes browsers drop the marker too, so that a slow response logs
// the visitor in again. The log says so, once.
func TestClearSiteDataBesideDestroy(t *testing.T) {
	type lines = []string
	for _, test := range []struct {
		value lines
		warns bool
	}{
		{lines{`"cookies"`}, true},
		{lines{`"*"`}, true},
		{lines{`"cache", "cookies", "storage"`}, true},
		{lines{`"cache","cookies"`}, true},
		{lines{`"cache"`, `"cookies"`}, true},
		{lines{` "cookies" `}, true},
		{lines{`"cache", "storage"`}, false},
		{lines{`cookies`}, false}, // browsers want the quotes
		{lines{`"Cookies"`}, false},
		{lines{`"cookies2"`}, false},
		{lines{``}, false},
		{nil, false},
	} {
		for name, use := range map[string]struct {
			do    func(*cookiesession.Session)
			warns bool
		}{
			"logout":            {destroy, true},
			"logout and more":   {func(s *cookiesession.Session) { s.Destroy(); s.Put("n", 1) }, true},
			"logout and a flop": {func(s *cookiesession.Session) { s.Destroy(); s.Put("v", tooLarge) }, true},
			"change":            {put("n", 2), false},
			"read":              {touched, false},
		} {
			for _, form := range []string{"Handler", "Handler, set last", "Load and Save"} {
				m := newWeb(t, func(c *cookiesession.Config) {
					c.ErrorHandler = func(http.ResponseWriter, *http.Request, error) {}
				})
				v := newVisitor(t, m.Manager)
				v.visit(put("n", 1))
				for range 2 {
					switch form {
					case "Load and Save":
						h := http.Header{"Clear-Site-Data": test.value}
						s := v.load()
						use.do(s)
						m.Save(h, s)
					default:
						m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
							if form == "Handler" {
								w.Header()["Clear-Site-Data"] = test.value
							}
							use.do(m.Get(r))
							w.Header()["Clear-Site-Data"] = test.value
							w.WriteHeader(http.StatusOK)
						})).ServeHTTP(httptest.NewRecorder(), requestWith(v.header()))
					}
				}
				got := m.log.take()
				want := 0
				if test.warns && use.warns {
					want = 1
				}
				if strings.Count(got, "Clear-Site-Data") != want || strings.Count(got, "\n") != want {
					t.Errorf("%q, %s, %s: logged %q, want %d warnings", test.value, name, form, got, want)
				}
			}
		}
	}
}

// A stock nginx answers 502 soon after 3,072 bytes of Set-Cookie lines in one response: the log says, once, what to set
// there.
func TestLargeResponse(t *testing.T) {
	const limit = 3072
	tried := make(map[int]bool)
	for _, name := range []string{"s", "ss"} { // a text can't have every length
		for payload := 2205; payload < 2211; payload++ {
			m := newWeb(t, func(c *cookiesession.Config) { c.Name = name })
			answer := func() (bytes int, logged string) {
				h := http.Header{}
				s := load(m.Manager)
				fill(t, m.Manager, payload)(s)
				if err := m.Save(h, s); err != nil {
					t.Fatal(err)
				}
				return len(strings.Join(h["Set-Cookie"], "")), m.log.take()
			}
			bytes, first := answer()
			tried[bytes] = true
			if warns := strings.Contains(first, "proxy_buffer_size 16k; proxy_busy_buffers_size 24k"); warns != (bytes > limit) {
				t.Errorf("%d bytes: logged %q", bytes, first)
			}
			if _, second := answer(); second != "" {
				t.Errorf("%d bytes again: logged %q", bytes, second)
			}
		}
	}
	for _, bytes := range []int{limit - 1, limit, limit + 1} {
		if !tried[bytes] {
			t.Errorf("%d bytes were not tried", bytes)
		}
	}
}

// Where cookies can't stick, since Config.Domain isn't the host's, the log says so once.
func TestForeignHost(t *testing.T) {
	for host, warns := range map[string]bool{
		"shop.example": false, "Shop.Example": false, "www.shop.example": false, "www.shop.example:8443": false, "shop.example:80": false,
		"": false, "example": true, "bookshop.example": true, "shop.example.org": true, "localhost:8080": true, "127.0.0.1": true, "[::1]:80": true,
	} {
		for _, form := range forms {
			m := newWeb(t, func(c *cookiesession.Config) { c.Domain = "shop.example" })
			for _, step := range []struct {
				name  string
				do    func(*cookiesession.Session)
				warns bool
			}{{"without a cookie", touched, false}, {"with the first", put("n", 1), warns}, {"with another", put("n", 1), false}} {
				r := requestWith()
				r.Host = host
				if _, err := form.answer(m.Manager, r, step.do); err != nil {
					t.Fatal(err)
				}
				want := 0
				if step.warns {
					want = 1
				}
				if got := m.log.take(); strings.Count(got, "Config.Domain") != want || strings.Count(got, "\n") != want {
					t.Errorf("%q, %s, %s: logged %q, want %d warnings", host, form.name, step.name, got, want)
				}
			}
		}
	}
	m := newWeb(t, nil) // host-only
	r := requestWith()
	r.Host = "anything.example"
	if _, err := byHandler.answer(m.Manager, r, put("n", 1)); err != nil || m.log.take() != "" {
		t.Errorf("warned of a host-only cookie, %v", err)
	}
}

// A listener is a logger, and what hooks call, that uses the session of the request under way.
type listener struct {
	mu      sync.Mutex
	session *cookiesession.Session
	heard   []string
	news    chan struct{} // has room, and gets one for everything heard
}

func newListener() *listener { return &listener{news: make(chan struct{}, 1000)} }

func (l *listener) Enabled(context.Context, slog.Level) bool { return true }
func (l *listener) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *listener) WithGroup(string) slog.Handler            { return l }

func (l *listener) Handle(_ context.Context, r slog.Record) error {
	l.hear(r.Message)
	return nil
}

// listenTo says which session it is from now on.
func (l *listener) listenTo(s *cookiesession.Session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.session = s
}

// hear uses the session, reads and writes, and then notes what was said.
func (l *listener) hear(what string) {
	l.mu.Lock()
	s := l.session
	l.mu.Unlock()
	if s != nil {
		s.Get("n")
		s.Put("heard", len(what))
		s.Delete("heard")
		s.Increment("times", 1)
		s.All()
		s.Flashed("f")
		s.Flash("g", what)
		s.CSRFToken()
		s.Rejected()
		s.IdleAt()
		s.Size()
		s.Err()
	}
	l.mu.Lock()
	l.heard = append(l.heard, what)
	l.mu.Unlock()
	l.news <- struct{}{}
}

func (l *listener) has(what string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.ContainsFunc(l.heard, func(heard string) bool { return strings.Contains(heard, what) })
}

// wait waits until what was heard.
func (l *listener) wait(what string) {
	for !l.has(what) {
		<-l.news
	}
}

// ends runs fn, and reports what everybody waits for if it hasn't ended after so long that it never will.
func ends(t *testing.T, fn func()) {
	t.Helper()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		fn()
	}()
	select {
	case <-ended:
	case <-time.After(2 * time.Minute):
		stacks := make([]byte, 1<<20)
		t.Fatalf("it hangs:\n%s", stacks[:runtime.Stack(stacks, true)])
	}
}

// hijackable is a recorder whose connection can be hijacked.
type hijackable struct{ *httptest.ResponseRecorder }

func (hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) { return nil, nil, errSpy }

// A use is a request in which the library has something to say.
type use struct {
	name   string
	config func(c *cookiesession.Config, l *listener)
	header http.Header
	method string // GET if empty
	do     func(s *cookiesession.Session, w http.ResponseWriter)
	want   string // what is heard
	inside bool   // only the middleware says it
}

// manager returns a Manager and who listens to it.
func (u *use) manager(t *testing.T) (*listener, *cookiesession.Manager) {
	t.Helper()
	l := newListener()
	return l, newManager(t, func(c *cookiesession.Config) {
		c.Logger = slog.New(l)
		if u.config != nil {
			u.config(c, l)
		}
	})
}

// garbage is a cookie's value that doesn't open.
var garbage = "1" + strings.Repeat("A", 100)

func uses() []use {
	down := errors.New("database is down")
	revokes := func(err error) func(c *cookiesession.Config, _ *listener) {
		return func(c *cookiesession.Config, _ *listener) {
			c.Revoked = func(context.Context, *cookiesession.Session) (bool, error) { return err == nil, err }
		}
	}
	imports := func(values map[string]any, err error) func(c *cookiesession.Config, _ *listener) {
		return func(c *cookiesession.Config, _ *listener) {
			c.Import = func(*http.Request) (map[string]any, error) { return values, err }
		}
	}
	cookie := func(pairs ...string) http.Header { return http.Header{"Cookie": {strings.Join(pairs, "; ")}} }
	crossSite := http.Header{"Sec-Fetch-Site": {"cross-site"}}
	reads := func(s *cookiesession.Session, _ http.ResponseWriter) { s.Get("n") }
	puts := func(s *cookiesession.Session, _ http.ResponseWriter) { s.Put("n", 1) }
	return []use{
		{"a large response", nil, nil, "", func(s *cookiesession.Session, _ http.ResponseWriter) { s.Put("v", random(3300)) }, "more than 3,072 bytes", false},
		{"a session refused", nil, cookie(cookieName + "=" + garbage), "", reads, "cookie refused", false},
		{"a session refused at the end", nil, cookie(cookieName + "=" + garbage), "", func(s *cookiesession.Session, _ http.ResponseWriter) { s.CSRFToken() }, "cookie refused", false},
		{"a flash message refused", nil, cookie(flashName + "=" + garbage), "", func(s *cookiesession.Session, _ http.ResponseWriter) { s.Flashes() }, "cookie refused", false},
		{"a flash message refused while saving", nil, cookie(flashName + "=" + garbage), "", puts, "cookie refused", false},
		{"both refused", nil, cookie(cookieName+"="+garbage, flashName+"="+garbage), "", func(s *cookiesession.Session, _ http.ResponseWriter) { s.Flash("f", 1) }, "cookie refused", false},
		{"OnReject", func(c *cookiesession.Config, l *listener) {
			c.OnReject = func(_ *http.Request, err *cookiesession.RejectError) { l.hear("OnReject " + err.Cookie) }
		}, cookie(cookieName + "=" + garbage), "", reads, "OnReject " + cookieName, false},
		{"OnReject of a flash message", func(c *cookiesession.Config, l *listener) {
			c.OnReject = func(_ *http.Request, err *cookiesession.RejectError) { l.hear("OnReject " + err.Cookie) }
		}, cookie(flashName + "=" + garbage), "", func(s *cookiesession.Session, _ http.ResponseWriter) { s.Reflash() }, "OnReject " + flashName, false},
		{"withheld", nil, crossSite, "POST", puts, "came without the session's cookies", false},
		{"Clear-Site-Data", nil, nil, "", func(s *cookiesession.Session, w http.ResponseWriter) {
			w.Header().Set("Clear-Site-Data", `"cookies"`)
			s.Destroy()
		}, "Clear-Site-Data", false},
		{"another host", func(c *cookiesession.Config, _ *listener) { c.Domain = "other.example" }, nil, "", puts, "not within Config.Domain", false},
		{"Import fails", imports(nil, down), nil, "", reads, "Import failed", false},
		{"Import fails, and something is put", imports(nil, down), nil, "", puts, "Import failed", false},
		{"Import's values can't be stored", imports(map[string]any{"f": func() {}}, nil), nil, "", puts, "Import failed", false},
		{"Revoked fails", revokes(down), http.Header{"Cookie": {"VALID"}}, "", reads, "Revoked failed", false},
		{"revoked", revokes(nil), http.Header{"Cookie": {"VALID"}}, "", puts, "cookie refused", false},
		{"a late change", nil, nil, "", func(s *cookiesession.Session, w http.ResponseWriter) {
			w.WriteHeader(http.StatusOK)
			s.Put("n", 1)
		}, "changed after the response header was sent", true},
		{"a late flash message", nil, cookie(flashName + "=" + garbage), "", func(s *cookiesession.Session, w http.ResponseWriter) {
			w.WriteHeader(http.StatusOK)
			s.Flash("f", 1)
		}, "changed after the response header was sent", true},
		{"a late CSRF token", nil, nil, "", func(s *cookiesession.Session, w http.ResponseWriter) {
			w.WriteHeader(http.StatusOK)
			s.CSRFToken()
		}, "changed after the response header was sent", true},
		{"a late Field.Update", nil, nil, "", func(s *cookiesession.Session, w http.ResponseWriter) {
			w.WriteHeader(http.StatusOK)
			cookiesession.Field[int]("n").Update(s, func(n int) int { return n + 1 })
		}, "changed after the response header was sent", true},
		{"a hijacked connection", nil, nil, "", func(s *cookiesession.Session, w http.ResponseWriter) {
			s.Put("n", 1)
			w.(http.Hijacker).Hijack()
		}, "connection hijacked with unsaved changes", true},
		{"not saved", nil, nil, "", func(s *cookiesession.Session, _ http.ResponseWriter) { s.Put("n", tooLarge) }, "session not saved", true},
		{"ErrorHandler", func(c *cookiesession.Config, l *listener) {
			c.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { l.hear("ErrorHandler") }
		}, nil, "", func(s *cookiesession.Session, _ http.ResponseWriter) { s.Put("n", tooLarge) }, "ErrorHandler", true},
		{"ErrorHandler while the connection is hijacked", func(c *cookiesession.Config, l *listener) {
			c.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { l.hear("ErrorHandler") }
		}, nil, "", func(s *cookiesession.Session, w http.ResponseWriter) {
			s.Put("n", tooLarge)
			w.(http.Hijacker).Hijack()
		}, "ErrorHandler", true},
		{"ErrorHandler of one unchecked", func(c *cookiesession.Config, l *listener) {
			revokes(down)(c, l)
			c.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { l.hear("ErrorHandler") }
		}, http.Header{"Cookie": {"VALID"}}, "", puts, "ErrorHandler", true},
	}
}

// Whatever the library says or calls, who listens may use the session: no lock is held, and the session isn't just being
// opened.
func TestListenersMayUseTheSession(t *testing.T) {
	valid := newVisitor(t, newManager(t, nil))
	valid.visit(put("n", 1))
	for _, test := range uses() {
		for _, explicit := range []bool{false, true} {
			if explicit && test.inside {
				continue
			}
			name := test.name + "/inside Handler"
			if explicit {
				name = test.name + "/Load and Save"
			}
			t.Run(name, func(t *testing.T) {
				l, m := test.manager(t)
				r := requestWith()
				if test.method != "" {
					r.Method = test.method
				}
				for name, values := range test.header {
					r.Header[name] = []string{strings.Replace(values[0], "VALID", valid.header(), 1)}
				}
				ends(t, func() {
					w := hijackable{httptest.NewRecorder()}
					if explicit {
						s, _ := m.Load(r)
						l.listenTo(s)
						test.do(s, w)
						m.Save(w.Header(), s)
						m.Save(w.Header(), s)
						return
					}
					m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						s := m.Get(r)
						l.listenTo(s)
						test.do(s, w)
					})).ServeHTTP(w, r)
				})
				if !l.has(test.want) {
					t.Errorf("heard %q, want %q among it", l.heard, test.want)
				}
			})
		}
	}
}

// So may what listens to several goroutines of a request at once.
func TestListenersOfSeveralGoroutines(t *testing.T) {
	for _, test := range uses() {
		l, m := test.manager(t)
		r := requestWith()
		for name, values := range test.header {
			r.Header[name] = values
		}
		ends(t, func() {
			m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				s := m.Get(r)
				l.listenTo(s)
				var running sync.WaitGroup
				for range 8 {
					running.Go(func() { s.Flashes(); s.Put("n", 2) })
				}
				test.do(s, w)
				running.Wait()
			})).ServeHTTP(hijackable{httptest.NewRecorder()}, r)
		})
	}
}

// A lease that can't be sealed is told when the session is free again.
func TestListenerOfLease(t *testing.T) {
	for _, explicit := range []bool{false, true} {
		l := newListener()
		now := time.Now()
		key := cookiesession.GenerateKey("old")
		key.RetireAt = now.Add(time.Hour)
		ring := newRing(t, key)
		m := newManager(t, func(c *cookiesession.Config) {
			c.Keys, c.IdleTimeout, c.Logger = ring, 2*time.Hour, slog.New(l)
		})
		m.SetClock(func() time.Time { return now })
		v := newVisitor(t, m)
		v.visit(put("n", 1))
		ends(t, func() {
			use := func(s *cookiesession.Session) {
				l.listenTo(s)
				s.Get("n")
				now = now.Add(90 * time.Minute)
			}
			if explicit {
				s := v.load()
				use(s)
				m.Save(http.Header{}, s)
				return
			}
			inHandler(m, requestWith(v.header()), func(_ http.ResponseWriter, r *http.Request) { use(m.Get(r)) })
		})
		if !l.has("lease not written") {
			t.Errorf("explicit %v: heard %q", explicit, l.heard)
		}
	}
}

// CSRFFailure, and the log of what ProtectCSRF refuses, come when nothing is locked; what CSRFFailure puts is saved.
func TestListenersOfProtectCSRF(t *testing.T) {
	for _, unchecked := range []bool{false, true} {
		l := newListener()
		var m *cookiesession.Manager
		m = newManager(t, func(c *cookiesession.Config) {
			c.Logger = slog.New(l)
			c.CSRFFailure = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				l.hear("CSRFFailure")
				m.Get(r).Put("again", m.Get(r).CSRFToken())
			})
			if unchecked {
				c.Revoked = func(context.Context, *cookiesession.Session) (bool, error) { return false, errors.New("down") }
			}
		})
		v := newVisitor(t, m)
		v.visit(put("n", 1))
		wants := []string{"ProtectCSRF refused", "CSRFFailure"}
		if unchecked {
			wants = []string{"Revoked failed"}
		}
		for _, token := range []string{"", "wrong"} {
			var h http.Header
			ends(t, func() {
				r := newCSRFRequest(v, "POST", "urlencoded", "csrf_token", token)
				rec := httptest.NewRecorder()
				m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					l.listenTo(m.Get(r))
					m.ProtectCSRF(http.NotFoundHandler()).ServeHTTP(w, r)
				})).ServeHTTP(rec, r)
				h = rec.Result().Header
			})
			for _, want := range wants {
				if !l.has(want) {
					t.Errorf("unchecked %v: heard %q, want %q", unchecked, l.heard, want)
				}
			}
			if saved := strings.Contains(cookieNames(h), cookieName); saved == unchecked {
				t.Errorf("unchecked %v: wrote %s", unchecked, cookieNames(h))
			}
		}
	}
}

// What is logged of a key file that is read again for an unknown key, or takes long, may use the session that waits.
func TestListenerOfKeyFile(t *testing.T) {
	restoreDefaultLogger(t)
	stranger := newVisitor(t, newManager(t, withKeys(newRing(t, cookiesession.GenerateKey("new")))))
	stranger.visit(func(s *cookiesession.Session) { s.Put("n", 1); s.Flash("f", 1) })
	const secret = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde"
	for _, test := range []struct {
		name  string
		again func() ([]byte, error)
		hangs bool
		wants []string
	}{
		{"broken", func() ([]byte, error) { return nil, errors.New("broken") }, false, []string{"cookiesession: the keys in force stay", "cookie refused"}},
		{"changed", func() ([]byte, error) { return []byte("b=hex:" + secret + "1"), nil }, false, []string{"key file in force", "cookie refused"}},
		{"hangs", func() ([]byte, error) { return nil, errors.New("at last") }, true, []string{"still being read", "cookie refused", "cookiesession: the keys in force stay"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			ends(t, func() {
				synctest.Test(t, func(t *testing.T) {
					l := newListener()
					slog.SetDefault(slog.New(l))
					reads := 0
					ring, err := cookiesession.OpenTestKeyFile(func(string) ([]byte, error) {
						switch reads++; {
						case reads == 1:
							return []byte("a=hex:" + secret + "0"), nil
						case reads == 2 && test.hangs:
							time.Sleep(time.Minute)
						}
						return test.again()
					})
					if err != nil {
						t.Error(err)
						return
					}
					m := newManager(t, func(c *cookiesession.Config) { c.Keys, c.Logger = ring, slog.New(l) })
					inHandler(m, requestWith(stranger.header()), func(_ http.ResponseWriter, r *http.Request) {
						s := m.Get(r)
						l.listenTo(s)
						if s.Get("n") != nil || s.Rejected() == nil {
							t.Error("a session of an unknown key was taken")
						}
					})
					for _, want := range test.wants {
						l.wait(want)
					}
				})
			})
		})
	}
}

// gin-contrib and echo swallow what goes wrong with a cookie; here it is counted, by reason and by key.
func TestStats(t *testing.T) {
	first, second := cookiesession.GenerateKey("first"), cookiesession.GenerateKey("second")
	ring := newRing(t, first)
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	ring.SetClock(clock)
	m := newManager(t, withKeys(ring))
	m.SetClock(clock)
	type (
		byKey    = map[string]cookiesession.KeyStats
		byReason = map[string]uint64
	)
	check := func(when string, want cookiesession.Stats) {
		t.Helper()
		if got := m.Stats(); !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", when, got, want)
		}
	}
	check("at first", cookiesession.Stats{Keys: byKey{"first": {}}, Rejected: byReason{}, CSRFRefused: byReason{}})

	v := newVisitor(t, m)
	v.visit(both(1, 2))
	sealed := now
	check("session and flash saved", cookiesession.Stats{
		Keys: byKey{"first": {Sealed: 2, LastSealed: sealed}}, Rejected: byReason{}, CSRFRefused: byReason{}, Saved: 1,
	})

	now = now.Add(time.Minute)
	v.visit(func(s *cookiesession.Session) { s.Get("v"); s.Flashed("f") })
	check("both read", cookiesession.Stats{
		Keys: byKey{"first": {Opened: 2, Sealed: 2, LastOpened: now, LastSealed: sealed}}, Rejected: byReason{}, CSRFRefused: byReason{}, Saved: 2,
	})

	for range 3 {
		load(m, cookieName+"=junk")
	}
	load(m, cookieName+"=2"+v.cookie("")[1:])
	load(m, cookieName+"="+v.cookie("")[:61]+"AAAA"+v.cookie("")[65:])
	if _, err := v.try(put("bad", make(chan int))); err == nil {
		t.Error("a channel was saved")
	}
	m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		m.Get(r).Put("late", 1)
		m.Get(r).Put("later", 1)
	})).ServeHTTP(discard{http.Header{}}, requestWith(v.header()))
	check("much gone wrong", cookiesession.Stats{
		Keys:     byKey{"first": {Opened: 4, Sealed: 2, LastOpened: now, LastSealed: sealed}},
		Rejected: byReason{"malformed": 4, "forged": 1}, CSRFRefused: byReason{}, Saved: 2, SaveErrors: 1, Late: 2,
	})

	if err := ring.Replace(second); err != nil {
		t.Fatal(err)
	}
	v.visit(put("v", 1))
	if got := m.Stats(); got.Keys["first"].Opened != 4 || got.Keys["second"].Sealed != 1 || got.Rejected["unknown-key"] != 1 {
		t.Errorf("with another key: %+v", got)
	}

	text, err := json.Marshal(m.Stats())
	var back cookiesession.Stats
	if err != nil || json.Unmarshal(text, &back) != nil || !reflect.DeepEqual(back, m.Stats()) {
		t.Errorf("in JSON: %s, %v", text, err)
	}
	clear(m.Stats().Keys)
	clear(m.Stats().Rejected)
	if got := m.Stats(); len(got.Keys) != 2 || len(got.Rejected) != 3 {
		t.Error("who clears what Stats returned clears the counters")
	}
}

func TestStatsAreExactAmongGoroutines(t *testing.T) {
	m := newManager(t, nil)
	v := newVisitor(t, m)
	v.visit(put("v", 1))
	header := v.header()
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 50 {
				load(m, header, cookieName+"=junk")
				load(m, cookieName+"=junk")
				m.Stats()
			}
		})
	}
	group.Wait()
	if got := m.Stats(); got.Keys["test"].Opened != 400 || got.Rejected["malformed"] != 400 {
		t.Errorf("counted %d opened and %d malformed, want 400 of each", got.Keys["test"].Opened, got.Rejected["malformed"])
	}
}

// waysToReasons are one for each: what the browser of somebody who has logged in brings then.
var waysToReasons = []struct {
	reason cookiesession.Reason
	key    string // label that is reported
	spoil  func(v *visitor) string
}{
	{cookiesession.ReasonMalformed, "", func(v *visitor) string { return cookieName + "=not a token" }},
	{cookiesession.ReasonUnknownKey, "", func(v *visitor) string {
		elsewhere := newManager(v.t, withKeys(newRing(v.t, cookiesession.GenerateKey("elsewhere"))))
		v.clone(elsewhere).visitInto(v, login)
		return v.header()
	}},
	{cookiesession.ReasonForged, "test", func(v *visitor) string { return v.header()[:len(v.header())-8] + "AAAAAAAA" }},
	{cookiesession.ReasonTorn, "", func(v *visitor) string { v.setCookie("", "2"+v.cookie("")[1:61]); return v.header() }},
	{cookiesession.ReasonAmbiguous, "", func(v *visitor) string {
		other := newVisitor(v.t, v.m)
		other.visit(login)
		return v.header() + "; " + other.header()
	}},
	{cookiesession.ReasonExpired, "test", func(v *visitor) string { h := v.header(); time.Sleep(day); return h }},
	{cookiesession.ReasonIdle, "test", func(v *visitor) string { h := v.header(); time.Sleep(2 * time.Hour); return h }},
	{cookiesession.ReasonEnded, "test", func(v *visitor) string { h := v.header(); v.visit(destroy); return h + "; " + v.header() }},
	{cookiesession.ReasonRevoked, "test", func(v *visitor) string { v.visit(put("revoked", true)); return v.header() }},
	{cookiesession.ReasonFuture, "test", func(v *visitor) string {
		fast := newManager(v.t, nil)
		fast.SetClock(func() time.Time { return time.Now().Add(time.Hour) })
		v.clone(fast).visitInto(v, put("n", 2))
		return v.header()
	}},
}

// revokesMarked refuses sessions that say so.
func revokesMarked(_ context.Context, s *cookiesession.Session) (bool, error) {
	return s.Has("revoked"), nil
}

// Whoever watches learns each reason, once and in every place, and nothing of what the cookies hold.
func TestRefusalIsObserved(t *testing.T) {
	for _, test := range waysToReasons {
		t.Run(test.reason.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log logBuffer
				var observed []*cookiesession.RejectError
				m := newManager(t, func(c *cookiesession.Config) {
					c.IdleTimeout, c.Revoked = time.Hour, revokesMarked
					c.Logger = log.logger()
					c.OnReject = func(r *http.Request, err *cookiesession.RejectError) {
						if r.URL.Path != site.Path {
							t.Errorf("OnReject got a request for %s", r.URL)
						}
						observed = append(observed, err)
					}
				})
				v := newVisitor(t, m)
				v.visit(func(s *cookiesession.Session) { s.Put("user", "a name that nobody logs"); s.Regenerate() })
				header := test.spoil(v)
				before := m.Stats().Rejected[test.reason.String()]
				log.take()
				observed = nil

				var rejected, loaded error
				inHandler(m, requestWith(header), func(_ http.ResponseWriter, r *http.Request) {
					_, loaded = m.Load(r)
					rejected = m.Get(r).Rejected()
				})

				want := cookiesession.RejectError{Reason: test.reason, Cookie: cookieName, KeyLabel: test.key}
				if len(observed) != 1 || *observed[0] != want {
					t.Fatalf("OnReject heard %v, want %v", observed, want)
				}
				if rejected != error(observed[0]) || loaded != error(observed[0]) {
					t.Errorf("Rejected is %v, Load returns %v, want what OnReject heard", rejected, loaded)
				}
				text := "cookiesession: cookie __Host-session refused: " + test.reason.String()
				if test.key != "" {
					text += " (key test)"
				}
				if got := observed[0].Error(); got != text {
					t.Errorf("got %q, want %q", got, text)
				}
				if got := m.Stats().Rejected[test.reason.String()] - before; got != 1 {
					t.Errorf("Stats count %d, want 1", got)
				}
				level := "INFO"
				if slices.Contains([]string{"expired", "idle", "ended"}, test.reason.String()) {
					level = "DEBUG"
				}
				logged := log.take()
				line := fmt.Sprintf(`level=%s msg="cookiesession: cookie refused" cookie=%s reason=%s key=%q`+"\n", level, cookieName, test.reason, test.key)
				line = strings.Replace(line, `key="test"`, "key=test", 1)
				if !strings.HasSuffix(logged, line) || strings.Count(logged, "\n") != 1 {
					t.Errorf("logged %q, want %q", logged, line)
				}
				for _, secret := range append(strings.Split(header, "; "), "a name that nobody logs") {
					if _, value, ok := strings.Cut(secret, "="); ok && len(value) > 8 {
						secret = value[:8]
					}
					if strings.Contains(logged+text, secret) {
						t.Errorf("logged %q, in which %q comes from the cookies", logged, secret)
					}
				}
			})
		})
	}
}

// A session is only opened, and so only refused, when it is used; once, by whoever is first.
func TestRefusalIsReportedOnce(t *testing.T) {
	reports := 0
	m := newManager(t, func(c *cookiesession.Config) {
		c.OnReject = func(*http.Request, *cookiesession.RejectError) { reports++ }
	})
	r := requestWith(cookieName + "=1AAAA")
	inHandler(m, r, func(http.ResponseWriter, *http.Request) {})
	if reports != 0 {
		t.Errorf("got %d reports of a session that wasn't used", reports)
	}
	inHandler(m, r, func(_ http.ResponseWriter, r *http.Request) {
		s := m.Get(r)
		s.Get("n")
		s.Put("n", 1)
		m.Load(r)
		s.Rejected()
	})
	if reports != 1 {
		t.Errorf("got %d reports, want 1", reports)
	}
}

// Revoked gets a copy of a session that isn't open yet. What it finds in the flash cookie isn't reported, since OnReject
// and the logger may use the session; it is once the handler asks.
func TestRefusalThatRevokedFinds(t *testing.T) {
	inRevoked, reports := false, 0
	m := newManager(t, func(c *cookiesession.Config) {
		c.Revoked = func(_ context.Context, s *cookiesession.Session) (bool, error) {
			inRevoked = true
			defer func() { inRevoked = false }()
			asked(s)
			return false, nil
		}
		c.OnReject = func(_ *http.Request, err *cookiesession.RejectError) {
			if reports++; inRevoked {
				t.Errorf("%v is reported while the session is being opened", err)
			}
		}
	})
	v := newVisitor(t, m)
	v.visit(put("n", 1))
	v.setCookie(".flash", "1AAAA")
	v.visit(asked)
	if counted := m.Stats().Rejected["malformed"]; reports != 1 || counted != 1 {
		t.Errorf("got %d reports and a count of %d, want 1 each", reports, counted)
	}
}

// Every refused cookie counts, of flash and lease too.
func TestRefusalsOfFlashAndLease(t *testing.T) {
	var observed []string
	m := newManager(t, func(c *cookiesession.Config) {
		c.IdleTimeout = time.Hour
		c.OnReject = func(_ *http.Request, err *cookiesession.RejectError) { observed = append(observed, err.Error()) }
	})
	v := newVisitor(t, m)
	v.visit(put("n", 1))
	v.setCookie(".flash", "1AAAA")
	v.setCookie(".lease", "")
	v.visit(asked)
	want := []string{"cookiesession: cookie __Host-session.lease refused: malformed", "cookiesession: cookie __Host-session.flash refused: malformed"}
	if !slices.Equal(observed, want) || !maps.Equal(m.Stats().Rejected, map[string]uint64{"malformed": 2}) {
		t.Errorf("got %q and %v", observed, m.Stats().Rejected)
	}
}
