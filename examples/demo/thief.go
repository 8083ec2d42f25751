package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/seed-50e21e88/cookiesession"
	"github.com/seed-50e21e88/cookiesession/internal/cookiename"
)

const (
	maxLoot    = 64                          // thefts of which the thief keeps cookies at a time: the oldest make room
	keepLoot   = deviceProof + 6*time.Minute // long enough to see every proof in it run out
	tryEvery   = 4 * time.Second             // at most so often, however often the page asks
	maxStreaks = 6                           // what is told of a copy's past
	lootSlack  = 4096                        // bytes that lease, markers and device cookies may take beside MaxSize
)

// A thief copies a visitor's cookies, as malware does that reads a browser's files, and uses the copies himself. This one
// works here, at the visitor's wish, to show what copies are good for. His notebook is all that the demo keeps of anybody:
// in memory, for minutes. What is in it is never shown. He works while somebody watches.
type thief struct {
	site http.Handler // which he visits as everybody does

	mu       sync.Mutex
	notebook map[string]*loot // by an ID that only the visitor's browser has
}

func newThief() *thief { return &thief{notebook: map[string]*loot{}} }

// A loot is one visitor's cookies.
type loot struct {
	taken     time.Time
	burning   *time.Timer // that removes it, whether or not somebody watches
	bound     bool
	refusedAt time.Time // when the whole jar will be: at the end of its proof or of the session

	mu     sync.Mutex
	tried  time.Time
	copies []*stolen
}

// A stolen jar is a copy of the cookies, perhaps without some.
type stolen struct {
	missing string // device or proof; "": it is whole
	jar     jar
	streaks []streak
}

// A streak is the same answer to several tries, one after the other.
type streak struct {
	Refused  string // why; "": accepted
	User     string // as whom
	From, To time.Time
	Times    int
}

func (a *app) steal(w http.ResponseWriter, r *http.Request) {
	whole := jar{}
	for name, value := range jarOf(r) {
		if kind, _ := a.kindOf(name); kind != cookiename.Other { // what else runs on localhost is none of his business
			whole[strings.Clone(name)] = strings.Clone(value) // parts of the header would keep all of it in memory
		}
	}
	n := notice{Card: "device", Text: "The thief has a copy of your cookies, and tries it."}
	if len(whole.header()) > a.maxSize+lootSlack {
		n.Text, n.Problem = "That is more than the thief can carry: your browser has too many cookies of ended sessions.", true
		a.back(w, r, n)
		return
	}
	s := a.sessions.Get(r)
	l := &loot{taken: time.Now(), bound: s.DeviceProven(), refusedAt: s.ExpiresAt(), copies: []*stolen{{jar: whole}}}
	if l.bound {
		if _, until := proofOf(a.inspector.Inspect(cookieHeader(r)), s.ID()); until.Before(l.refusedAt) {
			l.refusedAt = until
		}
	}
	for _, kind := range []cookiename.Kind{cookiename.Proof, cookiename.Device} {
		rest := jar{}
		for name, value := range whole {
			if is, _ := a.kindOf(name); is != kind {
				rest[name] = value
			}
		}
		if len(rest) < len(whole) {
			l.copies = append(l.copies, &stolen{missing: kinds[kind].purpose, jar: rest})
		}
	}
	http.SetCookie(w, &http.Cookie{
		Name: a.notebookCookie(), Value: a.thief.keep(l, a.notebookID(r)), Path: "/", MaxAge: int(keepLoot / time.Second),
		Secure: !a.insecure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
	a.back(w, r, n)
}

// notebookCookie names the cookie that finds the visitor's page of the notebook. It isn't in the session, so that
// whoever logs out can see what that does to the copy.
func (a *app) notebookCookie() string {
	if a.insecure {
		return "thief"
	}
	return "__Host-thief"
}

// notebookID returns the ID in that cookie, "" without one.
func (a *app) notebookID(r *http.Request) string {
	c, err := r.Cookie(a.notebookCookie())
	if err != nil {
		return ""
	}
	return c.Value
}

// loot returns what the thief has of the visitor who sent r, having tried it; nil if that is nothing.
func (a *app) loot(r *http.Request, now time.Time) *lootView {
	l := a.thief.find(a.notebookID(r), now)
	if l == nil {
		return nil
	}
	return l.try(a.thief.site, now)
}

// keep notes a loot in the place of the visitor's last one, and returns the ID by which to find it.
func (t *thief) keep(l *loot, last string) (id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.burn(l.taken)
	t.remove(last)
	if len(t.notebook) >= maxLoot {
		oldest := ""
		for id, other := range t.notebook {
			if oldest == "" || other.taken.Before(t.notebook[oldest].taken) {
				oldest = id
			}
		}
		t.remove(oldest)
	}
	id = rand.Text()
	t.notebook[id] = l
	l.burning = time.AfterFunc(keepLoot, func() { t.find("", time.Now()) })
	return id
}

func (t *thief) find(id string, now time.Time) *loot {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.burn(now)
	return t.notebook[id]
}

// burn removes what is too old. The caller holds t.mu.
func (t *thief) burn(now time.Time) {
	for id, l := range t.notebook {
		if now.Sub(l.taken) >= keepLoot {
			t.remove(id)
		}
	}
}

// remove forgets a loot, if there is one. The caller holds t.mu.
func (t *thief) remove(id string) {
	if l := t.notebook[id]; l != nil {
		l.burning.Stop()
		delete(t.notebook, id)
	}
}

// try uses each copy once, unless that has been done just now, and returns what came of it so far.
func (l *loot) try(site http.Handler, now time.Time) *lootView {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.tried) >= tryEvery {
		l.tried = now
		for _, c := range l.copies {
			c.note(c.visit(site), now)
		}
	}
	v := &lootView{Bound: l.bound, RefusedAt: l.refusedAt, BurnedAt: l.taken.Add(keepLoot)}
	for _, c := range l.copies {
		v.Copies = append(v.Copies, copyView{c.missing, slices.Clone(c.streaks)})
	}
	return v
}

// visit asks the site, from elsewhere, whose session the copy is. That reads and changes nothing; what cookies the answer
// sets all the same, such as the lease of a session that idles out, the thief keeps, as a browser would.
func (c *stolen) visit(site http.Handler) streak {
	r, err := http.NewRequest(http.MethodGet, "/api/session", nil)
	if err != nil {
		panic(err) // nothing of it is a visitor's
	}
	r.Header.Set("Cookie", c.jar.header())
	w := answer{header: http.Header{}, status: http.StatusOK}
	site.ServeHTTP(&w, r)
	if w.status != http.StatusOK {
		return streak{Refused: fmt.Sprint("status ", w.status)}
	}
	var says struct{ ID, User, Refused string }
	if err := json.Unmarshal(w.body.Bytes(), &says); err != nil {
		return streak{Refused: "no answer"}
	}
	if says.ID == "" {
		if says.Refused == "" {
			says.Refused = "no session"
		}
		return streak{Refused: says.Refused}
	}
	c.jar.receive(w.header)
	return streak{User: says.User}
}

func (c *stolen) note(result streak, now time.Time) {
	if last := len(c.streaks) - 1; last >= 0 && c.streaks[last].Refused == result.Refused && c.streaks[last].User == result.User {
		c.streaks[last].To = now
		c.streaks[last].Times++
		return
	}
	result.From, result.To, result.Times = now, now, 1
	c.streaks = append(c.streaks, result)
	c.streaks = c.streaks[max(0, len(c.streaks)-maxStreaks):]
}

// An answer is a response that the thief keeps in memory.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *answer) Header() http.Header         { return w.header }
func (w *answer) WriteHeader(status int)      { w.status = status }
func (w *answer) Write(b []byte) (int, error) { return w.body.Write(b) }

// A lootView is what the page tells of a loot: nothing that is in it.
type lootView struct {
	Bound     bool
	RefusedAt time.Time // the whole jar
	BurnedAt  time.Time // what the thief has
	Copies    []copyView
}

type copyView struct {
	Missing string
	Streaks []streak // oldest first, never none
}

func (c copyView) Last() streak   { return c.Streaks[len(c.Streaks)-1] }
func (c copyView) Accepted() bool { return c.Last().Refused == "" }

// Before returns the streaks before the last, newest first.
func (c copyView) Before() []streak {
	before := slices.Clone(c.Streaks[:len(c.Streaks)-1])
	slices.Reverse(before)
	return before
}

// Accepted reports whether a copy is.
func (v *lootView) Accepted() bool { return slices.ContainsFunc(v.Copies, copyView.Accepted) }

// ProofIsOver reports whether the whole jar is refused because the proof in it has run out.
func (v *lootView) ProofIsOver() bool {
	return v.Copies[0].Last().Refused == cookiesession.ReasonUnproven.String()
}

// Said says in a sentence how things stand, for those who hear the page. It changes only when that does.
func (v *lootView) Said() string {
	var parts []string
	for _, c := range v.Copies {
		name := "the whole jar"
		if c.Missing != "" {
			name = "the jar without " + c.Missing
		}
		verdict := "is accepted"
		if !c.Accepted() {
			verdict = "is refused: " + c.Last().Refused
		}
		parts = append(parts, name+" "+verdict)
	}
	return "Stolen: " + strings.Join(parts, "; ") + "."
}
