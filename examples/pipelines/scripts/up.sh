#!/usr/bin/env bash
# Fires what was asked for, heals what has failed, goes on waiting for what was cut off; else it does nothing.
set -euo pipefail
stack="${1:?usage: up.sh STACK}"

# A cancel that comes before the `exec` is not lost: the shell ends after the command that it waits for.
trap 'exit 130' INT
trap 'exit 143' TERM

if [[ "${REMOVE_STALE_LOCK:-}" == true ]]; then
    # A run that was killed leaves its lock in a backend of your own (Pulumi Cloud takes its locks back by itself). Set
    # this only where no one but this pipeline, one job at a time, works on the stack.
    pulumi cancel --stack "$stack" --yes --non-interactive
fi

# `exec`: a shell between the runner and the engine would keep the cancel to itself.
exec pulumi up --stack "$stack" --yes --skip-preview --continue-on-error --suppress-progress --non-interactive \
    --color never
