package cookiesession

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"time"
)

// Handler wraps next so that each request has a session, which [Manager.Get] returns. The session's cookies are written
// into the response header exactly once, the commit: before the first byte of the final response header, or when next
// returns. After a panic in next nothing commits, whatever a goroutine still writes. Informational responses (1xx except
// 101) pass through.
//
// If the session can't be saved, Config.ErrorHandler answers instead of next, whose further output is discarded. A
// change after the commit is refused with [ErrCommitted], logged and counted. A session that is first used after the
// commit can still be read, but the response lacks Vary: Cookie.
//
// The response writer that next gets implements http.Flusher and http.Hijacker exactly if the one underneath does, and
// always io.ReaderFrom, so that files are still sent by the kernel. Hijacking commits into a header that net/http
// doesn't send any more; to set cookies in an upgrade's response use [Manager.Save].
//
// With http.TimeoutHandler outside, a late response is dropped together with its cookies. With http.TimeoutHandler
// inside, its 503 response commits what the handler has changed by then, and so does the response of a middleware
// inside that recovers from panics. A Handler inside a Handler of the same Manager only calls its next.
//
// Under Config.DeviceProof, Handler answers requests for Config.DevicePath. It also answers instead of next while the
// proof of a bound session's device is missing: a visitor who follows a link from another site, for which browsers
// renew no proof, gets a page that repeats the request at once; if the browser reports that it couldn't renew, the
// status is 503.
func (m *Manager) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Context().Value(m) != nil {
			next.ServeHTTP(w, r)
			return
		}
		if m.isForDevice(r) {
			m.serveDevice(w, r)
			return
		}
		x, wrapped := newExchange(w)
		x.Context = r.Context()
		x.w = w
		x.outside = entityHeadersIn(w.Header())
		x.session.bind(m, r)
		if m.config.DeviceProof > 0 && m.answerUnproven(w, &x.session) {
			return
		}
		inner := r.WithContext(x)
		defer x.session.end(inner)
		next.ServeHTTP(wrapped, inner)
		x.commit()
	})
}

// end follows next, also if that has panicked. From then on nothing commits: a goroutine may still hold the response
// writer, and frameworks use theirs again for another visitor's response.
//
// It copies to the request what was set in inner, its copy: when the request ends, net/http removes the temporary files
// of its form, and a logging middleware outside wants to know which pattern was matched.
func (s *Session) end(inner *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.committed = true
	r := s.request
	if r.MultipartForm == nil {
		r.MultipartForm = inner.MultipartForm
	}
	r.Pattern = inner.Pattern
}

// Get returns the session of a request that came through Handler. It panics if r didn't: a handler without its
// middleware is a mistake in the program.
func (m *Manager) Get(r *http.Request) *Session { return m.FromContext(r.Context()) }

// FromContext returns the session of the request that ctx belongs to, and panics where Get does.
func (m *Manager) FromContext(ctx context.Context) *Session {
	s, ok := ctx.Value(m).(*Session)
	if !ok {
		panic("cookiesession: the request did not come through this Manager's Handler: wrap the mux, sessions.Handler(mux), and pass the request or its context on")
	}
	return s
}

// FromContext returns the session of the innermost Handler that the request of ctx came through. It panics if there
// is none.
func FromContext(ctx context.Context) *Session {
	s, ok := ctx.Value(innermost{}).(*Session)
	if !ok {
		panic("cookiesession: the context did not come through a Handler: wrap the mux, sessions.Handler(mux), and pass the request's context on")
	}
	return s
}

// innermost is the context key of the innermost Handler's session. A *Manager is the key of the session of its own
// Handler.
type innermost struct{}

// An exchange is one request with its session, and the response writer that commits it. It is one struct because a
// request that ignores its session should cost one allocation beside the request's copy.
type exchange struct {
	context.Context // the request's
	session         Session
	w               http.ResponseWriter
	outside         http.Header // what entityHeadersIn found before the handler ran
}

// Value returns the session for the keys that lead to it: the exchange is the context of its request.
func (x *exchange) Value(key any) any {
	switch key := key.(type) {
	case *Manager:
		if key == x.session.manager {
			return &x.session
		}
	case innermost:
		return &x.session
	}
	return x.Context.Value(key)
}

// Format writes the same text for every verb, so that logging the request's context or the response writer shows no
// cookies and no values.
func (x *exchange) Format(f fmt.State, _ rune) { io.WriteString(f, "cookiesession.exchange") }

// commit writes the session's cookies into the response header, once. It returns false if the handler's own response
// must be discarded.
func (x *exchange) commit() bool {
	if x.session.commit == commitPending {
		if status, err := x.save(); err != nil {
			x.fail(status, err)
		}
	}
	return x.session.commit != commitFailed
}

// save saves the session if it has been used. On an error, status is the one to answer with.
func (x *exchange) save() (status int, err error) {
	s := &x.session
	isOpen := s.lockToSave()
	var notes remarks
	err = x.saveOnce(isOpen, &notes)
	s.manager.logRemarks(s, &notes)
	return notes.status(), err
}

// saveOnce is save under the session's lock, which it releases, also if it panics because the header is nil.
func (x *exchange) saveOnce(isOpen bool, notes *remarks) (err error) {
	s := &x.session
	defer s.mu.Unlock()
	if !s.committed {
		s.committed, s.commit = true, commitDone
		if isOpen {
			_, err = s.manager.save(x.w.Header(), s, &s.state.fields, notes)
		}
	}
	return err
}

// fail answers in the handler's place.
func (x *exchange) fail(status int, err error) {
	x.session.commit = commitFailed
	h := x.w.Header()
	for name := range h {
		if describesEntity(name) {
			delete(h, name)
		}
	}
	maps.Copy(h, x.outside)
	forbidStoring(h)
	x.session.manager.answerUnsaved(x.w, x.session.originalRequest(x), status, err)
}

// answerUnsaved answers a request whose session can't be saved, or can't be checked.
func (m *Manager) answerUnsaved(w http.ResponseWriter, r *http.Request, status int, err error) {
	page := &errorPage{w: w, status: status}
	defer page.begin() // after a panic too: a middleware inside Handler that recovers from it can't write any more
	if m.config.ErrorHandler != nil {
		m.config.ErrorHandler(page, r, err)
		return
	}
	if status != http.StatusServiceUnavailable { // a hook's failure has been logged already, at most once a second
		m.config.Logger.Error("cookiesession: session not saved", "error", err, "method", r.Method, "path", pathOf(r))
	}
	http.Error(page, http.StatusText(status), status)
}

// describesEntity reports whether a header field, in any spelling, describes the body that a handler meant to send, or
// leads to another one: with an error page it would be wrong. In its place nginx, whatever the status is, sends the file
// that X-Accel-Redirect names; other servers have other names for it (X-Sendfile in Apache and lighttpd, X-Reproxy-URL in
// H2O). Fields that were set outside Handler keep their values from there: a compressor's, for instance, fit the error
// page, which it will compress too.
func describesEntity(name string) bool {
	switch http.CanonicalHeaderKey(name) {
	case "Accept-Ranges", "Cache-Control", "Content-Digest", "Content-Disposition", "Content-Encoding",
		"Content-Language", "Content-Length", "Content-Location", "Content-Range", "Content-Type", "Etag", "Expires",
		"Last-Modified", "Location", "Refresh", "Repr-Digest", "Trailer", "X-Accel-Redirect", "X-Lighttpd-Send-File",
		"X-Litespeed-Location", "X-Reproxy-Url", "X-Sendfile", "X-Sendfile-Temporary", "X-Sendfile2":
		return true
	}
	return false
}

// entityHeadersIn returns a copy of such fields in h, or nil.
func entityHeadersIn(h http.Header) (present http.Header) {
	for name, values := range h {
		if describesEntity(name) {
			if present == nil {
				present = make(http.Header)
			}
			present[name] = slices.Clone(values)
		}
	}
	return present
}

// An errorPage is the response writer that ErrorHandler gets: a body that is written without a status gets the page's.
type errorPage struct {
	w           http.ResponseWriter
	status      int
	wroteHeader bool
}

func (p *errorPage) Header() http.Header         { return p.w.Header() }
func (p *errorPage) Unwrap() http.ResponseWriter { return p.w }

func (p *errorPage) WriteHeader(status int) {
	p.wroteHeader = p.wroteHeader || status >= 200
	p.w.WriteHeader(status)
}

func (p *errorPage) Write(b []byte) (int, error) {
	p.begin()
	return p.w.Write(b)
}

func (p *errorPage) FlushError() error {
	p.begin()
	return http.NewResponseController(p.w).Flush()
}

// begin writes the header unless that has been done.
func (p *errorPage) begin() {
	if !p.wroteHeader {
		p.WriteHeader(p.status)
	}
}

func (x *exchange) Header() http.Header { return x.w.Header() }

func (x *exchange) WriteHeader(status int) {
	if status >= 200 || status == http.StatusSwitchingProtocols {
		if !x.commit() {
			return
		}
	} else if x.session.commit == commitFailed {
		return
	}
	x.w.WriteHeader(status)
}

func (x *exchange) Write(b []byte) (int, error) {
	if !x.commit() {
		return x.discard(len(b))
	}
	return x.w.Write(b)
}

func (x *exchange) WriteString(s string) (int, error) {
	if !x.commit() {
		return x.discard(len(s))
	}
	return io.WriteString(x.w, s)
}

// discard stands in for writing n bytes below an error page. Once the visitor has gone it fails, as writing would: a
// handler may write until then, and would never return.
func (x *exchange) discard(n int) (int, error) {
	if err := x.Context.Err(); err != nil {
		return 0, err
	}
	return n, nil
}

// ReadFrom lets io.Copy hand a file to the writer underneath, which may leave the copying to the kernel. As in net/http,
// no header is sent before src has a byte: reading it may fail, or change the session.
func (x *exchange) ReadFrom(src io.Reader) (n int64, err error) {
	w, ok := x.w.(io.ReaderFrom)
	if ok && x.session.commit == commitPending {
		n, err = io.Copy(onlyWriter{x}, io.LimitReader(src, firstRead))
		if n < firstRead || err != nil {
			return n, err
		}
	}
	var rest int64
	if ok && x.session.commit == commitDone {
		rest, err = w.ReadFrom(src) // io.Copy would prefer src's WriteTo
	} else {
		rest, err = io.Copy(onlyWriter{x}, src)
	}
	return n + rest, err
}

// firstRead is how many bytes of a source are written before its rest is handed on: as many as net/http looks at to
// find the Content-Type.
const firstRead = 512

// onlyWriter hides all methods but Write.
type onlyWriter struct{ io.Writer }

// FlushError is called by http.ResponseController.
func (x *exchange) FlushError() error {
	if !supports[http.Flusher](x.w) && !supports[interface{ FlushError() error }](x.w) {
		return http.ErrNotSupported
	}
	x.commit() // flush even if that fails: the error page shouldn't wait until the handler returns
	return http.NewResponseController(x.w).Flush()
}

// SetReadDeadline is called by http.ResponseController.
func (x *exchange) SetReadDeadline(t time.Time) error {
	return http.NewResponseController(x.w).SetReadDeadline(t)
}

// SetWriteDeadline is called by http.ResponseController.
func (x *exchange) SetWriteDeadline(t time.Time) error {
	return http.NewResponseController(x.w).SetWriteDeadline(t)
}

// EnableFullDuplex is called by http.ResponseController.
func (x *exchange) EnableFullDuplex() error {
	return http.NewResponseController(x.w).EnableFullDuplex()
}

// CloseNotify is called by frameworks older than request contexts to learn that the client has gone. Its channel gets
// nothing if the writer underneath doesn't support it.
func (x *exchange) CloseNotify() <-chan bool {
	if n, ok := x.w.(interface{ CloseNotify() <-chan bool }); ok {
		return n.CloseNotify()
	}
	return make(chan bool)
}

// Unwrap lets http.ResponseController find Hijack where the writer underneath has it only behind an Unwrap of its own.
// What it returns commits, too.
func (x *exchange) Unwrap() http.ResponseWriter { return (*unwrapped)(x) }

type unwrapped exchange

func (u *unwrapped) Format(f fmt.State, verb rune) { (*exchange)(u).Format(f, verb) }
func (u *unwrapped) Header() http.Header           { return u.w.Header() }
func (u *unwrapped) WriteHeader(status int)        { (*exchange)(u).WriteHeader(status) }
func (u *unwrapped) Write(b []byte) (int, error)   { return (*exchange)(u).Write(b) }

func (u *unwrapped) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if !supports[http.Hijacker](u.w) {
		return nil, nil, http.ErrNotSupported
	}
	return (*exchange)(u).hijack()
}

func (x *exchange) hijack() (net.Conn, *bufio.ReadWriter, error) {
	unsent := x.hasUnsent()
	if !x.commit() {
		return nil, nil, errNotHijacked
	}
	if unsent {
		r := x.session.request
		x.session.manager.config.Logger.Warn("cookiesession: connection hijacked with unsaved changes; they are lost unless the hijacker writes the response header itself, see Save",
			"method", r.Method, "path", pathOf(r))
	}
	return http.NewResponseController(x.w).Hijack()
}

// hasUnsent reports whether the session has changes that no Save has written: the commit puts them into a header that
// only the hijacker can send.
func (x *exchange) hasUnsent() bool {
	s := &x.session
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.isOpen.Load() && !s.committed && !s.delivered && (s.dirty() || s.destroyed || s.state.flash.action() != flashKeep)
}

// supports reports whether w, or a writer that it unwraps to, has T's methods.
func supports[T any](w http.ResponseWriter) bool {
	for {
		if _, ok := w.(T); ok {
			return true
		}
		u, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return false
		}
		w = u.Unwrap()
	}
}

// The four kinds of exchange: programs ask by type assertion whether a writer can flush or be hijacked, so each
// combination needs a type of its own.
type (
	plain         struct{ exchange }
	flusher       struct{ exchange }
	hijacker      struct{ exchange }
	flushHijacker struct{ exchange }
)

func (x *flusher) Flush()       { x.FlushError() }
func (x *flushHijacker) Flush() { x.FlushError() }

func (x *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error)      { return x.hijack() }
func (x *flushHijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) { return x.hijack() }

// newExchange returns an exchange that can flush and be hijacked exactly if w can.
func newExchange(w http.ResponseWriter) (*exchange, http.ResponseWriter) {
	_, flushes := w.(http.Flusher)
	_, hijacks := w.(http.Hijacker)
	switch {
	case flushes && hijacks:
		x := new(flushHijacker)
		return &x.exchange, x
	case flushes:
		x := new(flusher)
		return &x.exchange, x
	case hijacks:
		x := new(hijacker)
		return &x.exchange, x
	}
	x := new(plain)
	return &x.exchange, x
}
