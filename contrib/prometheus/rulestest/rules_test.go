// Package rulestest tries alerts.yml and dashboard.json with Prometheus' own parser and engine. It is a module of its
// own, so that nobody who uses the Collector needs the server's requirements.
package rulestest

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/seed-50e21e88/cookiesession"
	promsession "github.com/seed-50e21e88/cookiesession/contrib/prometheus"
)

var promQL = parser.NewParser(parser.Options{}) // as a server without experimental features reads it

// metrics returns the labels of each metric that the Collector has, by name.
func metrics(t *testing.T) map[string][]string {
	t.Helper()
	keys, err := cookiesession.NewKeyring(cookiesession.GenerateKey("test"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := cookiesession.New(cookiesession.Config{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	descs := make(chan *prometheus.Desc, 100)
	promsession.NewCollector(m, promsession.Options{Keys: keys}).Describe(descs)
	close(descs)
	shown := regexp.MustCompile(`fqName: "([^"]*)".*variableLabels: \{([^}]*)\}`)
	labels := make(map[string][]string)
	for d := range descs {
		parts := shown.FindStringSubmatch(d.String())
		if parts == nil {
			t.Fatalf("no name in %s", d)
		}
		labels[parts[1]] = append(strings.Split(parts[2], ","), "manager", "job", "instance", "__name__")
	}
	return labels
}

// metricsByHand returns the same for the handler without a library that OPERATIONS.md leads to: it is the example
// Stats (Prometheus) of the package's documentation.
func metricsByHand(t *testing.T) map[string][]string {
	t.Helper()
	source, err := os.ReadFile("../../../example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	labels := make(map[string][]string)
	for _, line := range regexp.MustCompile(`Fprintf\(w, "(cookiesession_\w+)(?:\{(.*?)\})? `).FindAllStringSubmatch(string(source), -1) {
		has := []string{"job", "instance", "__name__"}
		for _, pair := range strings.Split(line[2], ",") {
			name, _, _ := strings.Cut(pair, "=")
			has = append(has, name)
		}
		labels[line[1]] = has
	}
	return labels
}

// check reports what in an expression isn't in labels, and returns the metrics that are in it.
func check(t *testing.T, where, expr string, labels map[string][]string) (used []string) {
	t.Helper()
	parsed, err := promQL.ParseExpr(expr)
	if err != nil {
		t.Errorf("%s: %v in %s", where, err, expr)
		return nil
	}
	parser.Inspect(parsed, func(node parser.Node, _ []parser.Node) error {
		selector, ok := node.(*parser.VectorSelector)
		if !ok {
			return nil
		}
		used = append(used, selector.Name)
		has, ok := labels[selector.Name]
		if !ok {
			t.Errorf("%s: there is no metric %s", where, selector.Name)
			return nil
		}
		for _, m := range selector.LabelMatchers {
			if !slices.Contains(has, m.Name) {
				t.Errorf("%s: %s has no label %s", where, selector.Name, m.Name)
			}
		}
		return nil
	})
	if len(used) == 0 {
		t.Errorf("%s: no metric in %s", where, expr)
	}
	return used
}

func TestAlerts(t *testing.T) {
	groups, errs := rulefmt.ParseFile("../alerts.yml", false, model.LegacyValidation, promQL)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	labels, byHand := metrics(t), metricsByHand(t)
	rules := make(map[string]string)
	for _, group := range groups.Groups {
		for _, rule := range group.Rules {
			check(t, rule.Alert, rule.Expr, labels)
			check(t, rule.Alert+", without a library", rule.Expr, byHand)
			rules[rule.Alert] = rule.Expr
		}
	}

	// Where the alert says seven days, a day is ten minutes here: the storage for tests can't hold weeks.
	days := strings.NewReplacer("7d", "70m")
	const idle = "cookiesession_opened_total{manager=\"a\",key=\"old\",instance=\"1\"} 50x280\n" // for four weeks
	tests := []struct {
		alert, when string
		series      string // a sample a minute
		at          time.Duration
		fires       bool
	}{
		{"CookiesessionNoKeySeals", "one seals", `
			cookiesession_ring_info{manager="a",instance="1",fingerprint="f"} 1x10
			cookiesession_key_info{manager="a",instance="1",key="k",state="sealing"} 1x10`, 5 * time.Minute, false},
		{"CookiesessionNoKeySeals", "one has retired, on one of two servers", `
			cookiesession_ring_info{manager="a",instance="1",fingerprint="f"} 1x10
			cookiesession_ring_info{manager="a",instance="2",fingerprint="g"} 1x10
			cookiesession_key_info{manager="a",instance="1",key="k",state="retired"} 1x10
			cookiesession_key_info{manager="a",instance="2",key="l",state="sealing"} 1x10`, 5 * time.Minute, true},
		{"CookiesessionRingsDiffer", "all the same", `
			cookiesession_ring_info{manager="a",instance="1",fingerprint="f"} 1x10
			cookiesession_ring_info{manager="a",instance="2",fingerprint="f"} 1x10
			cookiesession_ring_info{manager="b",instance="1",fingerprint="g"} 1x10`, 5 * time.Minute, false},
		{"CookiesessionRingsDiffer", "another application has others", `
			cookiesession_ring_info{manager="a",instance="1",fingerprint="f"} 1x10
			cookiesession_ring_info{job="blog",manager="a",instance="2",fingerprint="g"} 1x10`, 5 * time.Minute, false},
		{"CookiesessionRingsDiffer", "one differs", `
			cookiesession_ring_info{manager="a",instance="1",fingerprint="f"} 1x10
			cookiesession_ring_info{manager="a",instance="2",fingerprint="g"} 1x10`, 5 * time.Minute, true},
		{"CookiesessionRingsDiffer", "after a rotation", `
			cookiesession_ring_info{manager="a",instance="1",fingerprint="f"} 1x5 stale
			cookiesession_ring_info{manager="a",instance="2",fingerprint="f"} 1x5 stale
			cookiesession_ring_info{manager="a",instance="1",fingerprint="g"} _x5 1x5
			cookiesession_ring_info{manager="a",instance="2",fingerprint="g"} _x5 1x5`, 10 * time.Minute, false},
		{"CookiesessionUnknownKey", "many", `
			cookiesession_rejected_total{manager="a",instance="1",reason="unknown-key"} 0+10x20`, 15 * time.Minute, true},
		{"CookiesessionUnknownKey", "few, and everyday ends", `
			cookiesession_rejected_total{manager="a",instance="1",reason="unknown-key"} 0+1x20
			cookiesession_rejected_total{manager="a",instance="1",reason="expired"} 0+100x20`, 15 * time.Minute, false},
		{"CookiesessionUnknownKey", "many, in a series that begins with the first", `
			cookiesession_rejected_total{manager="a",instance="1",reason="unknown-key"} _x3 1+10x17`, 15 * time.Minute, true},
		{"CookiesessionTorn", "torn", `
			cookiesession_rejected_total{manager="a",instance="1",reason="torn"} 0+10x20`, 15 * time.Minute, true},
		{"CookiesessionTorn", "malformed", `
			cookiesession_rejected_total{manager="a",instance="1",reason="malformed"} 0+10x20`, 15 * time.Minute, true},
		{"CookiesessionTorn", "ended", `
			cookiesession_rejected_total{manager="a",instance="1",reason="ended"} 0+10x20`, 15 * time.Minute, false},
		{"CookiesessionSaveErrors", "the first", `
			cookiesession_save_errors_total{manager="a",instance="1"} 0x12 1x8`, 15 * time.Minute, true},
		{"CookiesessionSaveErrors", "none", `
			cookiesession_save_errors_total{manager="a",instance="1"} 7x20`, 15 * time.Minute, false},
		{"CookiesessionLateChanges", "the first", `
			cookiesession_late_changes_total{manager="a",instance="1"} 0x12 1x8`, 15 * time.Minute, true},
		{"CookiesessionLateChanges", "none", `
			cookiesession_late_changes_total{manager="a",instance="1"} 7x20`, 15 * time.Minute, false},
		{"CookiesessionKeyUnused", "opens still, by another server than before", idle + `
			cookiesession_key_info{manager="a",instance="1",key="old",state="opening"} 1x140 stale
			cookiesession_key_info{manager="a",instance="2",key="old",state="opening"} _x140 1x140`, 280 * time.Minute, true},
		{"CookiesessionKeyUnused", "was used two days ago", `
			cookiesession_opened_total{manager="a",key="old",instance="1"} 50x260 51x20
			cookiesession_key_info{manager="a",instance="1",key="old",state="opening"} 1x280`, 280 * time.Minute, false},
		{"CookiesessionKeyUnused", "is another Manager's, too, who uses it", idle + `
			cookiesession_opened_total{manager="b",key="old",instance="1"} 0+1x280
			cookiesession_key_info{manager="a",instance="1",key="old",state="opening"} 1x280`, 280 * time.Minute, false},
		{"CookiesessionKeyUnused", "has the name of another application's, who uses it", idle + `
			cookiesession_opened_total{job="blog",manager="a",key="old",instance="2"} 0+1x280
			cookiesession_key_info{manager="a",instance="1",key="old",state="opening"} 1x280`, 280 * time.Minute, true},
		{"CookiesessionKeyUnused", "stopped to seal only yesterday", idle + `
			cookiesession_key_info{manager="a",instance="1",key="old",state="sealing"} 1x270 stale
			cookiesession_key_info{manager="a",instance="1",key="old",state="opening"} _x270 1x10`, 280 * time.Minute, false},
		{"CookiesessionKeyUnused", "seals, and nobody comes at all", idle + `
			cookiesession_key_info{manager="a",instance="1",key="old",state="sealing"} 1x280`, 280 * time.Minute, false},
	}
	engine := promqltest.NewTestEngine(t, false, 0, promqltest.DefaultMaxSamplesPerQuery)
	tried := make(map[string]bool)
	fires := func(t *testing.T, alert, series string, at time.Duration) bool {
		storage := promqltest.LoadedStorage(t, "load 1m\n"+indented(series))
		query, err := engine.NewInstantQuery(t.Context(), storage, nil, days.Replace(rules[alert]), time.Unix(0, 0).Add(at))
		if err != nil {
			t.Fatal(err)
		}
		defer query.Close()
		result := query.Exec(t.Context())
		vector, err := result.Vector()
		if err != nil {
			t.Fatal(err)
		}
		return len(vector) > 0
	}
	noManager := regexp.MustCompile(`manager="\w+",?`)
	for _, tt := range tests {
		if rules[tt.alert] == "" {
			t.Errorf("there is no alert %s", tt.alert)
			continue
		}
		tried[tt.alert] = tried[tt.alert] || tt.fires
		series := strings.ReplaceAll(tt.series, "{manager", `{job="shop",manager`)
		t.Run(tt.alert+": "+tt.when, func(t *testing.T) {
			if got := fires(t, tt.alert, series, tt.at); got != tt.fires {
				t.Errorf("fires: %t, want %t", got, tt.fires)
			}
		})
		if strings.Contains(series, `manager="b"`) {
			continue // without a library a program shows one Manager's counters, without that label
		}
		t.Run(tt.alert+": "+tt.when+", without a library", func(t *testing.T) {
			if got := fires(t, tt.alert, noManager.ReplaceAllString(series, ""), tt.at); got != tt.fires {
				t.Errorf("fires: %t, want %t", got, tt.fires)
			}
		})
	}
	for alert := range rules {
		if !tried[alert] {
			t.Errorf("%s: no series that fire it", alert)
		}
	}
}

// indented returns lines as promqltest wants those of a load command.
func indented(series string) string {
	var b strings.Builder
	for line := range strings.Lines(series) {
		if line = strings.TrimSpace(line); line != "" {
			b.WriteString("  " + line + "\n")
		}
	}
	return b.String()
}

func TestDashboard(t *testing.T) {
	text, err := os.ReadFile("../dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	type target struct{ RefID, Expr, LegendFormat string }
	var dashboard struct {
		Title  string
		Panels []struct {
			ID      int
			Title   string
			Targets []target
		}
		Templating struct {
			List []struct {
				Name, Type string
				Query      json.RawMessage
			}
		}
	}
	if err := json.NewDecoder(bytes.NewReader(text)).Decode(&dashboard); err != nil {
		t.Fatal(err)
	}
	labels := metrics(t)
	forgotten := maps.Clone(labels)
	ids := make(map[int]bool)
	variables := strings.NewReplacer("$__rate_interval", "5m", "$job", ".*", "$manager", ".*", "$instance", ".*")
	for _, panel := range dashboard.Panels {
		if ids[panel.ID] {
			t.Errorf("%s: its id %d is another panel's", panel.Title, panel.ID)
		}
		ids[panel.ID] = true
		for _, target := range panel.Targets {
			expr := variables.Replace(target.Expr)
			if strings.Contains(expr, "$") {
				t.Errorf("%s: there is no such variable: %s", panel.Title, target.Expr)
			}
			for _, name := range check(t, panel.Title, expr, labels) {
				delete(forgotten, name)
				legend := strings.Trim(target.LegendFormat, "{}")
				if legend != target.LegendFormat && !slices.Contains(labels[name], legend) {
					t.Errorf("%s: %s has no label %s for the legend", panel.Title, name, legend)
				}
			}
		}
	}
	if len(forgotten) > 0 {
		t.Errorf("no panel shows %v", slices.Sorted(maps.Keys(forgotten)))
	}

	query := regexp.MustCompile(`^label_values\((.*), (\w+)\)$`)
	for _, variable := range dashboard.Templating.List {
		if variable.Type != "query" {
			continue
		}
		var asked struct{ Query string }
		if err := json.Unmarshal(variable.Query, &asked); err != nil {
			t.Fatal(err)
		}
		parts := query.FindStringSubmatch(asked.Query)
		if parts == nil {
			t.Errorf("variable %s: got %s", variable.Name, asked.Query)
			continue
		}
		for _, name := range check(t, "variable "+variable.Name, variables.Replace(parts[1]), labels) {
			if !slices.Contains(labels[name], parts[2]) {
				t.Errorf("variable %s: %s has no label %s", variable.Name, name, parts[2])
			}
		}
	}
}
