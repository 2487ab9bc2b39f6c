# The server in a container: docker build -t kvstore .
#   docker run -d -p 8500:8500 -v kvstore-data:/data kvstore
# BASE may be any Debian 12 or newer image; nothing but Debian and PyPI is asked for.
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3 python3-venv \
 && rm -rf /var/lib/apt/lists/*
COPY pyproject.toml README.md LICENSE /src/
COPY kvstore /src/kvstore
COPY conformance /src/conformance
RUN python3 -m venv /opt/kvstore \
 && /opt/kvstore/bin/pip install --no-cache-dir /src \
 && /opt/kvstore/bin/pip uninstall -y pip setuptools

FROM ${BASE}
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3 \
 && apt-get clean && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 8500 --home-dir /data --create-home --shell /usr/sbin/nologin kvstore
COPY --from=build /opt/kvstore /opt/kvstore
ENV KVSTORE_HOST=0.0.0.0 KVSTORE_DATA_DIR=/data
USER kvstore
VOLUME /data
EXPOSE 8500
STOPSIGNAL SIGTERM
ENTRYPOINT ["/opt/kvstore/bin/kvstore"]
CMD ["serve"]
