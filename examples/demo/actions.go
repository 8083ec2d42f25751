package main

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"slices"
	"sort"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/seed-50e21e88/cookiesession"
)

// back ends a POST: the browser loads the home page, which shows the notice and puts the reader there. A session may be
// so full that the notice finds no room beside it. What was done is done then, so the answer says so itself.
func (a *app) back(w http.ResponseWriter, r *http.Request, n notice) {
	s := a.sessions.Get(r)
	if size := s.Size(); size <= a.maxSize && size+n.room() > a.maxSize {
		p := problemPage{page: a.page("Done"), Back: "/#" + n.Card}
		p.User = user.Get(s)
		if n.Problem {
			p.Title = "Not done"
		}
		p.Text = n.Text + " (You read this here because your session is so full that a flash message no longer fits beside it.)"
		commit(w, http.StatusOK)
		a.render(w, "problem", p)
		return
	}
	flashed.Flash(s, n)
	http.Redirect(w, r, "/#notice", http.StatusSeeOther)
}

// room returns at least as many bytes as the cookie of a flash message takes that is n: 4 for 3 of its parts, its field
// names, and all that a sealed text has around it.
func (n notice) room() int { return 4*(len(n.Card)+len(n.Text)+128)/3 + 32 }

// nameFrom returns the form's name, and false if it is no name.
func nameFrom(r *http.Request) (string, bool) {
	name := strings.Join(strings.Fields(r.PostFormValue("name")), " ")
	return name, name != "" && utf8.ValidString(name) && utf8.RuneCountInString(name) <= 40
}

func (a *app) setName(w http.ResponseWriter, r *http.Request) {
	name, ok := nameFrom(r)
	if !ok {
		a.back(w, r, notice{Card: "session", Text: "A name has 1 to 40 characters.", Problem: true})
		return
	}
	nickname.Put(a.sessions.Get(r), name)
	a.back(w, r, notice{Card: "session", Text: "Your name is " + name + "."})
}

func (a *app) changeCart(w http.ResponseWriter, r *http.Request) {
	op, id, _ := strings.Cut(r.PostFormValue("op"), " ")
	i := slices.IndexFunc(products, func(p product) bool { return p.ID == id })
	s := a.sessions.Get(r)
	n := notice{Card: "cart"}
	switch {
	case op == "empty":
		cart.Delete(s)
		n.Text = "Your cart is empty."
	case i < 0 || op != "add" && op != "remove":
		n.Text, n.Problem = "There is no such thing on sale.", true
	case op == "add":
		cart.Update(s, func(c map[string]int) map[string]int { return with(c, id, +1) })
		n.Text = products[i].Name + ": one more in your cart."
	default:
		cart.Update(s, func(c map[string]int) map[string]int { return with(c, id, -1) })
		n.Text = products[i].Name + ": one fewer in your cart."
	}
	a.back(w, r, n)
}

// with returns the cart c with by more of a product, between none and 99.
func with(c map[string]int, id string, by int) map[string]int {
	if c == nil {
		c = map[string]int{}
	}
	c[id] = min(c[id]+by, 99)
	if c[id] <= 0 {
		delete(c, id)
	}
	return c
}

func (a *app) login(w http.ResponseWriter, r *http.Request) {
	name, ok := nameFrom(r)
	if !ok {
		a.back(w, r, notice{Card: "login", Text: "A name has 1 to 40 characters.", Problem: true})
		return
	}
	s := a.sessions.Get(r)
	s.Regenerate()
	user.Put(s, name)
	text := "You are logged in as " + name + "."
	if r.PostFormValue("remember") != "" {
		s.Remember(rememberFor)
		text += " This browser remembers you for 30 days."
	}
	a.back(w, r, notice{Card: "login", Text: text})
}

func (a *app) logout(w http.ResponseWriter, r *http.Request) {
	a.sessions.Get(r).Destroy()
	a.back(w, r, notice{Card: "login", Text: "You are logged out. The old session is refused in this browser from now on."})
}

// last says how long the session is to last.
func (a *app) last(w http.ResponseWriter, r *http.Request) {
	s := a.sessions.Get(r)
	n := notice{Card: "session"}
	switch r.PostFormValue("op") {
	case "persist":
		s.Persist(true)
		n.Text = "Close the browser: the session is still there when you come back."
	case "close":
		s.Persist(false)
		n.Text = "The session ends when you close the browser."
	case "minute":
		s.ExpireIn(time.Minute)
		n.Text = "The session ends in a minute, even if it is used."
	default:
		n.Text, n.Problem = "There is no such choice.", true
	}
	a.back(w, r, n)
}

func (a *app) clear(w http.ResponseWriter, r *http.Request) {
	a.sessions.Get(r).Clear()
	a.back(w, r, notice{Card: "session", Text: "Every value is gone, and with them your login. The session and its ID go on."})
}

// fill stores or drops filler. It flashes nothing: the message would take of the room that it reports on.
func (a *app) fill(w http.ResponseWriter, r *http.Request) {
	s := a.sessions.Get(r)
	held := len(filler.Get(s))
	switch r.PostFormValue("op") {
	case "more":
		setFiller(s, held+1000)
	case "byte":
		setFiller(s, held+1)
	case "full":
		// The least filler that is too much, minus one. It takes less than a byte of filler for each byte of cookie.
		n := sort.Search(a.maxSize, func(n int) bool {
			setFiller(s, n)
			return s.Size() > a.maxSize
		})
		setFiller(s, max(0, n-1))
	case "drop":
		filler.Delete(s)
	}
	http.Redirect(w, r, "/#cookies", http.StatusSeeOther)
}

// setFiller makes the session hold n bytes that nothing compresses. A session that fills up without ever having
// answered a form still needs room for the form's token.
func setFiller(s *cookiesession.Session, n int) {
	s.CSRFToken()
	held := filler.Get(s)
	if n <= len(held) {
		held = held[:n]
	} else {
		more := make([]byte, n-len(held))
		rand.Read(more)
		held = append(held, more...)
	}
	filler.Put(s, held)
}

func (a *app) rotate(w http.ResponseWriter, r *http.Request) {
	label, err := a.keys.rotate(time.Now())
	if err != nil {
		a.back(w, r, notice{Card: "keys", Text: "Not rotated: " + err.Error() + ".", Problem: true})
		return
	}
	a.back(w, r, notice{Card: "keys", Text: fmt.Sprintf("%s seals from now on. Your cookies came under an older key, and they opened.", label)})
}

// endAll refuses every session that exists, then waits until new ones count as new: creation times are whole seconds.
func (a *app) endAll(w http.ResponseWriter, r *http.Request) {
	from := time.Now().Truncate(time.Second).Add(time.Second)
	if err := a.keys.endAll(from); err != nil {
		a.back(w, r, notice{Card: "keys", Text: "Nobody was logged out: " + err.Error() + ".", Problem: true})
		return
	}
	timer := time.NewTimer(time.Until(from))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
	}
	a.back(w, r, notice{Card: "keys", Text: "Every session that existed is refused, yours too: this one is new."})
}
