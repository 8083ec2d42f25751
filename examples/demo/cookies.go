package main

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"github.com/seed-50e21e88/cookiesession"
	"github.com/seed-50e21e88/cookiesession/internal/cookiename"
)

// A heldCookie is one of the session's cookies in the visitor's browser.
type heldCookie struct {
	Name  string `json:"name"`
	Bytes int    `json:"bytes"` // of name and value: browsers keep at most 4,096
	Kind  string `json:"kind"`
	Key   string `json:"key"` // label of the key that sealed it, or ""
}

// kinds says what the kinds of cookies are to a visitor, and which purpose Inspect knows them by.
var kinds = [cookiename.Kinds]struct{ words, purpose string }{
	cookiename.Session: {"session", "session"},
	cookiename.Flash:   {"flash message", "flash"},
	cookiename.Lease:   {"last seen", "lease"},
	cookiename.Ended:   {"ended session", ""},
	cookiename.Here:    {"hint of a session", ""},
	cookiename.Device:  {"device", "device"},
	cookiename.Proof:   {"proof of the device", "proof"},
}

// A jar is what a browser holds of this site: values of cookies by name.
type jar map[string]string

// jarOf returns the cookies that came with r.
func jarOf(r *http.Request) jar {
	j := jar{}
	for _, c := range r.Cookies() {
		j[c.Name] = c.Value
	}
	return j
}

// receive does what the header of a response says.
func (j jar) receive(h http.Header) {
	for _, c := range (&http.Response{Header: h}).Cookies() {
		if c.MaxAge < 0 {
			delete(j, c.Name)
		} else {
			j[c.Name] = c.Value
		}
	}
}

// header returns the text of a Cookie header.
func (j jar) header() string {
	var pairs []string
	for name, value := range j {
		pairs = append(pairs, name+"="+value)
	}
	return strings.Join(pairs, "; ")
}

// kindOf says what a cookie is by its name: Other if it isn't of this demo's session.
func (a *app) kindOf(name string) (kind cookiename.Kind, part int) {
	session, suffix := cookiename.Split(name)
	if session != a.sessions.CookieName() {
		return cookiename.Other, 0
	}
	kind, part, _ = cookiename.Parse(suffix)
	return kind, part
}

// held returns the session's cookies as the browser holds them once it has received the response header h, and what the
// text of the session among them is. The request must be as it came.
func (a *app) held(r *http.Request, h http.Header) (list []heldCookie, session cookiesession.Inspection) {
	browser := jarOf(r)
	browser.receive(h)
	opened := a.inspect(browser.header())
	list = []heldCookie{}
	for name, value := range browser {
		kind, part := a.kindOf(name)
		if kind == cookiename.Other {
			continue
		}
		key := opened[kinds[kind].purpose].KeyLabel
		if kind == cookiename.Device || kind == cookiename.Proof { // there may be several, of sessions that are over
			key = a.inspect(name + "=" + value)[kinds[kind].purpose].KeyLabel
		}
		c := heldCookie{name, len(name) + len(value), kinds[kind].words, key}
		if part > 0 {
			c.Kind += ", continued"
		}
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b heldCookie) int { return cmp.Compare(a.Name, b.Name) })
	return list, opened["session"]
}

// inspect says by purpose what the cookies in a Cookie header are that open. It looks through a Manager of its own, so
// that looking doesn't count among what sessions opened.
func (a *app) inspect(header string) map[string]cookiesession.Inspection {
	opened := map[string]cookiesession.Inspection{}
	for _, found := range a.inspector.Inspect(header) {
		if found.Reason == 0 {
			opened[found.Purpose] = found
		}
	}
	return opened
}

// openedBy returns the label of the key that opens the session which r brought, "" if none does.
func (a *app) openedBy(r *http.Request) string {
	return a.inspect(cookieHeader(r))["session"].KeyLabel
}

func cookieHeader(r *http.Request) string { return strings.Join(r.Header["Cookie"], "; ") }
