#!/usr/bin/env bash
# Writes what an `up` of this commit would fire, and why, to preview.md and to the job's log. Fires nothing.
set -euo pipefail
stack="${1:?usage: preview.sh STACK}"

code=0
pulumi preview --stack "$stack" --suppress-outputs --suppress-progress --non-interactive --color never \
    >preview.txt 2>&1 || code=$?
cat preview.txt
{
    echo "### What an \`up\` of \`$stack\` would do"
    echo
    echo '````text'
    # A comment on GitHub holds 65536 characters.
    head -c 60000 preview.txt
    echo '````'
} >preview.md
exit "$code"
