package keyfile

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// Whatever a file holds, Parse returns; and what it accepts, it accepts as Marshal writes it. What the errors say is
// tested with package cookiesession.
func FuzzKeyFile(f *testing.F) {
	for _, text := range []string{
		"", "secret", "a=secret,b=other=", "\uFEFF{}\r\n", `{"keys": [{"label": "a", "secret": "s"}]}`, `{"keys": 1e999}`, `{"keys": [[[[1]]]]}`,
		`{"not_before": "2026-11-21T14:10:00.5+01:00", "keys": [{"label": "a", "secret": "s", "activate_at": "2026-11-21T14:10:00Z", "retire_at": "9999-12-31T23:59:59-01:00"}]}`,
		`{"keys": [{"label": "a", "label": "b"}]}`, `{"keys": []} {}`, "{\"a\": \"\xff\"}", `{"keys": [{}]}`, `{"keys": [null]}`, `{"\ud800": 1}`, strings.Repeat("[", 20000), `{"keys":` + strings.Repeat("[", 20000),
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		file, err := Parse(text)
		if err != nil || !utf8.Valid(text) { // such bytes are in no secret
			return
		}
		if len(file.Keys) == 0 {
			t.Fatal("no keys and no error")
		}
		for i := range file.Keys {
			if file.Keys[i].Label == "" {
				file.Keys[i].Label = "label"
			}
		}
		written := file.Marshal()
		again, err := Parse(written)
		if err != nil {
			t.Fatalf("%v in %s", err, written)
		}
		if string(again.Marshal()) != string(written) {
			t.Errorf("got %s, want %s", again.Marshal(), written)
		}
	})
}

func TestTimesBegin(t *testing.T) {
	for text, want := range map[string]bool{
		"1969-12-31T23:59:59Z": false,
		"1970-01-01T00:00:00Z": false, // 0 means none
		"1970-01-01T00:00:01Z": true,
	} {
		_, err := Parse([]byte(`{"not_before": "` + text + `", "keys": [{"label": "a", "secret": "s"}]}`))
		if got := err == nil; got != want {
			t.Errorf("%s: got accepted %v (%v), want %v", text, got, err, want)
		}
	}
}

// A long name may be a secret that slipped.
func TestLongMemberIsNotRepeated(t *testing.T) {
	for length, want := range map[int]bool{31: true, 32: true, 33: false, 100: false} {
		name := strings.Repeat("x", length)
		_, err := Parse([]byte(`{"` + name + `": 1}`))
		if err == nil {
			t.Fatalf("%d characters: no error", length)
		}
		if got := strings.Contains(err.Error(), name); got != want {
			t.Errorf("%d characters: got repeated %v, want %v", length, got, want)
		}
	}
}

func TestErrorsSayWhere(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"UTF-16 of either order", "\x00{\x00}", "has NUL characters, as text in UTF-16 has; save it as UTF-8"},
		{
			"the line on which a key begins", "{\"keys\": [{\n\"activate_at\": \"2026-11-21T14:10:00Z\",\n\"secret\": \"s\"\n}]}",
			"line 2: this key has no label; name it",
		},
	} {
		if _, err := Parse([]byte(test.text)); err == nil || err.Error() != test.want {
			t.Errorf("%s: got %v, want %s", test.name, err, test.want)
		}
	}
}
