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
# The stack talks to itself on loopback; a proxy has nothing to do with that, and must not see its passwords. Programs read
# either spelling, so both get the entries of both.
direct="127.0.0.1,localhost,::1"
direct_text="${NO_PROXY:-},${no_proxy:-}"
IFS=, read -r -a direct_entries <<< "${direct_text//[[:space:]]/,}"
for entry in "${direct_entries[@]}"; do
  [[ -z "$entry" || ",$direct," == *",$entry,"* ]] || direct+=",$entry"
done
export NO_PROXY="$direct" no_proxy="$direct"
# Compiled Python is generated, too.
export PYTHONPYCACHEPREFIX="$root/cache/pycache"
