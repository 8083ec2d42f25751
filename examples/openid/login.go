package main

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/seed-50e21e88/cookiesession"
	"golang.org/x/oauth2"
)

// settings are what application and provider know of one another.
type settings struct {
	base, issuer           string // URLs without a slash at the end
	clientID, clientSecret string
}

// An application is the relying party.
type application struct {
	sessions   *cookiesession.Manager
	oauth      oauth2.Config
	provider   *oidc.Provider
	verifier   *oidc.IDTokenVerifier
	endSession string // the provider's URL for logging out
	base       string
	refreshes  refreshes
	now        func() time.Time
}

// newApplication asks the provider for its endpoints, so that must run already.
func newApplication(ctx context.Context, s settings, keys *cookiesession.Keyring) (*application, error) {
	provider, err := oidc.NewProvider(ctx, s.issuer)
	if err != nil {
		return nil, err
	}
	var endpoints struct {
		EndSession string `json:"end_session_endpoint"`
	}
	if err := provider.Claims(&endpoints); err != nil {
		return nil, err
	}
	// Tokens of 5 kB take 7 kB in cookies. Stock proxies take a Cookie line of 8,182 bytes: what is above 8,000 needs
	// settings everywhere. SameSite stays Lax: with Strict, the request in which the provider sends the visitor back
	// would come without the session.
	sessions, err := cookiesession.New(cookiesession.Config{Keys: keys, MaxSize: 8000})
	if err != nil {
		return nil, err
	}
	return &application{
		sessions: sessions,
		oauth: oauth2.Config{
			ClientID: s.clientID, ClientSecret: s.clientSecret, Endpoint: provider.Endpoint(), RedirectURL: s.base + "/callback",
			Scopes: []string{oidc.ScopeOpenID, "profile", oidc.ScopeOfflineAccess},
		},
		provider: provider, verifier: provider.Verifier(&oidc.Config{ClientID: s.clientID}),
		endSession: endpoints.EndSession, base: s.base, now: time.Now,
	}, nil
}

func (a *application) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", a.home)
	mux.HandleFunc("GET /login", a.login)
	mux.HandleFunc("GET /callback", a.callback)
	mux.HandleFunc("GET /me", a.me)
	mux.HandleFunc("POST /logout", a.logout)

	// The provider's form is the one POST that may come from another site: state is what protects it.
	outer := http.NewServeMux()
	outer.HandleFunc("POST /callback", a.formPost)
	outer.Handle("/", a.sessions.ProtectCSRF(mux))
	return a.sessions.Handler(outer)
}

// An attempt is a login that has been begun. The session keeps it under its state, so only the browser that began it
// can end it.
type attempt struct {
	Nonce, Verifier, Return string
	Begun                   time.Time
}

// A user is who logged in.
type user struct{ Subject, Name string }

const (
	attempts = cookiesession.Field[map[string]attempt]("attempts")
	userOf   = cookiesession.Field[user]("user")
)

const (
	maxAttempts = 3 // tabs in which somebody stands before the provider's login page
	attemptLife = 10 * time.Minute
)

// login sends the visitor to the provider.
func (a *application) login(w http.ResponseWriter, r *http.Request) {
	state, next := rand.Text(), attempt{rand.Text(), oauth2.GenerateVerifier(), localPath(r.FormValue("return")), a.now()}
	attempts.Update(a.sessions.Get(r), func(begun map[string]attempt) map[string]attempt {
		if begun == nil {
			begun = make(map[string]attempt)
		}
		oldest := ""
		for state, other := range begun {
			if a.now().Sub(other.Begun) > attemptLife {
				delete(begun, state)
			} else if oldest == "" || other.Begun.Before(begun[oldest].Begun) {
				oldest = state
			}
		}
		if len(begun) >= maxAttempts {
			delete(begun, oldest)
		}
		begun[state] = next
		return begun
	})
	options := []oauth2.AuthCodeOption{oidc.Nonce(next.Nonce), oauth2.S256ChallengeOption(next.Verifier)}
	if r.FormValue("mode") == "form_post" {
		options = append(options, oauth2.SetAuthURLParam("response_mode", "form_post"))
	}
	http.Redirect(w, r, a.oauth.AuthCodeURL(state, options...), http.StatusSeeOther)
}

// localPath returns a path of this application, to go to after the login: anything else would make it an open redirect.
func localPath(path string) string {
	_, err := url.Parse(path)
	if err != nil || !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || strings.Contains(path, `\`) {
		return "/"
	}
	return path
}

// formPost takes the provider's answer if it comes as a form (response_mode=form_post). The browser withholds the
// session's cookies from it, since it is a POST from another site, so this looks at no session: it has the browser come
// again with a GET, which brings them. The code in that URL is used up at once, and of no use without the verifier in
// the session.
func (a *application) formPost(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	if err := r.ParseForm(); err != nil {
		http.Error(w, "This form can't be read.", http.StatusBadRequest)
		return
	}
	answer := make(url.Values)
	for _, name := range []string{"code", "state", "iss", "error", "error_description"} {
		if value := r.PostForm.Get(name); value != "" {
			answer.Set(name, value)
		}
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	http.Redirect(w, r, "/callback?"+answer.Encode(), http.StatusSeeOther)
}

// callback ends a login.
func (a *application) callback(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Referrer-Policy", "no-referrer") // the URL has the code
	s, state := a.sessions.Get(r), r.URL.Query().Get("state")
	begun := attempts.Get(s)
	attempt, ok := begun[state]
	if !ok || a.now().Sub(attempt.Begun) > attemptLife {
		a.problem(w, r, http.StatusBadRequest, "This login has expired, or was begun in another browser.")
		return
	}
	delete(begun, state)
	attempts.Put(s, begun)
	if r.URL.Query().Has("error") {
		a.problem(w, r, http.StatusForbidden, "The provider has not logged you in.")
		return
	}
	token, err := a.oauth.Exchange(r.Context(), r.URL.Query().Get("code"), oauth2.VerifierOption(attempt.Verifier))
	if err != nil {
		a.problem(w, r, http.StatusBadGateway, "The provider has not accepted its own code.")
		return
	}
	got, id, err := a.verify(r.Context(), token, "")
	if err == nil && id.Nonce != attempt.Nonce {
		err = errors.New("the ID token is another login's")
	}
	var who struct{ Name string }
	if err == nil {
		err = id.Claims(&who)
	}
	if err != nil {
		a.problem(w, r, http.StatusBadGateway, "The provider's answer is not valid.")
		return
	}
	s.Regenerate() // whoever knew the session before must not know it logged in
	s.CSRFToken()  // drawn here, so that no page has to change the session for it
	attempts.Delete(s)
	userOf.Put(s, user{id.Subject, who.Name})
	tokensOf.Put(s, got)
	http.Redirect(w, r, attempt.Return, http.StatusSeeOther)
}

// verify returns what to keep of the provider's answer. subject, if not empty, is whose it must be.
func (a *application) verify(ctx context.Context, token *oauth2.Token, subject string) (tokens, *oidc.IDToken, error) {
	raw, ok := token.Extra("id_token").(string)
	if !ok {
		return tokens{}, nil, errors.New("there is no ID token")
	}
	id, err := a.verifier.Verify(ctx, raw)
	if err != nil {
		return tokens{}, nil, err
	}
	if subject != "" && id.Subject != subject {
		return tokens{}, nil, errors.New("the ID token is of another user")
	}
	return tokens{token.AccessToken, token.RefreshToken, raw, token.Expiry}, id, nil
}

// logout ends the session here, then at the provider, which sends the visitor back.
func (a *application) logout(w http.ResponseWriter, r *http.Request) {
	s := a.sessions.Get(r)
	id := tokensOf.Get(s).ID
	s.Destroy()
	if id == "" {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	query := url.Values{"id_token_hint": {id}, "post_logout_redirect_uri": {a.base + "/"}}
	http.Redirect(w, r, a.endSession+"?"+query.Encode(), http.StatusSeeOther)
}
