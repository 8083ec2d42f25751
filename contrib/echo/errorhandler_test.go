package echosession_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/labstack/echo/v5"
	echosession "github.com/seed-50e21e88/cookiesession/contrib/echo"
)

// An error page may show who is logged in, and 404 is among what caches keep by default (RFC 9110, 15.1).
func TestErrorHandlerReads(t *testing.T) {
	m := newManager(t, nil)
	e, _ := newEcho(m)
	e.HTTPErrorHandler = func(c *echo.Context, err error) {
		if c.QueryParam("cache") != "" {
			c.Response().Header().Set("Cache-Control", "max-age=5")
		}
		if err := c.String(echo.StatusCode(err), fmt.Sprint("sorry, ", echosession.Get(c).Get("user"))); err != nil {
			t.Error(err)
		}
	}
	e.GET("/login", func(c *echo.Context) error { echosession.Get(c).Put("user", "grace"); return nil })
	e.GET("/marked", func(c *echo.Context) error {
		c.Response().Header().Set("Cache-Control", "no-store")
		echosession.Get(c).Get("user")
		if err := m.Save(c.Response().Header(), echosession.Get(c)); err != nil {
			return err
		}
		return echo.ErrNotFound
	})
	client, _, base := newClient(t, e)
	get(t, client, base+"/login")
	for path, caching := range map[string]string{"/nowhere": "private", "/nowhere?cache=1": "max-age=5", "/marked": "no-store"} {
		resp, body := get(t, client, base+path)
		vary, got := strings.Join(resp.Header["Vary"], ", "), strings.Join(resp.Header["Cache-Control"], ", ")
		if resp.StatusCode != 404 || body != "sorry, grace" || vary != "Cookie" || got != caching {
			t.Errorf("%s: got %d %q, Vary %q, Cache-Control %q; want the page, Cookie, %s", path, resp.StatusCode, body, vary, got, caching)
		}
	}
}
