package revoke

import (
	"context"
	"errors"
	"slices"
)

// An Engine keeps entries where all servers find them: a set that only grows, until entries may be forgotten (see
// [Entry.Forgotten]). To add an entry twice, or in another order, changes nothing. An Engine is safe for concurrent use,
// by several Lists too.
type Engine interface {
	// Publish adds e, with a Pos that is above those which its key had, and at least e.Pos. It returns what the engine
	// now holds for good. If only isn't nil and doesn't hold, it adds nothing, and the error is ErrConflict.
	Publish(ctx context.Context, e Entry, only *Condition) (Entry, error)

	// PutBack adds entries with the Pos that they have. There are at most 1,000.
	PutBack(ctx context.Context, es []Entry) error

	// Read gives sink what was added behind cursor, which an earlier Read returned; all there is if cursor is empty.
	// It may give more than that. With more the next Read goes on; without, sink has got all that was acknowledged
	// before the call. The error is ErrLost if the engine has lost, or may have, what cursor stands for, or doesn't
	// know it. A server that only follows another (a replica, a standby) must fail. sink doesn't keep es.
	Read(ctx context.Context, cursor string, sink func(es []Entry)) (next string, more bool, err error)

	// Follow calls read, which reads all there is and returns the cursor, at once, whenever something may have been
	// added, and every second at least. It returns the first error, or when ctx ends.
	Follow(ctx context.Context, read func(context.Context) (cursor string, err error)) error
}

// A Condition says what is known of an entry's key. It holds as long as the engine has no entry of that key with a
// greater Pos, but for what may be forgotten ([Entry.Forgotten]) by this process's clock: a List knows nothing of that. To
// look at what was added behind Cursor is enough. An Engine may say that it doesn't hold whenever it can't tell, as when
// the cursor is lost: then the List reads, and asks again, ten times in all.
type Condition struct {
	Cursor string // which the last Read returned
	Pos    uint64 // that the key had by then; 0 if none
}

// brokenBy reports whether entries that were added behind Cursor break the condition for a key.
func (c *Condition) brokenBy(k Key, es []Entry) bool {
	return slices.ContainsFunc(es, func(e Entry) bool { return e.Key == k && e.Pos > c.Pos })
}

// ErrConflict is returned by an Engine's Publish if its Condition doesn't hold.
var ErrConflict = errors.New("revoke: engine holds what the publisher doesn't know")

// ErrLost is returned by an Engine's Read if it can't go on from a cursor: then the List reads everything and puts back
// what the engine has lost.
var ErrLost = errors.New("revoke: engine lost what was read")
