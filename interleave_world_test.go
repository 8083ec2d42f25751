package cookiesession_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-50e21e88/cookiesession"
	"github.com/seed-50e21e88/cookiesession/cookiesessiontest"
)

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
