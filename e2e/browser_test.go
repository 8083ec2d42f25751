package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// certificate returns two files, with a space between them: a certificate for localhost that signs itself, and its key.
// Caddy could make its own, but where it cleans its storage meanwhile, which it does at its start, it waits a minute.
func certificate(t *testing.T) string {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	template := x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()),         // Firefox refuses a second certificate with the number of another
		Subject:      pkix.Name{CommonName: "localhost"}, // Java refuses an issuer without a name
		DNSNames:     []string{"localhost"},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.Add(24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	return write("certificate.pem", "CERTIFICATE", der) + " " + write("key.pem", "PRIVATE KEY", secret)
}

// TestBrowsers has real browsers walk the demo; browser/walk.test.mjs says what they do and see.
func TestBrowsers(t *testing.T) {
	for _, browser := range []string{"chrome", "firefox"} {
		t.Run(browser, func(t *testing.T) {
			walk(t, 10, "walk.test.mjs", "BROWSER="+browser, "DEMO="+demoProgram, "QUICKSTART="+quickstartProgram,
				"COOKIESESSION="+cookiesessionProgram, "CERTIFICATE="+certificate(t))
		})
	}
}

// TestDeviceCardInBrowsers has them look at the demo's device card and be robbed, as browser/democard.test.mjs says: one
// that binds sessions, unless it isn't to be had, which run.sh says loudly, and two that don't.
func TestDeviceCardInBrowsers(t *testing.T) {
	if os.Getenv("CHROMIUM150") == "" {
		t.Log("CHROMIUM150 is not set: NO BROWSER HAS BOUND A SESSION IN THIS RUN")
	} else {
		t.Run("chromium150", func(t *testing.T) {
			walk(t, 1, "democard.test.mjs", "BROWSER=chrome", "BINDS=yes", "DEMO="+demoProgram)
		})
	}
	for _, browser := range []string{"chrome", "firefox"} {
		t.Run(browser, func(t *testing.T) {
			walk(t, 2, "democard.test.mjs", "BROWSER="+browser, "DEMO="+demoProgram)
		})
	}
}

// TestAccountInBrowsers has them walk examples/account, as browser/account.test.mjs says.
func TestAccountInBrowsers(t *testing.T) {
	walkExample(t, 1, "account")
}

// TestOpenIDInBrowsers has them log in at the provider of examples/openid, as browser/openid.test.mjs says.
func TestOpenIDInBrowsers(t *testing.T) {
	walkExample(t, 2, "openid")
}

// TestOtherSitesInBrowsers has other sites link to an application, send it requests and embed it in them, as
// browser/crosssite.test.mjs says.
func TestOtherSitesInBrowsers(t *testing.T) {
	for _, browser := range []string{"chrome", "firefox"} {
		t.Run(browser, func(t *testing.T) {
			walk(t, 14, "crosssite.test.mjs", "BROWSER="+browser, "EMBEDDED="+embeddedProgram, "COOKIESESSION="+cookiesessionProgram)
		})
	}
}

// walkExample has browsers walk an example that is a module of its own, in at least so many steps.
func walkExample(t *testing.T, steps int, name string) {
	program := filepath.Join(t.TempDir(), name)
	build := exec.Command("go", "build", "-o", program, ".")
	build.Dir = filepath.Join("..", "examples", name)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, browser := range []string{"chrome", "firefox"} {
		t.Run(browser, func(t *testing.T) {
			walk(t, steps, name+".test.mjs", "BROWSER="+browser, strings.ToUpper(name)+"="+program)
		})
	}
}

// walk runs a file of at least so many tests in browser, in an environment with these settings.
func walk(t *testing.T, steps int, file string, settings ...string) {
	t.Helper()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	p := start(t, "walk", "/usr/bin/env", append(settings, "node", "--test", "--test-reporter=spec", filepath.Join(here, "browser", file))...)
	limit := time.After(8 * time.Minute)
	var seen []byte
	for ended := false; !ended; {
		select {
		case <-p.ended:
			ended = true
		case <-time.After(5 * time.Second):
		case <-limit:
			t.Fatal("no end in 8 minutes")
		}
		text, err := os.ReadFile(p.log)
		if err != nil {
			t.Fatal(err)
		}
		if len(text) > len(seen) {
			t.Logf("\n%s", text[len(seen):])
		}
		seen = text
	}
	passed := 0
	if count := regexp.MustCompile(`pass (\d+)`).FindSubmatch(seen); count != nil {
		passed, _ = strconv.Atoi(string(count[1]))
	}
	if state := p.cmd.ProcessState; !state.Success() || passed < steps || !regexp.MustCompile(`skipped 0`).Match(seen) {
		t.Errorf("%v, %d steps passed; want all to pass, at least %d, and none skipped", state, passed, steps)
	}
}
