// Package mutated is what mutated code calls. Command mutation puts it into the module that it mutates, so it may
// import the standard library only.
//
// Every mutation has a number, and the environment chooses one: then the function that has its number does something
// else than what the code said. With none chosen, nothing changes, and the numbers of the mutations that a test comes
// by can be written to a file.
package mutated

import (
	"cmp"
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
)

// The variables of the environment: the number of the mutation that is in force, and the file to which the numbers of
// those that are reached are appended, each once and in a line of its own.
const (
	ChosenVariable  = "COOKIESESSION_MUTATION"
	ReachedVariable = "COOKIESESSION_MUTATIONS_REACHED"
)

// Most bounds the numbers.
const Most = 1 << 14

var (
	chosen  = number(os.Getenv(ChosenVariable))
	reached = create(os.Getenv(ReachedVariable))
	noted   [Most]atomic.Bool
)

func number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		return -1
	}
	return n
}

func create(name string) *os.File {
	if name == "" {
		return nil
	}
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		panic(err)
	}
	return file
}

func note(n int) {
	if !noted[n].Swap(true) {
		fmt.Fprintln(reached, n)
	}
}

// Is reports whether mutation n is in force.
func Is(n int) bool {
	if reached != nil {
		note(n)
	}
	return chosen == n
}

// False returns v, or false under mutation n.
func False(n int, v bool) bool { return !Is(n) && v }

// True returns v, or true under mutation n.
func True(n int, v bool) bool { return Is(n) || v }

// Zero returns v, or the zero value under mutation n.
func Zero[T any](n int, v T) T {
	if Is(n) {
		var zero T
		return zero
	}
	return v
}

// Less returns a < b, or a <= b under mutation n.
func Less[T cmp.Ordered](n int, a, b T) bool {
	if Is(n) {
		return a <= b
	}
	return a < b
}

// LessOrEqual returns a <= b, or a < b under mutation n.
func LessOrEqual[T cmp.Ordered](n int, a, b T) bool {
	if Is(n) {
		return a < b
	}
	return a <= b
}

// Greater returns a > b, or a >= b under mutation n.
func Greater[T cmp.Ordered](n int, a, b T) bool { return !LessOrEqual(n, a, b) }

// GreaterOrEqual returns a >= b, or a > b under mutation n.
func GreaterOrEqual[T cmp.Ordered](n int, a, b T) bool { return !Less(n, a, b) }

// An integer is of any integer type.
type integer interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~uintptr
}

// Plus returns v, or v + by under mutation n.
func Plus[T integer](n int, v T, by int) T {
	if Is(n) {
		return v + T(by)
	}
	return v
}

// Or returns a | b, or a under mutation n, or b under mutation n + 1.
func Or[T integer](n int, a, b T) T {
	switch {
	case Is(n):
		return a
	case Is(n + 1):
		return b
	}
	return a | b
}

// Print writes v to f as package fmt does for a type without methods, if v has such a type.
func Print(f fmt.State, v any) { fmt.Fprintf(f, "%+v", v) }
