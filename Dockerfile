# The official multi-arch image (amd64, arm64), by digest. Tests put a Debian base of their own in its place.
ARG BASE_IMAGE=python:3.14.8-slim-trixie@sha256:f85c5697265c178cc6887276c55fe16cf3d14ca35c3df6a5eab3b360534a55d2

# Everything below is plain Dockerfile: the classic builder and BuildKit both build it.
FROM ${BASE_IMAGE} AS build
WORKDIR /build
COPY requirements requirements
RUN python3 -m venv /tools \
    && /tools/bin/pip install --no-cache-dir --require-hashes -r requirements/build.txt \
    && python3 -m venv --without-pip /app/venv \
    && /tools/bin/uv pip install --no-cache --compile-bytecode --python /app/venv --no-deps \
        --require-hashes -r requirements/action.txt
COPY . .
RUN /tools/bin/hatchling build -t wheel -d dist \
    && /tools/bin/uv pip install --no-cache --compile-bytecode --python /app/venv --no-deps dist/*.whl

FROM ${BASE_IMAGE}
# setuptools-scm and its kin ask git for the version, and SOURCE_DATE_EPOCH is the time of the last commit.
RUN command -v git || (apt-get update && apt-get install -y --no-install-recommends git && rm -rf /var/lib/apt/lists/*)
COPY --from=build /app/venv /app/venv
COPY entrypoint.py /app/
COPY setup/main.py setup/post.py /app/setup/
# For Cloud Build and `docker run --entrypoint gar-publish`.
RUN ln -s /app/venv/bin/gar-publish /usr/local/bin/gar-publish
# The usual place would be below HOME, which the runner mounts: root's files would stay in it.
ENV UV_CACHE_DIR=/var/cache/uv
# There is no USER line: the runner mounts its files (outputs, summary) so that only root can be sure to write them.
# Everything that comes from the project is built on a copy by the user nobody, never as root.
# -I: no PYTHON* variable, user site or working folder can put code before ours. -u: lines appear as they are said.
ENTRYPOINT ["/app/venv/bin/python", "-Iu", "/app/entrypoint.py"]
