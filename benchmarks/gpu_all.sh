#!/usr/bin/env bash
# Everything that only a GPU can prove, in at most 8 minutes, one verdict a line (benchmarks/gpu/__main__.py tells all).
#
#   bash benchmarks/gpu_luggage.sh FOLDER_WITH_PHOTOGRAPHS ARCHIVE...    here: what the other machine lacks, into build/luggage
#   bash benchmarks/gpu_all.sh --luggage build/luggage --out OUT         there: no network is needed, and nothing installed
#   bash benchmarks/gpu_all.sh --rehearse                                anywhere: tiny sizes on the CPU, every line of it runs
#
# PY chooses the interpreter (python3 where there is no .venv); it needs torch and torchvision, a C compiler does the rest.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ -z "${PY:-}" ]; then PY=$([ -x .venv/bin/python ] && echo .venv/bin/python || echo python3); fi
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
# Packages of the luggage only where there are none: they were made for another Python.
"$PY" -c 'import pytest, hypothesis, webdataset, tqdm, fsspec, yaml' 2>/dev/null ||
    PYTHONPATH="$PYTHONPATH:$PWD/build/luggage/site"
exec "$PY" -m benchmarks.gpu "$@"
