module github.com/seed-50e21e88/cookiesession/mutation

go 1.25.0
