package cookiesession_test

import (
	"encoding/json"
	"net/http"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

// gin-contrib and echo swallow what goes wrong with a cookie; here it is counted, by reason and by key.
func TestStats(t *testing.T) {
	first, second := cookiesession.GenerateKey("first"), cookiesession.GenerateKey("second")
	ring, err := cookiesession.NewKeyring(first)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	ring.SetClock(clock)
	m := newManager(t, func(c *cookiesession.Config) { c.Keys = ring })
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
	check("at first", cookiesession.Stats{Keys: byKey{"first": {}}, Rejected: byReason{}})

	v := newVisitor(t, m)
	v.visit(both(1, 2))
	sealed := now
	check("session and flash saved", cookiesession.Stats{
		Keys: byKey{"first": {Sealed: 2, LastSealed: sealed}}, Rejected: byReason{}, Saved: 1,
	})

	now = now.Add(time.Minute)
	v.visit(func(s *cookiesession.Session) { s.Get("v"); s.Flashed("f") })
	check("both read", cookiesession.Stats{
		Keys: byKey{"first": {Opened: 2, Sealed: 2, LastOpened: now, LastSealed: sealed}}, Rejected: byReason{}, Saved: 2,
	})

	for range 3 {
		load(m, defaultName+"=junk")
	}
	load(m, defaultName+"=2"+v.cookie("")[1:])
	load(m, defaultName+"="+v.cookie("")[:61]+"AAAA"+v.cookie("")[65:])
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
		Rejected: byReason{"malformed": 4, "forged": 1}, Saved: 2, SaveErrors: 1, Late: 2,
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
				load(m, header, defaultName+"=junk")
				load(m, defaultName+"=junk")
				m.Stats()
			}
		})
	}
	group.Wait()
	if got := m.Stats(); got.Keys["test"].Opened != 400 || got.Rejected["malformed"] != 400 {
		t.Errorf("counted %d opened and %d malformed, want 400 of each", got.Keys["test"].Opened, got.Rejected["malformed"])
	}
}
