package cookiesession_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/seed-50e21e88/cookiesession"
)

// csrfForms are the encodings in which a form may bring its token.
var csrfForms = []string{"urlencoded", "multipart"}

// parsers are what somebody outside ProtectCSRF may have done to the form.
var parsers = map[string]func(r *http.Request){
	"nobody":             func(*http.Request) {},
	"ParseForm":          func(r *http.Request) { r.ParseForm() },
	"FormValue":          func(r *http.Request) { r.FormValue("x") },
	"PostFormValue":      func(r *http.Request) { r.PostFormValue("x") },
	"ParseMultipartForm": func(r *http.Request) { r.ParseMultipartForm(1 << 20) },
}

// newCSRFRequest returns a request to v's site, with a form in its body.
func newCSRFRequest(v *visitor, method, kind string, fields ...string) *http.Request {
	contentType, content := body(kind, fields...)
	r := httptest.NewRequest(method, "/?q=2&both=3", content)
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("Cookie", v.header())
	return r
}

// A token in the body is found whatever the method and whoever has parsed the form before, though net/http reads such
// bodies for POST, PUT and PATCH only. What the handler reads then is the whole form.
func TestTokenInBody(t *testing.T) {
	v := newVisitor(t, newManager(t, nil))
	good := v.token()
	foreign := newVisitor(t, v.m).token()
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "MERGE", "PROPPATCH", "get", "QUERY"} {
		for _, kind := range csrfForms {
			for who, parse := range parsers {
				for _, token := range []string{good, foreign, ""} {
					r := newCSRFRequest(v, method, kind, "a", "1", "both", "4", "csrf_token", token)
					parse(r)
					got := ""
					rec := behindCSRF(v.m, r, func(_ http.ResponseWriter, r *http.Request) {
						got = fmt.Sprint(r.PostForm["a"], r.PostForm["q"], r.PostForm["both"], r.Form["both"], r.FormValue("a"), r.FormValue("q"), r.FormValue("both"))
					})
					want, status := "[1] [] [4] [4 3]124", 200
					if token != good {
						want, status = "", 403
					}
					if kind == "multipart" && want != "" {
						want = "[1] [] [4] [3 4]123" // net/http's order
					}
					if rec.Code != status || got != want {
						t.Errorf("%s, %s, parsed by %s before: got %d and form %q, want %d and %q", method, kind, who, rec.Code, got, status, want)
					}
				}
			}
		}
	}
}

// net/http's own ways of reading the form work in the handler as if nobody had looked for a token.
func TestFormIsThereAfterProtectCSRF(t *testing.T) {
	v := newVisitor(t, newManager(t, nil))
	token := v.token()
	for _, method := range []string{"POST", "DELETE"} {
		for name, read := range map[string]func(r *http.Request) string{
			"FormValue":     func(r *http.Request) string { return r.FormValue("a") },
			"PostFormValue": func(r *http.Request) string { return r.PostFormValue("a") },
			"ParseForm": func(r *http.Request) string {
				if err := r.ParseForm(); err != nil {
					return err.Error()
				}
				return r.PostForm.Get("a")
			},
			"on a copy":  func(r *http.Request) string { return r.WithContext(t.Context()).FormValue("a") },
			"on a clone": func(r *http.Request) string { return r.Clone(t.Context()).PostFormValue("a") },
		} {
			for _, kind := range csrfForms {
				got := ""
				r := newCSRFRequest(v, method, kind, "a", "1", "csrf_token", token)
				rec := behindCSRF(v.m, r, func(_ http.ResponseWriter, r *http.Request) { got = read(r) })
				if got != "1" {
					t.Errorf("%s, %s, %s: got %q, status %d; want 1", method, kind, name, got, rec.Code)
				}
			}
		}
	}
}

// untouchable is a body that nobody may read.
type untouchable struct{ t *testing.T }

func (u untouchable) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, io.EOF
}

// The body stays unread where there is nothing to look for: methods that change nothing, a token in the header, other
// content types, and what another site sent.
func TestProtectCSRFReadsNoBody(t *testing.T) {
	v := newVisitor(t, newManager(t, nil))
	token := v.token()
	for _, test := range []struct {
		name, method, contentType, header, site string
		want                                    int
	}{
		{"GET", "GET", "application/x-www-form-urlencoded", "", "", 200},
		{"GET, multipart", "GET", "multipart/form-data; boundary=x", "", "", 200},
		{"HEAD", "HEAD", "application/x-www-form-urlencoded", "", "", 200},
		{"OPTIONS", "OPTIONS", "application/x-www-form-urlencoded", "", "", 200},
		{"TRACE", "TRACE", "multipart/form-data; boundary=x", "", "", 200},
		{"token in the header", "DELETE", "application/x-www-form-urlencoded", token, "", 200},
		{"token in the header, multipart", "POST", "multipart/form-data; boundary=x", token, "", 200},
		{"wrong token in the header", "POST", "application/x-www-form-urlencoded", "wrong", "", 403},
		{"JSON", "POST", "application/json", "", "", 403},
		{"no content type", "DELETE", "", "", "", 403},
		{"another site's", "DELETE", "application/x-www-form-urlencoded", "", "cross-site", 403},
	} {
		r := httptest.NewRequest(test.method, "/", untouchable{t})
		r.Header.Set("Content-Type", test.contentType)
		r.Header.Set("Cookie", v.header())
		if test.header != "" {
			r.Header.Set(cookiesession.CSRFHeader, test.header)
		}
		if test.site != "" {
			r.Header.Set("Sec-Fetch-Site", test.site)
		}
		if rec := behindCSRF(v.m, r, func(http.ResponseWriter, *http.Request) {}); rec.Code != test.want {
			t.Errorf("%s: got %d, want %d", test.name, rec.Code, test.want)
		}
	}
}

// limits are the places in which somebody may bound the body. inner goes inside Handler.
func limits(m *cookiesession.Manager, n int64) map[string]func(inner http.Handler) http.Handler {
	reader := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Body = http.MaxBytesReader(w, r.Body, n)
			next.ServeHTTP(w, r)
		})
	}
	return map[string]func(inner http.Handler) http.Handler{
		"MaxBytesReader outside":  func(inner http.Handler) http.Handler { return reader(m.Handler(inner)) },
		"MaxBytesReader inside":   func(inner http.Handler) http.Handler { return m.Handler(reader(inner)) },
		"MaxBytesHandler outside": func(inner http.Handler) http.Handler { return http.MaxBytesHandler(m.Handler(inner), n) },
	}
}

// Two ProtectCSRF, as of a site and of a part of it, find the token that came once.
func TestProtectCSRFTwice(t *testing.T) {
	v := newVisitor(t, newManager(t, nil))
	token := v.token()
	for _, method := range []string{"POST", "DELETE"} {
		for _, kind := range csrfForms {
			answered := false
			answer := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { answered = r.PostFormValue("a") == "1" })
			behindCSRF(v.m, newCSRFRequest(v, method, kind, "a", "1", "csrf_token", token), v.m.ProtectCSRF(answer).ServeHTTP)
			if !answered {
				t.Errorf("%s, %s: got no answer, or one without the form", method, kind)
			}
		}
	}
}

// noteCSRFError is a change for newManager: what is refused is answered with 418, and reason is why.
func noteCSRFError(reason *error) func(*cookiesession.Config) {
	return func(c *cookiesession.Config) {
		c.CSRFFailure = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			*reason = cookiesession.CSRFError(r)
			w.WriteHeader(http.StatusTeapot)
		})
	}
}

// A body over a limit that somebody set is refused as what it is, with 413, not as a form without a token.
func TestBodyOverLimit(t *testing.T) {
	var reason error
	m := newManager(t, noteCSRFError(&reason))
	byDefault := newManager(t, nil)
	v := newVisitor(t, m)
	token := v.token()
	for _, method := range []string{"POST", "DELETE"} {
		for _, kind := range csrfForms {
			length := newCSRFRequest(v, method, kind, "a", "1", "csrf_token", token).ContentLength
			for _, beyond := range []int64{-1, 0, 1} {
				limit := length - beyond
				for place, limited := range limits(m, limit) {
					for who, parse := range parsers {
						reason = nil
						answer := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
							if r.FormValue("a") != "1" {
								t.Error("the handler got half a form")
							}
						})
						rec := httptest.NewRecorder()
						limited(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
							parse(r)
							m.ProtectCSRF(answer).ServeHTTP(w, r)
						})).ServeHTTP(rec, newCSRFRequest(v, method, kind, "a", "1", "csrf_token", token))
						name := fmt.Sprintf("%s, %s, %d beyond the limit, %s, parsed by %s", method, kind, beyond, place, who)
						var tooLarge *http.MaxBytesError
						switch {
						case beyond <= 0 && rec.Code != 200:
							t.Errorf("%s: got %d, %v; want 200", name, rec.Code, reason)
						case beyond > 0 && (rec.Code != http.StatusTeapot || !errors.As(reason, &tooLarge) || tooLarge.Limit != limit):
							t.Errorf("%s: got %d, %v; want a *http.MaxBytesError of %d", name, rec.Code, reason, limit)
						}
					}
				}
			}
			// without a CSRFFailure
			rec := httptest.NewRecorder()
			limits(byDefault, length-1)["MaxBytesReader outside"](byDefault.ProtectCSRF(http.NotFoundHandler())).
				ServeHTTP(rec, newCSRFRequest(v, method, kind, "a", "1", "csrf_token", token))
			if rec.Code != 413 || !strings.HasPrefix(rec.Body.String(), "413 too large") {
				t.Errorf("%s, %s: got %d %q, want 413", method, kind, rec.Code, rec.Body)
			}
		}
	}
	if s := m.Stats().CSRFRefused; s["too-large"] == 0 || len(s) != 1 {
		t.Errorf("counted %v, want too-large only", s)
	}
	if s := byDefault.Stats().CSRFRefused; s["too-large"] != 4 || len(s) != 1 {
		t.Errorf("counted %v, want 4 too-large", s)
	}
}

// Where nobody sets a limit net/http has its own. What is over that is refused in the same way, also where somebody
// parsed the form before and left its end unread: a form isn't its last bytes.
func TestBodyOverDefaultLimit(t *testing.T) {
	var reason error
	m := newManager(t, noteCSRFError(&reason))
	v := newVisitor(t, m)
	token := v.token()
	const limit = 10 << 20
	urlencoded := func(n int) (string, []byte) { // the token comes last, behind n bytes
		return "application/x-www-form-urlencoded", append(bytes.Repeat([]byte("a"), n), "&csrf_token="+token...)
	}
	parts := func(n int) (string, []byte) {
		var b bytes.Buffer
		w := multipart.NewWriter(&b)
		for range n - 1 {
			w.WriteField("a", "1")
		}
		w.WriteField("csrf_token", token)
		w.Close()
		return w.FormDataContentType(), b.Bytes()
	}
	tail := len("&csrf_token=" + token)
	for _, test := range []struct {
		name   string
		method string
		form   func(n int) (string, []byte)
		n      int
		parse  func(*http.Request)
		limit  int64 // 0: passes
	}{
		{"10 MB", "POST", urlencoded, limit - tail, parsers["nobody"], 0},
		{"10 MB and a byte", "POST", urlencoded, limit - tail + 1, parsers["nobody"], limit},
		{"10 MB, parsed before", "POST", urlencoded, limit - tail, parsers["ParseForm"], 0},
		{"10 MB and two bytes, parsed before", "POST", urlencoded, limit - tail + 2, parsers["ParseForm"], limit},
		{"the token beyond, parsed before", "POST", urlencoded, limit + 1, parsers["ParseForm"], limit},
		{"DELETE of 10 MB", "DELETE", urlencoded, limit - tail, parsers["ParseForm"], 0},
		{"DELETE of 10 MB and a byte", "DELETE", urlencoded, limit - tail + 1, parsers["ParseForm"], limit},
		{"1,000 parts", "POST", parts, 1000, parsers["nobody"], 0},
		{"1,001 parts", "POST", parts, 1001, parsers["nobody"], 42 << 20},
		{"DELETE of 1,001 parts", "DELETE", parts, 1001, parsers["nobody"], 42 << 20},
	} {
		reason = nil
		contentType, content := test.form(test.n)
		r := httptest.NewRequest(test.method, "/", bytes.NewReader(content))
		r.Header.Set("Content-Type", contentType)
		r.Header.Set("Cookie", v.header())
		test.parse(r)
		rec := behindCSRF(m, r, func(http.ResponseWriter, *http.Request) {})
		var tooLarge *http.MaxBytesError
		if passes := rec.Code == 200; passes != (test.limit == 0) {
			t.Errorf("%s: got %d, %v", test.name, rec.Code, reason)
		} else if !passes && (!errors.As(reason, &tooLarge) || tooLarge.Limit != test.limit) {
			t.Errorf("%s: got %v, want a *http.MaxBytesError of %d", test.name, reason, test.limit)
		}
	}
}

// An empty form that was parsed before has no token, and nothing of it is too large.
func TestEmptyFormParsedBefore(t *testing.T) {
	v := newVisitor(t, newManager(t, nil))
	v.token()
	for _, method := range []string{"POST", "DELETE"} {
		for _, kind := range csrfForms {
			for _, absent := range []bool{false, true} {
				r := newCSRFRequest(v, method, kind)
				if absent {
					r.Body = nil // as in a request that a test made
				}
				r.ParseForm()
				if rec := behindCSRF(v.m, r, http.NotFound); rec.Code != 403 {
					t.Errorf("%s, %s, no body %v: got %d, want 403", method, kind, absent, rec.Code)
				}
			}
		}
	}
	if s := v.m.Stats().CSRFRefused; s["no-token"] != 8 || len(s) != 1 {
		t.Errorf("counted %v, want 8 without a token", s)
	}
}
