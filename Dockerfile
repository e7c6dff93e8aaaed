FROM python:3.13-slim AS build
WORKDIR /app
COPY requirements.txt .
RUN python -m venv .venv && .venv/bin/pip install --no-cache-dir --disable-pip-version-check -r requirements.txt

FROM python:3.13-slim
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1 HOST=0.0.0.0 PORT=8080 DB_PATH=/data/data.db
RUN useradd --uid 10001 --no-create-home kiro && install -d -o kiro -g kiro -m 0700 /data
WORKDIR /app
COPY --from=build /app/.venv .venv
COPY config.py wsgi.py gunicorn.conf.py LICENSE ./
COPY app app
COPY migrations migrations
USER 10001
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/healthz', timeout=4)"]
CMD ["gunicorn", "wsgi:app"]
