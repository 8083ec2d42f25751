//go:build !unix || aix || (solaris && !illumos)

package revoke

import (
	"errors"
	"os"
)

func tryLock(*os.File) (bool, error) { return false, errors.ErrUnsupported }

func giveTo(*os.File, os.FileInfo) error { return errors.ErrUnsupported }
