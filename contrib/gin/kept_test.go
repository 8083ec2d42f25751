package ginsession_test

import (
	"io"
	"net/http/httptest"
	"testing"

	"github.com/gin-gonic/gin"
	ginsession "github.com/seed-50e21e88/cookiesession/contrib/gin"
	"github.com/seed-50e21e88/cookiesession/cookiesessiontest"
)

// gin uses a writer again for another visitor's response, which must not get the session of the one before.
func TestWriterKeptAfterPanic(t *testing.T) {
	m := newManager(t, nil)
	router := gin.New()
	router.Use(gin.RecoveryWithWriter(io.Discard), ginsession.Sessions(m))
	var kept gin.ResponseWriter
	router.GET("/panic", func(c *gin.Context) {
		ginsession.Default(c).Put("user", "grace")
		kept = c.Writer
		panic("half-way")
	})
	router.GET("/other", func(*gin.Context) { kept.WriteString("late") })
	for range 20 { // under the race detector, pools forget
		router.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/panic", nil))
		w := httptest.NewRecorder()
		router.ServeHTTP(w, httptest.NewRequest("GET", "/other", nil))
		if s := cookiesessiontest.Session(t, m, w.Result()); s.Has("user") {
			t.Fatalf("another visitor got the session %v", s.All())
		}
	}
}
