package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// newProvider returns a provider with one client and one user. Its tokens are as long as those of large organisations:
// some 2 kB each for ID and access token, which say what groups the user is in, and 1 kB for the refresh token, which
// is another one after each use.
func newProvider(s settings, lifetime time.Duration) (http.Handler, error) {
	web := storage.WebClient(s.clientID, s.clientSecret, s.base+"/callback")
	store := &providerStorage{
		Storage:  storage.NewStorageWithClients(users{}, map[string]*storage.Client{s.clientID: web}),
		client:   &client{Client: web, afterLogout: s.base + "/"},
		lifetime: lifetime,
	}
	config := &op.Config{CodeMethodS256: true, AuthMethodPost: true, GrantTypeRefreshToken: true}
	rand.Read(config.CryptoKey[:])
	provider, err := op.NewProvider(config, store, op.StaticIssuer(s.issuer), op.WithAllowInsecure())
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/", provider)
	mux.HandleFunc("GET /login", func(w http.ResponseWriter, r *http.Request) {
		loginPage.Execute(w, r.FormValue("id"))
	})
	callback := op.AuthCallbackURL(provider)
	mux.Handle("POST /login", op.NewIssuerInterceptor(provider.IssuerFromRequest).HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.FormValue("id")
		if err := store.CheckUsernamePassword(r.FormValue("username"), r.FormValue("password"), id); err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		http.Redirect(w, r, callback(r.Context(), id), http.StatusSeeOther)
	}))
	return mux, nil
}

var loginPage = template.Must(template.New("").Parse(`<!doctype html>
<title>Provider</title>
<h1>The provider</h1>
<form method="post" action="/login">
	<input type="hidden" name="id" value="{{.}}">
	<p><label>User <input name="username" value="grace"></label>
	<p><label>Password <input name="password" type="password" value="hopper"></label>
	<p><button>Log in</button>
</form>
`))

// A client is the application as the provider knows it.
type client struct {
	*storage.Client
	afterLogout string
}

func (c *client) LoginURL(id string) string            { return "/login?id=" + id }
func (c *client) AccessTokenType() op.AccessTokenType  { return op.AccessTokenTypeJWT }
func (c *client) IDTokenUserinfoClaimsAssertion() bool { return true }
func (c *client) PostLogoutRedirectURIs() []string     { return []string{c.afterLogout} }

// users is a directory of one.
type users struct{}

var grace = &storage.User{ID: "1906", Username: "grace", Password: "hopper", FirstName: "Grace", LastName: "Hopper", Email: "grace@navy.example"}

func (users) ExampleClientID() string { return "" }

func (users) GetUserByID(id string) *storage.User {
	if id == grace.ID {
		return grace
	}
	return nil
}

func (users) GetUserByUsername(name string) *storage.User {
	if name == grace.Username {
		return grace
	}
	return nil
}

// A providerStorage makes the tokens longer and shorter-lived.
type providerStorage struct {
	*storage.Storage
	client   *client
	lifetime time.Duration
}

func (s *providerStorage) GetClientByClientID(ctx context.Context, id string) (op.Client, error) {
	if _, err := s.Storage.GetClientByClientID(ctx, id); err != nil {
		return nil, err
	}
	return s.client, nil
}

// groups returns as many as a token has that names those of a large directory.
func groups(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("cn=team-%02d,ou=groups,dc=navy,dc=example", i)
	}
	return names
}

// SetUserinfoFromRequest says what the ID token has beside the standard's claims.
func (s *providerStorage) SetUserinfoFromRequest(ctx context.Context, info *oidc.UserInfo, r op.IDTokenRequest, scopes []string) error {
	info.AppendClaims("groups", groups(20))
	return s.Storage.SetUserinfoFromRequest(ctx, info, r, scopes)
}

// GetPrivateClaimsFromScopes says likewise for the access token.
func (s *providerStorage) GetPrivateClaimsFromScopes(context.Context, string, string, []string) (map[string]any, error) {
	return map[string]any{"groups": groups(23)}, nil
}

const refreshTokenLength = 1024

func (s *providerStorage) CreateAccessAndRefreshTokens(ctx context.Context, r op.TokenRequest, current string) (id, refresh string, expires time.Time, err error) {
	id, refresh, _, err = s.Storage.CreateAccessAndRefreshTokens(ctx, r, short(current))
	return id, long(refresh), time.Now().Add(s.lifetime), err
}

func (s *providerStorage) TokenRequestByRefreshToken(ctx context.Context, refresh string) (op.RefreshTokenRequest, error) {
	return s.Storage.TokenRequestByRefreshToken(ctx, short(refresh))
}

func (s *providerStorage) GetRefreshTokenInfo(ctx context.Context, clientID, token string) (userID, tokenID string, err error) {
	return s.Storage.GetRefreshTokenInfo(ctx, clientID, short(token))
}

// long returns a refresh token that begins with id.
func long(id string) string {
	random := make([]byte, refreshTokenLength)
	rand.Read(random)
	return (id + "." + base64.RawURLEncoding.EncodeToString(random))[:refreshTokenLength]
}

// short is long's reverse.
func short(refresh string) string {
	id, _, _ := strings.Cut(refresh, ".")
	return id
}
