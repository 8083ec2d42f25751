package main

import (
	"errors"
	"net/http"
	"slices"
	"time"
)

func (a *app) sessionsPage(w http.ResponseWriter, r *http.Request, v *visit) {
	logins, err := a.store.logins(r.Context(), v.user.ID, time.Now())
	if err != nil {
		a.fail(w, r, err)
		return
	}
	a.show(w, r, http.StatusOK, "sessions", "My sessions", struct {
		Logins  []login
		Current string
	}{logins, v.login.ID})
}

// endSession ends one session of the visitor's own.
func (a *app) endSession(w http.ResponseWriter, r *http.Request, v *visit) {
	id := r.PostFormValue("login")
	logins, err := a.store.logins(r.Context(), v.user.ID, time.Now())
	n := notice{Text: "This session has ended already.", Problem: true}
	if err == nil && slices.ContainsFunc(logins, func(l login) bool { return l.ID == id }) {
		n = notice{Text: "The session has ended."}
		err = a.endLogin(r.Context(), id)
	}
	if err != nil {
		a.fail(w, r, err)
		return
	}
	a.redirect(w, r, "/sessions", n)
}

func (a *app) endOtherSessions(w http.ResponseWriter, r *http.Request, v *visit) {
	if a.endOthers(w, r, v, "") {
		a.redirect(w, r, "/sessions", notice{Text: "All your other sessions have ended."})
	}
}

func (a *app) passwordPage(w http.ResponseWriter, r *http.Request, _ *visit) {
	a.show(w, r, http.StatusOK, "password", "Change your password", newPasswordForm{Min: minPassword, Change: true})
}

func (a *app) changePassword(w http.ResponseWriter, r *http.Request, v *visit) {
	password, problem := newPassword(r)
	if problem != "" {
		a.redirect(w, r, "/password", notice{Text: problem, Problem: true})
		return
	}
	hash, err := a.hasher.hash(r.Context(), password)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	if a.endOthers(w, r, v, hash) {
		a.redirect(w, r, "/sessions", notice{Text: "Your password is changed, and all your other sessions have ended."})
	}
}

// endOthers ends all sessions of v's account but v, and changes the password's hash unless that is "". If it returns
// false, the request has been answered.
func (a *app) endOthers(w http.ResponseWriter, r *http.Request, v *visit, hash string) bool {
	version, err := a.store.endOthers(r.Context(), v.user, v.login.ID, hash)
	if err == nil {
		renew(v.Session, v.Remembered())
		err = a.revoker.endOthers(r.Context(), v.Session, version)
	}
	switch {
	case errors.Is(err, errEnded):
		a.redirect(w, r, "/login", notice{Text: "Somebody else ended this session first. Nothing was changed.", Problem: true})
	case err != nil:
		a.fail(w, r, err)
	}
	return err == nil
}
