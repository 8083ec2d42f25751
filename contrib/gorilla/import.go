package gorilla

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"

	"github.com/gorilla/securecookie"
	"github.com/gorilla/sessions"
)

// Import returns a function for Config.Import that takes the session called name over from the first of the stores that
// has it, for applications that use package cookiesession itself from now on. ImportCookies should have the name, too.
// Keys must be strings, values what [cookiesession.Session.Put] takes: a struct is found again as a Field of its type.
// Keep calling gob.Register for types that the old values have: gorilla's stores refuse cookies with any other.
//
// A cookie that the stores refuse counts as none, and so does a session with a key that isn't a string: no later try
// would find more in it. It isn't taken over in part, since what is missing could be what limits its visitor. Any other
// error of a store's is Import's error, which means "try later".
//
// A [Store] needs none of this: see [New].
func Import(name string, from ...sessions.Store) func(*http.Request) (map[string]any, error) {
	return importAs(name, from, func(v any) (any, error) { return v, nil })
}

// importAs is Import with values as keep returns them. A session with one that it can't keep counts as none, too.
func importAs(name string, from []sessions.Store, keep func(any) (any, error)) func(*http.Request) (map[string]any, error) {
	return func(r *http.Request) (map[string]any, error) {
		for _, store := range from {
			g, err := store.New(r, name)
			if err != nil && !isRefusal(err) {
				return nil, fmt.Errorf("cookiesession/gorilla: session to take over: %w", err)
			}
			if err != nil || g.IsNew {
				continue
			}
			if values, ok := all(g, keep); ok {
				return values, nil
			}
		}
		return nil, nil
	}
}

// all returns the values of g, or false if one of them or a key can't be kept.
func all(g *sessions.Session, keep func(any) (any, error)) (map[string]any, bool) {
	values := make(map[string]any, len(g.Values))
	for key, value := range g.Values {
		k, ok := key.(string)
		if !ok {
			return nil, false
		}
		kept, err := keep(value)
		if err != nil {
			return nil, false
		}
		values[k] = kept
	}
	return values, true
}

// isRefusal reports whether a store's error says no more than that a visitor's cookie is no good.
func isRefusal(err error) bool {
	var refusal securecookie.Error
	return errors.As(err, &refusal) && refusal.IsDecode() || errors.Is(err, fs.ErrNotExist)
}
