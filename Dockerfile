# The operator, and nothing of the playground.
FROM python:3.13-slim AS build
WORKDIR /src
COPY pyproject.toml README.md ./
COPY src ./src
RUN pip install --no-cache-dir --prefix=/install .

FROM python:3.13-slim
COPY --from=build /install /usr/local
USER 10001
ENTRYPOINT ["gradatim"]
CMD ["operator"]
