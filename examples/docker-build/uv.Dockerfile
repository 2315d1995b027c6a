FROM ghcr.io/astral-sh/uv:python3.14-trixie-slim
WORKDIR /app
RUN uv venv
COPY requirements.txt .
# The secret is the install option, read as a requirements file. It exists only while this instruction runs, and in no layer.
RUN --mount=type=secret,id=gar \
    --mount=type=cache,target=/root/.cache/uv \
    uv pip install --require-hashes -r /run/secrets/gar -r requirements.txt
COPY main.py .
CMD [".venv/bin/python", "main.py"]
