//go:build tools

// Package oldest pins the oldest Pulumi CLI that is supported; the short form of the engine's tests runs on it.
package oldest

import (
	_ "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
)
