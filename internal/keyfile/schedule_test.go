package keyfile

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// at reads "+10m", "-2h" or "" for no time.
func at(t *testing.T, text string) time.Time {
	t.Helper()
	if text == "" {
		return time.Time{}
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return noon.Add(d)
}

// file reads "label activation retirement" for each key, "." for no time.
func file(t *testing.T, keys ...string) *File {
	t.Helper()
	f := new(File)
	for _, key := range keys {
		fields := strings.Fields(strings.ReplaceAll(key, ".", " . "))
		for len(fields) < 3 {
			fields = append(fields, ".")
		}
		f.Keys = append(f.Keys, Key{
			Label: fields[0], Secret: Secret("secret of " + fields[0]),
			ActivateAt: at(t, strings.Trim(fields[1], ".")), RetireAt: at(t, strings.Trim(fields[2], ".")),
		})
	}
	return f
}

// list is file's reverse.
func list(f *File) (keys []string) {
	offset := func(at time.Time) string {
		if at.IsZero() {
			return "."
		}
		return fmt.Sprintf("%+gh", at.Sub(noon).Hours())
	}
	for _, k := range f.Keys {
		keys = append(keys, k.Label+" "+offset(k.ActivateAt)+" "+offset(k.RetireAt))
	}
	return keys
}

func TestRotate(t *testing.T) {
	for _, test := range []struct {
		name         string
		keys         []string
		change       func(*Rotation)
		want         []string
		wantBefore   string
		wantRetiring []string
		wantDropped  []string
	}{
		{
			"first",
			[]string{"a"},
			nil,
			[]string{"2026-11 +2h .", "a . +27h"},
			"a",
			[]string{"a"},
			nil,
		},
		{
			"month taken",
			[]string{"2026-11 -48h"},
			nil,
			[]string{"2026-11b +2h .", "2026-11 -48h +27h"},
			"2026-11",
			[]string{"2026-11"},
			nil,
		},
		{
			"an end that is scheduled stays",
			[]string{"c -1h", "b -24h +1h", "a -48h +720h"},
			nil,
			[]string{"2026-11 +2h .", "c -1h +27h", "b -24h +1h", "a -48h +720h"},
			"c",
			[]string{"c"},
			nil,
		},
		{
			"the retired are dropped",
			[]string{"c", "b . -1h", "a . +0h"},
			nil,
			[]string{"2026-11 +2h .", "c . +27h"},
			"c",
			[]string{"c"},
			[]string{"b", "a"},
		},
		{
			"later key stays",
			[]string{"a", "b +3h"},
			nil,
			[]string{"2026-11 +2h .", "a . +27h", "b +3h ."},
			"a",
			[]string{"a"},
			nil,
		},
		{
			"key pending at the same time is superseded",
			[]string{"a", "b +2h"},
			nil,
			[]string{"2026-11 +2h .", "a . +27h", "b +2h +27h"},
			"a",
			[]string{"a", "b"},
			nil,
		},
		{
			"pending key takes its turn",
			[]string{"a", "b +1h"},
			nil,
			[]string{"2026-11 +2h .", "a . +27h", "b +1h +27h"},
			"b",
			[]string{"a", "b"},
			nil,
		},
		{
			"at once",
			[]string{"a"},
			func(r *Rotation) { r.In = 0 },
			[]string{"2026-11 +0h .", "a . +25h"},
			"a",
			[]string{"a"},
			nil,
		},
		{
			"leaked key",
			[]string{"a", "b -48h"},
			func(r *Rotation) { r.In, r.Drop, r.Label = 0, []string{"b"}, "new" },
			[]string{"new +0h .", "a . +25h"},
			"a",
			[]string{"a"},
			[]string{"b"},
		},
		{
			"the key before a leaked one seals again",
			[]string{"b -3h", "a . +22h"},
			func(r *Rotation) { r.Drop = []string{"b"} },
			[]string{"2026-11 +2h .", "a . +27h"},
			"a",
			[]string{"a"},
			[]string{"b"},
		},
		{
			"an end stays if the key had stopped to seal before a leaked one began",
			[]string{"c -3h", "b -4h +22h", "a . +21h"},
			func(r *Rotation) { r.Drop = []string{"c"} },
			[]string{"2026-11 +2h .", "b -4h +27h", "a . +21h"},
			"b",
			[]string{"b"},
			[]string{"c"},
		},
		{
			"a pending key has no end if the leaked one was to take over from it",
			[]string{"c +5h", "b +3h +30h", "a . +27h"},
			func(r *Rotation) { r.Drop = []string{"c"} },
			[]string{"2026-11 +2h .", "b +3h .", "a . +27h"},
			"a", nil,
			[]string{"c"},
		},
		{
			"a key that seals again has an end, too, if it was to retire before the new one takes over",
			[]string{"b -3h", "a . +1h"},
			func(r *Rotation) { r.Drop = []string{"b"} },
			[]string{"2026-11 +2h .", "a . +27h"},
			"a",
			[]string{"a"},
			[]string{"b"},
		},
		{
			"a pending key that seals for longer in place of a dropped one retires later",
			[]string{"d +10h", "c +5h +35h", "b +3h +30h", "a . +28h"},
			func(r *Rotation) { r.Drop = []string{"c"} },
			[]string{"2026-11 +2h .", "d +10h .", "b +3h +35h", "a . +28h"},
			"a",
			[]string{"b"},
			[]string{"c"},
		},
		{
			"an end that is late enough stays if the key seals again",
			[]string{"b -3h", "a . +28h"},
			func(r *Rotation) { r.Drop = []string{"b"} },
			[]string{"2026-11 +2h .", "a . +28h"},
			"a", nil,
			[]string{"b"},
		},
		{
			"what is left has activated less than a minute ago, and not yet where clocks are behind",
			[]string{"b -59s", "a . +25h"},
			func(r *Rotation) { r.In, r.Drop, r.Label = 0, []string{"a"}, "new" },
			[]string{"new +0h .", "b . +25h"},
			"b",
			[]string{"b"},
			[]string{"a"},
		},
		{
			"what is left has activated a minute ago",
			[]string{"b -60s", "a . +25h"},
			func(r *Rotation) { r.In, r.Drop, r.Label = 0, []string{"a"}, "new" },
			[]string{"new +0h .", "b -0.016666666666666666h +25h"},
			"b",
			[]string{"b"},
			[]string{"a"},
		},
		{
			"what is left has activated just now, and the new key waits",
			[]string{"b +0s", "a . +25h"},
			func(r *Rotation) { r.Drop, r.Label = []string{"a"}, "new" },
			[]string{"new +2h .", "b . +27h"},
			"b",
			[]string{"b"},
			[]string{"a"},
		},
		{
			"nobody knows which key leaked",
			[]string{"b", "a -48h"},
			func(r *Rotation) { r.In, r.DropAll = 0, true },
			[]string{"2026-11 . ."},
			"", nil,
			[]string{"b", "a"},
		},
		{
			"all have retired",
			[]string{"a . -1h"},
			func(r *Rotation) { r.In = 0 },
			[]string{"2026-11 . ."},
			"", nil,
			[]string{"a"},
		},
		{
			"all have retired, and the next waits",
			[]string{"a . -1h"},
			nil,
			[]string{"2026-11 +2h ."},
			"", nil,
			[]string{"a"},
		},
		{
			"next month",
			[]string{"2026-11"},
			func(r *Rotation) { r.In = 10 * 24 * time.Hour },
			[]string{"2026-12 +240h .", "2026-11 . +265h"},
			"2026-11",
			[]string{"2026-11"},
			nil,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := Rotation{Now: noon.Add(time.Millisecond), In: 2 * time.Hour, Lifetime: 24 * time.Hour, Slack: time.Hour, Secret: "new secret"}
			if test.change != nil {
				test.change(&r)
			}
			f := file(t, test.keys...)
			plan, err := f.Rotate(r)
			if err != nil {
				t.Fatal(err)
			}
			if got := list(f); !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
			if plan.Before != test.wantBefore || !slices.Equal(plan.Retiring, test.wantRetiring) || !slices.Equal(plan.Dropped, test.wantDropped) {
				t.Errorf("got %+v, want before %s, retiring %s, dropped %s", plan, test.wantBefore, test.wantRetiring, test.wantDropped)
			}
			if f.Keys[0].Secret != "new secret" || f.Keys[0].Label != plan.Label {
				t.Errorf("the new key isn't the first: %v", f.Keys[0])
			}
			if i := f.Sealing(plan.ActivateAt); i != 0 {
				t.Errorf("key %d seals from its activation on", i)
			}
		})
	}
	f := file(t, "a", "b")
	for want, r := range map[string]Rotation{
		`there is a key "a" already; choose another label`:                                    {Now: noon, Label: "a"},
		`there is no key with the label to drop, number 2 of 2; see: cookiesession keys list`: {Now: noon, Drop: []string{"a", "c"}},
	} {
		if _, err := f.Rotate(r); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestNextLabel(t *testing.T) {
	for _, test := range []struct{ labels, want string }{
		{"", "2026-11"},
		{"a 2026-10 2026-12b 2026-110", "2026-11"},
		{"2026-11", "2026-11b"},
		{"2026-11a", "2026-11b"},
		{"2026-11c", "2026-11d"}, // b has been, and is gone
		{"2026-11z 2026-11b", "2026-11-27"},
		{"2026-11-27", "2026-11-28"},
		{"2026-11-99 2026-11-x 2026-11bb", "2026-11-100"},
	} {
		if got := file(t, strings.Fields(test.labels)...).nextLabel(noon); got != test.want {
			t.Errorf("%q: got %s, want %s", test.labels, got, test.want)
		}
	}
}

// A key that is pending already takes over from the new one if it activates later.
func TestRotateBeforePendingKeys(t *testing.T) {
	for _, test := range []struct {
		name      string
		keys      []string
		in        time.Duration
		wantUntil time.Time
		wantAfter string
	}{
		{"none", []string{"a"}, 0, time.Time{}, ""},
		{"earlier", []string{"b +1h59m59s", "a"}, 2 * time.Hour, time.Time{}, ""},
		{"at the same time", []string{"b +2h", "a"}, 2 * time.Hour, time.Time{}, ""},
		{"a second later", []string{"b +2h0m1s", "a"}, 2 * time.Hour, at(t, "2h0m1s"), "b"},
		{"two, the next counts", []string{"c +4h", "b +3h", "a"}, 0, at(t, "3h"), "b"},
		{"nothing seals now", []string{"b +3h"}, 0, at(t, "3h"), "b"},
	} {
		t.Run(test.name, func(t *testing.T) {
			plan, err := file(t, test.keys...).Rotate(Rotation{Now: noon, In: test.in, Lifetime: time.Hour})
			if err != nil {
				t.Fatal(err)
			}
			if !plan.Until.Equal(test.wantUntil) || plan.After != test.wantAfter {
				t.Errorf("got until %s, then %q, want %s, %q", plan.Until, plan.After, test.wantUntil, test.wantAfter)
			}
		})
	}
}

// A lifetime for ever and the slack together are more than a Duration holds.
func TestRotateLongLifetime(t *testing.T) {
	f := file(t, "a")
	if _, err := f.Rotate(Rotation{Now: noon, Lifetime: math.MaxInt64, Slack: time.Hour}); err != nil {
		t.Fatal(err)
	}
	if got, want := f.Keys[1].RetireAt, noon.Add(math.MaxInt64).Add(time.Hour); !got.Equal(want) {
		t.Errorf("retires at %s, want %s", got, want)
	}
}

// However often and closely keys are rotated and dropped, the file has no warnings, each key outlives what it sealed,
// and each that the new one takes over from has an end.
func TestRotateLeavesNoWarnings(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		f := file(t, "first")
		now := noon
		sealedUntil := make(map[string]time.Time) // when the sessions that a key sealed have expired
		const lifetime = 24 * time.Hour
		for range 15 {
			r := Rotation{Now: now, In: time.Duration(random.IntN(600)) * time.Second, Lifetime: lifetime, Secret: "s"}
			if i := random.IntN(3 * len(f.Keys)); i < len(f.Keys) {
				r.In *= time.Duration(random.IntN(2))
				if i != f.Sealing(now) || r.In == 0 {
					r.Drop = []string{f.Keys[i].Label}
					delete(sealedUntil, r.Drop[0])
					r.In *= 1 + 400*time.Duration(random.IntN(2)) // up to days, in which scheduled ends come
				}
			}
			plan, err := f.Rotate(r)
			if err != nil {
				t.Fatal(err)
			}
			for _, k := range f.Keys[1:] {
				if k.RetireAt.IsZero() && !k.ActivateAt.After(plan.ActivateAt) {
					t.Fatalf("%s has no end: %q", k.Label, list(f))
				}
			}
			for _, warning := range f.Warnings(now, lifetime) {
				if !strings.Contains(warning, "never seals") {
					t.Fatalf("%s: %q", warning, list(f))
				}
			}
			next := now.Add(time.Duration(random.IntN(2*86400)) * time.Second)
			for ; now.Before(next); now = now.Add(10 * time.Minute) {
				for _, k := range f.Keys {
					if until, ok := sealedUntil[k.Label]; ok && k.retired(now) && until.After(now) {
						t.Fatalf("%s retired with sessions that live until %s: %q", k.Label, until, list(f))
					}
				}
				sealing := f.Sealing(now)
				if sealing < 0 {
					t.Fatalf("no key seals at %s: %q", now, list(f))
				}
				sealedUntil[f.Keys[sealing].Label] = now.Add(lifetime)
			}
		}
	}
}

func TestWarnings(t *testing.T) {
	const tomorrow = "2026-11-22 12:00:00 UTC"
	for _, test := range []struct {
		name string
		keys []string
		want []string
	}{
		{"one key", []string{"a"}, nil},
		{"rotated in time", []string{"b +1h", "a . +25h"}, nil},
		{"rotated a second too closely", []string{"b +1h", "a . +24h59m59s"}, []string{
			"a seals until 2026-11-21 13:00:00 UTC but retires at 2026-11-22 12:59:59 UTC, before its last sessions have expired; set its retire_at to 2026-11-22 13:00:00 UTC or later",
		}},
		{"past rotation, too closely", []string{"b -2h", "a . +21h"}, []string{
			"a seals until 2026-11-21 10:00:00 UTC but retires at 2026-11-22 09:00:00 UTC, before its last sessions have expired; set its retire_at to 2026-11-22 10:00:00 UTC or later",
		}},
		{"too closely, but that is over", []string{"b -2h", "a . -1h"}, nil},
		{"no successor", []string{"a . +24h"}, []string{
			"a seals until " + tomorrow + " but retires at " + tomorrow + ", before its last sessions have expired; set its retire_at to 2026-11-23 12:00:00 UTC or later",
			"from " + tomorrow + " on no key seals and no session can be saved; rotate before then",
		}},
		{"gap", []string{"b +25h", "a . +24h"}, []string{
			"a seals until " + tomorrow + " but retires at " + tomorrow + ", before its last sessions have expired; set its retire_at to 2026-11-23 12:00:00 UTC or later",
			"from " + tomorrow + " until 2026-11-22 13:00:00 UTC no key seals and no session can be saved; close the gap",
		}},
		{"past gap", []string{"b -1h", "a . -2h"}, nil},
		{"pending key that is passed over", []string{"c +1h", "b +1h", "a"}, []string{
			"b never seals: when it activates, at 2026-11-21 13:00:00 UTC, a key activated then or later is preferred; correct its activate_at or remove it",
		}},
		{"pending for years", []string{"b +9000h", "a"}, []string{
			"b doesn't activate before 2027-12-01 12:00:00 UTC, over a year from now; is that meant?",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := file(t, test.keys...).Warnings(noon, 24*time.Hour); !slices.Equal(got, test.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
			}
		})
	}
	f := file(t, "a")
	f.NotBefore = noon.Add(24 * time.Hour)
	want := []string{"not_before lies ahead: until " + tomorrow + " every session is refused, new ones too"}
	if got := f.Warnings(noon, time.Hour); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
