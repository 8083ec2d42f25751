package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// isHAR reports whether text is, or was once, an HTTP archive: what browsers export or copy as HAR. It is an object
// with a member log.
func isHAR(text string) bool {
	rest, isObject := strings.CutPrefix(text, "{")
	return isObject && strings.HasPrefix(strings.TrimLeft(rest, " \t\r\n"), `"log"`)
}

// harMessages returns the requests and responses of an HTTP archive, version 1.1 or 1.2.
func harMessages(text string) (messages []message, err error) {
	type pair struct{ Name, Value string }
	var archive struct {
		Log struct {
			Entries []struct {
				Request  struct{ Headers, Cookies []pair }
				Response struct{ Headers []pair }
			}
		}
	}
	if err := json.Unmarshal([]byte(text), &archive); err != nil {
		return nil, errors.New("this begins like a HAR, but isn't one to its end; copy it again, or save it to a file and read that")
	}
	for i, entry := range archive.Log.Entries {
		sent, set := message{from: "Cookie"}, message{from: "Set-Cookie"}
		if len(archive.Log.Entries) > 1 {
			sent.from, set.from = fmt.Sprintf("Cookie of request %d", i+1), fmt.Sprintf("Set-Cookie of response %d", i+1)
		}
		for _, h := range entry.Request.Headers {
			if strings.EqualFold(h.Name, "Cookie") {
				sent.cookies = append(sent.cookies, pairs(h.Value)...)
			}
		}
		if len(sent.cookies) == 0 { // some programs write them here only
			for _, c := range entry.Request.Cookies {
				sent.cookies = append(sent.cookies, cookie{name: c.Name, value: c.Value})
			}
		}
		for _, h := range entry.Response.Headers {
			if strings.EqualFold(h.Name, "Set-Cookie") {
				for line := range strings.SplitSeq(h.Value, "\n") { // Chromium puts several into one
					set.cookies = append(set.cookies, setCookie(line)...)
				}
			}
		}
		messages = append(messages, sent, set)
	}
	return messages, nil
}
