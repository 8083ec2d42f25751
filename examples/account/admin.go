package main

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
)

var roles = []string{roleBlocked, roleMember, roleAdmin}

func (a *app) adminPage(w http.ResponseWriter, r *http.Request, v *visit) {
	users, err := a.store.users(r.Context())
	if err != nil {
		a.fail(w, r, err)
		return
	}
	a.show(w, r, http.StatusOK, "admin", "Accounts and roles", struct {
		Users []user
		Roles []string
	}{users, roles})
}

// changeRole changes what an account may do: its next request has the new role, since each reads it. Blocking ends its
// sessions for good; whoever is let in again logs in again.
func (a *app) changeRole(w http.ResponseWriter, r *http.Request, v *visit) {
	id, role := accountOf(r), r.PostFormValue("role")
	if id == v.user.ID || !slices.Contains(roles, role) {
		a.redirect(w, r, "/admin", notice{Text: "Nobody changes the role of their own account.", Problem: true})
		return
	}
	err := a.store.setRole(r.Context(), id, role)
	if err == nil && role == roleBlocked {
		err = a.endAll(r.Context(), id)
	}
	a.doneByAdmin(w, r, err, "The role is changed, and counts from now on.")
}

func (a *app) endSessionsOfUser(w http.ResponseWriter, r *http.Request, _ *visit) {
	a.doneByAdmin(w, r, a.endAll(r.Context(), accountOf(r)), "All sessions of the account have ended.")
}

func (a *app) endAll(ctx context.Context, userID int64) error {
	if err := a.store.endAll(ctx, userID); err != nil {
		return err
	}
	return a.revoker.endAll(context.WithoutCancel(ctx), userID)
}

func (a *app) doneByAdmin(w http.ResponseWriter, r *http.Request, err error, done string) {
	switch {
	case errors.Is(err, errNoUser):
		a.redirect(w, r, "/admin", notice{Text: "There is no such account.", Problem: true})
	case err != nil:
		a.fail(w, r, err)
	default:
		a.redirect(w, r, "/admin", notice{Text: done})
	}
}

// accountOf returns the form's account, or 0, which nobody has.
func accountOf(r *http.Request) int64 {
	id, _ := strconv.ParseInt(r.PostFormValue("account"), 10, 64)
	return id
}
