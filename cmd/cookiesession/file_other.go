//go:build !unix

package main

import "os"

// Elsewhere package os makes up modes, on Windows 0666 or 0444.
const modesCount = false

// Elsewhere a new file inherits who may read it from its directory, and directories can't be synced.
func keepOwner(*os.File, os.FileInfo) error { return nil }

func syncDir(string) {}
