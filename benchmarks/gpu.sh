#!/usr/bin/env bash
# All GPU tests and GPU benchmarks of the kernels in one call of at most 10 minutes, on one idle GPU:
#
#     benchmarks/gpu.sh [FOLDER]
#
# Writes its log and copies of the CSVs that it appended to into FOLDER (default: runs/gpu). The tests come first, since a
# figure of a wrong kernel is none; a benchmark that fails does not keep the others from running, but the script then
# exits 1. PYTHON names the interpreter: one with torch for CUDA, triton, transformers, peft and pytest.
set -uo pipefail
cd "$(dirname "$0")/.."
python="${PYTHON:-.venv/bin/python}"
out="${1:-runs/gpu}"
mkdir -p "$out"
failed=0

step() { # seconds, command
    local limit=$1
    shift
    echo "== $* (at most $limit s)"
    timeout "$limit" "$@" || { echo "== failed with $?: $*"; failed=1; }
}

{
    "$python" -c 'import torch, triton; print(torch.__version__, triton.__version__, torch.cuda.get_device_name())' || exit 1
    step 180 "$python" -m pytest -q tests/kernels
    step 120 "$python" benchmarks/span_cross_entropy.py
    step 180 "$python" benchmarks/segment_attention.py
    step 100 "$python" benchmarks/tuning_step.py 512/64/4 512/64/8
    cp benchmarks/span_cross_entropy.csv benchmarks/segment_attention.csv benchmarks/tuning_step.csv "$out" 2> /dev/null
    exit "$failed"
} 2>&1 | tee "$out/log.txt"
exit "${PIPESTATUS[0]}"
