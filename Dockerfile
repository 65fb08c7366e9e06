# syntax=docker/dockerfile:1
# NQ Gateway: the hot path compiled, nothing else but what it needs, no secret in any layer or variable.
#
#   docker build --build-arg SOURCE_DATE_EPOCH=$(git log -1 --format=%ct) -t nqgate .
#
# Both bases are Debian 12 with the Python on which the tests run. To pin them to bytes, hand their digests over:
#   docker buildx imagetools inspect python:3.11-slim-bookworm --format '{{.Manifest.Digest}}'
#   docker build --build-arg RUN_IMAGE=python:3.11-slim-bookworm@sha256:… --build-arg BUILD_IMAGE=python:3.11-bookworm@sha256:… .
ARG BUILD_IMAGE=python:3.11-bookworm
ARG RUN_IMAGE=python:3.11-slim-bookworm

# ---- the wheel, and what it needs: every archive by its hash ----
FROM ${BUILD_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
COPY requirements-build.txt requirements-image.txt ./
RUN python3 -m venv /build/tools \
 && /build/tools/bin/pip install --quiet --require-hashes --only-binary :all: -r requirements-build.txt -r requirements-image.txt \
 && python3 -m venv --without-pip /opt/nqgate \
 && /build/tools/bin/pip --python /opt/nqgate/bin/python install --quiet --require-hashes --only-binary :all: -r requirements-image.txt
COPY pyproject.toml setup.py MANIFEST.in README.md LICENSE ./
COPY gateway gateway/
COPY keystore keystore/
ARG SOURCE_DATE_EPOCH=0
RUN NQGATE_NATIVE=1 SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH} \
    /build/tools/bin/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir /build/wheel . \
 && /build/tools/bin/pip --python /opt/nqgate/bin/python install --quiet --no-deps --no-index /build/wheel/*.whl

# ---- what runs ----
FROM ${RUN_IMAGE}
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="NQ Gateway" \
      org.opencontainers.image.description="An S3-compatible authenticating gateway" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="python:3.11-slim-bookworm"
# The name is for the audit log only: any other uid does as well.
RUN groupadd --system --gid 10001 nqgate \
 && useradd --system --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/nqgate --shell /usr/sbin/nologin nqgate \
 && install -d -m 0755 /etc/nqgate \
 && install -d -m 0750 -o 10001 -g 10001 /var/lib/nqgate /var/lib/nqgate/spool
COPY --from=build /opt/nqgate /opt/nqgate
ENV PATH=/opt/nqgate/bin:$PATH \
    NQGATE_CONFIG=/etc/nqgate/gateway.toml
WORKDIR /var/lib/nqgate
USER 10001:10001
# The only folder that is written, beside a tmpfs on /tmp: the root file system may be read-only.
VOLUME ["/var/lib/nqgate"]
EXPOSE 9000 9001
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["nqgate", "ready"]
ENTRYPOINT ["nqgate"]
CMD ["serve"]
