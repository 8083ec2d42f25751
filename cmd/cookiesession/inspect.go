package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-50e21e88/cookiesession"
	"github.com/seed-50e21e88/cookiesession/internal/base64dot"
	"github.com/seed-50e21e88/cookiesession/internal/cookiename"
)

// maxInput bounds standard input, in bytes: a HAR holds the bodies of all responses.
const maxInput = 64 << 20

func (p *program) inspect(flags *flag.FlagSet, args []string) error {
	from := keySource(flags)
	name := flags.String("name", "", "look at sessions of this `name` only (Config.Name, with or without prefix);\notherwise at all that are found")
	scope := flags.String("scope", "", "the `text` of Config.Scope")
	idle := flags.Duration("idle", 0, "the `time` of Config.IdleTimeout; 0 if there is none")
	deviceProof := flags.Duration("device-proof", 0, "the `time` of Config.DeviceProof; 0 if there is none (experimental)")
	values := flags.Bool("values", false, "print the values too, as JSON; they may be personal data")
	asJSON := flags.Bool("json", false, "print JSON")
	err := p.parse(flags, args, `
Reads cookies from standard input and says what they are: a Cookie or Set-Cookie header,
several of them, what curl -v printed, what a browser copies as cURL, fetch (Node.js),
PowerShell or HAR, or a cookies.txt.

Without keys: which key sealed them, how many parts there are and whether they are
whole. With -file or -env also what is in them, without the values, and whether a server
with these keys would accept them now, or why not. Cookies open sessions, so don't leave
them in files or in the shell's history; on a Mac, for instance:

  pbpaste | cookiesession inspect -file keys.json

The exit status is 1 if a session, flash or lease cookie is torn, malformed or refused.
`)
	switch {
	case err != nil:
		return err
	case from.both():
		return p.usage(flags, sourcesExclude)
	case *idle < 0:
		return p.usage(flags, "-idle can't be negative")
	}
	var ring *cookiesession.Keyring
	if !from.missing() {
		if _, ring, err = from.open(p); err != nil {
			return err
		}
	}
	text, err := io.ReadAll(io.LimitReader(p.stdin, maxInput+1))
	if err != nil {
		return err
	} else if len(text) > maxInput {
		return fmt.Errorf("there are more than %d MiB on standard input; paste one request", maxInput>>20)
	}
	messages, err := readMessages(string(text))
	if err != nil {
		return err
	}
	in := inspector{ring: ring, name: stripPrefix(*name), scope: *scope, idle: *idle, deviceProof: *deviceProof, values: *values, now: time.Now()}
	if err := in.check(); err != nil {
		return err
	}
	found, err := in.sessions(messages)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return errors.New("none of the cookies is this package's; the session's name is the one that Config.Name gives")
	}
	if *asJSON {
		err = p.printJSON(found)
	} else {
		for i, s := range found {
			if i > 0 {
				fmt.Fprintln(p.stdout)
			}
			s.print(p.stdout, in.now)
		}
	}
	if err == nil && slices.ContainsFunc(found, (*session).troubled) {
		err = errProblem
	}
	return err
}

// An inspector knows what to look for and how.
type inspector struct {
	ring  *cookiesession.Keyring // nil: without keys
	name  string                 // without prefix; empty: every name
	scope string
	idle  time.Duration

	deviceProof time.Duration
	values      bool
	now         time.Time
}

var prefixes = []string{"__Host-", "__Secure-"}

func stripPrefix(name string) string {
	for _, prefix := range prefixes {
		name = strings.TrimPrefix(name, prefix)
	}
	return name
}

// sessions returns what the cookies of messages come to, by name in the order in which the names come first. Of equal
// ones, as many requests of one visitor carry, the first is in it.
func (in *inspector) sessions(messages []message) (found []*session, err error) {
	known := make(map[string]bool)
	for _, m := range messages {
		byName := make(map[string][]cookie)
		var names []string
		for _, c := range m.cookies {
			name, _, _ := strings.Cut(c.name, ".")
			if name == "" {
				continue // browsers allow it; this package doesn't
			}
			if byName[name] == nil {
				names = append(names, name)
			}
			byName[name] = append(byName[name], c)
		}
		for _, name := range names {
			if in.name != "" && stripPrefix(name) != in.name || in.name == "" && !slices.ContainsFunc(byName[name], looksLikeOurs) {
				continue
			}
			if same := fmt.Sprintf("%q", byName[name]); known[same] {
				continue
			} else {
				known[same] = true
			}
			s, err := in.session(m.from, name, byName[name])
			if err != nil {
				return nil, err
			}
			found = append(found, s)
		}
	}
	return found, nil
}

// looksLikeOurs reports whether a cookie can be this package's judging by its form.
func looksLikeOurs(c cookie) bool {
	_, suffix := cookiename.Split(c.name)
	kind, part, _ := cookiename.Parse(suffix)
	if kind == cookiename.Ended {
		return true
	}
	if _, ok := purposes[kind]; !ok || part > 0 {
		return false
	}
	value := c.value
	if len(value) > 2 && value[0] == '"' { // some clients send it so
		value = strings.Trim(value, `"`)
	}
	if len(value) < 1+tokenStart || value[0] < '1' || value[0] > '9' {
		return false
	}
	token, ok := base64dot.AppendDecode(nil, value[1:1+tokenStart])
	return ok && token[0] == 1 // the version
}

// tokenStart is how many characters of text the first cookie has at least: the header of a token, in whole groups of
// four (FORMAT.md, 5).
const tokenStart = 28

// purposes are the kinds of cookies that hold tokens.
var purposes = map[cookiename.Kind]string{cookiename.Session: "session", cookiename.Flash: "flash", cookiename.Lease: "lease", cookiename.Device: "device", cookiename.Proof: "proof"}

func (in *inspector) session(from, name string, cookies []cookie) (*session, error) {
	s := &session{From: from, Name: name, Compartments: []*compartment{}}
	var header, anonymous []string
	compartments := make(map[string]*compartment)
	for _, c := range cookies {
		_, suffix := cookiename.Split(c.name)
		if c.attributes == "" || !c.deleted() {
			header = append(header, c.name+"="+c.value)
			anonymous = append(anonymous, "session"+suffix+"="+c.value)
		}
		kind, number, tag := cookiename.Parse(suffix)
		if kind == cookiename.Ended {
			seconds, _ := strconv.ParseInt(c.value, 10, 64)
			s.Ended = append(s.Ended, ended{tag, unix(seconds)})
			continue
		}
		purpose, ok := purposes[kind]
		if !ok {
			continue
		}
		if compartments[purpose] == nil {
			compartments[purpose] = &compartment{Purpose: purpose, Texts: []text{}}
		}
		found := compartments[purpose]
		found.Cookies = append(found.Cookies, part{
			Name: c.name, Bytes: len(c.name) + len(c.value), Line: c.line, Attributes: c.shownAttributes(),
			Deleted: c.attributes != "" && c.deleted(), number: number,
		})
	}
	texts := keyless.Inspect(strings.Join(anonymous, "; "))
	for _, purpose := range []string{"session", "flash", "lease", "device", "proof"} {
		if found := compartments[purpose]; found != nil {
			found.join(texts)
			s.Compartments = append(s.Compartments, found)
		}
	}
	if in.ring == nil {
		return s, nil
	}
	return s, in.open(s, strings.Join(header, "; "))
}

// keyless looks at what can be seen without keys: it has one that nothing is sealed with.
var keyless = func() *cookiesession.Manager {
	ring, err := cookiesession.NewKeyring(cookiesession.GenerateKey("none"))
	if err != nil {
		panic(err)
	}
	m, err := cookiesession.New(cookiesession.Config{Keys: ring, Insecure: true, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		panic(err)
	}
	return m
}()

// unix returns a time as JSON can hold it: years have four digits (RFC 3339), and what others send may lie beyond.
func unix(seconds int64) time.Time {
	const latest = 253402300799 // 9999-12-31 23:59:59 UTC
	if seconds <= 0 {
		return time.Time{}
	}
	return time.Unix(min(seconds, latest), 0).UTC()
}

// join notes what can be seen without keys.
func (c *compartment) join(inspected []cookiesession.Inspection) {
	declared := 0
	for _, is := range inspected {
		if is.Purpose != c.Purpose {
			continue
		}
		declared = max(declared, is.Cookies)
		t := text{State: "whole", Cookies: is.Cookies, Version: 1, KeyID: is.KeyID, Bytes: is.Size}
		if is.KeyID == "" {
			t = text{State: is.Reason.String(), Cookies: is.Cookies}
		}
		c.Texts = append(c.Texts, t)
	}
	for i := range c.Cookies {
		c.Cookies[i].Stale = c.Cookies[i].number > 0 && c.Cookies[i].number >= declared && !c.Cookies[i].Deleted
	}
}

// config returns what a server must have whose sessions have this name.
func (in *inspector) config(name string) cookiesession.Config {
	return cookiesession.Config{
		Keys: in.ring, Name: name, Scope: in.scope, IdleTimeout: in.idle, Lifetime: max(in.idle, 24*time.Hour), DeviceProof: in.deviceProof,
		Logger: slog.New(slog.DiscardHandler),
	}
}

// check returns an error if no server can have these settings.
func (in *inspector) check() error {
	if in.ring == nil {
		return nil
	}
	_, err := cookiesession.New(in.config("session"))
	return err
}

// open looks at what the keys show. The verdict is the library's own.
func (in *inspector) open(s *session, header string) error {
	refused := make(map[string]*cookiesession.RejectError)
	config := in.config(stripPrefix(s.Name))
	config.OnReject = func(_ *http.Request, err *cookiesession.RejectError) { refused[err.Cookie] = err }
	switch {
	case strings.HasPrefix(s.Name, "__Secure-"):
		config.Path = "/any" // that, or a Domain, is what gives this prefix
	case !strings.HasPrefix(s.Name, "__Host-"):
		config.Insecure = true
	}
	manager, err := cookiesession.New(config)
	if err != nil { // check has seen that it's the name
		for _, c := range s.Compartments {
			c.Verdict, c.Reason = "ignored", "no Config.Name gives the cookie this name"
		}
		return nil
	}
	r, err := http.NewRequest(http.MethodGet, "/", nil)
	if err != nil {
		return err
	}
	r.Header.Set("Cookie", header)
	loaded, _ := manager.Load(r) // OnReject has the error
	loaded.Flashes()
	id := ""
	for _, c := range s.Compartments {
		name := s.Name
		if c.Purpose != "session" {
			name += "." + c.Purpose
		}
		for _, is := range manager.Inspect(header) {
			isOpen := is.Reason == 0 || is.Reason == cookiesession.ReasonMalformed && is.KeyLabel != ""
			if is.Purpose != c.Purpose || !isOpen {
				continue
			}
			found := opened{
				Key: is.KeyLabel, Malformed: is.Reason != 0, ID: is.ID,
				Created: unix(is.Created.Unix()), Sealed: unix(is.Sealed.Unix()), Seen: unix(is.Seen.Unix()), Expires: unix(is.Expires.Unix()),
				Mode: is.Mode, CSRF: is.HasCSRF, Count: len(is.Values), Aware: is.DeviceAware, DeviceKey: is.DeviceKey, PreviousID: is.PreviousID,
				Permit: c.Purpose == "device" && is.Reason == 0 && is.DeviceKey == "",
			}
			if in.values && is.Values != nil {
				if found.Values, err = json.Marshal(printable(is.Values)); err != nil {
					return err
				}
			}
			c.Opened = append(c.Opened, found)
			if c.Purpose == "session" {
				id = is.ID
			}
		}
		c.judge(refused[name], id)
	}
	return nil
}

// judge says what the library made of the compartment. It looks at leases only under an idle timeout; here they are
// always judged.
func (c *compartment) judge(refused *cookiesession.RejectError, session string) {
	switch {
	case refused != nil:
		c.Verdict, c.Key, c.Reason = refused.Reason.String(), refused.KeyLabel, explanations[refused.Reason]
	case len(c.Opened) > 0 && c.Purpose == "lease" && !slices.ContainsFunc(c.Opened, func(o opened) bool { return o.ID == session }):
		c.Verdict, c.Reason = "ignored", "it is another session's"
	case len(c.Opened) > 0 && (c.Purpose == "device" || c.Purpose == "proof") && !slices.ContainsFunc(c.Opened, func(o opened) bool { return o.isOf(session) }):
		c.Verdict, c.Reason = "ignored", "it is another session's"
	case len(c.Opened) > 0:
		c.Verdict = "accepted"
	case !slices.ContainsFunc(c.Cookies, func(p part) bool { return !p.Deleted }):
	case len(c.Texts) == 0:
		c.Verdict = "ignored"
		c.Reason = "without the first cookie the others mean nothing"
	case c.Purpose == "device" || c.Purpose == "proof":
		c.Verdict, c.Reason = "ignored", "no key opens it"
	case c.Purpose == "lease":
		c.Verdict, c.Reason = "ignored", "no key opens it; the session only counts as less recently used"
	}
}

// printable turns what JSON doesn't know into text.
func printable(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key := range v {
			v[key] = printable(v[key])
		}
	case []any:
		for i := range v {
			v[i] = printable(v[i])
		}
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Sprint(v)
		}
	case time.Time:
		if v.Year() < 0 || v.Year() > 9999 { // see unix
			return v.String()
		}
	case []byte:
		return "base64:" + base64.StdEncoding.EncodeToString(v)
	}
	return v
}

// troubled reports whether something is wrong with the session.
func (s *session) troubled() bool {
	for _, c := range s.Compartments {
		if c.Verdict != "" && c.Verdict != "accepted" && c.Verdict != "ignored" {
			return true
		}
		if c.Verdict == "" && slices.ContainsFunc(c.Texts, func(t text) bool { return t.State != "whole" }) {
			return true
		}
	}
	return false
}
