package main

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

// apiSession says what the session holds. It changes nothing.
func (a *app) apiSession(w http.ResponseWriter, r *http.Request) {
	type key struct {
		Label string `json:"label"`
		State string `json:"state"`
	}
	s := a.sessions.Get(r)
	cookies, _ := a.held(r, nil)
	answer := struct {
		Server   string       `json:"server"`
		ID       string       `json:"id"` // "" without a session
		Views    int          `json:"views"`
		User     string       `json:"user"`
		Name     string       `json:"name"`
		N        int64        `json:"n"`
		Filler   int          `json:"filler"`
		Refused  string       `json:"refused"` // why the cookie that came was refused, or ""
		Expires  time.Time    `json:"expires"`
		Size     int          `json:"size"`
		MaxSize  int          `json:"max_size"`
		OpenedBy string       `json:"opened_by"`
		Keys     []key        `json:"keys"`
		Ring     string       `json:"ring"` // equal on every server with the same keys
		Cookies  []heldCookie `json:"cookies"`
	}{
		Server: a.server, Views: visited.Get(s).Views, User: user.Get(s), Name: nickname.Get(s), N: counter.Get(s),
		Filler: len(filler.Get(s)), Expires: s.ExpiresAt().UTC(), Size: s.Size(), MaxSize: a.maxSize,
		OpenedBy: a.openedBy(r), Ring: a.keys.Fingerprint(), Cookies: cookies,
	}
	if !s.IsNew() {
		answer.ID = s.ID()
	}
	if rejected := s.Rejected(); rejected != nil {
		answer.Refused = rejected.Reason.String()
	}
	for _, k := range a.keys.Keys() {
		answer.Keys = append(answer.Keys, key{k.Label, k.State.String()})
	}
	writeJSON(w, http.StatusOK, answer)
}

// apiCount counts in the session.
func (a *app) apiCount(w http.ResponseWriter, r *http.Request) {
	s := a.sessions.Get(r)
	writeJSON(w, http.StatusOK, struct {
		N      int64  `json:"n"`
		Server string `json:"server"`
		ID     string `json:"id"`
	}{s.Increment(string(counter), 1), a.server, s.ID()})
}

// apiSize makes the session hold as many bytes of filler as the query asks for.
func (a *app) apiSize(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.Atoi(r.FormValue("bytes"))
	if err != nil || n < 0 || n > maxBody {
		writeJSON(w, http.StatusBadRequest, map[string]string{"error": "bytes must be from 0 to 65536"})
		return
	}
	s := a.sessions.Get(r)
	setFiller(s, n)
	writeJSON(w, http.StatusOK, struct {
		Bytes   int    `json:"bytes"`
		Size    int    `json:"size"`
		MaxSize int    `json:"max_size"`
		Server  string `json:"server"`
		ID      string `json:"id"`
	}{n, s.Size(), a.maxSize, a.server, s.ID()})
}

// apiNotSaved answers a call whose changes were not saved, because of their size unless that is nil.
func (a *app) apiNotSaved(w http.ResponseWriter, size *cookiesession.SizeError) {
	if size == nil {
		writeJSON(w, http.StatusInternalServerError, map[string]string{"error": "session not saved"})
		return
	}
	writeJSON(w, http.StatusRequestEntityTooLarge, struct {
		Error string `json:"error"`
		Size  int    `json:"size"`
		Limit int    `json:"limit"`
	}{"session too large", size.Size, size.Limit})
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(value)
}
