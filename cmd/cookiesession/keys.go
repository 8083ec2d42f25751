package main

import (
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/seed-50e21e88/cookiesession"
	"github.com/seed-50e21e88/cookiesession/internal/keyfile"
)

// newSecret returns a secret as key files spell it.
func newSecret() keyfile.Secret {
	return keyfile.Secret("base64:" + base64.RawURLEncoding.EncodeToString(cookiesession.GenerateKey("").Secret))
}

func (p *program) keysNew(flags *flag.FlagSet, args []string) error {
	path := flags.String("file", "", "write a key file called `name`, which must not exist")
	label := flags.String("label", "", "call the key `label` (default: in a file the month, such as 2026-11;\nwithout -file it is printed without a label)")
	err := p.parse(flags, args, `
Makes a first key. With -file it is written to a new key file with mode 0600, to be
opened with cookiesession.OpenKeyFile and rotated with "cookiesession keys rotate".
Without -file the secret is printed, and nothing else, for an environment variable
that cookiesession.ParseKeyring reads:

  export COOKIESESSION_KEYS="$(cookiesession keys new)"

Whoever has the secret can make and read every session.
`)
	if err != nil {
		return err
	}
	if problem := labelProblem(*label); problem != "" {
		return p.usage(flags, problem)
	}
	key := keyfile.Key{Label: *label, Secret: newSecret()}
	if *path == "" {
		text := string(key.Secret)
		if key.Label != "" {
			text = key.Label + "=" + text
		}
		if _, err := cookiesession.ParseKeyring(text); err != nil {
			return err
		}
		_, err := fmt.Fprintln(p.stdout, text)
		return err
	}
	if holdsSecret(*path) {
		return p.usage(flags, "-file is the name of a file to write, and a secret stands there")
	}
	if key.Label == "" {
		key.Label = time.Now().UTC().Format("2006-01")
	}
	text := (&keyfile.File{Keys: []keyfile.Key{key}}).Marshal()
	ring, err := cookiesession.ParseKeyring(string(text))
	if err != nil {
		return err
	}
	if err := createFile(*path, text); err != nil {
		return err
	}
	name := *path
	if keyfile.MayBeSecret(name) {
		name = "the key file"
	}
	fmt.Fprintf(p.stdout, "%s is written: key %s seals and opens from now on\nring %s\n", name, key.Label, ring.Fingerprint())
	if info, err := os.Stat(*path); err == nil {
		for _, note := range openToAll(name, info) {
			fmt.Fprintf(p.stdout, "note: %s\n", note)
		}
	}
	return nil
}

// labelProblem says why no key can have the label that a flag gives, or returns "". Found later, the fault would be
// taken for one of the key file, or, in a list of secrets, of the secret.
func labelProblem(label string) string {
	if label == "" {
		return ""
	}
	if keyfile.MayBeSecret(label) {
		return "-label looks like a secret, and labels are shown in logs and metrics; choose another"
	}
	if _, err := cookiesession.NewKeyring(cookiesession.GenerateKey(label)); err != nil {
		return "-label: " + strings.TrimPrefix(err.Error(), "cookiesession: ")
	}
	return ""
}

// holdsSecret reports whether keys stand where a file's name should, one or a list.
func holdsSecret(path string) bool {
	if _, err := cookiesession.ParseKeyring(path); err == nil {
		return true
	}
	for _, name := range []string{path, filepath.Base(path)} {
		for entry := range strings.SplitSeq(name, ",") {
			_, secret, _ := strings.Cut(entry, "=")
			for _, text := range []string{entry, secret} {
				if _, err := cookiesession.ParseSecret(text); err == nil {
					return true
				}
			}
		}
	}
	return false
}

func (p *program) keysRotate(flags *flag.FlagSet, args []string) error {
	path := flags.String("file", "", "the key file's `name`")
	in := flags.Duration("in", 10*time.Minute, "let the new key seal after this `time`, which is what you have to bring\nthe file to every server; leave a few minutes for clocks that differ")
	lifetime := flags.Duration("lifetime", 24*time.Hour, "the longest `time` that a session lives: the greatest of Config.Lifetime and\nall durations given to Remember and ExpireIn")
	slack := flags.Duration("slack", time.Hour, "keep the old keys for this `time` more, for servers that get\nthe file late")
	label := flags.String("label", "", "call the new key `label` (default: the month, such as 2026-11, with a letter\nif that is taken)")
	var drop labels
	flags.Var(&drop, "drop", "remove the key called `label` now, because it leaked: its sessions end\n(may be given several times)")
	dropAll := flags.Bool("drop-all", false, "remove all keys but the new one now: every session ends")
	dryRun := flags.Bool("dry-run", false, "print the plan and write nothing")
	asJSON := flags.Bool("json", false, "print the plan as JSON")
	err := p.parse(flags, args, `
Adds the next key to a key file. Until it activates it only opens, so that no server
seals with a key that another doesn't have yet. The keys before it get an end: when
the last session that they can have sealed has expired. Ends that are scheduled
already stay, unless the key seals again in place of one that is dropped. Keys that
have retired are removed.

Distribute the file before the new key activates; servers that watch it switch by
themselves. The file is replaced at once or not at all, with mode 0600 (0640 if it
had that, with its access control list on Linux) and its owner. Two rotations at a
time wait for one another.
`)
	switch {
	case err != nil:
		return err
	case *path == "":
		return p.usage(flags, "-file is missing")
	case *in < 0, *lifetime <= 0, *slack < 0:
		return p.usage(flags, "-in and -slack can't be negative, and -lifetime must be positive")
	}
	if problem := labelProblem(*label); problem != "" {
		return p.usage(flags, problem)
	}

	r := keyfile.Rotation{In: *in, Lifetime: *lifetime, Slack: *slack, Label: *label, Secret: newSecret(), Drop: drop, DropAll: *dropAll}
	var done rotated
	change := func(old []byte) ([]byte, error) {
		r.Now = time.Now() // a rotation before may have taken its time
		text, err := rotate(old, r, &done)
		if err != nil {
			return nil, fmt.Errorf("key file %s: %w", *path, err)
		}
		return text, nil
	}
	if *dryRun {
		var old []byte
		if old, err = readFile(*path); err == nil {
			_, err = change(old)
		}
	} else {
		var notes []string
		notes, err = changeFile(*path, change)
		done.Notes = append(done.Notes, notes...)
	}
	if err != nil {
		return err
	}
	done.File, done.Written = *path, !*dryRun
	if *dryRun {
		done.Ring = ""
	}
	if *asJSON {
		err = p.printJSON(done)
	} else {
		_, err = fmt.Fprint(p.stdout, done.words())
	}
	if err != nil && done.Written {
		return fmt.Errorf("%s is written; %w", *path, err)
	}
	return err
}

type labels []string

func (l *labels) String() string         { return strings.Join(*l, " ") }
func (l *labels) Set(label string) error { *l = append(*l, label); return nil }

// rotated says what a rotation came to.
type rotated struct {
	File       string        `json:"file"`
	Written    bool          `json:"written"`
	Label      string        `json:"label"`
	ActivateAt time.Time     `json:"activate_at"`
	Before     string        `json:"sealing_before,omitempty"`
	Until      time.Time     `json:"seals_until,omitzero"` // when a pending key takes over
	After      string        `json:"sealing_after,omitempty"`
	Retiring   []retiringKey `json:"retiring"`
	Dropped    []string      `json:"dropped"`
	NotBefore  time.Time     `json:"not_before,omitzero"`
	Ring       string        `json:"ring,omitempty"` // empty in a dry run: the new key is gone
	Warnings   []string      `json:"warnings"`
	Notes      []string      `json:"notes"`

	atOnce bool
}

type retiringKey struct {
	Label    string    `json:"label"`
	RetireAt time.Time `json:"retire_at"`
	New      bool      `json:"scheduled_now"`
}

// rotate returns the new content of a key file, and fills in done.
func rotate(old []byte, r keyfile.Rotation, done *rotated) ([]byte, error) {
	file, err := readKeys(old, r.Now)
	if err != nil {
		return nil, err
	}
	plan, err := file.Rotate(r)
	if err != nil {
		return nil, err
	}
	text := file.Marshal()
	ring, err := cookiesession.ParseKeyring(string(text))
	if err != nil {
		if file.Sealing(r.Now) < 0 && r.In > 0 {
			return nil, errors.New("no key would seal until the new one activates; use -in 0")
		}
		return nil, problem(err)
	}
	*done = rotated{
		Label: plan.Label, ActivateAt: plan.ActivateAt, Before: plan.Before, Until: plan.Until.UTC(), After: plan.After,
		Dropped: append([]string{}, plan.Dropped...), NotBefore: file.NotBefore,
		Retiring: []retiringKey{}, Ring: ring.Fingerprint(), Warnings: append([]string{}, file.Warnings(r.Now, r.Lifetime)...),
		Notes: []string{}, atOnce: r.In == 0,
	}
	scheduled := make(map[string]bool)
	for _, label := range plan.Retiring {
		scheduled[label] = true
	}
	for _, key := range file.Keys {
		if !key.RetireAt.IsZero() {
			done.Retiring = append(done.Retiring, retiringKey{key.Label, key.RetireAt.UTC(), scheduled[key.Label]})
		}
	}
	return text, nil
}

// words tells the plan.
func (r *rotated) words() string {
	var b strings.Builder
	from := "now on"
	if !r.atOnce {
		from = keyfile.Time(r.ActivateAt)
	}
	fmt.Fprintf(&b, "from %s new cookies are sealed with %s", from, r.Label)
	if !r.atOnce && r.Before != "" {
		fmt.Fprintf(&b, ", until then with %s", r.Before)
	}
	if r.After != "" {
		fmt.Fprintf(&b, ", and from %s on with %s, as before", keyfile.Time(r.Until), r.After)
	}
	b.WriteByte('\n')
	for _, key := range r.Retiring {
		fmt.Fprintf(&b, "%s opens until %s", key.Label, keyfile.Time(key.RetireAt))
		if !key.New {
			b.WriteString(", as before")
		}
		b.WriteByte('\n')
	}
	for _, label := range r.Dropped {
		fmt.Fprintf(&b, "%s is removed\n", label)
	}
	if !r.NotBefore.IsZero() {
		fmt.Fprintf(&b, "sessions from before %s are refused\n", keyfile.Time(r.NotBefore))
	}
	switch {
	case !r.Written:
		fmt.Fprintf(&b, "%s is as it was: this is a dry run\n", r.File)
	case r.atOnce:
		fmt.Fprintf(&b, "%s is written: distribute it to every server now\nring %s\n", r.File, r.Ring)
	default:
		fmt.Fprintf(&b, "%s is written: distribute it to every server before %s\nring %s\n", r.File, keyfile.Time(r.ActivateAt), r.Ring)
	}
	for _, warning := range r.Warnings {
		fmt.Fprintf(&b, "warning: %s\n", warning)
	}
	for _, note := range r.Notes {
		fmt.Fprintf(&b, "note: %s\n", note)
	}
	return b.String()
}

// readKeys reads what a key file holds. Keys without a label get the one that they have in the ring. That no key is
// active is no error here.
func readKeys(text []byte, now time.Time) (*keyfile.File, error) {
	file, err := keyfile.Parse(text)
	if err != nil {
		return nil, err
	}
	if file.Sealing(now) < 0 {
		return file, nil
	}
	ring, err := cookiesession.ParseKeyring(string(text))
	if err != nil {
		return nil, problem(err)
	}
	keys := ring.Keys()
	for i := range file.Keys {
		if file.Keys[i].Label == "" { // a list of secrets: no times, so both are in the order of the text
			file.Keys[i].Label = keys[i].Label
		}
	}
	return file, nil
}

// problem is an error of ParseKeyring without the words that say where the text came from.
func problem(err error) error {
	return errors.New(strings.TrimPrefix(err.Error(), "cookiesession: keys: "))
}

const sourcesExclude = "-file and -env exclude each other"

// A source is where list, check and inspect read keys from.
type source struct{ file, env *string }

func keySource(flags *flag.FlagSet) source {
	return source{
		flags.String("file", "", "read the key file called `name`"),
		flags.String("env", "", "read the environment variable called `name`, such as COOKIESESSION_KEYS"),
	}
}

func (s source) missing() bool { return *s.file == "" && *s.env == "" }

// both reports whether there are two, of which one would go unread.
func (s source) both() bool { return *s.file != "" && *s.env != "" }

// read returns the text and how to call its source.
func (s source) read(p *program) (text []byte, name string, err error) {
	if *s.file != "" {
		text, err = readFile(*s.file)
		return text, "key file " + *s.file, err
	}
	value, ok := p.env(*s.env)
	if !ok {
		return nil, "", errors.New("-env is the name of an environment variable, and none of that name is set")
	}
	return []byte(value), "environment variable " + *s.env, nil
}

// open returns the keys in both forms.
func (s source) open(p *program) (*keyfile.File, *cookiesession.Keyring, error) {
	text, name, err := s.read(p)
	if err != nil {
		return nil, nil, err
	}
	ring, err := cookiesession.ParseKeyring(string(text))
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", name, problem(err))
	}
	file, err := readKeys(text, time.Now())
	return file, ring, err
}

func (p *program) keysList(flags *flag.FlagSet, args []string) error {
	from := keySource(flags)
	asJSON := flags.Bool("json", false, "print JSON")
	err := p.parse(flags, args, `
Shows the keys, which of them seals, and when each starts to seal and stops to open.
The ring's fingerprint is equal on all servers that have the same keys and times.
Secrets aren't shown.
`)
	switch {
	case err != nil:
		return err
	case from.missing():
		return p.usage(flags, "-file or -env is missing")
	case from.both():
		return p.usage(flags, sourcesExclude)
	}
	file, ring, err := from.open(p)
	if err != nil {
		return err
	}
	if *asJSON {
		type key struct {
			Label       string                 `json:"label"`
			State       cookiesession.KeyState `json:"state"`
			ActivateAt  time.Time              `json:"activate_at,omitzero"`
			RetireAt    time.Time              `json:"retire_at,omitzero"`
			Fingerprint string                 `json:"fingerprint"`
		}
		var out struct {
			Ring      string    `json:"ring"`
			NotBefore time.Time `json:"not_before,omitzero"`
			Keys      []key     `json:"keys"`
		}
		out.Ring, out.NotBefore = ring.Fingerprint(), file.NotBefore
		for _, k := range ring.Keys() {
			out.Keys = append(out.Keys, key(k))
		}
		return p.printJSON(out)
	}
	table := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "LABEL\tSTATE\tSEALS FROM\tOPENS UNTIL\tFINGERPRINT")
	for _, k := range ring.Keys() {
		activate, retire := "the beginning", "further notice"
		if !k.ActivateAt.IsZero() {
			activate = keyfile.Time(k.ActivateAt)
		}
		if !k.RetireAt.IsZero() {
			retire = keyfile.Time(k.RetireAt)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", k.Label, k.State, activate, retire, k.Fingerprint)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if !file.NotBefore.IsZero() {
		fmt.Fprintf(p.stdout, "sessions from before %s are refused\n", keyfile.Time(file.NotBefore))
	}
	fmt.Fprintf(p.stdout, "ring %s\n", ring.Fingerprint())
	return nil
}

func (p *program) keysCheck(flags *flag.FlagSet, args []string) error {
	from := keySource(flags)
	lifetime := flags.Duration("lifetime", 24*time.Hour, "the longest `time` that a session lives: the greatest of Config.Lifetime and\nall durations given to Remember and ExpireIn")
	asJSON := flags.Bool("json", false, "print JSON")
	err := p.parse(flags, args, `
Says what is wrong with keys, or is going to be if nobody does anything: a pending key
that never seals, a time without a sealing key, a key that retires before its last
sessions have expired. The exit status is 1 if there is an error or a warning, so that
a pipeline stops; notes don't count.
`)
	switch {
	case err != nil:
		return err
	case from.missing():
		return p.usage(flags, "-file or -env is missing")
	case from.both():
		return p.usage(flags, sourcesExclude)
	case *lifetime <= 0:
		return p.usage(flags, "-lifetime must be positive")
	}
	result := struct {
		OK       bool     `json:"ok"`
		Error    string   `json:"error,omitempty"`
		Ring     string   `json:"ring,omitempty"`
		Warnings []string `json:"warnings"`
		Notes    []string `json:"notes"`
	}{Warnings: []string{}, Notes: []string{}}
	file, ring, err := from.open(p)
	if err != nil {
		result.Error = err.Error()
	} else {
		result.Ring = ring.Fingerprint()
		result.Warnings = append(result.Warnings, file.Warnings(time.Now(), *lifetime)...)
		result.OK = len(result.Warnings) == 0
	}
	if *from.file != "" {
		if info, err := os.Stat(*from.file); err == nil {
			result.Notes = append(result.Notes, openToAll(*from.file, info)...)
		}
	}
	if *asJSON {
		if err := p.printJSON(result); err != nil {
			return err
		}
	} else {
		for _, line := range result.Warnings {
			fmt.Fprintf(p.stdout, "warning: %s\n", line)
		}
		for _, line := range result.Notes {
			fmt.Fprintf(p.stdout, "note: %s\n", line)
		}
		if result.Error != "" {
			fmt.Fprintf(p.stdout, "error: %s\n", result.Error)
		}
		if result.OK {
			fmt.Fprintf(p.stdout, "ok: %s, ring %s\n", count(len(file.Keys), "key"), result.Ring)
		}
	}
	if !result.OK {
		return errProblem
	}
	return nil
}
