package ginsession_test

import (
	"io"
	"net/http/httptest"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/seed-50e21e88/cookiesession"
	ginsession "github.com/seed-50e21e88/cookiesession/contrib/gin"
	"github.com/seed-50e21e88/cookiesession/cookiesessiontest"
)

// What the package's documentation says about goroutines that outlive their handler.
func TestContextIsUsedAgain(t *testing.T) {
	m := newManager(t, nil)
	router := gin.New()
	router.Use(ginsession.Sessions(m))
	var c1, copied *gin.Context
	var s *cookiesession.Session
	router.GET("/first", func(c *gin.Context) { c1, copied, s = c, c.Copy(), ginsession.Default(c) })
	usedAgain := false
	router.GET("/second", func(c *gin.Context) {
		if c != c1 {
			return
		}
		usedAgain = true
		late, byCopy, before := ginsession.Default(c1), ginsession.Default(copied), s
		if late.Get("user") != "ada" || byCopy.Get("user") != "grace" || before.Get("user") != "grace" {
			t.Errorf("got the sessions of %v by the context, %v by its copy and %v by itself; want ada, grace, grace",
				late.Get("user"), byCopy.Get("user"), before.Get("user"))
		}
	})
	for range 20 { // under the race detector, pools forget
		for _, visit := range []struct{ path, user string }{{"/first", "grace"}, {"/second", "ada"}} {
			r := httptest.NewRequest("GET", visit.path, nil)
			r = cookiesessiontest.Request(t, m, r, map[string]any{"user": visit.user})
			router.ServeHTTP(httptest.NewRecorder(), r)
		}
	}
	if !usedAgain {
		t.Error("gin has used no context again: does it still?")
	}
}

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
