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
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
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
	out := &output{Writer: p.stdout}
	p.stdout = out
	err := p.dispatch(args)
	if out.err != nil && !errors.Is(err, out.err) {
		err = out.err
	}
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

// An output remembers the first error of writing to it: what hasn't been told mustn't count as success.
type output struct {
	io.Writer
	err error
}

func (o *output) Write(text []byte) (int, error) {
	n, err := o.Writer.Write(text)
	if err != nil {
		err = fmt.Errorf("standard output: %w", cause(err))
	}
	if o.err == nil {
		o.err = err
	}
	return n, err
}

func (p *program) dispatch(args []string) error {
	if len(args) > 1 && args[0] == "help" {
		args = append(args[1:], "-h")
	}
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
	fmt.Fprintln(p.stderr, "cookiesession: there is no such command; see: cookiesession -h")
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

// parse reads args into flags. What follows the flags is an error. Neither this nor anything else in the command
// repeats an argument before it has proved to be what it should be, such as the path of a file that exists: a secret may
// stand in its place, as in -env "$COOKIESESSION_KEYS", and what is printed ends up in logs.
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
		return p.usage(flags, wrongFlag(flags, err, len(args)-flags.NArg()))
	case flags.NArg() > 0:
		return p.usage(flags, fmt.Sprintf("argument %d isn't expected", len(args)-flags.NArg()+1))
	}
	flags.Visit(func(f *flag.Flag) {
		if (f.Name == "file" || f.Name == "env") && f.Value.String() == "" && err == nil {
			err = p.usage(flags, fmt.Sprintf("-%s has an empty value, perhaps of a variable that isn't set", f.Name))
		}
	})
	return err
}

// wrongFlag says what err of package flag says, which repeats arguments, without them. The argument at fault is the
// last of n.
func wrongFlag(flags *flag.FlagSet, err error, n int) (problem string) {
	if strings.HasPrefix(err.Error(), "bad flag syntax: ") {
		n++ // it hasn't been taken off
	}
	problem = fmt.Sprintf("argument %d is no flag of this command", n)
	flags.VisitAll(func(f *flag.Flag) {
		if strings.HasSuffix(err.Error(), "flag needs an argument: -"+f.Name) {
			problem = "-" + f.Name + " needs a value"
		}
		if !strings.HasSuffix(err.Error(), " -"+f.Name+": parse error") && !strings.HasSuffix(err.Error(), " -"+f.Name+": value out of range") {
			return
		}
		problem = "the value of -" + f.Name + " can't be read"
		if getter, ok := f.Value.(flag.Getter); ok {
			switch getter.Get().(type) {
			case time.Duration:
				problem += "; give a time such as 10m or 24h"
			case bool:
				problem += "; leave it out, or give true or false behind ="
			}
		}
	})
	return problem
}

// usage tells of wrong usage.
func (p *program) usage(flags *flag.FlagSet, problem string) error {
	fmt.Fprintf(p.stderr, "cookiesession: %s; see: %s -h\n", problem, flags.Name())
	return errUsage
}

func (p *program) printJSON(v any) error {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return err
	}
	_, err := p.stdout.Write(visibleJSON(text.Bytes()))
	return err
}
