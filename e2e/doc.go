// Package e2e shows the library with what stands around it in production: proxies, browsers, several servers, keys that
// rotate and servers that die. It is a module of its own and has tests only; run.sh installs what they need and runs
// them.
package e2e
