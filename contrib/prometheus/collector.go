// Package promsession shows Prometheus what a [cookiesession.Manager] counts, by way of
// [github.com/prometheus/client_golang].
//
//	prometheus.MustRegister(promsession.NewCollector(manager, promsession.Options{Keys: keys}))
//
// Nothing is counted twice or kept: each scrape reads Manager.Stats. The README beside lists the metrics, alerts.yml
// has rules to start from, and dashboard.json is for Grafana.
//
// The metrics hold no secret, but they tell how many people use what, and labels of keys. Serve them where only the
// monitoring can reach them.
package promsession

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/seed-50e21e88/cookiesession"
)

// Options say what a Collector adds to the counters.
type Options struct {
	// Manager is the value of the label "manager", which tells the Managers of one registry apart. Empty means
	// Manager.CookieName.
	Manager string

	// Keys, if set, adds what each key does at the moment, and the ring's fingerprint. Give it to one Collector only
	// for each ring that Managers share, or the same keys show under each Manager.
	Keys *cookiesession.Keyring
}

// A Collector is a [prometheus.Collector] of one Manager's counters. It is safe for concurrent use.
type Collector struct {
	stats func() cookiesession.Stats
	keys  *cookiesession.Keyring

	opened, sealed, lastOpened, lastSealed  *prometheus.Desc // by key
	rejected                                *prometheus.Desc // by reason
	saved, saveErrors, lateChange, withheld *prometheus.Desc
	csrfRefused                             *prometheus.Desc // by reason
	device                                  *prometheus.Desc // by event
	keyInfo, ringInfo                       *prometheus.Desc
}

var _ prometheus.Collector = (*Collector)(nil)

// NewCollector returns a Collector of m's counters, to be registered once. Two of the same registry must have different
// values of Options.Manager.
func NewCollector(m *cookiesession.Manager, o Options) *Collector {
	if o.Manager == "" {
		o.Manager = m.CookieName()
	}
	constant := prometheus.Labels{"manager": o.Manager}
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("cookiesession_"+name, help, labels, constant)
	}
	return &Collector{
		stats: m.Stats, keys: o.Keys,
		opened:      desc("opened_total", "Tokens opened, by key.", "key"),
		sealed:      desc("sealed_total", "Tokens sealed, by key.", "key"),
		lastOpened:  desc("last_opened_timestamp_seconds", "When a token was last opened, by key.", "key"),
		lastSealed:  desc("last_sealed_timestamp_seconds", "When a token was last sealed, by key.", "key"),
		rejected:    desc("rejected_total", "Cookies refused, by reason.", "reason"),
		saved:       desc("saved_total", "Responses that wrote cookies."),
		saveErrors:  desc("save_errors_total", "Responses that could not save the session."),
		lateChange:  desc("late_changes_total", "Changes after the response header was sent, which are lost."),
		withheld:    desc("withheld_total", "Responses that started no session because the browser had withheld its cookies."),
		csrfRefused: desc("csrf_refused_total", "Requests that CSRF protection refused, by reason.", "reason"),
		device:      desc("device_events_total", "What happened to device-bound sessions, by event.", "event"),
		keyInfo:     desc("key_info", "Keys of the ring and what they do.", "key", "state"),
		ringInfo:    desc("ring_info", "Fingerprint of the ring: equal on all servers but for moments after a rotation.", "fingerprint"),
	}
}

// Describe implements [prometheus.Collector].
func (c *Collector) Describe(descs chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		c.opened, c.sealed, c.lastOpened, c.lastSealed, c.rejected, c.saved, c.saveErrors, c.lateChange, c.withheld, c.csrfRefused, c.device,
	} {
		descs <- d
	}
	if c.keys != nil {
		descs <- c.keyInfo
		descs <- c.ringInfo
	}
}

// Collect implements [prometheus.Collector].
func (c *Collector) Collect(metrics chan<- prometheus.Metric) {
	count := func(d *prometheus.Desc, n uint64, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	moment := func(d *prometheus.Desc, t time.Time, labels ...string) {
		if !t.IsZero() { // never
			gauge(d, float64(t.Unix()), labels...)
		}
	}

	stats := c.stats()
	addZeros(stats)
	for label, key := range stats.Keys {
		count(c.opened, key.Opened, label)
		count(c.sealed, key.Sealed, label)
		moment(c.lastOpened, key.LastOpened, label)
		moment(c.lastSealed, key.LastSealed, label)
	}
	for reason, n := range stats.Rejected {
		count(c.rejected, n, reason)
	}
	count(c.saved, stats.Saved)
	count(c.saveErrors, stats.SaveErrors)
	count(c.lateChange, stats.Late)
	count(c.withheld, stats.Withheld)
	for reason, n := range stats.CSRFRefused {
		count(c.csrfRefused, n, reason)
	}
	count(c.device, stats.Device.Offered, "offered")
	count(c.device, stats.Device.Registered, "registered")
	count(c.device, stats.Device.Refreshed, "refreshed")
	count(c.device, stats.Device.Ended, "ended")
	count(c.device, stats.Device.Retried, "retried")

	if c.keys != nil {
		for _, key := range c.keys.Keys() {
			gauge(c.keyInfo, 1, key.Label, key.State.String())
		}
		gauge(c.ringInfo, 1, c.keys.Fingerprint())
	}
}

// addZeros adds the reasons that haven't occurred yet: rate() and increase() don't see the first of a series that
// begins with it.
func addZeros(stats cookiesession.Stats) {
	for r := cookiesession.ReasonMalformed; r <= cookiesession.ReasonUnproven; r++ {
		stats.Rejected[r.String()] += 0
	}
	for _, reason := range []string{"origin", "no-session", "no-token", "token", "too-large"} {
		stats.CSRFRefused[reason] += 0
	}
}
