// Package otelsession shows OpenTelemetry what a [cookiesession.Manager] counts.
//
//	registration, err := otelsession.Observe(otel.GetMeterProvider(), manager, otelsession.Options{Keys: keys})
//
// Nothing is counted twice or kept: each collection reads Manager.Stats. The instruments are listed at [Observe].
//
// The metrics hold no secret, but they tell how many people use what, and labels of keys.
package otelsession

import (
	"context"
	"time"

	"github.com/seed-50e21e88/cookiesession"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// Name is the instrumentation scope.
const Name = "github.com/seed-50e21e88/cookiesession/contrib/otel"

// Options say what Observe adds to the counters.
type Options struct {
	// Manager is the attribute cookiesession.manager, which tells the Managers of one provider apart. Empty means
	// Manager.CookieName.
	Manager string

	// Keys, if set, adds what each key does at the moment, and the ring's fingerprint. Give it once for each ring that
	// Managers share, or the same keys show under each Manager.
	Keys *cookiesession.Keyring
}

// Observe registers a callback with provider that reports m's counters at each collection, until Unregister is called
// on what it returns:
//
//	cookiesession.token.opened, .sealed      {token}     by cookiesession.key: tokens of every kind
//	cookiesession.key.last_opened, .last_sealed  s       by cookiesession.key: Unix time; absent: never
//	cookiesession.cookie.rejected            {cookie}    by cookiesession.reason
//	cookiesession.response.saved             {response}  that wrote cookies
//	cookiesession.response.save_failed       {response}  that could not
//	cookiesession.response.withheld          {response}  that started no session since cookies had been withheld
//	cookiesession.change.late                {change}    after the response header was sent
//	cookiesession.csrf.refused               {request}   by cookiesession.reason
//	cookiesession.device.event               {event}     by cookiesession.event
//	cookiesession.key.status                 {key}       by cookiesession.key and cookiesession.state: 1 or 0
//	cookiesession.ring.info                  1           by cookiesession.ring.fingerprint: 1
//
// The last two need Options.Keys. The keys' times and the ring are gauges, the keys' status an UpDownCounter, all else
// are Counters. Errors are those of making an instrument.
func Observe(provider metric.MeterProvider, m *cookiesession.Manager, o Options) (metric.Registration, error) {
	return observe(provider, m.Stats, m.CookieName(), o)
}

func observe(provider metric.MeterProvider, stats func() cookiesession.Stats, cookie string, o Options) (metric.Registration, error) {
	if o.Manager == "" {
		o.Manager = cookie
	}
	i, err := newInstruments(provider.Meter(Name), o.Keys != nil)
	if err != nil {
		return nil, err
	}
	manager := attribute.String("cookiesession.manager", o.Manager)
	return i.meter.RegisterCallback(func(_ context.Context, observer metric.Observer) error {
		r := report{i, observer, manager}
		r.counters(stats())
		if o.Keys != nil {
			r.ring(o.Keys)
		}
		return nil
	}, i.all...)
}

// instruments are what the callback reports.
type instruments struct {
	meter metric.Meter
	all   []metric.Observable
	err   error

	opened, sealed         metric.Int64ObservableCounter
	lastOpened, lastSealed metric.Int64ObservableGauge
	rejected               metric.Int64ObservableCounter
	saved, saveFailed      metric.Int64ObservableCounter
	withheld, late         metric.Int64ObservableCounter
	csrfRefused, device    metric.Int64ObservableCounter
	keyStatus              metric.Int64ObservableUpDownCounter // nil without a ring
	ringInfo               metric.Int64ObservableGauge         // likewise
}

func newInstruments(meter metric.Meter, ring bool) (*instruments, error) {
	i := &instruments{meter: meter}
	i.opened = i.counter("token.opened", "{token}", "Tokens opened.")
	i.sealed = i.counter("token.sealed", "{token}", "Tokens sealed.")
	i.lastOpened = i.gauge("key.last_opened", "s", "Unix time when a token was last opened with the key.")
	i.lastSealed = i.gauge("key.last_sealed", "s", "Unix time when a token was last sealed with the key.")
	i.rejected = i.counter("cookie.rejected", "{cookie}", "Cookies refused.")
	i.saved = i.counter("response.saved", "{response}", "Responses that wrote cookies.")
	i.saveFailed = i.counter("response.save_failed", "{response}", "Responses that could not save the session.")
	i.withheld = i.counter("response.withheld", "{response}", "Responses that started no session because the browser had withheld its cookies.")
	i.late = i.counter("change.late", "{change}", "Changes after the response header was sent, which are lost.")
	i.csrfRefused = i.counter("csrf.refused", "{request}", "Requests that CSRF protection refused.")
	i.device = i.counter("device.event", "{event}", "What happened to device-bound sessions.")
	if ring {
		status, err := meter.Int64ObservableUpDownCounter("cookiesession.key.status", metric.WithUnit("{key}"),
			metric.WithDescription("What a key of the ring does: 1 for its state, 0 for the others."))
		i.note(status, err)
		i.keyStatus = status
		i.ringInfo = i.gauge("ring.info", "1", "Fingerprint of the ring: equal on all servers but for moments after a rotation.")
	}
	return i, i.err
}

func (i *instruments) counter(name, unit, description string) metric.Int64ObservableCounter {
	c, err := i.meter.Int64ObservableCounter("cookiesession."+name, metric.WithUnit(unit), metric.WithDescription(description))
	i.note(c, err)
	return c
}

func (i *instruments) gauge(name, unit, description string) metric.Int64ObservableGauge {
	g, err := i.meter.Int64ObservableGauge("cookiesession."+name, metric.WithUnit(unit), metric.WithDescription(description))
	i.note(g, err)
	return g
}

// note keeps the first error.
func (i *instruments) note(o metric.Observable, err error) {
	i.all = append(i.all, o)
	if i.err == nil {
		i.err = err
	}
}

// A report is one collection.
type report struct {
	*instruments
	observer metric.Observer
	manager  attribute.KeyValue
}

func (r report) observe(o metric.Int64Observable, n int64, attributes ...attribute.KeyValue) {
	r.observer.ObserveInt64(o, n, metric.WithAttributes(append(attributes, r.manager)...))
}

func (r report) counters(stats cookiesession.Stats) {
	addZeros(stats)
	for label, key := range stats.Keys {
		by := attribute.String("cookiesession.key", label)
		r.observe(r.opened, int64(key.Opened), by)
		r.observe(r.sealed, int64(key.Sealed), by)
		r.moment(r.lastOpened, key.LastOpened, by)
		r.moment(r.lastSealed, key.LastSealed, by)
	}
	for reason, n := range stats.Rejected {
		r.observe(r.rejected, int64(n), attribute.String("cookiesession.reason", reason))
	}
	r.observe(r.saved, int64(stats.Saved))
	r.observe(r.saveFailed, int64(stats.SaveErrors))
	r.observe(r.withheld, int64(stats.Withheld))
	r.observe(r.late, int64(stats.Late))
	for reason, n := range stats.CSRFRefused {
		r.observe(r.csrfRefused, int64(n), attribute.String("cookiesession.reason", reason))
	}
	for event, n := range map[string]uint64{
		"offered":    stats.Device.Offered,
		"registered": stats.Device.Registered,
		"refreshed":  stats.Device.Refreshed,
		"ended":      stats.Device.Ended,
		"retried":    stats.Device.Retried,
	} {
		r.observe(r.device, int64(n), attribute.String("cookiesession.event", event))
	}
}

func (r report) moment(g metric.Int64ObservableGauge, t time.Time, by attribute.KeyValue) {
	if !t.IsZero() { // never
		r.observe(g, t.Unix(), by)
	}
}

func (r report) ring(keys *cookiesession.Keyring) {
	for _, key := range keys.Keys() {
		for state := cookiesession.KeyPending; state <= cookiesession.KeyRetired; state++ {
			var is int64
			if state == key.State {
				is = 1
			}
			r.observe(r.keyStatus, is, attribute.String("cookiesession.key", key.Label), attribute.String("cookiesession.state", state.String()))
		}
	}
	r.observe(r.ringInfo, 1, attribute.String("cookiesession.ring.fingerprint", keys.Fingerprint()))
}

// addZeros adds the reasons that haven't occurred yet: a rate doesn't see the first of a series that begins with it.
func addZeros(stats cookiesession.Stats) {
	for r := cookiesession.ReasonMalformed; r <= cookiesession.ReasonUnproven; r++ {
		stats.Rejected[r.String()] += 0
	}
	for _, reason := range []string{"origin", "no-session", "no-token", "token", "too-large"} {
		stats.CSRFRefused[reason] += 0
	}
}
