package cookiesession_test

import (
	"crypto/ecdsa"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-50e21e88/cookiesession"
	"github.com/seed-50e21e88/cookiesession/cookiesessiontest"
)

// What follows plays every order in which the requests of one browser that binds sessions can be sent and their responses
// arrive. A registration is sent when its invitation arrives, as browsers do, and answered at any time after that. At the
// end the browser looks around, with what it has and with its proofs expired.

// A deviceMove is what one request does.
type deviceMove struct {
	name   string
	do     func(s *cookiesession.Session, n int)
	login  bool
	ends   bool
	writes bool
}

const (
	playLogin = cookiesession.Field[int]("login") // the request that logged in
	playWrite = cookiesession.Field[int]("write") // the request that wrote last
)

var (
	deviceLogin = &deviceMove{name: "login", login: true, writes: true, do: func(s *cookiesession.Session, n int) {
		playLogin.Put(s, n)
		playWrite.Put(s, n)
		s.Regenerate()
	}}
	deviceMoves = []*deviceMove{
		deviceLogin,
		{name: "log in anew", login: true, ends: true, writes: true, do: func(s *cookiesession.Session, n int) {
			s.Destroy()
			deviceLogin.do(s, n)
		}},
		{name: "write", writes: true, do: func(s *cookiesession.Session, n int) { playWrite.Put(s, n) }},
		{name: "regenerate", writes: true, do: func(s *cookiesession.Session, n int) {
			if !s.IsNew() {
				playWrite.Put(s, n)
				s.Regenerate()
			}
		}},
		{name: "remember", writes: true, do: func(s *cookiesession.Session, n int) {
			if !s.IsNew() {
				playWrite.Put(s, n)
				s.Remember(day)
			}
		}},
		{name: "logout", ends: true, writes: true, do: func(s *cookiesession.Session, _ int) { s.Destroy() }},
		{name: "read", do: func(*cookiesession.Session, int) {}},
		{name: "refresh"}, // the browser's
	}
)

// A deviceWorld is what all plays of one enumeration have in common.
type deviceWorld struct {
	t       testing.TB
	m       *cookiesession.Manager
	h       http.Handler
	now     time.Time
	current *deviceRequest // that h answers
	weaken  func(w *deviceWorld, p *devicePlay, r *deviceRequest)
	shared  bool // a weakness: device cookies of all origins have one name
	keys    []*ecdsa.PrivateKey

	plays, requests int
	outcomes        map[string]int
	found           string
}

// A deviceRequest is one of a play. What is known of it never changes once it has been answered.
type deviceRequest struct {
	*deviceMove
	n        int
	key      *ecdsa.PrivateKey // of a registration or renewal
	binding  string            // that a renewal is for
	header   string            // Cookie
	fields   http.Header       // and what else it sends
	path     string
	code     int
	set      []*http.Cookie
	response http.Header
	body     string

	saw     int // playWrite
	user    int // playLogin
	refused string
	wrote   bool
	left    string // the ID that its response leaves, if wrote
	family  string // the origin that it saw
}

// A devicePlay is a browser up to some event.
type devicePlay struct {
	jar      *cookiesessiontest.Jar
	bindings []playBinding
	sent     []*deviceRequest
	waiting  []*deviceRequest
	script   string

	wrote *deviceRequest // whose response was the last to write the session
	ended []string       // families that were logged out
}

type playBinding struct {
	identifier, challenge string
	key                   *ecdsa.PrivateKey
	old                   bool // it was there when the play began
}

func newDeviceWorld(t testing.TB) *deviceWorld {
	w := &deviceWorld{t: t, now: time.Now(), outcomes: map[string]int{}}
	w.m = newManager(t, func(c *cookiesession.Config) { c.DeviceProof = deviceProof })
	w.m.SetClock(func() time.Time { return w.now })
	for range 12 {
		w.keys = append(w.keys, newDeviceKey(t))
	}
	w.h = w.m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, hr *http.Request) {
		r, s := w.current, w.m.Get(hr)
		if s.Rejected() != nil {
			r.refused = s.Rejected().Reason.String()
		}
		if !s.IsNew() {
			r.saw, r.user, r.family = playWrite.Get(s), playLogin.Get(s), s.ID()[:16]
		}
		r.do(s, r.n)
		if r.wrote = r.writes && s.Changed(); r.wrote {
			r.left = s.ID()
		}
	}))
	return w
}

// answer has the server answer r.
func (w *deviceWorld) answer(p *devicePlay, r *deviceRequest) {
	w.requests++
	method := http.MethodGet
	if r.path != "/" {
		method = http.MethodPost
	}
	hr := httptest.NewRequest(method, "https://shop.example"+r.path, nil)
	for name, values := range r.fields {
		hr.Header[name] = values
	}
	r.header = p.jar.Header(site)
	if r.header != "" {
		hr.Header.Set("Cookie", r.header)
	}
	rec := httptest.NewRecorder()
	w.current = r
	w.h.ServeHTTP(rec, hr)
	result := rec.Result()
	r.code, r.set, r.response, r.body = rec.Code, result.Cookies(), result.Header, rec.Body.String()
	if w.weaken != nil {
		w.weaken(w, p, r)
	}
}

// send returns p after one more request.
func (w *deviceWorld) send(p devicePlay, r *deviceRequest) devicePlay {
	p.script += fmt.Sprintf("\n\t%d %s is sent", r.n, r.name)
	w.answer(&p, r)
	p.waiting = append(slices.Clip(p.waiting), r)
	return p
}

// request returns the request that a move makes, or nil if it can't.
func (p *devicePlay) request(w *deviceWorld, m *deviceMove) *deviceRequest {
	r := &deviceRequest{deviceMove: m, n: len(p.sent) + 1, path: "/"}
	if m.name == "refresh" {
		if len(p.bindings) == 0 || !p.bindings[0].old {
			return nil // browsers renew what is about to expire: no binding that is seconds old
		}
		b := p.bindings[0]
		r.path, r.key, r.binding = devicePath, b.key, b.identifier
		r.fields = http.Header{"Sec-Secure-Session-Id": {b.identifier}, "Secure-Session-Response": {sign(w.t, b.key, b.challenge, false)}}
	}
	return r
}

// arrive returns p after a response has arrived, and a registration has been sent if it invites to one.
func (w *deviceWorld) arrive(p devicePlay, i int) devicePlay {
	r := p.waiting[i]
	p.waiting = slices.Concat(p.waiting[:i:i], p.waiting[i+1:])
	p.script += fmt.Sprintf("\n\t%d %s is answered", r.n, r.name)
	if len(r.set) > 0 {
		p.jar = p.jar.Clone()
		if w.shared {
			w.overwrite(&p, r.set)
		}
		p.jar.SetCookies(site, r.set)
	}
	if r.wrote {
		p.wrote = r
	}
	if r.ends && r.family != "" {
		p.ended = append(slices.Clip(p.ended), r.family)
	}
	if r.path != "/" {
		wasOld := len(p.bindings) > 0 && p.bindings[0].old && p.bindings[0].identifier == r.binding
		p.bindings = slices.DeleteFunc(slices.Clone(p.bindings), func(b playBinding) bool {
			return r.binding == b.identifier && r.code == http.StatusOK || strings.Contains(r.body, `"`+b.identifier+`"`) && strings.Contains(r.body, "refresh_url")
		})
		if m := challengeField.FindStringSubmatch(r.response.Get("Secure-Session-Challenge")); m != nil && strings.Contains(r.body, "refresh_url") {
			p.bindings = append(p.bindings, playBinding{m[2], m[1], r.key, r.n == earlier || wasOld})
		}
	}
	for _, field := range r.response["Secure-Session-Registration"] {
		key := w.keys[r.n]
		p = w.send(p, &deviceRequest{
			deviceMove: &deviceMove{name: "registration"}, n: r.n, key: key, path: devicePath,
			fields: http.Header{"Secure-Session-Response": {sign(w.t, key, invitation.FindStringSubmatch(field)[2], true)}},
		})
	}
	return p
}

// overwrite removes the device cookies that would be overwritten if all origins' had one name.
func (w *deviceWorld) overwrite(p *devicePlay, set []*http.Cookie) {
	for _, c := range set {
		for _, kind := range []string{".device.", ".proof."} {
			if strings.Contains(c.Name, kind) {
				for _, old := range p.jar.All() {
					if strings.Contains(old.Name, kind) {
						p.jar.SetCookies(site, []*http.Cookie{{Name: old.Name, Path: "/", Secure: true, MaxAge: -1}})
					}
				}
			}
		}
	}
}

// carryOn plays every order from p to k requests and all their responses.
func (w *deviceWorld) carryOn(p devicePlay, k int) {
	if w.found != "" {
		return
	}
	if len(p.sent) == k && len(p.waiting) == 0 {
		w.plays++
		w.judge(p)
		return
	}
	if len(p.sent) < k {
		for _, m := range deviceMoves {
			next := p
			if k > 2 && m.name == "read" {
				continue // it changes nothing, as two requests have shown
			}
			if r := next.request(w, m); r != nil {
				next.sent = append(slices.Clip(next.sent), r)
				w.carryOn(w.send(next, r), k)
			}
		}
	}
	for i := range p.waiting {
		w.carryOn(w.arrive(p, i), k)
	}
}

// look returns what a request sees that is sent with some of the cookies.
func (w *deviceWorld) look(p devicePlay, which func(name string) bool) *deviceRequest {
	jar := cookiesessiontest.NewJar()
	for _, c := range p.jar.All() {
		if which(c.Name) {
			jar.SetCookies(site, []*http.Cookie{{Name: c.Name, Value: c.Value, Path: "/", Secure: true}})
		}
	}
	r := &deviceRequest{deviceMove: deviceMoves[6], path: "/"}
	w.answer(&devicePlay{jar: jar}, r)
	return r
}

// judge holds what the browser has in the end against the promises.
func (w *deviceWorld) judge(p devicePlay) {
	everything := func(string) bool { return true }
	r := w.look(p, everything)
	alone := w.look(p, func(name string) bool { return !strings.Contains(name, ".device.") })
	violation := ""
	switch {
	case r.family != "" && slices.Contains(p.ended, r.family):
		violation = "a session is seen after its logout"
	case alone.user != 0:
		violation = "a session that logged in is valid without its device cookie"
	case r.saw != 0 && (p.wrote == nil || p.wrote.n != r.saw):
		violation = "a session isn't what the response left that wrote it last"
	case r.refused == "unproven" && p.wrote.login && !p.crowded():
		violation = "who logged in last is locked out"
	case r.refused != "" && r.refused != "unproven" && r.refused != "ended":
		violation = "a session is " + r.refused
	}
	result := "nobody"
	switch {
	case r.refused == "unproven" && p.crowded():
		result = "unproven after logins side by side"
	case r.refused != "":
		result = r.refused
	case r.user != 0:
		result = "logged in"
	case r.saw != 0:
		result = "anonymous"
	}
	if r.user != 0 && violation == "" {
		// Once the proofs have expired, the browser renews.
		later := p
		later.jar = p.jar.Clone()
		before := w.now
		w.now = w.now.Add(deviceProof + 2*time.Minute)
		for _, b := range p.bindings {
			fields := http.Header{"Sec-Secure-Session-Id": {b.identifier}, "Secure-Session-Response": {sign(w.t, b.key, b.challenge, false)}}
			refresh := &deviceRequest{deviceMove: deviceMoves[7], path: devicePath, fields: fields}
			w.answer(&later, refresh)
			later.jar.SetCookies(site, refresh.set)
		}
		again := w.look(later, everything)
		thief := w.look(p, everything)
		w.now = before
		switch {
		case again.user == 0:
			violation = "who is logged in can't renew"
		case thief.user == 0:
			result = "logged in, bound"
		}
	}
	w.outcomes[result]++
	if violation != "" {
		w.found = violation + ":" + p.script
	}
}

// crowded reports whether two logins and a third response that writes stood side by side: that can end in a session that
// isn't proven, as SECURITY.md says. It takes three requests.
func (p *devicePlay) crowded() bool {
	logins := 0
	for _, r := range p.sent {
		if r.login || r.name == "regenerate" {
			logins++
		}
	}
	return logins > 1 && len(p.sent) > 2
}

// begin returns a browser as it is when a play begins.
func (w *deviceWorld) begin(start string) devicePlay {
	p := devicePlay{jar: cookiesessiontest.NewJar()}
	do := func(m *deviceMove) {
		r := &deviceRequest{deviceMove: m, n: earlier, path: "/"}
		p = w.arrive(w.send(p, r), 0)
	}
	switch start {
	case "anonymous":
		do(deviceMoves[2])
	case "bound":
		do(deviceLogin)
		p = w.arrive(p, 0) // the registration
	case "permit":
		do(deviceLogin)
		p.waiting = nil // the registration fails
	}
	p.script = ""
	return p
}

var deviceStarts = []string{"nobody", "anonymous", "bound", "permit"}

// TestDeviceInterleavings plays two requests, and three with -full, beside the registrations that they lead to.
func TestDeviceInterleavings(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	most := 2
	if fullDepth() {
		most = 3
	}
	for _, start := range deviceStarts {
		w := newDeviceWorld(t)
		for k := 1; k <= most; k++ {
			w.carryOn(w.begin(start), k)
		}
		t.Logf("%s: %d interleavings, %d requests, outcomes %v", start, w.plays, w.requests, w.outcomes)
		if w.found != "" {
			t.Errorf("start %s: %s", start, w.found)
		}
	}
}

// TestDeviceWeakened breaks what the design rests on, and sees that TestDeviceInterleavings would tell.
func TestDeviceWeakened(t *testing.T) {
	drop := func(r *deviceRequest, part string) {
		r.set = slices.DeleteFunc(r.set, func(c *http.Cookie) bool { return strings.Contains(c.Name, part) && c.MaxAge >= 0 })
	}
	for _, weakness := range []struct {
		name   string
		want   string
		most   int
		shared bool
		weaken func(w *deviceWorld, p *devicePlay, r *deviceRequest)
	}{
		{"device cookies without the origin in their names", "who logged in last is locked out", 2, true, nil},
		{"registration writes the session again", "isn't what the response left", 2, false, func(w *deviceWorld, p *devicePlay, r *deviceRequest) {
			if r.name == "registration" {
				setSessionAgain(r)
			}
		}},
		{"renewal writes the session again", "isn't what the response left", 2, false, func(w *deviceWorld, p *devicePlay, r *deviceRequest) {
			if r.name == "refresh" {
				setSessionAgain(r)
			}
		}},
		{"registration writes no proof", "who logged in last is locked out", 1, false, func(w *deviceWorld, p *devicePlay, r *deviceRequest) {
			if r.name == "registration" {
				drop(r, ".proof.")
			}
		}},
		{"a failed registration deletes the permit", "who logged in last is locked out", 3, false, func(w *deviceWorld, p *devicePlay, r *deviceRequest) {
			if r.name == "registration" && strings.Contains(r.body, `"continue":false`) {
				removeDevices(p, r)
			}
		}},
		{"Regenerate keeps the permit as it was", "who logged in last is locked out", 2, false, func(w *deviceWorld, p *devicePlay, r *deviceRequest) {
			if r.name == "login" && r.refused == "" && r.user != 0 {
				drop(r, ".device.")
				r.response.Del("Secure-Session-Registration")
			}
		}},
		{"logout deletes the session only", "a session is seen after its logout", 2, false, func(w *deviceWorld, p *devicePlay, r *deviceRequest) {
			if r.ends {
				drop(r, ".ended.")
			}
		}},
		{"a login deletes every received device cookie", "locked out", 2, false, func(w *deviceWorld, p *devicePlay, r *deviceRequest) {
			if r.login && !r.ends {
				drop(r, ".device.")
				removeDevices(p, r)
			}
		}},
	} {
		t.Run(weakness.name, func(t *testing.T) {
			if weakness.most > 2 && !fullDepth() {
				t.Skip("seen with three requests only, which takes some seconds; with -full")
			}
			plays := 0
			for k := 1; k <= weakness.most; k++ {
				for _, start := range deviceStarts {
					w := newDeviceWorld(t)
					p := w.begin(start)
					w.weaken, w.shared = weakness.weaken, weakness.shared
					w.carryOn(p, k)
					if plays += w.plays; w.found != "" {
						if !strings.Contains(w.found, weakness.want) {
							t.Errorf("start %s: got %s\nwant %s", start, w.found, weakness.want)
						}
						t.Logf("after %d interleavings: start %s: %s", plays, start, w.found)
						return
					}
				}
			}
			t.Errorf("%d interleavings found nothing, want one in which %s", plays, weakness.want)
		})
	}
}

// setSessionAgain has a response set the received session cookie.
func setSessionAgain(r *deviceRequest) {
	for _, p := range pairsOf(r.header) {
		if p.name == cookieName {
			r.set = append(slices.Clip(r.set), &http.Cookie{Name: p.name, Value: p.value, Path: "/", Secure: true})
		}
	}
}

// removeDevices has a response delete the received device cookies.
func removeDevices(p *devicePlay, r *deviceRequest) {
	for _, c := range p.jar.All() {
		if strings.Contains(c.Name, ".device.") {
			r.set = append(slices.Clip(r.set), &http.Cookie{Name: c.Name, Path: "/", Secure: true, MaxAge: -1})
		}
	}
}

// A deviceSimulation is one visitor whose browser binds sessions, with several requests under way at once, two servers
// with clocks of their own that rotate keys one after the other, a network that loses requests and responses at times,
// and thieves who copy the jar and do with the copies what they like.
type deviceSimulation struct {
	t       *testing.T
	r       *rand.Rand
	mu      sync.Mutex // held by whoever runs, but not while a request is under way
	running sync.WaitGroup
	m       *cookiesession.Manager // for looking into cookies
	servers []http.Handler
	rings   []*cookiesession.Keyring
	ahead   []time.Duration // of the servers' clocks
	keys    int             // how many there have been
	behind  bool            // the second server seals with an older key

	b        *deviceBrowser
	renewing map[string]bool // by identifier
	pages    int             // under way
	losing   bool            // the network loses something now and then
	loggedIn time.Time       // zero if the visitor isn't
	thieves  []*deviceThief
	did      []string
	seen     map[string]int
}

// A deviceThief has copied a jar.
type deviceThief struct {
	until time.Time           // what was copied works
	jar   map[string][]string // all values of each cookie, also of cookies that were got since
	own   *deviceBrowser      // where the thief is logged in honestly
}

func newDeviceSimulation(t *testing.T, seed uint64) *deviceSimulation {
	s := &deviceSimulation{t: t, r: rand.New(rand.NewPCG(seed, 20)), renewing: map[string]bool{}, seen: map[string]int{}, keys: 1}
	for range 2 {
		ring := newRing(t, playKey(0))
		ahead := time.Duration(s.r.IntN(60)-30) * time.Second
		shop := newShop(t, withKeys(ring))
		shop.m.SetClock(func() time.Time { return time.Now().Add(ahead) })
		s.m, s.servers, s.rings, s.ahead = shop.m, append(s.servers, shop), append(s.rings, ring), append(s.ahead, ahead)
	}
	s.b = newDeviceBrowser(t, http.HandlerFunc(s.carry))
	s.b.busy = true // registers on its own time
	return s
}

func (s *deviceSimulation) note(format string, args ...any) {
	s.did = append(s.did, time.Now().Format("02 15:04:05.000 ")+fmt.Sprintf(format, args...))
}

func (s *deviceSimulation) fail(format string, args ...any) {
	s.t.Helper()
	last := s.did[max(0, len(s.did)-40):]
	s.t.Fatalf("%s\n%s", fmt.Sprintf(format, args...), strings.Join(last, "\n"))
}

func (s *deviceSimulation) wait(d time.Duration) {
	s.mu.Unlock()
	time.Sleep(d)
	s.mu.Lock()
}

func (s *deviceSimulation) upTo(d time.Duration) time.Duration {
	return time.Duration(s.r.Int64N(int64(d)))
}

// carry takes a request of the browser to a server, and the answer back.
func (s *deviceSimulation) carry(w http.ResponseWriter, r *http.Request) {
	delay := 50 * time.Millisecond
	if s.r.IntN(10) == 0 {
		delay = 4 * time.Second
	}
	there, back := s.upTo(delay), s.upTo(delay)
	server := s.servers[s.r.IntN(2)]
	lost := -1
	if s.losing {
		lost = s.r.IntN(6)
	}
	s.wait(there)
	rec := httptest.NewRecorder()
	if lost != 0 {
		server.ServeHTTP(rec, r)
	}
	s.wait(back)
	if lost == 0 || lost == 1 {
		w.WriteHeader(http.StatusBadGateway)
		s.note("lost %s", r.URL.Path)
		return
	}
	maps.Copy(w.Header(), rec.Result().Header)
	w.WriteHeader(rec.Code)
	w.Write(rec.Body.Bytes())
	if r.URL.Path == devicePath {
		s.note("endpoint %q: %d, sets %s", r.Header.Get("Sec-Secure-Session-Id"), rec.Code, cookieNames(rec.Result().Header))
		if rec.Code >= 400 && rec.Code < 500 && rec.Code != http.StatusForbidden {
			s.fail("the endpoint answers %d", rec.Code)
		}
	}
}

// request sends a request as the browser does, and returns the answer to it.
func (s *deviceSimulation) request(method, path, from string) *recorder {
	r := httptest.NewRequest(method, "https://shop.example"+path, nil)
	r.Header.Set("Sec-Fetch-Site", from)
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Dest", "document")
	var skipped []string
	for _, identifier := range slices.Sorted(maps.Keys(s.b.bindings)) {
		bs := s.b.bindings[identifier]
		if bs == nil || from == otherSite || from == otherHost {
			continue
		}
		left, there := s.b.left(bs.cookie)
		switch {
		case there && left >= renewAhead:
		case there && !s.renewing[identifier]:
			s.renewing[identifier] = true
			s.running.Go(func() {
				s.mu.Lock()
				defer s.mu.Unlock()
				s.b.refresh(bs)
				s.renewing[identifier] = false
			})
		case !there:
			for s.renewing[identifier] {
				s.wait(7 * time.Millisecond)
			}
			if bs = s.b.bindings[identifier]; bs == nil {
				continue
			}
			if _, there = s.b.left(bs.cookie); there {
				continue
			}
			s.renewing[identifier] = true
			why := s.b.refresh(bs)
			s.renewing[identifier] = false
			if why != "" {
				skipped = append(skipped, why+`;session_identifier="`+identifier+`"`)
			}
		}
	}
	if skipped != nil {
		r.Header.Set("Secure-Session-Skipped", strings.Join(skipped, ", "))
	}
	rec := s.b.exchange(r, from == otherSite && method != http.MethodGet)
	s.note("%s %s from %s: %d %.20q, sets %s", method, path, from, rec.Code, rec.Body, cookieNames(rec.Result().Header))
	if len(s.b.invited) > 0 {
		s.running.Go(func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.wait(s.upTo(2 * time.Second)) // until the key is made
			s.b.register()
		})
	}
	if onceMore.MatchString(rec.Body.String()) {
		return s.request(http.MethodGet, path, ownPage)
	}
	return rec
}

// page has the visitor look at a page, or do something, and sees that they are who they are.
func (s *deviceSimulation) page(path, from string) {
	since := s.loggedIn
	rec := s.request(http.MethodGet, path, from)
	got := rec.Body.String()
	s.seen[fmt.Sprintf("%s %d", path, rec.Code)]++
	if rec.Code != http.StatusOK || since != s.loggedIn {
		return
	}
	is := strings.HasPrefix(got, "ada")
	if !since.IsZero() && time.Since(since) < day-2*time.Minute && !is {
		s.fail("the visitor is logged in, and got a page for %s", got)
	}
	if since.IsZero() && is {
		s.fail("the visitor isn't logged in, and got a page for %s", got)
	}
}

// settle waits for all that is under way.
func (s *deviceSimulation) settle() {
	s.mu.Unlock()
	s.running.Wait()
	s.mu.Lock()
}

// step does one thing.
func (s *deviceSimulation) step() {
	starts := []string{typed, ownPage, ownPage, otherSite, otherHost}
	from := starts[s.r.IntN(len(starts))]
	switch n := s.r.IntN(100); {
	case n < 45:
		if s.pages >= 3 {
			s.settle()
		}
		pages := []string{"/", "/", "/", "/change", "/change", "/remember", "/extend", "/persist"}
		path := pages[s.r.IntN(len(pages))]
		s.pages++
		s.running.Go(func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.page(path, from)
			s.pages--
		})
	case n < 55:
		s.wait(s.upTo(time.Second))
	case n < 70:
		s.wait(s.upTo(6 * time.Minute))
	case n < 74:
		s.settle()
		s.wait(s.upTo(5 * time.Hour))
	case n < 79: // logs in, or once more
		s.settle()
		if s.losing {
			return
		}
		method := http.MethodGet
		if from != typed && s.r.IntN(2) == 0 {
			method = http.MethodPost
		}
		path := "/login"
		if s.r.IntN(3) == 0 {
			path = "/log-in-anew"
		}
		if rec := s.request(method, path, from); rec.Code == http.StatusOK {
			s.loggedIn = time.Now()
		} else if rec.Code != http.StatusServiceUnavailable {
			s.fail("login: %d", rec.Code)
		}
	case n < 82:
		s.settle()
		if !s.loggedIn.IsZero() && !s.losing {
			s.page("/regenerate", from)
		}
	case n < 84:
		s.settle()
		if !s.losing {
			if rec := s.request(http.MethodGet, "/logout", ownPage); rec.Code == http.StatusOK {
				s.loggedIn = time.Time{}
			}
		}
	case n < 88:
		s.steal()
	case n < 91:
		s.rotate()
	case n < 93:
		s.losing = !s.losing
		s.note("losing %v", s.losing)
	case n < 97:
		s.check()
	default:
		s.settle()
	}
	for _, thief := range s.thieves {
		s.act(thief)
	}
}

// check sees that the visitor is logged in, and bound, when all is well.
func (s *deviceSimulation) check() {
	s.settle()
	if s.losing {
		return
	}
	s.wait(10 * time.Minute) // for the quota
	if s.loggedIn.IsZero() || time.Since(s.loggedIn) > day-time.Hour {
		return
	}
	rec := s.request(http.MethodGet, "/", typed)
	bound := s.boundTo() != ""
	want := "ada" // the network lost the registration, or a slower response wrote the permit again
	if bound {
		want = "ada proven"
		s.seen["bound"]++
	}
	if got := rec.Body.String(); got != want {
		s.fail("all is well, and the visitor got a page for %s, want %s", got, want)
	}
}

// boundTo returns the key in the jar that the session in it is bound to, "" if there is none.
func (s *deviceSimulation) boundTo() (key string) {
	found := s.m.Inspect(s.b.jar.Header(site))
	for _, session := range found {
		for _, device := range found {
			if session.Purpose == "session" && device.Purpose == "device" && session.ID[:16] == device.ID[:16] {
				key = device.DeviceKey
			}
		}
	}
	return key
}

// rotate goes on with the servers' keys: a new one opens everywhere before it seals anywhere.
func (s *deviceSimulation) rotate() {
	ring := func(seals int) (keys []cookiesession.Key) {
		keys = append(keys, playKey(seals))
		for i := s.keys - 1; i >= 0; i-- {
			if i != seals {
				keys = append(keys, playKey(i))
			}
		}
		return keys
	}
	replace := func(server, seals int) {
		if err := s.rings[server].Replace(ring(seals)...); err != nil {
			s.t.Fatal(err)
		}
	}
	if s.behind {
		replace(1, s.keys-1)
	} else {
		s.keys++
		replace(1, s.keys-2)
		replace(0, s.keys-1)
	}
	s.behind = !s.behind
	s.note("rotated, behind %v", s.behind)
}

// steal copies the jar, if the browser has a key and a proof by it.
func (s *deviceSimulation) steal() {
	thief := &deviceThief{jar: map[string][]string{}}
	if s.boundTo() == "" {
		return // a copy from before the registration is worth a session
	}
	for _, is := range s.m.Inspect(s.b.jar.Header(site)) {
		if is.Purpose == "proof" && is.Expires.After(thief.until) {
			thief.until = is.Expires
		}
	}
	for _, c := range s.b.jar.All() {
		thief.jar[c.Name] = []string{c.Value}
	}
	thief.until = thief.until.Add(-min(s.ahead[0], s.ahead[1]))
	thief.own = newDeviceBrowser(s.t, s.servers[0])
	thief.own.visit("/mallory", typed)
	for _, c := range thief.own.jar.All() {
		thief.jar[c.Name] = append(thief.jar[c.Name], c.Value)
	}
	s.thieves = append(s.thieves, thief)
	s.note("thief %d, until %v", len(s.thieves), thief.until.Format("02 15:04:05"))
	s.seen["stolen"]++
	for range 8 {
		s.act(thief)
	}
}

// act has a thief send a request with some of the cookies, and keep those of the answer.
func (s *deviceSimulation) act(thief *deviceThief) {
	if s.r.IntN(2) == 0 {
		return
	}
	var cookies []string
	for _, name := range slices.Sorted(maps.Keys(thief.jar)) {
		if values := thief.jar[name]; s.r.IntN(6) > 0 {
			cookies = append(cookies, name+"="+values[len(values)-1-s.r.IntN(min(len(values), 1+s.r.IntN(3)))])
		}
	}
	path := actions[s.r.IntN(len(actions))]
	r := httptest.NewRequest(http.MethodGet, "https://shop.example"+path, nil)
	if s.r.IntN(4) == 0 { // registers or renews with a key of the thief's
		challenges := append(slices.Clone(thief.own.invited), invited{field: "x"})
		challenge := challenges[s.r.IntN(len(challenges))].field
		for _, bs := range thief.own.bindings {
			if challenge == "x" {
				challenge = bs.challenge
			}
			r = asking(devicePath, "", sign(s.t, bs.key, challenge, s.r.IntN(2) == 0))
		}
		if s.r.IntN(2) == 0 {
			for name := range thief.jar {
				if _, tag, ok := strings.Cut(name, ".device."); ok {
					r.Header.Set("Sec-Secure-Session-Id", tag)
				}
			}
		}
	}
	r.Header.Set("Cookie", strings.Join(cookies, "; "))
	rec := httptest.NewRecorder()
	s.servers[s.r.IntN(2)].ServeHTTP(rec, r)
	if strings.HasPrefix(rec.Body.String(), "ada") {
		s.seen["thief in time"]++
		if time.Now().After(thief.until) {
			s.fail("%v after its proof has expired a copy got a page for %s by %s with %q", time.Since(thief.until), rec.Body, path, cookies)
		}
	} else if time.Now().After(thief.until) {
		s.seen["thief too late"]++
	}
	for _, c := range rec.Result().Cookies() {
		if c.MaxAge >= 0 {
			thief.jar[c.Name] = append(thief.jar[c.Name], c.Value)
		}
	}
	thief.own.invited = append(thief.own.invited, invitedBy(rec)...)
}

func invitedBy(rec *recorder) (all []invited) {
	for _, field := range rec.Result().Header["Secure-Session-Registration"] {
		if m := invitation.FindStringSubmatch(field); m != nil {
			all = append(all, invited{field: m[2]})
		}
	}
	return all
}

// TestDeviceSimulation plays visitors and thieves by chance, the same in each run but for what happens at one instant.
func TestDeviceSimulation(t *testing.T) {
	seen := map[string]int{}
	for seed := range uint64(40) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newDeviceSimulation(t, seed)
				s.mu.Lock()
				defer s.mu.Unlock()
				for range 300 {
					s.step()
				}
				s.losing = false
				s.check()
				s.settle()
				for what, n := range s.seen {
					seen[what] += n
				}
			})
		})
	}
	for _, what := range []string{"/ 200", "/ 502", "/ 503", "bound", "stolen", "thief in time", "thief too late"} {
		if seen[what] < 10 {
			t.Errorf("seen %s %d times, want at least 10 times: %v", what, seen[what], seen)
		}
	}
}
