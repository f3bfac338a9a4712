#!/usr/bin/env bash
# On a machine with a GPU: ResNet-50 memorises the 1,000 pictures of a Kaggle-like tree whose val pictures are among
# its train pictures; expected over 95 % on val. It shows that labels survive from the CSV to the prediction.
#   bash benchmarks/gpu_memorise.sh path/to/imagenet-sample
# Not run by us yet: no GPU was at hand.
set -euo pipefail
make shards DATA="$1" SHARDS=build/in1k
make train CONFIG=configs/imagenet_resnet50_90ep.yaml SHARDS=build/in1k RUN=runs/gpu_memorise \
    ARGS="--optim.epochs=60 --optim.global_batch=100 --optim.lr=0.05 --optim.lr_for_batch=null --optim.warmup_epochs=5
          --optim.weight_decay=0 --optim.label_smoothing=0 --data.augment.crop=centre --data.augment.flip=0
          --data.eval_resize=224 --data.lanes=8 --checkpoint.every_steps=null"
