// Package echosession brings [cookiesession] to applications that use [github.com/labstack/echo/v5].
//
//	e := echo.New()
//	e.Use(middleware.Recover())
//	e.Use(echosession.Middleware(manager))
//	e.POST("/login", func(c *echo.Context) error {
//		s := echosession.Get(c)
//		s.Regenerate()
//		s.Put("user", c.FormValue("name"))
//		return c.Redirect(http.StatusSeeOther, "/")
//	})
//
// There is nothing to save: what a handler changed goes with the header of its response, also if it returns an error,
// which Echo turns into one. A panic saves nothing, provided that middleware.Recover is used before Middleware.
// Middleware that was used before can read the session after next, but not change it any more.
//
// Nor can HTTPErrorHandler, and a Cache-Control that it sets stays as it is: say "private" with what a session has told.
// Unless it sets one, caches are told that an answer to an error depends on the session, whether it does or not.
//
// Echo uses a Context again for other visitors. A goroutine that outlives its handler must have the session from
// before: later, Get(c) is the session of whoever is served then.
//
// If the session can't be saved, Config.ErrorHandler answers, what handlers write is discarded, and the Status of
// [echo.Response] says what was sent.
package echosession

import (
	"net/http"
	"slices"

	"github.com/labstack/echo/v5"
	"github.com/seed-50e21e88/cookiesession"
)

// Middleware does for Echo's handlers what [cookiesession.Manager.Handler] does for net/http's. There may be several,
// for several Managers; [Get] returns the session of the last.
func Middleware(m *cookiesession.Manager) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c *echo.Context) error {
			response, err := echo.UnwrapResponse(c.Response())
			if err != nil {
				return err
			}
			// What commits the session goes beneath Echo's Response, which then keeps its hooks, status and size. It
			// stays there for what is written after this, such as the answer to an error.
			w := response.ResponseWriter
			returned := false
			defer func() {
				if !returned {
					response.ResponseWriter = w // what Recover writes must commit nothing
				}
			}()
			m.Handler(http.HandlerFunc(func(commits http.ResponseWriter, r *http.Request) {
				c.SetRequest(r)
				response.ResponseWriter = commits
				if err = next(c); err != nil {
					dependsOnSession(commits.Header())
				}
			})).ServeHTTP(&writer{w, response}, c.Request())
			returned = true
			return err
		}
	}
}

// dependsOnSession marks an answer by HTTPErrorHandler, which may use the session for the first time when it is
// committed: too late to be noticed.
func dependsOnSession(h http.Header) {
	if !slices.Contains(h["Vary"], "Cookie") {
		h.Add("Vary", "Cookie")
	}
	if h["Cache-Control"] == nil {
		h.Set("Cache-Control", "private") // some shared caches ignore Vary
	}
}

// Get returns the session of the request. It panics if [Middleware] isn't used. With several Managers ask the one that
// is meant: manager.Get(c.Request()).
func Get(c *echo.Context) *cookiesession.Session {
	return cookiesession.FromContext(c.Request().Context())
}

// ProtectCSRF returns middleware that stops requests which [cookiesession.Manager.ProtectCSRF] refuses. It goes behind
// [Middleware].
func ProtectCSRF(m *cookiesession.Manager) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c *echo.Context) (err error) {
			m.ProtectCSRF(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				c.SetRequest(r)
				err = next(c)
			})).ServeHTTP(c.Response(), c.Request())
			return err
		}
	}
}

// A writer tells Echo's Response what is sent, which isn't what it asked for if the session can't be saved.
type writer struct {
	http.ResponseWriter
	response *echo.Response
}

func (w *writer) WriteHeader(status int) {
	if status >= 200 || status == http.StatusSwitchingProtocols {
		w.response.Status, w.response.Committed = status, true
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *writer) Write(b []byte) (int, error) {
	if !w.response.Committed {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap is for [http.ResponseController].
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }
