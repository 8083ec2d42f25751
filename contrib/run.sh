#!/usr/bin/env bash
# Vets and tests each adapter and example that is a module of its own, with the library of this tree; but for revoke, which
# revoke/run.sh tests with real servers. Stops at the first failure.
#
# Nothing is taken from the cache of test results, which doesn't notice changes of files outside of a test's module.
#
#	contrib/run.sh [flags of go test]
set -euo pipefail
cd "$(dirname "$0")/.."

for mod in contrib/*/go.mod contrib/*/*/go.mod examples/*/go.mod; do
	dir=${mod%/go.mod}
	case $dir in contrib/revoke | contrib/revoke/*) continue ;; esac
	printf '\n== %s (%ds)\n' "$dir" "$SECONDS"
	(cd "$dir" && go vet ./... && go test -count=1 "$@" ./...)
done
