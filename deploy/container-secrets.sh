#!/usr/bin/env bash
# Generate the passwords of the container set-up, each into a file that only its owner reads, and airflow/.env.
#
#   deploy/container-secrets.sh      what exists stays; delete a file (and what it opens) to have a new one
#   deploy/container-secrets.sh --help
#
# The files go to ML_PIPELINE_ROOT_DIR/containers (default .energy/containers). Nothing is printed but where they are.
set -euo pipefail

if [[ "${1:-}" == "--help" || "${1:-}" == "-h" ]]; then
  sed -n '2,/^set /p' "$0" | sed -e '/^set /d' -e 's/^# \{0,1\}//'
  exit 0
fi
command -v openssl > /dev/null || { echo "error: openssl is needed to generate passwords" >&2; exit 1; }

repository="$(cd "$(dirname "$0")/.." && pwd)"
root="${ML_PIPELINE_ROOT_DIR:-$repository/.energy}"
[[ "$root" = /* ]] || root="$repository/$root"
secrets="$root/containers"
umask 077
mkdir -p "$secrets"
chmod 700 "$secrets"

# write_once NAME: keep the file if it is there, else make it whole from standard input.
write_once() {
  if [[ -s "$secrets/$1" ]]; then cat > /dev/null; else cat > "$secrets/$1.unfinished" && mv "$secrets/$1.unfinished" "$secrets/$1"; fi
}
read_secret() { cat "$secrets/$1"; }

for name in index-password postgres-password redis-password airflow-api-secret airflow-jwt-secret; do
  openssl rand -hex 32 | write_once "$name"
done
openssl rand -base64 32 | tr '+/' '-_' | write_once airflow-fernet-key
openssl rand -hex 16 | write_once airflow-viewer-password
openssl rand -hex 16 | write_once airflow-watch-password
printf '{"admin": "%s", "viewer": "%s", "watch": "%s"}\n' "$(openssl rand -hex 16)" "$(read_secret airflow-viewer-password)" \
  "$(read_secret airflow-watch-password)" | write_once airflow-passwords.json
# SHA-512 crypt: pypiserver's reader fails on bcrypt 5. The password goes in by standard input, not as an argument.
printf 'ml-pipeline:%s\n' "$(read_secret index-password | openssl passwd -6 -stdin)" | write_once htpasswd
printf 'machine index login ml-pipeline password %s\n' "$(read_secret index-password)" | write_once netrc
printf 'postgres:5432:*:airflow:%s\n' "$(read_secret postgres-password)" | write_once pgpass
printf 'requirepass %s\n' "$(read_secret redis-password)" | write_once redis.conf
printf 'redis://:%s@redis:6379/0\n' "$(read_secret redis-password)" | write_once airflow-broker-url
# Keys of an object store, as environment variables of the tasks; empty until you need them.
[[ -e "$secrets/object-store.env" ]] || : > "$secrets/object-store.env"

# Containers run as the owner of the files, never as root.
uid="$(id -u)"
if [[ "$uid" == 0 ]]; then
  uid=50000
  chown -R "$uid" "$secrets"
fi

settings="$repository/airflow/.env"
if [[ ! -e "$settings" ]]; then
  sed -e "s|^ML_PIPELINE_UID=.*|ML_PIPELINE_UID=$uid|" -e "s|^ML_PIPELINE_SECRETS_DIR=.*|ML_PIPELINE_SECRETS_DIR=$secrets|" \
    "$repository/airflow/.env.default" > "$settings"
fi
echo "passwords: $secrets"
echo "settings:  $settings"
