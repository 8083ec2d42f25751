package main

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

const (
	maxAge    = 5 * time.Minute // of a logout token, from its iat
	clockSkew = time.Minute
)

// backChannel is called by the provider when sessions are to end (OpenID Connect Back-Channel Logout 1.0, 2.5 to 2.8).
func (a *app) backChannel(w http.ResponseWriter, r *http.Request) {
	token, err := a.verifyLogout(r.Context(), r.PostFormValue("logout_token"))
	if err == nil {
		err = a.endOnce(r.Context(), token)
	}
	if err != nil {
		a.log.Warn("back-channel logout refused", "error", err)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest) // whatever the reason, says 2.8
		w.Write([]byte(`{"error":"invalid_request"}` + "\n"))
	}
}

// verifyLogout returns the logout token if it is one of the provider's, for this application, and new. go-oidc checks
// signature and algorithm, iss, aud, exp, that there are events, a jti, and sub or sid, and that there is no nonce, which
// would make it an ID token. The rest is here.
func (a *app) verifyLogout(ctx context.Context, raw string) (*oidc.LogoutToken, error) {
	token, err := a.verifier.VerifyLogout(ctx, raw)
	if err != nil {
		return nil, err
	}
	var claims struct {
		Events map[string]map[string]any `json:"events"`
	}
	if err := token.Claims(&claims); err != nil {
		return nil, err
	}
	if claims.Events["http://schemas.openid.net/event/backchannel-logout"] == nil {
		return nil, errors.New("the event is no JSON object")
	}
	if age := time.Since(token.IssuedAt); age < -clockSkew || age > maxAge {
		return nil, errors.New("iat is too old or in the future")
	}
	return token, nil
}

// endOnce ends the sessions that a token names, unless it has done so already: a replay would end sessions that began
// since. Other servers don't know of it; if that matters, keep the IDs of tokens where all see them.
func (a *app) endOnce(ctx context.Context, token *oidc.LogoutToken) error {
	if !a.seen.add(token.TokenID) {
		return errors.New("token was used before")
	}
	ctx = context.WithoutCancel(ctx) // also if the provider doesn't wait
	err := errors.New("the token names no session of this application")
	switch {
	case a.sids && token.SessionID != "":
		err = a.list.End(ctx, string(providerSession), token.SessionID)
	case token.Subject != "":
		err = a.list.End(ctx, string(subject), token.Subject)
	}
	if err != nil {
		a.seen.remove(token.TokenID) // the provider may try again
	}
	return err
}
