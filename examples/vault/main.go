// Vault keeps the keys in HashiCorp Vault, or OpenBao, and refreshes the ring while it runs: a rotation needs no file
// on any server. While Vault can't be reached, or holds something that isn't a key file, the last good keys stay in
// force.
//
//	vault server -dev -dev-root-token-id=root &
//	export VAULT_ADDR=http://127.0.0.1:8200 VAULT_TOKEN=root
//	cookiesession keys new -file keys.json && vault kv put secret/shop/session keys=@keys.json
//	go run ./examples/vault -secret shop/session   # then http://localhost:8080 and /healthz
//
// To rotate, cookiesession keys rotate -file keys.json -in 10m, and put it into Vault again: -in must be longer than
// -every. The same program with another source is right for any store of secrets that has an API: what counts is
// Keyring.ReplaceText.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

const views = cookiesession.Field[int]("views")

func main() {
	addr := flag.String("addr", "localhost:8080", "address to listen on")
	secret := flag.String("secret", "shop/session", "path of the secret whose member \"keys\" is the key file's content")
	mount := flag.String("mount", "secret", "where the key-value engine, version 2, is mounted")
	tokenFile := flag.String("token-file", "", "file with the token, which Vault Agent keeps fresh; empty: VAULT_TOKEN")
	every := flag.Duration("every", time.Minute, "how often to ask Vault")
	flag.Parse()
	if *every <= 0 {
		log.Fatal("-every must be positive")
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	vault := &source{
		url:    strings.TrimSuffix(os.Getenv("VAULT_ADDR"), "/") + "/v1/" + *mount + "/data/" + *secret,
		token:  tokenFrom(*tokenFile),
		client: &http.Client{Timeout: 10 * time.Second, CheckRedirect: staysPrivate},
	}
	keys, err := open(ctx, vault.read)
	if err != nil {
		log.Fatal(err) // without keys there is nothing to serve; whatever started this may try again
	}
	go keys.watch(ctx, *every)

	sessions, err := cookiesession.New(cookiesession.Config{Keys: keys.ring})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /healthz", keys)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		n := views.Update(sessions.Get(r), func(n int) int { return n + 1 })
		fmt.Fprintf(w, "You have been here %d times.", n)
	})
	server := &http.Server{Addr: *addr, Handler: sessions.Handler(mux)}
	go func() {
		<-ctx.Done()
		server.Close()
	}()
	fmt.Printf("http://%s\n", *addr)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
}
