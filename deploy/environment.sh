# Sourced by what runs on one machine: takes from .env what the environment does not say, and makes the root folder absolute.
repository="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
settings="${ML_PIPELINE_ENV_FILE:-$repository/.env}"
if [[ -f "$settings" ]]; then
  while IFS='=' read -r name value || [[ -n "$name" ]]; do
    if [[ "$name" =~ ^ML_PIPELINE_[A-Z_]+$ && -n "$value" && -z "${!name+set}" ]]; then export "$name=$value"; fi
  done < "$settings"
fi
root="${ML_PIPELINE_ROOT_DIR:-$repository/.energy}"
[[ "$root" = /* ]] || root="$repository/$root"
export ML_PIPELINE_ROOT_DIR="$root"
# The stack talks to itself on loopback; a proxy has nothing to do with that, and must not see its passwords.
export NO_PROXY="127.0.0.1,localhost${NO_PROXY:+,$NO_PROXY}"
export no_proxy="$NO_PROXY"
# Compiled Python is generated, too.
export PYTHONPYCACHEPREFIX="$root/cache/pycache"
