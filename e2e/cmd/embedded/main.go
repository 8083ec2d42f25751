// Command embedded is an application whose pages other sites embed, link to and send requests to, once with each
// SameSite. To the host that it is asked for as elsewhere.localhost, say, it is such another site.
package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"flag"
	"html/template"
	"log"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

const (
	counter = cookiesession.Field[int64]("n")
	filler  = cookiesession.Field[[]byte]("filler")
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "where to listen")
	keyFile := flag.String("keys", "", "key file")
	trusted := flag.String("trusted", "", "the origin that /trusting/ takes requests from")
	sibling := flag.String("sibling", "", "the origin, another host of the site, that /api/ takes requests from")
	flag.Parse()
	keys, err := cookiesession.OpenKeyFile(*keyFile)
	if err != nil {
		log.Fatal(err)
	}
	site := http.NewServeMux()
	for path, config := range map[string]cookiesession.Config{
		"/lax/":         {Name: "lax"},
		"/strict/":      {Name: "strict", SameSite: http.SameSiteStrictMode},
		"/none/":        {Name: "none", SameSite: http.SameSiteNoneMode},
		"/partitioned/": {Name: "partitioned", SameSite: http.SameSiteNoneMode, Partitioned: true},
		"/trusting/":    {Name: "trusting", SameSite: http.SameSiteNoneMode, CSRF: trusting(*trusted)},
		"/api/":         {Name: "api", CSRF: trusting(*sibling)},
		// One application before and after Partitioned was switched on.
		"/before/": {Name: "switched", SameSite: http.SameSiteNoneMode},
		"/after/":  {Name: "switched", SameSite: http.SameSiteNoneMode, Partitioned: true},
	} {
		config.Keys = keys
		add(site, path, config)
	}
	site.HandleFunc("/elsewhere", elsewhere)
	log.Fatal(http.ListenAndServe(*addr, site))
}

func trusting(origin string) *http.CrossOriginProtection {
	protection := http.NewCrossOriginProtection()
	if err := protection.AddTrustedOrigin(origin); err != nil {
		log.Fatal(err)
	}
	return protection
}

// add puts the application at a path, and below its open/ without ProtectCSRF.
func add(site *http.ServeMux, path string, config cookiesession.Config) {
	var m *cookiesession.Manager
	config.CSRFFailure = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		show(w, r, m, http.StatusForbidden, cookiesession.CSRFError(r).Error())
	})
	m, err := cookiesession.New(config)
	if err != nil {
		log.Fatal(err)
	}
	app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		change(m.Get(r), r.URL.Query().Get("do"))
		show(w, r, m, http.StatusOK, "")
	})
	site.Handle(path, m.Handler(m.ProtectCSRF(app)))
	site.Handle(path+"open/", m.Handler(app))
}

// change does the one thing, whatever the method: what must not happen is to be seen.
func change(s *cookiesession.Session, do string) {
	switch do {
	case "count":
		s.Increment(string(counter), 1)
	case "grow":
		large := make([]byte, 4000)
		rand.Read(large)
		filler.Put(s, large)
	case "shrink":
		filler.Delete(s)
	case "login":
		s.Regenerate()
	case "logout":
		s.Destroy()
	}
}

// show answers with what the request brought and what the session holds now, and with a form for each change.
func show(w http.ResponseWriter, r *http.Request, m *cookiesession.Manager, status int, refused string) {
	s := m.Get(r)
	came := []string{}
	for _, c := range r.Cookies() {
		came = append(came, c.Name)
	}
	slices.Sort(came)
	token := ""
	if r.URL.Query().Get("do") != "logout" { // after which it would start a new session
		token = s.CSRFToken()
	}
	state, err := json.Marshal(map[string]any{
		"id": s.ID(), "new": s.IsNew(), "n": counter.Get(s), "filler": len(filler.Get(s)), "status": status, "refused": refused,
		"came": came, "withheld": m.Stats().Withheld, "second": time.Now().Unix(), "token": token,
	})
	if err != nil {
		log.Fatal(err)
	}
	var b bytes.Buffer
	err = page.Execute(&b, map[string]any{"State": string(state), "Token": token, "Changes": []string{"count", "grow", "shrink", "login", "logout"}})
	if err != nil {
		log.Fatal(err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	// Never so in production: every page may read every answer, so that the tests see what each of them gets.
	if origin := r.Header.Get("Origin"); origin != "" {
		w.Header().Set("Access-Control-Allow-Origin", origin)
		w.Header().Set("Access-Control-Allow-Credentials", "true")
	}
	w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(status)
	w.Write(b.Bytes())
}

var page = template.Must(template.New("page").Parse(`<!DOCTYPE html><html lang="en"><title>application</title><link rel="icon" href="data:,">
<pre id="state">{{.State}}</pre><a id="again" href="?">again</a>
{{range .Changes}}<form method="post" action="?do={{.}}"><input type="hidden" name="csrf_token" value="{{$.Token}}"><button id="{{.}}">{{.}}</button></form>
{{end}}`))

// elsewhere is the page of another site: a link, a form, the same form into a frame, and a frame, of what to names.
func elsewhere(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	another.Execute(w, map[string]any{"To": r.FormValue("to"), "Token": r.FormValue("token"), "Frame": r.FormValue("frame")})
}

var another = template.Must(template.New("another").Parse(`<!DOCTYPE html><html lang="en"><title>elsewhere</title><link rel="icon" href="data:,">
<a id="link" href="{{.To}}">link</a>
<form id="form" method="post" action="{{.To}}"><input type="hidden" name="csrf_token" value="{{.Token}}"><button id="post">send</button>
<button id="post-into-frame" formtarget="frame">send</button></form>
<iframe name="frame" title="application"{{if .Frame}} src="{{.Frame}}"{{end}}></iframe>`))
