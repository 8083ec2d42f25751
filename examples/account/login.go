package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/seed-50e21e88/cookiesession"
)

// minPassword is in characters (NIST SP 800-63B-4, 3.1.1.2, for a password that is the only factor), maxPassword in bytes.
// An application of your own should refuse what is on lists of stolen passwords, too.
const (
	minPassword = 15
	maxPassword = 1024
)

// Names are plain, so that no two look alike.
var goodName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,31}$`)

func nameOf(r *http.Request) string {
	return strings.ToLower(strings.TrimSpace(r.PostFormValue("name")))
}

// A newPasswordForm is what the fields for a new password need to know.
type newPasswordForm struct {
	Min    int
	Change bool
}

// newPassword returns the password of a form that sets one, or what is wrong with it.
func newPassword(r *http.Request) (password, problem string) {
	password = r.PostFormValue("password")
	switch {
	case utf8.RuneCountInString(password) < minPassword:
		return "", fmt.Sprintf("A password has at least %d characters. A few words do.", minPassword)
	case len(password) > maxPassword:
		return "", "This password is too long."
	case password != r.PostFormValue("again"):
		return "", "The two passwords differ."
	}
	return password, ""
}

func (a *app) home(w http.ResponseWriter, r *http.Request) {
	a.show(w, r, http.StatusOK, "home", "Accounts", nil)
}

func (a *app) registerPage(w http.ResponseWriter, r *http.Request) {
	a.show(w, r, http.StatusOK, "register", "Register", newPasswordForm{Min: minPassword})
}

func (a *app) loginPage(w http.ResponseWriter, r *http.Request) {
	a.show(w, r, http.StatusOK, "login", "Log in", int(rememberFor.Hours()/24))
}

// register adds an account and logs in. That a name is taken can't be hidden where people choose names; with e-mail
// addresses, say "we have sent you a message" in either case.
func (a *app) register(w http.ResponseWriter, r *http.Request) {
	name := nameOf(r)
	password, problem := newPassword(r)
	if !goodName.MatchString(name) {
		problem = "A name has up to 32 letters a to z, digits, dots, hyphens and underscores, and begins with a letter or digit."
	}
	if problem != "" {
		a.redirect(w, r, "/register", notice{Text: problem, Problem: true, Name: name})
		return
	}
	if wait := a.throttle.address.take(addressOf(r)); wait > 0 {
		a.refuse(w, r, throttledError(wait), "")
		return
	}
	keep := a.revoker.begin()
	hash, err := a.hasher.hash(r.Context(), password)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	u, err := a.store.addUser(r.Context(), name, hash)
	if errors.Is(err, errTaken) {
		a.redirect(w, r, "/register", notice{Text: "This name is taken.", Problem: true, Name: name})
		return
	}
	if err == nil {
		err = a.startSession(r, u, keep)
	}
	if err != nil {
		a.fail(w, r, err)
		return
	}
	a.redirect(w, r, "/", notice{Text: "Welcome, " + u.Name + "."})
}

func (a *app) logIn(w http.ResponseWriter, r *http.Request) {
	name := nameOf(r)
	keep := a.revoker.begin() // before the account is read
	u, err := a.authenticate(r, name, r.PostFormValue("password"))
	if err == nil {
		err = a.startSession(r, u, keep)
	}
	if err != nil {
		a.refuse(w, r, err, withNext("/login", nextOf(r)))
		return
	}
	a.redirect(w, r, returnTo(r), notice{Text: "You are logged in as " + u.Name + "."})
}

var errWrong = errors.New("name or password is wrong")

// A throttledError says how long to wait.
type throttledError time.Duration

func (e throttledError) Error() string { return "too many attempts" }

// authenticate returns the account that has this name and password. Everything else is errWrong, after the same time and
// with the same text: no such account, another password, blocked.
func (a *app) authenticate(r *http.Request, name, password string) (user, error) {
	address := addressOf(r)
	if wait := a.throttle.take(name, address); wait > 0 {
		return user{}, throttledError(wait)
	}
	u, err := a.store.userByName(r.Context(), name)
	if err != nil && !errors.Is(err, errNoUser) {
		return user{}, err
	}
	right, err := a.hasher.check(r.Context(), password, u.password)
	if err != nil {
		return user{}, err
	}
	if !right || u.Role == roleBlocked {
		return user{}, errWrong
	}
	a.throttle.giveBack(name, address)
	return u, nil
}

// startSession makes the session of r one in which u is logged in. keep is what the revoker began with before u was
// read. If u's sessions have been ended since, it returns errEnded and leaves the session alone.
func (a *app) startSession(r *http.Request, u user, keep func(*cookiesession.Session, user)) error {
	before, err := a.visit(r)
	if err != nil {
		return err
	}
	remember := r.PostFormValue("remember") != ""
	now := time.Now()
	l := login{ID: rand.Text(), Device: describeDevice(r.UserAgent()), Created: now, Seen: now, expires: now.Add(idleTimeout + seenEvery)}
	if remember {
		l.expires = now.Add(rememberFor)
	}
	if err := a.store.addLogin(r.Context(), u, l); err != nil {
		return err
	}
	if before != nil {
		if err := a.endLogin(r.Context(), before.login.ID); err != nil {
			return err
		}
	}
	s := a.sessions.Get(r)
	s.Clear() // of what an earlier user of this browser had
	userID.Put(s, u.ID)
	loginID.Put(s, l.ID)
	confirmedAt.Put(s, now)
	renew(s, remember)
	keep(s, u)
	return nil
}

// renew gives a session a new ID and lifetime, as it must have whenever a password was checked or changed. Regenerate
// drops Remember, so that is said again.
func renew(s *cookiesession.Session, remember bool) {
	s.Regenerate()
	if remember {
		s.Remember(rememberFor)
	}
}

// refuse answers a login, or a confirmation, that failed.
func (a *app) refuse(w http.ResponseWriter, r *http.Request, err error, back string) {
	var throttled throttledError
	switch {
	case errors.As(err, &throttled):
		seconds := int(time.Duration(throttled)/time.Second) + 1
		w.Header().Set("Retry-After", fmt.Sprint(seconds))
		a.show(w, r, http.StatusTooManyRequests, "problem", "Too many attempts", fmt.Sprintf("Please wait %d seconds, then try again.", seconds))
	case errors.Is(err, errWrong):
		a.redirect(w, r, back, notice{Text: "Name or password is wrong.", Problem: true, Name: nameOf(r)})
	case errors.Is(err, errEnded):
		a.redirect(w, r, back, notice{Text: "The account was changed while you logged in. Please try again.", Problem: true, Name: nameOf(r)})
	default:
		a.fail(w, r, err)
	}
}

// logOut ends the session, here and in every copy of its cookie.
func (a *app) logOut(w http.ResponseWriter, r *http.Request) {
	v, err := a.visit(r)
	if err == nil && v != nil {
		err = a.endLogin(r.Context(), v.login.ID)
	}
	if err != nil {
		a.log.Error("login not ended: copies of the session's cookie go on", "error", err)
	}
	a.sessions.Get(r).Destroy()
	a.redirect(w, r, "/", notice{Text: "You are logged out."})
}

func (a *app) endLogin(ctx context.Context, id string) error {
	ctx = context.WithoutCancel(ctx) // also if the browser has gone meanwhile
	if err := a.revoker.endLogin(ctx, id); err != nil {
		return err
	}
	return a.store.endLogin(ctx, id)
}

func (a *app) confirmPage(w http.ResponseWriter, r *http.Request, _ *visit) {
	a.show(w, r, http.StatusOK, "confirm", "Is it you?", int(confirmFor.Minutes()))
}

// confirm checks the password again. It doesn't tell the revoker: if the session is over by the time that the password
// has been checked, it stays so.
func (a *app) confirm(w http.ResponseWriter, r *http.Request, v *visit) {
	if _, err := a.authenticate(r, v.user.Name, r.PostFormValue("password")); err != nil {
		a.refuse(w, r, err, withNext("/confirm", nextOf(r)))
		return
	}
	confirmedAt.Put(v.Session, time.Now())
	renew(v.Session, v.Remembered())
	if err := a.touch(r.Context(), v); err != nil {
		a.fail(w, r, err)
		return
	}
	http.Redirect(w, r, returnTo(r), http.StatusSeeOther)
}
