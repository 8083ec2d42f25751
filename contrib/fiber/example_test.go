package fibersession_test

import (
	"fmt"
	"io"
	"log"
	"net/http/httptest"

	"github.com/gofiber/fiber/v3"
	"github.com/seed-50e21e88/cookiesession"
	fibersession "github.com/seed-50e21e88/cookiesession/contrib/fiber"
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

	app := fiber.New(fiber.Config{ReadBufferSize: 16 << 10}) // a session may take 6,144 bytes of the header
	app.Use("*", fibersession.Middleware(manager))
	app.Get("/", func(c fiber.Ctx) error {
		n := views.Update(fibersession.Get(c), func(n int) int { return n + 1 })
		return c.JSON(fiber.Map{"views": n})
	})

	r := httptest.NewRequest("GET", "/", nil)
	for range 2 {
		resp, err := app.Test(r)
		if err != nil {
			log.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(string(body))
		r = httptest.NewRequest("GET", "/", nil)
		for _, c := range resp.Cookies() {
			r.AddCookie(c)
		}
	}
	// Output:
	// {"views":1}
	// {"views":2}
}
