package main

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-50e21e88/cookiesession/cookiesessiontest"
)

// newSite returns a demo's handler; set changes the options from those of a demo without flags.
func newSite(t *testing.T, set func(*options)) http.Handler {
	t.Helper()
	_, site := newDemo(t, set)
	return site
}

func newDemo(t *testing.T, set func(*options)) (*app, http.Handler) {
	t.Helper()
	keys, err := openKeys("", "")
	if err != nil {
		t.Fatal(err)
	}
	o := options{server: "demo", keys: keys, idle: 20 * time.Minute, maxSize: defaultMaxSize, log: slog.New(slog.DiscardHandler)}
	if set != nil {
		set(&o)
	}
	a, err := newApp(o)
	if err != nil {
		t.Fatal(err)
	}
	return a, a.handler()
}

// A visitor has a browser: a jar, the page that was shown last, and what the browser was invited to register.
type visitor struct {
	t       *testing.T
	site    http.Handler
	jar     *cookiesessiontest.Jar
	page    *element
	invited []string
}

func newVisitor(t *testing.T, site http.Handler) *visitor {
	return &visitor{t: t, site: site, jar: cookiesessiontest.NewJar()}
}

func at(path string) *url.URL {
	u, err := url.Parse("https://demo.test" + path)
	if err != nil {
		panic(err)
	}
	return u
}

// request returns a request with the cookies that the browser has now.
func (v *visitor) request(method, path string, form url.Values) *http.Request {
	r := httptest.NewRequest(method, at(path).String(), strings.NewReader(form.Encode()))
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if cookies := v.jar.Header(r.URL); cookies != "" {
		r.Header.Set("Cookie", cookies)
	}
	return r
}

// do sends r and keeps the cookies of the response.
func (v *visitor) do(r *http.Request) *http.Response {
	w := httptest.NewRecorder()
	v.site.ServeHTTP(w, r)
	v.jar.SetHeader(r.URL, w.Result().Header)
	v.invited = append(v.invited, w.Result().Header["Secure-Session-Registration"]...)
	return w.Result()
}

// open loads a page, following redirects, and checks it.
func (v *visitor) open(path string) *http.Response {
	v.t.Helper()
	return v.follow(v.do(v.request(http.MethodGet, path, nil)))
}

func (v *visitor) follow(resp *http.Response) *http.Response {
	v.t.Helper()
	for range 5 {
		to, err := resp.Location()
		if err != nil {
			v.page = parsePage(v.t, resp.Body)
			v.checkHeld()
			return resp
		}
		resp = v.do(v.request(http.MethodGet, to.RequestURI(), nil))
	}
	v.t.Fatal("redirected in circles")
	return nil
}

// checkHeld checks that the cookies on the page, if it lists any, are those that the browser holds now.
func (v *visitor) checkHeld() {
	v.t.Helper()
	list := v.page.byClass("held")
	if list == nil {
		return
	}
	var shown, held []string
	for _, line := range list.all(func(e *element) bool { return e.name == "p" }) {
		shown = append(shown, line.find(func(e *element) bool { return e.name == "code" }).text()+": "+line.byClass("bytes").text())
		if line.byClass("sealed") == nil && line.byClass("tag").text() != "ended session" {
			v.t.Errorf("the page does not say which key sealed %q", line.text())
		}
	}
	for _, c := range v.jar.All() {
		if !strings.HasPrefix(c.Name, "__Host-session") {
			continue
		}
		held = append(held, fmt.Sprintf("%s: %s of 4,096 bytes", c.Name, comma(len(c.Name)+len(c.Value))))
	}
	slices.Sort(shown)
	slices.Sort(held)
	if !slices.Equal(shown, held) {
		v.t.Errorf("the page lists %q, the browser holds %q", shown, held)
	}
}

// submit presses the button of a form on the page that is open, having filled in fields, and follows the redirect.
// Fields are pairs of name and value; a button's own counts as one.
func (v *visitor) submit(action string, fields ...string) *http.Response {
	v.t.Helper()
	form := v.page.find(func(e *element) bool { return e.name == "form" && e.attr["action"] == action })
	if form == nil {
		v.t.Fatalf("the page has no form for %s", action)
	}
	values := url.Values{}
	for _, input := range form.all(func(e *element) bool { return e.name == "input" && e.attr["type"] == "hidden" }) {
		values.Set(input.attr["name"], input.attr["value"])
	}
	for pair := range slices.Chunk(fields, 2) {
		if form.find(func(e *element) bool {
			return e.attr["name"] == pair[0] && (e.name != "button" || e.attr["value"] == pair[1] && e.attr["disabled"] == "")
		}) == nil {
			v.t.Fatalf("the form for %s has no field or button %s=%s", action, pair[0], pair[1])
		}
		values.Set(pair[0], pair[1])
	}
	return v.follow(v.do(v.request(http.MethodPost, action, values)))
}

// notice returns the text of the message on the page, "" without one.
func (v *visitor) notice() string { return v.page.byID("notice").text() }

// call calls the API and decodes the answer.
func (v *visitor) call(method, path string) (status int, answer map[string]any) {
	v.t.Helper()
	resp := v.do(v.request(method, path, nil))
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		v.t.Fatalf("%s %s: %v", method, path, err)
	}
	return resp.StatusCode, answer
}

// session returns what /api/session says.
func (v *visitor) session() map[string]any {
	v.t.Helper()
	status, answer := v.call(http.MethodGet, "/api/session")
	if status != http.StatusOK {
		v.t.Fatalf("/api/session: status %d", status)
	}
	return answer
}

// An element of a page. Its parts are elements and strings.
type element struct {
	name  string
	attr  map[string]string
	parts []any
}

// parsePage parses a page and checks it.
func parsePage(t *testing.T, body io.Reader) *element {
	t.Helper()
	root := parse(t, body)
	checkPage(t, root)
	return root
}

// parse parses a page or a part of one, strictly, as XML, which the demo's HTML happens to be.
func parse(t *testing.T, body io.Reader) *element {
	t.Helper()
	root := &element{}
	open := []*element{root}
	d := xml.NewDecoder(body)
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("page: %v", err)
		}
		top := open[len(open)-1]
		switch token := token.(type) {
		case xml.StartElement:
			e := &element{name: token.Name.Local, attr: map[string]string{}}
			for _, a := range token.Attr {
				e.attr[a.Name.Local] = a.Value
			}
			top.parts = append(top.parts, e)
			open = append(open, e)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			top.parts = append(top.parts, string(token))
		}
	}
	return root
}

// all returns the elements below e that match, in document order.
func (e *element) all(match func(*element) bool) (list []*element) {
	for _, part := range e.parts {
		if child, ok := part.(*element); ok {
			if match(child) {
				list = append(list, child)
			}
			list = append(list, child.all(match)...)
		}
	}
	return list
}

func (e *element) find(match func(*element) bool) *element {
	if list := e.all(match); len(list) > 0 {
		return list[0]
	}
	return nil
}

func (e *element) byID(id string) *element {
	return e.find(func(e *element) bool { return e.attr["id"] == id })
}

func (e *element) byClass(class string) *element {
	return e.find(func(e *element) bool { return slices.Contains(strings.Fields(e.attr["class"]), class) })
}

// text returns the element's text with white space collapsed; that of no element is "".
func (e *element) text() string {
	if e == nil {
		return ""
	}
	var b strings.Builder
	for _, part := range e.parts {
		if child, ok := part.(*element); ok {
			b.WriteString(child.text() + " ")
		} else {
			b.WriteString(part.(string))
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// checkPage checks what holds for every page: a reader without eyes or mouse finds the way, and nothing on the page
// asks more of the content security policy than it allows.
func checkPage(t *testing.T, root *element) {
	t.Helper()
	everything := root.all(func(*element) bool { return true })
	ids, labelled, count := map[string]bool{}, map[string]bool{}, map[string]int{}
	for _, e := range everything {
		if id := e.attr["id"]; id != "" {
			if ids[id] {
				t.Errorf("two elements have the id %q", id)
			}
			ids[id] = true
		}
		labelled[e.attr["for"]] = true
		count[e.name]++
	}
	for _, name := range []string{"title", "main", "header", "footer", "h1"} {
		if count[name] != 1 {
			t.Errorf("the page has %d of %s, want 1", count[name], name)
		}
	}
	level := byte('0')
	for _, e := range everything {
		for _, ref := range []string{e.attr["for"], e.attr["aria-labelledby"], e.attr["aria-describedby"]} {
			if ref != "" && !ids[ref] {
				t.Errorf("%s refers to the id %q, which is not there", e.name, ref)
			}
		}
		for name := range e.attr {
			if name == "style" || strings.HasPrefix(name, "on") {
				t.Errorf("%s has the attribute %s, which the content security policy disables", e.name, name)
			}
		}
		switch e.name {
		case "h1", "h2", "h3":
			if e.name[1] > level+1 {
				t.Errorf("heading %q skips a level", e.text())
			}
			level = e.name[1]
		case "html":
			if e.attr["lang"] == "" {
				t.Error("the page has no language")
			}
		case "a":
			if to, ok := strings.CutPrefix(e.attr["href"], "#"); ok && !ids[to] {
				t.Errorf("link to #%s, which is not there", to)
			}
			if e.text() == "" {
				t.Errorf("the link to %s has no text", e.attr["href"])
			}
		case "input":
			if e.attr["type"] != "hidden" && !labelled[e.attr["id"]] {
				t.Errorf("input %q has no label", e.attr["name"])
			}
		case "button":
			if e.text() == "" {
				t.Error("a button has no text")
			}
		case "form":
			token := e.find(func(e *element) bool { return e.attr["name"] == "csrf_token" })
			if e.attr["method"] != "post" || token == nil || token.attr["value"] == "" {
				t.Errorf("the form for %s does not post a token", e.attr["action"])
			}
		case "style":
			t.Error("a style element, which the content security policy disables")
		case "script":
			if e.attr["src"] == "" || e.text() != "" {
				t.Error("an inline script, which the content security policy disables")
			}
		}
	}
}
