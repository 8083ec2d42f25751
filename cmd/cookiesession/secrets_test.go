package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// buildProgram returns the path of the command, built.
func buildProgram(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "cookiesession")
	if output, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	return binary
}

// A secret that stands where a name, a path, a label, a time or a word should, in any argument of any command, is in
// nothing that the program prints, and no file gets its name. So people call it who write "$COOKIESESSION_KEYS" where
// COOKIESESSION_KEYS belongs.
func TestNoArgumentIsRepeated(t *testing.T) {
	binary := buildProgram(t)
	const (
		secret = "q83vASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ_8"
		digits = "abcdef0123456789abcdef0123456789abcdef0123456789abcdef01234567ff"
	)
	texts := map[string]string{
		"bare":        secret,
		"prefix":      "base64:" + secret + "=",
		"standard":    strings.NewReplacer("_", "/", "-", "+").Replace(secret) + "=",
		"hexadecimal": digits,
		"label":       "august=base64:" + secret,
		"list":        "new=" + secret + ",old=hex:" + digits,
		"key file":    `{"keys": [{"label": "a", "secret": "` + secret + `"}]}`,
		"cut off":     secret[:30],
		"for flag":    secret + ` for flag -in: parse error`,
		"dash":        "-" + secret,
		"equals":      "-=" + secret,
		"path":        "keys/" + secret,
		"long":        strings.Repeat(secret+",", 10),
	}
	commands := []string{
		"SECRET", "keys SECRET", "keys new SECRET", "SECRET keys new", "inspect SECRET", "-h SECRET", "SECRET -h", "keys SECRET -h",
		"keys new -file SECRET", "keys new -file SECRET/keys.json", "keys new -label SECRET", "keys new -file new.json -label SECRET",
		"keys list -file SECRET", "keys list -env SECRET", "keys list -env SECRET -json", "keys list -file keys.json SECRET", "keys list -json=SECRET -file keys.json",
		"keys check -file SECRET", "keys check -file SECRET -json", "keys check -env SECRET", "keys check -env SECRET -json",
		"keys check -file keys.json -lifetime SECRET", "keys check -file keys.json -lifetime=SECRET",
		"keys rotate -file SECRET", "keys rotate -file SECRET -dry-run -json", "keys rotate -file keys.json -dry-run -label SECRET",
		"keys rotate -file keys.json -drop SECRET", "keys rotate -file keys.json -drop a -drop SECRET", "keys rotate -file keys.json -drop SECRET -drop-all",
		"keys rotate -file keys.json -in SECRET", "keys rotate -file keys.json -slack SECRET", "keys rotate -file keys.json -lifetime SECRET",
		"keys rotate -file keys.json -dry-run=SECRET", "keys rotate -file keys.json -drop-all=SECRET", "keys rotate -SECRET", "keys rotate --SECRET", "keys rotate -SECRET=1", "keys rotate ---SECRET",
		"inspect -file SECRET", "inspect -env SECRET", "inspect -name SECRET", "inspect -scope SECRET", "inspect -scope SECRET -env ONE", "inspect -idle SECRET", "inspect -values=SECRET",
		"keys list -env BROKEN", "keys check -env BROKEN -json", "inspect -env BROKEN", "keys list -file broken", "keys check -file broken -json", "keys rotate -file broken", "inspect -file broken",
	}
	for name, text := range texts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, command := range commands {
				dir := t.TempDir()
				files := map[string]string{"keys.json": `{"keys": [{"label": "a", "secret": "` + secretB + `"}]}`, "broken": text + ";"}
				for name, content := range files {
					if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				var args []string
				for _, word := range strings.Fields(command) {
					args = append(args, strings.ReplaceAll(word, "SECRET", text))
				}
				c := exec.Command(binary, args...)
				c.Dir, c.Env = dir, []string{"ONE=" + secretB, "BROKEN=" + text + ";" + text}
				c.Stdin = strings.NewReader("Cookie: " + text + "; session=" + text)
				output, _ := c.CombinedOutput() // most end with an error, which others' tests look at
				if len(output) == 0 {
					t.Errorf("%s: no output", command)
				}
				shown := string(output)
				entries, err := os.ReadDir(dir)
				if err != nil {
					t.Fatal(err)
				}
				if name != "cut off" && name != "for flag" { // nobody can know those for secrets
					shown += fmt.Sprint(entries)
				}
				for _, secret := range []string{secret, strings.ReplaceAll(secret, "_", "/"), digits} {
					for i := 0; i+8 <= len(secret); i++ {
						if strings.Contains(shown, secret[i:i+8]) {
							t.Fatalf("%s: shows %q:\n%s", command, secret[i:i+8], shown)
						}
					}
				}
			}
		})
	}
}
