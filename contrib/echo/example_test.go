package echosession_test

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/labstack/echo/v5"
	"github.com/seed-50e21e88/cookiesession"
	echosession "github.com/seed-50e21e88/cookiesession/contrib/echo"
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

	e := echo.New()
	e.Use(echosession.Middleware(manager))
	e.GET("/", func(c *echo.Context) error {
		n := views.Update(echosession.Get(c), func(n int) int { return n + 1 })
		return c.JSON(http.StatusOK, map[string]int{"views": n})
	})

	r := httptest.NewRequest("GET", "/", nil)
	for range 2 {
		w := httptest.NewRecorder()
		e.ServeHTTP(w, r)
		fmt.Print(w.Body)
		for _, c := range w.Result().Cookies() {
			r = httptest.NewRequest("GET", "/", nil)
			r.AddCookie(c)
		}
	}
	// Output:
	// {"views":1}
	// {"views":2}
}
