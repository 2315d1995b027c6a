# The official multi-arch image (amd64, arm64), by digest. Tests put a Debian base of their own in its place.
ARG BASE_IMAGE=python:3.14.8-slim-trixie@sha256:f85c5697265c178cc6887276c55fe16cf3d14ca35c3df6a5eab3b360534a55d2

# Everything below is plain Dockerfile: the classic builder and BuildKit both build it.
FROM ${BASE_IMAGE} AS build
WORKDIR /build
# Byte code is written once, by image/fill.py, of what runs need.
ENV PYTHONDONTWRITEBYTECODE=1
COPY requirements/*.txt requirements/
RUN python3 -m venv /tools \
    && /tools/bin/pip install --no-cache-dir --no-compile --require-hashes -r requirements/build.txt \
    && python3 -m venv --without-pip /app/venv \
    && /tools/bin/uv pip install --no-cache --python /app/venv --no-deps \
        --require-hashes -r requirements/action.txt \
    && /tools/bin/uv pip install --no-cache --python /app/venv --no-deps \
        --target /app/venv/share/gar-publish/backends --require-hashes -r requirements/backends.txt
COPY LICENSE README.md entrypoint.py pyproject.toml ./
COPY examples/hello examples/hello
COPY image image
COPY setup/*.py setup/
COPY src src
# Byte code does without columns of tracebacks, which are a quarter of it. What no run imports goes: schemas that a
# validator would read, docutils' writers of other formats, and cffi's compiler (cryptography needs its run time alone).
# Its last commands work in one folder after another, in one layer.
# hadolint ignore=DL3003
RUN /tools/bin/hatchling build -t wheel -d dist \
    && /tools/bin/uv pip install --no-cache --python /app/venv --no-deps dist/*.whl \
    && PYTHONDONTWRITEBYTECODE='' PYTHONNODEBUGRANGES=1 /app/venv/bin/python image/fill.py /image requirements/action-excludes.txt \
    && cp -r entrypoint.py setup /app \
    && cd /app/venv && rm -r bin/uvx share/gar-publish/backends/bin && cd lib/python3*/site-packages \
    && rm -r tests cffi cyclonedx/schema/_res packageurl/contrib/django packageurl/contrib/*purl* \
    && cd docutils/writers && rm -r docutils_xml.py latex2e manpage.py odf_odt pep_html s5_html xetex && cd /app/venv \
    && find . -name .lock -delete && find . -name __pycache__ -empty -delete \
    && mv /app /image/

FROM ${BASE_IMAGE}
# setuptools-scm and its kin ask git for the version, and SOURCE_DATE_EPOCH is the time of the last commit.
# Its version is Debian's newest, with what was mended since the base was made.
# hadolint ignore=DL3008
RUN command -v git || (apt-get update && apt-get install -y --no-install-recommends git && rm -rf /var/lib/apt/lists/*)
COPY --from=build /image /
# For Cloud Build and `docker run --entrypoint gar-publish`.
RUN ln -s /app/venv/bin/gar-publish /usr/local/bin/gar-publish
# The usual place would be below HOME, which the runner mounts: root's files would stay in it.
ENV UV_CACHE_DIR=/var/cache/uv
# There is no USER line: the runner mounts its files (outputs, summary) so that only root can be sure to write them.
# Everything that comes from the project is built on a copy by the user nobody, never as root.
# -I: no PYTHON* variable, user site or working folder can put code before ours. -u: lines appear as they are said.
LABEL org.opencontainers.image.title="gar-publish" \
    org.opencontainers.image.description="Publishes Python packages to Google Artifact Registry." \
    org.opencontainers.image.licenses="Apache-2.0"
ENTRYPOINT ["/app/venv/bin/python", "-Iu", "/app/entrypoint.py"]
