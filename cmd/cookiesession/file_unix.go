//go:build unix

package main

import (
	"os"
	"syscall"
)

// modesCount says whether a file's mode tells who may read it.
const modesCount = true

// keepOwner gives file the owner that old has.
func keepOwner(file *os.File, old os.FileInfo) error {
	if owner, ok := old.Sys().(*syscall.Stat_t); ok {
		return file.Chown(int(owner.Uid), int(owner.Gid))
	}
	return nil
}

// syncDir makes a rename in dir last.
func syncDir(dir string) {
	if d, err := os.Open(dir); err == nil {
		d.Sync()
		d.Close()
	}
}
