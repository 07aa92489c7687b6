#!/usr/bin/env bash
# Makes every run behind README.md of this folder. Takes about an hour on two cores.
# Usage: PATHLENS_SHARED=../shared analyses/road/run.sh [FOLDER FOR CIFAR-10 AND RUNS]
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
shared=$(cd "${PATHLENS_SHARED:-$root/../shared}" && pwd)
work=${1:-/tmp/pathlens-road}
pathlens=$root/.venv/bin/pathlens
mkdir -p "$work" && cd "$work"

[ -d cifar10 ] || python3 "$shared/data/cifar10/unpack.py" cifar10
resnet=$shared/data/weights/resnet20-12fca82f.th
squeezenet=$shared/data/weights/squeezenet1_1_imagenet_from_ncnn_fp16.pth
flowers=$shared/data/flowers128

$pathlens train resnet20 --weights "$resnet" --data cifar10 --epochs 0 --plain --run published
$pathlens train resnet20 --weights "$resnet" --data cifar10 --epochs 2 --plain --run plain
$pathlens train resnet20 --weights "$resnet" --data cifar10 --epochs 2 --run decoupled
$pathlens train resnet20 --from plain --data cifar10 --epochs 2 --plain --run plain-longer
$pathlens train resnet20 --from plain --data cifar10 --epochs 2 --run decoupled-from-plain
$pathlens record decoupled
$pathlens report runs/decoupled/recordings/cifar10-test --layer 10

$pathlens train squeezenet1_1 --weights "$squeezenet" --data "$flowers" --epochs 2 --plain --run flowers-plain
$pathlens train squeezenet1_1 --weights "$squeezenet" --data "$flowers" --epochs 2 --run flowers
$pathlens record flowers
$pathlens report runs/flowers/recordings/flowers128-test

"$root/.venv/bin/python" "$root/analyses/road/table.py" runs > "$root/analyses/road/runs.csv"
