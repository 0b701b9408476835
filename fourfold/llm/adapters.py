"""PEFT adapters beside one base model, switched per batch; the base answers with none active."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fourfold.errors import ModelError
from fourfold.llm.low_rank import LowRank, is_plain
from fourfold.llm.port import Adapter
from fourfold.llm.quiet import quiet_transformers


class Adapters:
    """The adapters used so far: LoRA by `low_rank`, others by PEFT's own layers.

    Args:
        base: the transformers model; PEFT puts its layers into it at the first adapter that needs them.
        name: of the base, for messages.
    """

    def __init__(self, base: Any, name: str) -> None:
        self.base = base
        self.name = name
        self._low_rank: dict[str, LowRank] = {}
        self._wrapped: Any = None
        self._in_peft: set[str] = set()

    @contextmanager
    def active(self, adapter: Adapter | None) -> Iterator[None]:
        """While open, the base answers with this adapter, or with none.

        Raises:
            ModelError: the adapter is not there or is none of this model.
        """
        if adapter is not None:
            self._load(adapter)
        if adapter is not None and adapter.digest in self._in_peft:
            self._wrapped.set_adapter(adapter.digest)
            yield
            return
        with self._without_peft():
            if adapter is None:
                yield
            else:
                with self._low_rank[adapter.digest].active():
                    yield

    @contextmanager
    def _without_peft(self) -> Iterator[None]:
        if self._wrapped is None:
            yield
        else:
            with self._wrapped.disable_adapter():
                yield

    def _load(self, adapter: Adapter) -> None:
        if adapter.digest in self._low_rank or adapter.digest in self._in_peft:
            return
        try:
            if is_plain(adapter.folder):
                self._low_rank[adapter.digest] = LowRank(self.base, adapter.folder)
            else:
                self._load_into_peft(adapter)
        except (ValueError, OSError, RuntimeError, KeyError) as error:
            raise ModelError(
                "the adapter cannot be loaded",
                seen=f"{adapter.folder}: {' '.join(str(error).split())[:300]}",
                expected=f"a PEFT adapter of {self.name}",
                hint="remove that folder and run the study again: it is tuned anew",
            ) from error

    def _load_into_peft(self, adapter: Adapter) -> None:
        with quiet_transformers():
            from peft import PeftModel

            if self._wrapped is None:
                self._wrapped = PeftModel.from_pretrained(self.base, adapter.folder, adapter_name=adapter.digest)
            else:
                self._wrapped.load_adapter(adapter.folder, adapter_name=adapter.digest)
        self._wrapped.eval()
        self._in_peft.add(adapter.digest)
