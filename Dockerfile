# One image for a team's control, worker and gateway; which one it is, the command says:
#   docker build -t modelloop . && docker run modelloop --help
# Everything from PyPI is installed by hash. Pin the two bases by digest when you build for production.
FROM python:3.11-slim-bookworm AS build
WORKDIR /build
RUN python -m venv /opt/modelloop
COPY requirements/demo.txt requirements/demo.txt
RUN /opt/modelloop/bin/pip install --no-cache-dir --no-deps --require-hashes -r requirements/demo.txt
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN /opt/modelloop/bin/pip install --no-cache-dir --no-deps --no-build-isolation --no-index .

FROM python:3.11-slim-bookworm
# OpenMP, for LightGBM
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 modelloop \
    && useradd --uid 10001 --gid modelloop --no-create-home --home-dir /state --shell /usr/sbin/nologin modelloop \
    && install --directory --owner modelloop --group modelloop --mode 0700 /state
COPY --from=build /opt/modelloop /opt/modelloop
ENV PATH=/opt/modelloop/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    MODELLOOP_HOME=/state
WORKDIR /project
USER 10001:10001
ENTRYPOINT ["modelloop"]
CMD ["--help"]
