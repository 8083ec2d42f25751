package main

import "strings"

// isCookiesTxt reports whether text is a cookies.txt, or lines of one: Netscape's form, which curl, wget, yt-dlp and
// browsers' extensions write.
func isCookiesTxt(text string) bool {
	for line := range strings.Lines(text) {
		if _, _, ok := cookiesTxtLine(line); ok {
			return true
		}
	}
	return false
}

// cookiesTxtSites returns the cookies of each domain and path.
func cookiesTxtSites(text string) (sites []message) {
	places := make(map[string]int)
	for line := range strings.Lines(text) {
		site, c, ok := cookiesTxtLine(line)
		if !ok {
			continue
		}
		if _, known := places[site]; !known {
			places[site] = len(sites)
			sites = append(sites, message{from: "Cookie of " + site})
		}
		place := &sites[places[site]]
		place.cookies = append(place.cookies, c)
	}
	if len(sites) == 1 {
		sites[0].from = "Cookie"
	}
	return sites
}

// cookiesTxtLine reads seven fields with tabs between them: domain, whether that includes subdomains, path, whether it
// is Secure, when it expires, name and value, which may be missing. Lines that begin with # are comments, but for those
// that begin with #HttpOnly_ and a domain.
func cookiesTxtLine(line string) (site string, c cookie, ok bool) {
	line = strings.TrimPrefix(strings.Trim(line, "\r\n"), "#HttpOnly_")
	if strings.HasPrefix(line, "#") {
		return "", cookie{}, false
	}
	fields := strings.Split(line, "\t")
	if len(fields) < 6 { // a terminal may have made spaces of the tabs
		fields = strings.Fields(line)
	}
	if len(fields) == 6 {
		fields = append(fields, "")
	}
	if len(fields) != 7 || !isBoolean(fields[1]) || !isBoolean(fields[3]) {
		return "", cookie{}, false
	}
	return fields[0] + fields[2], cookie{name: fields[5], value: fields[6]}, true
}

func isBoolean(text string) bool {
	return strings.EqualFold(text, "true") || strings.EqualFold(text, "false")
}
