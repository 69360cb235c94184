#!/usr/bin/env bash
# MLflow's own pages over the tracking database of the stack, for people: models, runs, searches. `make mlflow` runs this.
#
# On loopback only, without a login. The pages can also change and delete; what decides forecasts (promotions, searches) is in
# the store and stays. The environment is its own, by its own lock: the wheels have mlflow-skinny, which has no pages.
set -euo pipefail
# shellcheck source=deploy/environment.sh
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
port="${ML_PIPELINE_MLFLOW_PORT:-5000}"
if [[ -z "${ML_PIPELINE_TRACKING_URI:-}" && ! -f "$root/mlflow.db" ]]; then
  echo "error: $root has no tracking database yet: run \`make run\` or \`energy run\` first" >&2
  exit 1
fi
# In the environment and not among the arguments: the address may hold a password, and every user can see arguments.
export MLFLOW_BACKEND_STORE_URI="${ML_PIPELINE_TRACKING_URI:-sqlite:///$root/mlflow.db?timeout=30}"
export MLFLOW_DISABLE_TELEMETRY=true DO_NOT_TRACK=1 MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false
echo "MLflow's pages: http://127.0.0.1:$port; Ctrl-C ends them"
exec "$root/venvs/mlflow/bin/mlflow" server --host 127.0.0.1 --port "$port" --workers 1 --no-serve-artifacts \
  --default-artifact-root "${ML_PIPELINE_ARTIFACTS_URI:-file://$root/artifacts}"
