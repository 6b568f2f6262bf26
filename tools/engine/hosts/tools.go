//go:build tools

// Package hosts pins the last release whose language hosts can be built as ordinary Go packages.
package hosts

import (
	_ "github.com/pulumi/pulumi/sdk/v3/nodejs/cmd/pulumi-language-nodejs"
	_ "github.com/pulumi/pulumi/sdk/v3/python/cmd/pulumi-language-python"
)
