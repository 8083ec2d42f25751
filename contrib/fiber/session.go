// Package fibersession brings [cookiesession] to applications that use [github.com/gofiber/fiber/v3].
//
//	app := fiber.New(fiber.Config{ReadBufferSize: 16 << 10})
//	app.Use("*", recover.New(), fibersession.Middleware(manager))
//	app.Post("/login", func(c fiber.Ctx) error {
//		s := fibersession.Get(c)
//		s.Regenerate()
//		s.Put("user", c.FormValue("name"))
//		return c.Redirect().To("/")
//	})
//
// Mind ReadBufferSize: Fiber refuses requests with more than 4,096 bytes of header by default, and a visitor with a
// larger session would be locked out until it expires. Set it to Config.MaxSize and some thousand bytes for the other
// headers.
//
// Mind the "*": Fiber hands a request for "foo", without a slash, to a route like "/*", but not to what app.Use has
// without a path. Its handler would run without a session, and Get's panic, which nobody recovers then, end the
// process.
//
// There is nothing to save: Fiber sends a response when all handlers have returned, and the session's cookies go with
// it, also if a handler returns an error. A panic saves nothing, provided that the recover middleware is used before
// Middleware. Nor does a handler that has its response sent before it returns, by c.End, or that exceeds the time of
// Fiber's timeout middleware.
//
// Fiber's ErrorHandler can read the session, but not change it, and a Cache-Control that it sets stays as it is: say
// "private" with what a session has told. Unless it sets one, caches are told that an answer to an error depends on the
// session, whether it does or not.
//
// Fiber uses c again for other visitors. What writes a body when the handler has returned, such as SendStreamWriter's
// function, must have the session from before: by then, Get(c) is the session of whoever is served at that moment. It
// can read its session; a change is refused with [cookiesession.ErrCommitted].
//
// Fiber's cache middleware goes before Middleware, if it is used at all. Behind, it keeps a page before the page is
// marked as private, and shows it to other visitors.
//
// Fiber's encryptcookie middleware goes behind Middleware. Before, it makes the session's cookies a third larger, and
// browsers drop what is larger than 4,096 bytes.
//
// Fiber doesn't stand on net/http, and its adaptor package isn't enough by itself:
// adaptor.HTTPMiddleware(manager.Handler) is done before Fiber's handlers start, so nothing they change could be saved,
// and manager.Handler(adaptor.FiberApp(app)) doesn't hand the request's context on, so they can't find the session.
// Middleware gives the Manager a copy of the request's header instead, for each request, and puts into Fiber's response
// what it answers.
package fibersession

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"slices"

	"github.com/gofiber/fiber/v3"
	"github.com/seed-50e21e88/cookiesession"
)

// Middleware does for Fiber's handlers what [cookiesession.Manager.Handler] does for net/http's. There may be several,
// for several Managers; [Get] returns the session of the last.
//
// Config's functions get requests without a body. If the session can't be saved, what Config.ErrorHandler answers
// replaces the handlers' response.
func Middleware(m *cookiesession.Manager) fiber.Handler {
	return func(c fiber.Ctx) error {
		var err error
		w := &writer{c: c}
		m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			c.SetContext(r.Context())
			if err = c.Next(); err != nil {
				dependsOnSession(c)
			}
			w.before, w.header = nil, nil // whatever was there before is out of date
		})).ServeHTTP(w, request(c))
		if w.status != 0 {
			w.answer()
			return nil // Fiber would answer an error in the place of this
		}
		w.commit()
		return err
	}
}

// dependsOnSession marks an answer by Fiber's ErrorHandler, which may use the session for the first time when it is
// committed: too late to be noticed.
func dependsOnSession(c fiber.Ctx) {
	c.Vary("Cookie")
	if len(c.Response().Header.Peek("Cache-Control")) == 0 {
		c.Set("Cache-Control", "private") // some shared caches ignore Vary
	}
}

// Get returns the session of the request. It panics if [Middleware] isn't used.
func Get(c fiber.Ctx) *cookiesession.Session {
	return cookiesession.FromContext(c.Context())
}

// GetFrom returns the session of the request that m keeps, if there are several Managers. It panics if m's [Middleware]
// isn't used.
func GetFrom(m *cookiesession.Manager, c fiber.Ctx) *cookiesession.Session {
	return m.Get(new(http.Request).WithContext(c.Context()))
}

// ProtectCSRF returns middleware that stops requests which [cookiesession.Manager.ProtectCSRF] refuses. It goes behind
// [Middleware], and reads the whole body of requests that aren't GET, HEAD, OPTIONS or TRACE.
func ProtectCSRF(m *cookiesession.Manager) fiber.Handler {
	return func(c fiber.Ctx) error {
		r := request(c)
		switch r.Method {
		case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		default:
			r.Body = io.NopCloser(bytes.NewReader(c.Request().Body()))
		}
		var err error
		w := &writer{c: c}
		m.ProtectCSRF(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { err = c.Next() })).ServeHTTP(w, r)
		if w.status != 0 {
			w.answer()
		}
		return err
	}
}

// request returns a copy of c's request without its body. Fiber will use the memory of its own again.
func request(c fiber.Ctx) *http.Request {
	from := c.Request()
	r := &http.Request{
		Method:     string(from.Header.Method()),
		URL:        &url.URL{Path: string(from.URI().Path()), RawQuery: string(from.URI().QueryString())},
		RequestURI: string(from.RequestURI()),
		Proto:      "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Host: string(from.Host()), RemoteAddr: c.RequestCtx().RemoteAddr().String(), TLS: c.RequestCtx().TLSConnectionState(),
		Header: make(http.Header), Body: http.NoBody,
	}
	for key, value := range from.Header.All() {
		r.Header.Add(string(key), string(value))
	}
	return r.WithContext(c.Context())
}

// A writer is an [http.ResponseWriter] for Fiber's response. It copies the response's header when somebody asks for it.
type writer struct {
	c      fiber.Ctx
	before http.Header // as copied
	header http.Header
	status int // 0: nothing has been answered
	body   bytes.Buffer
}

func (w *writer) Header() http.Header {
	if w.header == nil {
		w.before = make(http.Header)
		for key, value := range w.c.Response().Header.All() {
			w.before.Add(string(key), string(value))
		}
		w.header = w.before.Clone()
	}
	return w.header
}

func (w *writer) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
	}
}

func (w *writer) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(b)
}

// commit makes the same changes to Fiber's response as have been made to the copy of its header.
func (w *writer) commit() {
	if w.header == nil {
		return // nobody has touched the session
	}
	h := &w.c.Response().Header
	var outdated []string // as Fiber spells them
	for key := range h.All() {
		if w.hasChanged(http.CanonicalHeaderKey(string(key))) {
			outdated = append(outdated, string(key))
		}
	}
	for _, key := range outdated {
		h.Del(key)
	}
	for key, values := range w.header {
		if !w.hasChanged(key) {
			continue
		}
		for _, value := range values {
			h.Add(key, value)
		}
	}
}

func (w *writer) hasChanged(key string) bool { return !slices.Equal(w.header[key], w.before[key]) }

// answer replaces Fiber's response.
func (w *writer) answer() {
	h, response := w.Header(), w.c.Response()
	response.Reset()
	for key, values := range h {
		for _, value := range values {
			response.Header.Add(key, value)
		}
	}
	response.SetStatusCode(w.status)
	response.SetBody(w.body.Bytes())
}
