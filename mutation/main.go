// Command mutation breaks the functions on which the library's security depends, one place at a time, and sees that a
// test notices. Run it here with
//
//	go run .        # of each function a sample, always the same
//	go run . -all   # everything: takes several times as long
//	go run . -v -function '(*Manager).validate'
//
// It knows the functions by name (functions.go) and changes their syntax by rule (rules.go): a condition holds always
// or never, or lacks one of its halves; a bound is off by one; a statement is missing; a result, a part of a struct or
// list, or a reason is the zero value; a Format method isn't there. Nothing is written into the repository: by way of
// -overlay all mutations are built into one test binary of each package, in which an environment variable chooses one,
// since building takes longer than testing. So every mutation must compile, and the build fails if one doesn't.
//
// First each test runs by itself, without a mutation, to see which mutations it comes by. Then each mutation runs the
// tests that come by it, fastest first, until one fails. A mutation that no test notices has survived, unless
// equivalent.go says why none can. It is an error if a function doesn't exist any more, if a change that equivalent.go
// speaks of can't be made any more, or if a test fails without a mutation.
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"time"
)

func main() {
	everything := flag.Bool("all", false, "make every mutation, and see that equivalent ones are")
	function := flag.String("function", "", "make every mutation of these functions only, with commas between them")
	verbose := flag.Bool("v", false, "say by which test each mutation is caught")
	perFunction := flag.Int("sample", 3, "mutations of each function, without -all")
	flag.Parse()
	if err := run(*everything, *function, *perFunction, *verbose); err != nil {
		fmt.Fprintln(os.Stderr, "mutation:", err)
		os.Exit(1)
	}
}

func run(everything bool, function string, perFunction int, verbose bool) error {
	start := time.Now()
	dir, err := os.MkdirTemp("", "mutation")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	files, module, err := load("..")
	if err != nil {
		return err
	}
	mutations, err := mutateAll(files)
	if err != nil {
		return err
	}
	known, err := isEquivalent(mutations)
	if err != nil {
		return err
	}
	suite, err := build(dir, "..", module, files)
	if err != nil {
		return err
	}
	if err := suite.measure(); err != nil {
		return err
	}
	switch {
	case function != "":
		mutations = ofFunctions(mutations, function)
	case !everything:
		mutations = sample(mutations, known, perFunction)
	}

	fmt.Println(len(mutations), "mutations,", len(suite.tests), "tests")
	caught, survived, equivalents := 0, 0, 0
	for r := range suite.try(mutations, func(m mutation) bool { return known[m.number] && !everything }) {
		switch equivalent := known[r.mutation.number]; {
		case equivalent && r.by != "":
			return fmt.Errorf("not equivalent, %s notices: %v", r.by, r.mutation)
		case equivalent:
			equivalents++
		case r.by != "":
			caught++
			if verbose {
				fmt.Printf("caught by %s: %v\n", r.by, r.mutation)
			}
		default:
			survived++
			fmt.Println("survived:", r.mutation)
		}
	}
	fmt.Printf("%d caught, %d survived, 0 don't compile, %d equivalent (of %d functions, %.0f s)\n",
		caught, survived, equivalents, len(functions), time.Since(start).Seconds())
	if survived > 0 {
		return fmt.Errorf("no test notices what survived")
	}
	return nil
}

// isEquivalent returns the numbers of the mutations that equivalent.go lists.
func isEquivalent(mutations []mutation) (map[int]bool, error) {
	numbers := map[string]int{}
	for _, m := range mutations {
		numbers[m.function+": "+m.change] = m.number
	}
	known := map[int]bool{}
	var gone []string
	for _, e := range equivalents {
		for _, change := range e.changes {
			key := e.function + ": " + change
			if n, ok := numbers[key]; !ok || known[n] {
				gone = append(gone, key)
			} else {
				known[n] = true
			}
		}
	}
	if gone != nil {
		return nil, fmt.Errorf("equivalent.go lists what can't be changed any more, or lists it twice:\n%s",
			strings.Join(gone, "\n"))
	}
	return known, nil
}
