package main

import (
	"errors"
	"strings"
)

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

// readCookies finds the cookies in what was copied from a browser, a log or a terminal: Cookie and Set-Cookie lines, a
// bare Cookie value, or a curl command. Sent and set ones are kept apart.
func readCookies(text string) (sent, set []cookie, err error) {
	text = strings.TrimSpace(strings.TrimPrefix(text, "\uFEFF"))
	if text == "" {
		return nil, nil, errors.New("there is nothing on standard input; paste a Cookie or Set-Cookie header, or a browser's \"copy as cURL\"")
	}
	lines := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	if fields := strings.Fields(text); fields[0] == "curl" || fields[0] == "curl.exe" {
		lines = curlHeaders(text)
	}
	bare := true
	for i, line := range lines {
		name, value, ok := header(line)
		if value == "" && i+1 < len(lines) { // some browsers copy a name and its value as two lines
			value = lines[i+1]
		}
		switch {
		case ok && name == "cookie":
			bare = false
			sent = append(sent, pairs(value)...)
		case ok && name == "set-cookie":
			bare = false
			pair, attributes, _ := strings.Cut(value, ";")
			for _, c := range pairs(pair) {
				c.attributes, c.line = strings.TrimSpace(attributes), len(strings.TrimSpace(value))
				set = append(set, c)
			}
		}
	}
	if bare {
		for _, line := range lines {
			sent = append(sent, pairs(line)...)
		}
	}
	if len(sent)+len(set) == 0 {
		return nil, nil, errors.New("there are no cookies on standard input; paste a Cookie or Set-Cookie header, or a browser's \"copy as cURL\"")
	}
	return sent, set, nil
}

// header splits a header line, which curl -v starts with < or >.
func header(line string) (name, value string, ok bool) {
	line = strings.TrimLeft(line, "<> \t")
	name, value, ok = strings.Cut(line, ":")
	return strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value), ok
}

func pairs(value string) (cookies []cookie) {
	for pair := range strings.SplitSeq(value, ";") {
		if name, value, ok := strings.Cut(strings.TrimSpace(pair), "="); ok {
			cookies = append(cookies, cookie{name: strings.TrimSpace(name), value: strings.TrimSpace(value)})
		}
	}
	return cookies
}

// unquote returns what stands between the quotes in which some clients send values (RFC 6265, 4.1.1), as the library
// reads it.
func unquote(value string) string {
	if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
		return value[1 : len(value)-1]
	}
	return value
}

// curlHeaders returns the header lines in a curl command as browsers copy it, for sh or for cmd.
func curlHeaders(text string) (lines []string) {
	words := shellWords(text)
	for i := 1; i < len(words); i++ {
		option, argument := words[i], ""
		if name, value, ok := strings.Cut(option, "="); ok && strings.HasPrefix(option, "--") {
			option, argument = name, value
		} else if len(option) > 2 && option[0] == '-' && option[1] != '-' { // -b'name=value'
			option, argument = option[:2], option[2:]
		} else if i+1 < len(words) {
			argument = words[i+1]
		}
		switch option {
		case "-H", "--header":
			lines = append(lines, argument)
		case "-b", "--cookie":
			lines = append(lines, "Cookie: "+argument)
		}
	}
	return lines
}

// shellWords splits a command as far as curl commands need it: quotes of both kinds, $'…', backslashes, and cmd's
// carets.
func shellWords(text string) (words []string) {
	if strings.Contains(text, `^"`) {
		text = strings.NewReplacer("^\r\n", " ", "^\n", " ", "^", "").Replace(text)
	}
	var word strings.Builder
	inWord, quote, escapes := false, byte(0), false // escapes: in $'…'
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && (quote != '\'' || escapes) && i+1 < len(text):
			i++
			if text[i] != '\n' && text[i] != '\r' {
				word.WriteByte(text[i])
				inWord = true
			}
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			word.WriteByte(c)
		case c == '\'' || c == '"':
			escapes = c == '\'' && i > 0 && text[i-1] == '$'
			quote, inWord = c, true
		case c == '$' && i+1 < len(text) && text[i+1] == '\'':
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			if inWord {
				words = append(words, word.String())
				word.Reset()
			}
			inWord = false
		default:
			word.WriteByte(c)
			inWord = true
		}
	}
	if inWord {
		words = append(words, word.String())
	}
	return words
}
