// Package inspect lets the command cookiesession see what package cookiesession doesn't show to programs. The latter
// sets the functions.
package inspect

import "time"

// A Text is what one cookie 0 and the parts that go with it come to.
type Text struct {
	Cookies int    // the number of cookies that cookie 0 tells; 0 if it tells none
	Token   []byte // nil if there is a Reason
	Reason  string // why the text is no token's: malformed or torn
}

// Texts joins the cookies called name, and their numbered parts, of the lines of a Cookie header.
var Texts func(lines []string, name string) []Text

// An Opened is what a token holds, valid or not. Fields that its compartment doesn't have are zero.
type Opened struct {
	Label                          string // of the key
	Malformed                      bool   // it opens but breaks the format; only Label is set
	ID                             string // 32 hexadecimal digits
	Created, Sealed, Expires, Seen time.Time
	Mode                           string // browser, persistent or remembered
	HasCSRF                        bool
	Values                         map[string]any
}

// Open opens the tokens of one compartment (session, flash or lease) of a *cookiesession.Manager in the lines of a
// Cookie header.
var Open func(manager any, compartment string, lines []string) []Opened
