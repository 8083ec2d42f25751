package main

import (
	"net/http"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

// maxWait is the longest that the slow page can be made to take.
const maxWait = 15 * time.Second

// page is what every page has.
type page struct {
	Title  string
	Server string
	User   string // logged in, or ""
	CSRF   string
	Notice notice
}

func (a *app) page(title string) page { return page{Title: title, Server: a.server} }

// visitorPage is a page for the visitor whose session is s: it shows a waiting notice and may hold forms.
func (a *app) visitorPage(title string, s *cookiesession.Session) page {
	p := a.page(title)
	p.User = user.Get(s)
	p.CSRF = s.CSRFToken()
	p.Notice = flashed.Flashed(s)
	return p
}

type problemPage struct {
	page
	Text string
	Back string
	Size *cookiesession.SizeError
}

type homePage struct {
	page
	ID         string
	Visits     visits
	Before     time.Time // the visit before this one
	Uncounted  bool      // no room was left to count this view
	Now        time.Time
	Name       string
	ExpiresAt  time.Time
	IdleAt     time.Time     // zero: the session does not idle out
	Idle       time.Duration // after which a session does that isn't remembered; 0: none does
	Mode       string        // what ends the session beside times: browser, persistent or remembered
	Remembered bool
	Refused    string // why the cookie that came was refused

	Cart  []cartLine
	Total int

	Device deviceView

	Cookies       []heldCookie
	Size, MaxSize int
	Filler        int

	OpenedBy, SealedBy string
	Keys               []keyLine
	OwnKeys            bool // this server made its keys and may change them
	KeysNote           string

	Snippets []snippet
}

// Left returns how much time is left until t.
func (p homePage) Left(t time.Time) time.Duration { return t.Sub(p.Now) }

type cartLine struct {
	product
	Count int
}

type product struct {
	ID, Name string
	Cents    int
}

var products = []product{
	{"oat", "Oat biscuits", 280},
	{"ginger", "Ginger snaps", 320},
	{"almond", "Almond crescents", 410},
	{"short", "Shortbread", 360},
}

type keyLine struct {
	cookiesession.KeyInfo
	cookiesession.KeyStats
}

func (a *app) home(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	s := a.sessions.Get(r)
	p := homePage{
		page: a.visitorPage("Your session", s),
		Now:  now, Before: visited.Get(s).Last, Name: nickname.Get(s),
		Idle: a.idle, MaxSize: a.maxSize, Filler: len(filler.Get(s)),
		Device:   a.device(r, s, now),
		OpenedBy: a.openedBy(r), OwnKeys: a.keys.source == keysMade, KeysNote: a.keys.note(),
		Snippets: a.snippets,
	}
	if rejected := s.Rejected(); rejected != nil {
		p.Refused = why(rejected.Reason)
	}
	p.Visits, p.Uncounted = a.countView(s, now)
	inCart := cart.Get(s)
	for _, item := range products {
		p.Cart = append(p.Cart, cartLine{item, inCart[item.ID]})
		p.Total += item.Cents * inCart[item.ID]
	}

	commit(w, http.StatusOK) // from here on the session is as the browser will hold it
	p.ID, p.Size = s.ID(), s.Size()
	p.ExpiresAt, p.IdleAt, p.Remembered = s.ExpiresAt(), s.IdleAt(), s.Remembered()
	cookies, session := a.held(r, w.Header())
	p.Cookies, p.SealedBy, p.Mode = cookies, session.KeyLabel, session.Mode
	stats := a.sessions.Stats().Keys
	for _, key := range a.keys.Keys() {
		p.Keys = append(p.Keys, keyLine{key, stats[key.Label]})
	}
	a.render(w, "home", p)
}

// why explains a refusal to people.
func why(reason cookiesession.Reason) string {
	switch reason {
	case cookiesession.ReasonIdle:
		return "Idle: nobody used it for too long."
	case cookiesession.ReasonExpired:
		return "Expired: its lifetime is over."
	case cookiesession.ReasonEnded:
		return "Ended: it was logged out in this browser, and a response that was under way has set its cookies again."
	case cookiesession.ReasonRevoked:
		return "Revoked: everyone was logged out."
	case cookiesession.ReasonUnproven:
		return "Unproven: it is bound to a device, and no proof of that device came with it."
	case cookiesession.ReasonUnknownKey:
		return "Unknown key: no key of this server opens it."
	default:
		return "The reason: " + reason.String() + "."
	}
}

// countView counts a view of the page, unless the session is so full that the count would not fit: then the visitor
// still needs the page, to make room.
func (a *app) countView(s *cookiesession.Session, now time.Time) (v visits, full bool) {
	before, counted := visited.Get(s), visited.Has(s)
	v = visits{Views: before.Views + 1, First: before.First, Last: now}
	if !counted {
		v.First = now
	}
	visited.Put(s, v)
	if s.Size() <= a.maxSize {
		return v, false
	}
	if counted {
		visited.Put(s, before)
	} else {
		visited.Delete(s)
	}
	return before, true
}

func (a *app) members(w http.ResponseWriter, r *http.Request) {
	s := a.sessions.Get(r)
	if user.Get(s) == "" {
		a.back(w, r, notice{Card: "login", Text: "The members’ page is for those who are logged in.", Problem: true})
		return
	}
	p := struct {
		page
		ID    string
		Since time.Time
	}{a.visitorPage("Members", s), s.ID(), s.CreatedAt()}
	commit(w, http.StatusOK)
	a.render(w, "members", p)
}

// slow reads the session, takes its time, and changes the session: whatever the visitor does meanwhile in another tab
// meets this response afterwards.
func (a *app) slow(w http.ResponseWriter, r *http.Request) {
	wait, err := time.ParseDuration(r.FormValue("wait"))
	if err != nil {
		wait = 5 * time.Second
	}
	wait = max(0, min(wait, maxWait))
	s := a.sessions.Get(r)
	p := struct {
		page
		ID    string
		Wait  time.Duration
		Count int
	}{page: a.page("A slow page"), ID: s.ID(), Wait: wait}
	p.User = user.Get(s)

	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
		return
	}
	p.Count = slowPages.Update(s, func(n int) int { return n + 1 })
	commit(w, http.StatusOK)
	a.render(w, "slow", p)
}
