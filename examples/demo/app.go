package main

import (
	"embed"
	"errors"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

const (
	lifetime       = 24 * time.Hour
	rememberFor    = 30 * 24 * time.Hour
	defaultMaxSize = 6144
	maxBody        = 64 << 10
)

// What the demo keeps in a session.
const (
	visited   = cookiesession.Field[visits]("visits")
	nickname  = cookiesession.Field[string]("name")
	user      = cookiesession.Field[string]("user")
	cart      = cookiesession.Field[map[string]int]("cart")
	filler    = cookiesession.Field[[]byte]("filler")
	slowPages = cookiesession.Field[int]("slow_pages")
	counter   = cookiesession.Field[int64]("n")
	flashed   = cookiesession.Field[notice]("notice")
)

type visits struct {
	Views       int
	First, Last time.Time
}

// A notice is shown once, in the card it belongs to, on the page that follows a redirect.
type notice struct {
	Card    string
	Text    string
	Problem bool
}

//go:embed templates static snippets_test.go
var files embed.FS

type options struct {
	server   string
	keys     *keyring
	idle     time.Duration
	maxSize  int
	insecure bool
	log      *slog.Logger
}

type app struct {
	options
	sessions  *cookiesession.Manager
	inspector *cookiesession.Manager
	thief     *thief
	pages     map[string]*template.Template
	snippets  []snippet
}

func newApp(o options) (*app, error) {
	a := &app{options: o, thief: newThief(), pages: map[string]*template.Template{}}
	for _, name := range []string{"home", "members", "slow", "problem"} {
		t, err := template.New("layout.html").Funcs(templateFuncs).ParseFS(files, "templates/layout.html", "templates/"+name+".html")
		if err != nil {
			return nil, err
		}
		a.pages[name] = t
	}
	if _, err := a.pages["home"].ParseFS(files, "templates/cards.html", "templates/device.html", "templates/sealed.html", "templates/explain.html"); err != nil {
		return nil, err
	}
	source, err := files.ReadFile("snippets_test.go")
	if err != nil {
		return nil, err
	}
	a.snippets = findSnippets(string(source))
	config := cookiesession.Config{
		Keys:         o.keys.Keyring,
		Scope:        "demo",
		Insecure:     o.insecure,
		Lifetime:     lifetime,
		IdleTimeout:  o.idle,
		MaxSize:      o.maxSize,
		DeviceProof:  deviceProof,
		ErrorHandler: a.notSaved,
		CSRFFailure:  http.HandlerFunc(a.forbidden),
		Logger:       o.log,
	}
	if a.sessions, err = cookiesession.New(config); err != nil {
		return nil, err
	}
	a.inspector, err = cookiesession.New(config)
	return a, err
}

// handler returns the whole site. Pages and forms go through the session and its CSRF protection; the API, which a
// script calls, through the session and a check of the request's origin; files, the health check and the card that
// looks on need neither.
func (a *app) handler() http.Handler {
	pages := http.NewServeMux()
	pages.HandleFunc("GET /{$}", a.home)
	pages.HandleFunc("GET /members", a.members)
	pages.HandleFunc("GET /slow", a.slow)
	pages.HandleFunc("POST /name", a.setName)
	pages.HandleFunc("POST /cart", a.changeCart)
	pages.HandleFunc("POST /login", a.login)
	pages.HandleFunc("POST /logout", a.logout)
	pages.HandleFunc("POST /last", a.last)
	pages.HandleFunc("POST /clear", a.clear)
	pages.HandleFunc("POST /fill", a.fill)
	pages.HandleFunc("POST /rotate", a.rotate)
	pages.HandleFunc("POST /end-all", a.endAll)
	pages.HandleFunc("POST /steal", a.steal)

	api := http.NewServeMux()
	api.HandleFunc("GET /api/session", a.apiSession)
	api.HandleFunc("POST /api/count", a.apiCount)
	api.HandleFunc("POST /api/size", a.apiSize)

	static, err := fs.Sub(files, "static")
	if err != nil {
		panic(err) // the directory is embedded above
	}
	site := http.NewServeMux()
	site.Handle("/", a.sessions.Handler(a.sessions.ProtectCSRF(pages)))
	site.Handle("/api/", a.sessions.Handler(http.NewCrossOriginProtection().Handler(api)))
	site.HandleFunc("GET /device", a.deviceNow)
	site.Handle("GET /static/", http.StripPrefix("/static", cached(http.FileServerFS(static))))
	site.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, r *http.Request) { http.ServeFileFS(w, r, static, "icon.svg") })
	site.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("ok\n")) })
	whole := http.MaxBytesHandler(a.withHeaders(site), maxBody)
	a.thief.site = whole
	return whole
}

func (a *app) withHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; "+
			"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("X-Served-By", a.server)
		// A page shows who is logged in: the Back button must not bring it up after a logout.
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

func cached(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=300")
		next.ServeHTTP(w, r)
	})
}

// notSaved answers instead of a handler whose changes to the session could not be saved. The browser still holds the
// cookies from before.
func (a *app) notSaved(w http.ResponseWriter, r *http.Request, err error) {
	var size *cookiesession.SizeError
	tooLarge := errors.As(err, &size)
	if !tooLarge {
		a.log.Error("session not saved", "path", r.URL.Path, "error", err)
	}
	if strings.HasPrefix(r.URL.Path, "/api/") {
		a.apiNotSaved(w, size)
		return
	}
	p := problemPage{page: a.page("The session was not saved"), Back: "/#cookies"}
	status := http.StatusInternalServerError
	p.Text = "What this request changed in the session is lost. Your browser keeps the cookies from before."
	if tooLarge {
		status = http.StatusRequestEntityTooLarge
		p.Title = "Too large, nothing was lost"
		p.Text = "The session would have outgrown its limit, so the server refused to save it. " +
			"Your browser keeps the cookies from before this request, and they still open."
		p.Size = size
	}
	commit(w, status)
	a.render(w, "problem", p)
}

func (a *app) forbidden(w http.ResponseWriter, r *http.Request) {
	p := problemPage{page: a.page("This form could not be trusted"), Back: "/"}
	status := http.StatusForbidden
	var tooLarge *http.MaxBytesError
	switch err := cookiesession.CSRFError(r); {
	case errors.As(err, &tooLarge):
		p.Title, status = "This form is too large", http.StatusRequestEntityTooLarge
		p.Text = "It has more than " + comma(int(tooLarge.Limit)) + " bytes."
	case errors.Is(err, cookiesession.ErrCSRFOrigin):
		p.Text = "Another site sent it."
	case errors.Is(err, cookiesession.ErrCSRFNoSession) && len(r.Cookies()) == 0:
		p.Text = "Your browser sent no cookie with it. Perhaps it keeps none for this site: over plain HTTP, Safari keeps no " +
			"cookie that is marked Secure, on localhost either; start the demo with -insecure for it."
	case errors.Is(err, cookiesession.ErrCSRFNoSession):
		p.Text = "The session for which its page was made has ended."
	default:
		p.Text = "Its token is not your session’s, which was perhaps renewed since the page was loaded."
	}
	p.Text += " Nothing was changed. Go back, and try once more."
	commit(w, status)
	a.render(w, "problem", p)
}
