#!/usr/bin/env bash
# Installs what the end-to-end tests need, as root on Debian with Go, and runs them. Everything listens on loopback only
# and ends with its test. --screenshot takes the README's picture of the demo instead.
set -euo pipefail
cd "$(dirname "$0")"

TMPDIR=$(mktemp -d) # everything that the tests write is in here
export TMPDIR
chmod 755 "$TMPDIR" # nginx and Apache give up root's rights
policy=/usr/sbin/policy-rc.d
made_policy=
trap 'rm -rf "$TMPDIR"; [ -z "$made_policy" ] || rm -f $policy' EXIT

say() { printf '\n== e2e: %s (%ds)\n' "$*" "$SECONDS"; }

need=()
while read -r program package; do
	[ -e "$program" ] || need+=("$package")
done <<'END'
/usr/bin/chromium chromium
/usr/bin/firefox-esr firefox-esr
/usr/bin/WebKitWebDriver webkit2gtk-driver
/usr/bin/Xvfb xvfb
/usr/sbin/nginx nginx
/usr/sbin/haproxy haproxy
/usr/sbin/apache2 apache2
/usr/sbin/varnishd varnish
/usr/bin/caddy caddy
/usr/lib/apache2/modules/mod_security2.so libapache2-mod-security2
/usr/share/modsecurity-crs/rules modsecurity-crs
/usr/bin/javac default-jdk-headless
/usr/share/java/okhttp.jar libokhttp-java
END
command -v node >/dev/null || need+=(nodejs)
command -v npm >/dev/null || need+=(npm)
[ "${1:-}" != --screenshot ] || command -v pngquant >/dev/null || need+=(pngquant)
if [ ${#need[@]} -gt 0 ]; then
	say "install ${need[*]}"
	if [ ! -e $policy ]; then # keeps packages from starting their services
		made_policy=yes
		printf '#!/bin/sh\nexit 101\n' >$policy
		chmod +x $policy
	fi
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -q >/dev/null
	apt-get install -qy --no-install-recommends "${need[@]}" >"$TMPDIR/install.log" 2>&1 ||
		{ tail -50 "$TMPDIR/install.log"; exit 1; }
fi

if [ ! browser/node_modules/.package-lock.json -nt browser/package-lock.json ]; then
	say "install the browsers' driver"
	(cd browser && npm ci --no-audit --no-fund --loglevel=error)
fi

if [ "${1:-}" = --screenshot ]; then
	say "screenshot"
	(cd .. && go build -o "$TMPDIR/" ./examples/demo)
	mkdir -p ../docs
	BROWSER=chrome DEMO=$TMPDIR/demo node browser/screenshot.mjs "$TMPDIR/demo.png"
	pngquant --force --speed 1 --output ../docs/demo.png "$TMPDIR/demo.png"
	ls -l ../docs/demo.png
	exit
fi

# Only Chromium 149 and 150 bind sessions with keys in software on Linux. Debian's main suite has 150, beside which the
# security suite has a later one; it runs from a folder.
binding=${XDG_CACHE_HOME:-$HOME/.cache}/cookiesession-e2e/chromium-150
if [ ! -x "$binding/usr/lib/chromium/chromium" ]; then
	say "fetch Chromium 150"
	find150() { apt-cache madison chromium | awk '$3 ~ /^150\./ { print $3; exit }'; }
	version=$(find150)
	[ -n "$version" ] || { apt-get update -q >/dev/null; version=$(find150); }
	if [ -n "$version" ]; then
		mkdir -p "$TMPDIR/chromium-150"
		if (cd "$TMPDIR" && apt-get download -q "chromium=$version" "chromium-common=$version" 2>&1 | tail -1 &&
			for package in chromium*_"$version"_*.deb; do dpkg -x "$package" chromium-150 && rm "$package"; done); then
			mkdir -p "$(dirname "$binding")"
			rm -rf "$binding"
			mv "$TMPDIR/chromium-150" "$binding"
		fi
	fi
fi
CHROMIUM150=
[ ! -x "$binding/usr/lib/chromium/chromium" ] || CHROMIUM150=$binding/usr/lib/chromium/chromium
export CHROMIUM150
warn150() {
	[ -z "$CHROMIUM150" ] || return 0
	printf '\n%s\n' \
		'!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!' \
		'!! Chromium 150 is not to be had: NO BROWSER HAS BOUND A SESSION TO A DEVICE IN THIS RUN.            !!' \
		'!! Only the client of device_browser_test.go, written from the specification, has walked that way.   !!' \
		'!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!'
}
warn150

say "versions" # sed reads to the end, or who writes on would be killed
chromium --version 2>/dev/null
[ -z "$CHROMIUM150" ] || "$CHROMIUM150" --version 2>/dev/null
firefox-esr --version
/usr/sbin/nginx -v 2>&1
/usr/sbin/haproxy -v | sed -n 1p
/usr/sbin/apache2 -v | sed -n 1p
/usr/sbin/varnishd -V 2>&1 | sed -n 1p
caddy version
dpkg-query -W libapache2-mod-security2 modsecurity-crs libokhttp-java
javac -version

say "vet"
go vet ./...

say "tests"
go test -count=1 -v -timeout 20m .
warn150
say "done"
