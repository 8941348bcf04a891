# VIVA without the playground and the embedded Postgres: set DATABASE_URL.
FROM python:3.12-slim AS build
COPY requirements.lock /src/
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir --require-hashes -r /src/requirements.lock
COPY . /src
RUN /venv/bin/pip install --no-cache-dir --no-deps /src

FROM python:3.12-slim
RUN useradd --uid 10001 --create-home --home-dir /data viva
COPY --from=build /venv /venv
USER viva
WORKDIR /data
ENV VIVA_HOME=/data PYTHONUNBUFFERED=1
VOLUME /data
ENTRYPOINT ["/venv/bin/viva"]
CMD ["serve"]
