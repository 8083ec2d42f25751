// Package ginsession brings [cookiesession] to applications that use [github.com/gin-gonic/gin].
//
//	router := gin.Default()
//	router.Use(ginsession.Sessions(manager))
//	router.POST("/login", func(c *gin.Context) {
//		s := ginsession.Default(c)
//		s.Regenerate()
//		s.Put("user", c.PostForm("name"))
//		c.Redirect(http.StatusSeeOther, "/")
//	})
//
// There is nothing to save: what a handler changed goes with the header of its response.
//
// Use Sessions after gin.Logger and gin.Recovery, as gin.Default does, and before whatever touches the session: a panic
// then saves nothing, and Recovery's answer carries no cookie. Middleware that was used before Sessions can read the
// session after c.Next, but not change it any more.
//
// gin uses a Context again for other visitors. A goroutine that outlives its handler must have the session, or
// c.Copy(), from before: later, Default(c) is the session of whoever is served then.
//
// gin.Recovery logs the request with its Cookie header: in debug mode at every panic, in release mode when one comes of
// a broken connection. Whoever reads that log can use the session until it expires. Guard it, or use
// gin.CustomRecoveryWithWriter(nil, …) and log yourself.
//
// [gin.Engine.HandleContext] takes gin's own writer again, so what the handlers that it calls change is lost. An
// application that uses it puts manager.Handler(router) into its [http.Server] in the place of Sessions; what a handler
// has changed before it panics is then saved with Recovery's answer.
//
// If the session can't be saved, Config.ErrorHandler answers, what handlers write is discarded, and c.Writer.Status
// says what was sent.
package ginsession

import (
	"bufio"
	"io"
	"net"
	"net/http"

	"github.com/gin-gonic/gin"
	"github.com/seed-50e21e88/cookiesession"
)

// Sessions returns middleware that does for gin's handlers what [cookiesession.Manager.Handler] does for net/http's. A
// router may use it for several Managers; [Default] is the session of the last.
func Sessions(m *cookiesession.Manager) gin.HandlerFunc {
	return func(c *gin.Context) {
		w := c.Writer
		defer func() { c.Writer = w }() // after a panic, too: what Recovery writes must commit nothing
		below := &sender{ResponseWriter: w}
		m.Handler(http.HandlerFunc(func(commits http.ResponseWriter, r *http.Request) {
			below.handled = true
			c.Request = r
			c.Writer = &writer{w, commits.(committer)}
			c.Next()
		})).ServeHTTP(below, c.Request)
		if !below.handled {
			c.Abort() // the Manager has answered a browser's request about its device
		}
	}
}

// Default returns the session of the request. It panics if [Sessions] isn't used. With several Managers ask the one
// that is meant: manager.Get(c.Request).
func Default(c *gin.Context) *cookiesession.Session {
	return cookiesession.FromContext(c.Request.Context())
}

// ProtectCSRF returns middleware that aborts requests which [cookiesession.Manager.ProtectCSRF] refuses. It goes behind
// [Sessions].
func ProtectCSRF(m *cookiesession.Manager) gin.HandlerFunc {
	return func(c *gin.Context) {
		passed := false
		m.ProtectCSRF(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			passed = true
			c.Request = r
			c.Next()
		})).ServeHTTP(c.Writer, c.Request)
		if !passed {
			c.Abort()
		}
	}
}

// A committer is a response writer that commits the session before it sends the header.
type committer interface {
	http.ResponseWriter
	http.Hijacker
	http.Flusher
	io.StringWriter
}

// A writer is gin's, which keeps status and size, with a committer in front of it for all that sends the header.
// WriteHeader isn't: gin only notes the status.
type writer struct {
	gin.ResponseWriter
	commits committer
}

func (w *writer) WriteHeaderNow() {
	if !w.Written() {
		w.commits.WriteHeader(w.Status())
		w.ResponseWriter.WriteHeaderNow()
	}
}

func (w *writer) Write(b []byte) (int, error)                  { return w.commits.Write(b) }
func (w *writer) WriteString(s string) (int, error)            { return w.commits.WriteString(s) }
func (w *writer) Flush()                                       { w.commits.Flush() }
func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) { return w.commits.Hijack() }

// Unwrap leads [http.ResponseController] past no commit.
func (w *writer) Unwrap() http.ResponseWriter { return w.commits }

// A sender is gin's writer below the commit. It sends the header of an answer by the Manager at once, where gin only
// notes its status, which a handler could still change.
type sender struct {
	gin.ResponseWriter
	handled bool // the answer is the handlers', unless they can't save
}

func (w *sender) WriteHeader(status int) {
	w.ResponseWriter.WriteHeader(status)
	switch {
	case status >= 400:
		w.ResponseWriter.Write(nil) // compressors let errors pass, but see them only when something is written
	case status >= 200:
		w.WriteHeaderNow()
	}
}

func (w *sender) Write(b []byte) (int, error) {
	w.begin()
	return w.ResponseWriter.Write(b)
}

func (w *sender) WriteString(s string) (int, error) {
	w.begin()
	return w.ResponseWriter.WriteString(s)
}

// begin gives an answer about a device the status that net/http implies: where there is no route, gin has noted 404.
func (w *sender) begin() {
	if !w.handled && !w.Written() {
		w.WriteHeader(http.StatusOK)
	}
}

// Unwrap is for [http.ResponseController].
func (w *sender) Unwrap() http.ResponseWriter { return w.ResponseWriter }
