package cookiesession_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/seed-50e21e88/cookiesession"
)

func TestReasonStrings(t *testing.T) {
	tests := map[cookiesession.Reason]string{
		cookiesession.ReasonMalformed: "malformed", cookiesession.ReasonUnknownKey: "unknown-key", cookiesession.ReasonForged: "forged",
		cookiesession.ReasonTorn: "torn", cookiesession.ReasonAmbiguous: "ambiguous", cookiesession.ReasonExpired: "expired",
		cookiesession.ReasonIdle: "idle", cookiesession.ReasonEnded: "ended", cookiesession.ReasonRevoked: "revoked",
		cookiesession.ReasonFuture: "future", 0: "Reason(0)", -1: "Reason(-1)", cookiesession.ReasonFuture + 1: "Reason(11)",
	}
	for reason, want := range tests {
		if got := reason.String(); got != want {
			t.Errorf("%d: got %s, want %s", int(reason), got, want)
		}
		if got, err := json.Marshal(reason); string(got) != `"`+want+`"` || err != nil {
			t.Errorf("%d in JSON: got %s, %v, want %q", int(reason), got, err, want)
		}
	}
}

func TestRejectError(t *testing.T) {
	cause := errors.New("database is down")
	m := newManager(t, func(c *cookiesession.Config) {
		c.Revoked = func(context.Context, *cookiesession.Session) (bool, error) { return false, cause }
	})
	v := newVisitor(t, m)
	v.visit(put("v", 1))
	s, err := m.Load(requestWith(v.header()))
	var refused *cookiesession.RejectError
	if !errors.As(err, &refused) || !errors.Is(err, cause) || s == nil || s.Rejected() != refused {
		t.Fatalf("Load gave %v and session %v, want a RejectError that wraps the cause", err, s)
	}
	if refused.Reason != cookiesession.ReasonRevoked || refused.Cookie != defaultName || refused.KeyLabel != "test" {
		t.Errorf("got %+v", refused)
	}
	if got, want := err.Error(), "cookiesession: cookie __Host-session refused: revoked (key test): database is down"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	_, err = m.Load(requestWith(defaultName + "=junk"))
	if got, want := fmt.Sprint(err), "cookiesession: cookie __Host-session refused: malformed"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if _, err := m.Load(requestWith()); err != nil {
		t.Errorf("a visitor without cookies: %v", err)
	}
}

// Errors begin alike, and are matched with errors.Is and errors.As through whatever wraps them.
func TestErrorTexts(t *testing.T) {
	if got, want := cookiesession.ErrNoValue.Error(), "cookiesession: no value"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := cookiesession.ErrCommitted.Error(), "cookiesession: session changed after the response header was sent"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	none := &cookiesession.SizeError{Size: 600, Limit: 512}
	if got, want := none.Error(), "cookiesession: session needs 600 bytes of the Cookie header, limit is 512"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	s := load(newManager(t, nil))
	s.Increment("n", 1)
	s.Put("name", "ada")
	s.Increment("name", 1)
	if got, want := s.Err().Error(), `cookiesession: increment of "name": the stored string doesn't fit int64: it is of another type`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
