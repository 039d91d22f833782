# Every command of Frostline, on the folder that is mounted at /work. From the root of the repository:
#   docker build --file docker/fit.Dockerfile --tag frostline .
#   docker run --rm --user "$(id -u):$(id -g)" --volume "$PWD:/work" frostline fit photos/ -o run
# With PyTorch, for training layers and any other network: --build-arg EXTRAS=train
FROM python:3.12-slim
ARG EXTRAS=""
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src src
RUN pip install --no-cache-dir --constraint constraints.txt ".${EXTRAS:+[$EXTRAS]}"
# whoever runs it may keep what was computed: --volume frostline-cache:/cache
RUN mkdir --mode 1777 /work /cache
ENV FROSTLINE_CACHE=/cache
WORKDIR /work
ENTRYPOINT ["frostline"]
CMD ["--help"]
