//go:build !race

package cookiesession_test

const raceDetector = false
