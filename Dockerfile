# The server in a container: docker build -t kvstore .
#   docker run -d -p 8500:8500 -v kvstore-data:/data -h consul kvstore -server -bootstrap
#
# BASE may be any Debian 12 or newer, for any machine that the dependencies have wheels for. Nothing
# of it lies below the image, which is one layer of the files that the server needs;
# image/rootfs.py gathers them. Only RUN and COPY as Docker 17.05 knew them: engines that need a
# key-value store are old.
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS root
RUN apt-get update \
 && apt-get install -y --no-install-recommends binutils python3 python3-venv \
 && rm -rf /var/lib/apt/lists/*
# Wheels alone, each with the hash it must have: no code of a dependency runs here.
COPY image/requirements.lock /build/
RUN python3 -m venv /build/venv \
 && /build/venv/bin/pip install --no-cache-dir --no-compile --only-binary :all: --require-hashes \
    --target /build/packages -r /build/requirements.lock
COPY kvstore /build/packages/kvstore
COPY LICENSE /build/packages/kvstore/
COPY image/rootfs.py /build/
# The time of every file; and compiled sets come in one order: the same files are the same layer.
ARG SOURCE_DATE_EPOCH=1767225600
RUN SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH} PYTHONHASHSEED=0 \
    python3 /build/rootfs.py /build/packages /build/root

FROM scratch
COPY --from=root /build/root /
LABEL org.opencontainers.image.title="kvstore" \
      org.opencontainers.image.description="A lightweight key-value server that speaks Consul's KV HTTP API" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="0.1.0"
# Where to listen is said in the weakest way, so that any flag or variable may say otherwise.
ENV KVSTORE_CONFIG=/etc/kvstore.toml KVSTORE_DATA_DIR=/data
USER 8500:8500
VOLUME /data
EXPOSE 8500
STOPSIGNAL SIGTERM
# A long journal takes its time at the start: a million keys, 3 s.
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 CMD ["kvstore", "health"]
ENTRYPOINT ["kvstore"]
CMD ["serve"]
