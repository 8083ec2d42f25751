package cookiesession_test

import (
	"errors"
	"fmt"
	"html/template"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"

	"github.com/seed-50e21e88/cookiesession"
	"github.com/seed-50e21e88/cookiesession/cookiesessiontest"
)

// A tab is a page in a browser that has one visitor's cookies.
type tab struct {
	client *http.Client
	url    string
	stop   func()
	token  string // the CSRF token of the last page with a form
}

// newTab starts a server for a visitor.
func newTab(h http.Handler) *tab {
	server := httptest.NewTLSServer(h)
	client := server.Client()
	client.Jar = cookiesessiontest.NewJar()
	return &tab{client: client, url: server.URL, stop: server.Close}
}

var tokenField = regexp.MustCompile(`name="csrf_token" value="([^"]*)"`)

// page reads what the server answered.
func (b *tab) page(resp *http.Response, err error) string {
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		log.Fatal(err)
	}
	if found := tokenField.FindSubmatch(body); found != nil {
		b.token = string(found[1])
	}
	return string(body)
}

func (b *tab) get(path string) string { return b.page(b.client.Get(b.url + path)) }

// post sends the form of the last page.
func (b *tab) post(path string, form url.Values) string {
	form.Set(cookiesession.CSRFField, b.token)
	return b.page(b.client.PostForm(b.url+path, form))
}

// A login page: a form with its CSRF token, a message that is shown once, a new session ID at login, and a logout. What
// changes the session comes before the template's first byte. Flashed counts as a change, since it consumes messages;
// so does the first CSRFToken.
func Example_login() {
	sessions := newSessions(cookiesession.Config{})
	const user = cookiesession.Field[string]("user")
	page := template.Must(template.New("page").Parse(
		`{{with .Notice}}{{.}} {{end}}{{with .User}}Hello, {{.}}.{{else}}Log in:{{end}}<form method="post">` +
			`<input type="hidden" name="csrf_token" value="{{.Token}}">…</form>`))

	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		s := sessions.Get(r)
		data := map[string]any{"Notice": s.Flashed("notice"), "User": user.Get(s), "Token": s.CSRFToken()}
		if err := page.Execute(w, data); err != nil { // from here on the session can't change
			log.Print(err)
		}
	})
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		s := sessions.Get(r)
		if r.PostFormValue("password") != "secret" {
			s.Flash("notice", "That is not the password.")
		} else {
			s.Regenerate() // always at login
			user.Put(s, r.PostFormValue("name"))
			s.Flash("notice", "You are logged in.")
		}
		http.Redirect(w, r, "/", http.StatusSeeOther)
	})
	mux.HandleFunc("POST /logout", func(w http.ResponseWriter, r *http.Request) {
		s := sessions.Get(r)
		s.Destroy()
		s.Flash("notice", "You are logged out.")
		http.Redirect(w, r, "/", http.StatusSeeOther)
	})

	b := newTab(sessions.Handler(sessions.ProtectCSRF(mux)))
	defer b.stop()
	show := func(page string) { fmt.Println(page[:strings.Index(page, "<form")]) }
	show(b.get("/"))
	show(b.post("/login", url.Values{"name": {"grace"}, "password": {"guess"}}))
	show(b.post("/login", url.Values{"name": {"grace"}, "password": {"secret"}}))
	show(b.get("/"))
	show(b.post("/logout", url.Values{}))
	// Output:
	// Log in:
	// That is not the password. Log in:
	// You are logged in. Hello, grace.
	// Hello, grace.
	// You are logged out. Log in:
}

// What ProtectCSRF refuses, in words that help: a form that has grown old is another thing than one that another site
// has sent.
func ExampleCSRFError() {
	sessions := newSessions(cookiesession.Config{
		CSRFFailure: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			err := cookiesession.CSRFError(r)
			var tooLarge *http.MaxBytesError
			switch {
			case errors.As(err, &tooLarge):
				http.Error(w, "This is too large.", http.StatusRequestEntityTooLarge)
			case errors.Is(err, cookiesession.ErrCSRFOrigin):
				http.Error(w, "Another site sent this.", http.StatusForbidden)
			default: // ErrCSRFNoSession, ErrCSRFNoToken, ErrCSRFToken
				http.Error(w, "This form is no longer valid. Please load it again.", http.StatusForbidden)
			}
		}),
	})
	h := sessions.Handler(sessions.ProtectCSRF(http.NotFoundHandler()))

	for _, site := range []string{"same-origin", "cross-site"} {
		r := httptest.NewRequest("POST", "https://shop.example/order", nil)
		r.Header.Set("Sec-Fetch-Site", site)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		fmt.Print(w.Code, " ", w.Body)
	}
	// Output:
	// 403 This form is no longer valid. Please load it again.
	// 403 Another site sent this.
}

// A session that can't be saved: most often it has become too large.
func ExampleConfig_errorHandler() {
	sessions := newSessions(cookiesession.Config{
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			var tooLarge *cookiesession.SizeError
			if errors.As(err, &tooLarge) {
				fmt.Println("largest:", tooLarge.Keys[0].Key) // for the log
				http.Error(w, "Your cart is full.", http.StatusRequestEntityTooLarge)
				return
			}
			http.Error(w, "Please try again.", http.StatusServiceUnavailable) // also what Revoked failed with
		},
	})
	get, stop := browse(sessions.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sessions.Get(r).Put("cart", strings.Repeat("x", 7000))
		fmt.Fprint(w, "added") // is discarded
	})))
	defer stop()
	fmt.Print(get("/"))
	// Output:
	// largest: cart
	// Your cart is full.
}

// Login at an OpenID provider that answers with response_mode=form_post: the provider's site posts to the application,
// and the browser withholds the session's Lax cookies from that. The POST is answered by 303 to a GET, which brings
// them. (Under SameSite=Strict that wouldn't bring them either.) The code in the URL is of no use without the PKCE
// verifier in the session, and once only.
func Example_formPost() {
	sessions := newSessions(cookiesession.Config{MaxSize: 8000}) // room for the provider's tokens
	const user, state = cookiesession.Field[string]("user"), cookiesession.Field[string]("state")

	mux := http.NewServeMux()
	mux.HandleFunc("GET /login", func(w http.ResponseWriter, r *http.Request) {
		state.Put(sessions.Get(r), "random") // with nonce and verifier; then to the provider
	})
	mux.HandleFunc("POST /callback", func(w http.ResponseWriter, r *http.Request) {
		query := url.Values{"state": {r.PostFormValue("state")}, "code": {r.PostFormValue("code")}}
		http.Redirect(w, r, "/callback?"+query.Encode(), http.StatusSeeOther) // it has used no session
	})
	mux.HandleFunc("GET /callback", func(w http.ResponseWriter, r *http.Request) {
		s := sessions.Get(r)
		if want := state.Pull(s); want == "" || r.FormValue("state") != want {
			http.Error(w, "Please log in again.", http.StatusBadRequest)
			return
		}
		s.Regenerate()
		user.Put(s, "grace") // what the provider says in exchange for the code
		fmt.Fprint(w, "Hello, grace.")
	})
	h := sessions.Handler(mux)

	login := httptest.NewRecorder()
	h.ServeHTTP(login, httptest.NewRequest("GET", "https://shop.example/login", nil))
	cookie, _, _ := strings.Cut(login.Header().Get("Set-Cookie"), ";")

	post := httptest.NewRequest("POST", "https://shop.example/callback", strings.NewReader("state=random&code=1234"))
	post.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	post.Header.Set("Sec-Fetch-Site", "cross-site") // and no cookie
	posted := httptest.NewRecorder()
	h.ServeHTTP(posted, post)
	fmt.Println(posted.Code, posted.Header().Get("Location"), "cookies:", len(posted.Header()["Set-Cookie"]))

	get := httptest.NewRequest("GET", "https://shop.example"+posted.Header().Get("Location"), nil)
	get.Header.Set("Sec-Fetch-Site", "cross-site")
	get.Header.Set("Sec-Fetch-Mode", "navigate")
	get.Header.Set("Cookie", cookie)
	got := httptest.NewRecorder()
	h.ServeHTTP(got, get)
	fmt.Println(got.Code, got.Body)
	// Output:
	// 303 /callback?code=1234&state=random cookies: 0
	// 200 Hello, grace.
}
