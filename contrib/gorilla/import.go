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
// A cookie that the stores refuse counts as none.
//
// A [Store] needs none of this: see [New].
func Import(name string, from ...sessions.Store) func(*http.Request) (map[string]any, error) {
	return func(r *http.Request) (map[string]any, error) {
		return read(r, name, from)
	}
}

// importPacked is Import for a Store.
func importPacked(name string, from []sessions.Store) func(*http.Request) (map[string]any, error) {
	return func(r *http.Request) (map[string]any, error) {
		values, err := read(r, name, from)
		for key := range values {
			var packErr error
			if values[key], packErr = pack(values[key]); packErr != nil {
				return nil, fmt.Errorf("cookiesession/gorilla: value of %.40q: %w", key, packErr)
			}
		}
		return values, err
	}
}

// read returns the values of the first store that has a session for r, or nil.
func read(r *http.Request, name string, from []sessions.Store) (map[string]any, error) {
	for _, store := range from {
		g, err := store.New(r, name)
		if isRefusal(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("cookiesession/gorilla: session to take over: %w", err)
		}
		if g.IsNew {
			continue
		}
		values := make(map[string]any, len(g.Values))
		for key, value := range g.Values {
			k, ok := key.(string)
			if !ok {
				return nil, fmt.Errorf("cookiesession/gorilla: session to take over: key %.40q is a %T, want a string", fmt.Sprint(key), key)
			}
			values[k] = value
		}
		return values, nil
	}
	return nil, nil
}

// isRefusal reports whether a store's error says no more than that a visitor's cookie is no good.
func isRefusal(err error) bool {
	var refusal securecookie.Error
	return errors.As(err, &refusal) && refusal.IsDecode() || errors.Is(err, fs.ErrNotExist)
}
