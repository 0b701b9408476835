"""The shipped configurations of accelerate are read by accelerate."""

from __future__ import annotations

from pathlib import Path

import pytest
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.utils import DistributedType

FOLDER = Path(__file__).parents[2] / "examples" / "tuning"
FILES = {
    "one_gpu.yaml": (DistributedType.NO, 1),
    "several_cpus.yaml": (DistributedType.MULTI_CPU, 2),
    "several_gpus.yaml": (DistributedType.MULTI_GPU, 4),
    "fsdp_qlora.yaml": (DistributedType.FSDP, 4),
}


def test_every_shipped_configuration_is_known_here() -> None:
    assert {path.name for path in FOLDER.glob("*.yaml")} == set(FILES)


@pytest.mark.parametrize("name", FILES)
def test_accelerate_reads_it(name: str) -> None:
    config = load_config_from_file(str(FOLDER / name))
    assert (config.distributed_type, config.num_processes) == FILES[name]
    # Autocast is the objective's own: a second one would round twice.
    assert config.mixed_precision == "no"


def test_fsdp_settings_are_those_of_its_plugin() -> None:
    from accelerate.utils import FullyShardedDataParallelPlugin

    known = set(FullyShardedDataParallelPlugin.__dataclass_fields__)
    settings = load_config_from_file(str(FOLDER / "fsdp_qlora.yaml")).fsdp_config
    assert settings["fsdp_version"] == 2
    assert {name.removeprefix("fsdp_") for name in settings} - {"version"} <= known
