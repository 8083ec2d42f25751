package cookiesession_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

// discard is a response writer that costs nothing.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}

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
	m := newManager(t, func(c *cookiesession.Config) { c.IdleTimeout = time.Hour })
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
// response as they came.
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
