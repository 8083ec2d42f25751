package cookiesession_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

// Secrets of tests. Each is 32 bytes.
const (
	secretA    = "q83vASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ_8"
	secretB    = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
	secretC    = "c3VwZXItc2VjcmV0LWtleS1mb3ItdGhlLXRlc3RzISE"
	secretAHex = "abcdef0123456789abcdef0123456789abcdef0123456789abcdef01234567ff"
	zeroSecret = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
)

func TestParseKeyring(t *testing.T) {
	key := func(label, secret string) string { return fmt.Sprintf(`{"label": %q, "secret": %q}`, label, secret) }
	file := func(keys ...string) string { return `{"keys": [` + strings.Join(keys, ",") + `]}` }
	for _, test := range []struct {
		name, text string
		want       []string // label and state, as in Keys
	}{
		{"secret alone", secretA, []string{"key-dba2fdc2 sealing"}},
		{"its label doesn't depend on the spelling", "hex:" + secretAHex, []string{"key-dba2fdc2 sealing"}},
		{"nor on its place", secretB + "," + secretA, []string{"key-52292f17 sealing", "key-dba2fdc2 opening"}},
		{"padding is no label", secretA + "=", []string{"key-dba2fdc2 sealing"}},
		{"prefix and padding", "base64:" + secretA + "=", []string{"key-dba2fdc2 sealing"}},
		{"labels", "new=" + secretB + ",old=" + secretA + "=", []string{"new sealing", "old opening"}},
		{"label and prefix", "new=base64:" + secretB + "=, old=hex:" + secretAHex, []string{"new sealing", "old opening"}},
		{"labels and none", "new=" + secretB + "," + secretA, []string{"new sealing", "key-dba2fdc2 opening"}},
		{"byte order mark, line end", "\uFEFF " + secretA + "\r\n", []string{"key-dba2fdc2 sealing"}},
		{"file", file(key("a", secretA), key("b", secretB)), []string{"a sealing", "b opening"}},
		{"file with byte order mark and CRLF", "\uFEFF" + strings.ReplaceAll(file(key("a", secretA)), " ", "\r\n") + "\r\n\r\n", []string{"a sealing"}},
		{
			"members in any order", `{"keys": [{"secret": "` + secretA + `", "activate_at": "2020-01-01T00:00:00Z", "label": "a"}], "not_before": "2020-01-01T00:00:00Z"}`,
			[]string{"a sealing"},
		},
		{"escapes", `{"\u006beys": [{"label": "\u0061", "secret": "` + secretA + `"}]}`, []string{"a sealing"}},
		{
			"schedule", `{"keys": [
			{"label": "gone", "secret": "hex:` + secretAHex + `", "retire_at": "2020-01-01T00:00:00.5+02:00"},
			{"label": "now", "secret": "` + secretB + `", "activate_at": "2020-01-01T00:00:00Z", "retire_at": "9999-12-31T23:59:59Z"},
			{"label": "next", "secret": "` + secretC + `", "activate_at": "9000-01-01T00:00:00Z"}]}`,
			[]string{"next pending", "now sealing", "gone retired"},
		},
		{"label of 64 characters", file(key(strings.Repeat("x", 64), secretA)), []string{strings.Repeat("x", 64) + " sealing"}},
		{"1 MiB", file(key("a", secretA)) + strings.Repeat("\n", 1<<20-len(file(key("a", secretA)))), []string{"a sealing"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			ring, err := cookiesession.ParseKeyring(test.text)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, key := range ring.Keys() {
				got = append(got, key.Label+" "+key.State.String())
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// Each broken file and what is said of it.
func TestBrokenKeyFiles(t *testing.T) {
	a, b := `{"label": "a", "secret": "`+secretA+`"}`, `{"label": "b", "secret": "`+secretB+`"}`
	keys := func(keys string) string { return "{\n \"keys\": [\n  " + keys + "\n ]\n}\n" }
	with := func(members string) string {
		return keys(`{"label": "a", "secret": "` + secretA + `", ` + members + `}`)
	}
	secret := func(secret string) string { return keys(`{"label": "a", "secret": ` + secret + `}`) }
	label := func(label string) string { return keys(`{"label": ` + label + `, "secret": "` + secretA + `"}`) }
	const noBase64 = "secret is neither base64 nor 64 hexadecimal digits; make one with GenerateKey or: cookiesession keys new"
	const noTime = ` is not a time such as "2026-11-21T14:10:00Z" (RFC 3339); correct it or leave it out`
	const noJSON = "not JSON from here; look for a missing or needless comma, quotation mark or bracket"
	for _, test := range []struct{ name, text, want string }{
		{"nothing", "", "empty; make a first key with: cookiesession keys new"},
		{"white space", "\uFEFF \r\n\t\n", "empty; make a first key with: cookiesession keys new"},
		{"UTF-16", "\xff\xfe{\x00}\x00", "has NUL characters, as text in UTF-16 has; save it as UTF-8"},
		{"too large", keys(a) + strings.Repeat(" ", 1<<20), "more than 1048576 bytes; is it a key file?"},
		{"YAML", "keys:\n- label: a\n", "neither JSON that begins with { nor secrets on one line with commas between them"},
		{"JSON list", "[" + a + "]", "key 1: remove the quotation marks"},
		{"secrets on lines", secretA + "\n" + secretB, "neither JSON that begins with { nor secrets on one line with commas between them"},

		{"half", keys(a)[:40], "line 3: ends in the middle of the JSON; was it written to the end?"},
		{"no closing brace", strings.TrimSuffix(keys(a), "}\n"), "line 4: ends in the middle of the JSON; was it written to the end?"},
		{"no comma", keys(a + "\n  " + b), "line 4, column 3: " + noJSON},
		{"comma after the last", keys(a + ",\n"), "line 5, column 2: " + noJSON},
		{"comment", "{ // the keys\n}", "line 1, column 3: " + noJSON},
		{"single quotation marks", "{'keys': []}", "line 1, column 2: " + noJSON},
		{"line break in a text", secret(`"` + secretA[:20] + "\n" + secretA[20:] + `"`), "line 3, column 49: " + noJSON},
		{"control character", secret("\"\x01\""), "line 3, column 29: " + noJSON},
		{"bare secret", secret(secretA), "line 3, column 28: " + noJSON},
		{"trailing brace", keys(a) + "}", "line 6: something follows the closing brace; remove it"},
		{"two files", keys(a) + keys(b), "line 6: something follows the closing brace; remove it"},
		{"trailing NUL", keys(a) + "\x00", "has NUL characters, as text in UTF-16 has; save it as UTF-8"},

		{"no keys", `{"not_before": "2020-01-01T00:00:00Z"}`, `has no "keys"; make one with: cookiesession keys new`},
		{"empty list", `{"keys": []}`, `"keys" is an empty list; make one with: cookiesession keys new`},
		{"keys as an object", `{"keys": {"a": "` + secretA + `"}}`, `line 1: "keys" is not a list in square brackets`},
		{"huge number", `{"keys": 1e999}`, `line 1: "keys" is not a list in square brackets`},
		{"null keys", `{"keys": null}`, `line 1: "keys" is not a list in square brackets`},
		{"keys twice", "{\"keys\": [" + a + "],\n\"keys\": [" + b + "]}", `line 2: "keys" stands twice in one object; remove one`},
		{"unknown member", "{\"keys\": [" + a + "],\n\"version\": 1}", `line 2: unknown member "version"; the file has keys and not_before`},
		{"other case", `{"Keys": [` + a + `]}`, `line 1: unknown member "Keys"; the file has keys and not_before`},
		{"bad not_before", `{"not_before": "today", "keys": [` + a + `]}`, `line 1: "not_before"` + noTime},

		{"key as text", keys(a + ",\n  \"" + secretB + "\""), "line 4: a key is not an object in braces"},
		{"empty key", keys("{}"), "line 3: a key is empty; give it a label and a secret"},
		{"no label", keys(`{"secret": "` + secretA + `"}`), "line 3: this key has no label; name it"},
		{"empty label", label(`""`), "line 3: this key has no label; name it"},
		{"label a number", label(`2026`), `line 3: "label" is not a text in quotation marks`},
		{"label with a space", label(`"august key"`), "line 3: key label has a character other than A-Z a-z 0-9 . _ -"},
		{"label of 65 characters", label(`"` + strings.Repeat("x", 65) + `"`), "line 3: key label has 65 characters, want 1 to 64"},
		{"label and secret swapped", keys(`{"label": "` + secretA + `", "secret": "a"}`), "line 3: a secret stands where its label should"},
		{"label and secret swapped, hexadecimal", keys(`{"label": "` + secretAHex + `", "secret": "a"}`), "line 3: a secret stands where its label should"},
		{"secret as a member", keys(`{"` + secretA + `": "a"}`), "line 3: unknown member; a key has label, secret, activate_at and retire_at"},
		{"unknown member of a key", with(`"expires": "2030-01-01T00:00:00Z"`), `line 3: unknown member "expires"; a key has label, secret, activate_at and retire_at`},
		{"label twice in a key", with(`"label": "b"`), `line 3: "label" stands twice in one object; remove one`},
		{"same label", keys(a + ",\n  " + strings.Replace(b, `"b"`, `"a"`, 1)), "key a: its label is listed twice"},
		{"same secret", keys(a + ",\n  " + strings.Replace(a, `"a"`, `"b"`, 1)), "key b: has the same secret as a"},
		{"same secret in another spelling", keys(a + ",\n  " + `{"label": "b", "secret": "hex:` + secretAHex + `"}`), "key b: has the same secret as a"},

		{"no secret", keys("{\n   \"label\": \"a\"}"), "line 4: this key has no secret; make one with: cookiesession keys new"},
		{"null secret", secret("null"), `line 3: "secret" is not a text in quotation marks`},
		{"secret as a list", secret(`["` + secretA + `"]`), `line 3: "secret" is not a text in quotation marks`},
		{"passphrase", secret(`"correct horse battery staple"`), "line 3: key a: " + noBase64},
		{"short secret in the label's place", keys(`{"label": "` + secretA[:22] + `", "secret": "a"}`), "line 3: " + noBase64},
		{"short secret as a member", keys(`{"` + secretA[:22] + `": "a"}`), "line 3: unknown member; a key has label, secret, activate_at and retire_at"},
		{"list: cut in the middle", secretA[:22] + "=;" + secretB, "key 1: " + noBase64},
		{
			"list: cut secrets that are equal", secretA[:22] + "=" + secretB + "," + secretA[:22] + "=" + secretA,
			"key (label not shown, it may be a secret): its label is listed twice",
		},
		{"passphrase under a long label", keys(`{"label": "` + strings.Repeat("x", 33) + `", "secret": "correct horse battery staple"}`), "line 3: " + noBase64},
		{
			"passphrase under a label of 32 characters", keys(`{"label": "key.of.the.web.servers.2026-nov-", "secret": "correct horse battery staple"}`),
			"line 3: key key.of.the.web.servers.2026-nov-: " + noBase64,
		},
		{"label with a space, and no secret", keys(`{"label": "a b", "secret": "x"}`), "line 3: key label has a character other than A-Z a-z 0-9 . _ -"},
		{"broken hexadecimal", secret(`"hex:` + secretAHex[1:] + `"`), "line 3: key a: secret is not hexadecimal"},
		{"31 bytes", secret(`"hex:` + secretAHex[2:] + `"`), "line 3: key a: secret has 31 bytes, want 32 to 64 random ones"},
		{"65 bytes", secret(`"hex:` + secretAHex + secretAHex + `00"`), "line 3: key a: secret has 65 bytes, want 32 to 64 random ones"},
		{"zeros", secret(`"` + zeroSecret + `"`), "line 3: key a: secret has only 1 distinct bytes, so it is not random"},
		{"repeated block", secret(`"` + strings.Repeat("abcdef0123456789", 4) + `"`), "line 3: key a: secret repeats a block of 8 bytes, so it is not random"},

		{"time without a zone", with(`"activate_at": "2026-11-21T14:10:00"`), `line 3: "activate_at"` + noTime},
		{"date alone", with(`"activate_at": "2026-11-21"`), `line 3: "activate_at"` + noTime},
		{"Unix time", with(`"retire_at": 1795270200`), `line 3: "retire_at"` + noTime},
		{"null time", with(`"retire_at": null`), `line 3: "retire_at"` + noTime},
		{"empty time", with(`"retire_at": ""`), `line 3: "retire_at"` + noTime},
		{"31 November", with(`"retire_at": "2026-11-31T00:00:00Z"`), `line 3: "retire_at"` + noTime},
		{"year 10000 in UTC", with(`"retire_at": "9999-12-31T23:59:59-01:00"`), `line 3: "retire_at"` + noTime},
		{"Go's zero time", with(`"retire_at": "0001-01-01T00:00:00Z"`), `line 3: "retire_at" is before 1970; correct it or leave it out`},
		{"retires first", with(`"activate_at": "2026-11-21T14:10:00Z", "retire_at": "2026-11-21T14:10:00Z"`), "line 3: key a: retires before it activates"},
		{"all retired", with(`"retire_at": "2020-01-01T00:00:00Z"`), "no key is active now; give one key an activate_at that has passed, or none, and no retire_at that has"},
		{"all pending", with(`"activate_at": "9000-01-01T00:00:00Z"`), "no key is active now; give one key an activate_at that has passed, or none, and no retire_at that has"},

		{"list: empty entry", secretA + ",", "key 2: empty; remove a comma"},
		{"list: quotation marks", `"a=` + secretA + `"`, "key 1: remove the quotation marks"},
		{"list: passphrase", "hunter2", "key 1: " + noBase64},
		{"list: label of padding", zeroSecret + "=", "key 1: secret has only 1 distinct bytes, so it is not random"},
		{"list: swapped", secretA + "=prod", "key 1: a secret stands where its label should"},
		{"list: space between secrets", secretA + "= " + secretB + "=", "key 1: a secret stands where its label should"},
		{"list: no label", "=" + secretA, "key 1: the label before = is missing"},
		{"list: weak", "a=" + secretA + ",b=" + zeroSecret, "key 2: key b: secret has only 1 distinct bytes, so it is not random"},
		{"list: same secret", secretA + "," + secretA + "=", "key key-dba2fdc2: its label is listed twice"},
		{"list: semicolon", "a=" + secretA + ";b=" + secretB, "key 1: key a: " + noBase64},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := cookiesession.ParseKeyring(test.text)
			if err == nil {
				t.Fatal("got no error")
			}
			if got, want := err.Error(), "cookiesession: keys: "+test.want; got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			for _, secret := range []string{secretA, secretB, secretC, secretAHex, zeroSecret} {
				for i := 0; i+6 <= len(secret); i++ {
					if strings.Contains(err.Error(), secret[i:i+6]) {
						t.Fatalf("%q is in the error: %v", secret[i:i+6], err)
					}
				}
			}

			path := writeKeys(t, filepath.Join(t.TempDir(), "keys.json"), test.text)
			_, err = cookiesession.OpenKeyFile(path)
			if got, want := fmt.Sprint(err), "cookiesession: key file "+path+": "+test.want; got != want {
				t.Errorf("file: got  %s\nwant %s", got, want)
			}
		})
	}
}

func writeKeys(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// ringOfFile returns a ring of a new file with one key, called a.
func ringOfFile(t *testing.T) (ring *cookiesession.Keyring, path string) {
	t.Helper()
	path = writeKeys(t, filepath.Join(t.TempDir(), "keys"), "a="+secretA)
	ring, err := cookiesession.OpenKeyFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return ring, path
}

func TestOpenKeyFileThatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	_, err := cookiesession.OpenKeyFile(filepath.Join(dir, "none"))
	if want := "cookiesession: key file " + dir + "/none: no such file or directory; make one with: cookiesession keys new -file " + dir + "/none"; !errors.Is(err, fs.ErrNotExist) || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	_, err = cookiesession.OpenKeyFile(dir)
	if want := "cookiesession: key file " + dir + ": not a regular file"; fmt.Sprint(err) != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// A file that can be opened and not read is an error of its own, not an empty file.
func TestOpenKeyFileThatCannotBeRead(t *testing.T) {
	const path = "/proc/self/mem" // nothing is mapped at its beginning
	if _, err := os.Stat(path); err != nil {
		t.Skip("this system has no such file: ", err)
	}
	_, err := cookiesession.OpenKeyFile(path)
	if want := "cookiesession: key file " + path + ": input/output error"; fmt.Sprint(err) != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// Keys in the place of the path to them stay out of the error.
func TestOpenKeyFileWithoutPath(t *testing.T) {
	t.Chdir(t.TempDir())
	standard := strings.NewReplacer("-", "+", "_", "/").Replace(secretA)
	const want = "; its path isn't repeated, since it looks like a secret; keys themselves are for ParseKeyring"
	for _, path := range []string{
		secretA, standard, "base64:" + secretA + "=", "hex:" + secretAHex, secretAHex, "new=" + secretB + ",old=" + secretA,
		secretA[:24], "dir/" + secretA, "./" + secretB, `{"keys": [{"label": "a", "secret": "` + secretA + `"}]}`,
		"new=" + strings.Repeat("A1b2/c3D4+e5f", 3) + "G6h8", // a secret in short pieces
		strings.Repeat(secretA+",", 100),                     // longer than a file's name may be
	} {
		_, err := cookiesession.OpenKeyFile(path)
		if reason, ok := strings.CutSuffix(fmt.Sprint(err), want); !ok || len(reason) > len("cookiesession: key file: no such file or directory") {
			t.Errorf("got %v, want a reason%s", err, want)
		}
		if len(path) < 200 && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("got %v, want fs.ErrNotExist", err)
		}
	}
	// What looks like one but is there is a path.
	if err := os.Mkdir(secretA, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{secretA, secretA + "/keys.json"} {
		if _, err := cookiesession.OpenKeyFile(path); err == nil || !strings.Contains(err.Error(), path+": ") {
			t.Errorf("got %v, want an error that names %s", err, path)
		}
	}
}

// oauth2-proxy's cookie secret kept the file's last newline as a part of the key.
func TestKeyFileTrailingNewline(t *testing.T) {
	path := writeKeys(t, filepath.Join(t.TempDir(), "secret"), secretA+"\n")
	fromFile, err := cookiesession.OpenKeyFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if fromFile.Fingerprint() != parsedRing(t, secretA).Fingerprint() {
		t.Error("the newline made another key")
	}
}

// A relative path stays the file's path when the program changes its directory.
// A key file that is overwritten in place while it is read gives one version of it: parts of two may be a key file with
// a key that no other server has.
func TestKeyFileIsReadAtOnce(t *testing.T) {
	version := func(letter string, size int) string { return strings.Repeat(letter, size) }
	for _, size := range []int{1, 511, 512, 513, 4096, 1<<20 - 1, 1 << 20} {
		file := &overwrittenFile{versions: []string{version("a", size), version("b", size)}}
		text, err := cookiesession.ReadWhole(file, int64(size))
		if err != nil || string(text) != version("a", size) {
			t.Errorf("%d bytes: got %d, of them %d of the second version, %v", size, len(text), strings.Count(string(text), "b"), err)
		}
	}
	file := &overwrittenFile{versions: []string{version("a", 1<<20+2)}}
	if text, err := cookiesession.ReadWhole(file, 1<<20+2); err != nil || len(text) != 1<<20+1 {
		t.Errorf("larger than a key file: got %d bytes, %v, want one too many", len(text), err)
	}
}

// An overwrittenFile holds another version after each read.
type overwrittenFile struct {
	versions []string
	offset   int
}

func (f *overwrittenFile) Read(p []byte) (int, error) {
	n := copy(p, f.versions[0][f.offset:])
	if f.offset += n; len(f.versions) > 1 {
		f.versions = f.versions[1:]
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func TestKeyFileRelativePath(t *testing.T) {
	t.Chdir(t.TempDir())
	writeKeys(t, "keys", "a="+secretA)
	ring, err := cookiesession.OpenKeyFile("keys")
	if err != nil {
		t.Fatal(err)
	}
	writeKeys(t, "keys", "b="+secretB)
	t.Chdir(t.TempDir())
	if err := ring.Reload(); err != nil || labels(ring) != "b" {
		t.Errorf("got %v, keys %s", err, labels(ring))
	}
}

func labels(ring *cookiesession.Keyring) string {
	var labels []string
	for _, key := range ring.Keys() {
		labels = append(labels, key.Label)
	}
	return strings.Join(labels, " ")
}

func TestReload(t *testing.T) {
	ring, path := ringOfFile(t)
	if err := ring.Replace(cookiesession.GenerateKey("other")); err != nil {
		t.Fatal(err)
	}
	if err := ring.RereadForUnknownKey(t.Context()); err != nil || labels(ring) != "other" {
		t.Errorf("an unchanged file undid Replace: keys %s, error %v", labels(ring), err)
	}
	if err := ring.Reload(); err != nil || labels(ring) != "a" {
		t.Errorf("Reload didn't go back to the file: keys %s, error %v", labels(ring), err)
	}
	writeKeys(t, path, "b="+zeroSecret)
	if err := ring.Reload(); err == nil || labels(ring) != "a" {
		t.Errorf("a broken file: keys %s, error %v", labels(ring), err)
	}

	noFile := parsedRing(t, secretA)
	const want = "cookiesession: this Keyring has no file to read; open it with OpenKeyFile"
	if err := noFile.Reload(); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if err := noFile.RereadForUnknownKey(t.Context()); err != nil {
		t.Error(err)
	}
}

// Keys from a secret manager: text is put into a running ring, whole or not at all.
func TestReplaceText(t *testing.T) {
	ring := newRing(t, parsedKey(t, "a", secretA))
	node := cookiesession.NewTestSealer(ring)
	token := sealedBy(t, ring, time.Now(), "payload")
	file := func(notBefore string) string {
		return `{` + notBefore + `"keys": [{"label": "c", "secret": "` + secretC + `"}, {"label": "a", "secret": "` + secretA + `"}]}`
	}
	for _, test := range []struct{ name, text, labels string }{
		{"a list", "b=" + secretB + ",a=" + secretA, "b a"},
		{"a key file's content", "\uFEFF" + file("") + "\r\n", "c a"},
		{"with not_before", file(`"not_before": "2026-11-21T14:10:00Z", `), "c a"},
	} {
		if err := ring.ReplaceText(test.text); err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		want := parsedRing(t, test.text)
		if labels(ring) != test.labels || ring.Fingerprint() != want.Fingerprint() {
			t.Errorf("%s: got %s, ring %s; want %s, ring %s", test.name, labels(ring), ring.Fingerprint(), test.labels, want.Fingerprint())
		}
		if payload, label, refused := node.Open(time.Now(), token); refused != nil || payload != "payload" || label != "a" {
			t.Errorf("%s: got %q by %s, %v", test.name, payload, label, refused)
		}
	}

	before := ring.Fingerprint()
	for _, text := range []string{"", "a=" + zeroSecret, secretA + "=" + secretB, file("")[:60], "a=" + secretA + ",a=" + secretB} {
		err := ring.ReplaceText(text)
		if err == nil || !strings.HasPrefix(err.Error(), "cookiesession: keys: ") || strings.Contains(err.Error(), secretA[:6]) {
			t.Errorf("got %v, want an error without a secret", err)
		}
		if ring.Fingerprint() != before {
			t.Fatalf("%v, but the ring changed", err)
		}
	}

	// The text says all of not-before but what RefuseBefore says.
	ring.RefuseBefore(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	if ring.Fingerprint() != before {
		t.Error("an earlier RefuseBefore counts more than the text's not_before")
	}
	if err := ring.ReplaceText(file("")); err != nil {
		t.Fatal(err)
	}
	same := parsedRing(t, file(`"not_before": "2026-01-01T00:00:00Z", `))
	if ring.Fingerprint() != same.Fingerprint() {
		t.Error("ReplaceText left the not_before of an earlier text, or forgot RefuseBefore's")
	}
}

// Replace takes over the not-before that is in force when it puts its keys into force: one that comes with other keys
// meanwhile isn't lost.
func TestReplaceTextMeanwhile(t *testing.T) {
	ring := newRing(t, parsedKey(t, "a", secretA))
	text := `{"not_before": "2026-11-21T14:10:00Z", "keys": [{"label": "a", "secret": "` + secretA + `"}]}`
	var other sync.WaitGroup
	var begun, done atomic.Bool
	ring.SetClock(func() time.Time { // asked for by Replace between reading and storing
		if begun.CompareAndSwap(false, true) {
			other.Go(func() {
				if err := ring.ReplaceText(text); err != nil {
					t.Error(err)
				}
				done.Store(true)
			})
			for range 100000 { // it has to wait until Replace has ended, and would be done otherwise
				if !done.Load() {
					runtime.Gosched()
				}
			}
		}
		return time.Now()
	})
	if err := ring.Replace(parsedKey(t, "a", secretA)); err != nil {
		t.Fatal(err)
	}
	other.Wait()
	if got, want := ring.Fingerprint(), parsedRing(t, text).Fingerprint(); got != want {
		t.Errorf("got ring %s, want %s, with the text's not_before", got, want)
	}
}

// A ring with a file goes back to it as after Replace.
func TestReplaceTextOfKeyFile(t *testing.T) {
	captureLog(t)
	ring, path := ringOfFile(t)
	replace := func() {
		t.Helper()
		if err := ring.ReplaceText("b=" + secretB); err != nil || labels(ring) != "b" {
			t.Fatalf("got %v, keys %s", err, labels(ring))
		}
	}
	replace()
	if err := ring.Poll(); err != nil || labels(ring) != "b" {
		t.Errorf("an unchanged file undid ReplaceText: keys %s, error %v", labels(ring), err)
	}
	if err := ring.Reload(); err != nil || labels(ring) != "a" {
		t.Errorf("Reload didn't go back to the file: keys %s, error %v", labels(ring), err)
	}
	replace()
	writeKeys(t, path, "c="+secretC)
	if err := ring.Poll(); err != nil || labels(ring) != "c" {
		t.Errorf("a changed file isn't in force: keys %s, error %v", labels(ring), err)
	}
}

func TestNotBeforeOfFile(t *testing.T) {
	file := `{"not_before": "2026-11-21T14:10:00.25Z", "keys": [{"label": "a", "secret": "` + secretA + `"}]}`
	whole := parsedRing(t, strings.Replace(file, "00.25Z", "01Z", 1))
	ring := parsedRing(t, file)
	if ring.Fingerprint() != whole.Fingerprint() {
		t.Error("a fraction of not_before doesn't round up")
	}
	before := ring.Fingerprint()
	ring.RefuseBefore(time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC))
	if ring.Fingerprint() != before {
		t.Error("an earlier RefuseBefore counts more than the file's not_before")
	}
	ring.RefuseBefore(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC))
	if ring.Fingerprint() == before {
		t.Error("a later RefuseBefore doesn't count")
	}
	if err := ring.Replace(parsedKey(t, "a", secretA)); err != nil {
		t.Fatal(err)
	}
	ring.RefuseBefore(time.Time{})
	if ring.Fingerprint() != before {
		t.Error("Replace forgot the file's not_before, or the zero Time doesn't take RefuseBefore back")
	}
}

// parsedRing returns a ring of the keys in text.
func parsedRing(t *testing.T, text string) *cookiesession.Keyring {
	t.Helper()
	ring, err := cookiesession.ParseKeyring(text)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func parsedKey(t *testing.T, label, text string) cookiesession.Key {
	t.Helper()
	secret, err := cookiesession.ParseSecret(text)
	if err != nil {
		t.Fatal(err)
	}
	return cookiesession.Key{Label: label, Secret: secret}
}

func TestWatch(t *testing.T) {
	logged := captureLog(t)
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		path := writeKeys(t, filepath.Join(dir, "keys"), "a="+secretA)
		ring, err := cookiesession.OpenKeyFile(path)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		told := make(chan string, 10)
		ended := make(chan struct{})
		go func() {
			ring.Watch(ctx, time.Minute, func(err error) {
				if err == nil {
					told <- "good: " + labels(ring)
				} else {
					told <- strings.ReplaceAll(err.Error(), path, "PATH")
				}
			})
			close(ended)
		}()
		expect := func(want ...string) {
			t.Helper()
			time.Sleep(3 * time.Minute)
			synctest.Wait()
			var got []string
			for len(told) > 0 {
				got = append(got, <-told)
			}
			if !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
			if lines := logged(); len(lines) != len(want) {
				t.Errorf("%d changes were logged as %q", len(want), lines)
			}
		}
		const prefix = "cookiesession: key file PATH: "

		expect()
		writeKeys(t, path, "b="+secretB)
		expect("good: b")
		keepTimes(t, path, func() { writeKeys(t, path, "c="+secretB) })
		expect("good: c")
		writeKeys(t, path, `{"keys": [{"label": "d", "sec`)
		expect(prefix + "line 1: ends in the middle of the JSON; was it written to the end?")
		writeKeys(t, path, `{"keys": [{"label": "d", "secret": "`+secretA+`"}]}`)
		expect("good: d")
		writeKeys(t, path, "")
		expect(prefix + "empty; make a first key with: cookiesession keys new")
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		expect(prefix + "no such file or directory; make one with: cookiesession keys new -file PATH")
		if got := labels(ring); got != "d" {
			t.Errorf("in force without a file: %s, want d", got)
		}
		writeKeys(t, path, `{"keys": [{"label": "d", "secret": "`+secretA+`"}]}`)
		expect("good: d")

		// What Reload or an unknown key found first is told too.
		writeKeys(t, path, "e="+secretC)
		if err := ring.RereadForUnknownKey(t.Context()); err != nil {
			t.Fatal(err)
		}
		expect("good: e")

		// The file stays, its time comes.
		writeKeys(t, path, `{"keys": [{"label": "f", "secret": "`+secretA+`", "activate_at": "`+time.Now().Add(4*time.Minute).Format(time.RFC3339)+`"}]}`)
		expect(prefix + "no key is active now; give one key an activate_at that has passed, or none, and no retire_at that has")
		expect("good: f")

		cancel()
		<-ended
	})
}

// keepTimes runs change and puts the file's modification time back.
func keepTimes(t *testing.T, path string, change func()) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	change()
	if err := os.Chtimes(path, time.Time{}, info.ModTime()); err != nil {
		t.Fatal(err)
	}
}

// A Kubernetes secret volume: keys.json → ..data/keys.json, ..data → a directory that is never written again.
func TestWatchThroughKubernetesLinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		volume := t.TempDir()
		publish := func(generation, text string) {
			t.Helper()
			dir := filepath.Join(volume, "..2026_"+generation)
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			writeKeys(t, filepath.Join(dir, "keys.json"), text)
			link := filepath.Join(volume, "..data_tmp")
			if err := os.Symlink(filepath.Base(dir), link); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(link, filepath.Join(volume, "..data")); err != nil {
				t.Fatal(err)
			}
		}
		publish("1", "a="+secretA)
		path := filepath.Join(volume, "keys.json")
		if err := os.Symlink("..data/keys.json", path); err != nil {
			t.Fatal(err)
		}
		ring, err := cookiesession.OpenKeyFile(path)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go ring.Watch(ctx, 0, nil)
		synctest.Wait() // it looks at once, and then every 5 seconds
		publish("2", "b="+secretB)
		for _, step := range []struct {
			wait time.Duration
			want string
		}{{5*time.Second - 1, "a"}, {1, "b"}} {
			time.Sleep(step.wait)
			synctest.Wait()
			if got := labels(ring); got != step.want {
				t.Errorf("%v later: %s, want %s", step.wait, got, step.want)
			}
		}
	})
}

func TestWatchWithoutFile(t *testing.T) {
	logged := captureLog(t)
	synctest.Test(t, func(t *testing.T) {
		ring := parsedRing(t, secretA)
		ctx, cancel := context.WithCancel(t.Context())
		told := make(chan error, 2)
		ended := make(chan struct{})
		go func() {
			ring.Watch(ctx, time.Second, func(err error) { told <- err })
			close(ended)
		}()
		time.Sleep(time.Minute)
		synctest.Wait()
		if err := <-told; err == nil || len(told) != 0 || len(logged()) != 1 {
			t.Errorf("told %v and %d more", err, len(told))
		}
		cancel()
		<-ended
	})
}

// Watch and Replace change the ring while requests seal and open: every token opens, whichever ring is in force.
func TestWatchAndReplaceWithRequestsInFlight(t *testing.T) {
	captureLog(t)
	path := writeKeys(t, filepath.Join(t.TempDir(), "keys"), "a="+secretA+",b="+secretB)
	ring, err := cookiesession.OpenKeyFile(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	changed := make(chan error)
	var watching, requests sync.WaitGroup
	watching.Go(func() {
		ring.Watch(ctx, time.Millisecond, func(err error) { changed <- err })
	})
	stop := make(chan struct{})
	node := cookiesession.NewTestSealer(ring)
	for i := range 4 {
		requests.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				want := fmt.Sprint(i, n)
				token, err := node.Seal(time.Now(), want)
				if err != nil {
					t.Error(err)
					return
				}
				if got, _, refused := node.Open(time.Now(), token); refused != nil || got != want {
					t.Errorf("got %q, %v", got, refused)
					return
				}
				_, _, _ = ring.Keys(), ring.Fingerprint(), ring.RereadForUnknownKey(t.Context())
			}
		})
	}
	a, b, c := parsedKey(t, "a", secretA), parsedKey(t, "b", secretB), parsedKey(t, "c", secretC)
	for i := range 20 {
		order := "a=" + secretA + ",b=" + secretB
		if i%2 == 0 {
			order = "b=" + secretB + ",a=" + secretA
		}
		if err := ring.Replace(a, b, c); err != nil {
			t.Fatal(err)
		}
		temporary := writeKeys(t, path+".new", order)
		if err := os.Rename(temporary, path); err != nil {
			t.Fatal(err)
		}
		if err := <-changed; err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	requests.Wait()
	cancel()
	watching.Wait()
}
