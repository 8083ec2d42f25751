#!/usr/bin/env bash
# Holds the library against the second implementation of FORMAT.md, in JavaScript. Needs Go; installs Node.js from
# Debian's packages if it's missing. Arguments go to the tests: -seed=N for other random sessions, -seed=0 for new ones.
set -euo pipefail
cd "$(dirname "$0")"

if ! command -v node >/dev/null; then
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends nodejs >/dev/null
fi
echo "node $(node --version)"

go vet ./...
go test -count=1 -v . "$@" | grep -v '^=== '
