package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
)

// A world runs the command in a directory of its own, in which time starts at midnight of 1 January 2000
// (testing/synctest).
type world struct {
	*testing.T
	env map[string]string
}

func inWorld(t *testing.T, test func(world)) {
	t.Chdir(t.TempDir())
	synctest.Test(t, func(t *testing.T) { test(world{t, make(map[string]string)}) })
}

// run returns what the command printed, and fails the test if the exit status isn't want.
func (w world) run(want int, stdin string, args ...string) (stdout, stderr string) {
	w.Helper()
	var out, errs bytes.Buffer
	p := program{strings.NewReader(stdin), &out, &errs, func(name string) (string, bool) {
		value, ok := w.env[name]
		return value, ok
	}}
	if got := p.run(args); got != want {
		w.Errorf("%q: exit status %d, want %d\n%s%s", args, got, want, out.String(), errs.String())
	}
	return out.String(), errs.String()
}

// expect runs the command and compares all that it printed.
func (w world) expect(status int, output string, args ...string) {
	w.Helper()
	stdout, stderr := w.run(status, "", args...)
	if got := stdout + stderr; got != output {
		w.Errorf("%q: got\n%s\nwant\n%s", args, got, output)
	}
	if (status == exitUsage) != (stdout == "" && stderr != "" && strings.Contains(stderr, "-h")) {
		w.Errorf("%q: standard output %q, standard error %q", args, stdout, stderr)
	}
}

func (w world) write(name, content string) {
	w.Helper()
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		w.Fatal(err)
	}
}

func (w world) read(name string) string {
	w.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		w.Fatal(err)
	}
	return string(text)
}

// files lists the directory.
func (w world) files() string {
	w.Helper()
	names, err := filepath.Glob("*")
	if err != nil {
		w.Fatal(err)
	}
	return strings.Join(names, " ")
}

func TestUsage(t *testing.T) {
	inWorld(t, func(w world) {
		for _, test := range []struct{ args, want string }{
			{"keys rotat", "there is no such command; see: cookiesession -h"},
			{"list", "there is no such command; see: cookiesession -h"},
			{"keys new -fil f", "argument 1 is no flag of this command; see: cookiesession keys new -h"},
			{"keys new -label a --=f", "argument 3 is no flag of this command; see: cookiesession keys new -h"},
			{"keys new -file", "-file needs a value; see: cookiesession keys new -h"},
			{"keys new f", "argument 1 isn't expected; see: cookiesession keys new -h"},
			{"keys new -label a b c", "argument 3 isn't expected; see: cookiesession keys new -h"},
			{"keys rotate", "-file is missing; see: cookiesession keys rotate -h"},
			{"keys rotate -file f -in soon", "the value of -in can't be read; give a time such as 10m or 24h; see: cookiesession keys rotate -h"},
			{"keys rotate -file f -in 99999999h", "the value of -in can't be read; give a time such as 10m or 24h; see: cookiesession keys rotate -h"},
			{"keys rotate -json=yes", "the value of -json can't be read; leave it out, or give true or false behind =; see: cookiesession keys rotate -h"},
			{"keys rotate -file f -in -1m", "-in and -slack can't be negative, and -lifetime must be positive; see: cookiesession keys rotate -h"},
			{"keys rotate -file f -lifetime 0", "-in and -slack can't be negative, and -lifetime must be positive; see: cookiesession keys rotate -h"},
			{"keys new -file=", "-file has an empty value, perhaps of a variable that isn't set; see: cookiesession keys new -h"},
			{"inspect -file=", "-file has an empty value, perhaps of a variable that isn't set; see: cookiesession inspect -h"},
			{"keys check -env= -file=", "-env has an empty value, perhaps of a variable that isn't set; see: cookiesession keys check -h"},
			{"keys list", "-file or -env is missing; see: cookiesession keys list -h"},
			{"keys check", "-file or -env is missing; see: cookiesession keys check -h"},
			{"keys list -file a -env B", "-file and -env exclude each other; see: cookiesession keys list -h"},
			{"keys check -file a -env B", "-file and -env exclude each other; see: cookiesession keys check -h"},
			{"inspect -file a -env B", "-file and -env exclude each other; see: cookiesession inspect -h"},
			{"keys check -file f -lifetime -1h", "-lifetime must be positive; see: cookiesession keys check -h"},
			{"inspect -idle -1h", "-idle can't be negative; see: cookiesession inspect -h"},
		} {
			w.expect(exitUsage, "cookiesession: "+test.want+"\n", strings.Fields(test.args)...)
		}
		if files := w.files(); files != "" {
			w.Errorf("files were made: %s", files)
		}
	})
}

// What can't be printed isn't success, and a file that was changed all the same is named.
func TestStandardOutputFails(t *testing.T) {
	inWorld(t, func(w world) {
		w.run(exitOK, "", "keys", "new", "-file", "keys.json")
		cookies := "session=1AQ" + strings.Repeat("A", 40)
		for _, test := range []struct{ args, want string }{
			{"-h", "standard output: full"},
			{"keys list -h", "standard output: full"},
			{"keys new", "standard output: full"},
			{"keys new -file other.json", "standard output: full"},
			{"keys rotate -file keys.json -dry-run", "standard output: full"},
			{"keys rotate -file keys.json", "keys.json is written; standard output: full"},
			{"keys rotate -file keys.json -json", "keys.json is written; standard output: full"},
			{"keys list -file keys.json", "standard output: full"},
			{"keys list -file keys.json -json", "standard output: full"},
			{"keys check -file keys.json -lifetime 1s", "standard output: full"},
			{"keys check -file keys.json -lifetime 1s -json", "standard output: full"},
			{"inspect", "standard output: full"},
			{"inspect -json", "standard output: full"},
		} {
			before := w.read("keys.json")
			var errs bytes.Buffer
			p := program{strings.NewReader(cookies), failingWriter{}, &errs, nil}
			if got := p.run(strings.Fields(test.args)); got != exitProblem {
				w.Errorf("%s: exit status %d, want %d", test.args, got, exitProblem)
			}
			if got, want := errs.String(), "cookiesession: "+test.want+"\n"; got != want {
				w.Errorf("%s: got %q, want %q", test.args, got, want)
			}
			if changed := w.read("keys.json") != before; changed != strings.Contains(test.want, "is written") {
				w.Errorf("%s: the file changed: %t", test.args, changed)
			}
		}
	})
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errors.New("full") }

// Help goes to standard output if asked for, and every command is in it and has its own.
func TestHelp(t *testing.T) {
	inWorld(t, func(w world) {
		overview, _ := w.run(exitOK, "", "-h")
		for _, args := range []string{"-help", "--help", "help", "help keys", "help help", "keys -h", "keys --help"} {
			w.expect(exitOK, overview, strings.Fields(args)...)
		}
		w.expect(exitUsage, overview)
		w.expect(exitUsage, overview, "keys")
		for _, c := range commands() {
			if !strings.Contains(overview, "  cookiesession "+c.words+" ") || !strings.Contains(overview, c.summary) {
				w.Errorf("%s isn't in the overview", c.words)
			}
			help, stderr := w.run(exitOK, "", append(strings.Fields(c.words), "-h")...)
			if !strings.HasPrefix(help, "cookiesession "+c.words+" [flags]\n\n") || !strings.Contains(help, "\nFlags:\n") || stderr != "" {
				w.Errorf("%s -h: %s%s", c.words, help, stderr)
			}
			w.expect(exitOK, help, append([]string{"help"}, strings.Fields(c.words)...)...)
			for _, line := range strings.Split(help, "\n") {
				if len(line) > 92 {
					w.Errorf("%s -h: a line of %d characters: %s", c.words, len(line), line)
				}
			}
		}
	})
}
