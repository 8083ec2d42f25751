package interop

import (
	"encoding/hex"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seed-50e21e88/cookiesession"
	"github.com/seed-50e21e88/cookiesession/cookiesessiontest"
)

var seed = flag.Uint64("seed", 1, "of the random sessions; 0 draws one. IDs and nonces are random anyway")

func newGenerator(t *testing.T, test uint64) generator {
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	t.Logf("-seed=%d", *seed)
	return generator{rand.New(rand.NewPCG(*seed, test))}
}

// A visitor has a session that both implementations write and read.
type visitor struct {
	agreement
	jar    *cookiesessiontest.Jar
	cookie []octets // what the jar sends
	byNode bool     // who seals first
	want   outcome
	values map[string]any
	csrf   string   // a token, if the library sealed
	before []octets // earlier cookies
}

func (v *visitor) request() request { return request{agreement: v.agreement, Cookie: v.cookie} }

const visitors = 2000 // half of them begin with each implementation

// newVisitors returns visitors whose sessions both implementations have written: one began them, the other changed a
// value. It fails the test unless both read the same each time.
func newVisitors(t *testing.T, g generator, count int) []*visitor {
	t.Helper()
	all := make([]*visitor, count)
	for i := range all {
		all[i] = &visitor{agreement: g.agreement(), jar: cookiesessiontest.NewJar(), byNode: i%2 == 0}
	}
	g.begin(t, all)
	checkAll(t, all, "begun")
	g.change(t, all)
	checkAll(t, all, "changed")
	return all
}

// agreement returns one with a key that is active for a year.
func (g generator) agreement() agreement {
	a := agreement{Now: 1767225600 + g.Int64N(1<<30), Scope: scope(g.text())}
	if g.IntN(50) == 0 {
		a.Scope = scope(g.bytes(pick(g, 1024, 65535)))
	}
	const characters = "ABCXYZabcxyz0189!#$%&'*+-^_`|~"
	name := []byte{"ABCXYZabcxyz0189!#$%&'*+-^`|~"[g.IntN(29)]} // not "__"
	for n := pick(g, 0, 6, 63, g.IntN(64)); len(name) <= n; {
		name = append(name, characters[g.IntN(len(characters))])
	}
	a.Name = pick(g, "", "__Host-", "__Host-", "__Secure-") + string(name)
	for range 1 + g.IntN(4) {
		k := key{Secret: hex.EncodeToString(g.bytes(32 + g.IntN(33)))}
		if g.IntN(2) == 0 {
			k.ActivateAt = a.Now + g.Int64N(2000) - 1000
		}
		if g.IntN(2) == 0 {
			k.RetireAt = a.Now + 366*24*3600 + g.Int64N(1000)
		}
		a.Keys = append(a.Keys, k)
	}
	a.Keys[0].ActivateAt = min(a.Keys[0].ActivateAt, a.Now)
	if g.IntN(2) == 0 {
		a.IdleTimeout = 1 + g.Int64N(7200)
	}
	return a
}

// begin makes the sessions and puts their cookies into the jars. Afterwards it's later for the visitors.
func (g generator) begin(t *testing.T, all []*visitor) {
	t.Helper()
	var requests []request
	var byNode []*visitor
	for _, v := range all {
		lifetime := 2 + g.Int64N(100*24*3600)
		expires := v.Now + lifetime
		mode := g.IntN(3)
		v.values = within(1000, func() map[string]any { return g.values(g.length(), 1) })
		if g.IntN(4) == 0 { // up to nine cookies
			n := pick(g, 23000, g.IntN(23000), g.IntN(23000))
			v.values["pad"] = pick[any](g, g.bytes(n), strings.Repeat("ü", n/2))
		}
		flash := map[string]any{}
		if g.IntN(3) == 0 {
			flash = within(400, func() map[string]any { return g.values(1+g.IntN(3), 1) })
		}
		if len(flash) > 0 {
			v.want.Flash, v.want.FlashValues = "opens", normal(describe(flash))
		}
		lasts := min(lifetime, 600) // until when all is valid
		if v.IdleTimeout > 0 && mode != 2 {
			lasts = min(lasts, v.IdleTimeout)
		}
		later := v.Now + g.Int64N(lasts)
		v.want.Session = "opens"

		if v.byNode {
			r := v.request()
			id := g.bytes(16)
			created := v.Now - g.Int64N(1000)
			r.Session = &content{
				ID: hex.EncodeToString(id), Created: created, Sealed: v.Now, Expires: expires, Mode: mode,
				CSRF: hex.EncodeToString(pick(g, nil, g.bytes(16))), Values: describe(v.values),
			}
			if len(flash) > 0 {
				r.Flash = &content{Expires: v.Now + 600, Values: describe(flash)}
			}
			if v.IdleTimeout > 0 && g.IntN(2) == 0 {
				r.Session.Sealed = created // without the lease, it would have been idle for long
				r.Lease = &content{ID: r.Session.ID, Seen: v.Now}
			}
			if _, large := v.values["pad"]; !large && len(fmt.Sprint(v.values, flash)) < 1000 {
				r.Parts = g.IntN(10)
			}
			v.want.ID, v.want.Created, v.want.Expires = r.Session.ID, describe(created), describe(expires)
			requests = append(requests, r)
			byNode = append(byNode, v)
		} else {
			at(t, v.Now, func(t *testing.T) {
				m := v.manager(t, func(c *cookiesession.Config) {
					c.Lifetime, c.Persistent = time.Duration(max(lifetime, v.IdleTimeout))*time.Second, mode == 1
				})
				s := load(m, nil)
				for key, value := range v.values {
					s.Put(key, value)
				}
				for key, value := range flash {
					s.Flash(key, value)
				}
				if mode == 2 {
					s.Remember(time.Duration(lifetime) * time.Second)
				}
				if g.IntN(2) == 0 || len(v.values) == 0 {
					v.csrf = s.CSRFToken()
					v.want.CSRF = []bool{true}
				}
				v.want.ID, v.want.Created, v.want.Expires = s.ID(), describe(s.CreatedAt().Unix()), describe(s.ExpiresAt().Unix())
				v.cookie = v.save(t, m, s)
				if v.IdleTimeout > 600 && mode != 2 && lasts > 200 { // a lease, which then counts
					time.Sleep(100 * time.Second)
					s = load(m, v.cookie)
					v.cookie = v.save(t, m, s)
					later = max(later, time.Now().Unix())
				}
			})
			v.Now = later
		}
		v.want.Values = normal(describe(v.values))
		if v.byNode {
			defer func() { v.Now = later }()
		}
	}
	for i, reply := range node(t, "seal", requests) {
		v := byNode[i]
		at(t, v.Now, func(*testing.T) { v.cookie = v.receive(v.jar, reply.SetCookie) })
	}
}

// save returns the Cookie header after a response that saves s.
func (v *visitor) save(t *testing.T, m *cookiesession.Manager, s *cookiesession.Session) []octets {
	t.Helper()
	h := http.Header{}
	if err := m.Save(h, s); err != nil {
		t.Error(err)
	}
	return v.receive(v.jar, h["Set-Cookie"])
}

// change has the other implementation change a value.
func (g generator) change(t *testing.T, all []*visitor) {
	t.Helper()
	var requests []request
	var byNode []*visitor
	for _, v := range all {
		changed := map[string]any{"changed": within(300, func() any { return g.value(1) })}
		if _, large := v.values["pad"]; large && g.IntN(2) == 0 {
			changed["pad"] = nil // so that there are stale cookies to delete
		}
		v.values = maps.Clone(v.values)
		maps.Copy(v.values, changed)
		v.want.Values = normal(describe(v.values))
		v.before = v.cookie
		if v.byNode {
			at(t, v.Now, func(t *testing.T) {
				m := v.manager(t, nil)
				s := load(m, v.cookie)
				for key, value := range changed {
					s.Put(key, value)
				}
				v.cookie = v.save(t, m, s)
			})
			continue
		}
		r := v.request()
		r.Change = describe(changed)
		requests = append(requests, r)
		byNode = append(byNode, v)
	}
	for i, reply := range node(t, "seal", requests) {
		v := byNode[i]
		at(t, v.Now, func(*testing.T) { v.cookie = v.receive(v.jar, reply.SetCookie) })
	}
}

// checkAll fails the test unless both implementations read what each visitor's session should hold, and would write
// the same bytes.
func checkAll(t *testing.T, all []*visitor, when string) {
	t.Helper()
	requests := make([]request, len(all))
	for i, v := range all {
		requests[i] = v.request()
		if v.csrf != "" {
			requests[i].CSRF = []string{v.csrf}
		}
	}
	for i, reply := range node(t, "open", requests) {
		v, r := all[i], &requests[i]
		fail := func(format string, args ...any) {
			t.Errorf("visitor %d, %s: "+format+"\nrequest: %s", append(append([]any{i, when}, args...), r)...)
		}
		if got, want := reply.outcome.String(), v.want.String(); got != want {
			fail("node got %s, want %s", got, want)
		}
		if !reply.Canonical || reply.Flash == "opens" && !reply.FlashCanonical {
			fail("node would write other bytes than %s %s", reply.Payload, reply.FlashPayload)
		}
		if reply.CSRFToken != "" && v.byNode {
			r.CSRF = []string{reply.CSRFToken}
			v.want.CSRF = []bool{true}
		}
		if got, want := r.open(t).String(), v.want.String(); got != want {
			fail("the library got %s, want %s", got, want)
		}
		v.want.CSRF = v.want.CSRF[:min(len(v.want.CSRF), len(v.csrf))]
		at(t, v.Now, func(t *testing.T) {
			s := load(v.manager(t, nil), v.cookie)
			for key, value := range v.values {
				s.Put(key, value)
			}
			if s.Changed() {
				fail("the library would write other bytes than %s", reply.Payload)
			}
		})
		if t.Failed() {
			t.FailNow()
		}
	}
}

// cookies returns how many cookies a compartment's text is in.
func (v *visitor) cookies(base string) (n int) {
	for _, pair := range strings.Split(string(v.cookie[0]), "; ") {
		if value, ok := strings.CutPrefix(pair, base+"="); ok {
			n = int(value[0] - '0')
		}
	}
	return n
}

// TestSessions writes random sessions by one implementation, reads them by both, changes them by the other, and reads
// them again.
func TestSessions(t *testing.T) {
	all := newVisitors(t, newGenerator(t, 1), visitors)
	counts := make(map[string]int)
	sizes := make(map[int]int)
	for _, v := range all {
		counts[pick2(v.byNode, "sealed by Node, changed by Go", "sealed by Go, changed by Node")]++
		sizes[v.cookies(v.Name)]++
		if v.cookies(v.Name+".flash") > 0 {
			counts["with flash"]++
		}
		if v.cookies(v.Name+".lease") > 0 {
			counts["with lease"]++
		}
		if v.want.CSRF != nil || v.csrf != "" {
			counts["with CSRF token of Go"]++
		}
	}
	for n := 1; n <= 9; n++ {
		if sizes[n] == 0 {
			t.Errorf("no session in %d cookies", n)
		}
	}
	t.Logf("%d sessions: %v; by number of cookies: %v", len(all), counts, sizes)
}

func pick2(which bool, yes, no string) string {
	if which {
		return yes
	}
	return no
}
