package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/seed-50e21e88/cookiesession/cookiesessiontest"
)

// A visitor has a cookie jar as strict as a browser's, and takes part in one exchange at a time.
type visitor struct {
	jar *cookiesessiontest.Jar
}

func newVisitor() *visitor { return &visitor{cookiesessiontest.NewJar()} }

// client follows no redirect and keeps no cookies: visitors do.
var client = &http.Client{
	Timeout: 30 * time.Second,
	Transport: &http.Transport{
		MaxIdleConnsPerHost:    64,
		MaxResponseHeaderBytes: 1 << 20,
	},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// An answer is what a visitor got. The fields that aren't tagged come from the header.
type answer struct {
	Status int
	Header http.Header
	Body   string

	Server string `json:"server"`
	ID     string `json:"id"`
	N      int    `json:"n"`
	Filler int    `json:"filler"`
	// "" unless the cookie that came was refused.
	Refused string `json:"refused"`
	Size    int    `json:"size"`
}

// ask sends a request with the jar's cookies and further headers in pairs of name and value. The error is that no whole
// answer came; what its header said is in force all the same.
func (v *visitor) ask(method, address string, headers ...string) (answer, error) {
	u, err := url.Parse(address)
	if err != nil {
		return answer{}, err
	}
	r := &http.Request{Method: method, URL: u, Header: http.Header{}, Host: u.Host}
	if cookies := v.jar.Header(u); cookies != "" {
		r.Header.Set("Cookie", cookies)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := client.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	v.jar.SetHeader(u, resp.Header)
	a := answer{Status: resp.StatusCode, Header: resp.Header}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return a, err
	}
	a.Body = string(body)
	if resp.Header.Get("Content-Type") == "application/json" {
		err = json.Unmarshal(body, &a)
	}
	return a, err
}

// must is ask for an answer that has to be 200.
func (v *visitor) must(t *testing.T, method, address string, headers ...string) answer {
	t.Helper()
	a, err := v.ask(method, address, headers...)
	if err != nil {
		t.Fatal(err)
	}
	if a.Status != http.StatusOK {
		t.Fatalf("%s %s: got %d, want 200\n%.500s", method, address, a.Status, a.Body)
	}
	return a
}

// parts returns how many cookies the session is in.
func (v *visitor) parts() int {
	n := 0
	for _, c := range v.jar.All() {
		rest, ours := strings.CutPrefix(c.Name, "__Host-session")
		if ours && (rest == "" || len(rest) == 2 && '1' <= rest[1] && rest[1] <= '9') {
			n++
		}
	}
	return n
}

// demos starts three demo servers that share a key file, and returns their ports.
func demos(t *testing.T, args ...string) (ports [3]string) {
	t.Helper()
	keys := newKeyFile(t)
	for i := range ports {
		ports[i] = freePort(t)
		name := fmt.Sprint("node-", i+1)
		p := start(t, name, demoProgram, append([]string{"-addr", "127.0.0.1:" + ports[i], "-name", name, "-keys", keys}, args...)...)
		p.ready(t, "http://127.0.0.1:"+ports[i]+"/healthz")
	}
	return ports
}

func newKeyFile(t *testing.T) string {
	t.Helper()
	file := t.TempDir() + "/keys.json"
	command(t, time.Minute, cookiesessionProgram, "keys", "new", "-file", file)
	return file
}

// A nodeServer is a process of cmd/node.
type nodeServer struct {
	*process
	port string
}

// startNode starts a server that looks at its key file every so often, as cmd/node's -watch says.
func startNode(t *testing.T, name, keys string, watch time.Duration) nodeServer {
	t.Helper()
	port := freePort(t)
	p := start(t, name, nodeProgram, "-addr", "127.0.0.1:"+port, "-name", name, "-keys", keys, "-watch", watch.String(), "-max-size", largeSize)
	p.ready(t, "http://127.0.0.1:"+port+"/healthz")
	return nodeServer{p, port}
}
