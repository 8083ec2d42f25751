package cookiesession_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

// TestGoroutinesOfOneRequest share a session, as they may (gorilla/sessions: a data race).
func TestGoroutinesOfOneRequest(t *testing.T) {
	const workers, rounds = 16, 10
	onEachProtocol(t, func(t *testing.T, proto string) {
		m := newWeb(t, nil)
		v := m.serve(t, proto, m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet {
				return
			}
			var wg sync.WaitGroup
			for i := range workers {
				wg.Go(func() {
					s := m.Get(r)
					for round := range rounds {
						s.Put(fmt.Sprint("own", i), round)
						s.Increment("sum", 1)
						cookiesession.Field[int]("product").Update(s, func(n int) int { return n + 2 })
						s.FlashNow("now", i)
						s.Flashed("now")
						s.Flash(fmt.Sprint("note", i), round)
						s.VerifyCSRFToken(s.CSRFToken())
						s.Put("gone", i)
						s.Pull("gone")
						s.All()
						s.Keys()
						s.Size()
						s.Changed()
						s.ID()
						s.Has("sum")
						s.ExpiresAt()
						if err := m.Save(http.Header{}, s); err != nil || s.Err() != nil {
							t.Errorf("got %v, %v", err, s.Err())
						}
						if round == rounds/2 {
							s.Regenerate()
						}
					}
					s.Push("list", i)
				})
			}
			wg.Wait()
		})))
		v.get()
		v.do(v.request(http.MethodPost, ""))
		s := v.session()
		if s.Get("sum") != int64(workers*rounds) || s.Get("product") != int64(2*workers*rounds) || s.Has("gone") {
			t.Errorf("got sum %v and product %v of %d workers", s.Get("sum"), s.Get("product"), workers)
		}
		if list, _ := s.Get("list").([]any); len(list) != workers {
			t.Errorf("got a list of %d, want %d", len(list), workers)
		}
		for i := range workers {
			if s.Get(fmt.Sprint("own", i)) != int64(rounds-1) || s.Flashed(fmt.Sprint("note", i)) != int64(rounds-1) {
				t.Errorf("got %v and %v of worker %d", s.Get(fmt.Sprint("own", i)), s.Flashed(fmt.Sprint("note", i)), i)
			}
		}
	})
}

// TestGoroutineOutlivesHandler changes the session until it's told that it's too late: what it could change by then is
// exactly what the browser gets.
func TestGoroutineOutlivesHandler(t *testing.T) {
	onEachProtocol(t, func(t *testing.T, proto string) {
		m := newWeb(t, nil)
		last := make(chan any, 1)
		v := m.serve(t, proto, m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			s := m.Get(r)
			running := make(chan struct{})
			go func() {
				s.Put("n", 0)
				close(running)
				for s.Err() == nil && r.Context().Err() == nil {
					s.Increment("n", 1)
				}
				if s.Err() == nil { // the context ended, after the commit, between two changes
					s.Increment("n", 1)
				}
				if !errors.Is(s.Err(), cookiesession.ErrCommitted) {
					t.Errorf("got %v, want ErrCommitted", s.Err())
				}
				last <- s.Get("n")
			}()
			<-running
		})))
		for range 20 {
			v.get()
			if got, want := v.session().Get("n"), <-last; got != want {
				t.Errorf("the browser got n = %v, want %v", got, want)
			}
		}
		if late := m.Stats().Late; late != 20 {
			t.Errorf("got Late %d, want 20", late)
		}
	})
}

// TestFirstUseAtTheEnd has another goroutine open the session while the handler returns: its change is sent, or
// refused.
func TestFirstUseAtTheEnd(t *testing.T) {
	m := newWeb(t, nil)
	sender := newVisitor(t, m.Manager)
	sender.visit(put("n", 1))
	for range 200 {
		w := httptest.NewRecorder()
		var wg sync.WaitGroup
		var changeErr error
		m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			s := m.Get(r)
			wg.Go(func() {
				s.Put("n", 2)
				changeErr = s.Err()
			})
		})).ServeHTTP(w, requestWith(sender.header()))
		wg.Wait()
		sent := cookieNames(w.Header())
		if refused := errors.Is(changeErr, cookiesession.ErrCommitted); refused != (sent == "") {
			t.Fatalf("got %v and cookies %q", changeErr, sent)
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

// TestBuffersHoldNoPlaintext looks into what the next Save of another visitor's session gets.
func TestBuffersHoldNoPlaintext(t *testing.T) {
	const secret = "attack at dawn"
	for name, test := range map[string]struct {
		change func(m *web, s *cookiesession.Session)
		fails  bool
	}{
		"saved":             {func(_ *web, s *cookiesession.Session) { s.Put("k", secret) }, false},
		"flashed":           {func(_ *web, s *cookiesession.Session) { s.Flash("k", secret) }, false},
		"both":              {func(_ *web, s *cookiesession.Session) { s.Put("k", secret); s.Flash("k", secret) }, false},
		"too large":         {func(_ *web, s *cookiesession.Session) { s.Put("k", secret); s.Put("l", tooLarge) }, true},
		"huge":              {func(_ *web, s *cookiesession.Session) { s.Put("k", strings.Repeat(secret, 10_000)) }, true},
		"flash too large":   {func(_ *web, s *cookiesession.Session) { s.Put("k", secret); s.Flash("k", secret+tooLarge) }, true},
		"Destroy, then too": {func(_ *web, s *cookiesession.Session) { s.Destroy(); s.Put("k", secret+tooLarge) }, true},
		"no active key":     {func(m *web, s *cookiesession.Session) { s.Put("k", secret); s.Flash("k", secret); retireAll(m) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			contents, restore := cookiesession.TrackBuffers()
			defer restore()
			m := newWeb(t, nil)
			s := load(m.Manager)
			test.change(m, s)
			if err := m.Save(http.Header{}, s); (err != nil) != test.fails {
				t.Errorf("got error %v", err)
			}
			kept := 0
			for _, b := range contents() {
				kept += len(b)
				if bytes.Contains(b, []byte(secret[:8])) || bytes.Contains(b, []byte(tooLarge[:8])) {
					t.Error("got plaintext in a buffer")
				}
			}
			if kept == 0 {
				t.Error("got no buffer to look into")
			}
		})
	}
}
