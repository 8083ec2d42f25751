package ginsession_test

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/seed-50e21e88/cookiesession"
	ginsession "github.com/seed-50e21e88/cookiesession/contrib/gin"
	"github.com/seed-50e21e88/cookiesession/cookiesessiontest"
)

// net/http removes the temporary files of a form when the request ends, but only those of the request that it made:
// handlers get a copy.
func TestUploadedFilesAreRemoved(t *testing.T) {
	tests := []struct {
		name    string
		protect bool // by ProtectCSRF
		inForm  bool // the CSRF token; then it's ProtectCSRF that parses the form
		after   func()
		status  int
	}{
		{"form parsed by the handler", false, false, func() {}, 200},
		{"token in the header", true, false, func() {}, 200},
		{"token in the form", true, true, func() {}, 200},
		{"panic", false, false, func() { panic("half-way") }, 500},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			t.Setenv("TMPDIR", dir)
			m := newManager(t, nil)
			router, _ := newRouter(m)
			if tt.protect {
				router.Use(ginsession.ProtectCSRF(m))
			}
			router.POST("/", func(c *gin.Context) {
				if _, err := c.FormFile("upload"); err != nil {
					t.Error(err)
				}
				if n := filesIn(t, dir); n != 1 {
					t.Errorf("while it is handled: got %d files, want 1", n)
				}
				tt.after()
			})
			server := httptest.NewServer(router)
			if status := upload(t, m, server.Client(), server.URL, tt.inForm); status != tt.status {
				t.Errorf("got status %d, want %d", status, tt.status)
			}
			server.Close() // waits until the request has ended

			if n := filesIn(t, dir); n != 0 {
				t.Errorf("after the request: got %d files, want none", n)
			}
		})
	}
}

// upload sends base a form with a file, larger than what ProtectCSRF keeps in memory. The CSRF token is in the form, or
// else in the header.
func upload(t *testing.T, m *cookiesession.Manager, client *http.Client, base string, inForm bool) (status int) {
	t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	r, err := http.NewRequest("POST", base, nil)
	if err != nil {
		t.Fatal(err)
	}
	r = cookiesessiontest.RequestWith(t, m, r, func(s *cookiesession.Session) {
		s.Put("user", "grace")
		if inForm {
			err = form.WriteField(cookiesession.CSRFField, s.CSRFToken())
		} else {
			r.Header.Set(cookiesession.CSRFHeader, s.CSRFToken())
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	file, err := form.CreateFormFile("upload", "photo.jpeg")
	if err != nil {
		t.Fatal(err)
	}
	file.Write(make([]byte, 33<<20))
	form.Close()
	r.Body, r.ContentLength = io.NopCloser(&body), int64(body.Len())
	r.Header.Set("Content-Type", form.FormDataContentType())
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

func filesIn(t *testing.T, dir string) int {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}
