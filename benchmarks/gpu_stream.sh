#!/usr/bin/env bash
# On a machine with a GPU: streaming tiled shards against one batch kept on the device, then decode=cuda on two cores.
#   bash benchmarks/gpu_stream.sh path/to/ILSVRC-or-imagenet-sample
# Not run by us yet: no GPU was at hand.
set -euo pipefail
if ! .venv/bin/python -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then
    echo "No GPU is at hand: nothing was measured. Run this on a machine with a CUDA device."
    exit 0
fi
make shards DATA="$1" SHARDS=build/gpu_stream
.venv/bin/python -m benchmarks.gpu_stream build/gpu_stream --batch 256 512 1024
taskset -c 0,1 .venv/bin/python -m benchmarks.gpu_stream build/gpu_stream --batch 512 --decode cuda cpu --workers 1 2
