package cookiesessiontest_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-50e21e88/cookiesession/cookiesessiontest"
)

const shop = "https://shop.example/"

// A response is what one response to a request for url sets.
type response struct {
	url   string
	lines []string
}

func from(url string, lines ...string) response { return response{url, lines} }

// TestRules plays responses to a fresh jar and asks for the Cookie header that a
// request for url then carries.
func TestRules(t *testing.T) {
	// pair returns a pair of n bytes, the "=" not counted.
	pair := func(name string, n int) string { return name + "=" + strings.Repeat("v", n-len(name)) }
	long := func(n int) string { return "/" + strings.Repeat("p", n-1) }
	label := func(n int) string { return strings.Repeat("d", n-len(".example")) + ".example" }

	tests := []struct {
		name      string
		responses []response
		url       string
		want      string
	}{
		// name and value
		{"a pair", []response{from(shop, "a=1")}, shop, "a=1"},
		{"several", []response{from(shop, "a=1", "b=2"), from(shop, "c=3")}, shop, "a=1; b=2; c=3"},
		{"names differ by case", []response{from(shop, "a=1", "A=2")}, shop, "a=1; A=2"},
		{"empty value", []response{from(shop, "a=")}, shop, "a="},
		{"space and comma get no quotes", []response{from(shop, "a=x y,z")}, shop, "a=x y,z"},
		{"quotes belong to the value", []response{from(shop, `a="x"`)}, shop, `a="x"`},
		{"not a cookie", []response{from(shop, "a", "", "b=\x01", "c=3")}, shop, "c=3"},
		{"not http", []response{from("ftp://shop.example/", "a=1")}, shop, ""},
		{"not asked over http", []response{from(shop, "a=1")}, "ftp://shop.example/", ""},
		{"ports are one", []response{from("https://shop.example:8443/", "a=1")}, shop, "a=1"},
		{"schemes are one", []response{from(shop, "a=1")}, "http://shop.example/", "a=1"},
		{"hosts ignore case", []response{from("https://SHOP.example/", "a=1")}, "https://shop.EXAMPLE/", "a=1"},

		// size
		{"4095 bytes", []response{from(shop, pair("a", 4095))}, shop, pair("a", 4095)},
		{"4096 bytes", []response{from(shop, pair("a", 4096))}, shop, pair("a", 4096)},
		{"4097 bytes", []response{from(shop, pair("a", 4097))}, shop, ""},
		{"4097 bytes, most in the name", []response{from(shop, strings.Repeat("n", 4096)+"=v")}, shop, ""},
		{"4096 bytes with quotes", []response{from(shop, `a="`+strings.Repeat("v", 4093)+`"`)}, shop, `a="` + strings.Repeat("v", 4093) + `"`},
		{"4097 bytes with quotes", []response{from(shop, `a="`+strings.Repeat("v", 4094)+`"`)}, shop, ""},
		{"attributes don't count", []response{from(shop, pair("a", 4096)+"; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=60")}, shop, pair("a", 4096)},
		{"too long leaves the old one", []response{from(shop, "a=old"), from(shop, pair("a", 4097))}, shop, "a=old"},
		{"too long doesn't delete", []response{from(shop, "a=old"), from(shop, pair("a", 4097)+"; Max-Age=0")}, shop, "a=old"},
		{"Path of 1024 bytes", []response{from(shop, "a=1; Path="+long(1024))}, shop, ""},
		{"Path of 1025 bytes is no Path", []response{from(shop, "a=1; Path="+long(1025))}, shop, "a=1"},
		{"foreign Domain of 1024 bytes", []response{from(shop, "a=1; Domain="+label(1024))}, shop, ""},
		{"foreign Domain of 1025 bytes is no Domain", []response{from(shop, "a=1; Domain="+label(1025))}, shop, "a=1"},

		// prefixes
		{"__Host-", []response{from(shop, "__Host-a=1; Path=/; Secure")}, shop, "__Host-a=1"},
		{"__Host- without Secure", []response{from(shop, "__Host-a=1; Path=/")}, shop, ""},
		{"__Host- without Path", []response{from(shop, "__Host-a=1; Secure")}, shop, ""},
		{"__Host- with another Path", []response{from(shop+"x/y", "__Host-a=1; Path=/x; Secure")}, shop + "x/y", ""},
		{"__Host- with Domain", []response{from(shop, "__Host-a=1; Path=/; Secure; Domain=shop.example")}, shop, ""},
		{"__Host- with the host as Domain", []response{from("http://localhost/", "__Host-a=1; Path=/; Secure; Domain=localhost")}, "http://localhost/", ""},
		{"__host- in lower case", []response{from(shop, "__host-a=1; Path=/x; Secure")}, shop + "x", ""},
		{"__Host- over http", []response{from("http://shop.example/", "__Host-a=1; Path=/; Secure")}, shop, ""},
		{"__Secure-", []response{from(shop, "__Secure-a=1; Secure; Domain=shop.example; Path=/x")}, shop + "x", "__Secure-a=1"},
		{"__Secure- without Secure", []response{from(shop, "__Secure-a=1")}, shop, ""},
		{"__SECURE- in upper case", []response{from(shop, "__SECURE-a=1")}, shop, ""},
		{"a prefix of a prefix", []response{from(shop, "__Secure=1", "__Host=2")}, shop, "__Secure=1; __Host=2"},

		// Secure
		{"Secure over https", []response{from(shop, "a=1; Secure")}, shop, "a=1"},
		{"Secure isn't sent over http", []response{from(shop, "a=1; Secure")}, "http://shop.example/", ""},
		{"Secure isn't set over http", []response{from("http://shop.example/", "a=1; Secure")}, shop, ""},
		{"Secure on http localhost", []response{from("http://localhost:8080/", "__Host-a=1; Path=/; Secure")}, "http://localhost:8080/", "__Host-a=1"},
		{"Secure on http x.localhost", []response{from("http://x.localhost/", "__Host-a=1; Path=/; Secure")}, "http://x.localhost/", "__Host-a=1"},
		{"Secure on http 127.0.0.1", []response{from("http://127.0.0.1/", "__Host-a=1; Path=/; Secure")}, "http://127.0.0.1/", "__Host-a=1"},
		{"Secure on http 127.1.2.3", []response{from("http://127.1.2.3/", "a=1; Secure")}, "http://127.1.2.3/", "a=1"},
		{"Secure on http [::1]", []response{from("http://[::1]:8080/", "a=1; Secure")}, "http://[::1]/", "a=1"},
		{"Secure on http notlocalhost", []response{from("http://notlocalhost/", "a=1; Secure")}, "http://notlocalhost/", ""},
		{"Secure on http 128.0.0.1", []response{from("http://128.0.0.1/", "a=1; Secure")}, "http://128.0.0.1/", ""},
		{"Secure on http 127.example", []response{from("http://127.0.0.1.example/", "a=1; Secure")}, "http://127.0.0.1.example/", ""},

		// leave Secure cookies alone
		{"http doesn't replace Secure", []response{from(shop, "a=1; Secure"), from("http://shop.example/", "a=2")}, shop, "a=1"},
		{"http doesn't delete Secure", []response{from(shop, "a=1; Secure"), from("http://shop.example/", "a=; Max-Age=0")}, shop, "a=1"},
		{"http doesn't delete Secure by Secure", []response{from(shop, "a=1; Secure"), from("http://shop.example/", "a=; Max-Age=0; Secure")}, shop, "a=1"},
		{"http doesn't shadow Secure by Path", []response{from(shop, "a=1; Secure"), from("http://shop.example/", "a=2; Path=/x")}, shop + "x", "a=1"},
		{"http may use a higher Path", []response{from(shop, "a=1; Secure; Path=/x"), from("http://shop.example/", "a=2")}, shop + "x", "a=1; a=2"},
		{"http doesn't shadow Secure from a subdomain", []response{from(shop, "a=1; Secure; Domain=shop.example"), from("http://www.shop.example/", "a=2")}, "https://www.shop.example/", "a=1"},
		{"http doesn't shadow Secure by Domain", []response{from("https://www.shop.example/", "a=1; Secure"), from("http://x.shop.example/", "a=2; Domain=shop.example")}, "https://www.shop.example/", "a=1"},
		{"http may use another name", []response{from(shop, "a=1; Secure"), from("http://shop.example/", "b=2")}, shop, "a=1; b=2"},
		{"http may use another host", []response{from(shop, "a=1; Secure"), from("http://other.example/", "a=2")}, "http://other.example/", "a=2"},
		{"http may replace its own", []response{from(shop, "a=1"), from("http://shop.example/", "a=2")}, shop, "a=2"},
		{"https may drop Secure", []response{from(shop, "a=1; Secure"), from(shop, "a=2")}, "http://shop.example/", "a=2"},
		{"http localhost may replace Secure", []response{from("http://localhost/", "a=1; Secure"), from("http://localhost/", "a=2")}, "http://localhost/", "a=2"},

		// SameSite and Partitioned
		{"SameSite=None with Secure", []response{from(shop, "a=1; SameSite=None; Secure")}, shop, "a=1"},
		{"SameSite=None without Secure", []response{from(shop, "a=1; SameSite=None")}, shop, ""},
		{"SameSite=Lax without Secure", []response{from(shop, "a=1; SameSite=Lax", "b=2; SameSite=Strict")}, shop, "a=1; b=2"},
		{"Partitioned with Secure", []response{from(shop, "a=1; Partitioned; Secure")}, shop, "a=1"},
		{"Partitioned without Secure", []response{from(shop, "a=1; Partitioned")}, shop, ""},
		{"Partitioned beside unpartitioned", []response{from(shop, "a=1; Secure", "a=2; Secure; Partitioned")}, shop, "a=1; a=2"},
		{"Partitioned isn't deleted without it", []response{from(shop, "a=1; Secure; Partitioned"), from(shop, "a=; Secure; Max-Age=0")}, shop, "a=1"},

		// Domain
		{"host-only", []response{from(shop, "a=1")}, "https://www.shop.example/", ""},
		{"Domain reaches subdomains", []response{from(shop, "a=1; Domain=shop.example")}, "https://x.www.shop.example/", "a=1"},
		{"Domain reaches the host itself", []response{from(shop, "a=1; Domain=shop.example")}, shop, "a=1"},
		{"Domain of a parent", []response{from("https://www.shop.example/", "a=1; Domain=shop.example")}, shop, "a=1"},
		{"Domain with a dot in front", []response{from(shop, "a=1; Domain=.shop.example")}, "https://www.shop.example/", "a=1"},
		{"Domain in upper case", []response{from(shop, "a=1; Domain=SHOP.Example")}, "https://www.shop.example/", "a=1"},
		{"empty Domain is host-only", []response{from(shop, "a=1; Domain=")}, "https://www.shop.example/", ""},
		{"empty Domain is kept", []response{from(shop, "a=1; Domain=")}, shop, "a=1"},
		{"foreign Domain", []response{from(shop, "a=1; Domain=bank.example")}, shop, ""},
		{"foreign Domain doesn't get it", []response{from(shop, "a=1; Domain=bank.example")}, "https://bank.example/", ""},
		{"Domain of a child", []response{from(shop, "a=1; Domain=www.shop.example")}, "https://www.shop.example/", ""},
		{"Domain that only ends alike", []response{from("https://workshop.example/", "a=1; Domain=shop.example")}, shop, ""},
		{"host that only ends alike", []response{from(shop, "a=1; Domain=shop.example")}, "https://workshop.example/", ""},
		{"top-level Domain", []response{from(shop, "a=1; Domain=example")}, "https://bank.example/", ""},
		{"top-level Domain with a dot behind", []response{from("https://shop.example./", "a=1; Domain=example.")}, "https://shop.example./", ""},
		{"Domain of a host without dots", []response{from("http://intranet/", "a=1; Domain=intranet")}, "http://intranet/", "a=1"},
		{"Domain of a host without dots is host-only", []response{from("http://localhost/", "a=1; Domain=localhost")}, "http://x.localhost/", ""},
		{"Domain=localhost from below", []response{from("http://x.localhost/", "a=1; Domain=localhost")}, "http://x.localhost/", ""},
		{"Domain of an IP address", []response{from("http://127.0.0.1/", "a=1; Domain=127.0.0.1")}, "http://127.0.0.1/", "a=1"},
		{"Domain of an IP address is host-only", []response{from("http://127.0.0.1/", "a=1", "a=2; Domain=127.0.0.1")}, "http://127.0.0.1/", "a=2"},
		{"Domain of a part of an IP address", []response{from("http://127.0.0.1/", "a=1; Domain=0.0.1")}, "http://127.0.0.1/", ""},

		// Path
		{"Path itself", []response{from(shop, "a=1; Path=/x")}, shop + "x", "a=1"},
		{"Path below", []response{from(shop, "a=1; Path=/x")}, shop + "x/y", "a=1"},
		{"Path with a slash, below", []response{from(shop, "a=1; Path=/x/")}, shop + "x/y", "a=1"},
		{"Path with a slash, itself", []response{from(shop, "a=1; Path=/x/")}, shop + "x", ""},
		{"Path that only begins alike", []response{from(shop, "a=1; Path=/x")}, shop + "xy", ""},
		{"Path regards case", []response{from(shop, "a=1; Path=/x")}, shop + "X", ""},
		{"Path may be elsewhere", []response{from(shop+"y", "a=1; Path=/x")}, shop + "x", "a=1"},
		{"Path is as escaped", []response{from(shop, "a=1; Path=/x%20y")}, shop + "x%20y", "a=1"},
		{"default Path", []response{from(shop+"x/y", "a=1")}, shop + "x/z", "a=1"},
		{"default Path isn't above", []response{from(shop+"x/y", "a=1")}, shop, ""},
		{"default Path of one segment", []response{from(shop+"x", "a=1")}, shop, "a=1"},
		{"default Path of a directory", []response{from(shop+"x/", "a=1")}, shop + "x", "a=1"},
		{"default Path of an empty path", []response{from("https://shop.example", "a=1")}, shop + "x", "a=1"},
		{"asked for an empty path", []response{from(shop, "a=1; Path=/")}, "https://shop.example", "a=1"},
		{"relative Path is the default", []response{from(shop+"x/y", "a=1; Path=y")}, shop + "x/z", "a=1"},

		// identity and order
		{"replaced", []response{from(shop, "a=1"), from(shop, "a=2; Path=/")}, shop, "a=2"},
		{"replaced in one response", []response{from(shop, "a=1", "a=2")}, shop, "a=2"},
		{"another Path is another cookie", []response{from(shop, "a=1", "a=2; Path=/x")}, shop + "x", "a=2; a=1"},
		{"host-only beside Domain", []response{from(shop, "a=1", "a=2; Domain=shop.example")}, shop, "a=1; a=2"},
		{"longer Path first", []response{from(shop, "a=1; Path=/", "b=2; Path=/x/y", "c=3; Path=/x")}, shop + "x/y", "b=2; c=3; a=1"},
		{"a replaced cookie keeps its place", []response{from(shop, "a=1", "b=2"), from(shop, "a=3")}, shop, "a=3; b=2"},
		{"a deleted cookie loses its place", []response{from(shop, "a=1", "b=2"), from(shop, "a=; Max-Age=0"), from(shop, "a=3")}, shop, "b=2; a=3"},
		{"deleted", []response{from(shop, "a=1", "b=2"), from(shop, "a=; Max-Age=0")}, shop, "b=2"},
		{"not deleted by another Path", []response{from(shop, "a=1"), from(shop, "a=; Max-Age=0; Path=/x")}, shop, "a=1"},
		{"not deleted by another Domain", []response{from(shop, "a=1"), from(shop, "a=; Max-Age=0; Domain=shop.example")}, shop, "a=1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			jar := cookiesessiontest.NewJar()
			for _, r := range tt.responses {
				set(t, jar, r.url, r.lines...)
			}
			check(t, jar, tt.url, tt.want)
		})
	}
}

func TestLifetime(t *testing.T) {
	const second, day = time.Second, 24 * time.Hour
	// A test's clock starts at midnight, 1 January 2000 UTC.
	expires := func(d time.Duration) string {
		return "; Expires=" + time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Add(d).Format(http.TimeFormat)
	}
	const forever = 1e6 * time.Hour
	tests := []struct {
		name       string
		attributes string
		want       time.Duration // from being set to being gone
	}{
		{"session", "", forever},
		{"Max-Age", "; Max-Age=10", 10 * second},
		{"Max-Age=0", "; Max-Age=0", 0},
		{"negative Max-Age", "; Max-Age=-1", 0},
		{"Max-Age isn't a number", "; Max-Age=ten", forever},
		{"Expires", expires(10 * second), 10 * second},
		{"Expires now", expires(0), 0},
		{"Expires in 1970", "; Expires=Thu, 01 Jan 1970 00:00:00 GMT", 0},
		{"Expires isn't a date", "; Expires=soon", forever},
		{"Max-Age outranks a later Expires", "; Max-Age=10" + expires(day), 10 * second},
		{"Max-Age outranks an earlier Expires", expires(0) + "; Max-Age=10", 10 * second},
		{"Max-Age=0 outranks Expires", expires(day) + "; Max-Age=0", 0},
		{"Max-Age of 400 days less a second", "; Max-Age=34559999", 400*day - second},
		{"Max-Age of 400 days", "; Max-Age=34560000", 400 * day},
		{"Max-Age of 400 days and a second", "; Max-Age=34560001", 400 * day},
		{"the greatest Max-Age", "; Max-Age=" + strconv.Itoa(math.MaxInt), 400 * day},
		{"Expires in 400 days", expires(400 * day), 400 * day},
		{"Expires in 400 days and a second", expires(400*day + second), 400 * day},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				jar := cookiesessiontest.NewJar()
				set(t, jar, shop, "a=old")
				set(t, jar, shop, "a=1"+tt.attributes)
				if tt.want > 0 {
					time.Sleep(tt.want - time.Nanosecond)
					check(t, jar, shop, "a=1")
					time.Sleep(time.Nanosecond)
				}
				if tt.want == forever {
					check(t, jar, shop, "a=1")
					return
				}
				if got := jar.All(); len(got) > 0 {
					t.Errorf("All still lists %d cookies", len(got))
				}
				check(t, jar, shop, "")
			})
		})
	}
}

func TestExpiredCookiesDontCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		jar := cookiesessiontest.NewJar()
		set(t, jar, shop, "secure=1; Secure; Max-Age=10")
		set(t, jar, shop, many("a", 80, "")...)
		set(t, jar, shop, many("b", 99, "; Max-Age=10")...)
		time.Sleep(10 * time.Second)
		set(t, jar, "http://shop.example/", "secure=2")
		set(t, jar, shop, many("c", 99, "")...)
		checkCounts(t, jar, map[string]int{"secure=2": 1, "a": 80, "b": 0, "c": 99})
	})
}

func TestRestart(t *testing.T) {
	jar := cookiesessiontest.NewJar()
	set(t, jar, shop, "a=1", "b=2; Max-Age=60", "c=3; Expires=Fri, 31 Dec 9999 23:59:59 GMT", "d=4")
	jar.Restart()
	check(t, jar, shop, "b=2; c=3")
}

func TestClone(t *testing.T) {
	jar := cookiesessiontest.NewJar()
	set(t, jar, shop, "a=1", "b=2")
	clone := jar.Clone()
	set(t, jar, shop, "a=3", "b=; Max-Age=0", "c=4")
	check(t, jar, shop, "a=3; c=4")
	check(t, clone, shop, "a=1; b=2")
	set(t, clone, shop, "d=5")
	check(t, jar, shop, "a=3; c=4")
	check(t, clone, shop, "a=1; b=2; d=5")

	set(t, jar, shop, many("e", 178, "")...) // 180 in all
	clone = jar.Clone()
	set(t, clone, shop, "f=6")
	checkCounts(t, clone, map[string]int{"a": 0, "c": 0, "e": 149, "f": 1})
}

func TestAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		jar := cookiesessiontest.NewJar()
		set(t, jar, "https://www.shop.example/x/y",
			`a="1"; Secure; HttpOnly; SameSite=Strict; Partitioned; Path=/; Max-Age=60`,
			"b=2; Domain=shop.example")
		want := []http.Cookie{
			{
				Name: "a", Value: "1", Quoted: true, Domain: "www.shop.example", Path: "/", Expires: time.Now().Add(time.Minute),
				Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode, Partitioned: true,
			},
			{Name: "b", Value: "2", Domain: ".shop.example", Path: "/x"},
		}
		got := jar.All()
		if len(got) != len(want) {
			t.Fatalf("got %d cookies, want %d", len(got), len(want))
		}
		for i := range want {
			if !got[i].Expires.Equal(want[i].Expires) {
				t.Errorf("%s: got Expires %v, want %v", want[i].Name, got[i].Expires, want[i].Expires)
			}
			got[i].Expires = want[i].Expires
			if g, w := fmt.Sprintf("%+v", *got[i]), fmt.Sprintf("%+v", want[i]); g != w {
				t.Errorf("got  %s\nwant %s", g, w)
			}
		}
		got[1].Value = "changed"
		check(t, jar, "https://www.shop.example/x/", "b=2; "+`a="1"`)
	})
}

func TestCookies(t *testing.T) {
	jar := cookiesessiontest.NewJar()
	set(t, jar, shop, `a="1"; Secure; HttpOnly; Max-Age=60; Path=/x; Domain=shop.example`, "b=x y,z; Path=/")
	var got []string
	for _, c := range jar.Cookies(parse(t, shop+"x")) {
		got = append(got, fmt.Sprintf("%+v", *c))
	}
	want := []string{
		fmt.Sprintf("%+v", http.Cookie{Name: "a", Value: "1", Quoted: true}),
		fmt.Sprintf("%+v", http.Cookie{Name: "b", Value: "x y,z"}),
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// many returns n lines: name0=0, name1=1 and so on.
func many(name string, n int, attributes string) []string {
	lines := make([]string, n)
	for i := range lines {
		lines[i] = fmt.Sprintf("%s%d=%d%s", name, i, i, attributes)
	}
	return lines
}

// TestLimits plays responses to a fresh jar and counts what it then holds. A
// response that sets nothing only stands for the request, which sends cookies.
func TestLimits(t *testing.T) {
	const other, part = "https://other.example/", "; Secure; Partitioned"
	// sized returns a partitioned cookie of n bytes.
	sized := func(name string, n int, attributes string) string {
		return name + "=" + strings.Repeat("v", n-len(name)) + part + attributes
	}
	type counts map[string]int // of cookies, as name=value, that begin with the key
	tests := []struct {
		name      string
		responses []response
		want      counts
	}{
		{"179 cookies", []response{from(shop, many("a", 179, "")...)}, counts{"a": 179}},
		{"180 cookies", []response{from(shop, many("a", 180, "")...)}, counts{"a": 180}},
		{"181 cookies", []response{from(shop, many("a", 181, "")...)}, counts{"a": 150, "a30=": 0, "a31=": 1}},
		{"subdomains are of one site", []response{
			from("https://a.shop.example/", many("a", 90, "")...), from("https://b.c.shop.example/", many("b", 90, "")...),
			from(shop, "new=1; Domain=shop.example"),
		}, counts{"a": 59, "b": 90, "new": 1}},
		{"other sites don't count", []response{
			from(shop, many("a", 180, "")...), from(other, many("b", 180, "")...), from("http://localhost/", many("c", 180, "")...),
			from("http://127.0.0.1/", many("d", 180, "")...), from("http://127.1.0.1/", many("e", 180, "")...),
		}, counts{"a": 180, "b": 180, "c": 180, "d": 180, "e": 180}},
		{"other sites aren't cut", []response{from(shop, many("a", 180, "")...), from(other, many("b", 181, "")...)}, counts{"a": 180, "b": 150}},
		{"partitioned cookies don't count", []response{from(shop, many("a", 180, "; Secure")...), from(shop, many("b", 180, part)...)}, counts{"a": 180, "b": 180}},
		{"a replacement doesn't count", []response{from(shop, many("a", 180, "")...), from(shop, "a0=again")}, counts{"a": 180}},
		{"a deletion doesn't count", []response{from(shop, many("a", 180, "")...), from(shop, "b=; Max-Age=0")}, counts{"a": 180}},
		{"a refused cookie doesn't count", []response{from(shop, many("a", 180, "")...), from(shop, "__Host-b=1")}, counts{"a": 180}},
		{"sent cookies stay", []response{
			from(shop, "sent=1; Path=/x"), from(shop, many("a", 179, "; Path=/y")...), from(shop + "x"), from(shop, "new=1"),
		}, counts{"sent": 1, "a": 148, "new": 1}},
		{"replaced cookies stay", []response{
			from(shop, many("a", 180, "")...), from(shop, "a0=again"), from(shop, "new=1"),
		}, counts{"a0=": 1, "a1=": 0, "a": 149, "new": 1}},
		{"cookies without Secure go first", []response{
			from(shop, many("secure", 140, "; Secure")...), from(shop, many("plain", 40, "")...), from(shop, "secureNew=1; Secure"),
		}, counts{"secure": 141, "plain": 9, "plain30=": 0, "plain31=": 1}},
		{"then those with Secure", []response{
			from(shop, many("secure", 170, "; Secure")...), from(shop, many("plain", 11, "")...),
		}, counts{"secure": 150, "secure19=": 0, "secure20=": 1, "plain": 0}},

		{"179 partitioned", []response{from(shop, many("a", 179, part)...)}, counts{"a": 179}},
		{"180 partitioned", []response{from(shop, many("a", 180, part)...)}, counts{"a": 180}},
		{"181 partitioned", []response{from(shop, many("a", 181, part)...)}, counts{"a": 180, "a0=": 0}},
		{"10239 bytes", []response{from(shop, sized("a", 4096, ""), sized("b", 4096, ""), sized("c", 2047, ""))}, counts{"a": 1, "b": 1, "c": 1}},
		{"10240 bytes", []response{from(shop, sized("a", 4096, ""), sized("b", 4096, ""), sized("c", 2048, ""))}, counts{"a": 1, "b": 1, "c": 1}},
		{"10241 bytes", []response{from(shop, sized("a", 4096, ""), sized("b", 4096, ""), sized("c", 2049, ""))}, counts{"a": 0, "b": 1, "c": 1}},
		{"as many go as need be", []response{
			from(shop, sized("a", 3000, ""), sized("b", 3000, ""), sized("c", 4000, ""), sized("d", 4096, "")),
		}, counts{"a": 0, "b": 0, "c": 1, "d": 1}},
		{"sent partitioned cookies stay", []response{
			from(shop, sized("a", 4096, "; Path=/x"), sized("b", 4096, "; Path=/y")), from(shop + "x"), from("https://www.shop.example/", sized("c", 4096, "")),
		}, counts{"a": 1, "b": 0, "c": 1}},
		{"bytes elsewhere don't count", []response{
			from(shop, sized("a", 4096, ""), sized("b", 4096, "")), from(other, sized("c", 4096, "")), from(shop, "d="+strings.Repeat("v", 4000)),
		}, counts{"a": 1, "b": 1, "c": 1, "d": 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			jar := cookiesessiontest.NewJar()
			for _, r := range tt.responses {
				if len(r.lines) == 0 {
					jar.Header(parse(t, r.url))
				}
				set(t, jar, r.url, r.lines...)
			}
			checkCounts(t, jar, tt.want)
		})
	}
}

// dialing returns a client with jar that reaches srv under every host name.
func dialing(srv *httptest.Server, jar http.CookieJar) *http.Client {
	return &http.Client{Jar: jar, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, srv.Listener.Addr().String())
		},
	}}
}

func TestClient(t *testing.T) {
	const safe = "__Host-a=1; Path=/; Secure; HttpOnly; SameSite=Lax"
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/set" {
			for _, line := range []string{safe, "__Host-b=2; Path=/", `c="3"; Max-Age=60`, "d=4; Path=/elsewhere", "e=" + strings.Repeat("v", 4096)} {
				w.Header().Add("Set-Cookie", line)
			}
		}
		fmt.Fprint(w, r.Header.Get("Cookie"))
	})
	plain, tls := httptest.NewServer(handler), httptest.NewTLSServer(handler)
	defer plain.Close()
	defer tls.Close()
	tests := []struct {
		name string
		url  string
		want string
	}{
		{"https", tls.URL, `__Host-a=1; c="3"`},
		{"http on a loopback address", plain.URL, `__Host-a=1; c="3"`},
		{"http on localhost", "http://localhost", `__Host-a=1; c="3"`},
		{"http elsewhere", "http://shop.example", `c="3"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			jar := cookiesessiontest.NewJar()
			client := dialing(plain, jar)
			if tt.url == tls.URL {
				client = tls.Client()
				client.Jar = jar
			}
			if got := get(t, client, tt.url+"/set"); got != "" {
				t.Errorf("the first request carries %q", got)
			}
			if got := get(t, client, tt.url); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			check(t, jar, tt.url, tt.want)
		})
	}
}

func TestConcurrentUse(t *testing.T) {
	jar := cookiesessiontest.NewJar()
	u := parse(t, shop)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for k := range 10 {
				jar.SetHeader(u, http.Header{"Set-Cookie": {fmt.Sprintf("a%d-%d=1; Max-Age=60", i, k), "b=2; Max-Age=60"}})
				jar.SetCookies(u, []*http.Cookie{{Name: "c", Value: "3"}})
				jar.Cookies(u)
				jar.Header(u)
				jar.All()
				jar.Clone().Restart()
				jar.Restart()
			}
		})
	}
	wg.Wait()
	checkCounts(t, jar, map[string]int{"a": 80, "b": 1, "c": 0})
}

func ExampleNewJar() {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "__Host-theme", Value: "dark", Path: "/", Secure: true})
		http.SetCookie(w, &http.Cookie{Name: "__Host-font", Value: "serif", Path: "/"}) // not Secure
		http.SetCookie(w, &http.Cookie{Name: "draft", Value: strings.Repeat("x", 5000)})
	}))
	defer srv.Close()

	jar := cookiesessiontest.NewJar()
	client := &http.Client{Jar: jar}
	resp, err := client.Get(srv.URL)
	if err != nil {
		log.Fatal(err)
	}
	resp.Body.Close()

	fmt.Println(jar.Header(resp.Request.URL))
	// Output: __Host-theme=dark
}

func parse(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func set(t *testing.T, jar *cookiesessiontest.Jar, url string, lines ...string) {
	t.Helper()
	jar.SetHeader(parse(t, url), http.Header{"Set-Cookie": lines})
}

func check(t *testing.T, jar *cookiesessiontest.Jar, url, want string) {
	t.Helper()
	if got := jar.Header(parse(t, url)); got != want {
		t.Errorf("Cookie header for %s: got %.200q, want %.200q", url, got, want)
	}
}

// checkCounts compares how many of the jar's cookies, as name=value, begin with
// each key of want.
func checkCounts(t *testing.T, jar *cookiesessiontest.Jar, want map[string]int) {
	t.Helper()
	for prefix, n := range want {
		got := 0
		for _, c := range jar.All() {
			if strings.HasPrefix(c.Name+"="+c.Value, prefix) {
				got++
			}
		}
		if got != n {
			t.Errorf("cookies that begin with %s: got %d, want %d", prefix, got, n)
		}
	}
}

func get(t *testing.T, client *http.Client, url string) string {
	t.Helper()
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
