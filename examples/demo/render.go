package main

import (
	"bytes"
	"fmt"
	"html/template"
	"net/http"
	"regexp"
	"strings"
	"time"
)

// commit sends the response's header, and with it the session's cookies: what follows may show them.
func commit(w http.ResponseWriter, status int) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
}

func (a *app) render(w http.ResponseWriter, name string, data any) {
	a.renderPart(w, name, "layout.html", data)
}

// renderPart writes one template of a page's.
func (a *app) renderPart(w http.ResponseWriter, name, part string, data any) {
	var page bytes.Buffer
	if err := a.pages[name].ExecuteTemplate(&page, part, data); err != nil {
		a.log.Error("page not rendered", "page", name, "part", part, "error", err)
		return
	}
	page.WriteTo(w)
}

var templateFuncs = template.FuncMap{
	"comma":   comma,
	"price":   func(cents int) string { return fmt.Sprintf("€%d.%02d", cents/100, cents%100) },
	"spell":   spell,
	"seconds": func(d time.Duration) int { return int(d / time.Second) },
	"utc":     func(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04:05 UTC") },
	"clock":   func(t time.Time) string { return t.UTC().Format("15:04:05") },
	"iso":     func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"plural": func(n int, one, many string) string {
		if n == 1 {
			return one
		}
		return many
	},
}

// comma writes 4096 as "4,096".
func comma(n int) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// spell writes a time left in its two largest units, as static/countdown.js does.
func spell(d time.Duration) string {
	s := int(d / time.Second)
	switch {
	case s <= 0:
		return "over"
	case s < 60:
		return fmt.Sprintf("%d s", s)
	case s < 3600:
		return units(s, 60, "min", "s")
	case s < 86400:
		return units(s/60, 60, "h", "min")
	default:
		return units(s/3600, 24, "d", "h")
	}
}

func units(n, per int, large, small string) string {
	if n%per == 0 {
		return fmt.Sprintf("%d %s", n/per, large)
	}
	return fmt.Sprintf("%d %s %d %s", n/per, large, n%per, small)
}

// A snippet is code to copy.
type snippet struct{ Title, Code string }

var exampleFunc = regexp.MustCompile(`(?s)// ([^\n]+)\nfunc Example_\w+\(\) \{\n(.*?)\n\}\n`)

// findSnippets returns the bodies of the example functions in a Go file, each titled by its comment: so what the page
// shows is what the compiler has seen.
func findSnippets(source string) (list []snippet) {
	for _, m := range exampleFunc.FindAllStringSubmatch(source, -1) {
		lines := strings.Split(m[2], "\n")
		for i := range lines {
			lines[i] = strings.ReplaceAll(strings.TrimPrefix(lines[i], "\t"), "\t", "    ")
		}
		list = append(list, snippet{m[1], strings.Join(lines, "\n")})
	}
	return list
}
