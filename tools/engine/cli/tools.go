//go:build tools

// Package cli pins the Pulumi CLI that tests and the demo are run with.
package cli

import _ "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
