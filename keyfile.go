package cookiesession

// A keyFile is where a Keyring came from.
type keyFile struct{}

// lookAgain re-reads the key file.
func (k *Keyring) lookAgain() error { return nil }
