#!/usr/bin/env bash
# Run the unit tests under another Python: deploy/test-python.sh VERSION [pytest's arguments]. `make test-python PYTHON=3.12` calls it.
#
# The interpreter is looked for, never downloaded. Where it is not here, one line says so and the exit code is 0; with
# ML_PIPELINE_DEMAND_PYTHON set to the version, it is 1.
set -euo pipefail
cd "$(dirname "$0")/.."
. deploy/environment.sh
version="${1:?which Python? for example 3.12}"
shift
uv="${UV:-uv}"

# On the PATH, or installed by pyenv, whose programs on the PATH answer only for the version that is switched on.
find_python() {
  local candidate
  for candidate in "python$version" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$version"*/bin/python; do
    if "$candidate" -c 'import sys; sys.exit(f"{sys.version_info[0]}.{sys.version_info[1]}" != sys.argv[1])' "$version" 2> /dev/null; then
      command -v "$candidate"
      return
    fi
  done
}

python="$(find_python)"
if [[ -z "$python" ]]; then
  echo "Python $version: no interpreter here, its tests are skipped (install it, for example with pyenv)"
  [[ "${ML_PIPELINE_DEMAND_PYTHON:-}" != "$version" ]]
  exit
fi
echo "Python $version: $("$python" --version) at $python"
export UV_PROJECT_ENVIRONMENT="$root/venvs/dev-$version" UV_PYTHON_DOWNLOADS=never
"$uv" sync --quiet --frozen --python "$python"
exec "$uv" run --no-sync pytest -o cache_dir="$root/cache/pytest-$version" -n 2 -m "not stack" "$@"
