package cookiesession

import (
	"encoding/hex"
	"time"

	"github.com/seed-50e21e88/cookiesession/internal/inspect"
)

// What cmd/cookiesession may see.
func init() {
	inspect.Texts = inspectTexts
	inspect.Open = func(manager any, compartment string, lines []string) []inspect.Opened {
		return manager.(*Manager).inspect(compartment, lines)
	}
}

func inspectTexts(lines []string, name string) (texts []inspect.Text) {
	var came chunkSet
	came.collect(lines, name, "")
	for _, head := range came.heads[:came.nHeads] {
		token, _, reason := came.token(head, 0)
		found := inspect.Text{Cookies: chunksOf(head), Token: token}
		if reason == 0 && (len(token) < overhead || token[0] != version) {
			found.Token, reason = nil, ReasonMalformed
		}
		if reason != 0 {
			found.Reason = reason.String()
		}
		texts = append(texts, found)
	}
	return texts
}

func (m *Manager) inspect(purpose string, lines []string) (found []inspect.Opened) {
	c := map[string]*compartment{purposeSession: m.session, purposeFlash: m.flash, purposeLease: m.lease}[purpose]
	var came chunkSet
	c.collect(&came, lines)
	c.openEach(m.now(), &came, func(o opened) Reason {
		f := inspect.Opened{Label: o.label}
		var v values
		ok := false
		switch purpose {
		case purposeSession:
			var d sessionData
			if ok = decodeSession(o.payload, &d, &v, nil); ok {
				f.ID = hex.EncodeToString(d.id[:])
				f.Created, f.Sealed, f.Expires = time.Unix(d.created, 0), time.Unix(d.sealed, 0), time.Unix(d.expires, 0)
				f.Mode = [...]string{"browser", "persistent", "remembered"}[d.mode]
				f.HasCSRF = d.csrf != csrfSecret{}
				f.Values = decodeAll(&v)
			}
		case purposeFlash:
			var expires int64
			if expires, ok = decodeFlash(o.payload, &v); ok {
				f.Expires, f.Values = time.Unix(expires, 0), decodeAll(&v)
			}
		case purposeLease:
			var id sessionID
			var seen int64
			if id, seen, ok = decodeLease(o.payload); ok {
				f.ID, f.Seen = hex.EncodeToString(id[:]), time.Unix(seen, 0)
			}
		}
		f.Malformed = !ok
		found = append(found, f)
		return 0
	})
	return found
}
