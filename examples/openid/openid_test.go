package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/oauth2"
)

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler)) // the provider logs each request that it refuses
	os.Exit(m.Run())
}

func TestLogin(t *testing.T) {
	for _, mode := range []string{"query", "form_post"} {
		t.Run(mode, func(t *testing.T) {
			w, b := newWorld(t), newBrowser(t)
			answer := b.answerOf(w.base + "/login?return=/me&mode=" + mode)
			before := b.session(w).ID()
			resp, body := b.get(answer)
			if resp.StatusCode != http.StatusOK || resp.Request.URL.Path != "/me" || !strings.Contains(body, `"sub":"1906"`) {
				t.Errorf("got %d %s at %s", resp.StatusCode, body, resp.Request.URL)
			}
			s := b.session(w)
			if s.ID() == before || len(attempts.Get(s)) != 0 {
				t.Errorf("the session is the one before the login, or has %d attempts", len(attempts.Get(s)))
			}
			if resp, _ := b.get(answer); resp.StatusCode != http.StatusBadRequest {
				t.Errorf("the same answer once more: got %d", resp.StatusCode)
			}
		})
	}
}

// Tokens as large as those of large organisations fit, and so does the Cookie line into proxies with stock settings.
func TestSize(t *testing.T) {
	w, b := newWorld(t), newBrowser(t)
	b.login(w)
	s := b.session(w)
	got := tokensOf.Get(s)
	for what, size := range map[string][2]int{
		"ID token": {len(got.ID), 2048}, "access token": {len(got.Access), 2048}, "refresh token": {len(got.Refresh), 1024},
	} {
		if n, want := size[0], size[1]; n < want*95/100 || n > want*105/100 {
			t.Errorf("%s: got %d bytes, want about %d", what, n, want)
		}
	}
	base, err := url.Parse(w.base)
	if err != nil {
		t.Fatal(err)
	}
	line := len("Cookie: " + b.jar.Header(base) + "\r\n")
	t.Logf("Size %d, Cookie line %d bytes in %d cookies", s.Size(), line, len(b.jar.All()))
	if s.Size() > 8000 || line > 8182 {
		t.Errorf("got Size %d, Cookie line %d bytes", s.Size(), line)
	}
	if s.Size() <= 6144 {
		t.Errorf("got Size %d: then the default MaxSize is enough, and the example should say so", s.Size())
	}
}

func TestOnlyTheBrowserThatBeganALoginCanEndIt(t *testing.T) {
	w := newWorld(t)
	mallory, victim := newBrowser(t), newBrowser(t)
	answer, err := url.Parse(mallory.answerOf(w.base + "/login"))
	if err != nil {
		t.Fatal(err)
	}
	if resp, _ := victim.get(answer.String()); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("mallory's answer in another browser: got %d", resp.StatusCode)
	}
	if resp, _ := victim.get(w.base + "/callback"); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("no state at all: got %d", resp.StatusCode)
	}

	// mallory's code under the state of a login that the victim has begun: PKCE refuses it.
	own, err := url.Parse(victim.answerOf(w.base + "/login"))
	if err != nil {
		t.Fatal(err)
	}
	query := own.Query()
	query.Set("code", answer.Query().Get("code"))
	own.RawQuery = query.Encode()
	if resp, _ := victim.get(own.String()); resp.StatusCode != http.StatusBadGateway {
		t.Errorf("mallory's code: got %d", resp.StatusCode)
	}
	if got := userOf.Get(victim.session(w)); got != (user{}) {
		t.Errorf("the victim is logged in as %v", got)
	}
}

// An answer to another login isn't taken: one whose code was asked for with another verifier (PKCE), or whose ID token
// has another nonce.
func TestAnswerToAnotherLogin(t *testing.T) {
	for what, change := range map[string]func(*attempt){
		"verifier": func(a *attempt) { a.Verifier = oauth2.GenerateVerifier() },
		"nonce":    func(a *attempt) { a.Nonce = "another" },
	} {
		t.Run(what, func(t *testing.T) {
			w, b := newWorld(t), newBrowser(t)
			answer := b.answerOf(w.base + "/login")
			s := b.session(w)
			attempts.Update(s, func(begun map[string]attempt) map[string]attempt {
				for state, a := range begun {
					change(&a)
					begun[state] = a
				}
				return begun
			})
			h := make(http.Header)
			if err := w.sessions.Save(h, s); err != nil {
				t.Fatal(err)
			}
			base, err := url.Parse(w.base)
			if err != nil {
				t.Fatal(err)
			}
			b.jar.SetHeader(base, h)
			if resp, _ := b.get(answer); resp.StatusCode != http.StatusBadGateway {
				t.Errorf("got %d", resp.StatusCode)
			}
			if resp, _ := b.get(answer); resp.StatusCode != http.StatusBadRequest {
				t.Errorf("once more: got %d", resp.StatusCode)
			}
			if got := userOf.Get(b.session(w)); got != (user{}) {
				t.Errorf("logged in as %v", got)
			}
		})
	}
}

func TestSeveralTabsLogIn(t *testing.T) {
	w, b := newWorld(t), newBrowser(t)
	first := b.answerOf(w.base + "/login")
	var last string
	for range maxAttempts - 1 {
		last = b.answerOf(w.base + "/login")
	}
	if n := len(attempts.Get(b.session(w))); n != maxAttempts {
		t.Errorf("got %d attempts, want %d", n, maxAttempts)
	}
	if resp, _ := b.get(first); resp.StatusCode != http.StatusOK {
		t.Errorf("the first tab: got %d", resp.StatusCode)
	}
	if resp, page := b.get(last); resp.StatusCode != http.StatusBadRequest || !strings.Contains(page, "Hello, Grace Hopper") {
		t.Errorf("the last tab, when the first has logged in: got %d", resp.StatusCode)
	}

	w, b = newWorld(t), newBrowser(t)
	first = b.answerOf(w.base + "/login")
	for range maxAttempts {
		last = b.answerOf(w.base + "/login")
	}
	if resp, _ := b.get(first); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("the oldest of too many: got %d", resp.StatusCode)
	}
	w.late.Store(int64(attemptLife) + 1)
	if resp, _ := b.get(last); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("one that is too old: got %d", resp.StatusCode)
	}
}

func TestProviderRefuses(t *testing.T) {
	w, b := newWorld(t), newBrowser(t)
	answer, err := url.Parse(b.answerOf(w.base + "/login"))
	if err != nil {
		t.Fatal(err)
	}
	answer.RawQuery = url.Values{"error": {"access_denied"}, "error_description": {"<b>call 555 now"}, "state": {answer.Query().Get("state")}}.Encode()
	resp, page := b.get(answer.String())
	if resp.StatusCode != http.StatusForbidden || strings.Contains(page, "555") {
		t.Errorf("got %d %s", resp.StatusCode, page)
	}
}

func TestRefresh(t *testing.T) {
	w, b := newWorld(t), newBrowser(t)
	b.login(w)
	before := tokensOf.Get(b.session(w))
	b.get(w.base + "/me")
	if got := tokensOf.Get(b.session(w)); got != before || w.refreshed.Load() != 0 {
		t.Error("tokens were refreshed that had not expired")
	}
	w.late.Store(int64(time.Minute))
	if resp, body := b.get(w.base + "/me"); resp.StatusCode != http.StatusOK {
		t.Errorf("after a minute: got %d %s", resp.StatusCode, body)
	}
	after := tokensOf.Get(b.session(w))
	if after.Refresh == before.Refresh || after.Access == before.Access || after.ID == "" || w.refreshed.Load() != 1 {
		t.Errorf("after a minute the tokens are the old ones, or were refreshed %d times", w.refreshed.Load())
	}
}

// Tabs that come at the same time with a token that has expired, and one that comes a little later with the old
// cookies.
func TestTabsRefreshOnce(t *testing.T) {
	w, b := newWorld(t), newBrowser(t)
	b.login(w)
	w.late.Store(int64(time.Minute))
	old := b.jar.Clone()
	tab := func() {
		t.Helper()
		other := &browser{t, &http.Client{Jar: old.Clone()}, nil}
		resp, err := other.client.Get(w.base + "/me")
		if err != nil {
			t.Error(err)
			return
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("got %d", resp.StatusCode)
		}
		base, err := url.Parse(w.base)
		if err != nil {
			t.Error(err)
			return
		}
		b.jar.SetHeader(base, resp.Header)
	}
	var tabs sync.WaitGroup
	for range 5 {
		tabs.Go(tab)
	}
	tabs.Wait()
	tab()
	if got := w.refreshed.Load(); got != 1 {
		t.Errorf("the refresh token was used %d times, want once", got)
	}
	w.late.Store(int64(3 * time.Minute))
	if resp, body := b.get(w.base + "/me"); resp.StatusCode != http.StatusOK || w.refreshed.Load() != 2 {
		t.Errorf("when that has expired: got %d %s", resp.StatusCode, body)
	}
}

// A refusal may mean that another server has just used the refresh token: its response must stay in force.
func TestRefusedRefreshChangesNothing(t *testing.T) {
	w, b := newWorld(t), newBrowser(t)
	b.login(w)
	old := b.jar.Clone()
	w.late.Store(int64(time.Minute))
	b.get(w.base + "/me")
	w.refreshes = refreshes{} // another server doesn't know
	other := &browser{t, &http.Client{Jar: old}, old}
	resp, _ := other.get(w.base + "/me")
	if resp.StatusCode != http.StatusUnauthorized || resp.Header["Set-Cookie"] != nil {
		t.Errorf("got %d, %d Set-Cookie lines", resp.StatusCode, len(resp.Header["Set-Cookie"]))
	}
	if resp, _ := b.get(w.base + "/me"); resp.StatusCode != http.StatusOK {
		t.Errorf("the browser that has the new tokens: got %d", resp.StatusCode)
	}
}

func TestRefreshes(t *testing.T) {
	var rs refreshes
	failed := fmt.Errorf("no connection")
	calls := 0
	use := func(err error) func(context.Context) (tokens, error) {
		return func(ctx context.Context) (tokens, error) {
			calls++
			if _, ok := ctx.Deadline(); !ok {
				t.Error("a provider that hangs is waited for without bound")
			}
			return tokens{Access: fmt.Sprint(calls)}, err
		}
	}
	if _, err := rs.do(t.Context(), "a", use(failed)); err != failed {
		t.Errorf("got %v, want %v", err, failed)
	}
	for range 2 {
		if got, err := rs.do(t.Context(), "a", use(nil)); got.Access != "2" || err != nil {
			t.Errorf("after a failure, and again: got %v, %v", got, err)
		}
	}
	if got, err := rs.do(t.Context(), "b", use(nil)); got.Access != "3" || err != nil {
		t.Errorf("another token: got %v, %v", got, err)
	}

	gone, cancel := context.WithCancel(t.Context())
	cancel()
	proceed, done := make(chan struct{}), make(chan struct{})
	slow := func(ctx context.Context) (tokens, error) {
		defer close(done)
		<-proceed
		return tokens{Access: "slow"}, ctx.Err()
	}
	if _, err := rs.do(gone, "c", slow); err != context.Canceled {
		t.Errorf("a request that has ended: got %v", err)
	}
	close(proceed)
	if got, err := rs.do(t.Context(), "c", use(failed)); got.Access != "slow" || err != nil {
		t.Errorf("who waits for what that request began: got %v, %v", got, err)
	}
	<-done
}

func TestLogout(t *testing.T) {
	w, b := newWorld(t), newBrowser(t)
	page := b.login(w)
	if resp, _ := b.do("POST", w.base+"/logout", nil); resp.StatusCode != http.StatusForbidden {
		t.Errorf("without a token: got %d", resp.StatusCode)
	}
	old := b.jar.Clone()
	var visited []string
	b.client.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		visited = append(visited, r.URL.Path)
		return nil
	}
	resp, body := b.do("POST", w.base+"/logout", fields(page))
	if got := strings.Join(visited, " "); got != "/end_session /" || resp.StatusCode != http.StatusOK || !strings.Contains(body, "Log in") {
		t.Errorf("got %d at %s: %s", resp.StatusCode, got, body)
	}

	w.late.Store(int64(time.Minute))
	copied := &browser{t, &http.Client{Jar: old}, old}
	if resp, _ := copied.get(w.base + "/me"); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("a copy of the cookies, whose access token has expired: got %d", resp.StatusCode)
	}
	b.login(w)
}

func TestReturnStaysHere(t *testing.T) {
	for path, want := range map[string]string{
		"":                     "/",
		"/":                    "/",
		"/me?a=b#c":            "/me?a=b#c",
		"me":                   "/",
		"https://evil.example": "/",
		"//evil.example":       "/",
		"///evil.example":      "/",
		`/\evil.example`:       "/",
		"/\t/evil.example":     "/",
		"javascript:alert(1)":  "/",
		"/%zz":                 "/",
	} {
		if got := localPath(path); got != want {
			t.Errorf("%q: got %q, want %q", path, got, want)
		}
	}
}
