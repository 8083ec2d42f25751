//go:build unix

package main

import (
	"os"
	"syscall"
)

// modesCount says whether a file's mode tells who may read it.
const modesCount = true

// keepOwner gives file owner and group of old. What is so already isn't asked for: some file systems refuse any change.
func keepOwner(file *os.File, old os.FileInfo) error {
	is, err := file.Stat()
	if err != nil {
		return err
	}
	before, now := old.Sys().(*syscall.Stat_t), is.Sys().(*syscall.Stat_t)
	if before.Uid == now.Uid && before.Gid == now.Gid {
		return nil
	}
	return file.Chown(int(before.Uid), int(before.Gid))
}

// syncDir makes a rename in dir last.
func syncDir(dir string) {
	if d, err := os.Open(dir); err == nil {
		d.Sync()
		d.Close()
	}
}
