package cookiesession_test

import (
	"crypto/ecdsa"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
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
