#!/usr/bin/env bash
# Build the wheels, publish those that the private index lacks (core first), and pin what the DAG's tasks install.
#
#   deploy/ml-pipeline.sh            publish the version in the repository and make it the deployed one
#   deploy/ml-pipeline.sh --help
#
# A published version never changes: the same version with other content is refused. Nothing is built twice.
# The index must be up (`make run` starts it). Its address and password come from the stack's settings.
set -euo pipefail

if [[ "${1:-}" == "--help" || "${1:-}" == "-h" ]]; then
  sed -n '2,/^set /p' "$0" | sed -e '/^set /d' -e 's/^# \{0,1\}//'
  exit 0
fi

# shellcheck source=deploy/environment.sh
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
tools="${ML_PIPELINE_TOOLS_DIR:-$root/venvs/deploy/bin}"
[[ -x "$tools/python" ]] || { echo "error: the deploy tools are not set up: run \`make setup\` first" >&2; exit 1; }
PYTHONPATH="$repository/deploy" exec "$tools/python" -m local_stack.publication --announce
