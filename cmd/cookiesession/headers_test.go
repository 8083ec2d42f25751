package main

import (
	"slices"
	"strings"
	"testing"
)

func TestReadCookies(t *testing.T) {
	names := func(cookies []cookie) string {
		var names []string
		for _, c := range cookies {
			names = append(names, c.name+"="+c.value)
		}
		return strings.Join(names, " ")
	}
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
		sent, set, err := readCookies(test.text)
		if err != nil || names(sent) != test.sent || names(set) != test.set {
			t.Errorf("%s: got %q and %q, %v; want %q and %q", test.name, names(sent), names(set), err, test.sent, test.set)
		}
	}
	for _, text := range []string{"", " \r\n", "no cookies here", "curl https://example.com", "Cookie: ", "curl -H"} {
		if sent, set, err := readCookies(text); err == nil {
			t.Errorf("%q: got %q and %q, want an error", text, names(sent), names(set))
		}
	}

	_, set, err := readCookies("Set-Cookie: a=1; Path=/; Max-Age=0; Secure\nSet-Cookie: b=2; Max-Age=01")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(set, []cookie{{"a", "1", "Path=/; Max-Age=0; Secure", 30}, {"b", "2", "Max-Age=01", 15}}) || !set[0].deleted() || set[1].deleted() {
		t.Errorf("got %+v", set)
	}
}
