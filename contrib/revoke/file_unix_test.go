//go:build unix

package revoke_test

import (
	"os"
	"syscall"
	"testing"
)

func flock(t testing.TB, f *os.File) {
	t.Helper()
	must(t, syscall.Flock(int(f.Fd()), syscall.LOCK_EX))
}
