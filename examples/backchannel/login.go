package main

import (
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"net/http"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/seed-50e21e88/cookiesession"
)

// loginWithin is how long a visitor may take at the provider.
const loginWithin = 10 * time.Minute

// An attempt is what must be known of a login when the provider leads back.
type attempt struct {
	State    string // that this browser asked
	Nonce    string // that the ID token is for this attempt
	Verifier string // that the code is (PKCE, RFC 7636)
	Begun    time.Time
}

const underWay = cookiesession.Field[attempt]("attempt")

func (a *app) logIn(w http.ResponseWriter, r *http.Request) {
	try := attempt{State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), Begun: time.Now()}
	underWay.Put(a.sessions.Get(r), try)
	http.Redirect(w, r, a.oauth.AuthCodeURL(try.State, oidc.Nonce(try.Nonce), oauth2.S256ChallengeOption(try.Verifier)), http.StatusSeeOther)
}

// callback is where the provider leads back to.
func (a *app) callback(w http.ResponseWriter, r *http.Request) {
	s := a.sessions.Get(r)
	try := underWay.Pull(s) // each is good once
	if err := a.finish(s, try, r); err != nil {
		a.log.Warn("login failed", "error", err)
		http.Error(w, "The login failed. Please go back to the first page and try again.", http.StatusBadRequest)
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// finish makes s a session of whom the provider says that the visitor is.
func (a *app) finish(s *cookiesession.Session, try attempt, r *http.Request) error {
	if time.Since(try.Begun) >= loginWithin {
		return errors.New("no login is under way in this browser, or it took too long")
	}
	if subtle.ConstantTimeCompare([]byte(try.State), []byte(r.FormValue("state"))) != 1 {
		return errors.New("state of another attempt")
	}
	begun := a.list.Begin() // before the provider is asked: it may end the session while it answers
	tokens, err := a.oauth.Exchange(r.Context(), r.FormValue("code"), oauth2.VerifierOption(try.Verifier))
	if err != nil {
		return err
	}
	raw, _ := tokens.Extra("id_token").(string)
	token, err := a.verifier.Verify(r.Context(), raw)
	if err != nil {
		return err
	}
	var claims struct {
		SID string `json:"sid"`
	}
	if err := token.Claims(&claims); err != nil {
		return err
	}
	switch {
	case token.Nonce != try.Nonce:
		return errors.New("ID token of another attempt")
	case token.Subject == "":
		return errors.New("ID token without subject")
	case a.sids && claims.SID == "":
		return errors.New("ID token without sid, so the provider could not end this session")
	}
	s.Clear() // of what an earlier user of this browser had
	subject.Put(s, token.Subject)
	if claims.SID != "" {
		providerSession.Put(s, claims.SID)
	}
	s.Regenerate()
	begun.Keep(s)
	if over, err := a.list.Revoked(r.Context(), s); over || err != nil { // the next request would be told, but this page says why
		s.Destroy()
		return errors.Join(errors.New("the provider has ended the session meanwhile, or nobody knows"), err)
	}
	return nil
}

func (a *app) logOut(w http.ResponseWriter, r *http.Request) {
	a.sessions.Get(r).Destroy()
	http.Redirect(w, r, "/", http.StatusSeeOther)
}
