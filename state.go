package cookiesession

import "time"

// state is what a Session holds once it is open. It is one allocation, and small, since every request that uses its
// session pays for it: what few need is behind a pointer.
type state struct {
	incoming incoming // never changes, so it is read without the lock

	data    sessionData
	values  values
	flash   *flash // nil until flash messages are received or used
	special *special

	// Storage for what a request usually needs little of.
	changes [1]change
	fields  headerFields
}

// incoming is what was found in a request's cookies.
type incoming struct {
	session, flash, lease nameSet // received cookies
	facts                 facts
	seen                  int64     // under an idle timeout: when the session was last sealed or leased, in Unix seconds
	noted                 *problems // nil if there are none
}

// facts are what is known of a request's cookies, in bits.
type facts uint16

const (
	valid    facts = 1 << iota // a session cookie was accepted
	imported                   // the values are what Import returned
	marked                     // markers of ended sessions were received
	hinted                     // NAME.here was received
	withheld                   // the browser may have a session that it did not send with this request
	devices                    // device cookies or proofs were received
	keyed                      // the session that was received has a device's key,
	proven                     // and a proof by it that hasn't expired
	crowded                    // so many device cookies were received that some must go
)

func (f facts) has(fact facts) bool { return f&fact != 0 }

// problems are what was found beside, or instead of, one valid session cookie.
type problems struct {
	refused   *RejectError
	unchecked error    // what a hook failed with, so that nobody knows whether the visitor has a session
	importErr error    // what Import failed with, or why its values can't be used
	ambiguous bool     // several sessions were received, and any could be the visitor's
	origins   []origin // of sessions that opened, have time left and aren't in use
	imports   []string // Config.ImportCookies that were received: no problem, but as rare

	lacksProof bool   // the session was refused as unproven, but has a key: its browser may be able to prove it
	keyOf      origin // the origin of that session
}

// problems returns what is noted, to be read only.
func (in *incoming) problems() *problems {
	if in.noted == nil {
		return &noProblems
	}
	return in.noted
}

var noProblems problems

func (in *incoming) setProblems(p problems) {
	in.noted = &p
}

// special is what few requests need of a session's state.
type special struct {
	before   sessionData // what was received, once data may differ
	isCopied bool

	lifetime time.Duration // Remember's or ExpireIn's argument in this request, if any
	mode     mode          // what Remember or Persist asked for in this request
	asked    bool          // whether one of them did

	failure failure
	written []string // the Set-Cookie lines of an earlier Save
	invited string   // the invitation of an earlier Save
}

// failure is what went wrong with changes of the session.
type failure struct {
	err      error  // the first
	late     bool   // something was changed after the commit
	unlogged bool   // and nobody has logged it yet: the lock was held
	keyless  bool   // what was changed has no key
	name     string // the key of what was changed, or the method that was called
}

// A smallState is a state with storage for a small session's token, to save an allocation.
type smallState struct {
	state state
	token [192]byte
}

// newState returns a state, and storage for the token of the text that begins with first, if that is small.
func newState(first string) (st *state, storage []byte) {
	if first != "" && len(first)/4*3 <= len(smallState{}.token) {
		small := new(smallState)
		return &small.state, small.token[:0]
	}
	return new(state), nil
}

// received returns the data of the session that was received, if one is valid.
func (st *state) received() *sessionData {
	if st.special != nil && st.special.isCopied {
		return &st.special.before
	}
	return &st.data
}

// err returns the first error.
func (st *state) err() error {
	if st.special == nil {
		return nil
	}
	return st.special.failure.err
}
