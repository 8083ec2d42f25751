package cookiesession

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/seed-50e21e88/cookiesession/internal/keyfile"
)

const (
	maxKeyFile     = 1 << 20         // bytes
	watchEvery     = 5 * time.Second // Watch's default
	rereadInterval = 5 * time.Second // between two re-reads for unknown keys
	readPatience   = time.Second     // how long a read may keep requests waiting
)

// ParseKeyring returns a Keyring of the keys in text, which is one of
//
//   - the content of a JSON key file:
//     {"not_before": TIME, "keys": [{"label": …, "secret": …, "activate_at": TIME, "retire_at": TIME}, …]};
//     label and secret are required, times are as in RFC 3339, and the fields of [Key] say what they do;
//   - secrets with commas between them, for an environment variable. Each is a secret alone, whose label is then
//     "key-" and the first 8 digits of its fingerprint, or label=secret. The first seals, all open.
//
// Secrets are spelled as [ParseSecret] reads them. A byte order mark, CRLF and white space around the text are ignored.
// Anything else is an error, also unknown or repeated members and whatever [NewKeyring] refuses. Errors name the line
// or key and what to do, never a secret. A list of secrets that has been cut off may still be a list, of fewer keys; in
// JSON it is an error.
func ParseKeyring(text string) (*Keyring, error) {
	k := &Keyring{now: time.Now}
	if err := k.ReplaceText(text); err != nil {
		return nil, err
	}
	return k, nil
}

// ReplaceText is [Keyring.Replace] for keys as text, such as a secret manager's answer: it replaces all keys by those
// in text, which has a form that [ParseKeyring] reads. The text's not_before replaces that of an earlier text or of the
// key file, even if it has none; that of [Keyring.RefuseBefore] stays. On an error, which is as ParseKeyring's and
// shows no secret, the old keys and not-before stay in force.
//
// As after Replace, a Keyring from a file goes back to the file's keys when the file changes, or by [Keyring.Reload].
func (k *Keyring) ReplaceText(text string) error {
	if err := k.load([]byte(text)); err != nil {
		return fmt.Errorf("cookiesession: keys: %w", err)
	}
	return nil
}

// load puts the keys in text into force. Its errors have no prefix.
func (k *Keyring) load(text []byte) error {
	if len(text) > maxKeyFile {
		return fmt.Errorf("more than %d bytes; is it a key file?", maxKeyFile)
	}
	file, err := keyfile.Parse(text)
	if err != nil {
		return err
	}
	keys, err := keysOf(file)
	if err != nil {
		return err
	}
	k.replacing.Lock()
	defer k.replacing.Unlock()
	next, err := newRing(keys, unixCeil(file.NotBefore), k.now())
	if errors.Is(err, errNoActiveKey) {
		return errors.New("no key is active now; give one key an activate_at that has passed, or none, and no retire_at that has")
	} else if err != nil {
		return unprefixed{err}
	}
	k.current.Store(next)
	return nil
}

func keysOf(file *keyfile.File) ([]Key, error) {
	keys := make([]Key, len(file.Keys))
	for i, entry := range file.Keys {
		name := ""
		if entry.Label != "" {
			if err := checkLabel(entry.Label); err != nil {
				return nil, fmt.Errorf("%s: %w", entry.LabelAt, unprefixed{err})
			}
			if _, err := ParseSecret(entry.Label); err == nil {
				return nil, fmt.Errorf("%s: a secret stands where its label should", entry.LabelAt)
			}
			if len(entry.Label) <= maxShownLabel && !keyfile.MayBeSecret(entry.Label) {
				name = ": key " + entry.Label
			}
		}
		secret, err := ParseSecret(string(entry.Secret))
		if err != nil {
			return nil, fmt.Errorf("%s%s: %w", entry.SecretAt, name, unprefixed{err})
		}
		key := Key{Label: entry.Label, Secret: secret, ActivateAt: entry.ActivateAt, RetireAt: entry.RetireAt}
		if key.Label == "" {
			key.Label = "key-" + key.fingerprint()[:8]
		}
		if err := key.check(); err != nil {
			return nil, fmt.Errorf("%s: %w", entry.LabelAt, unprefixed{err})
		}
		keys[i] = key
	}
	return keys, nil
}

// A keyFile is the file of a Keyring.
//
// On a network share a read can hang for minutes, so the file is never read under a lock, but by a goroutine, one at a
// time. Callers wait for the outcome as long as suits them: Reload to the end, Watch until its context ends, requests a
// second at most. Loggers and Watch's report run after the read and without a lock, so they may be slow and may use
// sessions themselves.
type keyFile struct {
	path string                       // absolute
	read func(string) ([]byte, error) // readKeyFile, but in tests

	mu       sync.Mutex // guards what follows; held for moments, and no other lock is taken under it
	reading  *fileRead  // under way; nil if none is
	last     *fileRead  // the one that ended last; nil before the first
	reported fileState  // what OpenKeyFile or Reload last returned, which Watch needn't report again
	rereadAt time.Time  // when a cookie with an unknown key last had the file read; long ago if none has
}

// A fileRead is one reading of the key file.
type fileRead struct {
	by        readCause
	waitUntil time.Time     // requests don't wait longer
	done      chan struct{} // closed when the read is over, and state and err are set

	state fileState
	err   error // why the file isn't in force
}

// A fileState is the outcome of reading the file. Equal ones count as one event.
type fileState struct {
	sum [sha256.Size]byte // of the content; zero if it couldn't be read
	err string            // why it isn't in force; empty if it is
}

// A readCause says why the file is read.
type readCause int

const (
	byReload     readCause = iota // puts even an unchanged file into force; logs nothing: the caller gets the error
	byWatch                       // logs each change, and the same error once
	byUnknownKey                  // logs each change, and errors each time
)

// OpenKeyFile returns a Keyring of the keys in the file at path, which may hold up to 1 MiB of what [ParseKeyring]
// reads. The error satisfies errors.Is(err, fs.ErrNotExist) if there is no such file.
//
// The file can be read again by [Keyring.Watch] and [Keyring.Reload]. It is also read again before a cookie is refused
// because the ring doesn't hold its key, at most once in 5 seconds however many such cookies are received. If that
// takes long, as on a network share that hangs, the request goes on after a second, or when its context ends, and the
// cookie is refused; later requests don't wait for a read that has already taken a second.
func OpenKeyFile(path string) (*Keyring, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("cookiesession: key file: %w", err)
	}
	k := &Keyring{now: time.Now, file: &keyFile{path: absolute, read: readKeyFile}}
	if err := k.Reload(); err != nil {
		if isKeysNotPath(path) {
			return nil, fmt.Errorf("cookiesession: key file: %w; its path isn't repeated, since it looks like a secret; keys themselves are for ParseKeyring", errors.Unwrap(err))
		}
		return nil, err
	}
	return k, nil
}

// isKeysNotPath reports whether path seems to be keys, passed by mistake instead of their file's path.
func isKeysNotPath(path string) bool {
	if _, err := os.Lstat(path); err == nil {
		return false
	}
	if _, err := os.Stat(filepath.Dir(path)); err == nil {
		path = filepath.Base(path) // the rest is an existing directory
	}
	_, err := ParseKeyring(path)
	return err == nil || keyfile.MayBeSecret(path)
}

// Reload reads the key file again and puts it into force whether it has changed or not. It waits for the file system
// as long as that takes. On an error the old keys stay. A Keyring that didn't come from [OpenKeyFile] has no file,
// which is an error too.
func (k *Keyring) Reload() error {
	if k.file == nil {
		return errNoFile
	}
	r := k.reread(context.Background(), byReload)
	k.file.mu.Lock()
	defer k.file.mu.Unlock()
	k.file.reported = r.state
	return r.err
}

var errNoFile = errors.New("cookiesession: this Keyring has no file to read; open it with OpenKeyFile")

// reread has the file read and returns the outcome, or nil if ctx ended first. A read that is under way already
// may have begun before the file changed, so it waits for its end and starts another.
func (k *Keyring) reread(ctx context.Context, by readCause) *fileRead {
	f := k.file
	for {
		f.mu.Lock()
		r := f.reading
		mine := r == nil
		if mine {
			r = k.startRead(by, time.Now().Add(readPatience))
		}
		f.mu.Unlock()
		select {
		case <-r.done:
		case <-ctx.Done():
			return nil
		}
		if mine {
			return r
		}
	}
}

// rereadForUnknownKey reads the key file again because a cookie names a key that the ring doesn't hold: another server
// may have been given a new file a moment earlier. It does so at most once in rereadInterval, since visitors choose
// what their cookies name, and other requests wait for the same read. The error says why the file isn't in force, or
// that the wait ended before the read: after readPatience, or with ctx.
func (k *Keyring) rereadForUnknownKey(ctx context.Context) error {
	f := k.file
	if f == nil {
		return nil
	}
	deadline := time.Now().Add(readPatience)
	for {
		f.mu.Lock()
		r, now := f.reading, k.now()
		ours := r != nil && r.by == byUnknownKey // another request's, which serves this one too
		due := now.Sub(f.rereadAt) >= rereadInterval
		if !ours && !due {
			err := f.last.err
			f.mu.Unlock()
			return err
		}
		if r == nil {
			f.rereadAt = now
			r = k.startRead(byUnknownKey, deadline)
		}
		f.mu.Unlock()
		if err := f.waitFor(ctx, r, deadline); err != nil {
			return err
		}
	}
}

// waitFor waits until r has ended, but not beyond ctx, deadline and the time that r may keep requests waiting.
func (f *keyFile) waitFor(ctx context.Context, r *fileRead, deadline time.Time) error {
	if r.waitUntil.Before(deadline) {
		deadline = r.waitUntil
	}
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case <-r.done:
		return nil
	case <-timer.C:
		return f.error(fmt.Errorf("reading it takes over %v", readPatience))
	case <-ctx.Done():
		return f.error(fmt.Errorf("the request ended before it had been read: %w", ctx.Err()))
	}
}

// startRead starts to read the file. The caller holds mu and has seen that no read is under way.
func (k *Keyring) startRead(by readCause, waitUntil time.Time) *fileRead {
	f := k.file
	r := &fileRead{by: by, waitUntil: waitUntil, done: make(chan struct{})}
	f.reading = r
	var before fileState
	if f.last != nil {
		before = f.last.state
	}
	go func() {
		slow := time.AfterFunc(readPatience, func() {
			slog.Warn("cookiesession: the key file is still being read; until then the keys in force stay", "file", f.path, "after", readPatience)
		})
		r.state, r.err = k.putIntoForce(before, by == byReload)
		slow.Stop()
		f.mu.Lock()
		f.reading, f.last = nil, r
		f.mu.Unlock()
		close(r.done)
		k.log(r, r.state != before)
	}()
	return r
}

// putIntoForce reads the file and puts it into force. If always is false, it leaves an unchanged file alone.
func (k *Keyring) putIntoForce(before fileState, always bool) (state fileState, err error) {
	text, err := k.file.read(k.file.path)
	if err == nil {
		state.sum = sha256.Sum256(text)
		if state == before && !always {
			return state, nil
		}
		err = k.load(text)
	}
	if err != nil {
		err = k.file.error(err)
		state.err = err.Error()
	}
	return state, err
}

func (f *keyFile) error(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cookiesession: key file %s: %w; make one with: cookiesession keys new -file %s", f.path, err, f.path)
	}
	return fmt.Errorf("cookiesession: key file %s: %w", f.path, err)
}

// log logs the outcome of a read. It is called after r.done is closed, so nobody waits for the logger.
func (k *Keyring) log(r *fileRead, changed bool) {
	switch {
	case r.by == byReload:
	case r.err != nil && (changed || r.by == byUnknownKey):
		slog.Warn("cookiesession: the keys in force stay", "error", r.err)
	case changed:
		slog.Info("cookiesession: key file in force", "file", k.file.path, "ring", k.Fingerprint())
	}
}

func readKeyFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, cause(err)
	}
	if !info.Mode().IsRegular() { // opening a pipe would wait for a writer
		return nil, errors.New("not a regular file")
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, cause(err)
	}
	defer file.Close()
	text, err := readWhole(file, info.Size())
	return text, cause(err)
}

// readWhole reads a file of the given size, or of more than maxKeyFile bytes as far as that. It asks for all at once:
// between two reads a file that is overwritten in place may change, and parts of both versions may be valid together.
func readWhole(file io.Reader, size int64) ([]byte, error) {
	var text bytes.Buffer
	text.Grow(int(min(size, maxKeyFile)))
	_, err := text.ReadFrom(io.LimitReader(file, maxKeyFile+1))
	return text.Bytes(), err
}

// cause drops the path from err, since the error that wraps it names the path.
func cause(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}

// Watch reads the key file at intervals of every (5 seconds if 0 or less) and puts it into force when it has changed,
// until ctx ends. While the file is broken, half-written or gone the last good keys stay. Each change is logged with
// slog.Default, as Info or Warn, and passed to report, if that isn't nil: the error if the file can't be used, or nil
// once it is in force. The same error of the same content is reported once. A read that takes over a second is logged
// as Warn.
//
// It compares contents, not modification times, so it notices a change that keeps time and size, and the symbolic links
// that Kubernetes swaps. Several Watches of one Keyring do no harm. Without a file it reports that once, and waits for
// ctx to end.
func (k *Keyring) Watch(ctx context.Context, every time.Duration, report func(error)) {
	if report == nil {
		report = func(error) {}
	}
	if k.file == nil {
		slog.Warn("cookiesession: there is nothing to watch", "error", errNoFile)
		report(errNoFile)
		<-ctx.Done()
		return
	}
	if every <= 0 {
		every = watchEvery
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	k.file.mu.Lock()
	reported := k.file.reported
	k.file.mu.Unlock()
	for ctx.Err() == nil {
		r := k.reread(ctx, byWatch)
		if r != nil && r.state != reported { // also if Reload or an unknown key had the change read first
			reported = r.state
			report(r.err)
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
}
