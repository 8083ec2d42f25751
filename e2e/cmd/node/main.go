// Command node is a small server for the tests to put behind balancers. Unlike the demo it takes the interval at which
// it looks at its key file, and has pages that shared caches may store.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

const (
	counter = cookiesession.Field[int64]("n")
	filler  = cookiesession.Field[[]byte]("filler")
)

func main() {
	addr := flag.String("addr", "", "listen on this `address`")
	keys := flag.String("keys", "", "key `file`")
	watch := flag.Duration("watch", 0, "look at the key file this often; negative: never")
	name := flag.String("name", "", "this server's `name`")
	maxSize := flag.Int("max-size", 0, "`bytes` of session")
	flag.Parse()
	ring, err := cookiesession.OpenKeyFile(*keys)
	if err != nil {
		log.Fatal(err)
	}
	if *watch >= 0 {
		go ring.Watch(context.Background(), *watch, nil)
	}
	m, err := cookiesession.New(cookiesession.Config{Keys: ring, MaxSize: *maxSize})
	if err != nil {
		log.Fatal(err)
	}
	n := &node{name: *name, ring: ring, sessions: m}
	server := &http.Server{Addr: *addr, Handler: n.handler(), ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(server.ListenAndServe())
}

type node struct {
	name     string
	ring     *cookiesession.Keyring
	sessions *cookiesession.Manager
	made     atomic.Int64 // pages that a cache could have spared
}

func (n *node) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /session", n.session)
	mux.HandleFunc("POST /count", n.count)
	mux.HandleFunc("POST /size", n.size)
	mux.HandleFunc("GET /public/same", n.same)
	mux.HandleFunc("GET /public/mine", n.mine)
	mux.HandleFunc("GET /public/start", n.start)
	outer := http.NewServeMux()
	outer.Handle("/", n.sessions.Handler(mux))
	outer.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("ok\n")) })
	outer.HandleFunc("GET /keys", n.keys)
	return outer
}

func (n *node) session(w http.ResponseWriter, r *http.Request) { n.answer(w, n.sessions.Get(r)) }

func (n *node) count(w http.ResponseWriter, r *http.Request) {
	s := n.sessions.Get(r)
	s.Increment(string(counter), 1)
	n.answer(w, s)
}

// size counts too, and makes the session hold as many random bytes as the query asks for.
func (n *node) size(w http.ResponseWriter, r *http.Request) {
	bytes, err := strconv.Atoi(r.FormValue("bytes"))
	if err != nil || bytes < 0 || bytes > 1<<16 {
		http.Error(w, "bytes?", http.StatusBadRequest)
		return
	}
	s := n.sessions.Get(r)
	s.Increment(string(counter), 1)
	if bytes == 0 {
		filler.Delete(s)
	} else {
		random := make([]byte, bytes)
		for i := range random {
			random[i] = byte(rand.Uint32())
		}
		filler.Put(s, random)
	}
	n.answer(w, s)
}

func (n *node) answer(w http.ResponseWriter, s *cookiesession.Session) {
	refused := ""
	if rejected := s.Rejected(); rejected != nil {
		refused = rejected.Reason.String()
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]any{
		"server": n.name, "id": s.ID(), "n": counter.Get(s), "filler": len(filler.Get(s)), "refused": refused,
	})
}

// same never looks at the session.
func (n *node) same(w http.ResponseWriter, r *http.Request) {
	n.cacheable(w)
	fmt.Fprintf(w, "page %d of %s, for everybody\n", n.made.Add(1), n.name)
}

// mine reads the session, and claims to be cacheable all the same.
func (n *node) mine(w http.ResponseWriter, r *http.Request) {
	n.cacheable(w)
	s := n.sessions.Get(r)
	if s.IsNew() {
		fmt.Fprint(w, "for somebody without a session\n")
		return
	}
	fmt.Fprintf(w, "for %s\n", s.ID())
}

// start gives a session to whom has none, and claims to be cacheable all the same.
func (n *node) start(w http.ResponseWriter, r *http.Request) {
	n.cacheable(w)
	s := n.sessions.Get(r)
	s.Increment(string(counter), 1)
	fmt.Fprintf(w, "for %s\n", s.ID())
}

func (n *node) cacheable(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "public, max-age=60, s-maxage=60")
}

func (n *node) keys(w http.ResponseWriter, _ *http.Request) {
	labels := []string{}
	for _, k := range n.ring.Keys() {
		labels = append(labels, k.Label+" "+k.State.String())
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]any{"fingerprint": n.ring.Fingerprint(), "keys": labels})
}
