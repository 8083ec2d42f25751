// Command benchmarks measures session libraries beside each other on the same work, in one run: a session that the
// request ignores, one of which a key is read, and one of which a key is changed. It prints the table that the README
// shows.
//
//	go run . [-rounds 15]
//
// The libraries take turns in each round, and the figures are medians over the rounds, so that what else the machine
// does hits all of them. Before anything is measured, each library must show that what it saves comes back.
package main

import (
	"flag"
	"fmt"
	"log"
	"math"
	"net/http"
	"os"
	"runtime"
	"slices"
	"time"
)

func main() {
	rounds := flag.Int("rounds", 15, "rounds of which the medians are taken")
	flag.Parse()
	log.SetFlags(0)
	if flag.NArg() > 0 || *rounds < 1 {
		flag.Usage()
		os.Exit(2)
	}
	fmt.Println("| values | library | session ignored | one key read | one key changed | Cookie header |")
	fmt.Println("|---|---|---|---|---|---|")
	for _, size := range sizes {
		contenders, err := newContenders(size.bytes)
		if err != nil {
			log.Fatal(err)
		}
		for _, c := range contenders {
			if err := c.check(); err != nil {
				log.Fatalf("%s: %v", c.name, err)
			}
		}
		results := measure(contenders, *rounds)
		for i, c := range contenders {
			fmt.Printf("| %s | %s |", size.name, c.name)
			for task := range tasks {
				ours, r := results[0][task], results[i][task]
				fmt.Printf(" %s, %s%s |", duration(r.ns), allocs(r.allocs), times(r.ns, ours.ns))
			}
			fmt.Printf(" %d B |\n", len(c.cookie))
		}
	}
}

var sizes = []struct {
	name  string
	bytes int
}{
	{"110 B", 110},
	{"1 kB", 1000},
	{"9 kB", 9000},
}

// tasks are what a handler does with its session.
const tasks = 3

type result struct{ ns, allocs float64 }

// measure lets the contenders take turns and returns the medians.
func measure(contenders []*contender, rounds int) [][tasks]result {
	results := make([][tasks]result, len(contenders))
	for task := range tasks {
		times := make([][]float64, len(contenders))
		for round := range rounds {
			for i, c := range contenders {
				n := c.turns(task)
				var before, after runtime.MemStats
				if round == 0 {
					runtime.ReadMemStats(&before)
				}
				start := time.Now()
				for range n {
					c.serve(task)
				}
				times[i] = append(times[i], float64(time.Since(start))/float64(n))
				if round == 0 {
					runtime.ReadMemStats(&after)
					results[i][task].allocs = float64(after.Mallocs-before.Mallocs) / float64(n)
				}
			}
		}
		for i := range contenders {
			slices.Sort(times[i])
			results[i][task].ns = times[i][rounds/2]
		}
	}
	return results
}

// turns returns how often the contender serves the task in 20 ms. That is several cycles of the collector, so that it
// isn't chance in whose turn one begins.
func (c *contender) turns(task int) int {
	if c.n[task] == 0 {
		start := time.Now()
		for range 50 {
			c.serve(task)
		}
		c.n[task] = max(int(20*time.Millisecond/(time.Since(start)/50+1)), 10)
	}
	return c.n[task]
}

// serve sends one request through the library.
func (c *contender) serve(task int) {
	clear(c.w.header)
	c.handlers[task].ServeHTTP(&c.w, c.request)
}

// A null writer keeps the header and nothing else.
type null struct{ header http.Header }

func (w *null) Header() http.Header         { return w.header }
func (w *null) WriteHeader(int)             {}
func (w *null) Write(b []byte) (int, error) { return len(b), nil }

func duration(ns float64) string {
	if ns < 1000 {
		return fmt.Sprintf("%.0f ns", ns)
	}
	return fmt.Sprintf("%.1f µs", ns/1000)
}

func allocs(n float64) string {
	if math.Round(n) == 1 {
		return "1 alloc"
	}
	return fmt.Sprintf("%.0f allocs", n)
}

// times says how much slower than ours something is.
func times(ns, ours float64) string {
	if ns == ours {
		return ""
	}
	return fmt.Sprintf(" (%.1f ×)", ns/ours)
}
