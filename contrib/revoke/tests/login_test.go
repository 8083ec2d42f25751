//go:build unix

package tests

import (
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/seed-50e21e88/cookiesession/contrib/revoke"
)

// A value that is never used again stays ended, whether a login with it begins before, after or while another server ends
// it, with every engine.
func TestNeverReused(t *testing.T) {
	engines(t, func(t *testing.T, _ time.Duration, engine func(t testing.TB) revoke.Engine) {
		open := func() *revoke.List {
			l, err := revoke.Open(t.Context(), revoke.Config{
				Engine: engine(t), Keys: []string{"sid"}, NeverReused: []string{"sid"}, MaxLifetime: time.Hour, Logger: slog.New(slog.DiscardHandler),
			})
			must(t, err)
			t.Cleanup(func() { l.Close() })
			return l
		}
		lists := []*revoke.List{open(), open()}
		m, err := newManager()
		must(t, err)
		for round := range 60 {
			sid := fmt.Sprint(round)
			session, err := m.Load(new(http.Request))
			must(t, err)
			login := func() {
				begun := lists[1].Begin()
				session.Put("sid", sid)
				begun.Keep(session)
			}
			end := func() {
				if err := lists[0].End(t.Context(), "sid", sid); err != nil {
					t.Error(err)
				}
			}
			order := []string{"login first", "end first", "both at once"}[round%3]
			switch order {
			case "login first":
				login()
				end()
			case "end first":
				end()
				login()
			default:
				var both sync.WaitGroup
				both.Go(login)
				both.Go(end)
				both.Wait()
			}
			for i, l := range lists {
				must(t, l.Sync(t.Context()))
				if !over(l, session) {
					t.Errorf("%s: server %d lets the session in", order, i)
				}
			}
		}
	})
}
