# Sourced by what runs on one machine: takes from .env what the environment does not say, and makes the root folder absolute.
repository="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
if [[ -f "$repository/.env" ]]; then
  while IFS='=' read -r name value; do
    if [[ "$name" =~ ^ML_PIPELINE_[A-Z_]+$ && -n "$value" && -z "${!name+set}" ]]; then export "$name=$value"; fi
  done < "$repository/.env"
fi
root="${ML_PIPELINE_ROOT_DIR:-$repository/.energy}"
[[ "$root" = /* ]] || root="$repository/$root"
export ML_PIPELINE_ROOT_DIR="$root"
