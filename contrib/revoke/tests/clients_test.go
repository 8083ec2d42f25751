//go:build unix

package tests

import (
	"context"
	"errors"
	"testing"

	"github.com/redis/rueidis"

	"github.com/seed-50e21e88/cookiesession/contrib/revoke"
	"github.com/seed-50e21e88/cookiesession/contrib/revoke/redis"
)

var (
	errStillStale      = errors.New("the list is still stale")
	errUnread          = errors.New("a server has not read what the file holds")
	errNotAcknowledged = errors.New("the process has not acknowledged the revocation")
)

// viaRueidis returns an Engine on a rueidis client.
func viaRueidis(t testing.TB, addr string) revoke.Engine {
	t.Helper()
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{addr}, DisableCache: true})
	must(t, err)
	t.Cleanup(client.Close)
	return redis.New(func(ctx context.Context, args ...any) (any, error) {
		command := client.B().Arbitrary()
		for _, arg := range args {
			command = command.Args(arg.(string))
		}
		if args[0] == "XREAD" { // it waits, so it gets a connection of its own
			return client.Do(ctx, command.Blocking()).ToAny()
		}
		return client.Do(ctx, command.Build()).ToAny()
	}, redis.Options{})
}
