// Openid logs visitors in at an OpenID Connect provider and keeps the tokens in the session: the commonest reason for a
// session of several cookies. The provider is a real one, and runs beside the application in this process, on what
// browsers take for another site.
//
//	go run .   # in this directory, then http://localhost:8080
//
// Log in as grace with the password hopper.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

// To browsers localhost and 127.0.0.1 are two sites, and both are good enough for Secure cookies over plain HTTP.
func main() {
	port := flag.String("port", "8080", "port of the application on localhost")
	issuer := flag.String("provider-port", "9998", "port of the provider on 127.0.0.1")
	lifetime := flag.Duration("access", time.Minute, "lifetime of access tokens, at most 5 minutes")
	keys := flag.String("keys", "hex:f8b22a1e8e2db1fdc73af14faa9b7bae4ffa9af317c8833a6c95ceebb6170f6e", "keys, as in an environment variable; the default is for trying only")
	flag.Parse()
	if err := run(*port, *issuer, *lifetime, *keys); err != nil {
		log.Fatal(err)
	}
}

func run(port, issuerPort string, lifetime time.Duration, keys string) error {
	ring, err := cookiesession.ParseKeyring(keys)
	if err != nil {
		return err
	}
	settings := settings{
		base:         "http://localhost:" + port,
		issuer:       "http://127.0.0.1:" + issuerPort,
		clientID:     "shop",
		clientSecret: "the shop's secret",
	}
	provider, err := newProvider(settings, lifetime)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:"+issuerPort)
	if err != nil {
		return err
	}
	failed := make(chan error, 2)
	go func() { failed <- http.Serve(listener, provider) }()

	application, err := newApplication(context.Background(), settings, ring)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	fmt.Printf("%s, provider %s, user grace, password hopper\n", settings.base, settings.issuer)
	go func() { failed <- http.ListenAndServe("localhost:"+port, application.handler()) }()
	return <-failed
}
