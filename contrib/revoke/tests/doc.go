// Package tests holds what package revoke is tested with that needs a real Redis or PostgreSQL, and clients for them.
package tests
