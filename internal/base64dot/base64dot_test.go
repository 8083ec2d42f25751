package base64dot_test

import (
	"bytes"
	"encoding/base64"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/seed-50e21e88/cookiesession/internal/base64dot"
)

// std is package base64 with the alphabet.
var std = base64.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._").
	WithPadding(base64.NoPadding).Strict()

// stdDecode is what AppendDecode must equal: the standard library ignores line breaks, even when strict.
func stdDecode(text string) ([]byte, bool) {
	if strings.ContainsAny(text, "\r\n") {
		return nil, false
	}
	b, err := std.DecodeString(text)
	return b, err == nil
}

// checkEncode compares AppendEncode with the standard library, behind a prefix and with no more room than needed,
// and then with room that must stay as it is.
func checkEncode(t *testing.T, src []byte) {
	t.Helper()
	want := "prefix" + std.EncodeToString(src)
	if got, want := base64dot.EncodedLen(len(src)), std.EncodedLen(len(src)); got != want {
		t.Fatalf("EncodedLen(%d) = %d, want %d", len(src), got, want)
	}
	if got := base64dot.AppendEncode([]byte("prefix"), src); string(got) != want {
		t.Fatalf("AppendEncode of %x = %q, want %q", src, got, want)
	}
	room := []byte(strings.Repeat("!", len(want)+16))
	copy(room, "prefix")
	if got := base64dot.AppendEncode(room[:6], src); string(got) != want {
		t.Fatalf("AppendEncode of %x into a larger buffer = %q, want %q", src, got, want)
	}
	if rest := room[len(want):]; string(rest) != strings.Repeat("!", 16) {
		t.Fatalf("AppendEncode of %d bytes wrote %q behind its text", len(src), rest)
	}
}

// checkDecode does for AppendDecode what checkEncode does for AppendEncode, and tells whether text was accepted.
func checkDecode(t *testing.T, text string) bool {
	t.Helper()
	plain, want := stdDecode(text)
	end := "prefix"
	if want {
		end += string(plain)
	}
	room := []byte(strings.Repeat("!", len("prefix")+len(text)+16))
	copy(room, "prefix")
	for _, dst := range [][]byte{[]byte("prefix"), room[:6]} {
		if got, ok := base64dot.AppendDecode(dst, text); ok != want || string(got) != end {
			t.Fatalf("AppendDecode of %q (room for %d) = %x, %t, want %x, %t", text, cap(dst), got, ok, end, want)
		}
	}
	n, _ := base64dot.DecodedLen(len(text))
	if rest := room[6+n : 6+n+16]; string(rest) != strings.Repeat("!", 16) {
		t.Fatalf("AppendDecode of %q wrote %q behind its %d bytes", text, rest, n)
	}
	return want
}

func TestEveryLength(t *testing.T) {
	random := rand.NewChaCha8([32]byte{1})
	for n := range 201 {
		src := make([]byte, n)
		for range 20 {
			random.Read(src)
			checkEncode(t, src)
			if text := std.EncodeToString(src); !checkDecode(t, text) {
				t.Fatalf("the text %q was refused", text)
			}
		}
		for _, c := range []string{"A", "_", "\x00"} {
			checkDecode(t, strings.Repeat(c, n))
		}
	}
}

func TestRandomLengths(t *testing.T) {
	random := rand.NewChaCha8([32]byte{2})
	lengths := rand.New(random)
	for range 500 {
		src := make([]byte, lengths.IntN(10_000))
		random.Read(src)
		checkEncode(t, src)
		checkDecode(t, std.EncodeToString(src))
	}
}

func TestDecodedLen(t *testing.T) {
	for n := range 201 {
		got, ok := base64dot.DecodedLen(n)
		if want := n%4 != 1; ok != want {
			t.Errorf("DecodedLen(%d) reports %t, want %t", n, ok, want)
		}
		if want := std.DecodedLen(n); ok && got != want {
			t.Errorf("DecodedLen(%d) = %d, want %d", n, got, want)
		}
	}
}

// TestOneTextPerByteString is for the pitfall "base64 decoders: several texts for one token".
func TestOneTextPerByteString(t *testing.T) {
	seen := map[string]string{}
	for i := range 1 << 16 {
		text := string([]byte{byte(i >> 8), byte(i)})
		if b, ok := base64dot.AppendDecode(nil, text); ok {
			if other, twice := seen[string(b)]; twice {
				t.Errorf("%q and %q both decode to %x", text, other, b)
			}
			seen[string(b)] = text
		}
	}
	if len(seen) != 256 {
		t.Errorf("two characters decode to %d different byte strings, want 256", len(seen))
	}
}

func TestRefused(t *testing.T) {
	for name, text := range map[string]string{
		"length 1":                  "A",
		"length 5":                  "AAAAA",
		"padding":                   "AA==",
		"padding of three":          "AAA=",
		"padding alone":             "====",
		"line feed":                 "AAAA\n",
		"line feeds as a group":     "AAAA\n\n\n\n",
		"carriage return in front":  "\rAAA",
		"line break within":         "AA\r\nAAAA",
		"space":                     "AA A",
		"zero byte":                 "AAA\x00",
		"standard alphabet's plus":  "AA+A",
		"base64url's minus":         "AA-A",
		"standard alphabet's slash": "AA/A",
		"beyond ASCII":              "AAÄ",
		"full-width letter":         "A\uff21",
		"unused bits of two":        "AB",
		"unused bits of three":      "AAB",
		"unused bits, high":         "AI",
		"in the fast part":          "AAAAAAAAAAAA=AAAAAAAAAAAAAAAAAAA",
	} {
		got, ok := base64dot.AppendDecode([]byte("prefix"), text)
		if ok || string(got) != "prefix" {
			t.Errorf("%s: AppendDecode of %q = %q, %t, want %q, false", name, text, got, ok, "prefix")
		}
	}
}

func TestEverySubstitution(t *testing.T) {
	random := rand.NewChaCha8([32]byte{3})
	for n := range 40 {
		src := make([]byte, n)
		random.Read(src)
		text := []byte(std.EncodeToString(src))
		for i, was := range text {
			for c := range 256 {
				text[i] = byte(c)
				checkDecode(t, string(text))
			}
			text[i] = was
		}
	}
}

func TestParts(t *testing.T) {
	random := rand.NewChaCha8([32]byte{4})
	src := make([]byte, 100)
	random.Read(src)
	text := std.EncodeToString(src)
	for i := 0; i <= len(text); i += 4 {
		for j := i; j <= len(text); j += 4 {
			var got []byte
			for _, part := range []string{text[:i], text[i:j], text[j:]} {
				var ok bool
				if got, ok = base64dot.AppendDecode(got, part); !ok {
					t.Fatalf("split at %d and %d: part %q refused", i, j, part)
				}
			}
			if !bytes.Equal(got, src) {
				t.Fatalf("split at %d and %d: got %x, want %x", i, j, got, src)
			}
		}
	}
}

func TestNoAllocation(t *testing.T) {
	src := make([]byte, 1000)
	text := std.EncodeToString(src)
	buf := make([]byte, 0, len(text))
	if n := testing.AllocsPerRun(10, func() {
		base64dot.AppendEncode(buf, src)
		base64dot.AppendDecode(buf, text)
	}); n != 0 {
		t.Errorf("got %v allocations with room in the buffer, want 0", n)
	}
}

func FuzzEqualsStandard(f *testing.F) {
	for _, seed := range []string{
		"", "A", "AA", "AB", "AAA", "AAB", "AAAA", "AAAAA", "AA==", "AAA=", "AAAA\n", "\r\nAA", "A._z", "A-_z", "A+/z",
		"AAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAA\x80", "abcdefghijklmnopqrstuvwxyz0123456789._ABCDEFGHIJKLMN",
		"abcdefghijklmnop=rstuvwxyz0123456789._ABCDEFGHIJKLMN", "ÄÖÜ", "\x00\xff\xfe",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		checkEncode(t, data)
		if !checkDecode(t, std.EncodeToString(data)) {
			t.Fatalf("the text of %x was refused", data)
		}
		if checkDecode(t, string(data)) {
			b, _ := base64dot.AppendDecode(nil, string(data))
			if text := base64dot.AppendEncode(nil, b); !bytes.Equal(text, data) {
				t.Fatalf("%q and %q both decode to %x", data, text, b)
			}
		}
	})
}

var sizes = []struct {
	name string
	n    int
}{{"110B", 110}, {"1KiB", 1 << 10}, {"9KiB", 9 << 10}}

func BenchmarkEncode(b *testing.B) {
	for _, size := range sizes {
		src := make([]byte, size.n)
		rand.NewChaCha8([32]byte{5}).Read(src)
		buf := make([]byte, 0, base64dot.EncodedLen(size.n))
		run := func(impl string, appendEncode func(dst, src []byte) []byte) {
			b.Run("size="+size.name+"/impl="+impl, func(b *testing.B) {
				b.SetBytes(int64(size.n))
				b.ReportAllocs()
				for b.Loop() {
					appendEncode(buf, src)
				}
			})
		}
		run("ours", base64dot.AppendEncode)
		run("std", std.AppendEncode)
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, size := range sizes {
		src := make([]byte, size.n)
		rand.NewChaCha8([32]byte{5}).Read(src)
		text := std.EncodeToString(src)
		buf := make([]byte, 0, len(text))
		run := func(impl string, appendDecode func(dst []byte) bool) {
			b.Run("size="+size.name+"/impl="+impl, func(b *testing.B) {
				b.SetBytes(int64(size.n))
				b.ReportAllocs()
				for b.Loop() {
					if !appendDecode(buf) {
						b.Fatal("refused")
					}
				}
			})
		}
		ours := func(dst []byte) bool {
			_, ok := base64dot.AppendDecode(dst, text)
			return ok
		}
		run("ours", ours)
		textBytes := []byte(text) // the standard library's decoder takes no string without a copy
		run("std", func(dst []byte) bool {
			_, err := std.AppendDecode(dst, textBytes)
			return err == nil
		})
	}
}
