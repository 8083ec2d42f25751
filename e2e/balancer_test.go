package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const examples = "../examples/loadbalanced/"

// A balancer is a proxy with its configuration in examples/loadbalanced.
type balancer struct {
	name string
	file string
	// The settings that sessions need, by the first word of their line. Without these the proxy is as it was installed.
	forDefault, forLarge []string
	command              func(t *testing.T, file, port string) (program string, args []string)
}

var balancers = []balancer{
	{"nginx", "nginx.conf", []string{"proxy_buffer_size", "proxy_busy_buffers_size", "error_page"}, []string{"large_client_header_buffers"}, nginx},
	{"haproxy", "haproxy.cfg", nil, []string{"tune.bufsize"}, haproxy},
	{"apache", "apache.conf", nil, []string{"LimitRequestFieldSize"}, apache},
	{"varnish", "varnish.vcl", nil, []string{"#\t-p"}, varnish},
	{"caddy", "Caddyfile", nil, nil, caddy},
}

// What a balancer is started with.
type settings int

const (
	stock      settings = iota // none of the settings that sessions need
	forDefault                 // those for sessions of the default size
	documented                 // the file as it is
)

// startBalancer starts b on a port of its own before the servers at three ports, and returns its address. In its file,
// new words may stand for old ones.
func startBalancer(t *testing.T, b balancer, s settings, backends [3]string, oldnew ...string) (p *process, url string) {
	t.Helper()
	port := freePort(t)
	file := filepath.Join(t.TempDir(), b.file)
	config := strings.NewReplacer(oldnew...).Replace(configuration(t, b, s, port, backends))
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	program, args := b.command(t, file, port)
	p = start(t, b.name, program, args...)
	url = "http://127.0.0.1:" + port
	p.ready(t, url+"/healthz")
	return p, url
}

// configuration returns b's file for these ports. Only ports are substituted, and settings taken out.
func configuration(t *testing.T, b balancer, s settings, port string, backends [3]string) string {
	t.Helper()
	text, err := os.ReadFile(examples + b.file)
	if err != nil {
		t.Fatal(err)
	}
	var without []string
	if s < documented {
		without = append(without, b.forLarge...)
	}
	if s < forDefault {
		without = append(without, b.forDefault...)
	}
	lines := strings.SplitAfter(string(text), "\n")
	for _, setting := range without {
		n := len(lines)
		kept := lines[:0]
		for _, line := range lines {
			if !strings.HasPrefix(strings.TrimLeft(line, " \t"), setting+" ") {
				kept = append(kept, line)
			}
		}
		if lines = kept; len(lines) == n {
			t.Fatalf("%s has no setting %q", b.file, setting)
		}
	}
	config := strings.Join(lines, "")
	for i, to := range append([]string{port}, backends[:]...) {
		from := fmt.Sprint(8080 + i)
		if !strings.Contains(config, from) {
			t.Fatalf("%s doesn't name port %s", b.file, from)
		}
		config = strings.ReplaceAll(config, from, to)
	}
	return config
}

// around writes a configuration that includes file, as those of the distribution do, and returns its name.
func around(t *testing.T, file string, lines ...string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "main.conf")
	text := strings.NewReplacer("DIR", filepath.Dir(name), "FILE", file).Replace(strings.Join(lines, "\n") + "\n")
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

func nginx(t *testing.T, file, _ string) (string, []string) {
	return "/usr/sbin/nginx", []string{"-e", "stderr", "-c", around(t, file,
		"daemon off;",
		"worker_processes 2;",
		"pid DIR/nginx.pid;",
		"error_log stderr;",
		"events {}",
		"http {",
		"access_log off;",
		"client_body_temp_path DIR/body;",
		"proxy_temp_path DIR/proxy;",
		"fastcgi_temp_path DIR/fastcgi;",
		"uwsgi_temp_path DIR/uwsgi;",
		"scgi_temp_path DIR/scgi;",
		"include FILE;",
		"}",
	)}
}

func haproxy(_ *testing.T, file, _ string) (string, []string) {
	return "/usr/sbin/haproxy", []string{"-db", "-f", file}
}

func apache(t *testing.T, file, _ string) (string, []string) {
	lines := []string{
		"ServerRoot DIR",
		"ServerName 127.0.0.1",
		"DefaultRuntimeDir DIR",
		"PidFile DIR/apache.pid",
		"User www-data",
		"Group www-data",
		"ErrorLog /dev/stderr",
	}
	for _, module := range []string{"mpm_event", "authz_core", "slotmem_shm", "proxy", "proxy_http", "proxy_balancer", "lbmethod_byrequests"} {
		lines = append(lines, fmt.Sprintf("LoadModule %s_module /usr/lib/apache2/modules/mod_%[1]s.so", module))
	}
	return "/usr/sbin/apache2", []string{"-DFOREGROUND", "-f", around(t, file, append(lines, "Include FILE")...)}
}

func varnish(t *testing.T, file, port string) (string, []string) {
	args := []string{"-F", "-j", "none", "-n", filepath.Join(t.TempDir(), "varnish"), "-T", "none", "-s", "malloc,32m", "-a", "127.0.0.1:" + port, "-f", file}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	// Its settings are arguments, which the file's comments name.
	for _, setting := range regexp.MustCompile(`-p (\S+)`).FindAllStringSubmatch(string(text), -1) {
		args = append(args, "-p", setting[1])
	}
	return "/usr/sbin/varnishd", args
}

func caddy(t *testing.T, file, _ string) (string, []string) {
	return "/usr/bin/caddy", []string{"run", "--adapter", "caddyfile", "--config", around(t, file, "{", "admin off", "}", "import FILE")}
}
