package echosession_test

import (
	"net/http/httptest"
	"testing"

	"github.com/labstack/echo/v5"
	"github.com/seed-50e21e88/cookiesession"
	echosession "github.com/seed-50e21e88/cookiesession/contrib/echo"
	"github.com/seed-50e21e88/cookiesession/cookiesessiontest"
)

// What the package's documentation says about goroutines that outlive their handler.
func TestContextIsUsedAgain(t *testing.T) {
	m := newManager(t, nil)
	e := echo.New()
	e.Use(echosession.Middleware(m))
	var c1 *echo.Context
	var s *cookiesession.Session
	e.GET("/first", func(c *echo.Context) error {
		c1, s = c, echosession.Get(c)
		return nil
	})
	usedAgain := false
	e.GET("/second", func(c *echo.Context) error {
		if c == c1 {
			usedAgain = true
			if late := echosession.Get(c1); late.Get("user") != "ada" || s.Get("user") != "grace" {
				t.Errorf("got the sessions of %v by the context and %v by itself; want ada, grace", late.Get("user"), s.Get("user"))
			}
		}
		return nil
	})
	for range 20 { // under the race detector, pools forget
		for _, visit := range []struct{ path, user string }{{"/first", "grace"}, {"/second", "ada"}} {
			r := httptest.NewRequest("GET", visit.path, nil)
			r = cookiesessiontest.Request(t, m, r, map[string]any{"user": visit.user})
			e.ServeHTTP(httptest.NewRecorder(), r)
		}
	}
	if !usedAgain {
		t.Error("Echo has used no context again: does it still?")
	}
}
