package cookiesession_test

import (
	"context"
	"crypto/sha256"
	"errors"
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

// What follows plays every order in which the requests of one browser can be sent and their responses arrive, and holds
// what each request sees against what the browser had been told by then.

// A move is what one request does.
type move struct {
	name   string
	do     func(s *cookiesession.Session, r *request)
	writes bool // may change the session
	login  bool
	ends   bool // logs out
	leaves bool // leaves a flash message
	asks   bool // reads the flash messages, and so consumes them
	keeps  bool // but carries them on
	waits  bool // is sent a minute after what came before, so that the lease is due
	blind  bool // doesn't use the session

	elsewhere bool // another site sends it, so the browser withholds the cookies
	upstream  bool // done by an application with the same Config, behind a gateway that only reads its session
	unchecked bool // Revoked fails meanwhile
}

var (
	moveRead   = &move{name: "read", do: func(*cookiesession.Session, *request) {}}
	moveChange = &move{name: "change", writes: true, do: func(s *cookiesession.Session, r *request) {
		r.number(s)
		r.fill(s)
	}}
	moveTouch = &move{name: "touch", waits: true, do: func(*cookiesession.Session, *request) {}}
	moveFlash = &move{name: "flash", leaves: true, do: func(s *cookiesession.Session, r *request) {
		s.Flash(string(rune('0'+r.n)), true)
	}}
	moveReadFlash = &move{name: "read flash", asks: true, do: func(s *cookiesession.Session, r *request) {
		r.readFlash(s)
	}}
	moveLogin = &move{name: "login", writes: true, login: true, do: func(s *cookiesession.Session, r *request) {
		r.number(s)
		playUser.Put(s, r.n)
		r.fill(s)
		s.Regenerate()
	}}
	moveLogout = &move{name: "logout", writes: true, ends: true, do: func(s *cookiesession.Session, _ *request) {
		s.Destroy()
	}}

	moveLookAround = &move{name: "look around", asks: true, do: moveReadFlash.do}

	// The seven of the promises, and with others beside them, which shorter plays try.
	sevenMoves = []*move{moveRead, moveChange, moveTouch, moveFlash, moveReadFlash, moveLogin, moveLogout}
	allMoves   = append(slices.Clone(sevenMoves),
		&move{name: "image", blind: true},
		&move{name: "keep flash", asks: true, keeps: true, do: func(s *cookiesession.Session, r *request) {
			r.readFlash(s)
			s.Reflash()
		}},
		&move{name: "grow", writes: true, do: func(s *cookiesession.Session, r *request) {
			r.number(s)
			playFiller.Put(s, twoCookies)
		}},
		&move{name: "shrink", writes: true, do: func(s *cookiesession.Session, r *request) {
			r.number(s)
			playFiller.Delete(s)
		}},
		&move{name: "start anew", writes: true, ends: true, do: func(s *cookiesession.Session, r *request) {
			s.Destroy()
			r.number(s)
		}},
	)
)

// What other sites, other servers and databases do to a session, beside the usual.
var fieldMoves = []*move{
	moveRead, moveChange, moveLogin, moveLogout, moveFlash, moveReadFlash,
	{name: "page for another site", elsewhere: true, do: func(s *cookiesession.Session, r *request) {
		r.number(s)
		s.CSRFToken()
	}},
	{name: "login by another site", elsewhere: true, writes: true, login: true, do: moveLogin.do},
	{name: "logout by another site", elsewhere: true, writes: true, ends: true, do: moveLogout.do},
	{name: "change upstream", upstream: true, writes: true, do: moveChange.do},
	{name: "logout upstream", upstream: true, writes: true, ends: true, do: moveLogout.do},
	{name: "flash upstream", upstream: true, leaves: true, do: moveFlash.do},
	{name: "read unchecked", unchecked: true, do: moveRead.do},
	{name: "change unchecked", unchecked: true, writes: true, do: moveChange.do},
	{name: "logout unchecked", unchecked: true, writes: true, ends: true, do: moveLogout.do},
}

const (
	playFamily = cookiesession.Field[int]("family") // the request that started the session, or what it was regenerated from
	playUser   = cookiesession.Field[int]("user")
	playNumber = cookiesession.Field[int]("number")
	playFiller = cookiesession.Field[string]("filler")
)

// twoCookies is a value that makes a session take two.
var twoCookies = strings.Repeat("0123456789", 290)

// Requests are numbered from 1; these come before.
const (
	earlier   = 9 // who is logged in, and the message that waits, when a play begins
	elsewhere = 8 // a visitor with another browser
	deployed  = 7 // who logged in before a deployment made the browser keep the cookie in another place
)

// A view is what a request can see of its session. The zero view is that of a visitor without one.
type view struct {
	id                   string
	family, user, number int
	filler               int // bytes
}

func look(s *cookiesession.Session) view {
	return view{s.ID(), playFamily.Get(s), playUser.Get(s), playNumber.Get(s), len(playFiller.Get(s))}
}

// A request is one of a play, and what is known of its response.
type request struct {
	*move
	n       int
	large   bool
	cookies string // what the browser sent
	knew    memory // what the browser had been told by then

	saw      view
	sawFlash uint16 // one bit a message
	rejected *cookiesession.RejectError
	wrote    bool
	left     view // what its response sets the session to, if wrote
	set      []*http.Cookie
}

// number makes the session tell which request changed it last.
func (r *request) number(s *cookiesession.Session) {
	if s.IsNew() {
		playFamily.Put(s, r.n)
	}
	playNumber.Put(s, r.n)
}

func (r *request) fill(s *cookiesession.Session) {
	if r.large {
		playFiller.Put(s, twoCookies)
	}
}

func (r *request) readFlash(s *cookiesession.Session) {
	for key := range s.Flashes() {
		r.sawFlash |= 1 << (key[0] - '0')
	}
}

// act is what the handler does.
func (r *request) act(s *cookiesession.Session) {
	if !s.IsNew() {
		r.saw = look(s)
	}
	r.rejected = s.Rejected()
	r.do(s, r)
	r.wrote = r.writes && s.Changed()
	switch {
	case r.unchecked && !r.ends && r.knew.expect() != (view{}): // or there is nothing to check
		r.wrote = false
	case s.IsEmpty() && !r.elsewhere && !strings.Contains(r.cookies, cookieName+"="): // a part, at most, is deleted
		r.wrote = false
	}
	if r.wrote && !s.IsEmpty() {
		r.left = look(s)
	}
}

// A memory is what the responses that have arrived told the browser, as far as the promises speak of it.
type memory struct {
	session  view   // what the last response that wrote the session left
	rival    view   // what a cookie of the same name holds that no response can reach any more
	ended    uint16 // one bit a family of sessions: what was logged out
	users    uint16 // one bit each whose login's response has arrived
	flash    uint16 // messages that wait, by the last response that left or consumed any
	consumed uint16 // messages that have been shown and not been carried on since
}

// arrive notes a response. What isn't said here changes nothing: that is the promise.
func (m *memory) arrive(r *request) {
	if r.wrote || r.ends && r.elsewhere {
		m.session = r.left
	}
	if !r.elsewhere && (r.ends || r.login && r.knew.ambiguous()) {
		m.end(r.knew.session)
		m.end(r.knew.rival)
	}
	if r.login {
		m.users |= 1 << r.n
	}
	if r.asks && r.knew.flash != 0 {
		m.flash = 0
		m.consumed |= r.sawFlash
	}
	left := r.knew.flash // a message is added to those that waited when its request was sent
	if r.leaves {
		left |= 1 << r.n
	}
	if (r.leaves || r.keeps) && left != 0 {
		m.flash = left
		m.consumed &^= left
	}
}

func (m *memory) end(v view) {
	if v != (view{}) {
		m.ended |= 1 << v.family
	}
}

// live returns v unless it has been ended.
func (m *memory) live(v view) view {
	if m.ended>>v.family&1 != 0 {
		return view{}
	}
	return v
}

// ambiguous reports whether two live sessions are there. Two states of one ID are one session.
func (m *memory) ambiguous() bool {
	session, rival := m.live(m.session), m.live(m.rival)
	return session != (view{}) && rival != (view{}) && session.id != rival.id
}

// expect returns what a request must see that is sent now.
func (m *memory) expect() view {
	session := m.live(m.session)
	switch {
	case m.ambiguous():
		return view{}
	case session == (view{}):
		return m.live(m.rival)
	}
	return session
}

// A violation is a promise broken.
type violation string

const (
	logoutUndone violation = "a session is seen after its logout"
	loginUnasked violation = "somebody is logged in who hasn't logged in"
	valueChanged violation = "a value or an ID isn't what the last response that changed the session left"
	sessionLost  violation = "a session is lost"
	sessionTorn  violation = "a set of cookies is torn"
	keyForgotten violation = "a session is lost by rotation"
	flashAgain   violation = "a flash message is shown again"
	flashLost    violation = "a flash message is lost to a request that didn't ask"
	flashStrange violation = "a flash message comes from nowhere"
	sessionBack  violation = "a session is seen where there is none, or none that can be told"
)

// check holds what r saw against what the browser had been told when r was sent. The first two hold whatever was
// written last.
func (r *request) check() violation {
	want := r.knew.expect()
	switch {
	case r.blind:
		return ""
	case r.elsewhere || r.unchecked:
		if r.saw != (view{}) || r.sawFlash != 0 {
			return sessionBack
		}
		return ""
	case r.saw != (view{}) && r.knew.ended>>r.saw.family&1 != 0:
		return logoutUndone
	case r.saw.user != 0 && r.knew.users>>r.saw.user&1 == 0:
		return loginUnasked
	case r.saw != (view{}) && want == (view{}):
		return sessionBack
	case r.saw != (view{}) && r.saw != want:
		return valueChanged
	case r.saw != want && r.rejected == nil:
		return sessionLost
	case r.knew.ambiguous() && (r.rejected == nil || r.rejected.Reason != cookiesession.ReasonAmbiguous):
		return sessionLost
	case r.saw != want && r.rejected.Reason == cookiesession.ReasonTorn:
		return sessionTorn
	case r.saw != want && r.rejected.Reason == cookiesession.ReasonUnknownKey:
		return keyForgotten
	case r.saw != want:
		return sessionLost
	case !r.asks:
		return ""
	case r.sawFlash&r.knew.consumed != 0:
		return flashAgain
	case r.knew.flash&^r.sawFlash != 0:
		return flashLost
	case r.sawFlash != r.knew.flash:
		return flashStrange
	}
	return ""
}

// TestInterleavings plays every order in which the requests of one browser can be sent and answered: up to four with
// -full, else up to three, which finds most mistakes in a second. Requests are numbered as they are sent, so that no
// order is played twice under other numbers.
func TestInterleavings(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	plays, requests := 0, 0
	for _, e := range []struct {
		name      string
		most      int // requests of a play
		moves     []*move
		starts    []string
		larges    []bool
		lates     []bool
		rotations []string
	}{
		{"four requests, one cookie", 4, sevenMoves, []string{"member"}, []bool{false}, []bool{false}, []string{"never"}},
		{"four requests, two cookies", 4, sevenMoves, []string{"guest"}, []bool{true}, []bool{false}, []string{"before each event"}},
		{"three requests, of every kind", 3, allMoves, starts, []bool{false, true}, []bool{false}, []string{"never"}},
		{"three requests, rotation at every point", 3, sevenMoves, []string{"member"}, []bool{false}, []bool{false, true}, rotations},
		{"two requests, of every kind, rotation at every point", 2, allMoves, starts, []bool{false, true}, []bool{false, true}, rotations},
		{"three requests, other sites, servers and databases", 3, fieldMoves, []string{"member", "nobody"}, []bool{false}, []bool{false}, []string{"never"}},
		{"three requests, two sessions", 3, sevenMoves, rivalStarts, []bool{false, true}, []bool{false}, []string{"never"}},
		{"two requests, all of that", 2, fieldMoves, slices.Concat(starts, rivalStarts), []bool{false, true}, []bool{false, true}, []string{"never", "before each event"}},
	} {
		t.Run(e.name, func(t *testing.T) {
			began, before := time.Now(), plays
			if !fullDepth() {
				e.most--
			}
			for _, start := range e.starts {
				for _, large := range e.larges {
					for _, late := range e.lates {
						for _, rotation := range e.rotations {
							w := &world{t: t, moves: e.moves, large: large, late: late, down: errDown, now: time.Now()}
							w.rotate(rotation)
							w.begin(start)
							for k := 1; k <= e.most; k++ {
								w.explore(k)
							}
							plays += w.plays
							requests += w.requests
							if w.found != "" {
								t.Fatalf("%s\nstart %s, two cookies %v, late handlers %v, rotation %s:%s", w.found, start, large, late, rotation, w.script)
							}
						}
					}
				}
			}
			t.Logf("%d interleavings in %v", plays-before, time.Since(began).Round(time.Millisecond))
		})
	}
	t.Logf("%d interleavings, %d requests", plays, requests)
}

// TestWeakened breaks each promise in the way in which some library did, and sees that TestInterleavings would tell. It
// logs the first play that shows it.
func TestWeakened(t *testing.T) {
	for _, weakness := range []struct {
		name   string
		broken violation
		weaken func(w *world, r *request)
		forget bool           // rotation drops the old key
		field  func(w *world) // plays what other sites, servers and databases do, by servers that are set up so
	}{
		{"what only read sets the session again: starlette #2019, rails #37039, h3 #1513, rack-session #24", valueChanged, func(_ *world, r *request) {
			if r.name == "read" {
				r.setAgain(sessionCookies)
			}
		}, false, nil},
		{"a touch sets the session again: express-session's rolling", valueChanged, func(_ *world, r *request) {
			if r.waits {
				r.setAgain(sessionCookies)
			}
		}, false, nil},
		{"a read that is too late brings the session back: auth0/nextjs #544", logoutUndone, func(_ *world, r *request) {
			if r.name == "read" {
				r.setAgain(sessionCookies)
			}
			r.dropMarkers()
		}, false, nil},
		{"logout only deletes: redistore #2", logoutUndone, func(_ *world, r *request) { r.dropMarkers() }, false, nil},
		{"a marker names the ID, which a login changes", logoutUndone, func(w *world, r *request) {
			if r.login {
				r.remove(cookieName + endedSuffix(w.t, r.left.id))
			}
		}, false, nil},
		{"markers are deleted at once", logoutUndone, func(_ *world, r *request) {
			if !r.writes {
				r.removeReceived(func(name string) bool { return strings.HasPrefix(name, cookieName+".ended.") })
			}
		}, false, nil},
		{"a refused cookie is deleted", sessionLost, func(_ *world, r *request) {
			if r.rejected != nil && !r.writes {
				r.removeReceived(sessionCookies)
			}
		}, false, nil},
		{"what only read deletes stale cookies", sessionTorn, func(_ *world, r *request) {
			if !r.writes && strings.Contains(r.cookies, cookieName+"=1") {
				r.removeReceived(func(name string) bool { return name == cookieName+".1" })
			}
		}, false, nil},
		{"a response for one visitor is cached for all: Flask CVE-2023-30861", loginUnasked, func(w *world, r *request) {
			if r.name == "read" {
				r.set = append(r.set, w.foreign...)
			}
		}, false, nil},
		{"rotation drops the old key: oauth2-proxy", keyForgotten, nil, true, nil},
		{"any request eats the messages: laravel #17569", flashLost, func(_ *world, r *request) {
			if !r.leaves && !r.asks {
				r.removeReceived(flashCookies)
			}
		}, false, nil},
		{"messages end with the session", flashLost, func(_ *world, r *request) {
			if r.ends {
				r.removeReceived(flashCookies)
			}
		}, false, nil},
		{"a message that was shown stays", flashAgain, func(_ *world, r *request) {
			if r.asks {
				r.drop(flashCookies)
			}
		}, false, nil},
		{"a read that is too late brings a message back", flashAgain, func(_ *world, r *request) {
			if r.name == "read" {
				r.setAgain(flashCookies)
			}
		}, false, nil},
		{"a page for another site starts a session", valueChanged, nil, false, func(w *world) { w.unaware = true }},
		{"a logout by another site deletes nothing", sessionBack, nil, false, func(w *world) { w.unaware = true }},
		{"a login by another site isn't saved", sessionLost, func(_ *world, r *request) {
			if r.elsewhere && r.login {
				r.set = nil
			}
		}, false, func(*world) {}},
		{"a failing Revoked says that the session is revoked", valueChanged, nil, false, func(w *world) { w.down = nil }},
		{"a failing Revoked keeps the visitor from logging out", logoutUndone, func(_ *world, r *request) {
			if r.unchecked {
				r.set = nil
			}
		}, false, func(*world) {}},
		{"a gateway that only reads drops the upstream's lines", logoutUndone, func(_ *world, r *request) {
			if r.upstream {
				r.set = nil
			}
		}, false, func(*world) {}},
		{"the upstream's messages, too", flashLost, func(_ *world, r *request) {
			if r.upstream {
				r.drop(flashCookies)
			}
		}, false, func(*world) {}},
		{"a login ends none of the sessions between which nobody could choose", sessionLost, func(_ *world, r *request) {
			if r.login && r.knew.ambiguous() {
				r.dropMarkers()
			}
		}, false, func(*world) {}},
		{"the marker of a session that still comes is deleted", sessionLost, func(w *world, r *request) {
			if r.name == "read" && r.knew.rival != (view{}) {
				r.remove(cookieName + endedSuffix(w.t, r.knew.rival.id))
			}
		}, false, func(*world) {}},
		{"what has been ended is a rival", sessionLost, nil, false, func(w *world) { w.lostMarker = true }},
	} {
		t.Run(weakness.name, func(t *testing.T) {
			plays := 0
			moves, starts := allMoves, starts
			if weakness.field != nil {
				moves, starts = fieldMoves, slices.Concat(starts, rivalStarts)
			}
			for most := 1; most <= 3; most++ { // the shortest first
				for _, start := range starts {
					for _, large := range []bool{false, true} {
						w := &world{t: t, moves: moves, large: large, weaken: weakness.weaken, broken: weakness.broken, down: errDown, now: time.Now()}
						if weakness.field != nil {
							weakness.field(w)
						}
						w.rotate("before each event")
						if weakness.forget {
							w.forgetfulServers()
						}
						w.begin(start)
						w.explore(most)
						plays += w.plays
						if w.found != "" {
							t.Logf("after %d interleavings: start %s, two cookies %v: %s%s", plays, start, large, w.found, w.script)
							return
						}
					}
				}
			}
			t.Errorf("%d interleavings found nothing, want one in which %s", plays, weakness.broken)
		})
	}
}

// forgetfulServers know one key at a time.
func (w *world) forgetfulServers() {
	first, second := w.newNode(newRing(w.t, playKey(0))), w.newNode(newRing(w.t, playKey(1)))
	w.node = func(event int) *node {
		if event == 0 {
			return first
		}
		return second
	}
}

func sessionCookies(name string) bool {
	return name == cookieName || len(name) == len(cookieName)+2 && strings.HasPrefix(name, cookieName+".")
}

func flashCookies(name string) bool { return name == cookieName+".flash" }

// received returns the cookies that the request brought, whose names which accepts.
func (r *request) received(which func(name string) bool) (cookies []*http.Cookie) {
	all, err := http.ParseCookie(r.cookies)
	if r.cookies != "" && err != nil {
		panic(err)
	}
	for _, c := range all {
		if which(c.Name) {
			cookies = append(cookies, c)
		}
	}
	return cookies
}

func (r *request) setAgain(which func(name string) bool) {
	for _, c := range r.received(which) {
		r.set = append(r.set, &http.Cookie{Name: c.Name, Value: c.Value, Path: "/", Secure: true})
	}
}

func (r *request) remove(name string) {
	r.set = append(r.set, &http.Cookie{Name: name, Path: "/", Secure: true, MaxAge: -1})
}

func (r *request) removeReceived(which func(name string) bool) {
	for _, c := range r.received(which) {
		r.remove(c.Name)
	}
}

// drop takes cookies out of the response.
func (r *request) drop(which func(name string) bool) {
	r.set = slices.DeleteFunc(r.set, func(c *http.Cookie) bool { return which(c.Name) })
}

func (r *request) dropMarkers() {
	r.drop(func(name string) bool { return strings.HasPrefix(name, cookieName+".ended.") })
}

// A world is what all plays of one enumeration have in common.
type world struct {
	t      testing.TB
	moves  []*move
	large  bool                       // sessions take two cookies
	late   bool                       // handlers run when their response arrives, not when the request does
	node   func(event int) *node      // the server that answers at an event
	weaken func(w *world, r *request) // spoils the response, once the browser is prepared
	broken violation                  // stop at the first of these; any if empty

	down       error // what Revoked fails with, if it does; nil: it says yes
	unaware    bool  // servers don't know which site sent a request
	lostMarker bool  // the browser lacks the marker of the session in another place

	jar     *cookiesessiontest.Jar // the browser when a play begins
	knew    memory                 // and what it has been told
	foreign []*http.Cookie         // what another browser was told
	now     time.Time              // by the servers' clocks

	plays, requests int
	found           violation
	script          string // of the play that found it
}

// errDown is what Revoked fails with.
var errDown = errors.New("database is down")

// A node is one server.
type node struct {
	handler http.Handler
	request *request // that it answers
}

// newNode returns a server.
func (w *world) newNode(keys *cookiesession.Keyring) *node {
	n := new(node)
	configure := func(c *cookiesession.Config) {
		c.Keys, c.IdleTimeout, c.FlashLifetime, c.MaxSize = keys, time.Hour, time.Hour, 12<<10
		if slices.ContainsFunc(w.moves, func(m *move) bool { return m.unchecked }) {
			c.Revoked = func(context.Context, *cookiesession.Session) (bool, error) {
				return n.request.unchecked, n.request.fails(w.down)
			}
		}
	}
	m, upstream := newManager(w.t, configure), newManager(w.t, configure)
	for _, m := range []*cookiesession.Manager{m, upstream} {
		m.SetClock(func() time.Time { return w.now })
	}
	behind := upstream.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { n.request.act(upstream.Get(r)) }))
	n.handler = m.Handler(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		switch {
		case n.request.upstream:
			m.Get(r).Keys()
			behind.ServeHTTP(rw, r)
		case !n.request.blind:
			n.request.act(m.Get(r))
		}
	}))
	return n
}

// fails returns the error if Revoked fails during the request.
func (r *request) fails(err error) error {
	if r.unchecked {
		return err
	}
	return nil
}

// answer has n answer r at the given time.
func (w *world) answer(n *node, r *request, at time.Time) {
	w.now, r.large = at, w.large
	w.requests++
	hr := requestWith(r.cookies)
	if r.elsewhere && !w.unaware {
		hr = postedForm.request(r.cookies)
	}
	rec := httptest.NewRecorder()
	n.request = r
	n.handler.ServeHTTP(rec, hr)
	r.set = rec.Result().Cookies()
	if w.weaken != nil && w.jar != nil {
		w.weaken(w, r)
	}
}

// A play is a browser and what it has sent and received, up to some event.
type play struct {
	jar     *cookiesessiontest.Jar
	knew    memory
	sent    []*request
	pending uint // bit i if the response to sent[i] hasn't arrived
	at      time.Time
	events  *event
}

// An event is that a request is sent or its response arrives.
type event struct {
	before *event
	n      int // events up to this one
	r      *request
	verb   string
}

func (e *event) String() string {
	if e == nil {
		return ""
	}
	return fmt.Sprintf("%s\n\t%d %s %s", e.before, e.r.n, e.r.name, e.verb)
}

func (e *event) number() int {
	if e == nil {
		return 0
	}
	return e.n
}

// next returns the play after one more event.
func (p play) next(r *request, verb string) play {
	p.events = &event{p.events, p.events.number() + 1, r, verb}
	return p
}

// explore plays every order of k requests from where the browser was prepared.
func (w *world) explore(k int) {
	w.carryOn(play{jar: w.jar, knew: w.knew, at: w.now.Add(10 * time.Second)}, k)
}

// carryOn carries on p in every way in which it comes to k requests and all their responses, and looks around then.
func (w *world) carryOn(p play, k int) {
	switch {
	case w.found != "":
		return
	case len(p.sent) == k && p.pending == 0:
		w.plays++
		r := p.request(moveLookAround)
		w.answer(w.node(2*k), r, p.at)
		w.judge(p.next(r, "is sent"), r)
		return
	case len(p.sent) < k:
		for _, m := range w.moves {
			w.carryOn(w.send(p, m), k)
		}
	}
	for i := range p.sent {
		if p.pending>>i&1 != 0 {
			w.carryOn(w.arrive(p, i), k)
		}
	}
}

// request returns what the browser sends next.
func (p *play) request(m *move) *request {
	r := &request{move: m, n: len(p.sent) + 1, knew: p.knew}
	if !m.elsewhere {
		r.cookies = p.jar.Header(site)
	}
	return r
}

// send returns p after one more request.
func (w *world) send(p play, m *move) play {
	r := p.request(m)
	if m.waits {
		p.at = p.at.Add(61 * time.Second)
	}
	p.pending |= 1 << len(p.sent)
	p.sent = append(slices.Clip(p.sent), r)
	next := p.next(r, "is sent")
	if !w.late {
		w.answer(w.node(p.events.number()), r, p.at)
		w.judge(next, r)
	}
	return next
}

// arrive returns p after the response to request i has arrived.
func (w *world) arrive(p play, i int) play {
	r := p.sent[i]
	if w.late {
		late := *r // other plays have their own
		r = &late
		w.answer(w.node(p.events.number()), r, p.at)
		w.judge(p.next(r, "is answered"), r)
	}
	p.pending &^= 1 << i
	if len(r.set) > 0 {
		p.jar = p.jar.Clone()
		p.jar.SetCookies(site, r.set)
	}
	p.knew.arrive(r)
	return p.next(r, "is answered")
}

// judge notes the first promise broken.
func (w *world) judge(p play, r *request) {
	v := r.check()
	if w.found == "" && v != "" && (w.broken == "" || v == w.broken) {
		w.found = v
		w.script = fmt.Sprintf("%s\nsaw %+v, flash %b, rejected %v\nwant %+v, flash %b", p.events, r.saw, r.sawFlash, r.rejected, r.knew.expect(), r.knew.flash)
	}
}

// begin prepares the browser: what it holds when a play begins.
func (w *world) begin(start string) {
	began := w.now
	n := w.node(0)
	browse := func(m *move, by int, jar *cookiesessiontest.Jar, at time.Time) *request {
		r := &request{move: m, n: by, cookies: jar.Header(site), knew: w.knew}
		w.answer(n, r, at)
		jar.SetCookies(site, r.set)
		w.knew.arrive(r)
		return r
	}
	foreign := browse(moveLogin, elsewhere, cookiesessiontest.NewJar(), began)
	w.foreign = foreign.set
	jar := cookiesessiontest.NewJar()
	browse(moveLogin, earlier, jar, began.Add(-21*time.Minute))
	browse(moveLogout, earlier, jar, began.Add(-20*time.Minute)) // leaves a marker that is old enough to be deleted
	w.knew = memory{}                                            // nothing of that comes back
	browse(moveFlash, earlier, jar, began)
	switch start {
	case "member":
		browse(moveLogin, earlier, jar, began)
	case "guest":
		browse(moveChange, earlier, jar, began)
	case "member, and a session in another place", "member, and an ended session in another place":
		browse(moveLogin, earlier, jar, began)
		member := w.knew.session
		before := cookiesessiontest.NewJar()
		in := browse(moveLogin, deployed, before, began.Add(-20*time.Minute))
		places := in.set
		if start == "member, and an ended session in another place" {
			out := browse(moveLogout, deployed, before, began.Add(-20*time.Minute)) // leaves a marker that is old enough, too
			if !w.lostMarker {
				places = append(places, out.set[len(out.set)-1])
			}
		}
		for _, c := range places {
			c.Partitioned = sessionCookies(c.Name) // as one deployment had it
		}
		jar.SetCookies(site, places)
		w.knew.session, w.knew.rival = member, in.left
	case "logged out, and a slow response brought the session back":
		in := browse(moveLogin, earlier, jar, began)
		browse(moveLogout, earlier, jar, began)
		jar.SetCookies(site, in.set)
		w.knew.arrive(in)
	}
	if !w.large && start != "nobody" {
		// A cookie that an earlier, longer session left.
		jar.SetCookies(site, []*http.Cookie{{Name: cookieName + ".1", Value: "AAAAAAAA", Path: "/", Secure: true}})
	}
	w.jar, w.now = jar, began
}

// rivalStarts are those in which a browser has two session cookies.
var rivalStarts = []string{"member, and a session in another place", "member, and an ended session in another place"}

var starts = []string{"member", "guest", "nobody", "logged out, and a slow response brought the session back"}

// playKey returns the key with a number, the same in every ring.
func playKey(i int) cookiesession.Key {
	secret := sha256.Sum256([]byte{byte(i)})
	return cookiesession.Key{Label: fmt.Sprint("key-", i), Secret: secret[:]}
}

// rings returns a ring for each event and one more, each of which seals with a new key and opens what the ones before
// sealed.
func (w *world) rings(n int) (rings []*cookiesession.Keyring) {
	var keys []cookiesession.Key
	for i := range n + 1 {
		keys = append([]cookiesession.Key{playKey(i)}, keys...)
		rings = append(rings, newRing(w.t, keys...))
	}
	return rings
}

// rotations are when the servers change keys. A play of four requests has eight events, and the look around.
var rotations = []string{"never", "before each event", "skewed clocks", "at 0", "at 1", "at 2", "at 3", "at 4", "at 5", "at 6"}

// rotate sets up the servers.
func (w *world) rotate(when string) {
	var nodes []*node
	for _, ring := range w.rings(8) {
		nodes = append(nodes, w.newNode(ring))
	}
	position := strings.Index("0123456789", when[len(when)-1:])
	switch when {
	case "never":
		w.node = func(int) *node { return nodes[0] }
	case "before each event":
		w.node = func(event int) *node { return nodes[event] }
	case "skewed clocks": // one of two servers has activated the new key, the other only knows it
		pending := playKey(1)
		pending.ActivateAt = w.now.Add(time.Hour)
		nodes[0] = w.newNode(newRing(w.t, playKey(0), pending))
		w.node = func(event int) *node { return nodes[event%2] }
	default:
		w.node = func(event int) *node {
			if event <= position {
				return nodes[0]
			}
			return nodes[1]
		}
	}
}
