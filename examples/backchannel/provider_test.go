package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/seed-50e21e88/cookiesession"
	"github.com/seed-50e21e88/cookiesession/contrib/revoke"
	"github.com/seed-50e21e88/cookiesession/cookiesessiontest"
)

const (
	clientID = "the-client"
	keyID    = "the-key"
	event    = "http://schemas.openid.net/event/backchannel-logout"
)

type claims map[string]any

// A provider is an OpenID provider at which everybody who comes is logged in already, as sub with the session sid.
type provider struct {
	t    *testing.T
	url  string
	key  *ecdsa.PrivateKey
	sids bool // says that it names its sessions

	mu      sync.Mutex
	sub     string
	sid     string
	spoil   claims                // what is otherwise in ID tokens
	between func()                // runs while a code is exchanged
	codes   map[string]url.Values // authorization requests by the code that they got
}

func newProvider(t *testing.T, sids bool) *provider {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p := &provider{t: t, key: key, sids: sids, codes: map[string]url.Values{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", p.discovery)
	mux.HandleFunc("GET /keys", p.keys)
	mux.HandleFunc("GET /auth", p.authorize)
	mux.HandleFunc("POST /token", p.token)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	p.url = server.URL
	return p
}

func (p *provider) write(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		p.t.Error(err)
	}
}

func (p *provider) discovery(w http.ResponseWriter, _ *http.Request) {
	p.write(w, claims{
		"issuer": p.url, "authorization_endpoint": p.url + "/auth", "token_endpoint": p.url + "/token", "jwks_uri": p.url + "/keys",
		"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
		"id_token_signing_alg_values_supported": []string{"ES256"},
		"backchannel_logout_supported":          true, "backchannel_logout_session_supported": p.sids,
	})
}

func (p *provider) keys(w http.ResponseWriter, _ *http.Request) {
	p.write(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: p.key.Public(), KeyID: keyID, Algorithm: "ES256", Use: "sig"}}})
}

func (p *provider) authorize(w http.ResponseWriter, r *http.Request) {
	code := rand.Text()
	p.mu.Lock()
	p.codes[code] = r.URL.Query()
	p.mu.Unlock()
	back := url.Values{"code": {code}, "state": {r.FormValue("state")}}
	http.Redirect(w, r, r.FormValue("redirect_uri")+"?"+back.Encode(), http.StatusFound)
}

func (p *provider) token(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	asked, between := p.codes[r.PostFormValue("code")], p.between
	delete(p.codes, r.PostFormValue("code"))
	id := claims{
		"iss": p.url, "aud": clientID, "sub": p.sub, "iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix(), "nonce": asked.Get("nonce"),
	}
	if p.sids {
		id["sid"] = p.sid
	}
	maps.Copy(id, p.spoil)
	p.mu.Unlock()
	challenge := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	if base64.RawURLEncoding.EncodeToString(challenge[:]) != asked.Get("code_challenge") {
		http.Error(w, `{"error":"invalid_grant"}`, http.StatusBadRequest)
		return
	}
	if between != nil {
		between()
	}
	p.write(w, claims{"access_token": "x", "token_type": "Bearer", "id_token": p.sign(id)})
}

func (p *provider) sign(c claims) string { return signWith(p.t, jose.ES256, p.key, c) }

func signWith(t *testing.T, alg jose.SignatureAlgorithm, key any, c claims) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, (&jose.SignerOptions{}).WithType("logout+jwt").WithHeader("kid", keyID))
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(text)
	if err != nil {
		t.Fatal(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// logout returns the claims of a good logout token, changed by pairs of name and value; nil takes a claim away.
func (p *provider) logout(pairs ...any) claims {
	c := claims{
		"iss": p.url, "aud": clientID, "iat": time.Now().Unix(), "exp": time.Now().Add(2 * time.Minute).Unix(),
		"jti": rand.Text(), "events": claims{event: claims{}},
	}
	for i := 0; i < len(pairs); i += 2 {
		if c[pairs[i].(string)] = pairs[i+1]; pairs[i+1] == nil {
			delete(c, pairs[i].(string))
		}
	}
	return c
}

// A site is the application, on a server of its own.
type site struct {
	*app
	t   *testing.T
	url string
}

// newSite starts one. Sites with the same keys and engine are one fleet.
func newSite(t *testing.T, p *provider, keys *cookiesession.Keyring, engine revoke.Engine) *site {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	list, err := openList(t.Context(), engine, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { list.Close() })
	s := &site{t: t}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.handler().ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	s.url = server.URL
	if s.app, err = newApp(t.Context(), settings{p.url, clientID, "secret", server.URL}, keys, list, log); err != nil {
		t.Fatal(err)
	}
	return s
}

func newKeys(t *testing.T) *cookiesession.Keyring {
	t.Helper()
	keys, err := cookiesession.NewKeyring(cookiesession.GenerateKey("test"))
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// notify sends a logout token to the site, as the provider does, and returns the answer's status.
func (s *site) notify(token string) int {
	s.t.Helper()
	resp, err := http.PostForm(s.url+"/backchannel-logout", url.Values{"logout_token": {token}})
	if err != nil {
		s.t.Error(err)
		return 0
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Error(err)
	}
	want := ""
	if resp.StatusCode != http.StatusOK {
		want = `{"error":"invalid_request"}` + "\n"
	}
	if string(body) != want || resp.Header.Get("Cache-Control") != "no-store" || len(resp.Header["Set-Cookie"]) > 0 {
		s.t.Errorf("got %q with %v, want %q", body, resp.Header, want)
	}
	return resp.StatusCode
}

// A visitor is somebody's browser.
type visitor struct {
	t      *testing.T
	site   *site
	client *http.Client

	body     string // of the last answer
	location string
}

func newVisitor(t *testing.T, s *site) *visitor {
	return &visitor{t: t, site: s, client: &http.Client{Jar: cookiesessiontest.NewJar()}}
}

// got reads an answer and returns its status.
func (v *visitor) got(resp *http.Response, err error) int {
	v.t.Helper()
	if err != nil {
		v.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	v.body, v.location = string(body), resp.Header.Get("Location")
	return resp.StatusCode
}

// press opens the first page and sends its form.
func (v *visitor) press(action string) int {
	v.t.Helper()
	v.got(v.client.Get(v.site.url))
	_, rest, found := strings.Cut(v.body, `action="`+action+`"`)
	_, rest, found2 := strings.Cut(rest, `name="csrf_token" value="`)
	token, _, found3 := strings.Cut(rest, `"`)
	if !found || !found2 || !found3 {
		v.t.Fatalf("no form for %s: %s", action, v.body)
	}
	return v.got(v.client.PostForm(v.site.url+action, url.Values{"csrf_token": {token}}))
}

// logIn logs in as sub, in the provider's session sid.
func (v *visitor) logIn(p *provider, sub, sid string) *visitor {
	v.t.Helper()
	p.mu.Lock()
	p.sub, p.sid = sub, sid
	p.mu.Unlock()
	if status := v.press("/login"); status != http.StatusOK {
		v.t.Errorf("login: got %d %q", status, v.body)
	}
	return v
}

// want checks who is logged in; "" is nobody.
func (v *visitor) want(sub string) {
	v.t.Helper()
	status := v.got(v.client.Get(v.site.url))
	_, rest, _ := strings.Cut(v.body, "<strong>")
	if got, _, _ := strings.Cut(rest, "</strong>"); status != http.StatusOK || got != sub {
		v.t.Errorf("got %d, logged in as %q, want %q", status, got, sub)
	}
}
