# Two images: `operator` (the last stage, so the default) and `relay`, with Postfix beside the agent.
#   docker build --tag sendroute .
#   docker build --tag sendroute-relay --target relay .

# What is installed is in the locks, with hashes. The base is pinned by its digest.
ARG BASE=python:3.13.14-slim-bookworm@sha256:67a1e1f215ccda113cfc024e8639049257e88f273898f595b61476d128d387e8

FROM ${BASE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /source
COPY tests/requirements/ tests/requirements/
RUN python -m venv /tools \
    && /tools/bin/pip install --require-hashes --requirement tests/requirements/locked.txt \
    # pip stays behind: the result has no installer.
    && python -m venv --without-pip /opt/sendroute \
    && /tools/bin/pip --python /opt/sendroute/bin/python install \
         --require-hashes --requirement tests/requirements/runtime.txt \
    # The asynchronous half of the Kubernetes client is a quarter of the image, and never imported.
    && rm -r /opt/sendroute/lib/python*/site-packages/kubernetes/aio
COPY pyproject.toml README.md LICENSE ./
COPY operator/ operator/
RUN /tools/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
    && /tools/bin/pip --python /opt/sendroute/bin/python install --no-deps --no-index /wheels/*.whl

FROM ${BASE} AS relay
# The ids are those of the chart's security contexts.
# hadolint ignore=DL3008
RUN groupadd --gid 64647 postfix \
    && groupadd --gid 64648 postdrop \
    && useradd --no-log-init --uid 64647 --gid 64647 --no-create-home \
         --home-dir /var/spool/postfix --shell /usr/sbin/nologin postfix \
    && apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
         postfix postfix-sqlite libsasl2-modules libsasl2-modules-db \
    && rm -rf /var/lib/apt/lists/* \
    # The chart copies these into a volume and adds main.cf; the image's own is never used.
    && mkdir -p /usr/share/sendroute/postfix \
    && cp -R /etc/postfix/. /usr/share/sendroute/postfix/ \
    && cp /usr/share/postfix/master.cf.dist /usr/share/sendroute/postfix/master.cf \
    && cp /usr/share/postfix/dynamicmaps.cf /usr/share/sendroute/postfix/dynamicmaps.cf \
    && rm -f /usr/share/sendroute/postfix/main.cf \
    && install -d -m 0750 -o root -g postfix /var/lib/sendroute-relay
COPY --from=build /opt/sendroute /opt/sendroute
ENV PATH=/opt/sendroute/bin:$PATH PYTHONDONTWRITEBYTECODE=1
WORKDIR /var/lib/sendroute-relay
# Postfix starts as root, and only root may reload it. docs/kubernetes.md says which capabilities
# the two containers keep.
ENTRYPOINT ["sendroute"]
CMD ["--help"]

FROM ${BASE} AS operator
RUN groupadd --gid 64646 sendroute \
    && useradd --no-log-init --uid 64646 --gid 64646 --no-create-home \
         --home-dir /var/lib/sendroute --shell /usr/sbin/nologin sendroute \
    && install -d -m 0700 -o sendroute -g sendroute /var/lib/sendroute
COPY --from=build /opt/sendroute /opt/sendroute
ENV PATH=/opt/sendroute/bin:$PATH PYTHONDONTWRITEBYTECODE=1
WORKDIR /var/lib/sendroute
USER 64646:64646
ENTRYPOINT ["sendroute"]
CMD ["--help"]
