#!/usr/bin/env bash
# Makes every run behind README.md of this folder. Takes about an hour on two cores.
# Usage: PATHLENS_SHARED=../shared analyses/road/run.sh [FOLDER FOR CIFAR-10 AND RUNS]
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
shared=$(cd "${PATHLENS_SHARED:-$root/../shared}" && pwd)
work=${1:-/tmp/pathlens-road}
python=${PYTHON:-$root/.venv/bin/python}
pathlens() { "$python" -m pathlens "$@"; }
mkdir -p "$work" && cd "$work"

PATHLENS_SHARED=$shared "$python" "$root/analyses/shared_work.py" cifar10
resnet=$shared/data/weights/resnet20-12fca82f.th
squeezenet=$shared/data/weights/squeezenet1_1_imagenet_from_ncnn_fp16.pth
flowers=$shared/data/flowers128
floor=$root/analyses/road/floor.toml

pathlens train resnet20 --weights "$resnet" --data ./cifar10 --epochs 0 --plain --recipe "$floor" --run published
pathlens train resnet20 --weights "$resnet" --data ./cifar10 --epochs 2 --plain --recipe "$floor" \
    --run resnet20-cifar10-plain
pathlens train resnet20 --weights "$resnet" --data ./cifar10 --epochs 2 --recipe "$floor" --run resnet20-cifar10
pathlens train resnet20 --from resnet20-cifar10-plain --data ./cifar10 --epochs 2 --recipe "$floor" \
    --run decoupled-from-plain
pathlens train resnet20 --from resnet20-cifar10-plain --data ./cifar10 --epochs 2 \
    --recipe "$root/analyses/road/no_floor.toml" --run decoupled-from-plain-no-floor
pathlens train squeezenet1_1 --weights "$squeezenet" --data "$flowers" --epochs 2 --plain --recipe "$floor" \
    --run squeezenet1-1-flowers128-plain
pathlens train squeezenet1_1 --weights "$squeezenet" --data "$flowers" --epochs 2 --recipe "$floor" \
    --run squeezenet1-1-flowers128
pathlens record resnet20-cifar10
pathlens report runs/resnet20-cifar10/recordings/cifar10-test --layer 10
pathlens record squeezenet1-1-flowers128
pathlens report runs/squeezenet1-1-flowers128/recordings/flowers128-test

for table in runs:table path_swaps:swaps; do
    name=$root/analyses/road/${table%:*}.csv
    "$python" "$root/analyses/road/${table#*:}.py" runs > "$name.part"
    mv "$name.part" "$name"  # a table that is there is whole
done
