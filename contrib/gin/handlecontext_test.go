package ginsession_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/gin-gonic/gin"
	ginsession "github.com/seed-50e21e88/cookiesession/contrib/gin"
	"github.com/seed-50e21e88/cookiesession/cookiesessiontest"
)

// What the package's documentation says about HandleContext.
func TestHandleContext(t *testing.T) {
	for _, around := range []bool{false, true} { // the router, in the place of Sessions
		t.Run(fmt.Sprintf("Manager.Handler around the router %t", around), func(t *testing.T) {
			m := newManager(t, nil)
			router := gin.New()
			handler := http.Handler(router)
			if around {
				handler = m.Handler(router)
			} else {
				router.Use(ginsession.Sessions(m))
			}
			router.GET("/", func(c *gin.Context) {
				c.Request.URL.Path = "/other"
				router.HandleContext(c)
			})
			router.GET("/other", func(c *gin.Context) {
				ginsession.Default(c).Put("user", "grace")
				c.String(200, "other")
			})
			client, _, base := newClient(t, handler)
			resp, body := get(t, client, base)
			if s := cookiesessiontest.Session(t, m, resp); body != "other" || s.Has("user") != around {
				t.Errorf("got %q, %v", body, s.All())
			}
		})
	}
}
