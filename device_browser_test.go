package cookiesession_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-50e21e88/cookiesession"
	"github.com/seed-50e21e88/cookiesession/cookiesessiontest"
)

// A deviceBrowser is one that binds sessions to its device, written from the specification of Device Bound Session Credentials
// and from what Chromium 150 was seen to do: it registers when it is invited, renews when a bound cookie is gone or about
// to be, signs at most six times in nine minutes, and gives a key up at a 4xx.
type deviceBrowser struct {
	t    testing.TB
	site http.Handler
	jar  *cookiesessiontest.Jar
	able bool // binds sessions
	busy bool // postpones what it was invited to, to bind

	bindings map[string]*boundSession // by identifier
	invited  []invited                // invitations that wait
	signed   []time.Time
	did      []string // at the endpoint: "register 200", "refresh 403"
}

// An invited is an invitation. If another site started the request that brought it, the registration goes without the
// cookies, which are SameSite=Lax, though those of its answer are stored.
type invited struct {
	field     string
	elsewhere bool
}

// A boundSession is what a browser keeps of a registration.
type boundSession struct {
	identifier string
	refreshURL string
	cookie     string
	initiators []string
	key        *ecdsa.PrivateKey
	challenge  string
}

func newDeviceBrowser(t testing.TB, site http.Handler) *deviceBrowser {
	return &deviceBrowser{t: t, site: site, jar: cookiesessiontest.NewJar(), able: true, bindings: map[string]*boundSession{}}
}

// clone returns the same browser on the same device.
func (b *deviceBrowser) clone() *deviceBrowser {
	c := *b
	c.jar, c.bindings, c.signed, c.invited = b.jar.Clone(), maps.Clone(b.bindings), slices.Clone(b.signed), slices.Clone(b.invited)
	return &c
}

// thief returns another browser with the same cookies, which it keeps whatever Max-Age says.
func (b *deviceBrowser) thief() *deviceBrowser {
	c := newDeviceBrowser(b.t, b.site)
	for _, stolen := range b.jar.All() {
		c.set(stolen.Name, stolen.Value)
	}
	return c
}

// Who starts a request, as Sec-Fetch-Site tells.
const (
	typed      = "none"
	ownPage    = "same-origin"
	otherHost  = "same-site"
	otherSite  = "cross-site"
	renewAhead = 2 * time.Minute
)

// A page is what a browser got.
type page struct {
	*httptest.ResponseRecorder
	again bool // it was sent again by the page in the application's place
}

// visit follows a link, or whatever else navigates.
func (b *deviceBrowser) visit(path, from string) page {
	b.t.Helper()
	r := httptest.NewRequest(http.MethodGet, "https://shop.example"+path, nil)
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Dest", "document")
	return b.send(r, from)
}

// send sends a request, unless its bound cookies need renewal first.
func (b *deviceBrowser) send(r *http.Request, from string) page {
	b.t.Helper()
	r.Header.Set("Sec-Fetch-Site", from)
	var skipped []string
	for _, identifier := range slices.Sorted(maps.Keys(b.bindings)) {
		s := b.bindings[identifier]
		left, there := b.left(s.cookie)
		if there && left >= renewAhead {
			continue
		}
		if from != ownPage && from != typed && !(from == otherHost && len(s.initiators) > 0) {
			continue // only this host's pages, and those that were named, have it renew
		}
		if why := b.refresh(s); why != "" && !there {
			skipped = append(skipped, why+`;session_identifier="`+identifier+`"`)
		}
	}
	if skipped != nil {
		r.Header.Set("Secure-Session-Skipped", strings.Join(skipped, ", "))
	}
	p := page{ResponseRecorder: b.exchange(r, from == otherSite && r.Method != http.MethodGet)}
	if p.Code == http.StatusOK && onceMore.MatchString(p.Body.String()) {
		b.checkPolicy(p)
		again := b.visit(r.URL.Path, ownPage)
		again.again = true
		return again
	}
	return p
}

var onceMore = regexp.MustCompile(`<script>(.*location\.replace.*)</script>`)

// checkPolicy sees that the page's script may run.
func (b *deviceBrowser) checkPolicy(p page) {
	b.t.Helper()
	hash := sha256.Sum256([]byte(onceMore.FindStringSubmatch(p.Body.String())[1]))
	want := "script-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) + "'"
	if got := p.Header().Values("Content-Security-Policy"); len(got) != 1 || !strings.Contains(got[0], want) {
		b.t.Errorf("got Content-Security-Policy %q, want %q in it", got, want)
	}
	for name, want := range map[string]string{
		"Cache-Control": "no-store",
		"Content-Type":  "text/html; charset=utf-8",
		"Refresh":       "1", // where scripts are off
	} {
		if got := p.Header().Get(name); got != want {
			b.t.Errorf("the page in the application's place: got %s %q, want %q", name, got, want)
		}
	}
}

// exchange sends a request with its cookies and takes the response in.
func (b *deviceBrowser) exchange(r *http.Request, withoutCookies bool) *httptest.ResponseRecorder {
	b.t.Helper()
	if header := b.jar.Header(site); header != "" && !withoutCookies {
		r.Header.Set("Cookie", header)
	}
	rec := httptest.NewRecorder()
	b.site.ServeHTTP(rec, r)
	checkLines(b.t, rec.Result().Header["Set-Cookie"])
	b.jar.SetHeader(site, rec.Result().Header)
	if b.able {
		for _, field := range rec.Result().Header["Secure-Session-Challenge"] {
			if m := challengeField.FindStringSubmatch(field); m != nil && b.bindings[m[2]] != nil {
				b.bindings[m[2]].challenge = m[1]
			}
		}
		for _, field := range rec.Result().Header["Secure-Session-Registration"] {
			b.invited = append(b.invited, invited{field, r.Header.Get("Sec-Fetch-Site") == otherSite})
		}
		if !b.busy {
			b.register()
		}
	}
	return rec
}

var (
	invitation     = regexp.MustCompile(`^\(ES256\);path="([^"]+)";challenge="([^"]+)"$`)
	challengeField = regexp.MustCompile(`^"([^"]+)";id="([^"]+)"$`)
)

// register does what the browser was invited to.
func (b *deviceBrowser) register() {
	b.t.Helper()
	waiting := b.invited
	b.invited = nil
	for _, in := range waiting {
		m := invitation.FindStringSubmatch(in.field)
		if m == nil {
			b.t.Fatalf("got invitation %q", in.field)
		}
		if !b.maySign() {
			continue
		}
		key := newDeviceKey(b.t)
		rec := b.exchange(asking(m[1], "", sign(b.t, key, m[2], true)), in.elsewhere)
		b.did = append(b.did, fmt.Sprint("register ", rec.Code))
		if s := b.instructions(rec, key); s != nil {
			b.bindings[s.identifier] = s
			b.takeChallenge(rec, s)
		}
	}
}

// refresh renews the proof of s. It returns the word by which a browser says that it couldn't.
func (b *deviceBrowser) refresh(s *boundSession) (why string) {
	b.t.Helper()
	for range 5 {
		proof := ""
		if s.challenge != "" {
			if !b.maySign() {
				return "quota_exceeded"
			}
			proof = sign(b.t, s.key, s.challenge, false)
		}
		rec := b.ask(s.refreshURL, s.identifier, proof)
		b.did = append(b.did, fmt.Sprint("refresh ", rec.Code))
		switch {
		case rec.Code == http.StatusForbidden && b.takeChallenge(rec, s):
			continue
		case rec.Code >= 500:
			return "server_error"
		case rec.Code == http.StatusOK:
			if next := b.instructions(rec, s.key); next != nil {
				b.bindings[s.identifier] = next
				b.takeChallenge(rec, next)
				return ""
			}
		}
		break
	}
	delete(b.bindings, s.identifier)
	return ""
}

// ask sends a request to the endpoint.
func (b *deviceBrowser) ask(path, identifier, proof string) *httptest.ResponseRecorder {
	b.t.Helper()
	return b.exchange(asking(path, identifier, proof), false)
}

// asking returns a request to the endpoint, with neither Origin nor Sec-Fetch headers.
func asking(path, identifier, proof string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "https://shop.example"+path, nil)
	if identifier != "" {
		r.Header.Set("Sec-Secure-Session-Id", identifier)
	}
	if proof != "" {
		r.Header.Set("Secure-Session-Response", proof)
	}
	return r
}

// askWith sends a request to the endpoint with a header of its own.
func (b *deviceBrowser) askWith(set func(h http.Header)) *recorder {
	b.t.Helper()
	r := httptest.NewRequest(http.MethodPost, "https://shop.example"+devicePath, nil)
	set(r.Header)
	return b.exchange(r, false)
}

// withCookie adds a cookie to each request, behind the others.
func withCookie(next http.Handler, cookie string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Set("Cookie", r.Header.Get("Cookie")+"; "+cookie)
		next.ServeHTTP(w, r)
	})
}

// maySign notes a signature, if there may be one.
func (b *deviceBrowser) maySign() bool {
	now := time.Now()
	b.signed = slices.DeleteFunc(b.signed, func(at time.Time) bool { return now.Sub(at) >= 9*time.Minute })
	if len(b.signed) == 6 {
		return false
	}
	b.signed = append(b.signed, now)
	return true
}

// instructions reads what a browser is told. It returns nil if that isn't to go on.
func (b *deviceBrowser) instructions(rec *httptest.ResponseRecorder, key *ecdsa.PrivateKey) *boundSession {
	b.t.Helper()
	if rec.Code != http.StatusOK {
		return nil
	}
	var told struct {
		Identifier  string `json:"session_identifier"`
		Continue    *bool
		RefreshURL  string                       `json:"refresh_url"`
		Scope       *struct{ IncludeSite *bool } `json:"scope"`
		Credentials []struct{ Type, Name, Attributes string }
		Initiators  []string `json:"allowed_refresh_initiators"`
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &told); err != nil {
		b.t.Fatalf("instructions %q: %v", rec.Body, err)
	}
	if told.Continue != nil && !*told.Continue {
		return nil
	}
	if told.Identifier == "" || told.RefreshURL == "" || told.Scope == nil || len(told.Credentials) != 1 || told.Credentials[0].Type != "cookie" {
		b.t.Fatalf("instructions lack something: %s", rec.Body)
	}
	credential := told.Credentials[0]
	set := false
	for _, line := range rec.Result().Header["Set-Cookie"] {
		if name, rest, _ := strings.Cut(line, "="); name == credential.Name {
			_, attributes, _ := strings.Cut(rest, "; ")
			set = slices.Equal(sortedAttributes(attributes), sortedAttributes(credential.Attributes))
		}
	}
	if !set {
		b.t.Fatalf("no cookie is set that is the credential %+v: %q", credential, rec.Result().Header["Set-Cookie"])
	}
	return &boundSession{identifier: told.Identifier, refreshURL: told.RefreshURL, cookie: credential.Name, initiators: told.Initiators, key: key}
}

// sortedAttributes returns a cookie's attributes but for its life.
func sortedAttributes(text string) []string {
	all := strings.Split(text, "; ")
	slices.Sort(all)
	return slices.DeleteFunc(all, func(a string) bool { return strings.HasPrefix(a, "Max-Age=") })
}

func (b *deviceBrowser) takeChallenge(rec *httptest.ResponseRecorder, s *boundSession) bool {
	m := challengeField.FindStringSubmatch(rec.Result().Header.Get("Secure-Session-Challenge"))
	if m == nil || m[2] != s.identifier {
		return false
	}
	s.challenge = m[1]
	return true
}

// left returns how long a cookie will stay.
func (b *deviceBrowser) left(name string) (time.Duration, bool) {
	for _, c := range b.jar.All() {
		if c.Name == name {
			return time.Until(c.Expires), true
		}
	}
	return 0, false
}

// names returns the names in the jar, without the session cookie's name and tags, sorted.
func (b *deviceBrowser) names() string {
	var names []string
	for _, c := range b.jar.All() {
		kind, _, _ := strings.Cut(strings.TrimPrefix(c.Name, cookieName+"."), ".")
		names = append(names, "[."+strings.TrimPrefix(kind, cookieName)+"]")
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// cookie returns a cookie in the jar, as it may be set again.
func (b *deviceBrowser) cookie(name string) *http.Cookie {
	b.t.Helper()
	for _, c := range b.jar.All() {
		if c.Name == name {
			return &http.Cookie{Name: c.Name, Value: c.Value, Path: "/", Secure: true}
		}
	}
	b.t.Fatalf("no cookie %s among %s", name, b.names())
	return nil
}

// set puts a cookie into the jar.
func (b *deviceBrowser) set(name, value string) {
	b.jar.SetCookies(site, []*http.Cookie{{Name: name, Value: value, Path: "/", Secure: true}})
}

// remove takes a cookie out of the jar.
func (b *deviceBrowser) remove(name string) {
	b.jar.SetCookies(site, []*http.Cookie{{Name: name, Path: "/", Secure: true, MaxAge: -1}})
}

// drop removes the cookies whose names have a part in them.
func (b *deviceBrowser) drop(part string) {
	for _, c := range b.jar.All() {
		if strings.Contains(c.Name, part) {
			b.remove(c.Name)
		}
	}
}

// sign returns a proof.
func sign(t testing.TB, key *ecdsa.PrivateKey, challenge string, registers bool) string {
	t.Helper()
	header := `{"alg":"ES256","typ":"dbsc+jwt"}`
	if registers {
		header = `{"alg":"ES256","jwk":` + jwkOf(t, key) + `,"typ":"dbsc+jwt"}`
	}
	payload, err := json.Marshal(map[string]string{"jti": challenge})
	if err != nil {
		t.Fatal(err)
	}
	signed := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString(payload)
	hash := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, key, hash[:])
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
}

func newDeviceKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func jwkOf(t testing.TB, key *ecdsa.PrivateKey) string {
	t.Helper()
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	return fmt.Sprintf(`{"crv":"P-256","kty":"EC","x":"%s","y":"%s"}`, encode(point[1:33]), encode(point[33:]))
}

// A shop is the application that browsers visit. Its pages say who is logged in.
type shop struct {
	http.Handler
	m *cookiesession.Manager
}

// deviceProof is the shortest.
const deviceProof = 10 * time.Minute

// newShop returns one whose sessions are bound to devices.
func newShop(t testing.TB, change func(*cookiesession.Config)) shop {
	t.Helper()
	m := newManager(t, func(c *cookiesession.Config) {
		c.DeviceProof = deviceProof
		if change != nil {
			change(c)
		}
	})
	actions := map[string]func(*cookiesession.Session){
		"/":               nothing,
		"/login":          login,
		"/mallory":        func(s *cookiesession.Session) { s.Put("user", "mallory"); s.Regenerate() },
		"/change":         func(s *cookiesession.Session) { s.Increment("n", 1) },
		"/regenerate":     func(s *cookiesession.Session) { s.Regenerate() },
		"/remember":       func(s *cookiesession.Session) { s.Remember(30 * day) },
		"/persist":        func(s *cookiesession.Session) { s.Persist(true) },
		"/extend":         func(s *cookiesession.Session) { s.ExpireIn(48 * time.Hour) },
		"/login-for-long": func(s *cookiesession.Session) { login(s); s.Remember(400 * day) },
		"/logout":         destroy,
		"/start-anew":     func(s *cookiesession.Session) { s.Destroy(); s.Put("user", "bob") },
		"/log-in-anew": func(s *cookiesession.Session) {
			s.Destroy()
			login(s)
		},
	}
	return shop{m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := m.Get(r)
		action, ok := actions[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		before := whoIs(s)
		action(s)
		fmt.Fprint(w, before)
	})), m}
}

// whoIs returns who is logged in, as the request came.
func whoIs(s *cookiesession.Session) string {
	switch {
	case s.Rejected() != nil:
		return s.Rejected().Reason.String()
	case s.IsNew():
		return "new"
	case s.DeviceProven():
		return fmt.Sprint(s.Get("user"), " proven")
	}
	return fmt.Sprint(s.Get("user"))
}

// wantNobody checks that a page isn't for the user whose cookies were stolen.
func (b *deviceBrowser) wantNobody(p page) {
	b.t.Helper()
	if got := p.Body.String(); p.Code != http.StatusOK || strings.HasPrefix(got, "ada") {
		b.t.Errorf("got status %d, a page for %s; the browser did %q and has %s", p.Code, got, b.did, b.names())
	}
}

// want checks what a page says.
func (b *deviceBrowser) want(p page, want string) {
	b.t.Helper()
	got := p.Body.String()
	if p.Code != http.StatusOK {
		got = fmt.Sprint(p.Code)
	}
	if got != want {
		b.t.Errorf("got a page for %s, want %s; the browser did %q and has %s", got, want, b.did, b.names())
	}
}

// TestDeviceLife walks from login to logout as a browser that binds sessions does.
func TestDeviceLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := newShop(t, nil)
		b := newDeviceBrowser(t, shop)
		b.busy = true
		b.want(b.visit("/login", typed), "new")
		if got, want := b.names(), "[.] [.device]"; got != want {
			t.Fatalf("after login: got cookies %s, want %s", got, want)
		}
		b.want(b.visit("/", ownPage), "ada")
		b.busy = false
		b.register()
		if got, want := b.names(), "[.] [.device] [.proof]"; got != want {
			t.Fatalf("after registration: got cookies %s, want %s", got, want)
		}
		b.want(b.visit("/", ownPage), "ada proven")

		time.Sleep(8*time.Minute + time.Second) // under two minutes are left
		b.want(b.visit("/change", ownPage), "ada proven")
		if got, want := strings.Join(b.did, ", "), "register 200, refresh 200"; got != want {
			t.Errorf("the browser did %s, want %s", got, want)
		}
		time.Sleep(time.Hour) // the proof is gone
		b.want(b.visit("/", typed), "ada proven")
		time.Sleep(time.Hour)
		p := b.visit("/", otherSite)
		if b.want(p, "ada proven"); !p.again {
			t.Error("a link from another site: the browser renewed, though it was another site's request")
		}
		thief := b.thief()
		thief.want(thief.visit("/", typed), "ada proven")
		time.Sleep(11 * time.Minute)
		thief.want(thief.visit("/", typed), "unproven")
		b.want(b.visit("/logout", ownPage), "ada proven")
		b.want(b.visit("/", ownPage), "new")
		if got, want := b.names(), "[.ended]"; got != want {
			t.Errorf("after logout: got cookies %s, want %s", got, want)
		}
		if len(b.bindings) != 0 {
			t.Errorf("after logout: the browser keeps %d bindings, want none", len(b.bindings))
		}
		want := cookiesession.DeviceStats{Offered: 1, Registered: 1, Refreshed: 4, Ended: 1, Retried: 2}
		if got := shop.m.Stats().Device; got != want {
			t.Errorf("got Stats.Device %+v, want %+v", got, want)
		}
	})
}

// TestDeviceLoginFromElsewhere is the visitor whose login another site's request completes: an identity provider's redirect
// or form, or a link in a mail. The browser withholds the cookies from the registration, too, so that the server can't know
// how long the session lasts.
func TestDeviceLoginFromElsewhere(t *testing.T) {
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		for path, lasts := range map[string]time.Duration{"/login": day, "/login-for-long": 400 * day} {
			t.Run(method+" "+path, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := newDeviceBrowser(t, newShop(t, nil))
					r := httptest.NewRequest(method, "https://shop.example"+path, nil)
					r.Header.Set("Sec-Fetch-Mode", "navigate")
					r.Header.Set("Sec-Fetch-Dest", "document")
					b.want(b.send(r, otherSite), "new")
					b.want(b.visit("/", otherSite), "ada proven") // where the login leads
					if lasts > day {
						b.jar.Restart()
					}
					time.Sleep(lasts - time.Minute)
					b.want(b.visit("/", typed), "ada proven")
					thief := b.thief()
					b.want(b.visit("/regenerate", otherSite), "ada proven")
					time.Sleep(deviceProof + time.Minute)
					b.want(b.visit("/", otherSite), "ada proven")
					thief.wantNobody(thief.visit("/", typed))
					b.want(b.visit("/logout", ownPage), "ada proven")
					if got, want := b.names(), "[.ended]"; got != want {
						t.Errorf("after logout: got cookies %s, want %s", got, want)
					}
				})
			})
		}
	}
}

// TestDeviceCookiesOfManyLogins is the visitor whom another site's form logs in each time the browser is started, so that
// no login sees the device cookies that earlier ones have left. They must not pile up until the latest isn't read.
func TestDeviceCookiesOfManyLogins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newDeviceBrowser(t, newShop(t, nil))
		for i := range 40 {
			r := httptest.NewRequest(http.MethodPost, "https://shop.example/login", nil)
			r.Header.Set("Sec-Fetch-Mode", "navigate")
			r.Header.Set("Sec-Fetch-Dest", "document")
			b.want(b.send(r, otherSite), "new")
			b.want(b.visit("/", otherSite), "ada proven")
			want := i + 1
			if i >= 5 {
				want = 2 + (i-5)%4 // of 6 a page deletes the 4 that are the oldest
			}
			if got := strings.Count(b.names(), ".device"); got != want {
				t.Fatalf("after %d logins: got %d device cookies, want %d", i+1, got, want)
			}
			time.Sleep(day)
			b.jar.Restart()
		}
	})
}

// TestDeviceUnable is the visitor whose browser can't bind sessions, or may not: nothing changes.
func TestDeviceUnable(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(b *deviceBrowser)
	}{
		{"no such feature", func(b *deviceBrowser) { b.able = false }},
		{"quota used up at login", func(b *deviceBrowser) {
			for range 6 {
				b.maySign()
			}
		}},
		{"registration comes too late", func(b *deviceBrowser) {
			b.busy = true
			b.visit("/login", typed)
			time.Sleep(5*time.Minute + time.Second)
			b.busy = false
			b.register()
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newDeviceBrowser(t, newShop(t, nil))
				c.spoil(b)
				if len(b.did) == 0 {
					b.visit("/login", typed)
				}
				for _, from := range []string{typed, ownPage, otherSite, otherHost} {
					time.Sleep(time.Hour)
					b.want(b.visit("/", from), "ada")
				}
				b.want(b.visit("/change", ownPage), "ada")
				b.able = false // or another invitation might go well
				b.want(b.visit("/regenerate", ownPage), "ada")
				b.want(b.visit("/extend", ownPage), "ada")
				time.Sleep(47 * time.Hour)
				b.want(b.visit("/", ownPage), "ada")
			})
		})
	}
}

// TestDeviceKeepsUp has the device cookie follow the session: Remember, Persist and a longer life, a restart of the browser, and a
// new ID.
func TestDeviceKeepsUp(t *testing.T) {
	for _, able := range []bool{true, false} {
		for _, action := range []string{"/remember", "/persist", "/extend"} {
			t.Run(fmt.Sprintf("%s, able %v", action, able), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					want := "ada"
					if able {
						want = "ada proven"
					}
					b := newDeviceBrowser(t, newShop(t, nil))
					b.able = able
					b.visit("/login", typed)
					b.want(b.visit(action, ownPage), want)
					b.want(b.visit("/regenerate", ownPage), want)
					b.want(b.visit(action, ownPage), want)
					if action != "/extend" {
						b.jar.Restart()
					}
					time.Sleep(23 * time.Hour)
					b.want(b.visit("/", typed), want)
				})
			})
		}
	}
}

// TestDeviceRotation rotates the ring's keys under sessions that are in use. A device cookie lives as long as its session, also where
// that has been sealed anew with a newer key.
func TestDeviceRotation(t *testing.T) {
	for _, able := range []bool{true, false} {
		t.Run(fmt.Sprintf("able %v", able), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				keys := newRing(t, playKey(0))
				b := newDeviceBrowser(t, newShop(t, withKeys(keys)))
				b.able = able
				b.visit("/login", typed)
				want := "ada"
				if able {
					want = "ada proven"
				}
				for i := range 5 {
					if err := keys.Replace(playKey(i+1), playKey(i)); err != nil {
						t.Fatal(err)
					}
					time.Sleep(9 * time.Minute)
					b.want(b.visit("/change", ownPage), want)
				}
			})
		})
	}
}

// TestDeviceServers has two servers, one of which lacks the newest key: it says "try later", never "give up".
func TestDeviceServers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old := newRing(t, playKey(0))
		behind, ahead := newShop(t, withKeys(old)), newShop(t, withKeys(newRing(t, playKey(1), playKey(0))))
		b := newDeviceBrowser(t, behind)
		b.busy = true
		b.visit("/login", typed) // sealed with the old key
		b.site, b.busy = ahead, false
		b.register() // with the new one
		b.want(b.visit("/", ownPage), "ada proven")
		b.site = behind
		b.want(b.visit("/", ownPage), "unproven")
		time.Sleep(deviceProof + time.Second)
		if p := b.visit("/", ownPage); p.Code != http.StatusOK || p.Body.String() != "unproven" {
			t.Errorf("got status %d, %s, want an anonymous page", p.Code, p.Body)
		}
		if got := b.did[len(b.did)-1]; got != "refresh 503" {
			t.Errorf("the browser did %q, want a refresh that failed for now", b.did)
		}
		if err := old.Replace(playKey(0), playKey(1)); err != nil {
			t.Fatal(err)
		}
		b.want(b.visit("/", ownPage), "ada proven")
	})
}

// TestDeviceSwitch switches DeviceProof on, off and on again: nobody is logged out but whose browser holds a key that
// could not be renewed meanwhile, and who can renew it.
func TestDeviceSwitch(t *testing.T) {
	for _, able := range []bool{true, false} {
		for _, meanwhile := range []string{"/", "/change", "/regenerate", "/remember"} {
			t.Run(fmt.Sprintf("able %v, %s", able, meanwhile), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					keys := newRing(t)
					on := newShop(t, withKeys(keys))
					off := newShop(t, func(c *cookiesession.Config) { c.Keys, c.DeviceProof = keys, 0 })
					b := newDeviceBrowser(t, off)
					b.able = able
					b.visit("/login", typed)
					if got := b.names(); got != "[.]" {
						t.Fatalf("off: login sets %s, want the session only", got)
					}
					b.site = on
					b.want(b.visit("/", ownPage), "ada")
					b.want(b.visit("/change", ownPage), "ada") // as it was, till it logs in
					if got := b.names(); got != "[.]" {
						t.Fatalf("on: got cookies %s of a session from before, want it only", got)
					}
					proven := "ada"
					if able {
						proven = "ada proven"
					}
					b.visit("/login", ownPage)
					b.want(b.visit("/", ownPage), proven)

					b.site = off
					if able {
						time.Sleep(deviceProof + time.Second)
					}
					for range 2 {
						b.want(b.visit(meanwhile, ownPage), "ada")
						if b.invited != nil {
							t.Error("off: got an invitation")
						}
					}
					b.drop(".proof.") // long gone
					if able && !slices.Contains(b.did, "refresh 503") {
						t.Errorf("off: the browser did %q, want a refresh to be tried later", b.did)
					}
					b.site = on
					b.want(b.visit("/", ownPage), proven)
				})
			})
		}
	}
}
