package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

var update = flag.Bool("update", false, "write the terminal session in OPERATIONS.md anew")

// The terminal session in OPERATIONS.md is what the command prints. Times, labels and what is random are put in terms
// of one afternoon.
func TestTerminalSession(t *testing.T) {
	operations, err := filepath.Abs("../../OPERATIONS.md")
	if err != nil {
		t.Fatal(err)
	}
	binary := buildProgram(t)
	t.Chdir(t.TempDir())
	start := time.Now().UTC().Truncate(time.Second)

	var session strings.Builder
	run := func(status int, stdin, command string) {
		t.Helper()
		var output bytes.Buffer
		line := command
		if stdin != "" {
			line = "wl-paste | " + line
		}
		c := exec.Command(binary, strings.Fields(command)[1:]...)
		c.Stdin, c.Stdout, c.Stderr = strings.NewReader(stdin), &output, &output
		err := c.Run()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		if got := c.ProcessState.ExitCode(); got != status {
			t.Errorf("%s: exit status %d, want %d\n%s", command, got, status, output.String())
		}
		fmt.Fprintf(&session, "$ %s\n%s", line, output.String())
	}
	run(exitOK, "", "cookiesession keys new -file keys.json -label 2026-08")
	cookie := cookieUnder(t, "keys.json")
	run(exitOK, "", "cookiesession keys rotate -file keys.json -in 10m -lifetime 24h -dry-run")
	run(exitOK, "", "cookiesession keys rotate -file keys.json -in 10m -lifetime 24h")
	run(exitOK, "", "cookiesession keys list -file keys.json")
	run(exitOK, "", "cookiesession keys check -file keys.json -lifetime 24h")
	run(exitOK, "curl 'https://shop.example/' -H 'accept: */*' -b '"+cookie+"' --compressed", "cookiesession inspect -file keys.json")
	got := onOneAfternoon(session.String(), start)

	text, err := os.ReadFile(operations)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- what the command prints: go test ./cmd/cookiesession -run Terminal -update -->\n```\n", "```\n<!-- end -->\n"
	before, rest, found := strings.Cut(string(text), begin)
	want, after, foundEnd := strings.Cut(rest, end)
	if !found || !foundEnd {
		t.Fatal("OPERATIONS.md has no place for the terminal session")
	}
	if *update {
		if err := os.WriteFile(operations, []byte(before+begin+got+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if got != want {
		t.Errorf("OPERATIONS.md differs; run with -update and look at what changed. Now:\n%s", got)
	}
}

// cookieUnder returns a Cookie header with a session that the key file's sealing key has just sealed.
func cookieUnder(t *testing.T, path string) string {
	t.Helper()
	ring, err := cookiesession.OpenKeyFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b := world{t, nil}.browser(string(text), nil)
	b.visit(login)
	if sealed := b.manager.Stats().Keys[ring.Keys()[0].Label].Sealed; sealed != 1 {
		t.Fatalf("sealed %d sessions with the key of the file", sealed)
	}
	return b.header()
}

// onOneAfternoon moves times from start to 14:00 on 21 November 2026, to ten minutes, and replaces what is random.
func onOneAfternoon(text string, start time.Time) string {
	const to = 10 * time.Minute
	afternoon := time.Date(2026, 11, 21, 14, 0, 0, 0, time.UTC)
	text = regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC`).ReplaceAllStringFunc(text, func(found string) string {
		at, err := time.Parse("2006-01-02 15:04:05 MST", found)
		if err != nil {
			return found
		}
		return "@" + afternoon.Add(at.Sub(start).Round(to)).Format("2006-01-02 15:04:05 MST")
	})
	text = regexp.MustCompile(`(, in )?(\d+h)?(\d+m)?\d+s( ago)?`).ReplaceAllStringFunc(text, func(found string) string {
		d, err := time.ParseDuration(strings.TrimSuffix(strings.TrimPrefix(found, ", in "), " ago"))
		if err != nil {
			return found
		}
		return strings.Replace(found, strings.TrimSuffix(strings.TrimPrefix(found, ", in "), " ago"), d.Round(to).String(), 1)
	})
	month := start.Add(10 * time.Minute).Format("2006-01")
	text = regexp.MustCompile(`(^|[^@\d])`+month).ReplaceAllString(text, "${1}2026-11")
	text = strings.ReplaceAll(text, "@", "")
	known := make(map[string]string)
	return regexp.MustCompile(`\b([0-9a-f]{32}|[0-9a-f]{16})\b`).ReplaceAllStringFunc(text, func(found string) string {
		if known[found] == "" {
			known[found] = fmt.Sprintf("%x", sha256.Sum256([]byte{byte(len(known))}))[:len(found)]
		}
		return known[found]
	})
}
