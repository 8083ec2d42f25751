package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// deviceClock is what the device server has of Manager beyond the releases.
const deviceClock = `package cookiesession

import "time"

func (m *Manager) SetClock(now func() time.Time) { m.now = now }
`

// buildDevice returns the program cmd/device, whose clock can be set.
func buildDevice(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(root, "deviceclock.go"): filepath.Join(dir, "clock.go")}})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"clock.go": []byte(deviceClock), "overlay.json": overlay} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	program := filepath.Join(dir, "device")
	if out, err := exec.Command("go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", program, "./cmd/device").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}

// TestDevice has browsers walk through the life of a device-bound session; browser/device.test.mjs says what they do and
// see. Only one Chromium can bind sessions with keys in software, and run.sh says loudly if it isn't to be had: then the
// client in the library's own tests, written from the specification, is all that has walked.
func TestDevice(t *testing.T) {
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if os.Getenv("CHROMIUM150") == "" {
		t.Log("CHROMIUM150 is not set: NO BROWSER HAS BOUND A SESSION IN THIS RUN")
	}
	p := start(t, "device", "/usr/bin/env", "DEVICE="+buildDevice(t), "COOKIESESSION="+cookiesessionProgram,
		"CHROMIUM150="+os.Getenv("CHROMIUM150"), "node", "--test", "--test-reporter=spec", here+"/browser/device.test.mjs")
	select {
	case <-p.ended:
	case <-time.After(8 * time.Minute):
		t.Fatal("no end in 8 minutes")
	}
	text, err := os.ReadFile(p.log)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%s", text)
	if !p.cmd.ProcessState.Success() {
		t.Error(p.cmd.ProcessState)
	}
}
