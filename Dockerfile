# monet in a container: docker build -t monet . && docker run --gpus all -v DATA:/data -v RUNS:/runs monet
# The default build has CUDA and works without a GPU, too. A smaller one for CPUs alone: --build-arg TORCH_INDEX=URL, with
# the address of PyTorch's index of CPU wheels.
FROM python:3.11-slim-bookworm

ARG TORCH_INDEX=""
# Anything adds the studio and the bot, with PyAV: its wheels hold FFmpeg (LGPL 3 or later) with x264 and x265 (GPL 2 or
# later). Who passes on such an image passes these on, and has to offer their sources.
ARG SERVE=""

ENV PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore

WORKDIR /monet
COPY requirements.txt requirements-serve.txt constraints.txt ./
RUN if [ -n "$TORCH_INDEX" ]; then pip install --index-url "$TORCH_INDEX" torch torchvision -c constraints.txt; fi \
    && pip install -r requirements.txt -c constraints.txt \
    && if [ -n "$SERVE" ]; then pip install -r requirements-serve.txt -c constraints.txt; fi \
    && useradd --create-home --uid 1000 monet \
    && mkdir /data /runs \
    && chown monet:monet /runs
COPY monet monet
COPY pipelines pipelines

USER 1000:1000
VOLUME ["/data", "/runs"]
ENTRYPOINT ["python", "-m"]
CMD ["pipelines.submit", "--data", "/data", "--run", "/runs/first", "--resume", "--budget", "4h45m"]
