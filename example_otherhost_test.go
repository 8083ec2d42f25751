package cookiesession_test

import (
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"

	"github.com/seed-50e21e88/cookiesession"
	"github.com/seed-50e21e88/cookiesession/cookiesessiontest"
)

// allow lets the pages of one origin send requests with cookies and read the answers (CORS). Whoever may read answers
// can read the CSRF token, so never allow whatever origin comes.
func allow(origin string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Add("Vary", "Origin")
		if r.Header.Get("Origin") == origin {
			h.Set("Access-Control-Allow-Origin", origin)
			h.Set("Access-Control-Allow-Credentials", "true")
			if r.Method == http.MethodOptions { // a preflight, which brings no cookies
				h.Set("Access-Control-Allow-Headers", "Content-Type, "+cookiesession.CSRFHeader)
				w.WriteHeader(http.StatusNoContent)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// A page at app.example.com and its API at api.example.com, to which it sends fetch(url, {credentials: "include"}). The
// page gets its CSRF token from the API, and another one when somebody logs in.
func Example_otherHost() {
	keys, err := cookiesession.NewKeyring(cookiesession.GenerateKey("2026-11"))
	if err != nil {
		log.Fatal(err)
	}
	trusting := http.NewCrossOriginProtection()
	if err := trusting.AddTrustedOrigin("https://app.example.com"); err != nil {
		log.Fatal(err)
	}
	sessions, err := cookiesession.New(cookiesession.Config{Keys: keys, CSRF: trusting})
	if err != nil {
		log.Fatal(err)
	}
	tell := func(w http.ResponseWriter, s *cookiesession.Session) {
		json.NewEncoder(w).Encode(map[string]any{"user": s.Get("user"), "token": s.CSRFToken()})
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /session", func(w http.ResponseWriter, r *http.Request) { tell(w, sessions.Get(r)) })
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		s := sessions.Get(r)
		s.Regenerate()
		s.Put("user", "ada")
		tell(w, s)
	})
	mux.HandleFunc("POST /order", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, `{}`) })
	api := allow("https://app.example.com", sessions.Handler(sessions.ProtectCSRF(mux)))

	jar, site := cookiesessiontest.NewJar(), &url.URL{Scheme: "https", Host: "api.example.com", Path: "/"}
	fetch := func(from, method, path, token string) string {
		r := httptest.NewRequest(method, "https://api.example.com"+path, nil)
		r.Header.Set("Origin", from)
		r.Header.Set("Sec-Fetch-Site", "same-site")
		r.Header.Set("Cookie", jar.Header(site))
		r.Header.Set(cookiesession.CSRFHeader, token)
		w := httptest.NewRecorder()
		api.ServeHTTP(w, r)
		jar.SetHeader(site, w.Result().Header)
		var answer struct{ User, Token string }
		json.Unmarshal(w.Body.Bytes(), &answer)
		fmt.Printf("%s%s: %d, readable: %t, user: %q\n", from, path, w.Code, w.Header().Get("Access-Control-Allow-Origin") == from, answer.User)
		return answer.Token
	}
	anonymous := fetch("https://app.example.com", "GET", "/session", "")
	token := fetch("https://app.example.com", "POST", "/login", anonymous)
	fetch("https://app.example.com", "POST", "/order", token)
	fetch("https://app.example.com", "POST", "/order", anonymous) // the login has renewed the token
	fetch("https://blog.example.com", "POST", "/order", token)    // a page there could not even know it
	// Output:
	// https://app.example.com/session: 200, readable: true, user: ""
	// https://app.example.com/login: 200, readable: true, user: "ada"
	// https://app.example.com/order: 200, readable: true, user: ""
	// https://app.example.com/order: 403, readable: true, user: ""
	// https://blog.example.com/order: 403, readable: false, user: ""
}
