package main

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

const (
	secretA = "base64:q83vASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ_8"
	secretB = "base64:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
)

func TestKeysNew(t *testing.T) {
	inWorld(t, func(w world) {
		secret, _ := w.run(exitOK, "", "keys", "new")
		other, _ := w.run(exitOK, "", "keys", "new")
		if !regexp.MustCompile(`^base64:[A-Za-z0-9_-]{43}\n$`).MatchString(secret) || secret == other {
			w.Errorf("got %q and %q", secret, other)
		}
		if _, err := cookiesession.ParseKeyring(strings.TrimSpace(secret) + "," + other); err != nil {
			w.Error(err)
		}
		labelled, _ := w.run(exitOK, "", "keys", "new", "-label", "one")
		ring, err := cookiesession.ParseKeyring(labelled)
		if err != nil || ring.Keys()[0].Label != "one" {
			w.Errorf("got %q, %v", labelled, err)
		}
		for _, label := range []string{"a b", "a=b", "a,b"} {
			w.expect(exitUsage, "cookiesession: -label: key label has a character other than A-Z a-z 0-9 . _ -; see: cookiesession keys new -h\n", "keys", "new", "-label", label)
		}

		stdout, _ := w.run(exitOK, "", "keys", "new", "-file", "keys.json")
		ring, err = cookiesession.OpenKeyFile("keys.json")
		if err != nil {
			w.Fatal(err)
		}
		if want := "keys.json is written: key 2000-01 seals and opens from now on\nring " + ring.Fingerprint() + "\n"; stdout != want {
			w.Errorf("got %q, want %q", stdout, want)
		}
		w.mode("keys.json", 0o600)
		before := w.read("keys.json")
		w.expect(exitProblem, "cookiesession: keys.json exists and is left alone; add a key to it with: cookiesession keys rotate -file keys.json\n", "keys", "new", "-file", "keys.json")
		if w.read("keys.json") != before || w.files() != "keys.json" {
			w.Errorf("the file changed, or something is left: %s", w.files())
		}
		w.run(exitOK, "", "keys", "new", "-file", "other.json", "-label", "first")
		if text := w.read("other.json"); !strings.Contains(text, `"label": "first"`) {
			w.Errorf("got %s", text)
		}
		w.expect(exitProblem, "cookiesession: the directory that the key file is to be in doesn't exist\n", "keys", "new", "-file", "none/keys.json")
	})
}

func (w world) mode(name string, want os.FileMode) {
	w.Helper()
	info, err := os.Stat(name)
	if err != nil {
		w.Fatal(err)
	}
	if got := info.Mode().Perm(); got != want {
		w.Errorf("%s has mode %04o, want %04o", name, got, want)
	}
}

// ring returns the fingerprint of the ring in a file.
func (w world) ring(name string) string {
	w.Helper()
	ring, err := cookiesession.OpenKeyFile(name)
	if err != nil {
		w.Fatal(err)
	}
	return ring.Fingerprint()
}

func TestKeysRotate(t *testing.T) {
	inWorld(t, func(w world) {
		w.write("keys.json", `{"not_before": "1999-01-01T00:00:00Z", "keys": [{"label": "1999-10", "secret": "`+secretA+`"}]}`)
		before := w.read("keys.json")
		w.expect(exitOK, `from 2000-01-01 00:10:00 UTC new cookies are sealed with 2000-01, until then with 1999-10
1999-10 opens until 2000-01-02 01:10:00 UTC
sessions from before 1999-01-01 00:00:00 UTC are refused
keys.json is as it was: this is a dry run
`, "keys", "rotate", "-file", "keys.json", "-dry-run")
		if w.read("keys.json") != before || w.files() != "keys.json" {
			w.Errorf("a dry run wrote something: %s", w.files())
		}

		got, _ := w.run(exitOK, "", "keys", "rotate", "-file", "keys.json", "-in", "10m", "-lifetime", "24h")
		want := `from 2000-01-01 00:10:00 UTC new cookies are sealed with 2000-01, until then with 1999-10
1999-10 opens until 2000-01-02 01:10:00 UTC
sessions from before 1999-01-01 00:00:00 UTC are refused
keys.json is written: distribute it to every server before 2000-01-01 00:10:00 UTC
ring ` + w.ring("keys.json") + "\n"
		if got != want {
			w.Errorf("got\n%s\nwant\n%s", got, want)
		}
		secret := regexp.MustCompile(`base64:[A-Za-z0-9_-]{43}`)
		if text, want := secret.ReplaceAllString(w.read("keys.json"), "SECRET"), `{
  "not_before": "1999-01-01T00:00:00Z",
  "keys": [
    {
      "label": "2000-01",
      "secret": "SECRET",
      "activate_at": "2000-01-01T00:10:00Z"
    },
    {
      "label": "1999-10",
      "secret": "SECRET",
      "retire_at": "2000-01-02T01:10:00Z"
    }
  ]
}
`; text != want {
			w.Errorf("got %s", text)
		}
		if !strings.Contains(w.read("keys.json"), secretA) {
			w.Error("the old secret is lost")
		}

		time.Sleep(30 * time.Minute)
		got, _ = w.run(exitOK, "", "keys", "rotate", "-file", "keys.json", "-in", "1h", "-slack", "0", "-lifetime", "720h", "-label", "next")
		want = `from 2000-01-01 01:30:00 UTC new cookies are sealed with next, until then with 2000-01
2000-01 opens until 2000-01-31 01:30:00 UTC
1999-10 opens until 2000-01-02 01:10:00 UTC, as before
sessions from before 1999-01-01 00:00:00 UTC are refused
keys.json is written: distribute it to every server before 2000-01-01 01:30:00 UTC
ring ` + w.ring("keys.json") + `
warning: 1999-10 seals until 2000-01-01 00:10:00 UTC but retires at 2000-01-02 01:10:00 UTC, before its last sessions have expired; set its retire_at to 2000-01-31 00:10:00 UTC or later
`
		if got != want {
			w.Errorf("got\n%s\nwant\n%s", got, want)
		}

		time.Sleep(48 * time.Hour)
		got, _ = w.run(exitOK, "", "keys", "rotate", "-file", "keys.json", "-in", "0", "-drop", "next", "-drop", "2000-01")
		want = `from now on new cookies are sealed with 2000-01b
next is removed
2000-01 is removed
1999-10 is removed
sessions from before 1999-01-01 00:00:00 UTC are refused
keys.json is written: distribute it to every server now
ring ` + w.ring("keys.json") + "\n"
		if got != want {
			w.Errorf("got\n%s\nwant\n%s", got, want)
		}

		got, _ = w.run(exitOK, "", "keys", "rotate", "-file", "keys.json", "-in", "0", "-drop-all")
		if want := "from now on new cookies are sealed with 2000-01c\n2000-01b is removed\n"; !strings.HasPrefix(got, want) {
			w.Errorf("got\n%s\nwant\n%s…", got, want)
		}
	})
}

// The plan says when the new key seals, also if keys that were pending take over from it, or none seals before it.
func TestKeysRotateTellsWhoSealsWhen(t *testing.T) {
	inWorld(t, func(w world) {
		for _, test := range []struct{ name, pending, retire, flags, want string }{
			{"at once", "", "", "-in 0", "from now on new cookies are sealed with new\n"},
			{
				"at once, before a pending key", "2000-01-01T01:00:00Z", "", "-in 0",
				"from now on new cookies are sealed with new, and from 2000-01-01 01:00:00 UTC on with pending, as before\n",
			},
			{
				"before a pending key", "2000-01-01T01:00:00Z", "", "-in 30m",
				"from 2000-01-01 00:30:00 UTC new cookies are sealed with new, until then with a, and from 2000-01-01 01:00:00 UTC on with pending, as before\n",
			},
			{"after a pending key", "2000-01-01T01:00:00Z", "", "-in 90m", "from 2000-01-01 01:30:00 UTC new cookies are sealed with new, until then with pending\n"},
			{"after a gap", "", "2000-01-01T00:20:00Z", "-in 30m", "from 2000-01-01 00:30:00 UTC new cookies are sealed with new\n"},
		} {
			content := `{"keys": [`
			if test.pending != "" {
				content += `{"label": "pending", "secret": "` + secretB + `", "activate_at": "` + test.pending + `"}, `
			}
			content += `{"label": "a", "secret": "` + secretA + `"`
			if test.retire != "" {
				content += `, "retire_at": "` + test.retire + `"`
			}
			w.write("keys.json", content+"}]}")
			args := append([]string{"keys", "rotate", "-file", "keys.json", "-label", "new", "-dry-run"}, strings.Fields(test.flags)...)
			got, _ := w.run(exitOK, "", args...)
			if line, _, _ := strings.Cut(got, "\n"); line+"\n" != test.want {
				w.Errorf("%s: got\n%s\nwant\n%s", test.name, line, test.want)
			}
		}
	})
}

// A key that leaked soon after a rotation is replaced without a warning, which would stop the file on its way.
func TestKeysRotateEmergency(t *testing.T) {
	inWorld(t, func(w world) {
		w.write("keys.json", `{"keys": [{"label": "leaked", "secret": "`+secretB+`", "activate_at": "1999-12-31T21:00:00Z"},
			{"label": "a", "secret": "`+secretA+`", "retire_at": "2000-01-01T22:00:00Z"}]}`)
		got, _ := w.run(exitOK, "", "keys", "rotate", "-file", "keys.json", "-label", "new", "-in", "0", "-drop", "leaked")
		want := `from now on new cookies are sealed with new
a opens until 2000-01-02 01:00:00 UTC
leaked is removed
keys.json is written: distribute it to every server now
ring ` + w.ring("keys.json") + "\n"
		if got != want {
			w.Errorf("got\n%s\nwant\n%s", got, want)
		}
		w.expect(exitOK, "ok: 2 keys, ring "+w.ring("keys.json")+"\n", "keys", "check", "-file", "keys.json")
	})
}

func TestKeysRotateJSON(t *testing.T) {
	inWorld(t, func(w world) {
		w.write("keys.json", `{"keys": [{"label": "a", "secret": "`+secretA+`"}]}`)
		w.expect(exitOK, `{
  "file": "keys.json",
  "written": false,
  "label": "b",
  "activate_at": "2000-01-01T00:10:00Z",
  "sealing_before": "a",
  "retiring": [
    {
      "label": "a",
      "retire_at": "2000-01-02T01:10:00Z",
      "scheduled_now": true
    }
  ],
  "dropped": [],
  "warnings": [],
  "notes": []
}
`, "keys", "rotate", "-file", "keys.json", "-label", "b", "-dry-run", "-json")
		w.write("keys.json", `{"keys": [{"label": "c", "secret": "`+secretB+`", "activate_at": "2000-01-01T02:00:00+01:00"}]}`)
		w.expect(exitOK, `{
  "file": "keys.json",
  "written": false,
  "label": "b",
  "activate_at": "2000-01-01T00:00:00Z",
  "seals_until": "2000-01-01T01:00:00Z",
  "sealing_after": "c",
  "retiring": [],
  "dropped": [],
  "warnings": [],
  "notes": []
}
`, "keys", "rotate", "-file", "keys.json", "-label", "b", "-in", "0", "-dry-run", "-json")
		if got, _ := w.run(exitOK, "", "keys", "rotate", "-file", "keys.json", "-in", "0", "-json"); !strings.Contains(got, `"notes": []`) {
			w.Errorf("written: got %s", got)
		}
	})
}

func TestKeysRotateRefuses(t *testing.T) {
	inWorld(t, func(w world) {
		const a = `{"keys": [{"label": "a", "secret": "` + secretA + `"}]}`
		for _, test := range []struct{ name, content, flags, want string }{
			{"empty file", " ", "", "empty; make a first key with: cookiesession keys new"},
			{"half a file", a[:40], "", "line 1: ends in the middle of the JSON; was it written to the end?"},
			{"weak secret", `{"keys": [{"label": "a", "secret": "hunter2"}]}`, "", "line 1: key a: secret is neither base64 nor 64 hexadecimal digits; make one with GenerateKey or: cookiesession keys new"},
			{"label taken", a, "-label a", `there is a key "a" already; choose another label`},
			{"nothing to drop", a, "-drop b", "there is no key with the label to drop, number 1 of 1; see: cookiesession keys list"},
			{"nothing seals", a, "-drop a", "no key would seal until the new one activates; use -in 0"},
		} {
			name := strings.ReplaceAll(test.name, " ", "-")
			w.write(name, test.content)
			before := w.files()
			args := append([]string{"keys", "rotate", "-file", name}, strings.Fields(test.flags)...)
			w.expect(exitProblem, "cookiesession: key file "+name+": "+test.want+"\n", args...)
			if w.read(name) != test.content || w.files() != before {
				w.Errorf("%s: the file changed, or something is left: %s", test.name, w.files())
			}
		}
		w.expect(exitUsage, "cookiesession: -label: key label has a character other than A-Z a-z 0-9 . _ -; see: cookiesession keys rotate -h\n",
			"keys", "rotate", "-file", "bad-label", "-label", "ä")
	})
}

// A list of secrets becomes a JSON file, in which the labels that the ring showed stay. A file whose keys have all
// retired can be rotated too.
func TestKeysRotateOtherFiles(t *testing.T) {
	inWorld(t, func(w world) {
		w.write("list", "new="+secretB+","+secretA+"\n")
		w.run(exitOK, "", "keys", "rotate", "-file", "list", "-in", "0")
		ring, err := cookiesession.OpenKeyFile("list")
		if err != nil {
			w.Fatal(err)
		}
		var got []string
		for _, key := range ring.Keys() {
			got = append(got, key.Label+" "+key.State.String())
		}
		if want := []string{"2000-01 sealing", "new opening", "key-dba2fdc2 opening"}; !slices.Equal(got, want) {
			w.Errorf("got %q, want %q", got, want)
		}

		w.write("retired", `{"keys": [{"label": "a", "secret": "`+secretA+`", "retire_at": "1999-12-31T23:59:59Z"}]}`)
		w.expect(exitProblem, "cookiesession: key file retired: no key would seal until the new one activates; use -in 0\n", "keys", "rotate", "-file", "retired")
		w.run(exitOK, "", "keys", "rotate", "-file", "retired", "-in", "0")
		w.ring("retired")
	})
}

func TestKeysList(t *testing.T) {
	inWorld(t, func(w world) {
		w.write("keys.json", `{"not_before": "1999-12-01T00:00:00+01:00", "keys": [
			{"label": "gone", "secret": "hex:`+strings.Repeat("0123456789abcde", 4)+`ffff", "retire_at": "1999-01-01T00:00:00Z"},
			{"label": "b", "secret": "`+secretB+`", "activate_at": "2000-01-01T00:00:01+00:00"},
			{"label": "a", "secret": "`+secretA+`", "retire_at": "2000-01-02T00:00:00Z"}]}`)
		ring := w.ring("keys.json")
		w.expect(exitOK, `LABEL  STATE    SEALS FROM               OPENS UNTIL              FINGERPRINT
b      pending  2000-01-01 00:00:01 UTC  further notice           52292f17fc0fd84f
gone   retired  the beginning            1999-01-01 00:00:00 UTC  43f5b5b699a39452
a      sealing  the beginning            2000-01-02 00:00:00 UTC  dba2fdc277351eb8
sessions from before 1999-11-30 23:00:00 UTC are refused
ring `+ring+"\n", "keys", "list", "-file", "keys.json")

		stdout, _ := w.run(exitOK, "", "keys", "list", "-file", "keys.json", "-json")
		var out struct {
			Ring      string
			NotBefore time.Time `json:"not_before"`
			Keys      []map[string]string
		}
		if err := json.Unmarshal([]byte(stdout), &out); err != nil {
			w.Fatal(err)
		}
		if out.Ring != ring || out.NotBefore.Unix() != 944002800 || len(out.Keys) != 3 || out.Keys[0]["state"] != "pending" || out.Keys[0]["activate_at"] != "2000-01-01T00:00:01Z" {
			w.Errorf("got %s", stdout)
		}

		w.env["KEYS"] = "b=" + secretB + "," + secretA
		w.expect(exitOK, `LABEL         STATE    SEALS FROM     OPENS UNTIL     FINGERPRINT
b             sealing  the beginning  further notice  52292f17fc0fd84f
key-dba2fdc2  opening  the beginning  further notice  dba2fdc277351eb8
ring c410ab0ea17a21a3
`, "keys", "list", "-env", "KEYS")
		w.expect(exitProblem, "cookiesession: -env is the name of an environment variable, and none of that name is set\n", "keys", "list", "-env", "NONE")
		w.env["KEYS"] = secretA + ","
		w.expect(exitProblem, "cookiesession: environment variable KEYS: key 2: empty; remove a comma\n", "keys", "list", "-env", "KEYS")
		w.expect(exitProblem, "cookiesession: key file: no such file or directory; make one with: cookiesession keys new -file NAME\n", "keys", "list", "-file", "none")
	})
}

func TestKeysCheck(t *testing.T) {
	inWorld(t, func(w world) {
		w.write("good", `{"keys": [{"label": "a", "secret": "`+secretA+`"}]}`)
		w.expect(exitOK, "ok: 1 key, ring "+w.ring("good")+"\n", "keys", "check", "-file", "good")
		if err := os.Chmod("good", 0o644); err != nil {
			w.Fatal(err)
		}
		w.expect(exitOK, "note: good has mode 0644: everybody on this machine can read the secrets\nok: 1 key, ring "+w.ring("good")+"\n", "keys", "check", "-file", "good")

		w.write("early", `{"keys": [{"label": "b", "secret": "`+secretB+`", "activate_at": "2000-01-01T01:00:00Z"}, {"label": "a", "secret": "`+secretA+`", "retire_at": "2000-01-01T13:00:00Z"}]}`)
		w.expect(exitOK, "ok: 2 keys, ring "+w.ring("early")+"\n", "keys", "check", "-file", "early", "-lifetime", "12h")
		w.expect(exitProblem, "warning: a seals until 2000-01-01 01:00:00 UTC but retires at 2000-01-01 13:00:00 UTC, before its last sessions have expired; set its retire_at to 2000-01-02 01:00:00 UTC or later\n", "keys", "check", "-file", "early")

		w.write("broken", `{"keys": []}`)
		w.expect(exitProblem, "error: key file broken: \"keys\" is an empty list; make one with: cookiesession keys new\n", "keys", "check", "-file", "broken")
		w.expect(exitProblem, `{
  "ok": false,
  "error": "key file broken: \"keys\" is an empty list; make one with: cookiesession keys new",
  "warnings": [],
  "notes": []
}
`, "keys", "check", "-file", "broken", "-json")
		w.env["KEYS"] = secretA
		w.expect(exitOK, "{\n  \"ok\": true,\n  \"ring\": \"a73adc1f0a995134\",\n  \"warnings\": [],\n  \"notes\": []\n}\n", "keys", "check", "-env", "KEYS", "-json")
	})
}
