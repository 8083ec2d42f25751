package cookiesession

import (
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
	maxKeyFile   = 1 << 20         // bytes
	watchEvery   = 5 * time.Second // Watch's default
	lookInterval = 5 * time.Second // between two re-reads for unknown keys
	maxShown     = 32              // longer labels stay out of errors: a secret may stand in their place
)

// ParseKeyring returns a Keyring of the keys in text, which is one of
//
//   - the content of a JSON key file:
//     {"not_before": TIME, "keys": [{"label": …, "secret": …, "activate_at": TIME, "retire_at": TIME}, …]};
//     label and secret are required, times are as in RFC 3339, and the fields of [Key] say what they do;
//   - secrets with commas between them, for an environment variable. Each is a secret alone, whose label is then
//     "key-" and the first 8 digits of its fingerprint, or label=secret. The first seals, all open.
//
// Secrets are spelled as [ParseSecret] reads them. A byte order mark, CRLF and white space around the text are
// forgiven. Everything else is an error that names the line or key and what to do, never a secret: unknown or repeated
// members, and all that [NewKeyring] refuses.
func ParseKeyring(text string) (*Keyring, error) {
	k := &Keyring{now: time.Now}
	if err := k.load([]byte(text)); err != nil {
		return nil, fmt.Errorf("cookiesession: keys: %w", err)
	}
	return k, nil
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
			if len(entry.Label) <= maxShown {
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

// A keyFile is where a Keyring came from.
type keyFile struct {
	path string                       // absolute
	read func(string) ([]byte, error) // readKeyFile, but in tests

	mu       sync.Mutex // held while the file is read and put into force
	state    fileState
	err      error     // why it isn't in force
	returned fileState // what OpenKeyFile or Reload last told its caller
	looked   time.Time // when lookAgain last read the file
}

// A fileState is what reading the file came to. Two equal ones are one event.
type fileState struct {
	sum [sha256.Size]byte // of the content; zero if it couldn't be read
	err string            // why it isn't in force; empty if it is
}

// OpenKeyFile returns a Keyring of the keys in the file at path, which may hold up to 1 MiB of what [ParseKeyring]
// reads. The error satisfies errors.Is(err, fs.ErrNotExist) if there is no such file.
//
// The ring stays with its file: [Keyring.Watch] and [Keyring.Reload] read it again. So does a cookie that names a key
// which the ring doesn't hold, before it is refused, at most once in 5 seconds however many such cookies come.
func OpenKeyFile(path string) (*Keyring, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("cookiesession: key file: %w", err)
	}
	k := &Keyring{now: time.Now, file: &keyFile{path: path, read: readKeyFile}}
	if err := k.Reload(); err != nil {
		return nil, err
	}
	return k, nil
}

// Reload reads the key file again and puts it into force whether it has changed or not. On an error the old keys
// stay. A Keyring that didn't come from [OpenKeyFile] has no file, which is an error too.
func (k *Keyring) Reload() error {
	if k.file == nil {
		return errNoFile
	}
	k.file.mu.Lock()
	defer k.file.mu.Unlock()
	_, err := k.reread(true)
	k.file.returned = k.file.state
	return err
}

var errNoFile = errors.New("cookiesession: this Keyring has no file to read; open it with OpenKeyFile")

// reread reads the file and puts it into force unless it is in force already. It tells whether that came to something
// new. The caller holds file.mu.
func (k *Keyring) reread(always bool) (changed bool, err error) {
	f := k.file
	var state fileState
	text, err := f.read(f.path)
	if err == nil {
		state.sum = sha256.Sum256(text)
		if state == f.state && !always {
			return false, nil
		}
		err = k.load(text)
	}
	if err != nil {
		err = fmt.Errorf("cookiesession: key file %s: %w", f.path, err)
		state.err = err.Error()
	}
	changed = state != f.state
	f.state, f.err = state, err
	return changed, err
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
	text, err := io.ReadAll(io.LimitReader(file, maxKeyFile+1))
	return text, cause(err)
}

// cause drops the path from err: the sentence around it has it.
func cause(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}

// lookAgain reads the key file again because a cookie names a key that the ring doesn't hold: another server may have
// been given a new file a moment earlier. It does so at most once in lookInterval, since visitors choose what their
// cookies name; who comes while the file is being read waits. The error is why the file isn't in force.
func (k *Keyring) lookAgain() error {
	f := k.file
	if f == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	now := k.now()
	if f.looked.IsZero() || now.Sub(f.looked) >= lookInterval {
		f.looked = now
		if changed, err := k.reread(false); changed {
			k.log(err)
		}
	}
	return f.err
}

// Watch reads the key file every so often (0: every 5 seconds) and puts it into force when it has changed, until ctx
// ends. While the file is broken, half-written or gone the last good keys stay. Each change is logged with
// slog.Default and told to report, if that isn't nil: why the file can't be used, or nil once it is in force. The
// same trouble is told once.
//
// It compares contents, not modification times, so it misses no change: not one that keeps time and size, nor the
// symbolic links that Kubernetes swaps. Several Watches of one Keyring do no harm. Without a file it reports that once,
// and waits for ctx to end.
func (k *Keyring) Watch(ctx context.Context, every time.Duration, report func(error)) {
	if report == nil {
		report = func(error) {}
	}
	if k.file == nil {
		k.log(errNoFile)
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
	told := k.file.returned
	k.file.mu.Unlock()
	for ctx.Err() == nil {
		state, err := k.poll()
		if state != told { // also if Reload or lookAgain came first
			told = state
			report(err)
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
}

func (k *Keyring) poll() (fileState, error) {
	k.file.mu.Lock()
	defer k.file.mu.Unlock()
	changed, err := k.reread(false)
	if changed {
		k.log(err)
	}
	return k.file.state, err
}

func (k *Keyring) log(err error) {
	if err != nil {
		slog.Error("cookiesession: the keys in force stay", "error", err)
		return
	}
	slog.Info("cookiesession: key file in force", "file", k.file.path, "ring", k.Fingerprint())
}
