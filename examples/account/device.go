package main

import "strings"

// describeDevice names browser and system for their owner to recognize. The User-Agent says what it likes, so nothing
// may depend on it, and nothing of it is kept.
func describeDevice(userAgent string) string {
	// Most browsers claim to be others, too: who is claimed more often comes later.
	browser := firstOf(userAgent, "Edg", "Edge", "OPR/", "Opera", "SamsungBrowser/", "Samsung Internet", "FxiOS/", "Firefox",
		"Firefox/", "Firefox", "CriOS/", "Chrome", "Chrome/", "Chrome", "Safari/", "Safari", "curl/", "curl")
	system := firstOf(userAgent, "Windows", "Windows", "Android", "Android", "iPhone", "iPhone", "iPad", "iPad",
		"CrOS", "ChromeOS", "Macintosh", "macOS", "Linux", "Linux")
	switch {
	case browser == "" && system == "":
		return "Unknown device"
	case browser == "":
		return "Unknown browser on " + system
	case system == "":
		return browser
	}
	return browser + " on " + system
}

// firstOf returns the name of the first sign that text has, of pairs of sign and name.
func firstOf(text string, pairs ...string) string {
	for i := 0; i < len(pairs); i += 2 {
		if strings.Contains(text, pairs[i]) {
			return pairs[i+1]
		}
	}
	return ""
}
