#!/usr/bin/env bash
# What a machine without a network lacks, into build/luggage: packages for its Python (PYTHON_THERE, 3.12), some photographs, archives.
#   bash benchmarks/gpu_luggage.sh path/to/ILSVRC-or-a-sample path/to/imagenette-144.tar.xz [path/to/cifar10-jpeg.tar.xz]
set -euo pipefail
if [ $# -lt 1 ] || [ "$1" = -h ] || [ "$1" = --help ]; then
    echo "usage: bash benchmarks/gpu_luggage.sh PHOTOGRAPHS [ARCHIVE...]" >&2
    echo "  PHOTOGRAPHS: a folder of ImageNet's pictures, ARCHIVE: such as path/to/imagenette-144.tar.xz" >&2
    exit 2
fi
cd "$(dirname "$0")/.."
for given in "$@"; do
    [ -e "$given" ] || { echo "error: $given is not there: give a folder of photographs, then archives." >&2; exit 2; }
done
luggage=build/luggage
photographs=$1; shift
rm -rf $luggage
mkdir -p $luggage/photographs
.venv/bin/uv pip install --quiet --target $luggage/site --python-version "${PYTHON_THERE:-3.12}" --no-deps --constraints constraints.txt \
    pytest pluggy iniconfig packaging pygments webdataset braceexpand tqdm fsspec hypothesis sortedcontainers pyyaml
find "$photographs" -name '*.JPEG' -path '*train*' | sort | awk 'NR % 16 == 1' | head -60 |
    xargs -I{} cp {} $luggage/photographs/
for archive in "$@"; do cp "$archive" $luggage/; done
du -sh $luggage
