//go:build unix

package tests

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

var (
	chaosFor = flag.Duration("chaos", 15*time.Second, "how long the chaos of each engine lasts")
	seed     = flag.Uint64("seed", uint64(time.Now().UnixNano()), "of what the chaos does, though not of when it happens")
)

var leftOut struct {
	sync.Mutex
	engines []string
}

// skipped notes that an engine isn't tested, since go test shows no skipped test unless asked.
func skipped(what string) {
	leftOut.Lock()
	defer leftOut.Unlock()
	if !slices.Contains(leftOut.engines, what) {
		leftOut.engines = append(leftOut.engines, what)
	}
}

func TestMain(m *testing.M) {
	if os.Getenv(fileProcess) != "" {
		runFileProcess()
		return
	}
	flag.Parse()
	code := m.Run()
	if len(leftOut.engines) > 0 {
		fmt.Printf("left out, since no server was found (REDIS_SERVER, POSTGRES_BIN): %s\n", strings.Join(leftOut.engines, ", "))
	}
	os.Exit(code)
}
