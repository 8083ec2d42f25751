package fibersession_test

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"testing"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/recover"
	"github.com/seed-50e21e88/cookiesession"
	fibersession "github.com/seed-50e21e88/cookiesession/contrib/fiber"
	"github.com/seed-50e21e88/cookiesession/cookiesessiontest"
)

// The form that ProtectCSRF parses isn't Fiber's, so it's not Fiber that removes its files.
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
			app := fiber.New(fiber.Config{BodyLimit: 64 << 20, ReadBufferSize: 16 << 10})
			app.Use("*", recover.New(), fibersession.Middleware(m))
			if tt.protect {
				app.Use(fibersession.ProtectCSRF(m))
			}
			app.Post("/", func(c fiber.Ctx) error {
				if _, err := c.FormFile("upload"); err != nil {
					t.Error(err)
				}
				if filesIn(t, dir) == 0 {
					t.Error("while it is handled: got no files")
				}
				tt.after()
				return nil
			})
			t.Run("request", func(t *testing.T) { // when this ends, the server has shut down
				client, _, base := newClient(t, app)
				if status := upload(t, m, client, base, tt.inForm); status != tt.status {
					t.Errorf("got status %d, want %d", status, tt.status)
				}
			})

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
