"""The Triton kernels compile for a GPU that need not be there: the interpreter takes what the compiler refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

# One process for all: compiling needs Triton imported without its interpreter.
_CODE = """
import json, torch, triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from fourfold.kernels.segment_attention import triton_backward, triton_forward

IN_16_BITS = {"Q", "K", "V", "OUT", "DO", "DQ", "DK", "DV"}
IN_FP32 = {"LSE", "DELTA", "DK_PARTS", "DV_PARTS"}
TABLES = {"segments", "run_offsets", "runs", "query_tiles", "key_items", "key_entries", "split_tiles"}
KINDS = {"*bf16": IN_16_BITS, "*fp32": IN_FP32, "*i32": TABLES, "fp32": {"scale", "scale_log2"}}

def compile_one(kernel, d, tile):
    sizes = {"GROUP": 4, "D": d, "D_PAD": triton.next_power_of_2(d), "TILE": tile,
             "BLOCK": triton_forward.key_block(torch.bfloat16, tile)}
    sizes |= {f"{name}_dim": 1 for name in ("q", "k", "v", "do")}
    names = kernel.arg_names
    kinds = {name: next((kind for kind, those in KINDS.items() if name in those), "i32") for name in names}
    kinds |= {name: "constexpr" for name in names if name in sizes}
    aligned = {(place,): [["tt.divisibility", 16]] for place, name in enumerate(names)
               if kinds[name].startswith("*") or name.endswith(("_head", "_token"))}
    values = {(place,): sizes[name] for place, name in enumerate(names) if name in sizes}
    source = ASTSource(kernel, kinds, constexprs=values, attrs=aligned)
    made = triton.compile(source, target=GPUTarget("cuda", 90, 32), options={"num_warps": triton_forward.n_warps(tile)})
    return made.metadata.shared, made.asm["ptx"].count("wgmma.mma_async")

back = triton_backward
kernels = [triton_forward._forward, back._backward_q, back._backward_kv, back._sum_parts]
print(json.dumps([[d, tile, kernel.__name__, *compile_one(kernel, d, tile)]
                  for d, tile in ((64, 128), (128, 128)) for kernel in kernels]))
"""
# Shared memory that one program may take on an H100 or H200, bytes.
LIMIT = 227 * 1024


def test_kernels_compile_for_hopper_within_its_shared_memory(tmp_path: Path) -> None:
    pytest.importorskip("triton", reason="Triton is not installed")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _CODE],
        env={"PATH": "/usr/bin:/bin", "TRITON_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    assert len(found) == 8
    assert max(shared for *_, shared, _ in found) <= LIMIT
    # At 128 rows, products go to Hopper's tensor cores.
    assert all(n for _, _, name, _, n in found if name != "_sum_parts")
