package cookiesession

import (
	"fmt"
	"slices"
	"time"

	"github.com/seed-50e21e88/cookiesession/internal/value"
)

// Size returns how many bytes session and flash would add to the Cookie request header if saved now, counting "; " once
// per cookie. Config.MaxSize is the limit.
func (s *Session) Size() int {
	s.lock()
	defer s.unlock()
	m, total := s.manager, 0
	if !s.isNew() || s.dirty() {
		_, total = m.session.count(overhead + len(s.encode(nil, m.now().Unix())))
	}
	switch f := s.state.flash; f.action() {
	case flashWrite:
		_, n := m.flash.count(overhead + len(f.encode(nil, m.flashExpiry(m.now()))))
		total += n
	case flashKeep:
		total += s.keptSize()
	}
	return total
}

// checkTotal returns a *SizeError if the cookies to be written and those that stay are too large together. A session
// that was too large before, under another MaxSize, may be saved as long as it doesn't grow: otherwise it could not be
// changed any more.
func (m *Manager) checkTotal(b *buffer, s *Session, saved bool, action flashAction) error {
	cookies, total := 0, 0
	kept := s.keptSize()
	if saved {
		cookies, total = m.session.count(len(b.session) + overhead - payloadStart)
	} else {
		total = s.receivedSize()
	}
	if action == flashWrite {
		n, size := m.flash.count(len(b.flash) + overhead - payloadStart)
		cookies, total = max(cookies, n), total+size
	} else if action == flashKeep {
		total += kept
	}
	limit := m.config.MaxSize
	if cookies > maxChunks {
		limit = min(limit, m.flash.full())
	}
	if total <= limit || cookies <= maxChunks && total <= s.receivedSize()+kept {
		return nil
	}
	return &SizeError{Size: total, Limit: limit, Keys: s.largest()}
}

// receivedSize returns how many bytes the received session adds to the Cookie header, 0 without a valid one or after
// Destroy.
func (s *Session) receivedSize() int {
	if s.isNew() {
		return 0
	}
	st := s.state
	payload := appendSession(nil, st.received(), &values{base: st.values.base, starts: st.values.starts})
	_, size := s.manager.session.count(overhead + len(payload))
	return size
}

// checkImport returns a *SizeError if a new session with these values is too large.
func (m *Manager) checkImport(now time.Time, v *values) error {
	t := now.Unix()
	_, size := m.session.count(overhead + len(appendSession(nil, &sessionData{created: t, sealed: t, expires: t}, v)))
	if size > m.config.MaxSize {
		return &SizeError{Size: size, Limit: m.config.MaxSize, Keys: largest(v, new(values))}
	}
	return nil
}

// checkSize checks Config.MaxSize, whose maximum depends on how cookies are split.
func (m *Manager) checkSize() error {
	limit, most := m.config.MaxSize, m.session.full()
	if m.config.Partitioned {
		most = min(most, partitionedMaxSize)
	}
	if limit < minMaxSize || limit > most {
		return fmt.Errorf("cookiesession: Config.MaxSize is %d, want %d to %d with this Name, Domain and Path", limit, minMaxSize, most)
	}
	return nil
}

// largest returns the largest values of session and flash for a SizeError.
func (s *Session) largest() []KeySize {
	flashed := s.state.flash.outcome()
	return largest(&s.state.values, &flashed)
}

func largest(session, flash *values) []KeySize {
	var sizes []KeySize
	add := func(v *values, flash bool) {
		for key, encoded := range v.all() {
			sizes = append(sizes, KeySize{string(key), len(value.AppendString(nil, key)) + len(encoded), flash})
		}
	}
	add(session, false)
	add(flash, true)
	slices.SortStableFunc(sizes, func(a, b KeySize) int { return b.Bytes - a.Bytes })
	return sizes[:min(len(sizes), 10)]
}
