package main

import (
	"context"
	"html/template"
	"log/slog"
	"net/http"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/seed-50e21e88/cookiesession"
	"github.com/seed-50e21e88/cookiesession/contrib/revoke"
)

const (
	lifetime = 12 * time.Hour
	maxBody  = 32 << 10
)

// What a session holds that the provider can end: the user, and the user's session at the provider.
const (
	subject         = cookiesession.Field[string]("sub")
	providerSession = cookiesession.Field[string]("sid")
)

type settings struct{ issuer, clientID, clientSecret, url string }

type app struct {
	list     *revoke.List
	sessions *cookiesession.Manager
	oauth    oauth2.Config
	verifier *oidc.IDTokenVerifier
	sids     bool      // the provider names its sessions, in ID tokens and logout tokens
	seen     *recently // IDs of logout tokens
	log      *slog.Logger
}

func openList(ctx context.Context, engine revoke.Engine, log *slog.Logger) (*revoke.List, error) {
	return revoke.Open(ctx, revoke.Config{
		Engine:      engine,
		Keys:        []string{string(subject), string(providerSession)},
		NeverReused: []string{string(providerSession)}, // the provider may end its session before that of here begins
		MaxLifetime: lifetime,
		Logger:      log,
	})
}

// newApp asks the provider how it is set up. ctx is for as long as the application runs.
func newApp(ctx context.Context, c settings, keys *cookiesession.Keyring, list *revoke.List, log *slog.Logger) (*app, error) {
	provider, err := oidc.NewProvider(ctx, c.issuer)
	if err != nil {
		return nil, err
	}
	var metadata struct {
		SIDs bool `json:"backchannel_logout_session_supported"`
	}
	if err := provider.Claims(&metadata); err != nil {
		return nil, err
	}
	a := &app{
		list: list,
		oauth: oauth2.Config{
			ClientID:     c.clientID,
			ClientSecret: c.clientSecret,
			Endpoint:     provider.Endpoint(),
			RedirectURL:  c.url + "/callback",
			Scopes:       []string{oidc.ScopeOpenID},
		},
		verifier: provider.VerifierContext(ctx, &oidc.Config{
			ClientID:             c.clientID,
			SupportedSigningAlgs: []string{oidc.RS256, oidc.PS256, oidc.ES256, oidc.EdDSA}, // never one with a shared secret, or none
		}),
		sids: metadata.SIDs,
		seen: newRecently(maxAge + clockSkew),
		log:  log,
	}
	a.sessions, err = cookiesession.New(cookiesession.Config{
		Keys:     keys,
		Scope:    "backchannel",
		Lifetime: lifetime,
		SameSite: http.SameSiteLaxMode, // Strict would withhold the session when the provider leads back to /callback
		Revoked:  list.Revoked,
		Logger:   log,
	})
	return a, err
}

// handler returns the whole site. The provider's own requests bring neither session nor CSRF token.
func (a *app) handler() http.Handler {
	pages := http.NewServeMux()
	pages.HandleFunc("GET /{$}", a.home)
	pages.HandleFunc("POST /login", a.logIn)
	pages.HandleFunc("GET /callback", a.callback)
	pages.HandleFunc("POST /logout", a.logOut)
	site := http.NewServeMux()
	site.Handle("/", a.list.Guard(a.sessions, a.sessions.Handler(a.sessions.ProtectCSRF(pages))))
	site.HandleFunc("POST /backchannel-logout", a.backChannel)
	return http.MaxBytesHandler(withHeaders(site), maxBody)
}

func withHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		// Without form-action: browsers apply it to where a form's answer leads, which is the provider.
		h.Set("Content-Security-Policy", "default-src 'none'; base-uri 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer") // codes travel in URLs
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

var homePage = template.Must(template.New("home").Parse(`<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Back-channel logout</title></head>
<body>
{{if .Subject}}<p>You are logged in as <strong>{{.Subject}}</strong>. Log out at your provider, and reload.</p>
<form method="post" action="/logout"><input type="hidden" name="csrf_token" value="{{.CSRF}}"><button>Log out here</button></form>
{{else}}<p>You are not logged in.</p>
<form method="post" action="/login"><input type="hidden" name="csrf_token" value="{{.CSRF}}"><button>Log in</button></form>
{{end}}</body>
</html>
`))

func (a *app) home(w http.ResponseWriter, r *http.Request) {
	s := a.sessions.Get(r)
	page := struct{ Subject, CSRF string }{subject.Get(s), s.CSRFToken()} // before the first byte
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if err := homePage.Execute(w, page); err != nil {
		a.log.Error("page not written", "error", err)
	}
}
