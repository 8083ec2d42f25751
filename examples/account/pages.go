package main

import (
	"bytes"
	"fmt"
	"html/template"
	"net/http"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

// A notice is shown once, on the page that follows a redirect.
type notice struct {
	Text    string
	Problem bool
	Name    string // what the visitor had typed
}

const flashed = cookiesession.Field[notice]("notice")

// A page is what the layout shows. Data is the page's own.
type page struct {
	Name   string // of its template
	Title  string
	User   *user // logged in, or nil
	CSRF   string
	Notice notice
	Next   string
	Data   any
}

// show answers with a page. What it takes from the session, and may put there, it takes before the first byte.
func (a *app) show(w http.ResponseWriter, r *http.Request, status int, name, title string, data any) {
	v, err := a.visit(r)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	s := a.sessions.Get(r)
	p := page{Name: name, Title: title, CSRF: s.CSRFToken(), Notice: flashed.Flashed(s), Next: nextOf(r), Data: data}
	if v != nil {
		p.User = &v.user
	}
	a.render(w, status, p)
}

func (a *app) render(w http.ResponseWriter, status int, p page) {
	var body bytes.Buffer
	if err := a.pages[p.Name].Execute(&body, p); err != nil {
		a.log.Error("page not rendered", "page", p.Name, "error", err)
		http.Error(w, "500 internal server error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	body.WriteTo(w)
}

// redirect ends a POST: the browser loads a page, which shows the notice. Reloading it sends nothing again.
func (a *app) redirect(w http.ResponseWriter, r *http.Request, to string, n notice) {
	if len(n.Name) > 100 {
		n.Name = "" // nobody's name, and perhaps too long for a cookie
	}
	flashed.Flash(a.sessions.Get(r), n)
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// problem answers with a page that says what is wrong. It leaves the session alone.
func (a *app) problem(w http.ResponseWriter, status int, title, text string) {
	a.render(w, status, page{Name: "problem", Title: title, Data: text})
}

// fail answers a request that could not be served, and in the place of a handler whose changes to the session could not
// be saved: what sessions hold here fits always, so Revoked could not tell whether the session is over. The visitor isn't
// told why; the session is as it was before.
func (a *app) fail(w http.ResponseWriter, r *http.Request, err error) {
	a.log.Error("request failed", "path", r.URL.Path, "error", err)
	a.problem(w, http.StatusServiceUnavailable, "Something went wrong", "Please try again in a moment.")
}

var templateFuncs = template.FuncMap{
	"ago": func(t time.Time) string { return ago(time.Since(t)) },
	"utc": func(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04 UTC") },
	"iso": func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
}

// ago says how long something is past, no more exactly than logins are touched.
func ago(d time.Duration) string {
	switch {
	case d < 2*seenEvery:
		return "just now"
	case d < time.Hour:
		return "within the last hour"
	case d < 2*time.Hour:
		return "an hour ago"
	case d < 24*time.Hour:
		return fmt.Sprintf("%d hours ago", int(d.Hours()))
	case d < 48*time.Hour:
		return "a day ago"
	}
	return fmt.Sprintf("%d days ago", int(d.Hours()/24))
}
