module github.com/seed-50e21e88/cookiesession/contrib/releasetest

go 1.25.0

require golang.org/x/mod v0.37.0
