package e2e

import (
	"os"
	"regexp"
	"testing"
	"time"
)

// TestBrowsers has real browsers walk the demo; browser/walk.test.mjs says what they do and see.
func TestBrowsers(t *testing.T) {
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, browser := range []string{"chrome", "firefox"} {
		t.Run(browser, func(t *testing.T) {
			p := start(t, "walk", "/usr/bin/env", "BROWSER="+browser, "DEMO="+demoProgram, "COOKIESESSION="+cookiesessionProgram,
				"node", "--test", "--test-reporter=spec", here+"/browser/walk.test.mjs")
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
			if state := p.cmd.ProcessState; !state.Success() || !regexp.MustCompile(`pass \d\d`).Match(seen) || !regexp.MustCompile(`skipped 0`).Match(seen) {
				t.Errorf("%v; want all steps to pass, and none skipped", state)
			}
		})
	}
}
