package cookiesession_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

// TestConfigErrors has a Config on either side of every limit, and every setting that doesn't go with another: New says
// what to change.
func TestConfigErrors(t *testing.T) {
	long := func(n int) string { return strings.Repeat("n", n) }
	type config = cookiesession.Config
	for _, test := range []struct {
		name   string
		change func(c *config)
		want   string // of the error; "" for none
	}{
		{"zero", func(c *config) {}, ""},
		{"no keys", func(c *config) { c.Keys = nil }, "Config.Keys is missing; make a Keyring with NewKeyring"},
		{"zero Keyring", func(c *config) { c.Keys = new(cookiesession.Keyring) }, "Config.Keys is missing; make a Keyring with NewKeyring"},

		{"name of one character", func(c *config) { c.Name = "n" }, ""},
		{"name of 63 characters", func(c *config) { c.Name = long(63) }, ""},
		{"name of 64 characters", func(c *config) { c.Name = long(64) }, ""},
		{"name of 65 characters", func(c *config) { c.Name = long(65) }, "Config.Name has 65 characters, want at most 64"},
		{"name of every other character", func(c *config) { c.Name = "!#$%&'*+-^_`|~09AZaz" }, ""},
		{"name with a dot", func(c *config) { c.Name = "my.session" }, "Config.Name has a dot"},
		{"name with a space", func(c *config) { c.Name = "my session" }, "Config.Name has a character"},
		{"name with =", func(c *config) { c.Name = "my=session" }, "Config.Name has a character"},
		{"name with ;", func(c *config) { c.Name = "my;session" }, "Config.Name has a character"},
		{"name with a line break", func(c *config) { c.Name = "my\r\nsession" }, "Config.Name has a character"},
		{"name not in ASCII", func(c *config) { c.Name = "sitzung–1" }, "Config.Name has a character"},
		{"name with a prefix", func(c *config) { c.Name = "__Host-session" }, "Config.Name starts with two underscores; leave the prefix out"},
		{"name with a prefix in lower case", func(c *config) { c.Name, c.Insecure = "__secure-session", true }, "leave the prefix out"},

		{"scope of 65,534 bytes", func(c *config) { c.Scope = long(65534) }, ""},
		{"scope of 65,535 bytes", func(c *config) { c.Scope = long(65535) }, ""},
		{"scope of 65,536 bytes", func(c *config) { c.Scope = long(65536) }, "Config.Scope has 65536 bytes, want at most 65535"},
		{"scope of any bytes", func(c *config) { c.Scope = "\x00\xff; é" }, ""},

		{"Domain", func(c *config) { c.Domain = "Shop.example" }, ""},
		{"Domain of an address", func(c *config) { c.Domain = "192.0.2.1" }, ""},
		{"Domain with a leading dot", func(c *config) { c.Domain = ".shop.example" }, "Config.Domain is not a host name"},
		{"Domain with a trailing dot", func(c *config) { c.Domain = "shop.example." }, "Config.Domain is not a host name"},
		{"Domain of a dot", func(c *config) { c.Domain = "." }, "Config.Domain is not a host name"},
		{"Domain with a port", func(c *config) { c.Domain = "shop.example:443" }, "write it without scheme, port"},
		{"Domain with a scheme", func(c *config) { c.Domain = "https://shop.example" }, "write it without scheme, port"},
		{"Domain with attributes", func(c *config) { c.Domain = "shop.example; Path=/" }, "Config.Domain is not a host name"},
		{"Domain too long", func(c *config) { c.Domain = strings.Repeat("n.", 127) + "nn" }, "Config.Domain is not a host name"},

		{"Path", func(c *config) { c.Path = "/app/%C3%A9/a,b=c" }, ""},
		{"Path of 1,023 characters", func(c *config) { c.Path = "/" + long(1022) }, ""},
		{"Path of 1,024 characters", func(c *config) { c.Path = "/" + long(1023) }, ""},
		{"Path of 1,025 characters", func(c *config) { c.Path = "/" + long(1024) }, "Config.Path has 1025 characters, want at most 1024"},
		{"Path without a slash", func(c *config) { c.Path = "app" }, "Config.Path must start with /"},
		{"Path with attributes", func(c *config) { c.Path = "/app; Domain=x" }, "Config.Path must start with / and be written as in a URL"},
		{"Path with a control character", func(c *config) { c.Path = "/\x7f" }, "Config.Path must start with /"},
		{"Path not in ASCII", func(c *config) { c.Path = "/é" }, "percent-encoded where that needs it"},
		{"Path with a space", func(c *config) { c.Path = "/my app" }, "percent-encoded where that needs it"},
		{"Path with a percent sign", func(c *config) { c.Path = "/50%off" }, "percent-encoded where that needs it"},
		{"Path with quotes", func(c *config) { c.Path = `/"app"` }, "percent-encoded where that needs it"},
		{"Path with a backslash", func(c *config) { c.Path = `/a\b` }, "percent-encoded where that needs it"},
		{"Path with two dots", func(c *config) { c.Path = "/app/../in" }, "Config.Path must start with / and be written as in a URL"},
		{"Path with a dot at its end", func(c *config) { c.Path = "/app/." }, "Config.Path must start with / and be written as in a URL"},
		{"Path with encoded dots", func(c *config) { c.Path = "/app/.%2E/" }, "Config.Path must start with / and be written as in a URL"},
		{"Path with dots in names", func(c *config) { c.Path = "/.app/v1.2/..." }, ""},
		{"Path with a query", func(c *config) { c.Path = "/app?x" }, "written as in a URL"},

		{"SameSite default", func(c *config) { c.SameSite = http.SameSiteDefaultMode }, ""},
		{"SameSite Lax", func(c *config) { c.SameSite = http.SameSiteLaxMode }, ""},
		{"SameSite Strict", func(c *config) { c.SameSite = http.SameSiteStrictMode }, ""},
		{"SameSite None", func(c *config) { c.SameSite = http.SameSiteNoneMode }, ""},
		{"SameSite None under Insecure", func(c *config) { c.SameSite, c.Insecure = http.SameSiteNoneMode, true }, "Config.SameSite None needs Secure"},
		{"SameSite 5", func(c *config) { c.SameSite = 5 }, "Config.SameSite 5 is not one"},
		{"SameSite -1", func(c *config) { c.SameSite = -1 }, "Config.SameSite -1 is not one"},
		{"Partitioned", func(c *config) { c.Partitioned = true }, ""},
		{"Partitioned under Insecure", func(c *config) { c.Partitioned, c.Insecure = true, true }, "Config.Partitioned needs Secure"},

		{"Lifetime below a second", func(c *config) { c.Lifetime = time.Second - 1 }, "Config.Lifetime is 999.999999ms, want a second to 400 days"},
		{"Lifetime of a second", func(c *config) { c.Lifetime = time.Second }, ""},
		{"Lifetime over a second", func(c *config) { c.Lifetime = time.Second + 1 }, ""},
		{"Lifetime below 400 days", func(c *config) { c.Lifetime = 400*day - 1 }, ""},
		{"Lifetime of 400 days", func(c *config) { c.Lifetime = 400 * day }, ""},
		{"Lifetime over 400 days", func(c *config) { c.Lifetime = 400*day + 1 }, "Config.Lifetime is 9600h0m0.000000001s, want"},
		{"Lifetime negative", func(c *config) { c.Lifetime = -1 }, "Config.Lifetime is -1ns, want"},
		{"IdleTimeout below a second", func(c *config) { c.IdleTimeout = time.Second - 1 }, "Config.IdleTimeout is"},
		{"IdleTimeout of a second", func(c *config) { c.IdleTimeout = time.Second }, ""},
		{"IdleTimeout negative", func(c *config) { c.IdleTimeout = -time.Hour }, "Config.IdleTimeout is -1h0m0s, want"},
		{"IdleTimeout below the default Lifetime", func(c *config) { c.IdleTimeout = day - 1 }, ""},
		{"IdleTimeout of the default Lifetime", func(c *config) { c.IdleTimeout = day }, ""},
		{"IdleTimeout over the default Lifetime", func(c *config) { c.IdleTimeout = day + 1 }, "Config.IdleTimeout 24h0m0.000000001s is longer than Lifetime 24h0m0s"},
		{"IdleTimeout of 400 days", func(c *config) { c.Lifetime, c.IdleTimeout = 400*day, 400*day }, ""},
		{"FlashLifetime below a second", func(c *config) { c.FlashLifetime = time.Second - 1 }, "Config.FlashLifetime is"},
		{"FlashLifetime of a second", func(c *config) { c.FlashLifetime = time.Second }, ""},
		{"FlashLifetime of 400 days", func(c *config) { c.FlashLifetime = 400 * day }, ""},
		{"FlashLifetime over 400 days", func(c *config) { c.FlashLifetime = 400*day + 1 }, "Config.FlashLifetime is"},

		{"MaxSize negative", func(c *config) { c.MaxSize = -1 }, "Config.MaxSize is -1, want 512 to"},
		{"MaxSize of 511", func(c *config) { c.MaxSize = 511 }, "Config.MaxSize is 511, want 512 to"},
		{"MaxSize of 512", func(c *config) { c.MaxSize = 512 }, ""},
		{"MaxSize of 513 with the longest name", func(c *config) { c.MaxSize, c.Name, c.Path = 513, long(64), "/app" }, ""},
		{"MaxSize below nine cookies", func(c *config) { c.MaxSize = defaultCapacity.size(9) - 1 }, ""},
		{"MaxSize of nine cookies", func(c *config) { c.MaxSize = defaultCapacity.size(9) }, ""},
		{"MaxSize over nine cookies", func(c *config) { c.MaxSize = defaultCapacity.size(9) + 1 }, fmt.Sprintf("want 512 to %d", defaultCapacity.size(9))},
		{"MaxSize of nine cookies, but for Domain", func(c *config) { c.MaxSize, c.Domain = defaultCapacity.size(9), "shop.example" }, "with this Name, Domain and Path"},
		{"MaxSize of 9,599, Partitioned", func(c *config) { c.MaxSize, c.Partitioned = 9599, true }, ""},
		{"MaxSize of 9,600, Partitioned", func(c *config) { c.MaxSize, c.Partitioned = 9600, true }, ""},
		{"MaxSize of 9,601, Partitioned", func(c *config) { c.MaxSize, c.Partitioned = 9601, true }, "want 512 to 9600"},

		{"ImportCookies", func(c *config) {
			c.ImportCookies = []string{"connect.sid", "__Host-sid", "__Secure-sid", "session", "__Host-session2", ".sid"}
		}, ""},
		{"ImportCookies without a name", func(c *config) { c.ImportCookies = []string{""} }, `Config.ImportCookies: "" can't be a cookie's name`},
		{"ImportCookies with a space", func(c *config) { c.ImportCookies = []string{"a", "b c"} }, `Config.ImportCookies: "b c" can't be`},
		{"ImportCookies of our own", func(c *config) { c.ImportCookies = []string{"__Host-session"} }, `Config.ImportCookies: "__Host-session" is this Manager's own`},
		{"ImportCookies of our own flash", func(c *config) { c.ImportCookies = []string{"__Host-session.flash"} }, "is this Manager's own; choose another Name"},
		{"ImportCookies of another Domain", func(c *config) { c.ImportCookies, c.Domain = []string{"__Host-sid"}, "shop.example" }, `browsers don't let "__Host-sid" be deleted`},
		{"ImportCookies of another Path", func(c *config) { c.ImportCookies, c.Path = []string{"__host-sid"}, "/app" }, `browsers don't let "__host-sid" be deleted`},
		{"ImportCookies with prefix under Insecure", func(c *config) { c.ImportCookies, c.Insecure = []string{"__Secure-sid"}, true }, `browsers don't let "__Secure-sid" be deleted`},
		{"ImportCookies with host prefix under Insecure", func(c *config) { c.ImportCookies, c.Insecure = []string{"__Host-sid"}, true }, "be deleted"},

		{"DeviceProof below 10 minutes", func(c *config) { c.DeviceProof = 10*time.Minute - 1 }, "Config.DeviceProof is 9m59.999999999s, want 10 minutes to an hour"},
		{"DeviceProof of 10 minutes", func(c *config) { c.DeviceProof = 10 * time.Minute }, ""},
		{"DeviceProof of an hour", func(c *config) { c.DeviceProof = time.Hour }, ""},
		{"DeviceProof over an hour", func(c *config) { c.DeviceProof = time.Hour + 1 }, "want 10 minutes to an hour"},
		{"DeviceProof below zero", func(c *config) { c.DeviceProof = -time.Hour }, "want 10 minutes to an hour"},
		{"DeviceProof with Domain", func(c *config) { c.DeviceProof, c.Domain = time.Hour, "shop.example" }, "Config.DeviceProof doesn't go with Domain"},
		{"DeviceProof with Partitioned", func(c *config) { c.DeviceProof, c.Partitioned = time.Hour, true }, "Config.DeviceProof doesn't go with Partitioned"},
		{"DeviceProof under Insecure", func(c *config) { c.DeviceProof, c.Insecure = time.Hour, true }, ""},
		{"DevicePath", func(c *config) { c.DevicePath = "/device" }, ""},
		{"DevicePath below Path", func(c *config) { c.Path, c.DevicePath = "/app", "/app/device" }, ""},
		{"DevicePath below Path with a slash", func(c *config) { c.Path, c.DevicePath = "/app/", "/app/device" }, ""},
		{"DevicePath beside Path", func(c *config) { c.Path, c.DevicePath = "/app", "/apple/device" }, "Config.DevicePath /apple/device isn't below Path /app"},
		{"DevicePath of Path", func(c *config) { c.Path, c.DevicePath = "/app", "/app" }, "isn't below Path"},
		{"DevicePath with a slash at the end", func(c *config) { c.DevicePath = "/device/" }, "Config.DevicePath must start with /, end without"},
		{"DevicePath without a slash", func(c *config) { c.DevicePath = "device" }, "Config.DevicePath must start with /"},
		{"DevicePath with encoded dots", func(c *config) { c.DevicePath = "/a/%2e%2e/b" }, "Config.DevicePath must start with /"},
		{"DevicePath with dots", func(c *config) { c.DevicePath = "/a/../b" }, "Config.DevicePath must start with /"},
		{"DevicePath with a query", func(c *config) { c.DevicePath = "/device?x" }, "written as in a URL"},
		{"DevicePath with quotes", func(c *config) { c.DevicePath = `/"` }, "written as in a URL"},
		{"DevicePath with a broken escape", func(c *config) { c.DevicePath = "/%zz" }, "written as in a URL"},
		{"DeviceHosts", func(c *config) { c.DeviceHosts = []string{"app.shop.example", "*.shop.example"} }, ""},
		{"DeviceHosts of all", func(c *config) { c.DeviceHosts = []string{"*"} }, `Config.DeviceHosts: "*" is not a host name`},
		{"DeviceHosts with nothing behind the star", func(c *config) { c.DeviceHosts = []string{"*."} }, "is not a host name"},
		{"DeviceHosts of a label", func(c *config) { c.DeviceHosts = []string{"shop"} }, ""},
		{"DeviceHosts of all behind a label", func(c *config) { c.DeviceHosts = []string{"*.example"} }, `"*.example" has hosts of other sites in it`},
		{"DeviceHosts with a scheme", func(c *config) { c.DeviceHosts = []string{"https://app.shop.example"} }, "is not a host name"},
		{"DeviceHosts with a port", func(c *config) { c.DeviceHosts = []string{"app.shop.example:8443"} }, "is not a host name"},
		{"DevicePath of all", func(c *config) { c.DevicePath = "/" }, "isn't below Path"},
		{"DevicePath with a semicolon", func(c *config) { c.DevicePath = "/device;v=1" }, "written as in a URL"},
		{"DevicePath and wrong DeviceHosts", func(c *config) { c.DevicePath, c.DeviceHosts = "/device", []string{"*"} }, "is not a host name"},
		{"DeviceHosts with a dot at the end", func(c *config) { c.DeviceHosts = []string{"app.shop.example."} }, "is not a host name"},
		{"DeviceHosts with a space", func(c *config) { c.DeviceHosts = []string{"app shop.example"} }, "is not a host name"},
		{"DeviceHosts with a star inside", func(c *config) { c.DeviceHosts = []string{"app.*.example"} }, "is not a host name"},

		{"two mistakes", func(c *config) { c.Name, c.Lifetime = "a.b", -1 }, "Config.Name has a dot; dots separate the session's own cookies\ncookiesession: Config.Lifetime"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := config{Keys: newRing(t), Logger: slog.New(slog.DiscardHandler)}
			test.change(&c)
			m, err := cookiesession.New(c)
			if test.want != "" {
				if m != nil || err == nil || !strings.HasPrefix(err.Error(), "cookiesession: ") || !strings.Contains(err.Error(), test.want) {
					t.Errorf("got %v, want an error that says %q", err, test.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if lines, err := response(m, put("n", 1)); err != nil || len(withoutHint(lines)) != 1 || len(lines[0]) > 3900 {
				t.Errorf("got %d lines, %v from the first session", len(lines), err)
			}
		})
	}
}

// TestZeroConfig has the documented defaults.
func TestZeroConfig(t *testing.T) {
	m := newManager(t, nil)
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	m.SetClock(func() time.Time { return now })
	s := load(m)
	s.Put("n", 1)
	s.Flash("note", "x")
	if got := s.ExpiresAt().Sub(s.CreatedAt()); got != day {
		t.Errorf("got a lifetime of %v, want 24h", got)
	}
	h := http.Header{}
	if err := m.Save(h, s); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{
		"__Host-session=1…; Path=/; HttpOnly; Secure; SameSite=Lax",
		"__Host-session.flash=1…; Path=/; Max-Age=600; HttpOnly; Secure; SameSite=Lax",
	} {
		name, rest, _ := strings.Cut(h["Set-Cookie"][i], "=1")
		_, attributes, _ := strings.Cut(rest, ";")
		if got := name + "=1…;" + attributes; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	if got := h.Get("Vary") + " " + h.Get("Cache-Control"); got != "Cookie private" {
		t.Errorf("got %q", got)
	}
	s.Put("v", random(20000))
	if err, ok := m.Save(http.Header{}, s).(*cookiesession.SizeError); !ok || err.Limit != 6144 {
		t.Errorf("got %v, want a limit of 6144", err)
	}
}

// TestCookieName has the strictest prefix that the other settings allow.
func TestCookieName(t *testing.T) {
	for _, test := range []struct {
		c    cookiesession.Config
		want string
	}{
		{cookiesession.Config{}, "__Host-session"},
		{cookiesession.Config{Path: "/"}, "__Host-session"},
		{cookiesession.Config{Name: "sid", Partitioned: true, SameSite: http.SameSiteNoneMode}, "__Host-sid"},
		{cookiesession.Config{Domain: "shop.example"}, "__Secure-session"},
		{cookiesession.Config{Path: "/app"}, "__Secure-session"},
		{cookiesession.Config{Name: "sid", Domain: "shop.example", Path: "/app"}, "__Secure-sid"},
		{cookiesession.Config{Insecure: true}, "session"},
		{cookiesession.Config{Name: "sid", Insecure: true, Domain: "shop.example", Path: "/app"}, "sid"},
	} {
		m := newManager(t, func(c *cookiesession.Config) {
			test.c.Keys, test.c.Logger = c.Keys, c.Logger
			*c = test.c
		})
		if got := m.CookieName(); got != test.want {
			t.Errorf("got %s, want %s", got, test.want)
		}
		lines, err := response(m, put("n", 1))
		if err != nil || !strings.HasPrefix(lines[0], test.want+"=") {
			t.Errorf("got %v, want a cookie %s", err, test.want)
		}
	}
}

// TestConfigIsCopied changes what was given to New afterwards.
func TestConfigIsCopied(t *testing.T) {
	names := []string{"legacy"}
	m := newManager(t, func(c *cookiesession.Config) { c.ImportCookies = names })
	names[0] = "theme"
	s := load(m, "legacy=1; theme=dark")
	s.Destroy()
	h := http.Header{}
	if err := m.Save(h, s); err != nil || cookieNames(h) != "-legacy" {
		t.Errorf("got %q, %v; want the cookie deleted that was named first", cookieNames(h), err)
	}
}
