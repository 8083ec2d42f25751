#!/usr/bin/env bash
# Installs redis-server and PostgreSQL, as root on Debian with Go, without starting a service, and tests the module: about
# four minutes. Servers that the tests start listen on loopback only and end with their tests. Flags are go test's, for the
# tests with real servers, for instance:
#
#	contrib/revoke/run.sh -chaos 10m
#	contrib/revoke/run.sh -run 'TestDelay|TestStart|TestSize|TestCommands' -revocations 1000 -entries 1000000
set -euo pipefail
cd "$(dirname "$0")"

say() { printf '\n== revoke: %s (%ds)\n' "$*" "$SECONDS"; }

policy=/usr/sbin/policy-rc.d
made_policy=
trap '[ -z "$made_policy" ] || rm -f $policy' EXIT

need=()
[ -n "${REDIS_SERVER:-}" ] || command -v redis-server >/dev/null || need+=(redis-server)
[ -n "${POSTGRES_BIN:-}" ] || command -v postgres >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null ||
	need+=(postgresql)
if [ ${#need[@]} -gt 0 ]; then
	say "install ${need[*]}"
	if [ ! -e $policy ]; then # keeps packages from starting their services
		made_policy=yes
		printf '#!/bin/sh\nexit 101\n' >$policy
		chmod +x $policy
	fi
	export DEBIAN_FRONTEND=noninteractive
	log=$(mktemp)
	apt-get update -q >/dev/null
	apt-get install -qy --no-install-recommends "${need[@]}" >"$log" 2>&1 || { tail -50 "$log"; exit 1; }
	rm "$log"
fi

say "vet"
go vet ./...
GOOS=windows go vet ./...
GOOS=solaris go build ./...
GOOS=aix GOARCH=ppc64 go build ./...
(cd tests && go vet ./...)

say "tests"
go test ./...

say "tests under the race detector"
go test -race ./...

say "real servers"
cd tests
go test -count=1 -v -timeout 60m "$@" . | sed -n '/^ *--- \|^ *[a-z_]*_test.go:\|^ok\|^FAIL\|^PASS\|^panic\|^left out/p'
say "done"
