package main

import (
	"slices"
	"strings"
	"testing"
)

// written writes messages as "from: name=value name=value", those without cookies left out, with | between them.
func written(messages []message) string {
	var lines []string
	for _, m := range messages {
		line := m.from + ":"
		for _, c := range m.cookies {
			line += " " + c.name + "=" + c.value
		}
		if len(m.cookies) > 0 {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, " | ")
}

func TestReadHeaders(t *testing.T) {
	for _, test := range []struct{ name, text, sent, set string }{
		{"header", "Cookie: a=1; b=2\r\n", "a=1 b=2", ""},
		{"any case", "cOOKIE:a=1;b=2", "a=1 b=2", ""},
		{"bare value", "a=1; b=2\n", "a=1 b=2", ""},
		{"value with =", "Cookie: a=1==; b=", "a=1== b=", ""},
		{"crumbs, as HTTP/2 sends them", "cookie: a=1\ncookie: b=2\n", "a=1 b=2", ""},
		{"name and value on two lines", "accept:\n*/*\ncookie:\na=1; b=2\nhost:\nexample.com", "a=1 b=2", ""},
		{"request", "GET /?a=b HTTP/1.1\r\nHost: example.com:80\r\nCookie: a=1\r\n\r\n", "a=1", ""},
		{"response", "HTTP/1.1 200 OK\r\nSet-Cookie: a=1; Path=/; Secure\r\nset-cookie: b=2\r\n\r\n<p>c=3", "", "a=1 b=2"},
		{"curl -v", "> GET / HTTP/1.1\n> Cookie: a=1\n< HTTP/1.1 200 OK\n< Set-Cookie: b=2; Path=/\n", "a=1", "b=2"},
		{"curl for sh", "curl 'https://example.com/?x=\"1\"' \\\n  -H 'accept: text/html' \\\n  -H 'cookie: a=1; b=2' \\\n  --compressed", "a=1 b=2", ""},
		{"curl with -b", "curl 'https://example.com/' -b 'a=1; b=2' -H 'x: y=z'", "a=1 b=2", ""},
		{"curl with -b attached", "curl -ba=1 https://example.com", "a=1", ""},
		{"curl with --cookie=", "curl --cookie=a=1 https://example.com", "a=1", ""},
		{"curl with $'…'", "curl 'https://example.com/' -H $'cookie: a=it\\'s; b=2'", "a=it's b=2", ""},
		{"curl with double quotes", "curl -H \"Cookie: a=\\\"1\\\"\"", "a=\"1\"", ""},
		{"curl for cmd", "curl ^\"https://example.com/^\" ^\r\n  -H ^\"accept: */*^\" ^\r\n  -b ^\"a=1; b=2^\" ^\r\n  -H ^\"x: y^\"", "a=1 b=2", ""},
		{"byte order mark", "\uFEFFCookie: a=1", "a=1", ""},
	} {
		var want []string
		if test.sent != "" {
			want = append(want, "Cookie: "+test.sent)
		}
		if test.set != "" {
			want = append(want, "Set-Cookie: "+test.set)
		}
		messages, err := readMessages(test.text)
		if got := written(messages); err != nil || got != strings.Join(want, " | ") {
			t.Errorf("%s: got %q, %v; want %q", test.name, got, err, want)
		}
	}
	for _, text := range []string{"", " \r\n", "no cookies here", "curl https://example.com", "Cookie: ", "curl -H"} {
		if messages, err := readMessages(text); err == nil {
			t.Errorf("%q: got %q, want an error", text, written(messages))
		}
	}

	messages, err := readMessages("Set-Cookie: a=1; Path=/; Max-Age=0; Secure\nSet-Cookie: b=2; Max-Age=01")
	if err != nil {
		t.Fatal(err)
	}
	set := messages[1].cookies
	if !slices.Equal(set, []cookie{{"a", "1", "Path=/; Max-Age=0; Secure", 30}, {"b", "2", "Max-Age=01", 15}}) || !set[0].deleted() || set[1].deleted() {
		t.Errorf("got %+v", set)
	}
}

// What browsers and programs copy and write, as far as it matters here.
func TestReadCopies(t *testing.T) {
	const (
		chromiumFetch = `fetch("https://shop.example/account?x=%22cookie%22", {
  "headers": {
    "accept": "text/html,application/xhtml+xml",
    "accept-language": "en-US,en;q=0.9",
    "sec-ch-ua": "\"Chromium\";v=\"142\", \"Not_A Brand\";v=\"99\"",
    "upgrade-insecure-requests": "1"COOKIE
  },
  "referrer": "https://shop.example/",
  "body": null,
  "method": "GET",
  "mode": "cors",
  "credentials": "include"
});`
		firefoxFetch = `await fetch("https://shop.example/", {
    "credentials": "include",
    "headers": {
        "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
        "Accept": "*/*"
    },
    "method": "GET",
    "mode": "cors"
});`
		chromiumPowerShell = `$session = New-Object Microsoft.PowerShell.Commands.WebRequestSession
$session.UserAgent = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
$session.Cookies.Add((New-Object System.Net.Cookie("__Host-session", "1AQab._", "/", "shop.example")))
$session.Cookies.Add((New-Object System.Net.Cookie("name", "a` + "`\"b`$c``d" + `$([char]228)", "/", ".shop.example")))
Invoke-WebRequest -UseBasicParsing -Uri "https://shop.example/" ` + "`" + `
-WebSession $session ` + "`" + `
-Headers @{
"authority"="shop.example"
  "accept"="*/*"
  "sec-ch-ua"="` + "`\"Chromium`\";v=`\"142`\"" + `"
}`
		har   = `{"log": {"version": "1.2", "creator": {"name": "WebInspector", "version": "537.36"}, "pages": [], "entries": [ENTRIES]}}`
		entry = `{"_resourceType": "document", "startedDateTime": "2026-11-21T14:00:00.000Z", "time": 12.5,
  "request": {"method": "GET", "url": "https://shop.example/", "httpVersion": "http/2.0", "headersSize": -1,
    "headers": [{"name": ":method", "value": "GET"}, {"name": "cookie", "value": "SENT"}], "queryString": [], "cookies": [{"name": "other", "value": "x"}]},
  "response": {"status": 200, "headers": [{"name": "set-cookie", "value": "SET"}], "content": {"size": 2, "text": "Cookie: no=1"}}}`
		cookiesTxt = "# Netscape HTTP Cookie File\n# https://curl.se/docs/http-cookies.html\n# This file was generated by libcurl! Edit at your own risk.\n\n"
	)
	entryOf := func(sent, set string) string { return strings.NewReplacer("SENT", sent, "SET", set).Replace(entry) }
	for _, test := range []struct{ name, text, want string }{
		{
			"Chromium: copy as fetch (Node.js)", strings.Replace(chromiumFetch, "COOKIE", ",\n    \"cookie\": \"a=1; b=it's \\\"2\\\"\",\n    \"Referer\": \"https://shop.example/\"", 1),
			`Cookie: a=1 b=it's "2"`,
		},
		{"Firefox: copy as fetch, with the header added", strings.Replace(firefoxFetch, `"*/*"`, `"*/*",`+"\n"+`        "Cookie": "a=1; b=2"`, 1), "Cookie: a=1 b=2"},
		{"Safari: single quotation marks", "fetch('https://shop.example/', {\n  method: 'GET',\n  headers: {\n    'Cookie': 'a=1; b=it\\'s',\n  },\n})", "Cookie: a=1 b=it's"},
		{"bare member", "const response = await fetch(url, { headers: { cookie: `a=1; b=2` } });", "Cookie: a=1 b=2"},
		{"escapes", `fetch("/", {headers: {"cookie": "a=\u00e4\x41\u{1f600}\ud83d\ude00\/\z; b=\n2"}})`, "Cookie: a=äA😀😀/z b=2"},
		{
			"Chromium: copy all as fetch (Node.js)", `fetch("/1", {"headers": {"cookie": "a=1"}}); ;` + "\n" + `fetch("/2", {"headers": {"cookie": "a=2"}});`,
			"Cookie of call 1: a=1 | Cookie of call 2: a=2",
		},

		{"Chromium: copy as PowerShell", chromiumPowerShell, "Cookie: __Host-session=1AQab._ name=a\"b$c`dä"},
		{"with CRLF", strings.ReplaceAll(chromiumPowerShell, "\n", "\r\n"), "Cookie: __Host-session=1AQab._ name=a\"b$c`dä"},
		{"Firefox: in the headers", "Invoke-WebRequest -UseBasicParsing -Uri \"https://shop.example/\" `\n-Headers @{\n\"Accept\" = \"*/*\"\n  \"Cookie\" = \"a=1; b=2\"\n}", "Cookie: a=1 b=2"},
		{"by hand", "Invoke-RestMethod https://shop.example -Headers @{ Cookie = 'a=1; b=it''s' }", "Cookie: a=1 b=it's"},
		{
			"older Chromium", "$session = New-Object Microsoft.PowerShell.Commands.WebRequestSession\n$cookie = New-Object System.Net.Cookie\n$cookie.Name = \"a\"\n$cookie.Value = \"1\"\n$cookie.Domain = \"shop.example\"\n$session.Cookies.Add($cookie)",
			"Cookie: a=1",
		},
		{"new", "$session = [Microsoft.PowerShell.Commands.WebRequestSession]::new()\n$session.Cookies.Add([System.Net.Cookie]::new('a', '1', '/', 'shop.example'))\nInvoke-WebRequest 'https://shop.example/' -WebSession $session", "Cookie: a=1"},
		{
			"Chromium: copy all as PowerShell", chromiumPowerShell + ";\n" + strings.Replace(chromiumPowerShell, "1AQab._", "1AQcd._", 1),
			"Cookie of request 1: __Host-session=1AQab._ name=a\"b$c`dä | Cookie of request 2: __Host-session=1AQcd._ name=a\"b$c`dä",
		},

		{"HAR", strings.Replace(har, "ENTRIES", entryOf("a=1; b=\\u00e4", "c=3; Path=/; Secure"), 1), "Cookie: a=1 b=ä | Set-Cookie: c=3"},
		{"HAR with a byte order mark, indented", "\uFEFF" + strings.Replace(strings.Replace(har, "ENTRIES", entryOf("a=1", ""), 1), `{"log"`, "{\r\n  \"log\"", 1), "Cookie: a=1"},
		{
			"HAR of several requests", strings.Replace(har, "ENTRIES", entryOf("a=1", "a=2; Path=/\\nb=3")+","+entryOf("a=2; b=3", ""), 1),
			"Cookie of request 1: a=1 | Set-Cookie of response 1: a=2 b=3 | Cookie of request 2: a=2 b=3",
		},
		{"HAR without headers", `{"log": {"entries": [{"request": {"cookies": [{"name": "a", "value": "1"}]}}]}}`, "Cookie: a=1"},

		{"cookies.txt", cookiesTxt + "#HttpOnly_shop.example\tFALSE\t/\tTRUE\t0\t__Host-session\t1AQab._\nshop.example\tFALSE\t/\tFALSE\t1799999999\ttheme\tdark\n", "Cookie: __Host-session=1AQab._ theme=dark"},
		{"cookies.txt of several sites", cookiesTxt + ".a.example\tTRUE\t/\tTRUE\t0\ts\t1\n.b.example\tTRUE\t/app\tTRUE\t0\ts\t2\n.a.example\tTRUE\t/\tTRUE\t0\tt\t3\n", "Cookie of .a.example/: s=1 t=3 | Cookie of .b.example/app: s=2"},
		{"one line of it", "#HttpOnly_shop.example\tFALSE\t/\tTRUE\t0\ta\t1", "Cookie: a=1"},
		{"with spaces for tabs", "shop.example FALSE / TRUE 0 a 1", "Cookie: a=1"},
		{"CRLF, lower case, no value", "shop.example\tfalse\t/\ttrue\t0\ta\t\r\nshop.example\tfalse\t/\ttrue\t0\tb\r\n", "Cookie: a= b="},

		{"several curl commands", "curl 'https://shop.example/1' \\\n  -b 'a=1; b=curl' ;\ncurl 'https://shop.example/2' \\\n  -H 'cookie: a=2'", "Cookie of request 1: a=1 b=curl | Cookie of request 2: a=2"},
		{"several curl commands for cmd", "curl ^\"https://shop.example/1^\" ^\r\n  -b ^\"a=1^\" &\r\ncurl ^\"https://shop.example/2^\" ^\r\n  -b ^\"a=2^\"", "Cookie of request 1: a=1 | Cookie of request 2: a=2"},
	} {
		messages, err := readMessages(test.text)
		if got := written(messages); err != nil || got != test.want {
			t.Errorf("%s: got  %s, %v\nwant %s", test.name, got, err, test.want)
		}
	}

	// What has no cookies in it says where they are to be had.
	for _, test := range []struct{ name, text, want string }{
		{"Chromium: copy as fetch", strings.Replace(chromiumFetch, "COOKIE", "", 1), "copy as fetch (Node.js)"},
		{"Firefox: copy as fetch", firefoxFetch, "copy as fetch (Node.js)"},
		{"sanitized HAR", `{"log": {"entries": [{"request": {"headers": [], "cookies": []}, "response": {"headers": []}}]}}`, "sensitive data"},
		{"half a HAR", strings.Replace(har, "ENTRIES", entryOf("a=1", ""), 1)[:300], "begins like a HAR"},
		{"half a fetch", `fetch("https://shop.example/", {"headers": {"cookie`, "copy as cURL"},
		{"PowerShell", "Invoke-WebRequest -Uri \"https://shop.example/", "copy as cURL"},
		{"empty cookies.txt", cookiesTxt, "copy as cURL"},
	} {
		if messages, err := readMessages(test.text); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %s, %v; want %s", test.name, written(messages), err, test.want)
		}
	}
}
