package cookiesession

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"io"
	"log/slog"
	"mime"
	"mime/multipart"
	"net/http"

	"github.com/seed-50e21e88/cookiesession/internal/base64dot"
)

// Where ProtectCSRF looks for the token: a request header, then a form field.
const (
	CSRFHeader = "X-CSRF-Token"
	CSRFField  = "csrf_token"
)

// CSRFToken returns a token that only this session verifies: 43 characters of A-Z a-z 0-9 . _ that encode a random mask
// and the masked secret. So no two pages hold the same bytes, which could be guessed from the sizes of compressed
// responses (BREACH). All tokens of a session stay valid until Regenerate, RegenerateCSRFToken or Destroy.
//
// The first call for a session draws its secret, which changes the session: make it at login, or a slow form page may
// overwrite what another response changes meanwhile. A first call after the commit is too late: its token never
// verifies, and [Session.Err] returns [ErrCommitted].
func (s *Session) CSRFToken() string {
	s.lock()
	defer s.unlock()
	if s.state.data.csrf == (csrfSecret{}) && s.mayCall("CSRFToken") {
		rand.Read(s.changing().csrf[:])
	}
	const n = len(csrfSecret{})
	var token [2 * n]byte
	rand.Read(token[:n])
	subtle.XORBytes(token[n:], token[:n], s.state.data.csrf[:])
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
	if !ok || s.state.data.csrf == (csrfSecret{}) {
		return false
	}
	subtle.XORBytes(parts[n:], parts[:n], parts[n:])
	return subtle.ConstantTimeCompare(parts[n:], s.state.data.csrf[:]) == 1
}

// RegenerateCSRFToken makes all tokens of the session invalid. A session that never had one stays unchanged.
func (s *Session) RegenerateCSRFToken() {
	s.lock()
	defer s.unlock()
	if s.state.data.csrf != (csrfSecret{}) && s.mayCall("RegenerateCSRFToken") {
		rand.Read(s.changing().csrf[:])
	}
}

// ProtectCSRF refuses requests that another origin made the browser send. It belongs inside [Manager.Handler]; outside,
// it panics at the first request. First Config.CSRF, an [http.CrossOriginProtection], checks the request; then every
// request whose method isn't GET, HEAD, OPTIONS or TRACE must have a token of the session, in the header X-CSRF-Token
// or in the field csrf_token of an urlencoded or multipart form in its body. Refused requests are answered by
// Config.CSRFFailure, which gets the reason from [CSRFError], are logged, and are counted in Stats. If Revoked or
// Import has failed, the session can't be checked, and so neither can a token: then Config.ErrorHandler answers, with
// status 503.
//
// The handshake of a WebSocket is a GET request and passes: check its Origin, as WebSocket libraries do.
//
// Without the header the form is parsed, as [http.Request.ParseMultipartForm] does with 32 MB in memory; with it the
// body isn't read. Handlers that other servers call, such as webhooks, belong outside.
func (m *Manager) ProtectCSRF(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s, ok := r.Context().Value(m).(*Session)
		if !ok {
			panic("cookiesession: ProtectCSRF must be inside Handler of the same Manager: sessions.Handler(sessions.ProtectCSRF(mux))")
		}
		if m.config.CSRF.Check(r) != nil {
			m.refuseCSRF(w, r, ErrCSRFOrigin)
			return
		}
		switch r.Method {
		case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
			next.ServeHTTP(w, r)
			return
		}
		parsed := r.MultipartForm != nil
		token, err := requestToken(r)
		if !parsed && r.MultipartForm != nil {
			// net/http removes the form's files of its own request only, and r may be a copy of a copy of that.
			defer r.MultipartForm.RemoveAll()
		}
		if err == nil {
			err = s.checkCSRF(token)
		}
		s.open()
		switch unchecked := s.state.incoming.problems().unchecked; {
		case err == nil:
			next.ServeHTTP(w, r)
		case unchecked != nil:
			m.answerUnsaved(w, r, http.StatusServiceUnavailable, unchecked)
		default:
			m.refuseCSRF(w, r, err)
		}
	})
}

// checkCSRF returns why a request with this token is refused, or nil.
func (s *Session) checkCSRF(token string) error {
	s.lock()
	hasSecret := s.state.data.csrf != (csrfSecret{})
	isNew := s.isNew()
	s.unlock()
	switch {
	case s.VerifyCSRFToken(token):
		return nil
	case isNew || !hasSecret:
		return ErrCSRFNoSession
	case token == "":
		return ErrCSRFNoToken
	}
	return ErrCSRFToken
}

// refuseCSRF answers a request that ProtectCSRF refuses.
func (m *Manager) refuseCSRF(w http.ResponseWriter, r *http.Request, err error) {
	reason := csrfReasonOf(err)
	m.counters.csrfRefused[reason].Add(1)
	m.config.Logger.LogAttrs(r.Context(), slog.LevelInfo, "cookiesession: ProtectCSRF refused a request",
		slog.String("reason", csrfReasons[reason]), slog.String("method", r.Method), slog.String("path", pathOf(r)))
	if m.config.CSRFFailure != nil {
		m.config.CSRFFailure.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), csrfFailed{}, err)))
		return
	}
	if csrfReasons[reason] == csrfTooLarge {
		http.Error(w, "413 too large: what this form sends is larger than this site takes", http.StatusRequestEntityTooLarge)
		return
	}
	http.Error(w, "403 forbidden: this form has expired or came from elsewhere; please go back, reload the page and try again", http.StatusForbidden)
}

// csrfFailed is the context key for the reason why a request was refused.
type csrfFailed struct{}

// CSRFError returns, in Config.CSRFFailure, why ProtectCSRF refuses r: [ErrCSRFOrigin], [ErrCSRFNoSession],
// [ErrCSRFNoToken], [ErrCSRFToken], or a *[http.MaxBytesError], best answered with 413, if the body is over a limit:
// one that was set for it, or net/http's own for forms, which are 10 MB for urlencoded ones, and 1,000 parts or 42 MB
// of fields for multipart ones. Outside of CSRFFailure it returns nil.
func CSRFError(r *http.Request) error {
	err, _ := r.Context().Value(csrfFailed{}).(error)
	return err
}

// requestToken returns the token in r's header or body, never one in the URL, since URLs are logged and shared. An
// error is always a *http.MaxBytesError.
func requestToken(r *http.Request) (token string, err error) {
	if token := r.Header.Get(CSRFHeader); token != "" {
		return token, nil
	}
	switch kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind {
	case "application/x-www-form-urlencoded":
		err = parseForm(r)
	case "multipart/form-data":
		err = r.ParseMultipartForm(maxFormMemory)
	default:
		return "", nil
	}
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return "", tooLarge
	case errors.Is(err, multipart.ErrMessageTooLarge):
		return "", &http.MaxBytesError{Limit: maxFormMemory + maxFormFields}
	case err != nil && err.Error() == formTooLarge:
		return "", &http.MaxBytesError{Limit: maxFormFields}
	}
	return r.PostForm.Get(CSRFField), nil
}

const (
	maxFormMemory = 32 << 20               // as in net/http's own PostFormValue
	maxFormFields = 10 << 20               // net/http's default; multipart, for fields beyond maxFormMemory
	formTooLarge  = "http: POST too large" // its error's text: it exports no variable
)

// parseForm parses an urlencoded body whatever the method. net/http reads the body for POST, PUT and PATCH only, so
// with other methods it is still unread even if the form has been parsed before.
func parseForm(r *http.Request) error {
	switch r.Method {
	case http.MethodPost, http.MethodPut, http.MethodPatch:
		if r.PostForm != nil {
			return errorOfRest(r)
		}
		return r.ParseForm()
	}
	post := *r
	if len(r.PostForm) == 0 {
		post.Method, post.Form, post.PostForm = http.MethodPost, nil, nil
	}
	err := post.ParseForm()
	r.Form, r.PostForm = post.Form, post.PostForm
	return err
}

// errorOfRest returns why an earlier parse of r's form found no fields: if part of the body is still unread, the form
// was too large. The unread rest must not be parsed as if it were the whole form.
func errorOfRest(r *http.Request) error {
	if len(r.PostForm) > 0 || r.Body == nil {
		return nil
	}
	switch _, err := io.ReadFull(r.Body, make([]byte, 1)); err {
	case nil:
		return errors.New(formTooLarge)
	case io.EOF:
		return nil
	default:
		return err
	}
}
