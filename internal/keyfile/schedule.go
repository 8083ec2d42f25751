package keyfile

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Period is when a key serves. It opens from the moment it is known until RetireAt (zero: for ever), and may seal
// from ActivateAt on (zero: at once).
type Period struct{ ActivateAt, RetireAt time.Time }

// Retired reports whether the key opens nothing any more at t.
func (p Period) Retired(t time.Time) bool { return !p.RetireAt.IsZero() && !p.RetireAt.After(t) }

// Active reports whether the key may seal at t.
func (p Period) Active(t time.Time) bool { return !p.ActivateAt.After(t) && !p.Retired(t) }

// Sealing returns the index of the key that seals at t, or -1: the active one with the latest ActivateAt, the first
// listed of equals.
func (f *File) Sealing(t time.Time) int {
	sealing := -1
	for i := range f.Keys {
		if k := &f.Keys[i]; k.period().Active(t) && (sealing < 0 || k.ActivateAt.After(f.Keys[sealing].ActivateAt)) {
			sealing = i
		}
	}
	return sealing
}

func (k *Key) period() Period { return Period{k.ActivateAt, k.RetireAt} }

func (k *Key) retired(t time.Time) bool { return k.period().Retired(t) }

// clockDifference is how far servers' clocks may differ.
const clockDifference = time.Minute

// A Rotation says how to bring in the next key. Drop lists labels to remove at once.
type Rotation struct {
	Now                 time.Time
	In, Lifetime, Slack time.Duration
	Label               string // empty: the month, with a letter if that is taken
	Secret              Secret
	Drop                []string
	DropAll             bool // all keys but the new one
}

// A Plan is what Rotate did to a file.
type Plan struct {
	Label      string    // of the new key
	ActivateAt time.Time // of the new key
	Before     string    // label of the key that seals until then; empty if none does
	Until      time.Time // when a key that was pending already takes over from the new one; zero if none does
	After      string    // label of that key
	Retiring   []string  // labels of keys whose end has been scheduled now
	Dropped    []string  // labels of keys that had retired, or were to be dropped
}

// Rotate adds the next key, which seals from r.Now + r.In on. The others retire r.Lifetime + r.Slack later, when the
// last sessions that they sealed have expired; r.Slack is for servers that get the file late. A RetireAt that is set
// already stays, since sessions may rely on it, unless the key seals for longer in place of one that is dropped; keys
// that activate after the new one stay too. Retired keys are dropped.
func (f *File) Rotate(r Rotation) (Plan, error) {
	now := r.Now.UTC().Truncate(time.Second)
	plan := Plan{Label: r.Label, ActivateAt: now.Add(r.In)}
	end := plan.ActivateAt.Add(r.Lifetime).Add(r.Slack) // their sum may be too long for a Duration
	sealed := f.sealUntil()
	taken := func(label string) bool {
		return slices.ContainsFunc(f.Keys, func(k Key) bool { return k.Label == label })
	}
	for i, label := range r.Drop {
		if !taken(label) { // the label isn't repeated: it may be a secret
			return Plan{}, fmt.Errorf("there is no key with the label to drop, number %d of %d; see: cookiesession keys list", i+1, len(r.Drop))
		}
	}
	if plan.Label == "" {
		plan.Label = f.nextLabel(plan.ActivateAt)
	} else if taken(plan.Label) {
		return Plan{}, fmt.Errorf("there is a key %q already; choose another label", plan.Label)
	}
	var kept []Key
	for _, k := range f.Keys {
		if k.retired(now) || r.DropAll || slices.Contains(r.Drop, k.Label) {
			plan.Dropped = append(plan.Dropped, k.Label)
			continue
		}
		if k.RetireAt.IsZero() && !k.ActivateAt.After(plan.ActivateAt) {
			k.RetireAt = end
			plan.Retiring = append(plan.Retiring, k.Label)
		}
		kept = append(kept, k)
	}
	f.Keys = kept
	key := Key{Label: plan.Label, Secret: r.Secret, ActivateAt: plan.ActivateAt}
	// Servers whose clock is behind refuse a file if no key of it is active there yet, and go on with the dropped keys.
	switch sealing := f.Sealing(now); {
	case sealing < 0 && r.In == 0:
		key.ActivateAt = time.Time{}
	case sealing >= 0 && f.Sealing(now.Add(-clockDifference)) < 0:
		f.Keys[sealing].ActivateAt = time.Time{} // it has activated here already
	}
	f.Keys = slices.Insert(f.Keys, 0, key) // the first listed of equals seals
	plan.Retiring = append(plan.Retiring, f.prolong(sealed, plan.ActivateAt, end)...)
	if before := f.Sealing(plan.ActivateAt.Add(-1)); before > 0 {
		plan.Before = f.Keys[before].Label
	}
	spans := f.spans()
	if own := slices.IndexFunc(spans, func(s span) bool { return s.sealing == 0 }); own+1 < len(spans) {
		plan.Until, plan.After = spans[own].until, f.Keys[spans[own+1].sealing].Label
	}
	return plan, nil
}

// prolong moves the RetireAt of each key that seals for longer than sealed says, and returns their labels: to end if it
// seals until the new key's activation at most, otherwise as much later as it seals longer. A pending key that activates
// after the new one, and that nothing takes over from any more, has no RetireAt yet, as one that was just added.
func (f *File) prolong(sealed map[string]time.Time, activation, end time.Time) (labels []string) {
	until := f.sealUntil()
	for i := range f.Keys {
		k := &f.Keys[i]
		needed := end.Add(max(until[k.Label].Sub(activation), 0))
		switch {
		case !until[k.Label].After(sealed[k.Label]) || k.RetireAt.IsZero():
		case until[k.Label].Equal(k.RetireAt) && k.ActivateAt.After(activation):
			k.RetireAt = time.Time{}
		case k.RetireAt.Before(needed):
			k.RetireAt = needed
			labels = append(labels, k.Label)
		}
	}
	return labels
}

// nextLabel returns the month, or the label after that month's last one: with b to z, then -27 and so on. So no label
// is reused while a later one of its month is in the file.
func (f *File) nextLabel(t time.Time) string {
	month := t.Format("2006-01")
	last := 0
	for _, k := range f.Keys {
		rest, ok := strings.CutPrefix(k.Label, month)
		digits, many := strings.CutPrefix(rest, "-")
		switch n, err := strconv.Atoi(digits); {
		case !ok:
		case rest == "":
			last = max(last, 1)
		case len(rest) == 1 && rest[0] >= 'a' && rest[0] <= 'z':
			last = max(last, int(rest[0]-'a')+1)
		case many && err == nil:
			last = max(last, n)
		}
	}
	switch next := last + 1; {
	case next == 1:
		return month
	case next <= 26:
		return month + string(rune('a'+next-1))
	default:
		return fmt.Sprintf("%s-%d", month, next)
	}
}

// Warnings returns what will go wrong with f, one sentence each, provided that no session lives longer than lifetime.
func (f *File) Warnings(now time.Time, lifetime time.Duration) (warnings []string) {
	warn := func(format string, args ...any) { warnings = append(warnings, fmt.Sprintf(format, args...)) }
	if f.NotBefore.After(now) {
		warn("not_before lies ahead: until %s every session is refused, new ones too", Time(f.NotBefore))
	}
	sealUntil := f.sealUntil()
	for _, k := range f.Keys {
		until, seals := sealUntil[k.Label]
		switch {
		case k.ActivateAt.After(now) && !seals:
			warn("%s never seals: when it activates, at %s, a key activated then or later is preferred; correct its activate_at or remove it", k.Label, Time(k.ActivateAt))
		case k.ActivateAt.After(now.AddDate(1, 0, 0)):
			warn("%s doesn't activate before %s, over a year from now; is that meant?", k.Label, Time(k.ActivateAt))
		}
		if seals && !k.RetireAt.IsZero() && !k.retired(now) && k.RetireAt.Before(until.Add(lifetime)) {
			warn("%s seals until %s but retires at %s, before its last sessions have expired; set its retire_at to %s or later", k.Label, Time(until), Time(k.RetireAt), Time(until.Add(lifetime)))
		}
	}
	for _, s := range f.spans() {
		switch {
		case s.sealing >= 0 || !s.until.IsZero() && !s.until.After(now):
		case s.until.IsZero():
			warn("from %s on no key seals and no session can be saved; rotate before then", Time(s.from))
		default:
			warn("from %s until %s no key seals and no session can be saved; close the gap", Time(s.from), Time(s.until))
		}
	}
	return warnings
}

// sealUntil returns when each key stops to seal for the last time, by label. It is zero for the key that doesn't stop;
// keys that never seal are missing.
func (f *File) sealUntil() map[string]time.Time {
	until := make(map[string]time.Time)
	for _, s := range f.spans() {
		if s.sealing >= 0 {
			until[f.Keys[s.sealing].Label] = s.until
		}
	}
	return until
}

// A span is a time during which one key seals, or none (-1). Zero times stand for the beginning and the end of time.
type span struct {
	from, until time.Time
	sealing     int
}

// spans returns the spans from the first activation to the end of time, in order.
func (f *File) spans() (spans []span) {
	var changes []time.Time
	for _, k := range f.Keys {
		changes = append(changes, k.ActivateAt)
		if !k.RetireAt.IsZero() {
			changes = append(changes, k.RetireAt)
		}
	}
	slices.SortFunc(changes, time.Time.Compare)
	for _, t := range changes {
		sealing := f.Sealing(t)
		if len(spans) > 0 {
			last := &spans[len(spans)-1]
			if last.sealing == sealing {
				continue
			}
			last.until = t
		}
		spans = append(spans, span{from: t, sealing: sealing})
	}
	return spans
}

// Time formats a time for people.
func Time(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }
