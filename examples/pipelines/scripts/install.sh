#!/usr/bin/env bash
# Brings what the program imports, and puts the plugin where the engine looks for it.
set -euo pipefail

python3 -m pip install --quiet --disable-pip-version-check --requirement requirements.txt
# --force: a runner that is kept may hold the plugin of another virtual environment.
cloudretry plugin install --force
