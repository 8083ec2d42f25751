package promsession

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/seed-50e21e88/cookiesession"
	"github.com/seed-50e21e88/cookiesession/cookiesessiontest"
)

const secret = "2026-11=hex:9c1185a5c5e9fc54612808977ee8f548b2258d31ddadef707ba62c166051c9e3"

func newManager(t testing.TB, change func(*cookiesession.Config)) (*cookiesession.Manager, *cookiesession.Keyring) {
	t.Helper()
	keys, err := cookiesession.ParseKeyring(secret)
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
	return m, keys
}

// What a server sends to Prometheus after some requests, to the letter.
func TestScrape(t *testing.T) {
	m, keys := newManager(t, nil)
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(NewCollector(m, Options{Manager: "shop", Keys: keys}))
	use(t, m)

	server := httptest.NewServer(promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorHandling: promhttp.HTTPErrorOnError}))
	defer server.Close()
	resp, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	last := m.Stats().Keys["2026-11"]
	want := fmt.Sprintf(scraped, keys.Fingerprint(), seconds(last.LastOpened), seconds(last.LastSealed))
	if got := string(body); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func seconds(t time.Time) string { return fmt.Sprint(float64(t.Unix())) }

// use has a visitor who reads and changes a session, one with a forged cookie, one whose session is too large, and a
// handler that changes the session too late.
func use(t *testing.T, m *cookiesession.Manager) {
	t.Helper()
	var handler http.HandlerFunc
	server := httptest.NewServer(m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler(w, r) })))
	defer server.Close()
	browser := &http.Client{Jar: cookiesessiontest.NewJar()}
	base := strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
	visit := func(cookie string, h http.HandlerFunc) {
		t.Helper()
		handler = h
		r, err := http.NewRequest("GET", base, nil)
		if err != nil {
			t.Fatal(err)
		}
		if cookie != "" {
			r.Header.Set("Cookie", cookie)
		}
		resp, err := browser.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	put := func(key string, value any) http.HandlerFunc {
		return func(_ http.ResponseWriter, r *http.Request) { m.Get(r).Put(key, value) }
	}
	visit("", put("n", 1))
	visit("", put("n", 2))
	visit("", func(_ http.ResponseWriter, r *http.Request) { m.Get(r).Get("n") })
	visit("", put("text", strings.Repeat("x", 9000)))
	visit("", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		m.Get(r).Put("n", 3)
	})
	browser.Jar = cookiesessiontest.NewJar()
	visit("", func(w http.ResponseWriter, r *http.Request) {
		r.Method = http.MethodPost
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		m.ProtectCSRF(http.NotFoundHandler()).ServeHTTP(w, r)
	})
	visit(m.CookieName()+"=junk", func(_ http.ResponseWriter, r *http.Request) { m.Get(r).Get("n") })
}

const scraped = `# HELP cookiesession_csrf_refused_total Requests that CSRF protection refused, by reason.
# TYPE cookiesession_csrf_refused_total counter
cookiesession_csrf_refused_total{manager="shop",reason="no-session"} 0
cookiesession_csrf_refused_total{manager="shop",reason="no-token"} 0
cookiesession_csrf_refused_total{manager="shop",reason="origin"} 1
cookiesession_csrf_refused_total{manager="shop",reason="token"} 0
cookiesession_csrf_refused_total{manager="shop",reason="too-large"} 0
# HELP cookiesession_device_events_total What happened to device-bound sessions, by event.
# TYPE cookiesession_device_events_total counter
cookiesession_device_events_total{event="ended",manager="shop"} 0
cookiesession_device_events_total{event="offered",manager="shop"} 0
cookiesession_device_events_total{event="refreshed",manager="shop"} 0
cookiesession_device_events_total{event="registered",manager="shop"} 0
cookiesession_device_events_total{event="retried",manager="shop"} 0
# HELP cookiesession_key_info Keys of the ring and what they do.
# TYPE cookiesession_key_info gauge
cookiesession_key_info{key="2026-11",manager="shop",state="sealing"} 1
# HELP cookiesession_last_opened_timestamp_seconds When a token was last opened, by key.
# TYPE cookiesession_last_opened_timestamp_seconds gauge
cookiesession_last_opened_timestamp_seconds{key="2026-11",manager="shop"} %[2]s
# HELP cookiesession_last_sealed_timestamp_seconds When a token was last sealed, by key.
# TYPE cookiesession_last_sealed_timestamp_seconds gauge
cookiesession_last_sealed_timestamp_seconds{key="2026-11",manager="shop"} %[3]s
# HELP cookiesession_late_changes_total Changes after the response header was sent, which are lost.
# TYPE cookiesession_late_changes_total counter
cookiesession_late_changes_total{manager="shop"} 1
# HELP cookiesession_opened_total Tokens opened, by key.
# TYPE cookiesession_opened_total counter
cookiesession_opened_total{key="2026-11",manager="shop"} 4
# HELP cookiesession_rejected_total Cookies refused, by reason.
# TYPE cookiesession_rejected_total counter
cookiesession_rejected_total{manager="shop",reason="ambiguous"} 0
cookiesession_rejected_total{manager="shop",reason="ended"} 0
cookiesession_rejected_total{manager="shop",reason="expired"} 0
cookiesession_rejected_total{manager="shop",reason="forged"} 0
cookiesession_rejected_total{manager="shop",reason="future"} 0
cookiesession_rejected_total{manager="shop",reason="idle"} 0
cookiesession_rejected_total{manager="shop",reason="malformed"} 1
cookiesession_rejected_total{manager="shop",reason="revoked"} 0
cookiesession_rejected_total{manager="shop",reason="torn"} 0
cookiesession_rejected_total{manager="shop",reason="unknown-key"} 0
cookiesession_rejected_total{manager="shop",reason="unproven"} 0
# HELP cookiesession_ring_info Fingerprint of the ring: equal on all servers but for moments after a rotation.
# TYPE cookiesession_ring_info gauge
cookiesession_ring_info{fingerprint="%[1]s",manager="shop"} 1
# HELP cookiesession_save_errors_total Responses that could not save the session.
# TYPE cookiesession_save_errors_total counter
cookiesession_save_errors_total{manager="shop"} 1
# HELP cookiesession_saved_total Responses that wrote cookies.
# TYPE cookiesession_saved_total counter
cookiesession_saved_total{manager="shop"} 2
# HELP cookiesession_sealed_total Tokens sealed, by key.
# TYPE cookiesession_sealed_total counter
cookiesession_sealed_total{key="2026-11",manager="shop"} 2
# HELP cookiesession_withheld_total Responses that started no session because the browser had withheld its cookies.
# TYPE cookiesession_withheld_total counter
cookiesession_withheld_total{manager="shop"} 0
`

// everything returns Stats in which each number is another one, and how often there is one.
func everything() (stats cookiesession.Stats, n int) {
	var fill func(v reflect.Value)
	fill = func(v reflect.Value) {
		switch {
		case v.Type() == reflect.TypeFor[time.Time]():
			n++
			v.Set(reflect.ValueOf(time.Unix(int64(1000+n), 0)))
		case v.Kind() == reflect.Uint64:
			n++
			v.SetUint(uint64(1000 + n))
		case v.Kind() == reflect.Map:
			element := reflect.New(v.Type().Elem()).Elem()
			fill(element)
			v.Set(reflect.MakeMap(v.Type()))
			v.SetMapIndex(reflect.ValueOf("some"), element)
		default:
			for i := range v.NumField() {
				fill(v.Field(i))
			}
		}
	}
	fill(reflect.ValueOf(&stats).Elem())
	return stats, n
}

// All that Stats counts is shown, each number once.
func TestEveryCounterIsShown(t *testing.T) {
	m, _ := newManager(t, nil)
	c := NewCollector(m, Options{})
	stats, n := everything()
	c.stats = func() cookiesession.Stats { return stats }
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(c)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[float64]string)
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			value := metric.GetCounter().GetValue() + metric.GetGauge().GetValue()
			if value > 0 {
				seen[value] = family.GetName()
			}
		}
	}
	for i := 1; i <= n; i++ {
		if seen[float64(1000+i)] == "" {
			t.Errorf("number %d of %d in %+v is not shown", i, n, stats)
		}
	}
	if len(seen) != n {
		t.Errorf("got %d numbers, want %d: %v", len(seen), n, seen)
	}
}

// A reason that the library has and this package doesn't know would begin with its first refusal.
func TestEveryReasonStartsAtZero(t *testing.T) {
	m, _ := newManager(t, nil)
	stats := m.Stats()
	addZeros(stats)
	for r := cookiesession.ReasonMalformed; !strings.HasPrefix(r.String(), "Reason("); r++ {
		if _, ok := stats.Rejected[r.String()]; !ok {
			t.Errorf("%s doesn't", r)
		}
	}
}

func TestNamesAreAsPrometheusWantsThem(t *testing.T) {
	m, keys := newManager(t, nil)
	use(t, m)
	problems, err := testutil.CollectAndLint(NewCollector(m, Options{Keys: keys}))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestTwoManagers(t *testing.T) {
	m, keys := newManager(t, nil)
	admin, _ := newManager(t, func(c *cookiesession.Config) { c.Name = "admin" })
	registry := prometheus.NewPedanticRegistry()
	for _, c := range []*Collector{NewCollector(m, Options{Keys: keys}), NewCollector(admin, Options{})} {
		if err := registry.Register(c); err != nil {
			t.Fatal(err)
		}
	}
	const want = `# HELP cookiesession_saved_total Responses that wrote cookies.
# TYPE cookiesession_saved_total counter
cookiesession_saved_total{manager="__Host-admin"} 0
cookiesession_saved_total{manager="__Host-session"} 0
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "cookiesession_saved_total"); err != nil {
		t.Error(err)
	}
	if err := registry.Register(NewCollector(m, Options{})); err == nil {
		t.Error("one Manager registered twice: no error")
	}
}

// A rotation shows at the next scrape, and a key that has never been used has no time.
func TestRotation(t *testing.T) {
	m, keys := newManager(t, nil)
	c := NewCollector(m, Options{Manager: "shop", Keys: keys})
	old, err := cookiesession.ParseSecret(strings.TrimPrefix(secret, "2026-11="))
	if err != nil {
		t.Fatal(err)
	}
	soon := cookiesession.GenerateKey("2026-12")
	soon.ActivateAt = time.Now().Add(time.Hour)
	if err := keys.Replace(soon, cookiesession.Key{Label: "2026-11", Secret: old}); err != nil {
		t.Fatal(err)
	}
	const want = `# HELP cookiesession_key_info Keys of the ring and what they do.
# TYPE cookiesession_key_info gauge
cookiesession_key_info{key="2026-11",manager="shop",state="sealing"} 1
cookiesession_key_info{key="2026-12",manager="shop",state="pending"} 1
`
	if err := testutil.CollectAndCompare(c, strings.NewReader(want), "cookiesession_key_info", "cookiesession_last_opened_timestamp_seconds"); err != nil {
		t.Error(err)
	}
}
