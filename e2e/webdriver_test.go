package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A window is WebKitGTK's MiniBrowser, driven as W3C WebDriver says. Methods fail the test on every error.
type window struct {
	t       *testing.T
	driver  string // address
	session string // path
}

const element = "element-6066-11e4-a52e-4f735466cecf" // WebDriver, 12.2: what stands for an element in JSON

// startWebKit starts a display, and the driver on it, and returns the driver's address.
func startWebKit(t *testing.T) string {
	t.Helper()
	display := start(t, "Xvfb", "/usr/bin/Xvfb", "-displayfd", "1", "-nolisten", "tcp", "-screen", "0", "1280x1024x24")
	number := ""
	for range 100 {
		text, err := os.ReadFile(display.log)
		if line, _, whole := strings.Cut(string(text), "\n"); err == nil && whole {
			number = line
			break
		}
		<-time.After(100 * time.Millisecond)
	}
	port := freePort(t)
	driver := start(t, "WebKitWebDriver", "/usr/bin/env", "DISPLAY=:"+number, "DBUS_SESSION_BUS_ADDRESS=disabled:", "NO_AT_BRIDGE=1", "GTK_A11Y=none",
		"LIBGL_ALWAYS_SOFTWARE=1", "WEBKIT_DISABLE_COMPOSITING_MODE=1", "WEBKIT_DISABLE_DMABUF_RENDERER=1",
		"WebKitWebDriver", "--host=127.0.0.1", "--port="+port)
	address := "http://127.0.0.1:" + port
	driver.ready(t, address+"/status")
	return address
}

// openWindow opens a browser that has no cookies.
func openWindow(t *testing.T, driver string) *window {
	t.Helper()
	browser, err := filepath.Glob("/usr/lib/*/webkit2gtk-4.*/MiniBrowser")
	if err != nil || len(browser) == 0 {
		t.Fatalf("no MiniBrowser (run.sh installs it): %v", err)
	}
	w := &window{t: t, driver: driver}
	var opened struct {
		SessionID    string
		Capabilities struct{ BrowserVersion string }
	}
	w.do("POST", "/session", map[string]any{"capabilities": map[string]any{"alwaysMatch": map[string]any{
		"acceptInsecureCerts":      true,
		"timeouts":                 map[string]any{"pageLoad": 30_000, "script": 10_000},
		"webkitgtk:browserOptions": map[string]any{"binary": browser[0], "args": []string{"--automation"}},
	}}}, &opened)
	w.session = "/session/" + opened.SessionID
	t.Log("WebKitGTK", opened.Capabilities.BrowserVersion)
	return w
}

func (w *window) close() { w.do("DELETE", w.session, nil, nil) }

func (w *window) do(method, path string, body, value any) {
	w.t.Helper()
	if err := w.try(method, path, body, value); err != nil {
		w.t.Fatalf("%s %s: %v", method, path, err)
	}
}

func (w *window) try(method, path string, body, value any) error {
	if body == nil {
		body = map[string]any{}
	}
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r, err := http.NewRequest(method, w.driver+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := (&http.Client{Timeout: time.Minute}).Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var answer struct{ Value json.RawMessage }
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return errors.New(string(answer.Value))
	}
	if value == nil {
		return nil
	}
	return json.Unmarshal(answer.Value, value)
}

func (w *window) open(url string) {
	w.t.Helper()
	w.do("POST", w.session+"/url", map[string]any{"url": url}, nil)
}

func (w *window) reload() { w.do("POST", w.session+"/refresh", nil, nil) }

// run runs a script's body in the page and returns its string.
func (w *window) run(script string) string {
	w.t.Helper()
	var s string
	w.do("POST", w.session+"/execute/sync", map[string]any{"script": script, "args": []any{}}, &s)
	return s
}

// text returns what the first element that matches says, or "".
func (w *window) text(selector string) string {
	w.t.Helper()
	return w.run(fmt.Sprintf(`const e = document.querySelector(%q); return e ? e.textContent.replace(/\s+/g, ' ').trim() : ''`, selector))
}

func (w *window) find(selector string) string {
	w.t.Helper()
	var found map[string]string
	w.do("POST", w.session+"/element", map[string]any{"using": "css selector", "value": selector}, &found)
	return w.session + "/element/" + found[element]
}

func (w *window) write(selector, text string) {
	w.t.Helper()
	w.do("POST", w.find(selector)+"/value", map[string]any{"text": text}, nil)
}

// press clicks, and waits until another page has come.
func (w *window) press(selector string) {
	w.t.Helper()
	w.run(`document.documentElement.dataset.old = 'yes'; return ''`)
	w.do("POST", w.find(selector)+"/click", nil, nil)
	for range 200 {
		// While pages change, there may be none to ask.
		var state string
		err := w.try("POST", w.session+"/execute/sync", map[string]any{
			"args":   []any{},
			"script": `return document.documentElement.dataset.old ? 'old' : document.readyState`,
		}, &state)
		if err == nil && state == "complete" {
			return
		}
		<-time.After(50 * time.Millisecond)
	}
	w.t.Fatalf("no page came of pressing %s", selector)
}

// A storedCookie is a cookie as the browser tells of it.
type storedCookie struct {
	Name, Value, Domain, Path, SameSite string
	HTTPOnly, Secure                    bool
	Expiry                              int64
}

func (w *window) cookies() []storedCookie {
	w.t.Helper()
	var all []storedCookie
	w.do("GET", w.session+"/cookie", nil, &all)
	return all
}

// state is what the server says of the session that comes with a request of this window.
func (w *window) state(site string) (s struct {
	User, ID, Refused string
	Filler, Size      int
	MaxSize           int `json:"max_size"`
},
) {
	w.t.Helper()
	w.open(site + "/api/session")
	text := w.text("body")
	w.do("POST", w.session+"/back", nil, nil)
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		w.t.Fatalf("%v: %q", err, text)
	}
	return s
}
