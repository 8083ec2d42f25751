// Package cookiename is the grammar of the names of a session's cookies (FORMAT.md, 2 and 5): the session cookie's
// name, which has no dot; for other kinds a dot and a word for the kind; then perhaps a dot and a number or a tag.
package cookiename

import (
	"strings"

	"github.com/seed-50e21e88/cookiesession/internal/base64dot"
)

// A Kind says what a cookie is.
type Kind uint8

// The kinds.
const (
	Other   Kind = iota // not the session's, though its name may begin with NAME and a dot
	Session             // NAME, NAME.1 to NAME.8
	Flash               // NAME.flash, NAME.flash.1 to NAME.flash.8
	Lease               // NAME.lease, NAME.lease.1 to NAME.lease.8, though a lease fits into one
	Ended               // NAME.ended.TAG
	Here                // NAME.here
	Device              // NAME.device.TAG
	Proof               // NAME.proof.TAG
	Kinds               // how many kinds there are
)

// MaxParts is how many cookies one text may be split over.
const MaxParts = 9

// suffixes are what follows the session cookie's name in a kind's names, without number and tag.
var suffixes = [Kinds]string{Flash: ".flash", Lease: ".lease", Ended: ".ended", Here: ".here", Device: ".device", Proof: ".proof"}

// Suffix returns what follows the session cookie's name in the kind's names, without number and tag.
func (k Kind) Suffix() string { return suffixes[k] }

// IsTagged reports whether the kind's names have a tag, so that there may be one cookie of the kind for each origin.
func (k Kind) IsTagged() bool { return k == Ended || k == Device || k == Proof }

// Parse says what a cookie is whose name is the session cookie's name and suffix. part is 1 to 8 for a numbered part,
// else 0; tag is that of a tagged kind, else "".
func Parse(suffix string) (kind Kind, part int, tag string) {
	if suffix == "" {
		return Session, 0, ""
	}
	if kind, rest := parseKind(suffix); rest == "" {
		if !kind.IsTagged() {
			return kind, 0, ""
		}
	} else if rest[0] == '.' {
		switch rest = rest[1:]; kind {
		case Session, Flash, Lease:
			if len(rest) == 1 && rest[0] >= '1' && rest[0] < '0'+MaxParts {
				return kind, int(rest[0] - '0'), ""
			}
		case Ended, Device, Proof:
			if _, ok := ParseTag(rest); ok {
				return kind, 0, rest
			}
		}
	}
	return Other, 0, ""
}

// parseKind returns the kind whose word suffix begins with, and the rest of suffix; without such a word it returns
// Session and suffix.
func parseKind(suffix string) (Kind, string) {
	for kind := Flash; kind < Kinds; kind++ {
		if rest, ok := strings.CutPrefix(suffix, suffixes[kind]); ok {
			return kind, rest
		}
	}
	return Session, suffix
}

// Split splits a cookie's name into the session cookie's name and the suffix that Parse takes.
func Split(name string) (session, suffix string) {
	if dot := strings.IndexByte(name, '.'); dot >= 0 {
		return name[:dot], name[dot:]
	}
	return name, ""
}

// AppendPart appends the suffix of part i, nothing for part 0.
func AppendPart(dst []byte, i int) []byte {
	if i > 0 {
		dst = append(dst, '.', byte('0'+i))
	}
	return dst
}

// An Origin is the half of a session's ID that Regenerate keeps. A tag is its text.
type Origin [8]byte

// Tag returns the origin's text.
func (o Origin) Tag() string {
	var tag [tagLength]byte
	return string(base64dot.AppendEncode(tag[:0], o[:]))
}

const tagLength = 11

// ParseTag is Tag's reverse. It is strict: one origin has one tag.
func ParseTag(tag string) (o Origin, ok bool) {
	if len(tag) != tagLength {
		return o, false
	}
	_, ok = base64dot.AppendDecode(o[:0], tag)
	return o, ok
}
