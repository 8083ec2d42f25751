package main

import "testing"

func TestDescribeDevice(t *testing.T) {
	const webKit = "AppleWebKit/537.36 (KHTML, like Gecko) "
	for agent, want := range map[string]string{
		linuxFirefox:  "Firefox on Linux",
		androidChrome: "Chrome on Android",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) " + webKit + "Chrome/150.0.0.0 Safari/537.36 Edg/150.0.0.0":                          "Edge on Windows",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) " + webKit + "Chrome/150.0.0.0 Safari/537.36 OPR/130.0.0.0":                          "Opera on Windows",
		"Mozilla/5.0 (Linux; Android 16; SM-S948B) " + webKit + "SamsungBrowser/30.0 Chrome/140.0.0.0 Mobile Safari/537.36":             "Samsung Internet on Android",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Safari/605.1.15":         "Safari on macOS",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/150.0 Safari/604.1":      "Chrome on iPhone",
		"Mozilla/5.0 (iPad; CPU OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) FxiOS/140.0 Mobile/15E148 Safari/605.1": "Firefox on iPad",
		"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) " + webKit + "Chrome/150.0.0.0 Safari/537.36":                                         "Chrome on ChromeOS",
		"curl/8.14.1":                "curl",
		"Mozilla/5.0 (Windows NT 6)": "Unknown browser on Windows",
		"":                           "Unknown device",
		"<script>":                   "Unknown device",
	} {
		if got := describeDevice(agent); got != want {
			t.Errorf("%q: got %q, want %q", agent, got, want)
		}
	}
}
