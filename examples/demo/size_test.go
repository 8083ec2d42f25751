package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

func TestSize(t *testing.T) {
	v := newVisitor(t, newSite(t, nil))
	v.open("/")
	held := func() int { return len(v.page.byClass("held").all(func(e *element) bool { return e.name == "li" })) }
	v.submit("/fill", "op", "more")
	if got := held(); got != 1 {
		t.Errorf("1,000 bytes: %d cookies, want 1", got)
	}
	v.submit("/fill", "op", "more")
	v.submit("/fill", "op", "more")
	if got := held(); got != 2 {
		t.Errorf("3,000 bytes: %d cookies, want 2", got)
	}
	v.submit("/fill", "op", "full")
	full := v.session()
	resp := v.submit("/fill", "op", "byte")
	if resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Fatalf("a byte past the limit: status %d", resp.StatusCode)
	}
	if got := v.page.find(func(e *element) bool { return e.name == "tbody" }).text(); !strings.HasPrefix(got, "filler ") {
		t.Errorf("the largest value: got %q, want filler", got)
	}
	if s := v.session(); s["filler"] != full["filler"] || s["size"] != full["size"] {
		t.Errorf("a byte past the limit lost something: %v bytes of filler, were %v", s["filler"], full["filler"])
	}
	if resp := v.open("/"); resp.StatusCode != http.StatusOK {
		t.Fatalf("a full session's page: status %d", resp.StatusCode)
	}
	v.submit("/fill", "op", "drop")
	if s := v.session(); s["filler"] != 0.0 || held() != 1 {
		t.Errorf("dropped: %v bytes, %d cookies", s["filler"], held())
	}
}

// Whatever room is left for a flash message, what a button did is told.
func TestFullSessionSaysWhatWasDone(t *testing.T) {
	v := newVisitor(t, newSite(t, nil))
	v.open("/")
	v.submit("/cart", "op", "add oat")
	v.submit("/fill", "op", "full")
	full := int(v.session()["filler"].(float64))
	answeredByItself := 0
	for short := 0; short < 400; short += 5 {
		v.call(http.MethodPost, fmt.Sprintf("/api/size?bytes=%d", full-short))
		v.open("/")
		sealing := v.session()["keys"].([]any)[0].(map[string]any)["label"]
		resp := v.submit("/rotate")
		now := v.session()["keys"].([]any)[0].(map[string]any)["label"]
		want := fmt.Sprintf("%s seals from now on.", now)
		if got := v.page.find(func(e *element) bool { return e.name == "main" }).text(); resp.StatusCode != http.StatusOK || sealing == now || !strings.Contains(got, want) {
			t.Fatalf("%d bytes short of full: status %d, key %s after %s, the page says %q", short, resp.StatusCode, now, sealing, got)
		}
		if v.page.byID("keys") == nil {
			answeredByItself++
		}
	}
	if answeredByItself == 0 || answeredByItself == 80 {
		t.Errorf("%d of 80 answers were no redirect, want some", answeredByItself)
	}
	v.call(http.MethodPost, fmt.Sprintf("/api/size?bytes=%d", full))
	v.open("/")
	v.submit("/cart", "op", "remove oat")
	if got := v.page.find(func(e *element) bool { return e.name == "h1" }).text(); got != "Done" {
		t.Errorf("made a full session smaller: the page is titled %q", got)
	}
	v.open("/")
	if v.page.byID("cart").byClass("empty") == nil {
		t.Error("what made a full session smaller was not saved")
	}
}

// A session may be filled up by somebody who has never seen the page: it must open all the same.
func TestFullSessionStillHasItsPage(t *testing.T) {
	v := newVisitor(t, newSite(t, nil))
	low, high := 0, defaultMaxSize
	for low < high {
		n := (low + high + 1) / 2
		status, answer := v.call(http.MethodPost, fmt.Sprintf("/api/size?bytes=%d", n))
		switch {
		case status == http.StatusOK && answer["size"].(float64) <= defaultMaxSize:
			low = n
		case status == http.StatusRequestEntityTooLarge && answer["size"].(float64) > answer["limit"].(float64):
			high = n - 1
		default:
			t.Fatalf("%d bytes: status %d, %v", n, status, answer)
		}
	}
	v.call(http.MethodPost, fmt.Sprintf("/api/size?bytes=%d", low))
	for range 2 {
		if resp := v.open("/"); resp.StatusCode != http.StatusOK {
			t.Fatalf("status %d", resp.StatusCode)
		}
		if got := v.page.byClass("problem").text(); !strings.Contains(got, "full to the last byte") {
			t.Errorf("the page does not say that it could not count: %q", got)
		}
	}
	v.submit("/fill", "op", "drop")
	if got := v.session()["views"]; got != 1.0 {
		t.Errorf("views with room again: got %v, want 1", got)
	}
}
