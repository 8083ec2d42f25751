package main

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

// What the session of somebody who is logged in holds, beside what a revoker puts there. The role isn't among it: it is
// read from the account at every request, so that a change counts at once.
const (
	userID      = cookiesession.Field[int64]("user")
	loginID     = cookiesession.Field[string]("login")
	confirmedAt = cookiesession.Field[time.Time]("confirmed") // when the password was last asked for
)

const (
	// confirmFor is how long after the password was asked for sensitive things can be done.
	confirmFor = 10 * time.Minute

	// seenEvery is how exactly "last used" is known: the table isn't written to for each request, and isn't a diary.
	seenEvery = 10 * time.Minute
)

// A visit is a request of somebody who is logged in.
type visit struct {
	*cookiesession.Session
	user  user
	login login
}

// confirmed reports whether the password was asked for lately.
func (v *visit) confirmed() bool { return time.Since(confirmedAt.Get(v.Session)) < confirmFor }

// visit returns the visit that r is, or nil if nobody is logged in.
func (a *app) visit(r *http.Request) (*visit, error) {
	s := a.sessions.Get(r)
	if !userID.Has(s) {
		return nil, nil
	}
	u, l, err := a.store.visitor(r.Context(), s)
	if errors.Is(err, errNoUser) || err == nil && u.Role == roleBlocked {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &visit{s, u, l}, nil
}

type visitHandler func(w http.ResponseWriter, r *http.Request, v *visit)

// member serves those who are logged in, and sends others to the login.
func (a *app) member(next visitHandler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v, err := a.visit(r)
		switch {
		case err != nil:
			a.fail(w, r, err)
			return
		case v == nil:
			a.redirect(w, r, withNext("/login", pageOf(r)), notice{Text: "Please log in first.", Problem: true})
			return
		}
		if time.Since(v.login.Seen) >= seenEvery {
			if err := a.touch(r.Context(), v); err != nil {
				a.log.Error("login not touched", "error", err)
			}
		}
		next(w, r, v)
	}
}

// touch notes that v's login is in use. It needn't be listed any more once its session must have ended.
func (a *app) touch(ctx context.Context, v *visit) error {
	until := v.ExpiresAt()
	if !v.Remembered() {
		until = v.IdleAt().Add(seenEvery)
	}
	return a.store.touch(ctx, v.login.ID, time.Now(), until)
}

// confirmed serves members who have given their password lately, and asks others for it first: an unlocked screen or a
// stolen cookie isn't enough for what is sensitive.
func (a *app) confirmed(next visitHandler) http.HandlerFunc {
	return a.member(func(w http.ResponseWriter, r *http.Request, v *visit) {
		if !v.confirmed() {
			n := notice{Text: "This needs your password again."}
			if r.Method == http.MethodPost {
				n.Text += " Then press the button once more."
			}
			a.redirect(w, r, withNext("/confirm", pageOf(r)), n)
			return
		}
		next(w, r, v)
	})
}

// admin serves administrators who have given their password lately. It asks for the role first: others learn nothing.
func (a *app) admin(next visitHandler) http.HandlerFunc {
	confirmed := a.confirmed(next)
	return a.member(func(w http.ResponseWriter, r *http.Request, v *visit) {
		if v.user.Role != roleAdmin {
			a.show(w, r, http.StatusForbidden, "problem", "Not for you", "This page is for administrators.")
			return
		}
		confirmed(w, r)
	})
}

// Pages to which a login or a confirmation leads back, by their first segment: nothing that a link may choose freely.
var returns = map[string]string{"sessions": "/sessions", "password": "/password", "admin": "/admin"}

// pageOf returns the name of the page that r is for or comes from.
func pageOf(r *http.Request) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	return name
}

// nextOf returns the form's or the URL's next if it is the name of a page to return to, else "".
func nextOf(r *http.Request) string {
	name := r.FormValue("next")
	if _, ok := returns[name]; !ok {
		return ""
	}
	return name
}

func withNext(page, next string) string {
	if next == "" {
		return page
	}
	return page + "?next=" + next
}

// returnTo returns the page that next names, or the first page.
func returnTo(r *http.Request) string {
	if page, ok := returns[nextOf(r)]; ok {
		return page
	}
	return "/"
}

// A rowRead is what one request has read of its visitor, so that Config.Revoked and the handler share one query.
type rowRead struct {
	once  sync.Once
	user  user
	login login
	err   error
}

type rowReadKey struct{}

// sharingRows goes around the session's Handler: Revoked sees the context that came to it.
func sharingRows(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), rowReadKey{}, new(rowRead))))
	})
}

// visitor returns account and login of the session that a request came with.
func (s *store) visitor(ctx context.Context, session *cookiesession.Session) (user, login, error) {
	read, shared := ctx.Value(rowReadKey{}).(*rowRead)
	if !shared {
		read = new(rowRead)
	}
	read.once.Do(func() {
		read.user, read.login, read.err = s.userAndLogin(ctx, userID.Get(session), loginID.Get(session))
	})
	return read.user, read.login, read.err
}
