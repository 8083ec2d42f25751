package cookiesession

import (
	"crypto/rand"
	"crypto/subtle"
	"mime"
	"net/http"

	"github.com/seed-50e21e88/cookiesession/internal/base64dot"
)

// Where ProtectCSRF looks for the token: a request header, then a form field.
const (
	CSRFHeader = "X-CSRF-Token"
	CSRFField  = "csrf_token"
)

// CSRFToken returns a token that only this session verifies: 43 characters of A-Z a-z 0-9 . _, a random mask and the masked
// secret, so that no two pages hold the same bytes (which compression would reveal: BREACH). All tokens of a session
// stay valid until Regenerate, RegenerateCSRFToken or Destroy.
//
// The first call for a session draws its secret, which is a change like any other: make it at login, or a slow form
// page may overwrite what another response changes meanwhile. After the commit it comes too late: the token verifies
// nothing, and [Session.Err] returns [ErrCommitted].
func (s *Session) CSRFToken() string {
	s.lock()
	defer s.unlock()
	if s.data.csrf == (csrfSecret{}) && s.mayChange() {
		rand.Read(s.changing().csrf[:])
	}
	const n = len(csrfSecret{})
	var token [2 * n]byte
	rand.Read(token[:n])
	subtle.XORBytes(token[n:], token[:n], s.data.csrf[:])
	return string(base64dot.AppendEncode(nil, token[:]))
}

// VerifyCSRFToken reports whether token came from this session's CSRFToken. The comparison takes constant time. A
// session without a secret verifies nothing.
func (s *Session) VerifyCSRFToken(token string) bool {
	s.lock()
	defer s.unlock()
	const n = len(csrfSecret{})
	if len(token) != base64dot.EncodedLen(2*n) {
		return false
	}
	parts, ok := base64dot.AppendDecode(make([]byte, 0, 2*n), token)
	if !ok || s.data.csrf == (csrfSecret{}) {
		return false
	}
	subtle.XORBytes(parts[n:], parts[:n], parts[n:])
	return subtle.ConstantTimeCompare(parts[n:], s.data.csrf[:]) == 1
}

// RegenerateCSRFToken makes all tokens of the session invalid. A session that never had one is left alone.
func (s *Session) RegenerateCSRFToken() {
	s.lock()
	defer s.unlock()
	if s.data.csrf != (csrfSecret{}) && s.mayChange() {
		rand.Read(s.changing().csrf[:])
	}
}

// ProtectCSRF refuses requests that another site made the browser send. It goes inside [Manager.Handler]. First it
// asks Config.CSRF, an [http.CrossOriginProtection]; then every request whose method isn't GET, HEAD, OPTIONS or
// TRACE must bring a token of the session in the header X-CSRF-Token, or in the field csrf_token of a form,
// urlencoded or multipart, in its body. What is refused goes to Config.CSRFFailure.
//
// Looking for the field parses the form, as [http.Request.ParseMultipartForm] does with 32 MB in memory; requests
// with the header are left unread. Put what other servers call, such as webhooks, outside.
func (m *Manager) ProtectCSRF(next http.Handler) http.Handler {
	failure := m.config.CSRFFailure
	if failure == nil {
		failure = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "403 forbidden: this form has expired or came from elsewhere; please go back, reload the page and try again", http.StatusForbidden)
		})
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if m.config.CSRF.Check(r) != nil {
			failure.ServeHTTP(w, r)
			return
		}
		switch r.Method {
		case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
			next.ServeHTTP(w, r)
			return
		}
		parsed := r.MultipartForm != nil
		token := requestToken(r)
		if !parsed && r.MultipartForm != nil {
			// net/http removes the files of the request that it made, and this may be a copy.
			defer r.MultipartForm.RemoveAll()
		}
		if !m.Get(r).VerifyCSRFToken(token) {
			failure.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// requestToken returns the token that r brought, never one from the URL: those are logged and shared.
func requestToken(r *http.Request) string {
	if token := r.Header.Get(CSRFHeader); token != "" {
		return token
	}
	switch kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind {
	case "application/x-www-form-urlencoded", "multipart/form-data":
		return r.PostFormValue(CSRFField)
	}
	return ""
}
