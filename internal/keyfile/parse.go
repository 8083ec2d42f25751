package keyfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Parse reads the JSON form, whose first character is {, or the list "secret[,secret…]" or "label=secret[,…]". A byte
// order mark, CRLF and white space around it are ignored.
func Parse(text []byte) (*File, error) {
	text = bytes.TrimPrefix(text, []byte("\uFEFF"))
	switch trimmed := bytes.TrimSpace(text); {
	case len(trimmed) == 0:
		return nil, errors.New("empty; make a first key with: cookiesession keys new")
	case bytes.IndexByte(text, 0) >= 0:
		return nil, errors.New("has NUL characters, as text in UTF-16 has; save it as UTF-8")
	case trimmed[0] == '{':
		return parseJSON(text)
	default:
		return parseList(string(trimmed))
	}
}

func parseList(text string) (*File, error) {
	if strings.ContainsAny(text, "\r\n") {
		return nil, errors.New("neither JSON that begins with { nor secrets on one line with commas between them")
	}
	f := &File{}
	for i, entry := range strings.Split(text, ",") {
		at := fmt.Sprintf("key %d", i+1)
		entry = strings.TrimSpace(entry)
		switch {
		case entry == "":
			return nil, fmt.Errorf("%s: empty; remove a comma", at)
		case strings.ContainsAny(entry, "\"'`"):
			return nil, fmt.Errorf("%s: remove the quotation marks", at)
		}
		label, secret, found := strings.Cut(entry, "=")
		if strings.Trim(secret, "=") == "" { // a bare secret, with padding if anything follows it
			label, secret, found = "", entry, false
		}
		if found && label == "" {
			return nil, fmt.Errorf("%s: the label before = is missing", at)
		}
		f.Keys = append(f.Keys, Key{Label: label, Secret: Secret(secret), LabelAt: at, SecretAt: at})
	}
	return f, nil
}

func parseJSON(text []byte) (*File, error) {
	p := &parser{text: text, dec: json.NewDecoder(bytes.NewReader(text))}
	if err := p.checkSyntax(); err != nil {
		return nil, err
	}
	p.dec.UseNumber() // or a number beyond float64 would be an error here
	f, hasKeys := &File{}, false
	err := p.object("the file", "keys and not_before", func(name string) (err error) {
		switch name {
		case "keys":
			hasKeys = true
			err = p.list(name, func() error { return p.key(f) })
		case "not_before":
			f.NotBefore, err = p.time(name)
		default:
			err = errUnknownMember
		}
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case !hasKeys:
		return nil, errors.New(`has no "keys"; make one with: cookiesession keys new`)
	case len(f.Keys) == 0:
		return nil, errors.New(`"keys" is an empty list; make one with: cookiesession keys new`)
	}
	return f, nil
}

// A parser walks through text that is known to be JSON.
type parser struct {
	text []byte
	dec  *json.Decoder
}

// at returns the line of the token that was read last. No token spans lines.
func (p *parser) at() string { return p.line(p.dec.InputOffset()) }

func (p *parser) line(offset int64) string {
	return fmt.Sprintf("line %d", 1+bytes.Count(p.text[:offset], []byte("\n")))
}

// checkSyntax reports syntax errors instead of package json, whose texts quote characters, perhaps of a secret.
func (p *parser) checkSyntax() error {
	dec := json.NewDecoder(bytes.NewReader(p.text))
	var whole json.RawMessage
	err := dec.Decode(&whole)
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		before := p.text[:max(syntax.Offset-1, 0)]
		column := 1 + utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])
		return fmt.Errorf("%s, column %d: not JSON from here; look for a missing or needless comma, quotation mark or bracket",
			p.line(int64(len(before))), column)
	}
	if err != nil {
		return fmt.Errorf("%s: ends in the middle of the JSON; was it written to the end?", p.line(int64(len(bytes.TrimSpace(p.text)))))
	}
	end := dec.InputOffset()
	if rest := bytes.TrimLeft(p.text[end:], " \t\r\n"); len(rest) > 0 {
		return fmt.Errorf("%s: something follows the closing brace; remove it", p.line(int64(len(p.text)-len(rest))))
	}
	return nil
}

func (p *parser) token() json.Token {
	token, err := p.dec.Token()
	if err != nil {
		panic("cookiesession: internal error: " + err.Error())
	}
	return token
}

var errUnknownMember = errors.New("unknown member")

// object reads an object and calls member with the name of each member, whose value it must read.
func (p *parser) object(what, known string, member func(name string) error) error {
	if p.token() != json.Delim('{') {
		return fmt.Errorf("%s: %s is not an object in braces", p.at(), what)
	}
	seen := make(map[string]bool)
	for p.dec.More() {
		name := p.token().(string)
		at := p.at()
		if seen[name] {
			return fmt.Errorf("%s: %q stands twice in one object; remove one", at, name)
		}
		seen[name] = true
		switch err := member(name); {
		case err == errUnknownMember && len(name) <= 32 && !MayBeSecret(name): // otherwise it may be a secret
			return fmt.Errorf("%s: unknown member %q; %s has %s", at, name, what, known)
		case err == errUnknownMember:
			return fmt.Errorf("%s: unknown member; %s has %s", at, what, known)
		case err != nil:
			return err
		}
	}
	p.token()
	return nil
}

func (p *parser) list(name string, item func() error) error {
	if p.token() != json.Delim('[') {
		return fmt.Errorf("%s: %q is not a list in square brackets", p.at(), name)
	}
	for p.dec.More() {
		if err := item(); err != nil {
			return err
		}
	}
	p.token()
	return nil
}

func (p *parser) key(f *File) error {
	var key Key
	start := ""
	err := p.object("a key", "label, secret, activate_at and retire_at", func(name string) (err error) {
		if start == "" {
			start = p.at()
		}
		switch name {
		case "label":
			key.Label, err = p.string(name)
			key.LabelAt = p.at()
		case "secret":
			var secret string
			secret, err = p.string(name)
			key.Secret, key.SecretAt = Secret(secret), p.at()
		case "activate_at":
			key.ActivateAt, err = p.time(name)
		case "retire_at":
			key.RetireAt, err = p.time(name)
		default:
			err = errUnknownMember
		}
		return err
	})
	switch {
	case err != nil:
		return err
	case start == "":
		return fmt.Errorf("%s: a key is empty; give it a label and a secret", p.at())
	case key.Label == "":
		return fmt.Errorf("%s: this key has no label; name it", start)
	case key.Secret == "":
		return fmt.Errorf("%s: this key has no secret; make one with: cookiesession keys new", start)
	}
	f.Keys = append(f.Keys, key)
	return nil
}

func (p *parser) string(name string) (string, error) {
	text, ok := p.token().(string)
	if !ok {
		return "", fmt.Errorf("%s: %q is not a text in quotation marks", p.at(), name)
	}
	return text, nil
}

func (p *parser) time(name string) (t time.Time, err error) {
	text, ok := p.token().(string)
	if !ok || t.UnmarshalText([]byte(text)) != nil || t.UTC().Year() > 9999 {
		return time.Time{}, fmt.Errorf(`%s: %q is not a time such as "2026-11-21T14:10:00Z" (RFC 3339); correct it or leave it out`, p.at(), name)
	}
	if t.Unix() <= 0 {
		return time.Time{}, fmt.Errorf("%s: %q is before 1970; correct it or leave it out", p.at(), name)
	}
	return t, nil
}
