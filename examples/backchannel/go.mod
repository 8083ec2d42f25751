module github.com/seed-50e21e88/cookiesession/examples/backchannel

go 1.25.0

require (
	github.com/seed-50e21e88/cookiesession v1.0.0
	github.com/seed-50e21e88/cookiesession/contrib/revoke v1.0.0
	golang.org/x/oauth2 v0.36.0
)

require (
	github.com/coreos/go-oidc/v3 v3.21.0
	github.com/go-jose/go-jose/v4 v4.1.4
	github.com/vmihailenco/msgpack/v5 v5.4.1 // indirect
	github.com/vmihailenco/tagparser/v2 v2.0.0 // indirect
	golang.org/x/crypto v0.55.0 // indirect
	golang.org/x/sys v0.47.0 // indirect
)

replace github.com/seed-50e21e88/cookiesession => ../..

replace github.com/seed-50e21e88/cookiesession/contrib/revoke => ../../contrib/revoke
