//go:build !unix || aix || (solaris && !illumos)

package revoke

import (
	"errors"
	"os"
)

func tryLock(*os.File) (bool, error) { return false, errors.ErrUnsupported }
