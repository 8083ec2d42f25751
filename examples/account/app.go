package main

import (
	"embed"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

const (
	lifetime    = 24 * time.Hour
	idleTimeout = time.Hour
	rememberFor = 30 * 24 * time.Hour // the longest that a session lasts
	maxBody     = 16 << 10
)

//go:embed templates static
var files embed.FS

type app struct {
	store    *store
	revoker  revoker
	hasher   *hasher
	throttle *passwordThrottle
	log      *slog.Logger

	sessions *cookiesession.Manager
	pages    map[string]*template.Template
}

func newApp(keys *cookiesession.Keyring, st *store, rv revoker, h *hasher, log *slog.Logger) (*app, error) {
	a := &app{store: st, revoker: rv, hasher: h, throttle: newPasswordThrottle(), log: log, pages: map[string]*template.Template{}}
	for _, name := range []string{"home", "login", "register", "confirm", "sessions", "password", "admin", "problem"} {
		t, err := template.New("layout.html").Funcs(templateFuncs).ParseFS(files, "templates/layout.html", "templates/"+name+".html")
		if err != nil {
			return nil, err
		}
		a.pages[name] = t
	}
	var err error
	a.sessions, err = cookiesession.New(cookiesession.Config{
		Keys:         keys,
		Scope:        "account",
		Lifetime:     lifetime,
		IdleTimeout:  idleTimeout,
		MaxRemember:  rememberFor,
		Revoked:      rv.revoked,
		ErrorHandler: a.fail,
		CSRFFailure:  http.HandlerFunc(a.formRefused),
		Logger:       log,
	})
	return a, err
}

// handler returns the whole site.
func (a *app) handler() http.Handler {
	pages := http.NewServeMux()
	pages.HandleFunc("GET /{$}", a.home)
	pages.HandleFunc("GET /register", a.registerPage)
	pages.HandleFunc("POST /register", a.register)
	pages.HandleFunc("GET /login", a.loginPage)
	pages.HandleFunc("POST /login", a.logIn)
	pages.HandleFunc("POST /logout", a.logOut)
	pages.HandleFunc("GET /confirm", a.member(a.confirmPage))
	pages.HandleFunc("POST /confirm", a.member(a.confirm))
	pages.HandleFunc("GET /sessions", a.member(a.sessionsPage))
	pages.HandleFunc("POST /sessions/end", a.confirmed(a.endSession))
	pages.HandleFunc("POST /sessions/end-others", a.confirmed(a.endOtherSessions))
	pages.HandleFunc("GET /password", a.confirmed(a.passwordPage))
	pages.HandleFunc("POST /password", a.confirmed(a.changePassword))
	pages.HandleFunc("GET /admin", a.admin(a.adminPage))
	pages.HandleFunc("POST /admin/role", a.admin(a.changeRole))
	pages.HandleFunc("POST /admin/end", a.admin(a.endSessionsOfUser))

	static, err := fs.Sub(files, "static")
	if err != nil {
		panic(err) // the directory is embedded above
	}
	site := http.NewServeMux()
	site.Handle("/", a.revoker.guard(a.sessions, sharingRows(a.sessions.Handler(a.sessions.ProtectCSRF(pages)))))
	site.Handle("GET /static/", http.StripPrefix("/static", cached(http.FileServerFS(static))))
	return http.MaxBytesHandler(withHeaders(site), maxBody)
}

func withHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-store") // the Back button must not bring up a member's page after the logout
		next.ServeHTTP(w, r)
	})
}

func cached(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=300")
		next.ServeHTTP(w, r)
	})
}

// formRefused answers a POST whose CSRF token isn't the session's.
func (a *app) formRefused(w http.ResponseWriter, _ *http.Request) {
	a.problem(w, http.StatusForbidden, "This form has expired",
		"You logged in or out since the page was loaded, or another site sent the form. Nothing was changed. Please go back to the first page and try again.")
}
