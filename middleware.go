package cookiesession

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// Handler returns next with a session for each request, which [Manager.Get] returns. What the session has to tell the
// browser is committed exactly once: before the first byte of the final response header, or when next returns. A
// panic in next commits nothing. Informational responses (1xx, but 101) pass through.
//
// If the session can't be saved, Config.ErrorHandler answers instead of next, whose further output is discarded. A
// change after the commit is refused with [ErrCommitted], logged and counted. A session that is first used after the
// commit still reads well, but the response lacks Vary: Cookie.
//
// The response writer that next gets implements http.Flusher, http.Hijacker and io.ReaderFrom exactly if the one
// underneath does. Hijacking commits into a header that net/http doesn't send any more; to set cookies in an
// upgrade's response use [Manager.Save].
//
// With http.TimeoutHandler outside, a response that comes too late is dropped whole, its cookies too. With
// http.TimeoutHandler inside, the 503 response commits what the handler had changed by then. A Handler inside a
// Handler of the same Manager passes through.
func (m *Manager) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Context().Value(m) != nil {
			next.ServeHTTP(w, r)
			return
		}
		x, wrapped := newExchange(w)
		x.Context = r.Context()
		x.w = w
		x.session.arrive(m, r)
		next.ServeHTTP(wrapped, r.WithContext(x))
		x.commit()
	})
}

// Get returns the session of a request that came through Handler. It panics if r didn't: a handler without its
// middleware is a mistake in the program.
func (m *Manager) Get(r *http.Request) *Session {
	s, ok := r.Context().Value(m).(*Session)
	if !ok {
		panic("cookiesession: Get called with a request that did not come through this Manager's Handler")
	}
	return s
}

// FromContext returns the session of the innermost Handler that the request of ctx came through. It panics if there
// is none.
func FromContext(ctx context.Context) *Session {
	s, ok := ctx.Value(innermost{}).(*Session)
	if !ok {
		panic("cookiesession: FromContext called with a context that does not come from a Handler")
	}
	return s
}

// innermost is the context key of the innermost Handler's session. A Manager is the key of its own Handler's.
type innermost struct{}

// An exchange is one request with its session, and the response writer that commits it. It is all in one piece
// because a request that ignores its session should cost one allocation beside the request's copy.
type exchange struct {
	context.Context // the request's
	session         Session
	w               http.ResponseWriter
	failed          bool // the commit failed: an error page has been sent instead
}

// Value makes the exchange the context of its request.
func (x *exchange) Value(key any) any {
	if key == any(x.session.manager) || key == any(innermost{}) {
		return &x.session
	}
	return x.Context.Value(key)
}

// Format writes the same few words for every verb: to log the request's context or the response writer shows no
// cookies and no values.
func (x *exchange) Format(f fmt.State, _ rune) { io.WriteString(f, "cookiesession.exchange") }

// commit writes the session's cookies into the response header, once. It returns false if the handler's own response
// must be discarded.
func (x *exchange) commit() bool {
	if err := x.save(); err != nil {
		x.fail(err)
	}
	return !x.failed
}

func (x *exchange) save() error {
	s := &x.session
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.committed || s.state == nil {
		s.committed = true
		return nil
	}
	s.committed = true
	return s.manager.save(x.w.Header(), s, &s.fields)
}

// fail answers in the handler's place.
func (x *exchange) fail(err error) {
	x.failed = true
	h := x.w.Header()
	dropEntityHeaders(h)
	h.Set("Cache-Control", "no-store")
	s := &x.session
	page := &errorPage{w: x.w}
	defer page.begin() // after a panic too: what recovers from it inside Handler can write no more
	if handler := s.manager.config.ErrorHandler; handler != nil {
		handler(page, s.asItCame(x), err)
	} else {
		s.manager.config.Logger.Error("cookiesession: session not saved", "error", err)
		http.Error(page, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
	}
}

// An errorPage is what ErrorHandler writes to: what it writes without a status has 500.
type errorPage struct {
	w           http.ResponseWriter
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
		p.WriteHeader(http.StatusInternalServerError)
	}
}

func (x *exchange) Header() http.Header { return x.w.Header() }

func (x *exchange) WriteHeader(status int) {
	if status >= 200 || status == http.StatusSwitchingProtocols {
		if !x.commit() {
			return
		}
	} else if x.failed {
		return
	}
	x.w.WriteHeader(status)
}

func (x *exchange) Write(b []byte) (int, error) {
	if !x.commit() {
		return len(b), nil
	}
	return x.w.Write(b)
}

func (x *exchange) WriteString(s string) (int, error) {
	if !x.commit() {
		return len(s), nil
	}
	return io.WriteString(x.w, s)
}

// Unwrap leads http.ResponseController to the writer underneath, past no commit.
func (x *exchange) Unwrap() http.ResponseWriter { return (*controlled)(x) }

func (x *exchange) flush() error {
	x.commit() // if that fails, an error page waits: the handler may run on for long
	return http.NewResponseController(x.w).Flush()
}

func (x *exchange) hijack() (net.Conn, *bufio.ReadWriter, error) {
	unsaved := x.unsaved()
	if !x.commit() {
		return nil, nil, errNotHijacked
	}
	if unsaved {
		x.session.manager.config.Logger.Warn("cookiesession: connection hijacked with unsaved changes; they are lost unless the hijacker writes the response header itself, see Save")
	}
	return http.NewResponseController(x.w).Hijack()
}

var errNotHijacked = errors.New("cookiesession: connection not hijacked: the session could not be saved, and an error page answers the request")

// unsaved reports whether the session has something to say that no Save has written: only the hijacker can send the
// header into which the commit puts it.
func (x *exchange) unsaved() bool {
	s := &x.session
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state != nil && !s.committed && !s.delivered && (s.dirty() || s.destroyed || s.flash.action() != flashKeep)
}

func (x *exchange) readFrom(src io.Reader) (int64, error) {
	if !x.commit() {
		return io.Copy(io.Discard, src)
	}
	return x.w.(io.ReaderFrom).ReadFrom(src)
}

// controlled is what an exchange unwraps to: it can do all that http.ResponseController asks for and the writer
// underneath supports, and commits where that sends the header.
type controlled exchange

func (c *controlled) Format(f fmt.State, verb rune) { (*exchange)(c).Format(f, verb) }

func (c *controlled) Header() http.Header         { return (*exchange)(c).Header() }
func (c *controlled) WriteHeader(status int)      { (*exchange)(c).WriteHeader(status) }
func (c *controlled) Write(b []byte) (int, error) { return (*exchange)(c).Write(b) }

func (c *controlled) FlushError() error {
	if !supports[http.Flusher](c.w) && !supports[interface{ FlushError() error }](c.w) {
		return http.ErrNotSupported
	}
	return (*exchange)(c).flush()
}

func (c *controlled) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if !supports[http.Hijacker](c.w) {
		return nil, nil, http.ErrNotSupported
	}
	return (*exchange)(c).hijack()
}

func (c *controlled) SetReadDeadline(t time.Time) error {
	return http.NewResponseController(c.w).SetReadDeadline(t)
}

func (c *controlled) SetWriteDeadline(t time.Time) error {
	return http.NewResponseController(c.w).SetWriteDeadline(t)
}

func (c *controlled) EnableFullDuplex() error {
	return http.NewResponseController(c.w).EnableFullDuplex()
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

// The eight kinds of exchange: which optional interfaces a type has can't be decided at run time.
type (
	plain               struct{ exchange }
	flusher             struct{ exchange }
	hijacker            struct{ exchange }
	readerFrom          struct{ exchange }
	flushHijacker       struct{ exchange }
	flushReaderFrom     struct{ exchange }
	hijackReaderFrom    struct{ exchange }
	flushHijackReadFrom struct{ exchange }
)

func (x *flusher) Flush()             { x.flush() }
func (x *flushHijacker) Flush()       { x.flush() }
func (x *flushReaderFrom) Flush()     { x.flush() }
func (x *flushHijackReadFrom) Flush() { x.flush() }

func (x *flusher) FlushError() error             { return x.flush() }
func (x *flushHijacker) FlushError() error       { return x.flush() }
func (x *flushReaderFrom) FlushError() error     { return x.flush() }
func (x *flushHijackReadFrom) FlushError() error { return x.flush() }

func (x *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error)            { return x.hijack() }
func (x *flushHijacker) Hijack() (net.Conn, *bufio.ReadWriter, error)       { return x.hijack() }
func (x *hijackReaderFrom) Hijack() (net.Conn, *bufio.ReadWriter, error)    { return x.hijack() }
func (x *flushHijackReadFrom) Hijack() (net.Conn, *bufio.ReadWriter, error) { return x.hijack() }

func (x *readerFrom) ReadFrom(src io.Reader) (int64, error)          { return x.readFrom(src) }
func (x *flushReaderFrom) ReadFrom(src io.Reader) (int64, error)     { return x.readFrom(src) }
func (x *hijackReaderFrom) ReadFrom(src io.Reader) (int64, error)    { return x.readFrom(src) }
func (x *flushHijackReadFrom) ReadFrom(src io.Reader) (int64, error) { return x.readFrom(src) }

// newExchange returns an exchange that has the optional interfaces of w.
func newExchange(w http.ResponseWriter) (*exchange, http.ResponseWriter) {
	_, flushes := w.(http.Flusher)
	_, hijacks := w.(http.Hijacker)
	_, reads := w.(io.ReaderFrom)
	switch {
	case flushes && hijacks && reads:
		x := new(flushHijackReadFrom)
		return &x.exchange, x
	case flushes && hijacks:
		x := new(flushHijacker)
		return &x.exchange, x
	case flushes && reads:
		x := new(flushReaderFrom)
		return &x.exchange, x
	case hijacks && reads:
		x := new(hijackReaderFrom)
		return &x.exchange, x
	case flushes:
		x := new(flusher)
		return &x.exchange, x
	case hijacks:
		x := new(hijacker)
		return &x.exchange, x
	case reads:
		x := new(readerFrom)
		return &x.exchange, x
	}
	x := new(plain)
	return &x.exchange, x
}
