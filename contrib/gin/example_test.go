package ginsession_test

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/gin-gonic/gin"
	"github.com/seed-50e21e88/cookiesession"
	ginsession "github.com/seed-50e21e88/cookiesession/contrib/gin"
)

func Example() {
	keys, err := cookiesession.NewKeyring(cookiesession.GenerateKey("2026-11"))
	if err != nil {
		log.Fatal(err)
	}
	manager, err := cookiesession.New(cookiesession.Config{Keys: keys})
	if err != nil {
		log.Fatal(err)
	}
	views := cookiesession.Field[int]("views")

	router := gin.New() // or gin.Default()
	router.Use(ginsession.Sessions(manager))
	router.GET("/", func(c *gin.Context) {
		n := views.Update(ginsession.Default(c), func(n int) int { return n + 1 })
		c.JSON(http.StatusOK, gin.H{"views": n})
	})

	r := httptest.NewRequest("GET", "/", nil)
	for range 2 {
		w := httptest.NewRecorder()
		router.ServeHTTP(w, r)
		fmt.Println(w.Body)
		for _, c := range w.Result().Cookies() {
			r = httptest.NewRequest("GET", "/", nil)
			r.AddCookie(c)
		}
	}
	// Output:
	// {"views":1}
	// {"views":2}
}
