package main

// An equivalent mutation changes nothing that a test of behaviour could see, or nothing that is promised.
type equivalent struct{ function, change, reason string }

var equivalents = []equivalent{}
