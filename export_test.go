package cookiesession

import "time"

// SetClock makes m and its compartments see now. It must be called before m is used.
func (m *Manager) SetClock(now func() time.Time) { m.now = now }

// SetClock makes k decide by now which key seals.
func (k *Keyring) SetClock(now func() time.Time) { k.now = now }

// SetNonce makes m seal with the nonces that fill writes. It must be called before m is used.
func (m *Manager) SetNonce(fill func([]byte)) {
	m.session.nonce, m.flash.nonce, m.lease.nonce = fill, fill, fill
}
