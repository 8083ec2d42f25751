package main

import (
	"regexp"
	"strconv"
	"strings"
	"unicode/utf16"
)

// A literal is a text in quotation marks in a piece of a program, and what stands before it, from the literal before.
type literal struct{ before, text string }

// literals finds the literals of a program. read reads one that begins behind its opening quotation mark, and returns
// what it says and what follows it.
func literals(program string, read func(quote byte, rest string) (text, after string)) (found []literal) {
	for {
		i := strings.IndexAny(program, "\"'`")
		if i < 0 {
			return found
		}
		text, after := read(program[i], program[i+1:])
		found = append(found, literal{program[:i], text})
		program = after
	}
}

// named reports whether the literal l is the value of a member called cookie, with separator between the two. The
// member's name is bare, or the literal before.
func (l literal) named(previous, separator string) bool {
	before := strings.TrimSpace(l.before)
	name, ok := strings.CutSuffix(before, separator)
	if name = strings.TrimSpace(name); ok && name == "" {
		name = previous
	}
	i := strings.LastIndexAny(name, " \t\r\n{,;")
	return ok && strings.EqualFold(name[i+1:], "cookie")
}

var (
	fetchCall  = regexp.MustCompile(`\bfetch\(`)
	fetchStart = regexp.MustCompile(`^(?:(?:const|let|var)\s+\w+\s*=\s*)?(?:await\s+)?fetch\(`)
)

// isFetch reports whether text is JavaScript that calls fetch, as browsers copy a request.
func isFetch(text string) bool { return fetchStart.MatchString(text) }

// fetchCalls returns the cookies of each call of fetch.
func fetchCalls(text string) (calls []message) {
	previous := ""
	for _, l := range literals(text, readJavaScript) {
		if fetchCall.MatchString(l.before) || len(calls) == 0 {
			calls = append(calls, message{})
		}
		if l.named(previous, ":") {
			last := &calls[len(calls)-1]
			last.cookies = append(last.cookies, pairs(l.text)...)
		}
		previous = l.text
	}
	return calls
}

// readJavaScript reads a string literal (ECMA-262, 12.9.4), or a template's text.
func readJavaScript(quote byte, rest string) (text, after string) {
	var b strings.Builder
	for i := 0; i < len(rest); i++ {
		switch c := rest[i]; {
		case c == quote:
			return b.String(), rest[i+1:]
		case c == '\\' && i+1 < len(rest):
			i++
			switch e := rest[i]; e {
			case 'n', 't', 'r', 'b', 'f', 'v', '0':
				b.WriteByte(map[byte]byte{'n': '\n', 't': '\t', 'r': '\r', 'b': '\b', 'f': '\f', 'v': '\v', '0': 0}[e])
			case 'x', 'u':
				n := readUnits(&b, rest[i-1:])
				i += n - 2
			case '\n': // continues on the next line
			default:
				b.WriteByte(e)
			}
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), ""
}

var codeUnit = regexp.MustCompile(`^\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|u\{([0-9A-Fa-f]{1,6})\})`)

// readUnits writes the characters that the escapes at the beginning of text stand for, of which two may make one, and
// returns their length, or 2 if they are none.
func readUnits(b *strings.Builder, text string) (n int) {
	var units []uint16
	for {
		found := codeUnit.FindStringSubmatch(text[n:])
		if found == nil {
			break
		}
		n += len(found[0])
		if unit, _ := strconv.ParseUint(found[1]+found[2]+found[3], 16, 32); unit < 0x10000 {
			units = append(units, uint16(unit)) // half a pair, perhaps
		} else {
			units = utf16.AppendRune(units, rune(unit))
		}
	}
	b.WriteString(string(utf16.Decode(units)))
	return max(n, 2)
}

var (
	webSession = regexp.MustCompile(`(?i)PowerShell\.Commands\.WebRequestSession`)
	webRequest = regexp.MustCompile(`(?i)\bInvoke-(WebRequest|RestMethod)\b`)
	newCookie  = regexp.MustCompile(`(?i)System\.Net\.Cookie\]?(::new)?(\s+-ArgumentList)?\s*\(?\s*$`)
	cookieName = regexp.MustCompile(`(?i)\$\w+\.Name\s*=\s*$`)
)

// isPowerShell reports whether text is PowerShell that makes a request, as browsers copy it.
func isPowerShell(text string) bool {
	return webSession.MatchString(text) || webRequest.MatchString(text)
}

// powerShellRequests returns the cookies of each request: those that are added to its session, and its Cookie header.
func powerShellRequests(text string) (requests []message) {
	requests = []message{{}}
	name, previous := "", "" // name: of a cookie whose value comes next
	invoked := false
	for _, l := range literals(text, readPowerShell) {
		if invoked && (webSession.MatchString(l.before) || webRequest.MatchString(l.before)) {
			requests, invoked = append(requests, message{}), false
		}
		invoked = invoked || webRequest.MatchString(l.before)
		last := &requests[len(requests)-1]
		switch {
		case name != "":
			last.cookies = append(last.cookies, cookie{name: name, value: l.text})
			name = ""
		case newCookie.MatchString(l.before), cookieName.MatchString(l.before):
			name = l.text
		case l.named(previous, "="):
			last.cookies = append(last.cookies, pairs(l.text)...)
		}
		previous = l.text
	}
	return requests
}

var character = regexp.MustCompile(`^\$\(\[char\](0x[0-9A-Fa-f]+|\d+)\)`)

// readPowerShell reads a string in single or double quotation marks (about_Quoting_Rules, about_Special_Characters in
// PowerShell's help). A backtick outside of one continues a line.
func readPowerShell(quote byte, rest string) (text, after string) {
	if quote == '`' {
		return "", rest
	}
	var b strings.Builder
	for i := 0; i < len(rest); i++ {
		switch c := rest[i]; {
		case c == quote && i+1 < len(rest) && rest[i+1] == quote:
			b.WriteByte(quote)
			i++
		case c == quote:
			return b.String(), rest[i+1:]
		case quote == '\'':
			b.WriteByte(c)
		case c == '`' && i+1 < len(rest):
			i++
			if control, ok := map[byte]byte{'n': '\n', 't': '\t', 'r': '\r', '0': 0, 'a': '\a', 'b': '\b', 'e': 0x1b, 'f': '\f', 'v': '\v'}[rest[i]]; ok {
				b.WriteByte(control)
			} else {
				b.WriteByte(rest[i])
			}
		case c == '$' && character.MatchString(rest[i:]): // how browsers write what isn't ASCII
			found := character.FindStringSubmatch(rest[i:])
			unit, _ := strconv.ParseUint(found[1], 0, 16)
			b.WriteRune(rune(unit))
			i += len(found[0]) - 1
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), ""
}
