module github.com/seed-50e21e88/cookiesession/contrib/gorilla/gothictest

go 1.25.0

require (
	github.com/gorilla/sessions v1.4.0
	github.com/markbates/goth v1.82.0
	github.com/seed-50e21e88/cookiesession v1.0.0
	github.com/seed-50e21e88/cookiesession/contrib/gorilla v1.0.0
	golang.org/x/oauth2 v0.27.0
)

require (
	github.com/go-chi/chi/v5 v5.2.2 // indirect
	github.com/gorilla/context v1.1.1 // indirect
	github.com/gorilla/mux v1.6.2 // indirect
	github.com/gorilla/securecookie v1.1.2 // indirect
	github.com/vmihailenco/msgpack/v5 v5.4.1 // indirect
	github.com/vmihailenco/tagparser/v2 v2.0.0 // indirect
	golang.org/x/crypto v0.55.0 // indirect
	golang.org/x/sys v0.47.0 // indirect
)

replace (
	github.com/seed-50e21e88/cookiesession => ../../..
	github.com/seed-50e21e88/cookiesession/contrib/gorilla => ..
)
