package main

import "strings"

// curlRequests returns the cookies of each curl command as browsers copy them, for sh or for cmd, one or several.
func curlRequests(text string) (requests []message) {
	for i, word := 0, shellWords(text); i < len(word); {
		end := i + 1
		for end < len(word) && !(isCurl(word[end]) && (word[end-1] == ";" || word[end-1] == "&")) {
			end++
		}
		requests = append(requests, curlRequest(word[i:end])...)
		i = end
	}
	return requests
}

func isCurl(word string) bool { return word == "curl" || word == "curl.exe" }

func curlRequest(words []string) []message {
	var request message
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
			if name, value, _ := header(argument); name == "cookie" {
				request.cookies = append(request.cookies, pairs(value)...)
			}
		case "-b", "--cookie":
			request.cookies = append(request.cookies, pairs(argument)...)
		}
	}
	return []message{request}
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
