package otelsession

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-50e21e88/cookiesession"
	"github.com/seed-50e21e88/cookiesession/cookiesessiontest"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

func newManager(t testing.TB) (*cookiesession.Manager, *cookiesession.Keyring) {
	t.Helper()
	keys, err := cookiesession.NewKeyring(cookiesession.GenerateKey("2026-11"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := cookiesession.New(cookiesession.Config{Keys: keys, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return m, keys
}

func newProvider(t testing.TB) (*sdk.MeterProvider, *sdk.ManualReader) {
	t.Helper()
	reader := sdk.NewManualReader()
	provider := sdk.NewMeterProvider(sdk.WithReader(reader))
	t.Cleanup(func() {
		if err := provider.Shutdown(t.Context()); err != nil && !errors.Is(err, t.Context().Err()) {
			t.Error(err)
		}
	})
	return provider, reader
}

// collect returns what the SDK exports, but for the times of the keys: a line for each number.
func collect(t *testing.T, reader *sdk.ManualReader) map[string]int64 {
	t.Helper()
	var metrics metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &metrics); err != nil {
		t.Fatal(err)
	}
	lines := make(map[string]int64)
	for _, scope := range metrics.ScopeMetrics {
		if scope.Scope.Name != Name {
			t.Errorf("got scope %s", scope.Scope.Name)
		}
		for _, m := range scope.Metrics {
			var points []metricdata.DataPoint[int64]
			kind := ""
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				points, kind = data.DataPoints, "updown"
				if data.IsMonotonic {
					kind = "counter"
				}
			case metricdata.Gauge[int64]:
				points, kind = data.DataPoints, "gauge"
			default:
				t.Errorf("%s is a %T", m.Name, data)
			}
			if m.Description == "" {
				t.Errorf("%s has no description", m.Name)
			}
			for _, p := range points {
				line := m.Name + " " + kind + " " + m.Unit
				for _, a := range p.Attributes.ToSlice() {
					line += " " + strings.TrimPrefix(string(a.Key), "cookiesession.") + "=" + a.Value.String()
				}
				lines[line] = p.Value
			}
		}
	}
	return lines
}

func TestObserve(t *testing.T) {
	m, keys := newManager(t)
	provider, reader := newProvider(t)
	registration, err := Observe(provider, m, Options{Manager: "shop", Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	use(t, m)
	last := m.Stats().Keys["2026-11"]
	want := map[string]int64{
		"cookiesession.token.opened counter {token} key=2026-11 manager=shop":          1,
		"cookiesession.token.sealed counter {token} key=2026-11 manager=shop":          1,
		"cookiesession.key.last_opened gauge s key=2026-11 manager=shop":               last.LastOpened.Unix(),
		"cookiesession.key.last_sealed gauge s key=2026-11 manager=shop":               last.LastSealed.Unix(),
		"cookiesession.response.saved counter {response} manager=shop":                 1,
		"cookiesession.response.save_failed counter {response} manager=shop":           1,
		"cookiesession.response.withheld counter {response} manager=shop":              0,
		"cookiesession.change.late counter {change} manager=shop":                      1,
		"cookiesession.device.event counter {event} event=offered manager=shop":        0,
		"cookiesession.device.event counter {event} event=registered manager=shop":     0,
		"cookiesession.device.event counter {event} event=refreshed manager=shop":      0,
		"cookiesession.device.event counter {event} event=ended manager=shop":          0,
		"cookiesession.device.event counter {event} event=retried manager=shop":        0,
		"cookiesession.key.status updown {key} key=2026-11 manager=shop state=pending": 0,
		"cookiesession.key.status updown {key} key=2026-11 manager=shop state=sealing": 1,
		"cookiesession.key.status updown {key} key=2026-11 manager=shop state=opening": 0,
		"cookiesession.key.status updown {key} key=2026-11 manager=shop state=retired": 0,
	}
	want["cookiesession.ring.info gauge 1 manager=shop ring.fingerprint="+keys.Fingerprint()] = 1
	for _, reason := range []string{"unknown-key", "forged", "torn", "ambiguous", "expired", "idle", "ended", "revoked", "future", "unproven"} {
		want["cookiesession.cookie.rejected counter {cookie} manager=shop reason="+reason] = 0
	}
	want["cookiesession.cookie.rejected counter {cookie} manager=shop reason=malformed"] = 1
	for _, reason := range []string{"no-session", "no-token", "token", "too-large"} {
		want["cookiesession.csrf.refused counter {request} manager=shop reason="+reason] = 0
	}
	want["cookiesession.csrf.refused counter {request} manager=shop reason=origin"] = 1
	got := collect(t, reader)
	for _, line := range slices.Sorted(maps.Keys(want)) {
		if n, ok := got[line]; !ok || n != want[line] {
			t.Errorf("%s: got %d (there: %t), want %d", line, n, ok, want[line])
		}
	}
	for line, n := range got {
		if _, ok := want[line]; !ok {
			t.Errorf("unexpected: %s: %d", line, n)
		}
	}

	if err := registration.Unregister(); err != nil {
		t.Fatal(err)
	}
	if got := collect(t, reader); len(got) != 0 {
		t.Errorf("after Unregister: got %v", got)
	}
}

// use has requests that save, read, bring a broken cookie, can't be saved, change the session too late, and come from
// another site.
func use(t *testing.T, m *cookiesession.Manager) {
	t.Helper()
	r := httptest.NewRequest("GET", "/", nil)
	saved := cookiesessiontest.Request(t, m, r, map[string]any{"n": 1})
	broken := r.Clone(r.Context())
	broken.Header.Set("Cookie", m.CookieName()+"=junk")
	for _, visit := range []struct {
		r       *http.Request
		handler func(w http.ResponseWriter, s *cookiesession.Session)
	}{
		{saved, func(_ http.ResponseWriter, s *cookiesession.Session) { s.Get("n") }},
		{broken, func(_ http.ResponseWriter, s *cookiesession.Session) { s.Get("n") }},
		{r, func(_ http.ResponseWriter, s *cookiesession.Session) { s.Put("text", strings.Repeat("x", 9000)) }},
		{r, func(w http.ResponseWriter, s *cookiesession.Session) { w.WriteHeader(200); s.Put("n", 2) }},
	} {
		m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { visit.handler(w, m.Get(r)) })).
			ServeHTTP(httptest.NewRecorder(), visit.r)
	}
	foreign := httptest.NewRequest("POST", "/", nil)
	foreign.Header.Set("Sec-Fetch-Site", "cross-site")
	m.Handler(m.ProtectCSRF(http.NotFoundHandler())).ServeHTTP(httptest.NewRecorder(), foreign)
}

// All that Stats counts is reported, each number once.
func TestEveryCounterIsReported(t *testing.T) {
	stats, n := everything()
	provider, reader := newProvider(t)
	if _, err := observe(provider, func() cookiesession.Stats { return stats }, "session", Options{}); err != nil {
		t.Fatal(err)
	}
	seen := make(map[int64]string)
	for line, value := range collect(t, reader) {
		if value > 0 {
			seen[value] = line
		}
	}
	for i := int64(1); i <= int64(n); i++ {
		if seen[1000+i] == "" {
			t.Errorf("number %d of %d in %+v is not reported", i, n, stats)
		}
	}
	if len(seen) != n {
		t.Errorf("got %d numbers, want %d: %v", len(seen), n, seen)
	}
}

// everything returns Stats in which each number is another one, and how many there are.
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

// A reason that the library has and this package doesn't know would begin with its first refusal.
func TestEveryReasonStartsAtZero(t *testing.T) {
	m, _ := newManager(t)
	stats := m.Stats()
	addZeros(stats)
	for r := cookiesession.ReasonMalformed; !strings.HasPrefix(r.String(), "Reason("); r++ {
		if _, ok := stats.Rejected[r.String()]; !ok {
			t.Errorf("%s doesn't", r)
		}
	}
}

// Names and units as OpenTelemetry's conventions want them: lower case, dots between, no unit and no "total" in them;
// what is counted in braces.
func TestNames(t *testing.T) {
	stats, _ := everything()
	_, keys := newManager(t)
	provider, reader := newProvider(t)
	if _, err := observe(provider, func() cookiesession.Stats { return stats }, "session", Options{Keys: keys}); err != nil {
		t.Fatal(err)
	}
	pattern := regexp.MustCompile(`^cookiesession(\.[a-z]+(_[a-z]+)*){2} (counter|updown|gauge) (\{[a-z]+\}|s|1)( |$)`)
	lines := collect(t, reader)
	if len(lines) == 0 {
		t.Fatal("nothing is reported")
	}
	for line := range lines {
		if !pattern.MatchString(line) || strings.Contains(line, "total") || strings.Contains(line, "seconds") {
			t.Errorf("got %s", line)
		}
	}
}

func TestTwoManagers(t *testing.T) {
	m, _ := newManager(t)
	provider, reader := newProvider(t)
	for _, name := range []string{"", "admin"} {
		if _, err := Observe(provider, m, Options{Manager: name}); err != nil {
			t.Fatal(err)
		}
	}
	got := collect(t, reader)
	for _, name := range []string{"__Host-session", "admin"} {
		if _, ok := got["cookiesession.response.saved counter {response} manager="+name]; !ok {
			t.Errorf("nothing of %s in %v", name, got)
		}
	}
}

// A failingProvider can make no gauge.
type failingProvider struct{ noop.MeterProvider }

type failingMeter struct{ noop.Meter }

func (failingProvider) Meter(string, ...metric.MeterOption) metric.Meter { return failingMeter{} }

func (failingMeter) Int64ObservableGauge(name string, _ ...metric.Int64ObservableGaugeOption) (metric.Int64ObservableGauge, error) {
	return nil, fmt.Errorf("no gauge %s", name)
}

func TestErrors(t *testing.T) {
	m, _ := newManager(t)
	if _, err := Observe(failingProvider{}, m, Options{}); err == nil || err.Error() != "no gauge cookiesession.key.last_opened" {
		t.Errorf("got %v", err)
	}
}
