package main

import (
	"bytes"
	"encoding/json"
	"math"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/seed-50e21e88/cookiesession"
)

// A browser holds the cookies that one Manager sets.
type browser struct {
	world
	manager *cookiesession.Manager
	cookies []string // "name=value", in the order in which they were first set
}

func (w world) browser(keys string, change func(*cookiesession.Config)) *browser {
	w.Helper()
	ring, err := cookiesession.ParseKeyring(keys)
	if err != nil {
		w.Fatal(err)
	}
	config := cookiesession.Config{Keys: ring, MaxSize: 20000}
	if change != nil {
		change(&config)
	}
	manager, err := cookiesession.New(config)
	if err != nil {
		w.Fatal(err)
	}
	return &browser{world: w, manager: manager}
}

// visit makes a request that uses the session, and returns the Set-Cookie lines of the response.
func (b *browser) visit(use func(*cookiesession.Session)) []string {
	b.Helper()
	r := &http.Request{Header: http.Header{}}
	if len(b.cookies) > 0 {
		r.Header.Set("Cookie", b.header())
	}
	session, _ := b.manager.Load(r)
	use(session)
	h := http.Header{}
	if err := b.manager.Save(h, session); err != nil {
		b.Fatal(err)
	}
	for _, line := range h["Set-Cookie"] {
		pair, attributes, _ := strings.Cut(line, ";")
		name, _, _ := strings.Cut(pair, "=")
		kept := b.cookies[:0:0]
		for _, c := range b.cookies {
			if !strings.HasPrefix(c, name+"=") {
				kept = append(kept, c)
			}
		}
		if !strings.Contains(attributes, "Max-Age=0") {
			kept = append(kept, pair)
		}
		b.cookies = kept
	}
	return h["Set-Cookie"]
}

func (b *browser) header() string { return strings.Join(b.cookies, "; ") }

func login(s *cookiesession.Session) {
	s.Put("user", "Ada")
	s.Put("views", 3)
}

// inspect runs the command on what a browser sends, and compares all but IDs and key IDs. No output may hold a part of
// a token.
func (w world) inspect(status int, stdin, want string, args ...string) {
	w.Helper()
	stdout, stderr := w.run(status, stdin, append([]string{"inspect"}, args...)...)
	got := regexp.MustCompile(`\b([0-9a-f]{32}|[0-9a-f]{16})\b`).ReplaceAllString(stdout+stderr, "HEX")
	if got != want {
		w.Errorf("%q: got\n%s\nwant\n%s", args, got, want)
	}
	for _, token := range regexp.MustCompile(`=[A-Za-z0-9._]{29,}`).FindAllString(stdin, -1) {
		for i := 1; i+12 <= len(token); i += 6 {
			if strings.Contains(stdout+stderr, token[i:i+12]) {
				w.Fatalf("the output has a part of a token: %s", stdout)
			}
		}
	}
}

const keysA = "a=" + secretA

func TestInspect(t *testing.T) {
	inWorld(t, func(w world) {
		w.env["KEYS"] = "b=" + secretB + ",a=" + secretA
		w.env["OTHER"] = "b=" + secretB
		b := w.browser(keysA, nil)
		b.visit(login)
		time.Sleep(90 * time.Second)

		const seen = `Cookie: __Host-session
  session: 1 cookie, 166 bytes of the Cookie header
    __Host-session  163 bytes
    whole, in 1 cookie: version 1, key ID HEX, token of 111 bytes
`
		w.inspect(exitOK, "Cookie: "+b.header(), seen)
		w.inspect(exitOK, "curl 'https://example.com/' -H 'accept: */*' -b 'theme=dark; "+b.header()+"'", seen)
		const opened = seen + `    opens with key a, ID HEX, ends with the browser
      created 2000-01-01 00:00:00 UTC, 1m30s ago
      sealed  2000-01-01 00:00:00 UTC, 1m30s ago
      expires 2000-01-02 00:00:00 UTC, in 23h58m30s
      2 values
    accepted
`
		w.inspect(exitOK, b.header(), opened, "-env", "KEYS")
		w.inspect(exitOK, b.header(), strings.Replace(opened, "2 values", `values  {"user":"Ada","views":3}`, 1), "-env", "KEYS", "-values")
		const unknown = "    refused: unknown-key: no key here has this ID, or the key has retired; other keys, another -scope or another cookie name give other IDs\n"
		w.inspect(exitProblem, b.header(), seen+unknown, "-env", "OTHER")
		w.inspect(exitProblem, b.header(), seen+unknown, "-env", "KEYS", "-scope", "test")
		w.inspect(exitProblem, b.header(), "cookiesession: none of the cookies is this package's; the session's name is the one that Config.Name gives\n", "-name", "admin")
		w.inspect(exitOK, b.header(), seen, "-name", "session")
		w.inspect(exitOK, b.header(), seen, "-name", "__Host-session")
		w.inspect(exitProblem, "Cookie: theme=dark; sid=s%3Aabcdefghijklmnopqrstuvwxyz0123456789", "cookiesession: none of the cookies is this package's; the session's name is the one that Config.Name gives\n")
		w.inspect(exitProblem, "", "cookiesession: there is nothing on standard input; paste a Cookie or Set-Cookie header, or a browser's \"copy as cURL\"\n")

		w.inspect(exitProblem, strings.Replace(b.header(), "=1AV", "=1AW", 1)+"x", `Cookie: __Host-session
  session: 1 cookie, 167 bytes of the Cookie header
    __Host-session  164 bytes
    malformed: not a text of version 1
    refused: malformed: it is not a text of version 1; something shortened or changed it, or another program set it
`, "-env", "KEYS")
		w.inspect(exitProblem, b.header()[:len(b.header())-8]+"AAAAAAAA", seen+`    refused: forged (key a): the key is known but the contents have been changed
`, "-env", "KEYS")
	})
}

// other is another visitor.
func (w world) other() *browser {
	b := w.browser(keysA, nil)
	b.visit(login)
	return b
}

func TestInspectReasons(t *testing.T) {
	inWorld(t, func(w world) {
		b := w.browser(keysA, nil)
		b.visit(login)
		before := b.header()
		b.visit((*cookiesession.Session).Destroy)
		w.env["KEYS"] = keysA
		reason := func(want, header string, args ...string) {
			w.Helper()
			stdout, _ := w.run(exitProblem, header, append([]string{"inspect", "-env", "KEYS"}, args...)...)
			if !strings.Contains(stdout, "\n    refused: "+want+": ") {
				w.Errorf("want %s, got\n%s", want, stdout)
			}
			// What opens is shown although it is refused.
			if opens := strings.Contains(stdout, "opens with key a, ID"); opens != (want != "unknown-key") {
				w.Errorf("%s: opens: %v\n%s", want, opens, stdout)
			}
		}
		reason("ended (key a)", before+"; "+b.header())
		reason("ambiguous", before+"; "+w.other().header())
		w.env["FILE"] = `{"not_before": "2000-01-01T00:00:01Z", "keys": [{"label": "a", "secret": "` + secretA + `"}]}`
		time.Sleep(time.Second)
		w.env["KEYS"], w.env["FILE"] = w.env["FILE"], w.env["KEYS"]
		reason("revoked (key a)", before)
		w.env["KEYS"] = keysA
		time.Sleep(time.Hour)
		reason("idle (key a)", before, "-idle", "59m")
		time.Sleep(23 * time.Hour)
		reason("expired (key a)", before)
		w.env["KEYS"] = `{"keys": [{"label": "b", "secret": "` + secretB + `"}, {"label": "a", "secret": "` + secretA + `", "retire_at": "2000-01-02T00:00:00Z"}]}`
		stdout, _ := w.run(exitProblem, before, "inspect", "-env", "KEYS")
		if !strings.Contains(stdout, "refused: unknown-key (key a): ") {
			w.Errorf("got %s", stdout)
		}
	})
}

func TestInspectSeveralCookies(t *testing.T) {
	inWorld(t, func(w world) {
		w.env["KEYS"] = keysA
		b := w.browser(keysA, func(c *cookiesession.Config) { c.IdleTimeout = time.Hour })
		set := b.visit(func(s *cookiesession.Session) {
			s.Remember(48 * time.Hour)
			s.CSRFToken()
			s.Put("text", strings.Repeat("x", 6000))
			s.Flash("notice", "saved")
		})
		w.inspect(exitOK, "Set-Cookie: "+strings.Join(set, "\nSet-Cookie: ")+"\n", `Set-Cookie: __Host-session
  session: 3 cookies
    __Host-session  3839 bytes, line of 3896; Path=/; Max-Age=172800; HttpOnly; Secure; SameSite=Lax
    __Host-session.1  3840 bytes, line of 3897; Path=/; Max-Age=172800; HttpOnly; Secure; SameSite=Lax
    __Host-session.2  535 bytes, line of 592; Path=/; Max-Age=172800; HttpOnly; Secure; SameSite=Lax
    whole, in 3 cookies: version 1, key ID HEX, token of 6119 bytes
    opens with key a, ID HEX, remembered, with a CSRF secret
      created 2000-01-01 00:00:00 UTC, 0s ago
      sealed  2000-01-01 00:00:00 UTC, 0s ago
      expires 2000-01-03 00:00:00 UTC, in 48h0m0s
      1 value
    accepted
  flash: 1 cookie
    __Host-session.flash  124 bytes, line of 178; Path=/; Max-Age=600; HttpOnly; Secure; SameSite=Lax
    whole, in 1 cookie: version 1, key ID HEX, token of 77 bytes
    opens with key a
      expires 2000-01-01 00:10:00 UTC, in 10m0s
      1 value
    accepted
`, "-env", "KEYS")

		torn := strings.Join(b.cookies[:2], "; ")
		w.inspect(exitProblem, torn, `Cookie: __Host-session
  session: 2 cookies, 7685 bytes of the Cookie header
    __Host-session  3839 bytes
    __Host-session.1  3840 bytes
    torn: it says that it has 3 cookies, but parts are missing or belong to another write
    refused: torn: parts are missing or belong to another write; a proxy or the browser dropped some
`, "-env", "KEYS")

		// A shorter session leaves stale parts only in a browser that missed the deletions.
		stale := b.cookies[2]
		b.visit(func(s *cookiesession.Session) { s.Put("text", "short") })
		w.inspect(exitOK, b.header()+"; "+stale, `Cookie: __Host-session
  session: 2 cookies, 719 bytes of the Cookie header
    __Host-session  178 bytes
    __Host-session.2  535 bytes (stale: of an earlier, longer write)
    whole, in 1 cookie: version 1, key ID HEX, token of 122 bytes
  flash: 1 cookie, 127 bytes of the Cookie header
    __Host-session.flash  124 bytes
    whole, in 1 cookie: version 1, key ID HEX, token of 77 bytes
`)
		w.inspect(exitProblem, "Cookie: "+stale, "cookiesession: none of the cookies is this package's; the session's name is the one that Config.Name gives\n")
		w.inspect(exitOK, "Cookie: "+stale, `Cookie: __Host-session
  session: 1 cookie, 538 bytes of the Cookie header
    __Host-session.2  535 bytes (stale: of an earlier, longer write)
    ignored: without the first cookie the others mean nothing
`, "-env", "KEYS", "-name", "session")

		set = b.visit((*cookiesession.Session).Destroy)
		w.inspect(exitOK, "< set-cookie: "+strings.Join(set, "\n< set-cookie: "), `Set-Cookie: __Host-session
  session: 1 cookie
    __Host-session  14 bytes, line of 105; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; HttpOnly; Secure; SameSite=Lax (deletes it)
  ended marker of sessions whose ID begins with HEX, set 2000-01-01 00:00:00 UTC, 0s ago
`, "-env", "KEYS")
	})
}

func TestInspectLease(t *testing.T) {
	inWorld(t, func(w world) {
		w.env["KEYS"] = keysA
		b := w.browser(keysA, func(c *cookiesession.Config) { c.IdleTimeout = time.Hour; c.Insecure = true; c.Name = "shop" })
		b.visit(login)
		time.Sleep(50 * time.Minute)
		b.visit(func(s *cookiesession.Session) { s.Get("user") })
		time.Sleep(20 * time.Minute)
		const want = `Cookie: shop
  session: 1 cookie, 156 bytes of the Cookie header
    shop  153 bytes
    whole, in 1 cookie: version 1, key ID HEX, token of 111 bytes
    opens with key a, ID HEX, ends with the browser
      created 2000-01-01 00:00:00 UTC, 1h10m0s ago
      sealed  2000-01-01 00:00:00 UTC, 1h10m0s ago
      expires 2000-01-02 00:00:00 UTC, in 22h50m0s
      2 values
    accepted
  lease: 1 cookie, 122 bytes of the Cookie header
    shop.lease  119 bytes
    whole, in 1 cookie: version 1, key ID HEX, token of 81 bytes
    opens with key a, ID HEX
      seen    2000-01-01 00:50:00 UTC, 20m0s ago
    accepted
`
		w.inspect(exitOK, b.header(), want, "-env", "KEYS")
		w.inspect(exitOK, b.header(), want, "-env", "KEYS", "-idle", "1h")

		o := w.browser(keysA, func(c *cookiesession.Config) { c.Insecure = true; c.Name = "shop" })
		o.visit(login)
		stdout, _ := w.run(exitOK, o.header()+"; "+b.cookies[1], "inspect", "-env", "KEYS")
		if !strings.Contains(stdout, "\n    ignored: it is another session's\n") {
			w.Errorf("got %s", stdout)
		}
		w.env["OTHER"] = secretB
		stdout, _ = w.run(exitProblem, b.header(), "inspect", "-env", "OTHER")
		if !strings.Contains(stdout, "\n    ignored: no key opens it; the session only counts as less recently used\n") {
			w.Errorf("got %s", stdout)
		}
	})
}

// TestInspectDevice has a permit. A key and its proof look alike but for the hash of the key; TestInspectBound in the root has
// those.
func TestInspectDevice(t *testing.T) {
	inWorld(t, func(w world) {
		w.env["KEYS"] = keysA
		b := w.browser(keysA, func(c *cookiesession.Config) { c.DeviceProof = 10 * time.Minute })
		b.visit(func(s *cookiesession.Session) { s.Put("user", "ada"); s.Regenerate() })
		b.visit(func(s *cookiesession.Session) { s.Regenerate() })
		stdout, _ := w.run(exitOK, b.header(), "inspect", "-env", "KEYS", "-device-proof", "10m")
		for _, want := range []string{
			", ends with the browser, device-aware\n", "\n  device: 1 cookie, ", ", a permit: no device is bound, also for ID ", "\n    accepted\n",
		} {
			if !strings.Contains(stdout, want) {
				w.Errorf("got %s\nwant %q in it", stdout, want)
			}
		}
		session, _, _ := strings.Cut(b.header(), ";")
		stdout, _ = w.run(exitProblem, session, "inspect", "-env", "KEYS", "-device-proof", "10m")
		if want := "\n    refused: unproven"; !strings.Contains(stdout, want) {
			w.Errorf("got %s\nwant %q in it", stdout, want)
		}
		w.run(exitOK, session, "inspect", "-env", "KEYS") // without DeviceProof
	})
}

func TestLooksLikeOurs(t *testing.T) {
	text := "AQ" + strings.Repeat("a", 26) // 28 characters that begin with version 1
	for _, test := range []struct {
		name, value string
		want        bool
	}{
		{"session", "1" + text, true},
		{"__Host-session", "9" + text + "_.", true},
		{"session.flash", "1" + text, true},
		{"session.lease", "1" + text, true},
		{"session", `"1` + text + `"`, true}, // as Java's clients send it
		{"session", "1" + text[:27], false},
		{"session", "0" + text, false},
		{"session", text, false},
		{"session", "1" + strings.Replace(text, "AQ", "Ag", 1), false}, // version 2
		{"session", "1" + text[:20] + "-" + text[21:], false},          // base64url
		{"session", "", false},
		{"session", `"`, false},
		{"session.1", "1" + text, false},
		{"connect.sid", "1" + text, false},
		{"session.ended.AAAAAAAAAAA", "1", true},
		{"session.ended.AAAAAAAAAA", "1", false},
	} {
		if got := looksLikeOurs(cookie{name: test.name, value: test.value}); got != test.want {
			t.Errorf("%s=%s: got %v, want %v", test.name, test.value, got, test.want)
		}
	}
}

// The prefix says which settings it came from.
func TestInspectPrefixes(t *testing.T) {
	inWorld(t, func(w world) {
		w.env["KEYS"] = keysA
		for name, change := range map[string]func(*cookiesession.Config){
			"__Host-a":   func(c *cookiesession.Config) { c.Name = "a" },
			"__Secure-a": func(c *cookiesession.Config) { c.Name, c.Domain = "a", "example.com" },
			"__Secure-b": func(c *cookiesession.Config) { c.Name, c.Path, c.Partitioned, c.MaxSize = "b", "/app", true, 6144 },
			"a":          func(c *cookiesession.Config) { c.Name, c.Insecure = "a", true },
		} {
			b := w.browser(keysA, change)
			b.visit(login)
			stdout, _ := w.run(exitOK, b.header(), "inspect", "-env", "KEYS")
			if !strings.HasPrefix(stdout, "Cookie: "+name+"\n") || !strings.HasSuffix(stdout, "    accepted\n") {
				w.Errorf("%s: got %s", name, stdout)
			}
		}
	})
}

func TestInspectJSON(t *testing.T) {
	inWorld(t, func(w world) {
		w.env["KEYS"] = keysA
		b := w.browser(keysA, nil)
		b.visit(func(s *cookiesession.Session) {
			s.Put("odd", []any{
				math.Inf(1),
				map[string]any{"nan": math.NaN()},
				[]byte("bytes"), 1.5, time.Unix(0, 0),
				time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC).Add(-1), time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC),
			})
		})
		var sessions []session
		stdout, _ := w.run(exitOK, b.header(), "inspect", "-json", "-env", "KEYS", "-values")
		if err := json.Unmarshal([]byte(stdout), &sessions); err != nil {
			w.Fatal(err)
		}
		c := sessions[0].Compartments[0]
		var values strings.Builder
		if err := json.NewEncoder(&values).Encode(c.Opened[0].Values); err != nil {
			w.Fatal(err)
		}
		if want := `{"odd":["+Inf",{"nan":"NaN"},"base64:Ynl0ZXM=",1.5,"1970-01-01T00:00:00Z",` +
			`"-0001-12-31 23:59:59.999999999 +0000 UTC","9999-12-31T23:59:59Z","10000-01-01 00:00:00 +0000 UTC"]}` + "\n"; values.String() != want {
			w.Errorf("got %s, want %s", values.String(), want)
		}
		if c.Verdict != "accepted" || c.Opened[0].Key != "a" || c.Texts[0].State != "whole" || len(c.Texts[0].KeyID) != 32 {
			w.Errorf("got %s", stdout)
		}
		stdout, _ = w.run(exitOK, b.header(), "inspect", "-json", "-env", "KEYS")
		if strings.Contains(stdout, "odd") {
			w.Errorf("values without -values: %s", stdout)
		}
		if os.WriteFile("keys", []byte("b="+secretB), 0o600) != nil {
			w.Fatal("no file")
		}
		stdout, _ = w.run(exitProblem, b.header(), "inspect", "-json", "-file", "keys")
		if err := json.Unmarshal([]byte(stdout), &sessions); err != nil || sessions[0].Compartments[0].Verdict != "unknown-key" {
			w.Errorf("got %s, %v", stdout, err)
		}
	})
}

// Markers aren't sealed, so a browser can send any time in them. It keeps nothing else from being told, and lists are
// lists even when they are empty.
func TestInspectMarkers(t *testing.T) {
	for value, want := range map[string]string{
		"":                     "",
		"-1":                   "",
		"0":                    "",
		"1":                    `,"at":"1970-01-01T00:00:01Z"`,
		"253402300799":         `,"at":"9999-12-31T23:59:59Z"`,
		"253402300800":         `,"at":"9999-12-31T23:59:59Z"`,
		"9223372036854775807":  `,"at":"9999-12-31T23:59:59Z"`,
		"9223372036854775808":  `,"at":"9999-12-31T23:59:59Z"`,
		"-9223372036854775808": "",
	} {
		world{t, nil}.inspectJSON("Cookie: a.ended.AAAAAAAAAAA="+value, `[{"from":"Cookie","name":"a","compartments":[],"ended":[{"tag":"AAAAAAAAAAA"`+want+`}]}]`)
	}
	world{t, nil}.inspectJSON("Cookie: a.1=x; a.ended.AAAAAAAAAAA=0",
		`[{"from":"Cookie","name":"a","compartments":[{"purpose":"session","cookies":[{"name":"a.1","bytes":4,"stale":true}],"texts":[]}],"ended":[{"tag":"AAAAAAAAAAA"}]}]`)
}

func (w world) inspectJSON(stdin, want string) {
	w.Helper()
	stdout, _ := w.run(exitOK, stdin, "inspect", "-json")
	var got bytes.Buffer
	if err := json.Compact(&got, []byte(stdout)); err != nil {
		w.Fatal(err)
	}
	if strings.TrimSpace(got.String()) != want {
		w.Errorf("%s: got %s, want %s", stdin, got.String(), want)
	}
}

// What a visitor puts into names, attributes and values neither moves a terminal's cursor nor turns what is printed.
func TestInspectEscapes(t *testing.T) {
	inWorld(t, func(w world) {
		w.env["KEYS"] = keysA
		b := w.browser(keysA, nil)
		b.visit(func(s *cookiesession.Session) { s.Put("a\u202eb", "\x1b[2J\u009b\u200f\U000e0001\x7f\u00a0\xff") })
		value := strings.TrimPrefix(b.header(), "__Host-session=")
		har, err := json.Marshal(map[string]any{"log": map[string]any{"entries": []any{map[string]any{"request": map[string]any{"headers": []any{
			map[string]string{"name": "Cookie", "value": "first\nsecond\x1b]0;title\x07=" + value},
			map[string]string{"name": "Cookie", "value": "li\nne=" + value},
		}}}}}})
		if err != nil {
			w.Fatal(err)
		}
		for _, test := range []struct{ name, stdin, want string }{
			{"escape sequence", "Cookie: a\x1b[31mb=" + value, `a\x1b[31mb`},
			{"direction", "Cookie: a\u202eb\u2066=" + value, `a\u202eb\u2066`},
			{"C1 and others", "Cookie: a\u009b\x7f\U000e0001=" + value, `a\u009b\x7f\U000e0001`},
			{"not UTF-8", "Cookie: a\xff\xc0\xaf=" + value, `a\xff\xc0\xaf`},
			{"carriage return", "Cookie: a\rb=" + value, `a\rb`},
			{"line break", string(har), `li\nne`},
			{"part", "Cookie: a\x1b=" + value + "; a\x1b.1=1", `a\x1b.1`},
			{"marker", "Cookie: a\x1b.ended.AAAAAAAAAAA=1", `a\x1b`},
			{"attribute", "Set-Cookie: a=" + value + "; Path=/\x1b[8m\u202e", `Path=/\x1b[8m\u202e`},
			{"site", "a\x1b.example\tTRUE\t/\u202e\tTRUE\t0\ta\t" + value + "\nb.example\tTRUE\t/\tTRUE\t0\ta\t" + value + "x", `Cookie of a\x1b.example/\u202e: a`},
			{"value", b.header(), `values  {"a\u202eb":"\u001b[2J\u009b\u200f\udb40\udc01\u007f\u00a0`},
			{"letters", "Cookie: größe=" + value, "Cookie: größe\n"},
		} {
			for _, args := range [][]string{nil, {"-env", "KEYS", "-values"}, {"-json"}, {"-json", "-env", "KEYS", "-values"}} {
				var out bytes.Buffer
				p := program{strings.NewReader(test.stdin), &out, &out, func(name string) (string, bool) { v, ok := w.env[name]; return v, ok }}
				p.run(append([]string{"inspect"}, args...))
				if hidden := strings.IndexFunc(out.String(), func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }); hidden >= 0 || !utf8.Valid(out.Bytes()) {
					w.Errorf("%s, %q: %q is printed", test.name, args, out.String()[max(hidden, 0):])
				}
				if asJSON := slices.Contains(args, "-json"); asJSON && !json.Valid(out.Bytes()) {
					w.Errorf("%s, %q: no JSON: %s", test.name, args, out.String())
				} else if !asJSON && (test.name != "value" || args != nil) && !strings.Contains(out.String(), test.want) {
					w.Errorf("%s, %q: got %s, want %s in it", test.name, args, out.String(), test.want)
				}
			}
		}
	})
}

// Whatever became of Set-Cookie lines on their way, no token is taken for an attribute and printed.
func TestInspectShowsNoToken(t *testing.T) {
	inWorld(t, func(w world) {
		w.env["KEYS"] = keysA
		b := w.browser(keysA, nil)
		lines := b.visit(func(s *cookiesession.Session) {
			s.Put("text", strings.Repeat("x", 3000))
			s.Flash("text", "x")
		})
		if len(lines) != 3 {
			w.Fatalf("%d lines, want two of the session and one of the flash messages", len(lines))
		}
		har := func(value string) string {
			text, err := json.Marshal(value)
			if err != nil {
				w.Fatal(err)
			}
			return `{"log": {"entries": [{"response": {"headers": [{"name": "Set-Cookie", "value": ` + string(text) + `}]}}]}}`
		}
		for name, stdin := range map[string]string{
			"joined with commas":       "Set-Cookie: " + strings.Join(lines, ", "),
			"commas without spaces":    "Set-Cookie: " + strings.Join(lines, ","),
			"joined with spaces":       "Set-Cookie: " + strings.Join(lines, " "),
			"joined with semicolons":   "Set-Cookie: " + strings.Join(lines, "; "),
			"line breaks lost":         "Set-Cookie: " + strings.Join(lines, "Set-Cookie: "),
			"joined, Path last":        strings.ReplaceAll("Set-Cookie: "+strings.Join(lines, "; Path=/, "), "SameSite=Lax; ", ""),
			"a Cookie header":          "Set-Cookie: " + b.header(),
			"HAR, joined with commas":  har(strings.Join(lines, ", ")),
			"the rest without a name":  "Set-Cookie: " + lines[0][:2000] + "; " + lines[0][2000:],
			"the rest instead of Path": "Set-Cookie: " + strings.Replace(lines[0], "; Path=/", "; Path="+lines[1], 1),
		} {
			for _, args := range [][]string{nil, {"-env", "KEYS"}, {"-json"}, {"-json", "-env", "KEYS"}} {
				var out bytes.Buffer
				p := program{strings.NewReader(stdin), &out, &out, func(name string) (string, bool) { v, ok := w.env[name]; return v, ok }}
				p.run(append([]string{"inspect"}, args...)) // what it makes of them doesn't matter
				if !strings.Contains(out.String(), "(no attribute, not shown)") {
					w.Errorf("%s, %q: got %s", name, args, out.String())
				}
				for _, line := range lines {
					_, value, _ := strings.Cut(line, "=")
					value, _, _ = strings.Cut(value, ";")
					for i := 1; i+12 <= len(value); i += 6 {
						if strings.Contains(out.String(), value[i:i+12]) {
							w.Fatalf("%s, %q: a part of a token is printed: %s", name, args, out.String())
						}
					}
				}
			}
		}
	})
}

func TestShownAttributes(t *testing.T) {
	const hidden = "(no attribute, not shown)"
	for _, test := range []struct{ attributes, want string }{
		{"", ""},
		{"Path=/; HttpOnly; Secure; SameSite=Lax", "Path=/; HttpOnly; Secure; SameSite=Lax"},
		{"path=/a/b;domain=.A-1.example;MAX-AGE=-1", "path=/a/b; domain=.A-1.example; MAX-AGE=-1"},
		{"Expires=Thu, 01-Jan-1970 00:00:00 GMT; Partitioned; Priority=High;", "Expires=Thu, 01-Jan-1970 00:00:00 GMT; Partitioned; Priority=High; "},
		{"Expires=" + strings.Repeat("a", 40), "Expires=" + strings.Repeat("a", 40)},
		{"Expires=" + strings.Repeat("a", 41), hidden},
		{"Path=/a b; Path=/a,b; Path=/a=b", hidden + "; " + hidden + "; " + hidden},
		{"Secure=1; Max-Age=; Max-Age=1s; SameSite=Lax1; Domain=a_b; a=1; a", strings.Repeat(hidden+"; ", 6) + hidden},
	} {
		if got := (&cookie{attributes: test.attributes}).shownAttributes(); got != test.want {
			t.Errorf("%q: got %q, want %q", test.attributes, got, test.want)
		}
	}
}

// The cookies of a request come to the same however they are copied.
func TestInspectCopies(t *testing.T) {
	inWorld(t, func(w world) {
		w.env["KEYS"] = keysA
		b := w.browser(keysA, nil)
		b.visit(func(s *cookiesession.Session) { s.Put("text", strings.Repeat("x", 5000)) })
		want, _ := w.run(exitOK, b.header(), "inspect", "-env", "KEYS")
		if !strings.HasSuffix(want, "\n    accepted\n") {
			w.Fatalf("got %s", want)
		}
		powerShell, cookiesTxt := "", "# Netscape HTTP Cookie File\n"
		for _, c := range b.cookies {
			name, value, _ := strings.Cut(c, "=")
			powerShell += `$session.Cookies.Add((New-Object System.Net.Cookie("` + name + `", "` + value + `", "/", "shop.example")))` + "\r\n"
			cookiesTxt += "#HttpOnly_shop.example\tFALSE\t/\tTRUE\t0\t" + name + "\t" + value + "\n"
		}
		har := func(headers ...string) string {
			var entries []string
			for _, h := range headers {
				entries = append(entries, `{"request": {"headers": [{"name": "Cookie", "value": "`+h+`"}]}, "response": {"headers": []}}`)
			}
			return `{"log": {"version": "1.2", "entries": [` + strings.Join(entries, ",") + `]}}`
		}
		for name, stdin := range map[string]string{
			"fetch":       `fetch("https://shop.example/", {"headers": {"accept": "*/*", "cookie": "theme=dark; ` + b.header() + `"}, "method": "GET"});`,
			"PowerShell":  "$session = New-Object Microsoft.PowerShell.Commands.WebRequestSession\r\n" + powerShell + `Invoke-WebRequest -Uri "https://shop.example/" -WebSession $session`,
			"cookies.txt": cookiesTxt,
			"HAR":         har(b.header()),
			"large HAR":   har(b.header()) + strings.Repeat(" ", 3<<20),
		} {
			if got, _ := w.run(exitOK, stdin, "inspect", "-env", "KEYS"); got != want {
				w.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
			}
		}

		// Requests of two visitors don't make one that is ambiguous, and equal ones are told once.
		other := w.other()
		got, _ := w.run(exitOK, har(b.header(), b.header(), other.header(), b.header()), "inspect", "-env", "KEYS")
		if strings.Count(got, "\n    accepted\n") != 2 || !strings.HasPrefix(got, "Cookie of request 1: __Host-session\n") || !strings.Contains(got, "\nCookie of request 3: __Host-session\n") {
			w.Errorf("got %s", got)
		}

		w.inspect(exitProblem, b.header()+strings.Repeat(" ", 64<<20), "cookiesession: there are more than 64 MiB on standard input; paste one request\n")
	})
}

// Whatever is pasted, inspect ends, and prints nothing that acts on a terminal.
func FuzzInspect(f *testing.F) {
	for _, text := range []string{
		"Cookie: a=1AQ; b=2", "Set-Cookie: a=1; Max-Age=0", "curl 'x' -b $'a=\\'1' ;\ncurl x", "curl ^\"x^\" -b ^\"a=1^\" &\r\ncurl",
		`fetch("x", {"headers": {"cookie": "a=\u00e4\ud83d\x41\u{10ffff}\`, "Invoke-WebRequest `\n-Headers @{\"cookie\"=\"a=`\"1$([char]228)\"}",
		"$s.Cookies.Add((New-Object System.Net.Cookie(\"a\", 'b''c')))\nInvoke-WebRequest", `{"log": {"entries": [{"request": {"headers": [{"name": "cookie", "value": "a=1"}]}}]}}`,
		"#HttpOnly_a\tTRUE\t/\tTRUE\t0\ta\t1", "a.ended.AAAAAAAAAAA=1", "\x1b[31m=1AQaaaaaaaaaaaaaaaaaaaaaaaaaaa", "\xff\xfe",
	} {
		f.Add(text, "1AQaaaaaaaaaaaaaaaaaaaaaaaaaaa")
	}
	f.Fuzz(func(t *testing.T, text, value string) {
		for _, stdin := range []string{text, text + value, strings.ReplaceAll(text, "1", value)} {
			for _, args := range []string{"inspect", "inspect -json", "inspect -env KEYS -values"} {
				var out bytes.Buffer
				p := program{strings.NewReader(stdin), &out, &out, func(string) (string, bool) { return keysA, true }}
				if status := p.run(strings.Fields(args)); status == exitUsage || out.Len() == 0 {
					t.Errorf("exit status %d, %q", status, out.String())
				}
				if strings.ContainsFunc(out.String(), func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }) {
					t.Errorf("%q is printed", out.String())
				}
			}
		}
	})
}
