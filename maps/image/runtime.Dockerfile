# What every application's image stands on: a base with Python 3.11, and the locked packages in /opt/venv.
# For CPU and GPU alike; which one is a matter of the lock. Made by `monai-deploy package`, which makes the context:
# install.py, slim.py, stubs/, lock.txt, imports.txt, and wheels/. No step needs a network.
ARG BASE
FROM ${BASE} AS packages
ARG BUILD
LABEL map.build=${BUILD}
ARG SOURCE_DATE_EPOCH=1700000000
COPY . /build/
RUN command -v python3 > /dev/null || { echo "map-build: the base has no python3" >&2; exit 1; }; \
    exec python3 -B /build/install.py

FROM ${BASE}
# The interpreter's own installer, where a base has one: nothing is installed in a running container.
RUN rm -rf /usr/local/lib/python3*/site-packages/* /usr/local/lib/python3*/ensurepip /usr/local/bin/pip* /root/.cache
COPY --from=packages /opt/ /opt/
