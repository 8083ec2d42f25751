package ginsession

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gin-gonic/gin"
)

// An answer by the Manager has the status that it says, or else 200: not the 404 that gin has noted where there is no
// route.
func TestSender(t *testing.T) {
	for name, test := range map[string]struct {
		answer func(w http.ResponseWriter)
		want   int
	}{
		"Write":       {func(w http.ResponseWriter) { w.Write([]byte("answer")) }, http.StatusOK},
		"WriteString": {func(w http.ResponseWriter) { io.WriteString(w, "answer") }, http.StatusOK},
		"WriteHeader": {func(w http.ResponseWriter) { w.WriteHeader(http.StatusForbidden); io.WriteString(w, "answer") }, http.StatusForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			rec := httptest.NewRecorder()
			c, _ := gin.CreateTestContext(rec)
			c.Writer.WriteHeader(http.StatusNotFound)
			test.answer(&sender{ResponseWriter: c.Writer})
			if rec.Code != test.want || rec.Body.String() != "answer" {
				t.Errorf("got %d %q, want %d", rec.Code, rec.Body, test.want)
			}
		})
	}
}

// A compressor is one that lets errors pass: it takes its header field back when something is written.
type compressor struct{ gin.ResponseWriter }

func (w compressor) Write(b []byte) (int, error) {
	if w.Status() >= 400 {
		w.Header().Del("Content-Encoding")
	}
	return w.ResponseWriter.Write(b)
}

func TestSenderBelowCompressor(t *testing.T) {
	for _, status := range []int{399, 400, 500} {
		rec := httptest.NewRecorder()
		c, _ := gin.CreateTestContext(rec)
		w := compressor{c.Writer}
		w.Header().Set("Content-Encoding", "gzip")
		(&sender{ResponseWriter: w}).WriteHeader(status)
		c.Writer.Header().Set("X-Late", "too late")
		got := rec.Result()
		if encoded := got.Header.Get("Content-Encoding") == "gzip"; got.StatusCode != status || encoded != (status < 400) || got.Header.Get("X-Late") != "" {
			t.Errorf("status %d: got %d with header %v", status, got.StatusCode, got.Header)
		}
	}
}
