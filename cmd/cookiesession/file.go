package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// lockWait is how long to wait for another process that changes the same file. A variable, because tests are impatient.
var lockWait = 5 * time.Second

// readFile reads a key file.
func readFile(path string) ([]byte, error) {
	file, text, err := openFile(path)
	if err != nil {
		return nil, err
	}
	file.Close()
	return text, nil
}

// openFile opens a key file of at most 1 MiB, the library's limit, and reads it, at once as the library does.
func openFile(path string) (*os.File, []byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil, fileError(path, err)
	}
	if !info.Mode().IsRegular() || info.Size() > 1<<20 { // opening a pipe would wait for a writer
		return nil, nil, fileError(path, errors.New("it is no regular file of at most 1 MiB"))
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, nil, fileError(path, err)
	}
	var text bytes.Buffer
	text.Grow(int(info.Size()) + bytes.MinRead)
	if _, err := text.ReadFrom(file); err != nil {
		file.Close()
		return nil, nil, fileError(path, err)
	}
	return file, text.Bytes(), nil
}

// fileError says what is wrong with a key file. It names the file if there is one: what isn't there may be a secret in
// the place of a path.
func fileError(path string, err error) error {
	err = cause(err)
	if _, missing := os.Lstat(path); missing == nil {
		return fmt.Errorf("key file %s: %w", path, err)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("key file: %w; make one with: cookiesession keys new -file NAME", err)
	}
	return fmt.Errorf("key file: %w", err)
}

// cause drops the paths from err: the sentence around it has them, or they mustn't be shown.
func cause(err error) error {
	var pathError *fs.PathError
	var linkError *os.LinkError
	switch {
	case errors.As(err, &pathError):
		return pathError.Err
	case errors.As(err, &linkError):
		return linkError.Err
	}
	return err
}

// createFile writes a file that must not exist.
func createFile(path string, content []byte) error {
	return withReplacement(path, func(replacement *os.File) error {
		if _, err := os.Lstat(path); err == nil {
			return fmt.Errorf("%s exists and is left alone; add a key to it with: cookiesession keys rotate -file %s", path, path)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return fileError(path, err)
		}
		if _, err := replacement.Write(content); err != nil {
			return fileError(path, err)
		}
		return nil
	})
}

// changeFile replaces the file's content, or the content of the file that it links to, by what change makes of it. The
// file is the old or the new one at any time, whatever fails. The notes say what else changed.
func changeFile(path string, change func([]byte) ([]byte, error)) (notes []string, err error) {
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, fileError(path, err)
	}
	err = withReplacement(target, func(replacement *os.File) error {
		if now, err := filepath.EvalSymlinks(path); err != nil || now != target { // while this waited for the lock
			return fmt.Errorf("key file %s: it has been replaced by another file; try again", path)
		}
		old, text, err := openFile(target)
		if err != nil {
			return err
		}
		defer old.Close()
		content, err := change(text)
		if err != nil {
			return err
		}
		info, err := old.Stat() // of the file that was read: by its name may go another, with other readers
		if err != nil {
			return fileError(path, err)
		}
		if err := keepOwner(replacement, info); err != nil {
			return fmt.Errorf("owner and group of %s can't be kept (%w); do this as root, or as its owner if that is in its group", path, cause(err))
		}
		if info.Mode().Perm()&0o077 == 0o040 { // a group was let in on purpose, or somebody by an access control list
			// Before the mode, or the group could open the file in between, and read it later.
			if err := keepAccessList(replacement, old); err != nil {
				return fmt.Errorf("the access control list of %s can't be kept: %w", path, err)
			}
			if err := setMode(replacement, 0o640); err != nil {
				return fileError(path, err)
			}
		}
		if _, err := replacement.Write(content); err != nil {
			return fileError(path, err)
		}
		now, err := replacement.Stat()
		if err != nil {
			return fileError(path, err)
		}
		if before, mode := info.Mode().Perm(), now.Mode().Perm(); modesCount && before&0o077 != 0 && mode&0o077 == 0 {
			notes = append(notes, fmt.Sprintf("the mode was %04o and is %04o now: only its owner can read the file", before, mode))
		}
		notes = append(notes, openToAll(path, now)...)
		return nil
	})
	return notes, err
}

// setMode gives file that mode. As with keepOwner, what is so already isn't asked for.
func setMode(file *os.File, mode os.FileMode) error {
	if is, err := file.Stat(); err != nil || is.Mode().Perm() == mode {
		return err
	}
	return file.Chmod(mode)
}

// openToAll returns a note if everybody may read the file at path, as in file systems that give all files one mode.
func openToAll(path string, info os.FileInfo) (notes []string) {
	if mode := info.Mode().Perm(); modesCount && mode&0o007 != 0 {
		notes = append(notes, fmt.Sprintf("%s has mode %04o: everybody on this machine can read the secrets", path, mode))
	}
	return notes
}

// withReplacement lets fill write a new file, which then takes the place of path. The new file's name is also the lock:
// there can be one at a time.
func withReplacement(path string, fill func(*os.File) error) (err error) {
	name := path + ".new"
	replacement, err := lock(path, name)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			replacement.Close()
			os.Remove(name)
		}
	}()
	if err := fill(replacement); err != nil {
		return err
	}
	if err := errors.Join(replacement.Sync(), replacement.Close()); err != nil {
		return fileError(path, err)
	}
	if err := os.Rename(name, path); err != nil {
		return fileError(path, err)
	}
	syncDir(filepath.Dir(path)) // the rename has happened; at worst a crash undoes it
	return nil
}

func lock(path, name string) (*os.File, error) {
	for deadline := time.Now().Add(lockWait); ; {
		file, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		switch {
		case err == nil:
			return file, nil
		case errors.Is(err, fs.ErrNotExist):
			return nil, errors.New("the directory that the key file is to be in doesn't exist")
		case !errors.Is(err, fs.ErrExist):
			return nil, fmt.Errorf("no new file can be made in the key file's directory: %w", cause(err))
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("%s exists: another cookiesession is changing the file, or was interrupted; if none runs, remove it", name)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
