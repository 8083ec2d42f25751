module github.com/seed-50e21e88/cookiesession/contrib/revoke

go 1.25.0

require (
	github.com/seed-50e21e88/cookiesession v1.0.0
	golang.org/x/sys v0.47.0
)

require (
	github.com/vmihailenco/msgpack/v5 v5.4.1 // indirect
	github.com/vmihailenco/tagparser/v2 v2.0.0 // indirect
	golang.org/x/crypto v0.55.0 // indirect
)

replace github.com/seed-50e21e88/cookiesession => ../..
