package base64url

// Portably runs f without the assembly.
func Portably(f func()) {
	defer func(was bool) { accelerated = was }(accelerated)
	accelerated = false
	f()
}
