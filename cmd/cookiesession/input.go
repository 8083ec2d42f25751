package main

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// A message is what one request sent, or what one response set.
type message struct {
	from    string // Cookie or Set-Cookie; with what tells it from others, if there are several
	cookies []cookie
}

// A cookie is what one line set or sent.
type cookie struct {
	name, value string
	attributes  string // of a Set-Cookie line
	line        int    // length of that line
}

// deleted reports whether a Set-Cookie line deletes its cookie.
func (c *cookie) deleted() bool {
	for attribute := range strings.SplitSeq(c.attributes, ";") {
		if strings.EqualFold(strings.TrimSpace(attribute), "max-age=0") {
			return true
		}
	}
	return false
}

// attribute matches the attributes that browsers know (RFC 6265bis, 4.1.2; Chromium's Priority), with values like theirs.
var attribute = regexp.MustCompile(`(?i)^(secure|httponly|partitioned|max-age=-?\d+|samesite=[a-z]+|priority=[a-z]+|` +
	`domain=[a-z\d.-]+|path=[^\s,=]*|expires=[a-z\d :,-]{1,40})$`)

// shownAttributes returns the attributes of a Set-Cookie line, and of what isn't one only that it is there: it may hold
// another cookie's token, if something joined lines or a Cookie header was taken for a Set-Cookie line.
func (c *cookie) shownAttributes() string {
	if c.attributes == "" {
		return ""
	}
	shown := strings.Split(c.attributes, ";")
	for i, text := range shown {
		if shown[i] = strings.TrimSpace(text); !attribute.MatchString(shown[i]) && shown[i] != "" {
			shown[i] = "(no attribute, not shown)"
		}
	}
	return strings.Join(shown, "; ")
}

// readMessages finds the cookies in what was copied from a browser, a log or a terminal: curl commands, calls of fetch
// and PowerShell commands as browsers copy them, a HAR, a cookies.txt, Cookie and Set-Cookie lines, or a bare Cookie
// value. What came in different messages is kept apart.
func readMessages(text string) ([]message, error) {
	text = strings.TrimSpace(strings.TrimPrefix(text, "\uFEFF"))
	if text == "" {
		return nil, errors.New("there is nothing on standard input; paste a Cookie or Set-Cookie header, or a browser's \"copy as cURL\"")
	}
	var messages []message
	hint := "paste a Cookie or Set-Cookie header, or a browser's \"copy as cURL\""
	switch {
	case isHAR(text):
		var err error
		if messages, err = harMessages(text); err != nil {
			return nil, err
		}
		hint = "browsers leave them out of a HAR unless told to export sensitive data"
	case isCurl(strings.Fields(text)[0]):
		messages = numbered("Cookie", "request", curlRequests(text))
	case isPowerShell(text):
		messages = numbered("Cookie", "request", powerShellRequests(text))
	case isFetch(text):
		messages = numbered("Cookie", "call", fetchCalls(text))
		hint = "browsers leave them out of \"copy as fetch\", but not of \"copy as fetch (Node.js)\" or \"copy as cURL\""
	case isCookiesTxt(text):
		messages = cookiesTxtSites(text)
	default:
		messages = headerLines(text)
	}
	for _, m := range messages {
		if len(m.cookies) > 0 {
			return messages, nil
		}
	}
	return nil, fmt.Errorf("there are no cookies on standard input; %s", hint)
}

// numbered names messages after their header, and their number where there are several.
func numbered(header, what string, messages []message) []message {
	for i := range messages {
		messages[i].from = header
		if len(messages) > 1 {
			messages[i].from = fmt.Sprintf("%s of %s %d", header, what, i+1)
		}
	}
	return messages
}

// headerLines reads Cookie and Set-Cookie lines, or, if there are none, bare values of a Cookie header.
func headerLines(text string) []message {
	sent, set := message{from: "Cookie"}, message{from: "Set-Cookie"}
	lines := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	bare := true
	for i, line := range lines {
		name, value, ok := header(line)
		if value == "" && i+1 < len(lines) { // some browsers copy a name and its value as two lines
			value = lines[i+1]
		}
		switch {
		case ok && name == "cookie":
			bare = false
			sent.cookies = append(sent.cookies, pairs(value)...)
		case ok && name == "set-cookie":
			bare = false
			set.cookies = append(set.cookies, setCookie(value)...)
		}
	}
	if bare {
		for _, line := range lines {
			sent.cookies = append(sent.cookies, pairs(line)...)
		}
	}
	return []message{sent, set}
}

// header splits a header line, which curl -v starts with < or >.
func header(line string) (name, value string, ok bool) {
	line = strings.TrimLeft(line, "<> \t")
	name, value, ok = strings.Cut(line, ":")
	return strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value), ok
}

// pairs reads the value of a Cookie header.
func pairs(value string) (cookies []cookie) {
	for pair := range strings.SplitSeq(value, ";") {
		if name, value, ok := strings.Cut(strings.TrimSpace(pair), "="); ok {
			cookies = append(cookies, cookie{name: strings.TrimSpace(name), value: strings.TrimSpace(value)})
		}
	}
	return cookies
}

// setCookie reads the value of a Set-Cookie header.
func setCookie(value string) []cookie {
	pair, attributes, _ := strings.Cut(value, ";")
	cookies := pairs(pair)
	for i := range cookies {
		cookies[i].attributes, cookies[i].line = strings.TrimSpace(attributes), len(strings.TrimSpace(value))
	}
	return cookies
}
