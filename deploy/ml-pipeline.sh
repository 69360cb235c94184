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
[[ -x "$tools/poetry" ]] || { echo "error: the deploy tools are not set up: run \`make setup\` first" >&2; exit 1; }
publication() { PYTHONPATH="$repository/deploy" "$tools/python" -m local_stack.publication "$@"; }

export POETRY_REPOSITORIES_MY_PYPI_URL="${ML_PIPELINE_INDEX_URL:-http://127.0.0.1:${ML_PIPELINE_INDEX_PORT:-8090}}"
export POETRY_HTTP_BASIC_MY_PYPI_USERNAME="ml-pipeline"
POETRY_HTTP_BASIC_MY_PYPI_PASSWORD="$(cat "${ML_PIPELINE_SECRETS_DIR:-$root/secrets}/index-password")"
export POETRY_HTTP_BASIC_MY_PYPI_PASSWORD
export POETRY_CACHE_DIR="$root/cache/poetry" POETRY_CONFIG_DIR="$root/cache/poetry-config" POETRY_VIRTUALENVS_CREATE=false
export PYTHON_KEYRING_BACKEND=keyring.backends.null.Keyring

# Sources decide whether to build: their names and contents.
fingerprint() {
  (cd "$1" && find pyproject.toml README.md src -type f -not -name '*.pyc' -print0 | sort -z | xargs -0 sha256sum | sha256sum)
}

distributions=(load-forecaster forecast-core feature-pipeline training-pipeline batch-prediction-pipeline app-api app-dashboard app-shell)
for distribution in "${distributions[@]}"; do
  built="$root/dist/$distribution"
  sources="$(fingerprint "$repository/$distribution")"
  if [[ ! -f "$built/sources.sha256" || "$(cat "$built/sources.sha256")" != "$sources" ]]; then
    rm -rf "$built"
    (cd "$repository/$distribution" && "$tools/poetry" build --quiet --no-interaction --output "$built")
    echo "$sources" > "$built/sources.sha256"
  fi
  missing="$(publication check "$built"/*.whl "$built"/*.tar.gz)"
  if [[ -z "$missing" ]]; then
    echo "$distribution: unchanged"
  else
    # --skip-existing: a publication that was cut short goes on; what exists has just been found identical.
    # What it says matters only if it fails; with --quiet it would not say why.
    said="$(cd "$repository/$distribution" && "$tools/poetry" publish --no-interaction -r my-pypi --skip-existing --dist-dir "$built" 2>&1)" \
      || { echo "$said" >&2; exit 1; }
    echo "$distribution: published $(basename "$(ls "$built"/*.whl)")"
  fi
done

version="$(publication pin)"
echo "deployed version: $version"
