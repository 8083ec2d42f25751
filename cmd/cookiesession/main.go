// Command cookiesession looks after the key files and cookies of package cookiesession:
//
//	cookiesession keys new      make a first key: a key file, or a secret for an environment variable
//	cookiesession keys rotate   add the next key to a key file and schedule the end of the others
//	cookiesession keys list     show keys, their states and times
//	cookiesession keys check    say what is wrong with a key file, or is going to be
//	cookiesession inspect       read cookies: what is in them, or why they are refused
//
// Each explains itself with -h. The exit status is 0 if all is well, 1 if a problem was found and 2 for wrong usage.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

func main() {
	p := program{os.Stdin, os.Stdout, os.Stderr, os.LookupEnv}
	os.Exit(p.run(os.Args[1:]))
}

// A program is the command and the world that it sees.
type program struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	env            func(string) (string, bool)
}

const (
	exitOK = iota
	exitProblem
	exitUsage
)

var (
	errProblem = errors.New("problem found and told")
	errUsage   = errors.New("wrong usage")
)

// A command is told by its words.
type command struct {
	words, summary string
	run            func(*program, *flag.FlagSet, []string) error
}

func commands() []command {
	return []command{
		{"keys new", "make a first key: a key file, or a secret for an environment variable", (*program).keysNew},
		{"keys rotate", "add the next key to a key file and schedule the end of the others", (*program).keysRotate},
		{"keys list", "show keys, their states and times", (*program).keysList},
		{"keys check", "say what is wrong with a key file, or is going to be", (*program).keysCheck},
		{"inspect", "read cookies: what is in them, or why they are refused", (*program).inspect},
	}
}

func (p *program) run(args []string) int {
	err := p.dispatch(args)
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
		return exitOK
	case errors.Is(err, errProblem):
		return exitProblem
	case errors.Is(err, errUsage):
		return exitUsage
	}
	fmt.Fprintln(p.stderr, "cookiesession:", strings.TrimPrefix(err.Error(), "cookiesession: "))
	return exitProblem
}

func (p *program) dispatch(args []string) error {
	for _, c := range commands() {
		words := strings.Fields(c.words)
		if len(args) < len(words) || strings.Join(args[:len(words)], " ") != c.words {
			continue
		}
		flags := flag.NewFlagSet("cookiesession "+c.words, flag.ContinueOnError)
		return c.run(p, flags, args[len(words):])
	}
	switch {
	case len(args) > 0 && slices.Contains([]string{"-h", "-help", "--help", "help"}, args[len(args)-1]):
		p.help(p.stdout)
		return nil
	case len(args) == 0 || len(args) == 1 && args[0] == "keys":
		p.help(p.stderr)
		return errUsage
	}
	fmt.Fprintf(p.stderr, "cookiesession: there is no command %.40q; see: cookiesession -h\n", strings.Join(args, " "))
	return errUsage
}

func (p *program) help(w io.Writer) {
	fmt.Fprint(w, "cookiesession looks after the key files and cookies of the Go package cookiesession.\n\n")
	for _, c := range commands() {
		fmt.Fprintf(w, "  cookiesession %-12s  %s\n", c.words, c.summary)
	}
	fmt.Fprint(w, `
Each command explains itself with -h, for example: cookiesession keys rotate -h
Exit status: 0 all is well, 1 a problem was found, 2 wrong usage.
`)
}

// parse reads args into flags. What follows the flags is an error.
func (p *program) parse(flags *flag.FlagSet, args []string, about string) error {
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprintf(p.stdout, "%s [flags]\n\n%s\nFlags:\n", flags.Name(), strings.TrimLeft(about, "\n"))
		flags.SetOutput(p.stdout)
		flags.PrintDefaults()
		return err
	case err != nil:
		return p.usage(flags, "%v", err)
	case flags.NArg() > 0:
		return p.usage(flags, "unexpected argument %.40q", flags.Arg(0))
	}
	return nil
}

// usage tells of wrong usage.
func (p *program) usage(flags *flag.FlagSet, format string, args ...any) error {
	fmt.Fprintf(p.stderr, "cookiesession: "+format+"; see: %s -h\n", append(args, flags.Name())...)
	return errUsage
}

func (p *program) printJSON(v any) error {
	encoder := json.NewEncoder(p.stdout)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}
