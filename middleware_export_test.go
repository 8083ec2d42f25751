package cookiesession

import "sync"

// TrackBuffers has every Save from now on use buffers that contents returns whole, however much of them is in use. It
// must not be called while others save. restore ends it.
func TrackBuffers() (contents func() [][]byte, restore func()) {
	var mu sync.Mutex
	var made []*buffer
	buffers = sync.Pool{New: func() any {
		mu.Lock()
		defer mu.Unlock()
		made = append(made, new(buffer))
		return made[len(made)-1]
	}}
	contents = func() (all [][]byte) {
		mu.Lock()
		defer mu.Unlock()
		for _, b := range made {
			all = append(all, b.session[:cap(b.session)], b.flash[:cap(b.flash)], b.lease[:cap(b.lease)], b.lines.buf[:cap(b.lines.buf)])
		}
		return all
	}
	return contents, func() { buffers = sync.Pool{New: func() any { return new(buffer) }} }
}
