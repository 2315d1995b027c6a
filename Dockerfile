# The official multi-arch image (amd64, arm64), by digest. Tests replace it by their own Debian image.
ARG BASE_IMAGE=python:3.14.8-slim-trixie@sha256:f85c5697265c178cc6887276c55fe16cf3d14ca35c3df6a5eab3b360534a55d2

# The classic builder and BuildKit can both build this file.
FROM ${BASE_IMAGE} AS build
WORKDIR /build
# image/fill.py compiles only the modules that runs import.
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
# PYTHONNODEBUGRANGES leaves out the columns in tracebacks, a quarter of the byte code. Files that no run needs are
# removed: schemas for validators, docutils' writers of other formats, and cffi's compiler (cryptography needs only its
# run time). The last commands change the folder with cd, so that one layer is enough.
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
# setuptools-scm and similar tools read the version from git.
# It is Debian's newest git, with the fixes since the base image was made.
# hadolint ignore=DL3008
RUN command -v git || (apt-get update && apt-get install -y --no-install-recommends git && rm -rf /var/lib/apt/lists/*)
COPY --from=build /image /
# For Cloud Build and `docker run --entrypoint gar-publish`.
RUN ln -s /app/venv/bin/gar-publish /usr/local/bin/gar-publish && mkdir -m 700 /var/cache/uv
# Here builds run. In a volume, making their folders takes a third of the time that it takes in a layer.
VOLUME /srv/gar-publish
# The default is below HOME, which the runner mounts: files of root would stay there after the job.
ENV UV_CACHE_DIR=/var/cache/uv
# There is no USER line: only root can always write the files that the runner mounts (outputs, summary).
# Each project is built on a copy, as a user of its own, never as root.
# The first line of each script starts Python with -I (no PYTHON* variable, user site or working folder can add
# modules) and -u (output is not buffered).
LABEL org.opencontainers.image.title="gar-publish" \
    org.opencontainers.image.description="Publishes Python packages to Google Artifact Registry." \
    org.opencontainers.image.licenses="Apache-2.0"
ENTRYPOINT ["/app/entrypoint.py"]
