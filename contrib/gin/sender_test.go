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
