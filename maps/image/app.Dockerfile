# One application on the runtime: its graph, its networks, its documents and manifests.
# Made by `monai-deploy package`, which makes the context: tree/ (laid out as in the image), own/ (what the user
# of the container may write), finish.py, facts.json.
ARG RUNTIME
FROM ${RUNTIME} AS finish
ARG BUILD
LABEL map.build=${BUILD}
ARG SOURCE_DATE_EPOCH=1700000000
COPY . /build/
RUN ["/opt/venv/bin/python3", "-B", "/build/finish.py"]

FROM ${RUNTIME}
COPY --from=finish /build/tree/ /
COPY --from=finish --chown=1000:1000 /build/own/ /var/holoscan/
ENV PATH=/opt/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PYTHONPATH=/opt/holoscan/app \
    PYTHONPYCACHEPREFIX=/opt/pycache \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    USER=holoscan \
    TMPDIR=/tmp \
    XDG_CACHE_HOME=/tmp/.cache \
    LANG=C.UTF-8 \
    MAP_EMPTY_ON_FAILURE=1 \
    MAP_MODEL_PACKAGES=/opt/holoscan/model_packages \
    HOLOSCAN_INPUT_PATH=/var/holoscan/input \
    HOLOSCAN_OUTPUT_PATH=/var/holoscan/output \
    HOLOSCAN_WORKDIR=/var/holoscan \
    HOLOSCAN_APPLICATION=/opt/holoscan/app \
    HOLOSCAN_TIMEOUT=0 \
    HOLOSCAN_MODEL_PATH=/opt/holoscan/models \
    HOLOSCAN_DOCS=/opt/holoscan/docs \
    HOLOSCAN_DOCS_PATH=/opt/holoscan/docs \
    HOLOSCAN_CONFIG_PATH=/var/holoscan/app.yaml \
    HOLOSCAN_APP_MANIFEST_PATH=/etc/holoscan/app.json \
    HOLOSCAN_PKG_MANIFEST_PATH=/etc/holoscan/pkg.json \
    HOLOSCAN_LOGS=/var/holoscan/logs \
    HOLOSCAN_LOGS_PATH=/var/holoscan/logs \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER 1000:1000
WORKDIR /var/holoscan
ENTRYPOINT ["/opt/holoscan/tools"]
