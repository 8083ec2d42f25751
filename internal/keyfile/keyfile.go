// Package keyfile reads, schedules and writes the text of key files. It checks their form and times; package
// cookiesession checks labels and secrets. No error of Parse repeats a value.
package keyfile

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// A File is the content of a key file.
type File struct {
	NotBefore time.Time
	Keys      []Key
}

// A Key is one entry, checked for its form only.
type Key struct {
	Label      string // empty for a bare secret
	Secret     Secret
	ActivateAt time.Time
	RetireAt   time.Time

	LabelAt, SecretAt string // where they stand, for errors: "line 7", or "key 2" in a list
}

// Secret is a secret as spelled in the file. It prints as a placeholder.
type Secret string

// Format writes the placeholder for every verb.
func (Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, "(secret)") }

// MayBeSecret reports whether text, which stands where a name belongs, looks like a secret or a part of one, so that
// nothing should repeat it. Long names that mix upper case, lower case and digits look like one, too. It goes by the
// form only: a text that it takes for a name can be a secret all the same.
func MayBeSecret(text string) bool {
	if strings.Contains(text, "base64:") || strings.Contains(text, "hex:") {
		return true
	}
	digit := func(r rune) bool { return r >= '0' && r <= '9' }
	lower := func(r rune) bool { return r >= 'a' && r <= 'z' }
	upper := func(r rune) bool { return r >= 'A' && r <= 'Z' }
	for run := range strings.FieldsFuncSeq(text, func(r rune) bool {
		return !digit(r) && !lower(r) && !upper(r) && r != '+' && r != '-' && r != '_'
	}) {
		if len(run) >= 16 && strings.ContainsFunc(run, digit) && strings.ContainsFunc(run, lower) && strings.ContainsFunc(run, upper) {
			return true // 12 bytes or more in base64
		}
		if len(run) >= 32 && strings.Trim(run, "0123456789abcdefABCDEF") == "" {
			return true // 16 bytes or more in hexadecimal
		}
	}
	return false
}

// Marshal returns f in the JSON form.
func (f *File) Marshal() []byte {
	type key struct {
		Label      string    `json:"label"`
		Secret     string    `json:"secret"`
		ActivateAt time.Time `json:"activate_at,omitzero"`
		RetireAt   time.Time `json:"retire_at,omitzero"`
	}
	var out struct {
		NotBefore time.Time `json:"not_before,omitzero"`
		Keys      []key     `json:"keys"`
	}
	out.NotBefore = f.NotBefore.UTC()
	for _, k := range f.Keys {
		out.Keys = append(out.Keys, key{k.Label, string(k.Secret), k.ActivateAt.UTC(), k.RetireAt.UTC()})
	}
	text, err := json.MarshalIndent(out, "", "  ")
	if err != nil {
		panic("cookiesession: internal error: " + err.Error())
	}
	return append(text, '\n')
}
