# Serves one model. From the root of the repository:
#   docker build --file docker/serve.Dockerfile --tag frostline-serve .
#   docker run --publish 127.0.0.1:8000:8000 --volume "$PWD/run:/model:ro" frostline-serve
FROM python:3.12-slim
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src src
RUN pip install --no-cache-dir --constraint constraints.txt .
RUN useradd --system frostline
USER frostline
WORKDIR /
EXPOSE 8000
HEALTHCHECK CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/health', timeout=5)"]
ENTRYPOINT ["frostline", "serve", "/model", "--host", "0.0.0.0"]
