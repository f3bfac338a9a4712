#!/usr/bin/env bash
# On a machine with a GPU: ResNet-18 on CIFAR-10, 30 epochs, expected over 93 % top-1.
#   bash benchmarks/gpu_cifar10.sh path/to/cifar10   (train/<class>/*.jpg, test/<class>/*.jpg)
# Not run by us yet: no GPU was at hand.
set -euo pipefail
make shards DATA="$1" SHARDS=build/cifar10
make train CONFIG=configs/cifar10_resnet18.yaml RUN=runs/gpu_cifar10
make eval CONFIG=configs/cifar10_resnet18.yaml RUN=runs/gpu_cifar10
