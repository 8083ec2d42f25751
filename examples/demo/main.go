// Command demo is a web page on which to try cookiesession: what a session holds, the cookies that carry it, and what
// rotating keys, idling, logging out and outgrowing the limit do to it; whether it is bound to the device, and what
// whoever copies it gets.
//
//	go run ./examples/demo
//
// then open http://localhost:8080. Nothing is stored on the server but what its thief copies, at a visitor's wish and for
// minutes; with -keys, several demo servers share sessions.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	err := run(ctx, os.Args[1:], os.Getenv("COOKIESESSION_KEYS"), os.Stdout, os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// run serves the demo until ctx ends, then lets requests under way finish.
func run(ctx context.Context, args []string, keysFromEnv string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.SetOutput(stderr)
	addr := flags.String("addr", "localhost:8080", "listen on this `address`")
	keyFile := flags.String("keys", "", "share sessions through this key `file`, which is watched for changes\n(otherwise the keys in $COOKIESESSION_KEYS; otherwise new ones at every start)")
	idle := flags.Duration("idle", 20*time.Minute, "end a session after this `time` without a request; 0 for never")
	name := flags.String("name", "demo", "this server's `name`, on the page and in the X-Served-By header")
	insecure := flags.Bool("insecure", false, "send cookies over plain HTTP away from localhost too, and on localhost to Safari")
	maxSize := flags.Int("max-size", defaultMaxSize, "let a session add this many `bytes` to a request's Cookie header")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}

	log := slog.New(slog.NewTextHandler(stderr, nil))
	keys, err := openKeys(*keyFile, keysFromEnv)
	if err != nil {
		return err
	}
	a, err := newApp(options{
		server: *name, keys: keys, idle: *idle, maxSize: *maxSize, insecure: *insecure, log: log,
	})
	if err != nil {
		return err
	}
	watching := make(chan struct{})
	watchCtx, endWatch := context.WithCancel(ctx)
	go func() {
		defer close(watching)
		keys.watch(watchCtx)
	}()
	defer func() { endWatch(); <-watching }()

	listener, err := net.Listen("tcp", *addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%s is taken, perhaps by another demo; choose another address, such as -addr localhost:8090", *addr)
	} else if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%s: http://%s\n%s\n", *name, visibleAddr(*addr, listener.Addr()), keys.note())
	if !*insecure && !loopback(listener.Addr()) {
		fmt.Fprintln(stdout, "Away from localhost, browsers keep these cookies over HTTPS only: put TLS in front, or use -insecure.")
	}
	server := &http.Server{
		Handler:           a.handler(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      maxWait + 15*time.Second,
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
	fmt.Fprintln(stdout, "Finishing requests under way.")
	last, cancel := context.WithTimeout(context.Background(), maxWait+time.Second)
	defer cancel()
	return server.Shutdown(last)
}

// visibleAddr returns the address to open in a browser: the one asked for, with the port that was really taken.
func visibleAddr(asked string, got net.Addr) string {
	host, _, err := net.SplitHostPort(asked)
	_, port, err2 := net.SplitHostPort(got.String())
	if err != nil || err2 != nil {
		return got.String()
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}

func loopback(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}
