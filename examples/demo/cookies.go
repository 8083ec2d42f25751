package main

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
)

// A heldCookie is one of the session's cookies in the visitor's browser.
type heldCookie struct {
	Name  string `json:"name"`
	Bytes int    `json:"bytes"` // of name and value: browsers keep at most 4,096
	Kind  string `json:"kind"`
}

// held returns the session's cookies as the browser holds them once it has received the response header h. The request
// must be as it came.
func (a *app) held(r *http.Request, h http.Header) []heldCookie {
	values := map[string]string{}
	for _, c := range r.Cookies() {
		values[c.Name] = c.Value
	}
	for _, c := range (&http.Response{Header: h}).Cookies() {
		if c.MaxAge < 0 {
			delete(values, c.Name)
		} else {
			values[c.Name] = c.Value
		}
	}
	list := []heldCookie{}
	for name, value := range values {
		if kind := a.kind(name); kind != "" {
			list = append(list, heldCookie{name, len(name) + len(value), kind})
		}
	}
	slices.SortFunc(list, func(a, b heldCookie) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// kind says what a cookie is to the session, "" if it is none of the session's.
func (a *app) kind(name string) string {
	rest, ours := strings.CutPrefix(name, a.sessions.CookieName())
	if !ours || rest != "" && rest[0] != '.' {
		return ""
	}
	switch {
	case rest == "":
		return "session"
	case strings.HasPrefix(rest, ".flash"):
		return "flash message"
	case strings.HasPrefix(rest, ".lease"):
		return "last seen"
	case strings.HasPrefix(rest, ".ended."):
		return "ended session"
	default:
		return "session, continued"
	}
}
