package tests

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

// The functions that MIGRATING.md shows, and the cookies that the libraries themselves have written.

// importCookieSession reads what cookie-session has written under one of its keys.
func importCookieSession(keys ...string) func(*http.Request) (map[string]any, error) {
	return func(r *http.Request) (map[string]any, error) {
		session, err := r.Cookie("session")
		if err != nil {
			return nil, nil // a new visitor
		}
		signature, err := r.Cookie("session.sig")
		if err != nil {
			return nil, nil
		}
		for _, key := range keys {
			mac := hmac.New(sha1.New, []byte(key))
			mac.Write([]byte("session=" + session.Value))
			if hmac.Equal([]byte(base64.RawURLEncoding.EncodeToString(mac.Sum(nil))), []byte(signature.Value)) {
				data, err := base64.StdEncoding.DecodeString(session.Value)
				if err != nil {
					return nil, nil // nothing that cookie-session writes
				}
				return jsonValues(data), nil
			}
		}
		return nil, nil // signed by nobody we know
	}
}

// jsonValues returns the members of a JSON object, with whole numbers as integers; nil if data is none.
func jsonValues(data []byte) map[string]any {
	var values map[string]any
	if json.Unmarshal(data, &values) != nil {
		return nil
	}
	return whole(values).(map[string]any)
}

// whole turns floats that are whole numbers into integers, also in lists and maps.
func whole(v any) any {
	switch v := v.(type) {
	case float64:
		if n := int64(v); float64(n) == v && math.Abs(v) < 1<<53 {
			return n
		}
	case []any:
		for i := range v {
			v[i] = whole(v[i])
		}
	case map[string]any:
		for key := range v {
			v[key] = whole(v[key])
		}
	}
	return v
}

// importExpress looks the ID in express-session's cookie up in its store.
func importExpress(load func(ctx context.Context, id string) ([]byte, error), secrets ...string) func(*http.Request) (map[string]any, error) {
	return func(r *http.Request) (map[string]any, error) {
		id, ok := unsign(r, "connect.sid", secrets...)
		if !ok {
			return nil, nil
		}
		data, err := load(r.Context(), id)
		if data == nil || err != nil {
			return nil, err
		}
		values := jsonValues(data)
		delete(values, "cookie") // its settings
		return values, nil
	}
}

// unsign returns what the npm package cookie-signature has signed with one of the secrets, in a cookie of r.
func unsign(r *http.Request, name string, secrets ...string) (value string, ok bool) {
	cookie, err := r.Cookie(name)
	if err != nil {
		return "", false
	}
	signed, err := url.QueryUnescape(cookie.Value)
	if err != nil {
		return "", false
	}
	signed, ok = strings.CutPrefix(signed, "s:")
	dot := strings.LastIndexByte(signed, '.')
	if !ok || dot < 0 {
		return "", false
	}
	for _, secret := range secrets {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte(signed[:dot]))
		if hmac.Equal([]byte(base64.RawStdEncoding.EncodeToString(mac.Sum(nil))), []byte(signed[dot+1:])) {
			return signed[:dot], true
		}
	}
	return "", false
}

// importNodeSession reads the files of node-session's file driver.
func importNodeSession(files *os.Root, secret string) func(*http.Request) (map[string]any, error) {
	return func(r *http.Request) (map[string]any, error) {
		id, ok := unsign(r, "node_session", secret)
		if !ok {
			return nil, nil
		}
		data, err := files.ReadFile(id)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil // swept
		}
		if err != nil {
			return nil, err
		}
		values := jsonValues(data)
		delete(values, "_token") // its CSRF token
		delete(values, "flash")  // which keys are flash messages
		return values, nil
	}
}

// importFrom asks the old application who the visitor is that comes with one of its cookies.
func importFrom(address string, cookies ...string) func(*http.Request) (map[string]any, error) {
	client := &http.Client{Timeout: 2 * time.Second}
	return func(r *http.Request) (map[string]any, error) {
		if !slices.ContainsFunc(r.Cookies(), func(c *http.Cookie) bool { return slices.Contains(cookies, c.Name) }) {
			return nil, nil
		}
		ask, err := http.NewRequestWithContext(r.Context(), http.MethodGet, address, nil)
		if err != nil {
			return nil, err
		}
		ask.Header["Cookie"] = r.Header["Cookie"]
		resp, err := client.Do(ask)
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		if resp.StatusCode >= 500 {
			return nil, fmt.Errorf("old application answers %s", resp.Status)
		}
		data, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
		if err != nil || resp.StatusCode != http.StatusOK {
			return nil, err
		}
		return jsonValues(data), nil
	}
}

// importing returns what a Manager with Import set to fn gives a visitor who comes with cookies.
func importing(t *testing.T, fn func(*http.Request) (map[string]any, error), cookies string) (map[string]any, error) {
	t.Helper()
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Cookie", cookies)
	s, err := newManager(t, func(c *cookiesession.Config) { c.Import = fn }).Load(r)
	return s.All(), err
}

func TestImportCookieSession(t *testing.T) {
	// Written by cookie-session 2.1 with the keys "new key", "old key".
	const (
		session   = "session=eyJ1c2VyIjoiZ3JhY2UiLCJ2aWV3cyI6MywiY2FydCI6W3siaWQiOjcsIm5hbWUiOiJ0ZWEgw7wifV0sInByaWNlIjoyLjV9"
		signature = "session.sig=vUPksmufpJ7snlHTVMhcdkqkTas"
	)
	want := map[string]any{
		"user": "grace", "views": int64(3), "price": 2.5,
		"cart": []any{map[string]any{"id": int64(7), "name": "tea ü"}},
	}
	for _, tt := range []struct {
		name, cookies string
		keys          []string
		want          map[string]any
	}{
		{"the key that signed", session + "; " + signature, []string{"new key"}, want},
		{"after a rotation", session + "; " + signature, []string{"next key", "new key"}, want},
		{"a key that did not sign", session + "; " + signature, []string{"old key"}, nil},
		{"changed", strings.Replace(session, "eyJ1", "eyJ2", 1) + "; " + signature, []string{"new key"}, nil},
		{"signed, but no JSON", signed("new key", "bm8ganNvbg=="), []string{"new key"}, nil},
		{"signed, but no base64", signed("new key", "no base64"), []string{"new key"}, nil},
		{"no signature", session, []string{"new key"}, nil},
		{"no session", signature, []string{"new key"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := importing(t, importCookieSession(tt.keys...), tt.cookies)
			if err != nil || len(got) != len(tt.want) || tt.want != nil && !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %v, error %v, want %v", got, err, tt.want)
			}
		})
	}
}

// signed returns the cookies of a value that is signed as cookie-session does.
func signed(key, value string) string {
	mac := hmac.New(sha1.New, []byte(key))
	mac.Write([]byte("session=" + value))
	return "session=" + value + "; session.sig=" + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func TestImportExpress(t *testing.T) {
	// Written by express-session 1.19 with the secret "new key".
	const cookie = "connect.sid=s%3AXUwWteV7RHuQqxJqKMoWot75wY3AV6Kf.7AZ54DvCS0C3q8PDGBUYWW1DQXig62sI4D%2BwE%2BdCOdI"
	store := map[string]string{
		"XUwWteV7RHuQqxJqKMoWot75wY3AV6Kf": `{"cookie":{"originalMaxAge":null,"expires":null,"httpOnly":true,"path":"/"},"user":"grace","views":3}`,
	}
	load := func(_ context.Context, id string) ([]byte, error) {
		if data, ok := store[id]; ok {
			return []byte(data), nil
		}
		return nil, nil
	}
	down := func(context.Context, string) ([]byte, error) { return nil, errors.New("no connection") }
	for _, tt := range []struct {
		name   string
		fn     func(*http.Request) (map[string]any, error)
		cookie string
		want   string
	}{
		{"signed", importExpress(load, "newer key", "new key"), cookie, "map[user:grace views:3] <nil>"},
		{"signed with another secret", importExpress(load, "old key"), cookie, "map[] <nil>"},
		{"changed", importExpress(load, "new key"), strings.Replace(cookie, "XUw", "XUv", 1), "map[] <nil>"},
		{"not signed", importExpress(load, "new key"), "connect.sid=XUwWteV7RHuQqxJqKMoWot75wY3AV6Kf", "map[] <nil>"},
		{"badly escaped", importExpress(load, "new key"), "connect.sid=s%3", "map[] <nil>"},
		{"none", importExpress(load, "new key"), "other=1", "map[] <nil>"},
		{"the store is down", importExpress(down, "new key"), cookie, "map[] no connection"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := importing(t, tt.fn, tt.cookie)
			if text := fmt.Sprint(got, " ", err); text != tt.want {
				t.Errorf("got %s, want %s", text, tt.want)
			}
		})
	}
	store["XUwWteV7RHuQqxJqKMoWot75wY3AV6Kf"] = "broken"
	if got, err := importing(t, importExpress(load, "new key"), cookie); len(got) != 0 || err != nil {
		t.Errorf("broken in the store: got %v, error %v", got, err)
	}
	delete(store, "XUwWteV7RHuQqxJqKMoWot75wY3AV6Kf")
	if got, err := importing(t, importExpress(load, "new key"), cookie); len(got) != 0 || err != nil {
		t.Errorf("expired in the store: got %v, error %v", got, err)
	}
}

func TestImportNodeSession(t *testing.T) {
	// Written by node-session 1.2.1 with this secret.
	const (
		secret = "Q3UBzdH9GEfiRCTKbi5MTPyChpzXLsTD"
		id     = "uNsfdUVLhsIVLI6cath_26KiaPUQXufaust7Xz-o"
		cookie = "node_session=s%3A" + id + ".3%2F7PLyd1nr5LC9JZTgV0ltUeUYQsSJR6fQA0WsA2Bfs"
		file   = `{"_token":"pg5HeYU06mfw8eNbRJK7jp0FE8NhsigEHIQggYI0","user":"grace","views":3,"notice":"hi","flash":{"new":[],"old":["notice"]}}`
	)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, id), []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	files, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	if got, err := importing(t, importNodeSession(files, secret), cookie); fmt.Sprint(got, err) != "map[notice:hi user:grace views:3] <nil>" {
		t.Errorf("got %v, error %v", got, err)
	}
	if got, err := importing(t, importNodeSession(files, "another"), cookie); len(got) != 0 || err != nil {
		t.Errorf("another secret: got %v, error %v", got, err)
	}
	if err := files.Remove(id); err != nil {
		t.Fatal(err)
	}
	if got, err := importing(t, importNodeSession(files, secret), cookie); len(got) != 0 || err != nil {
		t.Errorf("swept: got %v, error %v", got, err)
	}
}

func TestImportFrom(t *testing.T) {
	status := http.StatusOK
	old := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(status)
		if cookie, err := r.Cookie("laravel_session"); err == nil && cookie.Value == "grace's" {
			io.WriteString(w, `{"user": 42}`)
		} else if _, err := r.Cookie("_oauth2_proxy_1"); err == nil {
			io.WriteString(w, `{"user":"ada","email":"ada@shop.example","groups":["staff"]}`)
		} else {
			io.WriteString(w, `[]`) // PHP's array_filter leaves nothing of a guest
		}
	}))
	defer old.Close()
	importOld := importFrom(old.URL, "laravel_session", "_oauth2_proxy", "_oauth2_proxy_0")
	for cookies, want := range map[string]string{
		"theme=dark; laravel_session=grace's":  "map[user:42] <nil>",
		"_oauth2_proxy_0=a; _oauth2_proxy_1=b": "map[email:ada@shop.example groups:[staff] user:ada] <nil>",
		"laravel_session=a guest's":            "map[] <nil>",
		"theme=dark; _oauth2_proxy_1=unasked":  "map[] <nil>",
	} {
		got, err := importing(t, importOld, cookies)
		if text := fmt.Sprint(got, " ", err); text != want {
			t.Errorf("%s: got %s, want %s", cookies, text, want)
		}
	}
	status = http.StatusForbidden
	if got, err := importing(t, importOld, "laravel_session=grace's"); len(got) != 0 || err != nil {
		t.Errorf("an application that refuses: got %v, error %v", got, err)
	}
	status = http.StatusInternalServerError
	if got, err := importing(t, importOld, "laravel_session=grace's"); len(got) != 0 || err == nil {
		t.Errorf("a failing application: got %v, error %v", got, err)
	}
}

func TestWhole(t *testing.T) {
	for _, tt := range []struct{ in, want any }{
		{3.0, int64(3)},
		{-3.0, int64(-3)},
		{2.5, 2.5},
		{float64(1<<53 - 1), int64(1<<53 - 1)},
		{float64(1 << 53), float64(1 << 53)}, // may stand for its neighbour
		{1e300, 1e300},
		{"3", "3"},
		{[]any{1.0, map[string]any{"a": 2.0}}, []any{int64(1), map[string]any{"a": int64(2)}}},
	} {
		if got := whole(tt.in); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%v: got %T %v, want %T", tt.in, got, got, tt.want)
		}
	}
}
