# linnet serve with LiteRT, for amd64 and arm64:
#   docker build --tag linnet .
#   docker run --read-only --tmpfs /tmp --publish 127.0.0.1:8000:8000 --volume ./parts.linnet:/bundle.linnet:ro linnet
FROM debian:bookworm-slim AS build
RUN apt-get update && apt-get install --yes --no-install-recommends binutils python3-pip python3-venv
WORKDIR /source
COPY pyproject.toml README.md LICENSE constraints.txt ./
COPY devices devices
COPY edge_runtime edge_runtime
COPY train train
COPY convert convert
RUN python3 -m venv /linnet \
    && /linnet/bin/pip install --no-cache-dir --no-compile --constraint constraints.txt '.[litert,serve]' \
    && /linnet/bin/pip uninstall --yes setuptools pip
# What a server on the CPU never uses: the packages' own tests, LiteRT's WebGPU accelerator and its compiler's tool, and
# debug symbols. It takes 75 MB off the image.
RUN cd /linnet/lib/python3*/site-packages \
    && find . -name tests -type d -prune -exec rm -r {} + \
    && rm -f ai_edge_litert/libLiteRtWebGpuAccelerator.so ai_edge_litert/tools/apply_plugin_main \
    && strip --strip-unneeded ml_dtypes/*.so

FROM debian:bookworm-slim
RUN apt-get update && apt-get install --yes --no-install-recommends python3 && rm -rf /var/lib/apt/lists/*
COPY --from=build /linnet /linnet
ENV PATH=/linnet/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=30s --start-period=30s CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/v2/health/live', timeout=5)"]
STOPSIGNAL SIGTERM
# Within a container every address is its own; what `--publish` names can reach it.
ENTRYPOINT ["linnet", "serve", "/bundle.linnet", "--host", "0.0.0.0"]
