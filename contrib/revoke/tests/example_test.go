//go:build unix

package tests

import (
	"context"
	"database/sql"
	"log"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"
	_ "github.com/jackc/pgx/v5/stdlib"
	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"

	"github.com/seed-50e21e88/cookiesession"
	"github.com/seed-50e21e88/cookiesession/contrib/revoke"
	"github.com/seed-50e21e88/cookiesession/contrib/revoke/postgres"
	"github.com/seed-50e21e88/cookiesession/contrib/revoke/redis"
)

func Example_goRedis() {
	client := goredis.NewClient(&goredis.Options{Addr: "localhost:6379", ContextTimeoutEnabled: true})
	engine := redis.New(func(ctx context.Context, args ...any) (any, error) {
		return client.Do(ctx, args...).Result()
	}, redis.Options{})
	list, err := revoke.Open(context.Background(), revoke.Config{
		Engine: engine, Keys: []string{"user"}, MaxLifetime: 24 * time.Hour,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer list.Close()
}

func Example_rueidis() {
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{"localhost:6379"}})
	if err != nil {
		log.Fatal(err)
	}
	engine := redis.New(func(ctx context.Context, args ...any) (any, error) {
		command := client.B().Arbitrary()
		for _, arg := range args {
			command = command.Args(arg.(string))
		}
		if args[0] == "XREAD" { // waits, so it must not hold up what shares the connection
			return client.Do(ctx, command.Blocking()).ToAny()
		}
		return client.Do(ctx, command.Build()).ToAny()
	}, redis.Options{})
	list, err := revoke.Open(context.Background(), revoke.Config{
		Engine: engine, Keys: []string{"user"}, MaxLifetime: 24 * time.Hour,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer list.Close()
}

func Example_pgx() {
	const url = "postgres://app@localhost/app"
	db, err := sql.Open("pgx", url)
	if err != nil {
		log.Fatal(err)
	}
	engine := postgres.New(db, postgres.Options{Wake: func(ctx context.Context, wake func()) error {
		conn, err := pgx.Connect(ctx, url) // past any pooler: LISTEN needs a connection of its own
		if err != nil {
			return err
		}
		defer conn.Close(context.WithoutCancel(ctx))
		if _, err := conn.Exec(ctx, "LISTEN "+postgres.Channel); err != nil {
			return err
		}
		for {
			wake()
			if _, err := conn.WaitForNotification(ctx); err != nil {
				return err
			}
		}
	}})
	list, err := revoke.Open(context.Background(), revoke.Config{
		Engine: engine, Keys: []string{"user"}, MaxLifetime: 24 * time.Hour,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer list.Close()
}

// A password is changed and the sessions are ended in one transaction.
func Example_transaction() {
	var db *sql.DB
	var list *revoke.List
	changePassword := func(ctx context.Context, user, hash string) error {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer tx.Rollback()
		if _, err := tx.ExecContext(ctx, "UPDATE users SET password = $2 WHERE name = $1", user, hash); err != nil {
			return err
		}
		entry, err := list.Entry("user", user)
		if err != nil {
			return err
		}
		if _, err := postgres.Publish(ctx, tx, entry); err != nil {
			return err
		}
		return tx.Commit()
	}
	_ = changePassword
}

// A transfer of money must not be a second late.
func Example_sync() {
	var list *revoke.List
	var sessions *cookiesession.Manager
	http.HandleFunc("POST /transfer", func(w http.ResponseWriter, r *http.Request) {
		if err := list.Sync(r.Context()); err != nil {
			http.Error(w, "try again", http.StatusServiceUnavailable)
			return
		}
		// Whoever used the session before, in middleware, asked the hook before: so ask again.
		if over, err := list.Revoked(r.Context(), sessions.Get(r)); over || err != nil {
			http.Redirect(w, r, "/login", http.StatusSeeOther)
			return
		}
	})
}
