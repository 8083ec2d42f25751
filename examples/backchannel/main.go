// Command backchannel logs in with an OpenID Connect provider, and ends sessions when the provider says so (OpenID Connect
// Back-Channel Logout 1.0). Register it there with the redirect URI http://localhost:8080/callback and the back-channel
// logout URI http://localhost:8080/backchannel-logout, which the provider must be able to reach, then
//
//	CLIENT_SECRET=… go run . -issuer https://id.example/realms/main -client my-client
//
// Sessions end with the program unless -keys and -revoked name files. Several processes may share these.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/seed-50e21e88/cookiesession"
	"github.com/seed-50e21e88/cookiesession/contrib/revoke"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	err := run(ctx, os.Args[1:], os.Getenv("CLIENT_SECRET"))
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "backchannel:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends, then lets requests under way finish.
func run(ctx context.Context, args []string, clientSecret string) error {
	flags := flag.NewFlagSet("backchannel", flag.ContinueOnError)
	addr := flags.String("addr", "localhost:8080", "listen on this `address`")
	issuer := flags.String("issuer", "", "the provider's `URL`, without .well-known/openid-configuration")
	client := flags.String("client", "", "the `ID` under which this application is registered there")
	url := flags.String("url", "http://localhost:8080", "where visitors find this application, a `URL`; away from localhost, https")
	keyFile := flags.String("keys", "", "read keys from this `file`, made by: cookiesession keys new (otherwise make new ones)")
	revoked := flags.String("revoked", "", "keep what has ended in this `file` (otherwise in memory)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 || *issuer == "" || *client == "" {
		return errors.New("want -issuer and -client, and no argument")
	}
	if (*keyFile == "") != (*revoked == "") {
		return errors.New("-keys and -revoked go together, or sessions that have ended would be back after a restart")
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	keys, err := cookiesession.NewKeyring(cookiesession.GenerateKey("start"))
	engine := revoke.Memory()
	if *keyFile != "" {
		keys, err = cookiesession.OpenKeyFile(*keyFile)
		engine = revoke.File(*revoked)
	}
	if err != nil {
		return err
	}
	list, err := openList(ctx, engine, log)
	if err != nil {
		return err
	}
	defer list.Close()
	a, err := newApp(ctx, settings{*issuer, *client, clientSecret, *url}, keys, list, log)
	if err != nil {
		return err
	}

	listener, err := net.Listen("tcp", *addr)
	if err != nil {
		return err
	}
	fmt.Println(*url)
	server := &http.Server{
		Handler:           a.handler(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       time.Minute,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return server.Shutdown(last)
}
