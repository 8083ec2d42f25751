package main

import (
	"net/http"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

const (
	deviceProof = 10 * time.Minute // the shortest there is: who tries it waits the least
	registering = 15 * time.Second // after a login, in which a browser that can registers a key
)

// deviceView is what the device card shows: whether the session is bound, and what copies of its cookies are good for.
type deviceView struct {
	State string // unbound, registering, permit, bound or refused
	Why   string // of refused

	// Of bound.
	Key   string // fingerprint, as the command's inspect shows it
	Until time.Time

	Loot *lootView // what the thief has; nil if nothing
	Lost bool      // he had something, but this server's has nothing now
	Now  time.Time
}

// Left returns how much time is left until t.
func (v deviceView) Left(t time.Time) time.Duration { return t.Sub(v.Now) }

// Keeps returns how long the thief keeps what he has.
func (deviceView) Keeps() time.Duration { return keepLoot }

// Again returns after how many seconds the card is worth another look; 0 if it isn't.
func (v deviceView) Again() int {
	switch {
	case v.State == "registering":
		return 1
	case v.Lost || v.Loot != nil && v.Loot.Accepted():
		return 5
	case v.State == "bound": // the browser renews the proof
		return 30
	}
	return 0
}

// device says how things stand for the visitor who sent r.
func (a *app) device(r *http.Request, s *cookiesession.Session, now time.Time) deviceView {
	v := deviceView{State: "unbound", Now: now, Loot: a.loot(r, now)}
	v.Lost = v.Loot == nil && a.notebookID(r) != ""
	found := a.inspector.Inspect(cookieHeader(r))
	switch {
	case s.DeviceProven():
		v.State = "bound"
		v.Key, v.Until = proofOf(found, s.ID())
	case !deviceAware(found, s.ID()):
	case now.Sub(s.CreatedAt()) < registering:
		v.State = "registering"
	default:
		v.State = "permit"
	}
	return v
}

// deviceNow answers the page's script, which looks on while the browser registers and the thief tries. It opens the
// session and never saves it: to look on is no visit, and doesn't keep an idle session alive.
func (a *app) deviceNow(w http.ResponseWriter, r *http.Request) {
	s, _ := a.sessions.Load(r) // why it is refused, Rejected says
	v := a.device(r, s, time.Now())
	if rejected := s.Rejected(); rejected != nil {
		v.State, v.Why = "refused", why(rejected.Reason)
	}
	commit(w, http.StatusOK)
	a.renderPart(w, "home", "device-now", v)
}

// deviceAware reports whether the session with this ID is one that needs a device cookie beside it.
func deviceAware(found []cookiesession.Inspection, id string) bool {
	for _, session := range found {
		if session.Purpose == "session" && session.ID == id {
			return session.DeviceAware
		}
	}
	return false
}

// proofOf returns the key to whose device the session with this ID is bound, and until when the proof of it holds.
func proofOf(found []cookiesession.Inspection, id string) (key string, until time.Time) {
	for _, proof := range found {
		if proof.Purpose == "proof" && proof.ID == id[:len(id)/2] { // the half that stays across Regenerate
			return proof.DeviceKey, proof.Expires
		}
	}
	return "", time.Time{}
}
