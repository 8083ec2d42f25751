#!/bin/sh
# Vets and tests each adapter and example that is a module of its own, with the library of this tree. Stops at the first failure.
#
#	contrib/run.sh [flags of go test]
set -eu
cd "$(dirname "$0")/.."
for mod in contrib/*/go.mod contrib/*/*/go.mod examples/*/go.mod; do
	dir=${mod%/go.mod}
	echo "== $dir"
	(cd "$dir" && go vet ./... && go test "$@" ./...)
done
