package cookiesession_test

import (
	"fmt"
	"log"
	"net/http"

	"github.com/seed-50e21e88/cookiesession"
)

const views = cookiesession.Field[int]("views")

// The program of the README: a page that counts its visits.
func Example() {
	keys, err := cookiesession.OpenKeyFile("keys.json") // made by: cookiesession keys new -file keys.json
	if err != nil {
		log.Fatal(err)
	}
	sessions, err := cookiesession.New(cookiesession.Config{Keys: keys})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		s := sessions.Get(r)
		n := views.Update(s, func(n int) int { return n + 1 })
		fmt.Fprintf(w, "You have been here %d times.", n)
	})
	log.Fatal(http.ListenAndServe("localhost:8000", sessions.Handler(mux)))
}
