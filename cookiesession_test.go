package cookiesession_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/seed-50e21e88/cookiesession"
)

// TestLoadWithoutAnything never returns a nil Session, whatever request it gets.
func TestLoadWithoutAnything(t *testing.T) {
	m := newManager(t, nil)
	for name, r := range map[string]*http.Request{
		"zero request":           {},
		"no cookies":             httptest.NewRequest(http.MethodGet, "/", nil),
		"empty Cookie header":    requestWith("", ""),
		"others' cookies":        requestWith("a=b; __Host-session2=1AAAA; session=1AAAA"),
		"another Manager's":      inAnotherHandler(t),
		"flash and lease, alone": requestWith("__Host-session.flash=1AAAA; __Host-session.lease=1AAAA"),
	} {
		s, err := m.Load(r)
		if err != nil || s == nil || !s.IsNew() || !s.IsEmpty() || s.Changed() || s.Rejected() != nil || s.Err() != nil || len(s.ID()) != 32 {
			t.Errorf("%s: got %v, %v; want an empty session", name, s, err)
			continue
		}
		h := http.Header{}
		if err := m.Save(h, s); err != nil || fmt.Sprint(h) != "map[Cache-Control:[private] Vary:[Cookie]]" {
			t.Errorf("%s: got %v, %v from Save; want Vary and Cache-Control only", name, h, err)
		}
	}
}

func inAnotherHandler(t *testing.T) (inner *http.Request) {
	inHandler(newManager(t, nil), httptest.NewRequest(http.MethodGet, "/", nil), func(_ http.ResponseWriter, r *http.Request) { inner = r })
	return inner
}

// TestSaveTwice has one header for several saves: it holds what the last of them would write, and nothing else of ours.
// A Put after Destroy is one of them (golangcollege: it panicked).
func TestSaveTwice(t *testing.T) {
	m := newManager(t, nil)
	v := newVisitor(t, m)
	v.visit(put("n", 0))
	s := v.load()
	ended := cookieName + endedSuffix(t, s.ID())
	h := http.Header{"Set-Cookie": {"theme=dark", "__Host-session2=x"}}
	const others = "theme __Host-session2"
	for _, step := range []struct {
		name   string
		change func(s *cookiesession.Session)
		want   string // "" for an error
	}{
		{"no change", nothing, others},
		{"change", put("n", 1), others + " __Host-session"},
		{"no change since", nothing, others + " __Host-session"},
		{"larger", put("v", random(4000)), others + " __Host-session __Host-session.1"},
		{"too large", put("v", random(9000)), ""},
		{"smaller", put("v", 1), others + " __Host-session"},
		{"flash", flash("note", "x"), others + " __Host-session __Host-session.flash"},
		{"undone, but for flash", func(s *cookiesession.Session) { s.Delete("v"); s.Put("n", 0) }, others + " __Host-session.flash"},
		{"destroyed", destroy, others + " -__Host-session " + ended + " __Host-session.flash"},
		{"begun anew", put("n", 2), others + " __Host-session __Host-session.flash " + ended},
		{"not encodable", put("v", func() {}), ""},
		{"destroyed again", destroy, others + " -__Host-session " + ended + " __Host-session.flash"},
	} {
		step.change(s)
		err := m.Save(h, s)
		want := step.want
		if want == "" {
			want = others
			if s.IsNew() {
				want += " -__Host-session " + ended
			}
		}
		if failed := err != nil; failed != (step.want == "") {
			t.Errorf("%s: got error %v", step.name, err)
		}
		if got := sortedNames(cookieNames(h)); got != sortedNames(want) {
			t.Errorf("%s: got cookies %q, want %q", step.name, got, want)
		}
	}
}

// Save returns an error for a session that isn't there, or another Manager's.
func TestSaveOfNoSession(t *testing.T) {
	another := load(newManager(t, nil))
	another.Put("v", 1)
	for name, s := range map[string]*cookiesession.Session{"none": nil, "another Manager's": another} {
		h := http.Header{}
		if err := newManager(t, nil).Save(h, s); err == nil || len(h) > 0 {
			t.Errorf("%s: got %v and header %v, want an error alone", name, err, h)
		}
	}
}

// Save opens a session that nobody has used before.
func TestSaveOfUntouchedSession(t *testing.T) {
	m := newManager(t, nil)
	h := inHandler(m, requestWith(), func(w http.ResponseWriter, r *http.Request) {
		wantSaved(t, m.Save(w.Header(), m.Get(r)))
	})
	if got := h.Get("Vary"); got != "Cookie" {
		t.Errorf("got Vary %q, want Cookie", got)
	}
}

// Without a header Save panics, and so does the commit. That leaves nothing locked, or else the request would hang.
func TestNoHeader(t *testing.T) {
	m := newManager(t, nil)
	for _, test := range []struct {
		name    string
		handler func(s *cookiesession.Session)
	}{
		{"Save", func(s *cookiesession.Session) { m.Save(nil, s) }},
		{"commit", nothing},
	} {
		t.Run(test.name, func(t *testing.T) {
			panicked := make(chan any)
			go func() {
				defer func() { panicked <- recover() }()
				m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					s := m.Get(r)
					s.Put("n", 1)
					defer s.Get("n")
					test.handler(s)
				})).ServeHTTP(discard{}, requestWith())
			}()
			select {
			case got := <-panicked:
				if got == nil {
					t.Error("got no panic")
				}
			case <-time.After(10 * time.Second):
				t.Error("the request hangs")
			}
		})
	}
}

// TestExplicitForm needs no middleware: Load, and Save before the header goes out.
func TestExplicitForm(t *testing.T) {
	onEachProtocol(t, func(t *testing.T, proto string) {
		m := newWeb(t, nil)
		v := m.serve(t, proto, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s, err := m.Load(r)
			if err != nil {
				t.Error(err)
			}
			s.Increment("n", 1)
			if err := m.Save(w.Header(), s); err != nil {
				t.Error(err)
			}
			io.WriteString(w, "body")
			s.Put("n", 100) // of no consequence, for nobody saves it
			if s.Err() != nil {
				t.Errorf("got Err %v without a commit", s.Err())
			}
		}))
		v.get()
		v.get()
		v.wantValues("n=2")
		m.wantStats(2, 0, 0)
	})
}

// TestSaveInsideHandler saves by hand what the Handler's commit saves again: one line comes of it, with the later
// values.
func TestSaveInsideHandler(t *testing.T) {
	for _, test := range []struct {
		name    string
		handle  func(t *testing.T, m *web, w http.ResponseWriter, s *cookiesession.Session)
		cookies string
		values  string
	}{
		{"then nothing", func(t *testing.T, m *web, w http.ResponseWriter, s *cookiesession.Session) {
			s.Put("n", 1)
			wantSaved(t, m.Save(w.Header(), s))
		}, "__Host-session", "n=1"},
		{"then a change", func(t *testing.T, m *web, w http.ResponseWriter, s *cookiesession.Session) {
			s.Put("n", 1)
			wantSaved(t, m.Save(w.Header(), s))
			s.Put("n", 2)
		}, "__Host-session", "n=2"},
		{"then the change undone", func(t *testing.T, m *web, w http.ResponseWriter, s *cookiesession.Session) {
			s.Put("n", 1)
			wantSaved(t, m.Save(w.Header(), s))
			s.Delete("n")
		}, "", ""},
		{"three times, among others' lines", func(t *testing.T, m *web, w http.ResponseWriter, s *cookiesession.Session) {
			for i := range 3 {
				s.Put("n", i)
				wantSaved(t, m.Save(w.Header(), s))
				http.SetCookie(w, &http.Cookie{Name: fmt.Sprint("other", i), Value: "x"})
			}
		}, "other0 other1 other2 __Host-session", "n=2"},
		{"into another header", func(t *testing.T, m *web, w http.ResponseWriter, s *cookiesession.Session) {
			s.Put("n", 1)
			other := http.Header{}
			wantSaved(t, m.Save(other, s))
			if cookieNames(other) != "__Host-session" {
				t.Errorf("got %q in the other header", cookieNames(other))
			}
		}, "__Host-session", "n=1"},
		{"too large, then smaller", func(t *testing.T, m *web, w http.ResponseWriter, s *cookiesession.Session) {
			s.Put("n", tooLarge)
			var size *cookiesession.SizeError
			if err := m.Save(w.Header(), s); !errors.As(err, &size) || cookieNames(w.Header()) != "" {
				t.Errorf("got %v and %q, want a SizeError", err, cookieNames(w.Header()))
			}
			s.Put("n", 1)
		}, "__Host-session", "n=1"},
		{"after the header was sent", func(t *testing.T, m *web, w http.ResponseWriter, s *cookiesession.Session) {
			s.Put("n", 1)
			io.WriteString(w, "body")
			wantSaved(t, m.Save(http.Header{}, s))
			s.Put("n", 2)
			if err := m.Save(w.Header(), s); !errors.Is(err, cookiesession.ErrCommitted) {
				t.Errorf("got %v, want ErrCommitted", err)
			}
		}, "__Host-session", "n=1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			onEachProtocol(t, func(t *testing.T, proto string) {
				m := newWeb(t, nil)
				v := m.serve(t, proto, m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					s, err := m.Load(r)
					if err != nil || s != m.Get(r) {
						t.Errorf("got another session than Handler's, %v", err)
					}
					test.handle(t, m, w, s)
				})))
				a := v.get()
				if got := cookieNames(a.Header); a.StatusCode != 200 || got != test.cookies {
					t.Errorf("got %d with cookies %q, want 200 with %q", a.StatusCode, got, test.cookies)
				}
				v.wantValues(test.values)
			})
		})
	}
}

func wantSaved(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

// A request that doesn't touch its session opens nothing and pays next to nothing, however large the session.
func TestUntouchedSessionCostsNothing(t *testing.T) {
	m := newManager(t, func(c *cookiesession.Config) { c.MaxSize, c.IdleTimeout = defaultCapacity.size(9), time.Hour })
	v := newVisitor(t, m)
	v.visit(func(s *cookiesession.Session) { s.Put("v", random(20000)); s.Flash("f", random(2000)) })
	r := requestWith(v.header())
	w := discard{http.Header{}}
	var got *cookiesession.Session
	handler := m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = m.Get(r)
		w.WriteHeader(http.StatusNoContent)
	}))
	if got := testing.AllocsPerRun(100, func() { handler.ServeHTTP(w, r) }); got > 2 {
		t.Errorf("an untouched session costs %v allocations, want at most 2: itself and the request that knows it", got)
	}
	if got == nil || len(w.header) > 0 {
		t.Errorf("an untouched session wrote the header %v", w.header)
	}
	if opened := m.Stats().Keys["test"].Opened; opened != 0 {
		t.Errorf("%d cookies were opened, want none", opened)
	}
}

// Each compartment is opened once a request, when somebody asks: the session by any method, the lease with it, flash by
// its own methods alone.
func TestOpenedOnce(t *testing.T) {
	m := newManager(t, withIdle(time.Hour))
	now := time.Now()
	m.SetClock(func() time.Time { return now })
	v := newVisitor(t, m)
	v.visit(both(1, 2))
	opens := func(use func(s *cookiesession.Session)) uint64 {
		before := m.Stats().Keys["test"].Opened
		s := v.load()
		use(s)
		use(s)
		return m.Stats().Keys["test"].Opened - before
	}
	if got := opens(func(s *cookiesession.Session) { s.Get("v"); s.Put("w", 1); s.All(); s.ID() }); got != 1 {
		t.Errorf("without a lease %d cookies are opened, want 1", got)
	}
	now = now.Add(30 * time.Minute)
	v.visit(func(s *cookiesession.Session) { s.Get("v") }) // writes a lease
	if got := opens(func(s *cookiesession.Session) { s.Get("v") }); got != 2 {
		t.Errorf("with a lease %d cookies are opened, want 2", got)
	}
	if got := opens(func(s *cookiesession.Session) { s.Flashed("f"); s.Flashes(); s.Keep("f") }); got != 3 {
		t.Errorf("with flash %d cookies are opened, want 3", got)
	}
	if got := opens(func(s *cookiesession.Session) { _ = m.Save(http.Header{}, s) }); got != 2 {
		t.Errorf("by Save %d cookies are opened, want 2", got)
	}
}

// Under the session's other methods too, a value that nobody reads isn't decoded: its bytes go from the request to the
// response as received.
func TestUnchangedValuesAreNotEncodedAgain(t *testing.T) {
	m := newManager(t, withMaxSize(defaultCapacity.size(9)))
	change := func(n int) float64 {
		v := newVisitor(t, m)
		v.visit(func(s *cookiesession.Session) {
			s.Put("n", 0)
			list := make([]any, n)
			for i := range list {
				list[i] = map[string]any{"name": "x", "price": 1.5}
			}
			s.Put("list", list)
		})
		header, h := v.header(), http.Header{}
		return testing.AllocsPerRun(50, func() {
			s := load(m, header)
			s.Increment("n", 1)
			if err := m.Save(h, s); err != nil {
				t.Fatal(err)
			}
		})
	}
	// A few more buffers are allowed for: what grows with the session is their size.
	if few, many := change(1), change(1000); many > few+20 {
		t.Errorf("changing one value allocates %v times beside a list of 1 and %v beside one of 1,000", few, many)
	}
}

// TestCookieHeaderIsSearchedOnce takes the cookies' names out of the header's memory as soon as they have been sorted,
// while tokens are opened and at various points later. Whoever searched the header again would find nothing, and so write
// something else. The exception is markers, of which there may be too many to keep.
func TestCookieHeaderIsSearchedOnce(t *testing.T) {
	var reading, checking func() // what happens while the key file is read, and while Revoked is asked
	ring, err := cookiesession.OpenTestKeyFile(func(string) ([]byte, error) {
		if reading != nil {
			reading()
		}
		return []byte(`{"keys": [{"label": "test", "secret": "hex:` + strings.Repeat("0123456789abcdef", 4)[:63] + `e"}]}`), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	foreign := newVisitor(t, newManager(t, withKeys(newRing(t, cookiesession.GenerateKey("foreign")))))
	foreign.visit(put("n", 1))
	now := time.Now()
	ring.SetClock(func() time.Time { return now })
	configure := func(c *cookiesession.Config) {
		c.Keys, c.IdleTimeout, c.ImportCookies = ring, time.Hour, []string{"legacy"}
		c.Revoked = func(context.Context, *cookiesession.Session) (bool, error) {
			if checking != nil {
				checking()
			}
			return false, nil
		}
	}
	m := newManager(t, configure)
	m.SetClock(func() time.Time { return now })
	v := newVisitor(t, m)
	v.visit(func(s *cookiesession.Session) { s.Put("v", random(3500)); s.Flash("f", random(50)); s.CSRFToken() })
	now = now.Add(10 * time.Minute)
	v.visit(touched) // writes a lease
	v.setCookie(".5", "AAAAold")
	v.setCookie(".flash.3", "AAAAold")
	v.jar.SetCookies(site, []*http.Cookie{{Name: "legacy", Value: "ada", Path: "/"}, {Name: "theme", Value: "dark", Path: "/"}})
	now = now.Add(10 * time.Minute)

	for name, do := range map[string]func(s *cookiesession.Session){
		"read":         func(s *cookiesession.Session) { s.Get("v"); s.All(); s.ID(); s.Rejected() },
		"change":       put("v", "short"),
		"grow":         put("w", random(2000)),
		"login":        login,
		"logout":       destroy,
		"start anew":   func(s *cookiesession.Session) { s.Destroy(); s.Put("n", 1) },
		"a message":    flash("g", 1),
		"messages":     asked,
		"kept":         func(s *cookiesession.Session) { s.Reflash() },
		"Size, IdleAt": func(s *cookiesession.Session) { s.Size(); s.IdleAt() },
		"a token":      func(s *cookiesession.Session) { s.VerifyCSRFToken(s.CSRFToken()) },
		"a failure":    put("v", tooLarge),
		"everything": func(s *cookiesession.Session) {
			s.Put("n", 1)
			s.Flashes()
			s.Flash("g", 1)
			s.Regenerate()
			s.Remember(2 * time.Hour)
			s.Size()
		},
	} {
		for _, form := range forms {
			outcome := func(when string) string {
				memory := []byte(foreign.header() + "; " + v.header())
				erase := func() {
					copy(memory, bytes.ReplaceAll(memory, []byte(cookieName), []byte(strings.Repeat("x", len(cookieName)))))
				}
				switch when {
				case "while the key file is read":
					reading = erase
				case "while Revoked is asked":
					checking = erase
				}
				now = now.Add(10 * time.Second) // or the file isn't read again
				h, err := form.answer(m, requestWith(unsafe.String(&memory[0], len(memory))), func(s *cookiesession.Session) {
					s.IsEmpty()
					if when == "once it is open" {
						erase()
					}
					do(s)
					if when == "before the commit" {
						erase()
					}
				})
				if when != "never" && bytes.Contains(memory, []byte(cookieName)) {
					t.Fatalf("%s: nothing was erased", when)
				}
				reading, checking = nil, nil
				return fmt.Sprint(sortedNames(cookieNames(h)), err)
			}
			want := outcome("never")
			for _, when := range []string{"while the key file is read", "while Revoked is asked", "once it is open", "before the commit"} {
				if got := outcome(when); got != want {
					t.Errorf("%s, %s, names erased %s: wrote %s, want %s", name, form.name, when, got, want)
				}
			}
		}
	}
}

// TestVisitorsShareNothing has many at once, with sessions of all sizes, some of which fail to be saved: each sees what
// is its own.
func TestVisitorsShareNothing(t *testing.T) {
	const visitors, rounds = 16, 40
	m := newWeb(t, func(c *cookiesession.Config) {
		c.IdleTimeout = time.Hour
		c.ErrorHandler = func(http.ResponseWriter, *http.Request, error) {}
	})
	h := m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s, who := m.Get(r), r.Header.Get("X-Who")
		n := cookiesession.Field[int]("round").Or(s, -1)
		if n >= 0 && (s.Get("who") != who || s.Get("text") != who+strings.Repeat(who, n*n%170) || s.Flashed("note") != who) {
			t.Errorf("%s got the session of %v", who, s.Get("who"))
		}
		n++
		s.Put("who", who)
		s.Put("round", n)
		s.Put("text", who+strings.Repeat(who, n*n%170))
		s.Flash("note", who)
		switch n % 5 {
		case 3:
			io.WriteString(w, who)
			s.Put("late", who)
		case 4:
			if r.Header.Get("X-Fail") != "" {
				s.Put("large", strings.Repeat(who, 2000))
			}
		}
	}))
	var wg sync.WaitGroup
	for i := range visitors {
		wg.Go(func() {
			v := newVisitor(t, m.Manager)
			who := fmt.Sprintf("visitor-%02d;", i)
			for range rounds {
				for _, fail := range []string{"yes", ""} {
					r := requestWith(v.header())
					r.Header.Set("X-Who", who)
					r.Header.Set("X-Fail", fail)
					w := httptest.NewRecorder()
					h.ServeHTTP(w, r)
					v.jar.SetHeader(site, w.Header())
					if w.Code != http.StatusOK && fail == "" {
						t.Errorf("got %d", w.Code)
					}
				}
			}
		})
	}
	wg.Wait()
	if s := m.Stats(); s.SaveErrors == 0 || s.Saved == 0 || len(s.Rejected) > 0 {
		t.Errorf("got %+v, want saves, failures and no refusals", s)
	}
}
