package cookiesession_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/seed-50e21e88/cookiesession"
)

// token returns a token of the visitor's session, as a page shows it.
func (v *visitor) token() (token string) {
	v.t.Helper()
	v.visit(func(s *cookiesession.Session) { token = s.CSRFToken() })
	return token
}

// behindCSRF answers r by h behind m's ProtectCSRF.
func behindCSRF(m *cookiesession.Manager, r *http.Request, h http.HandlerFunc) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	m.Handler(m.ProtectCSRF(h)).ServeHTTP(rec, r)
	return rec
}

// body returns a form in the given encoding.
func body(kind string, fields ...string) (string, io.Reader) {
	switch kind {
	case "urlencoded":
		form := url.Values{}
		for i := 0; i < len(fields); i += 2 {
			form.Add(fields[i], fields[i+1])
		}
		return "application/x-www-form-urlencoded; charset=utf-8", strings.NewReader(form.Encode())
	case "multipart":
		var b bytes.Buffer
		w := multipart.NewWriter(&b)
		for i := 0; i < len(fields); i += 2 {
			w.WriteField(fields[i], fields[i+1])
		}
		w.Close()
		return w.FormDataContentType(), &b
	}
	return kind, strings.NewReader(strings.Join(fields, "="))
}

// newCSRFRequest returns a request to v's site, with a form in its body.
func newCSRFRequest(v *visitor, method, kind string, fields ...string) *http.Request {
	contentType, content := body(kind, fields...)
	r := httptest.NewRequest(method, "/?q=2&both=3", content)
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("Cookie", v.header())
	return r
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

// Each token is masked anew, so that compression can't tell one from the page around it (BREACH), and all of a session
// verify.
func TestCSRFToken(t *testing.T) {
	v := newVisitor(t, newManager(t, nil))
	var tokens []string
	for range 3 {
		v.visit(func(s *cookiesession.Session) { tokens = append(tokens, s.CSRFToken(), s.CSRFToken()) })
	}
	for i, token := range tokens {
		if decoded, err := textEncoding.DecodeString(token); err != nil || len(decoded) != 32 || len(token) != 43 {
			t.Errorf("token %q: %d bytes, error %v; want 32 in 43 characters", token, len(decoded), err)
		}
		for _, other := range tokens[:i] {
			if same := sameCharacters(token, other); same > 12 {
				t.Errorf("tokens %q and %q have %d characters in common", token, other, same)
			}
		}
		if !v.load().VerifyCSRFToken(token) {
			t.Errorf("token %d of %d doesn't verify", i, len(tokens))
		}
	}
}

func sameCharacters(a, b string) (n int) {
	for i := range min(len(a), len(b)) {
		if a[i] == b[i] {
			n++
		}
	}
	return n
}

func TestVerifyCSRFToken(t *testing.T) {
	m := newManager(t, nil)
	v, other := newVisitor(t, m), newVisitor(t, m)
	token, foreign := v.token(), other.token()
	for !strings.Contains(token, ".") {
		token = v.token()
	}
	flip := func(i int) string {
		decoded, _ := textEncoding.DecodeString(token)
		decoded[i] ^= 1
		return textEncoding.EncodeToString(decoded)
	}
	same := token[:22] // the mask and two bits
	for name, wrong := range map[string]string{
		"empty": "", "another session's": foreign, "mask only": same, "too short": token[:42], "too long": token + "A", "padded": token + "=",
		"mask flipped": flip(0), "end of mask flipped": flip(15), "secret flipped": flip(16), "end flipped": flip(31),
		"zeros": strings.Repeat("A", 43), "space before": " " + token, "line break behind": token + "\n", "in base64url": strings.ReplaceAll(token, ".", "-"),
		"not of the alphabet": strings.Repeat("!", 43), "twice": token + token,
	} {
		if v.load().VerifyCSRFToken(wrong) {
			t.Errorf("%s: verifies", name)
		}
	}
	if !v.load().VerifyCSRFToken(token) || !other.load().VerifyCSRFToken(foreign) {
		t.Error("the right ones don't verify")
	}
}

// A session without a secret verifies nothing, not even what looks like the token of an empty secret.
func TestNoCSRFSecret(t *testing.T) {
	v := newVisitor(t, newManager(t, nil))
	mask := make([]byte, 32)
	for i := range mask {
		mask[i] = byte(i % 16)
	}
	empty := textEncoding.EncodeToString(mask) // the masked half is the mask: the secret is zeros
	check := func(when string) {
		s := v.load()
		if s.VerifyCSRFToken(empty) || s.VerifyCSRFToken(strings.Repeat("A", 43)) || s.Changed() {
			t.Errorf("%s: a token of no secret verifies, or changes the session (%v)", when, s.Changed())
		}
	}
	check("without a session")
	v.visit(put("n", 1))
	check("with one")
	inHandler(v.m, requestWith(v.header()), func(w http.ResponseWriter, r *http.Request) {
		s := v.m.Get(r)
		s.IsEmpty()
		w.WriteHeader(http.StatusOK)
		if late := s.CSRFToken(); s.VerifyCSRFToken(late) || s.Err() == nil {
			t.Errorf("a token drawn after the commit verifies, error %v", s.Err())
		}
	})
}

// A secret is drawn by the first CSRFToken of a session, which is a change. Nothing else makes one.
func TestCSRFSecretIsMadeOnDemand(t *testing.T) {
	v := newVisitor(t, newManager(t, nil))
	visit := func(r *http.Request) int {
		r.Header.Set("Cookie", v.header())
		rec := behindCSRF(v.m, r, func(_ http.ResponseWriter, r *http.Request) { v.m.Get(r).Keys() })
		if lines := rec.Result().Header["Set-Cookie"]; len(lines) > 0 {
			t.Errorf("%s wrote %s, want nothing", r.Method, v.wrote(lines))
		}
		return rec.Code
	}
	for range 2 { // without a session, then with one that has no secret
		if got := visit(httptest.NewRequest("GET", "/", nil)); got != 200 {
			t.Errorf("GET: got %d", got)
		}
		if got := visit(httptest.NewRequest("POST", "/", nil)); got != 403 {
			t.Errorf("POST: got %d, want 403", got)
		}
		v.visit(put("n", 1))
	}
	if _, err := v.try(func(s *cookiesession.Session) { s.RegenerateCSRFToken(); s.Regenerate() }); err != nil {
		t.Fatal(err)
	}
	plain := len(v.cookie(""))
	if got := v.wrote(v.visit(func(s *cookiesession.Session) { s.CSRFToken() })); got != "[]" {
		t.Errorf("the first token wrote %s, want the session", got)
	}
	if got := len(v.cookie("")) - plain; got < 16 || got > 23 {
		t.Errorf("the first token added %d characters, want those of 16 bytes", got)
	}
	if lines := v.visit(func(s *cookiesession.Session) { s.CSRFToken(); s.CSRFToken() }); len(lines) > 0 {
		t.Errorf("the second token wrote %s, want nothing", v.wrote(lines))
	}
}

func TestCSRFSecretEnds(t *testing.T) {
	for _, test := range []struct {
		name  string
		do    func(s *cookiesession.Session)
		valid bool
	}{
		{"a change", put("n", 2), true},
		{"Clear", func(s *cookiesession.Session) { s.Clear() }, true},
		{"Remember", func(s *cookiesession.Session) { s.Remember(1e12) }, true},
		{"Regenerate", func(s *cookiesession.Session) { s.Regenerate() }, false},
		{"RegenerateCSRFToken", func(s *cookiesession.Session) { s.RegenerateCSRFToken() }, false},
		{"Destroy", destroy, false},
		{"Destroy and a new token", func(s *cookiesession.Session) { s.Destroy(); s.CSRFToken() }, false},
	} {
		v := newVisitor(t, newManager(t, nil))
		old := v.token()
		v.visit(func(s *cookiesession.Session) {
			test.do(s)
			if got := s.VerifyCSRFToken(old); got != test.valid {
				t.Errorf("%s: the old token verifies at once: %v, want %v", test.name, got, test.valid)
			}
		})
		if got := v.load().VerifyCSRFToken(old); got != test.valid {
			t.Errorf("%s: the old token verifies: %v, want %v", test.name, got, test.valid)
		}
		if token := v.token(); !v.load().VerifyCSRFToken(token) {
			t.Errorf("%s: a new token doesn't verify", test.name)
		}
	}
}

func TestProtectCSRF(t *testing.T) {
	trusting := http.NewCrossOriginProtection()
	if err := trusting.AddTrustedOrigin("https://partner.example"); err != nil {
		t.Fatal(err)
	}
	trusting.AddInsecureBypassPattern("/hook")
	v := newVisitor(t, newManager(t, func(c *cookiesession.Config) { c.CSRF = trusting }))
	token := v.token()
	elsewhere := newVisitor(t, v.m)
	foreign := elsewhere.token()
	header := func(pairs ...string) http.Header {
		h := http.Header{}
		for i := 0; i < len(pairs); i += 2 {
			h.Add(pairs[i], pairs[i+1])
		}
		return h
	}
	form := func(kind string, fields ...string) func() (string, io.Reader) {
		return func() (string, io.Reader) { return body(kind, fields...) }
	}
	for _, test := range []struct {
		name   string
		method string
		target string
		header http.Header
		body   func() (string, io.Reader)
		want   int
	}{
		{"GET", "GET", "/", nil, nil, 200},
		{"HEAD", "HEAD", "/", nil, nil, 200},
		{"OPTIONS", "OPTIONS", "/", nil, nil, 200},
		{"TRACE", "TRACE", "/", nil, nil, 200},
		{"GET from elsewhere", "GET", "/", header("Sec-Fetch-Site", "cross-site"), nil, 200},
		{"no token", "POST", "/", nil, nil, 403},
		{"no token from here", "POST", "/", header("Sec-Fetch-Site", "same-origin"), nil, 403},
		{"unknown method", "BREW", "/", nil, nil, 403},
		{"method in lower case", "get", "/", nil, nil, 403},

		{"header", "POST", "/", header("X-CSRF-Token", token), nil, 200},
		{"header, PUT", "PUT", "/", header("X-CSRF-Token", token), nil, 200},
		{"header, PATCH", "PATCH", "/", header("X-CSRF-Token", token), nil, 200},
		{"header, DELETE", "DELETE", "/", header("X-CSRF-Token", token), nil, 200},
		{"header, JSON", "POST", "/", header("X-CSRF-Token", token), form("application/json", "{}"), 200},
		{"another session's", "POST", "/", header("X-CSRF-Token", foreign), nil, 403},
		{"the secret alone", "POST", "/", header("X-CSRF-Token", token[22:]), nil, 403},

		{"urlencoded", "POST", "/", nil, form("urlencoded", "a", "1", "csrf_token", token), 200},
		{"urlencoded, PUT", "PUT", "/", nil, form("urlencoded", "csrf_token", token), 200},
		{"urlencoded, PATCH", "PATCH", "/", nil, form("urlencoded", "csrf_token", token), 200},
		{"urlencoded, wrong", "POST", "/", nil, form("urlencoded", "csrf_token", foreign), 403},
		{"urlencoded, none", "POST", "/", nil, form("urlencoded", "a", "1"), 403},
		{"urlencoded, another name", "POST", "/", nil, form("urlencoded", "CSRF_TOKEN", token), 403},
		{"multipart", "POST", "/", nil, form("multipart", "a", "1", "csrf_token", token), 200},
		{"multipart, wrong", "POST", "/", nil, form("multipart", "csrf_token", foreign), 403},
		{"multipart, none", "POST", "/", nil, form("multipart", "a", "1"), 403},
		{"multipart, broken", "POST", "/", nil, func() (string, io.Reader) {
			return "multipart/form-data; boundary=x", strings.NewReader("--x\r\nContent-Disposition: form-data; name=\"csrf_token\"\r\n\r\n" + token)
		}, 403},
		{"multipart, no boundary", "POST", "/", nil, form("multipart/form-data", "csrf_token", token), 403},
		{"plain text", "POST", "/", nil, form("text/plain", "csrf_token", token), 403},
		{"no type", "POST", "/", nil, form("", "csrf_token", token), 403},
		{"JSON", "POST", "/", nil, form("application/json", `{"csrf_token":"`+token+`"}`), 403},
		{"header counts first", "POST", "/", header("X-CSRF-Token", foreign), form("urlencoded", "csrf_token", token), 403},
		{"empty header", "POST", "/", header("X-CSRF-Token", ""), form("urlencoded", "csrf_token", token), 200},

		{"query", "POST", "/?csrf_token=" + token, nil, nil, 403},
		{"query, urlencoded", "POST", "/?csrf_token=" + token, nil, form("urlencoded", "a", "1"), 403},
		{"query, multipart", "POST", "/?csrf_token=" + token, nil, form("multipart", "a", "1"), 403},
		{"query, wrong in form", "POST", "/?csrf_token=" + token, nil, form("urlencoded", "csrf_token", foreign), 403},
		{"cookie", "POST", "/", header("Cookie", "csrf_token="+token), nil, 403},

		{"from here", "POST", "/", header("Sec-Fetch-Site", "same-origin", "X-CSRF-Token", token), nil, 200},
		{"from the address bar", "POST", "/", header("Sec-Fetch-Site", "none", "X-CSRF-Token", token), nil, 200},
		{"from another site", "POST", "/", header("Sec-Fetch-Site", "cross-site", "X-CSRF-Token", token), nil, 403},
		{"from another host of the site", "POST", "/", header("Sec-Fetch-Site", "same-site", "X-CSRF-Token", token), nil, 403},
		{"an old browser, here", "POST", "/", header("Origin", "https://example.com", "X-CSRF-Token", token), nil, 200},
		// gorilla/csrf CVE-2025-24358 asked r.URL.Scheme, which is empty on a server, and so never checked where a
		// request came from.
		{"an old browser, elsewhere", "POST", "/", header("Origin", "https://attacker.example", "X-CSRF-Token", token), nil, 403},
		{"an old browser, nowhere", "POST", "/", header("Origin", "null", "X-CSRF-Token", token), nil, 403},
		{"a trusted origin", "POST", "/", header("Sec-Fetch-Site", "cross-site", "Origin", "https://partner.example", "X-CSRF-Token", token), nil, 200},
		{"a trusted origin without token", "POST", "/", header("Sec-Fetch-Site", "cross-site", "Origin", "https://partner.example"), nil, 403},
		{"a bypass", "POST", "/hook", header("Sec-Fetch-Site", "cross-site", "X-CSRF-Token", token), nil, 200},
		{"a bypass without token", "POST", "/hook", header("Sec-Fetch-Site", "cross-site"), nil, 403},
	} {
		t.Run(test.name, func(t *testing.T) {
			var content io.Reader
			kind := ""
			if test.body != nil {
				kind, content = test.body()
			}
			r := httptest.NewRequest(test.method, test.target, content)
			for name, values := range test.header {
				r.Header[name] = slices.Clone(values)
			}
			r.Header.Add("Cookie", v.header())
			if kind != "" {
				r.Header.Set("Content-Type", kind)
			}
			reached := false
			rec := behindCSRF(v.m, r, func(http.ResponseWriter, *http.Request) { reached = true })
			if rec.Code != test.want || reached != (test.want == 200) {
				t.Errorf("got %d, reached %v; want %d", rec.Code, reached, test.want)
			}
			if h := rec.Result().Header; len(h["Set-Cookie"]) > 0 {
				t.Errorf("wrote %s", v.wrote(h["Set-Cookie"]))
			}
		})
	}
}

// The application's own answer may use the session, and what it leaves there is saved.
func TestCSRFFailureOfApplication(t *testing.T) {
	var m *cookiesession.Manager
	m = newManager(t, func(c *cookiesession.Config) {
		c.CSRFFailure = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			m.Get(r).Flash("problem", "please try again")
			http.Redirect(w, r, "/form", http.StatusSeeOther)
		})
	})
	v := newVisitor(t, m)
	for _, site := range []string{"same-origin", "cross-site"} {
		r := httptest.NewRequest("POST", "/", nil)
		r.Header.Set("Sec-Fetch-Site", site)
		rec := behindCSRF(m, r, http.NotFound)
		if rec.Code != 303 || rec.Header().Get("Location") != "/form" || v.wrote(rec.Header()["Set-Cookie"]) != "[.flash]" {
			t.Errorf("%s: got %d to %q, wrote %s", site, rec.Code, rec.Header().Get("Location"), v.wrote(rec.Header()["Set-Cookie"]))
		}
	}
}

// Files of a form that ProtectCSRF had to read are removed when the request is over, however it ends.
func TestProtectCSRFRemovesFiles(t *testing.T) {
	files := temporaryFiles(t)
	v := newVisitor(t, newManager(t, nil))
	token := v.token()
	for _, test := range []struct {
		name   string
		size   int // 32 MB of a form are kept in memory
		token  string
		panics bool
		parsed bool // before ProtectCSRF
	}{
		{"passed", 33 << 20, token, false, false},
		{"in memory", 31 << 20, token, false, false},
		{"refused", 33 << 20, strings.Repeat("A", 43), false, false},
		{"panicked", 33 << 20, token, true, false},
		{"parsed before", 33 << 20, token, false, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			during := 0
			answer := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				during = files()
				readUpload(t, r, int64(test.size))
				if test.panics {
					panic(http.ErrAbortHandler)
				}
			})
			after := -1
			protected := v.m.Handler(v.m.ProtectCSRF(answer))
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				defer func() { after = files() }()
				if test.parsed {
					r.ParseMultipartForm(1 << 20)
				}
				protected.ServeHTTP(w, r)
			}))
			content, contentType := upload(t, test.size, cookiesession.CSRFField, test.token)
			r, _ := http.NewRequest("POST", server.URL, bytes.NewReader(content))
			r.Header.Set("Content-Type", contentType)
			r.Header.Set("Cookie", v.header())
			if resp, err := server.Client().Do(r); err == nil {
				resp.Body.Close()
			} else if !test.panics {
				t.Error(err)
			}
			server.Close()
			wantDuring, wantAfter := 1, 0
			if test.name == "refused" || test.name == "in memory" {
				wantDuring = 0
			}
			if test.parsed {
				wantAfter = 1 // somebody else's: net/http removes it after the handler
			}
			if during != wantDuring || after != wantAfter || files() != 0 {
				t.Errorf("files while the handler ran %d, want %d; after it %d, want %d; in the end %d", during, wantDuring, after, wantAfter, files())
			}
		})
	}
}

// What ProtectCSRF refuses has a reason, which CSRFFailure, the log and Stats learn, and nobody learns the token.
func TestReasonsOfProtectCSRF(t *testing.T) {
	var log logBuffer
	var reason error
	m := newManager(t, func(c *cookiesession.Config) {
		c.Logger = log.logger()
		c.CSRFFailure = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			reason = cookiesession.CSRFError(r)
			if again := cookiesession.CSRFError(r.WithContext(r.Context())); again != reason {
				t.Errorf("a copy of the request says %v, the request %v", again, reason)
			}
			w.WriteHeader(http.StatusTeapot)
		})
	})
	byDefault := newManager(t, nil)
	someone, withoutToken, nobody := newVisitor(t, m), newVisitor(t, m), newVisitor(t, m)
	token := someone.token()
	withoutToken.visit(put("n", 1))
	foreign := newVisitor(t, m).token()
	old := newVisitor(t, m)
	oldToken := old.token()
	old.visit(func(s *cookiesession.Session) { s.Regenerate() })
	loggedOut := newVisitor(t, m)
	loggedOut.token()
	loggedOut.visit(destroy)
	forged := newVisitor(t, m)
	forged.setCookie("", "1"+strings.Repeat("A", 100))
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	tooLarge := new(http.MaxBytesError)
	for _, test := range []struct {
		name    string
		visitor *visitor
		change  func(r *http.Request)
		token   string
		want    error
		counted string
		status  int // by default
	}{
		{"another site's", someone, header("Sec-Fetch-Site", "cross-site"), token, cookiesession.ErrCSRFOrigin, "origin", 403},
		{"another host's", someone, header("Sec-Fetch-Site", "same-site"), token, cookiesession.ErrCSRFOrigin, "origin", 403},
		{"another origin's, old browser", someone, header("Origin", "https://attacker.example"), token, cookiesession.ErrCSRFOrigin, "origin", 403},
		{"another site's, of nobody", nobody, header("Sec-Fetch-Site", "cross-site"), "", cookiesession.ErrCSRFOrigin, "origin", 403},
		{"nobody", nobody, nil, "", cookiesession.ErrCSRFNoSession, "no-session", 403},
		{"nobody, with a token", nobody, nil, token, cookiesession.ErrCSRFNoSession, "no-session", 403},
		{"logged out", loggedOut, nil, token, cookiesession.ErrCSRFNoSession, "no-session", 403},
		{"a session that is refused", forged, nil, token, cookiesession.ErrCSRFNoSession, "no-session", 403},
		{"a session without a secret", withoutToken, nil, token, cookiesession.ErrCSRFNoSession, "no-session", 403},
		{"a session without a secret, no token", withoutToken, nil, "", cookiesession.ErrCSRFNoSession, "no-session", 403},
		{"no token", someone, nil, "", cookiesession.ErrCSRFNoToken, "no-token", 403},
		{"no token in JSON", someone, header("Content-Type", "application/json"), "", cookiesession.ErrCSRFNoToken, "no-token", 403},
		{"another session's token", someone, nil, foreign, cookiesession.ErrCSRFToken, "token", 403},
		{"a token from before Regenerate", old, nil, oldToken, cookiesession.ErrCSRFToken, "token", 403},
		{"garbage", someone, nil, "garbage", cookiesession.ErrCSRFToken, "token", 403},
		{"garbage as long as a token", someone, nil, strings.Repeat("A", 43), cookiesession.ErrCSRFToken, "token", 403},
		{"too large", someone, func(r *http.Request) { r.Body = http.MaxBytesReader(nil, r.Body, 10) }, token, tooLarge, "too-large", 413},
	} {
		for _, inHeader := range []bool{false, true} {
			if inHeader && (test.token == "" || test.counted == "too-large") {
				continue
			}
			request := func() *http.Request {
				fields := []string{"a", "1"}
				if test.token != "" && !inHeader {
					fields = append(fields, "csrf_token", test.token)
				}
				r := newCSRFRequest(test.visitor, "POST", "urlencoded", fields...)
				r.URL.Path = "/form"
				if inHeader {
					r.Header.Set(cookiesession.CSRFHeader, test.token)
				}
				if test.change != nil {
					test.change(r)
				}
				return r
			}
			reason = nil
			log.take()
			before := m.Stats().CSRFRefused[test.counted]
			rec := behindCSRF(m, request(), http.NotFound)
			name := fmt.Sprintf("%s, in header %v", test.name, inHeader)
			if rec.Code != http.StatusTeapot {
				t.Errorf("%s: got %d, want CSRFFailure's answer", name, rec.Code)
			}
			if test.want == tooLarge {
				if !errors.As(reason, &tooLarge) {
					t.Errorf("%s: got reason %v, want a *http.MaxBytesError", name, reason)
				}
			} else if reason != test.want {
				t.Errorf("%s: got reason %v, want %v", name, reason, test.want)
			}
			if n := m.Stats().CSRFRefused[test.counted] - before; n != 1 {
				t.Errorf("%s: counted %d times as %s, want once", name, n, test.counted)
			}
			logged := log.take()
			if strings.Count(logged, "ProtectCSRF refused") != 1 || !strings.Contains(logged, "level=INFO") ||
				!strings.Contains(logged, "reason="+test.counted+" method=POST path=/form") {
				t.Errorf("%s: logged %q, want reason %s, method and path", name, logged, test.counted)
			}
			if test.token != "" && test.token != "garbage" && strings.Contains(logged, test.token) {
				t.Errorf("%s: the token was logged", name)
			}
			rec = behindCSRF(byDefault, request(), http.NotFound)
			if rec.Code != test.status || !strings.HasPrefix(rec.Body.String(), fmt.Sprint(test.status, " ")) || test.token != "" && strings.Contains(rec.Body.String(), test.token) {
				t.Errorf("%s: by default got %d %q, want %d", name, rec.Code, rec.Body, test.status)
			}
		}
	}
	total, defaultTotal := uint64(0), uint64(0)
	for reason, n := range m.Stats().CSRFRefused {
		total += n
		defaultTotal += byDefault.Stats().CSRFRefused[reason]
	}
	if total == 0 || total != defaultTotal {
		t.Errorf("counted %d refusals with a CSRFFailure and %d without", total, defaultTotal)
	}
}

// Where nothing was refused there is no reason.
func TestNoCSRFError(t *testing.T) {
	m := newManager(t, func(c *cookiesession.Config) {
		c.ErrorHandler = func(_ http.ResponseWriter, r *http.Request, _ error) {
			if err := cookiesession.CSRFError(r); err != nil {
				t.Errorf("in ErrorHandler: got %v", err)
			}
		}
	})
	v := newVisitor(t, m)
	token := v.token()
	reached := false
	behindCSRF(m, newCSRFRequest(v, "POST", "urlencoded", "csrf_token", token), func(_ http.ResponseWriter, r *http.Request) {
		reached = true
		if err := cookiesession.CSRFError(r); err != nil {
			t.Errorf("in the handler: got %v", err)
		}
		m.Get(r).Put("n", tooLarge)
	})
	if !reached || m.Stats().SaveErrors != 1 {
		t.Errorf("reached %v, SaveErrors %d", reached, m.Stats().SaveErrors)
	}
	if err := cookiesession.CSRFError(httptest.NewRequest("POST", "/", nil)); err != nil {
		t.Errorf("outside: got %v", err)
	}
}

// ProtectCSRF is inside the Handler of the same Manager, or says so at the first request, whatever that is.
func TestProtectCSRFSaysWhereItBelongs(t *testing.T) {
	m, other := newManager(t, nil), newManager(t, func(c *cookiesession.Config) { c.Name = "other" })
	app := http.NotFoundHandler()
	for name, h := range map[string]http.Handler{
		"no Handler":        m.ProtectCSRF(app),
		"Handler inside":    m.ProtectCSRF(m.Handler(app)),
		"another's Handler": other.Handler(m.ProtectCSRF(app)),
	} {
		for _, method := range []string{"GET", "POST"} {
			panicked := func() (p any) {
				defer func() { p = recover() }()
				h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(method, "/", nil))
				return nil
			}()
			if text, _ := panicked.(string); !strings.HasPrefix(text, "cookiesession: ProtectCSRF must be inside Handler") {
				t.Errorf("%s, %s: got panic %v, want one that says what is wrong", name, method, panicked)
			}
		}
	}
	rec := httptest.NewRecorder()
	other.Handler(m.Handler(other.ProtectCSRF(m.ProtectCSRF(app)))).ServeHTTP(rec, httptest.NewRequest("GET", "/", nil))
	if rec.Code != 404 {
		t.Errorf("inside both: got %d", rec.Code)
	}
}

// Of a session that can't be checked nobody knows whether the token is right: that isn't the visitor's fault, and the
// answer says so. A moment later the same request passes.
func TestProtectCSRFOfUncheckedSession(t *testing.T) {
	down := errors.New("database is down")
	for _, hook := range []string{"Revoked", "Import"} {
		for _, byDefault := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/default=%v", hook, byDefault), func(t *testing.T) {
				var failing error
				var handled error
				m := newManager(t, func(c *cookiesession.Config) {
					if hook == "Revoked" {
						c.Revoked = func(context.Context, *cookiesession.Session) (bool, error) { return false, failing }
					} else {
						c.Import = func(*http.Request) (map[string]any, error) { return nil, failing }
					}
					c.CSRFFailure = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						w.WriteHeader(http.StatusTeapot)
					})
					if !byDefault {
						c.ErrorHandler = func(w http.ResponseWriter, r *http.Request, err error) { handled = err }
					}
				})
				v := newVisitor(t, m)
				token := v.token()
				if hook == "Import" {
					v.jar.Restart() // so that it's asked
				}
				answer := func(change func(r *http.Request)) int {
					r := newCSRFRequest(v, "POST", "urlencoded", "csrf_token", token)
					change(r)
					rec := behindCSRF(m, r, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) })
					if len(rec.Header()["Set-Cookie"]) > 0 {
						t.Errorf("wrote %s", v.wrote(rec.Header()["Set-Cookie"]))
					}
					return rec.Code
				}
				failing = down
				if got := answer(func(*http.Request) {}); got != 503 || !byDefault && handled != down {
					t.Errorf("got %d, ErrorHandler got %v; want 503 and the hook's error", got, handled)
				}
				if n := len(m.Stats().CSRFRefused); n != 0 {
					t.Errorf("counted %v, want none", m.Stats().CSRFRefused)
				}
				if got := answer(func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }); got != http.StatusTeapot {
					t.Errorf("another site's: got %d, want it refused for that", got)
				}
				failing = nil
				want := 204
				if hook == "Import" {
					want = http.StatusTeapot // a visitor without a session
				}
				if got := answer(func(*http.Request) {}); got != want {
					t.Errorf("a moment later: got %d, want %d", got, want)
				}
			})
		}
	}
}

func TestRegenerateCSRFTokenAfterCommit(t *testing.T) {
	m := newManager(t, nil)
	inHandler(m, requestWith(), func(w http.ResponseWriter, r *http.Request) {
		s := m.Get(r)
		token := s.CSRFToken()
		w.WriteHeader(http.StatusOK)
		if s.RegenerateCSRFToken(); !s.VerifyCSRFToken(token) || !errors.Is(s.Err(), cookiesession.ErrCommitted) {
			t.Errorf("got %v, token verified %v; want the token that the browser has to stay", s.Err(), s.VerifyCSRFToken(token))
		}
	})
}

// Middleware that makes a token for each page makes one for a form that came without a session, too. What was wrong
// stays that there was none.
func TestNoSessionThoughTokenWasMade(t *testing.T) {
	var reason error
	m := newManager(t, noteCSRFError(&reason))
	loggedOut := newVisitor(t, m)
	old := loggedOut.token()
	loggedOut.visit(destroy)
	for _, token := range []string{"", old} {
		r := newCSRFRequest(loggedOut, "POST", "urlencoded", cookiesession.CSRFField, token)
		inHandler(m, r, func(w http.ResponseWriter, r *http.Request) {
			m.Get(r).CSRFToken()
			m.ProtectCSRF(http.NotFoundHandler()).ServeHTTP(w, r)
		})
		if reason != cookiesession.ErrCSRFNoSession {
			t.Errorf("token %q: got %v, want %v", token, reason, cookiesession.ErrCSRFNoSession)
		}
	}
}

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
