package main

import (
	"encoding/json"
	"errors"
	"html/template"
	"net/http"
	"time"

	"golang.org/x/oauth2"
)

var homePage = template.Must(template.New("").Parse(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>OpenID Connect in a cookie session</title>
<style>body { font: 1rem/1.5 system-ui, sans-serif; max-width: 40rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem } td { padding-right: 1rem } td + td { text-align: right; white-space: nowrap }</style>
<h1>OpenID Connect in a cookie session</h1>
{{with .Problem}}<p role="alert">{{.}} <a href="/login">Log in again</a>.{{end}}
{{if .User.Subject}}
<p>Hello, {{.User.Name}}.
<table>
<tr><td>ID token<td>{{len .Tokens.ID}} bytes
<tr><td>access token<td>{{len .Tokens.Access}} bytes
<tr><td>refresh token<td>{{len .Tokens.Refresh}} bytes
<tr><td>session in the Cookie header<td>{{.Size}} bytes
</table>
<p>The access token expires at {{.Tokens.Expires.Format "15:04:05"}}. <a href="/me">Ask the provider who you are</a>, now or
then: it is refreshed if need be.
<form method="post" action="/logout">
	<input type="hidden" name="csrf_token" value="{{.CSRF}}">
	<button>Log out, here and at the provider</button>
</form>
{{else if not .Problem}}
<p><a href="/login">Log in</a>, or <a href="/login?mode=form_post">log in with the answer as a form</a>.
{{end}}
`))

func (a *application) home(w http.ResponseWriter, r *http.Request) { a.page(w, r, http.StatusOK, "") }

// problem answers with the page and what went wrong. What the provider said isn't shown: anybody can write that into a
// URL.
func (a *application) problem(w http.ResponseWriter, r *http.Request, status int, text string) {
	a.page(w, r, status, text)
}

func (a *application) page(w http.ResponseWriter, r *http.Request, status int, problem string) {
	s := a.sessions.Get(r)
	data := struct {
		Problem, CSRF string
		User          user
		Tokens        tokens
		Size          int
	}{Problem: problem, User: userOf.Get(s), Tokens: tokensOf.Get(s)}
	if data.User.Subject != "" {
		data.CSRF = s.CSRFToken()
	}
	data.Size = s.Size()
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	homePage.Execute(w, data)
}

// me asks the provider with the access token, as an application asks its API.
func (a *application) me(w http.ResponseWriter, r *http.Request) {
	t, err := a.fresh(r.Context(), a.sessions.Get(r))
	var refused *oauth2.RetrieveError
	switch {
	case errors.Is(err, errLoggedOut), errors.As(err, &refused):
		a.problem(w, r, http.StatusUnauthorized, "Your login has ended.")
		return
	case err != nil:
		a.problem(w, r, http.StatusBadGateway, "The provider does not answer.")
		return
	}
	info, err := a.provider.UserInfo(r.Context(), oauth2.StaticTokenSource(&oauth2.Token{AccessToken: t.Access}))
	if err != nil {
		a.problem(w, r, http.StatusBadGateway, "The provider does not know the access token.")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(struct {
		Subject string    `json:"sub"`
		Expires time.Time `json:"access_token_expires"`
	}{info.Subject, t.Expires})
}
