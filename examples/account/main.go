// Command account is a small application with accounts: register, log in and stay logged in, see and end one's sessions,
// change the password, give roles. It shows what to do with cookiesession where sessions must be able to end from
// elsewhere.
//
//	go run .
//
// then open http://localhost:8080. Accounts and keys are forgotten when it ends, unless -db and -keys name files.
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
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	err := run(ctx, os.Args[1:])
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "account:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends, then lets requests under way finish.
func run(ctx context.Context, args []string) (err error) {
	flags := flag.NewFlagSet("account", flag.ContinueOnError)
	addr := flags.String("addr", "localhost:8080", "listen on this `address`; away from localhost, put TLS in front")
	database := flags.String("db", "", "keep accounts in this SQLite `file` (otherwise in memory)")
	keyFile := flags.String("keys", "", "read keys from this `file`, made by: cookiesession keys new (otherwise make new ones)")
	revoke := flags.String("revoke", revokeByVersion, "end sessions by `means` of the account's session_version (version),\nor of a list of what has ended, in memory or in a file that processes share (memory, file:PATH)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if (*database == "") != (*keyFile == "") {
		return errors.New("-db and -keys go together: sessions must not outlive the accounts that they are of, nor the other way round")
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	keys, err := openKeys(*keyFile)
	if err != nil {
		return err
	}
	st, err := openStore(*database)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.close()) }()
	rv, err := openRevoker(ctx, *revoke, st, *keyFile != "", log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rv.close()) }()
	a, err := newApp(keys, st, rv, newHasher(19<<10, 2), log)
	if err != nil {
		return err
	}

	listener, err := net.Listen("tcp", *addr)
	if err != nil {
		return err
	}
	fmt.Printf("http://%s\nThe first account that registers is the administrator's.\n", *addr)
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

func openKeys(file string) (*cookiesession.Keyring, error) {
	if file == "" {
		return cookiesession.NewKeyring(cookiesession.GenerateKey("start"))
	}
	return cookiesession.OpenKeyFile(file)
}
