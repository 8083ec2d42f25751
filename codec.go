package cookiesession

import (
	"encoding/binary"
	"math"

	"github.com/seed-50e21e88/cookiesession/internal/cookiename"
	"github.com/seed-50e21e88/cookiesession/internal/dbscjwt"
	"github.com/seed-50e21e88/cookiesession/internal/value"
)

// A sessionID is 8 random bytes that Regenerate keeps, the origin, and 8 that it draws anew.
type sessionID [16]byte

// An origin is the half of the ID that Regenerate keeps: a session has the same one before and after it.
type origin = cookiename.Origin

func (id sessionID) origin() origin { return origin(id[:len(origin{})]) }

// A csrfSecret is the secret in a session's CSRF tokens; the zero value means that there is none.
type csrfSecret [16]byte

// A mode says what ends a session beside its expiry.
type mode uint8

const (
	modeBrowser    mode = iota // ends with the browser
	modePersistent             // stays in the browser until it expires
	modeRemembered             // likewise, and no idle timeout ends it
)

func (m mode) String() string { return [...]string{"browser", "persistent", "remembered"}[m] }

// sessionData is the payload of a session cookie beside its values (FORMAT.md, 6.1). Times are Unix seconds.
type sessionData struct {
	id      sessionID
	created int64
	sealed  int64
	expires int64
	mode    mode
	csrf    csrfSecret
	bound   bool // device-aware: not in the payload, but in the purpose that it is sealed for
}

// A device is the payload of NAME.device.TAG (FORMAT.md, 11.3): what a device-aware session is bound to.
type device struct {
	id       sessionID // the session's when it was written
	created  int64
	key      dbscjwt.Key // the zero Key in a permit, for a browser that hasn't registered one
	previous sessionID   // in a permit that replaced another one: the session's ID before
}

// A proof is the payload of NAME.proof.TAG (FORMAT.md, 11.3).
type proof struct {
	origin  origin
	key     keyHash
	expires int64
}

// A keyHash is the first half of SHA-256 of a device's key.
type keyHash [16]byte

// A challenge is the payload of the token that a browser signs (FORMAT.md, 11.4).
type challenge struct {
	kind challengeKind
	id   sessionID
	time int64
}

type challengeKind uint8

const (
	toRegister challengeKind = 1
	toRefresh  challengeKind = 2
)

const (
	sessionFields = 7
	flashFields   = 2
	leaseFields   = 2

	deviceFields    = 3
	permitFields    = 4 // of a permit that is valid for two IDs
	proofFields     = 3
	challengeFields = 3
)

// appendSession encodes a session's payload.
func appendSession(dst []byte, d *sessionData, v *values) []byte {
	dst = value.AppendArrayHeader(dst, sessionFields)
	dst = value.AppendBin(dst, d.id[:])
	dst = value.AppendUint(dst, uint64(d.created))
	dst = value.AppendUint(dst, uint64(d.sealed))
	dst = value.AppendUint(dst, uint64(d.expires))
	dst = value.AppendUint(dst, uint64(d.mode))
	if d.csrf == (csrfSecret{}) {
		dst = value.AppendBin(dst, nil)
	} else {
		dst = value.AppendBin(dst, d.csrf[:])
	}
	return v.append(dst)
}

// decodeSession is appendSession's reverse. It returns false for a payload that breaks the format anywhere. The values
// are slices of payload, and the memory behind it is used as in values.read.
func decodeSession(payload []byte, d *sessionData, v *values) bool {
	rest, ok := readUsualHead(payload, d)
	if !ok {
		rest, ok = readHead(payload, d)
	}
	return ok && v.read(rest)
}

// readHead reads what precedes the values of a session's payload, and returns the rest.
func readHead(payload []byte, d *sessionData) (rest []byte, ok bool) {
	r := reader{rest: payload}
	r.array(sessionFields)
	r.bin(d.id[:])
	d.created, d.sealed, d.expires = r.time(), r.time(), r.time()
	d.mode = mode(r.uint(uint64(modeRemembered)))
	r.optionalBin(d.csrf[:])
	return r.rest, !r.failed
}

// readUsualHead is a faster readHead for what appendSession writes until 2106. For all else it returns false and
// changes nothing.
func readUsualHead(p []byte, d *sessionData) (rest []byte, ok bool) {
	const (
		isArray, isBin, isUint = 0x90 + sessionFields, 0xc4, 0xce // bin has an 8-bit length, uint 32 bits

		times  = 1 + 2 + len(sessionID{}) // where each field starts
		atMode = times + 3*5
		csrf   = atMode + 1
		end    = csrf + 2
	)
	if len(p) < end+len(csrfSecret{}) || p[0] != isArray || p[1] != isBin || p[2] != byte(len(sessionID{})) ||
		p[times] != isUint || p[times+5] != isUint || p[times+10] != isUint ||
		p[atMode] > byte(modeRemembered) || p[csrf] != isBin {
		return nil, false
	}
	switch p[csrf+1] {
	case 0:
		rest = p[end:]
	case byte(len(csrfSecret{})):
		rest = p[end+copy(d.csrf[:], p[end:]):]
	default:
		return nil, false
	}
	d.id = sessionID(p[3:])
	d.created = int64(binary.BigEndian.Uint32(p[times+1:]))
	d.sealed = int64(binary.BigEndian.Uint32(p[times+6:]))
	d.expires = int64(binary.BigEndian.Uint32(p[times+11:]))
	d.mode = mode(p[atMode])
	return rest, true
}

// appendFlash encodes a flash payload.
func appendFlash(dst []byte, expires int64, v *values) []byte {
	dst = value.AppendArrayHeader(dst, flashFields)
	dst = value.AppendUint(dst, uint64(expires))
	return v.append(dst)
}

func decodeFlash(payload []byte, v *values) (expires int64, ok bool) {
	r := reader{rest: payload}
	r.array(flashFields)
	expires = r.time()
	return expires, !r.failed && v.read(r.rest)
}

// appendLease encodes a lease payload.
func appendLease(dst []byte, id sessionID, seen int64) []byte {
	dst = value.AppendArrayHeader(dst, leaseFields)
	dst = value.AppendBin(dst, id[:])
	return value.AppendUint(dst, uint64(seen))
}

func decodeLease(payload []byte) (id sessionID, seen int64, ok bool) {
	r := reader{rest: payload}
	r.array(leaseFields)
	r.bin(id[:])
	seen = r.time()
	return id, seen, !r.failed && len(r.rest) == 0
}

// appendDevice encodes a device's payload.
func appendDevice(dst []byte, d *device) []byte {
	fields := deviceFields
	if d.previous != (sessionID{}) {
		fields = permitFields
	}
	dst = value.AppendArrayHeader(dst, fields)
	dst = value.AppendBin(dst, d.id[:])
	dst = value.AppendUint(dst, uint64(d.created))
	if d.key == (dbscjwt.Key{}) {
		dst = value.AppendBin(dst, nil)
	} else {
		dst = value.AppendBin(dst, d.key[:])
	}
	if fields == permitFields {
		dst = value.AppendBin(dst, d.previous[:])
	}
	return dst
}

func decodeDevice(payload []byte, d *device) bool {
	r := reader{rest: payload}
	fields := r.arrayOf(deviceFields, permitFields)
	r.bin(d.id[:])
	d.created = r.time()
	hasKey := r.optionalBin(d.key[:])
	if fields == permitFields {
		r.bin(d.previous[:])
	}
	if r.failed || len(r.rest) != 0 {
		return false
	}
	if hasKey { // 33 zeros are none, and must not become a permit
		return fields == deviceFields && (d.key[0] == 2 || d.key[0] == 3)
	}
	return fields == deviceFields || d.previous != sessionID{}
}

// appendProof encodes a proof's payload.
func appendProof(dst []byte, p *proof) []byte {
	dst = value.AppendArrayHeader(dst, proofFields)
	dst = value.AppendBin(dst, p.origin[:])
	dst = value.AppendBin(dst, p.key[:])
	return value.AppendUint(dst, uint64(p.expires))
}

func decodeProof(payload []byte, p *proof) bool {
	r := reader{rest: payload}
	r.array(proofFields)
	r.bin(p.origin[:])
	r.bin(p.key[:])
	p.expires = r.time()
	return !r.failed && len(r.rest) == 0
}

// appendChallenge encodes a challenge's payload.
func appendChallenge(dst []byte, c *challenge) []byte {
	dst = value.AppendArrayHeader(dst, challengeFields)
	dst = value.AppendUint(dst, uint64(c.kind))
	dst = value.AppendBin(dst, c.id[:])
	return value.AppendUint(dst, uint64(c.time))
}

func decodeChallenge(payload []byte, c *challenge) bool {
	r := reader{rest: payload}
	r.array(challengeFields)
	c.kind = challengeKind(r.uint(uint64(toRefresh)))
	r.bin(c.id[:])
	c.time = r.time()
	return !r.failed && len(r.rest) == 0 && c.kind >= toRegister
}

// A reader takes one field after another from a payload. Once something doesn't fit, failed stays set.
type reader struct {
	rest   []byte
	failed bool
}

func (r *reader) array(want int) { r.arrayOf(want, want) }

// arrayOf returns how many fields there are, which must be one of two numbers.
func (r *reader) arrayOf(this, that int) int {
	count, n, ok := value.ReadArrayHeader(r.rest)
	r.advance(n, ok && (count == this || count == that))
	return count
}

func (r *reader) bin(dst []byte) {
	data, n, ok := value.ReadBin(r.rest)
	if r.advance(n, ok && len(data) == len(dst)) {
		copy(dst, data)
	}
}

// optionalBin leaves dst as it is if the field is empty, and reports whether it isn't.
func (r *reader) optionalBin(dst []byte) (present bool) {
	data, n, ok := value.ReadBin(r.rest)
	if !r.advance(n, ok && (len(data) == len(dst) || len(data) == 0)) || len(data) == 0 {
		return false
	}
	copy(dst, data)
	return true
}

func (r *reader) uint(most uint64) uint64 {
	v, n, ok := value.ReadUint(r.rest)
	if !r.advance(n, ok && v <= most) {
		return 0
	}
	return v
}

func (r *reader) time() int64 { return int64(r.uint(math.MaxInt64 / 4)) }

func (r *reader) advance(n int, ok bool) bool {
	if r.failed || !ok {
		r.failed = true
		return false
	}
	r.rest = r.rest[n:]
	return true
}
