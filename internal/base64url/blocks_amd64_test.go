//go:build linux && !purego

package base64url_test

import (
	"bytes"
	"os"
	"syscall"
	"testing"
	"unsafe"

	"github.com/seed-50e21e88/cookiesession/internal/base64url"
)

// fenced returns a page that nothing can be read or written before or behind.
func fenced(t *testing.T) []byte {
	t.Helper()
	size := os.Getpagesize()
	pages, err := syscall.Mmap(-1, 0, 3*size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Munmap(pages); err != nil {
			t.Error(err)
		}
	})
	for _, fence := range [][]byte{pages[:size], pages[2*size:]} {
		if err := syscall.Mprotect(fence, syscall.PROT_NONE); err != nil {
			t.Fatal(err)
		}
	}
	return pages[size : 2*size : 2*size]
}

// TestFences lets source and destination begin, and then end, where memory does: assembly that goes astray, if only to
// read bytes that it doesn't use, ends the process.
func TestFences(t *testing.T) {
	from, to := fenced(t), fenced(t)
	for n := range 201 {
		src := bytes.Repeat([]byte{0xa5}, n)
		text := std.EncodeToString(src)
		for _, atEnd := range []bool{false, true} {
			place := func(page []byte, size int) []byte {
				if atEnd {
					return page[len(page)-size:]
				}
				return page[:size:size]
			}
			in := place(from, len(src))
			copy(in, src)
			if got := base64url.AppendEncode(place(to, len(text))[:0], in); string(got) != text {
				t.Errorf("AppendEncode of %d bytes, at the end of memory %t: got %q, want %q", n, atEnd, got, text)
			}
			in = place(from, len(text))
			copy(in, text)
			got, ok := base64url.AppendDecode(place(to, len(src))[:0], unsafe.String(unsafe.SliceData(in), len(in)))
			if !ok || !bytes.Equal(got, src) {
				t.Errorf("AppendDecode of %q, at the end of memory %t: got %x, %t, want %x", text, atEnd, got, ok, src)
			}
		}
	}
}
