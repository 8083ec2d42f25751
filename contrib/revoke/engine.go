package revoke

import (
	"context"
	"errors"
)

// An Engine keeps entries where all servers find them: a set that only grows, until entries may be forgotten (see
// [Entry.Forgotten]). To add an entry twice, or in another order, changes nothing. An Engine is safe for concurrent use,
// by several Lists too.
type Engine interface {
	// Publish adds e, with a Pos that is above those which its key had, and at least e.Pos. It returns what the engine
	// now holds for good.
	Publish(ctx context.Context, e Entry) (Entry, error)

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

// ErrLost is returned by an Engine's Read if it can't go on from a cursor: then the List reads everything and puts back
// what the engine has lost.
var ErrLost = errors.New("revoke: engine lost what was read")
