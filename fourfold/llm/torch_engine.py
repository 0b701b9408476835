"""The torch engine: transformers weights in process, length-sorted batches decoded greedily.

Adapters are PEFT folders, loaded beside the base and switched per batch; the base answers with none active.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Never

from jinja2 import TemplateError

from fourfold.errors import ModelError
from fourfold.llm.nf4 import round_to_nf4
from fourfold.llm.port import Adapter, Chat, RawCompletion, Sampling
from fourfold.llm.quiet import quiet_transformers
from fourfold.llm.weights import Weights, ensure_converted, read_config
from fourfold.study import ModelSettings

if TYPE_CHECKING:
    import torch

# Part of every generation's key: raise when the same request would be answered with other tokens.
ENGINE = "torch-2"


class TorchEngine:
    """One model in this process; weights load at the first `complete` or `load`.

    Args:
        weights: where the model is.
        settings: dtype and quantisation.
        device: 'cpu', 'cuda' or 'cuda:N'.
    """

    def __init__(self, weights: Weights, settings: ModelSettings, *, device: str) -> None:
        self.weights = weights
        self.settings = settings
        self.device = device
        self._tokenizer: Any = None
        self._model: Any = None
        self._end_ids: frozenset[int] = frozenset()
        self._adapters: set[str] = set()

    @property
    def identity(self) -> Mapping[str, str]:
        """What a generation depends on beside its prompt and adapter. The tokenizer is part of the weights' digest."""
        return {
            "engine": ENGINE,
            "weights": self.weights.digest,
            "quantisation": self.settings.quantisation,
            "dtype": self.settings.dtype,
        }

    @property
    def context_tokens(self) -> int:
        """The model's position limit, tokens.

        Raises:
            ModelError: its configuration names none.
        """
        ensure_converted(self.weights)
        config = read_config(self.weights)
        # Models that also read pictures nest their text settings; GPT-2's family has a name of its own.
        for settings in (config, config.get("text_config") or {}):
            for name in ("max_position_embeddings", "n_positions"):
                if name in settings:
                    return int(settings[name])
        raise ModelError(
            "the model's context length is unknown",
            seen=f"{self.weights.name}: config.json has no max_position_embeddings",
            expected="a model that states how many tokens it reads",
            hint="name another model in the study file",
        )

    @property
    def tokenizer(self) -> Any:
        """The tokenizer, padding on the left.

        Raises:
            ModelError: it cannot be read, or has no chat template or no end token.
        """
        if self._tokenizer is None:
            ensure_converted(self.weights)
            with quiet_transformers():
                from transformers import AutoTokenizer

                try:
                    tokenizer = AutoTokenizer.from_pretrained(
                        self.weights.folder, padding_side="left", local_files_only=True
                    )
                except (ValueError, OSError, LookupError) as error:
                    _refuse(self.weights, error, expected="a tokenizer.json that transformers reads")
            if not tokenizer.chat_template or tokenizer.eos_token_id is None:
                raise ModelError(
                    "the model cannot be used for chat",
                    seen=f"{self.weights.name}: no {'end token' if tokenizer.chat_template else 'chat template'}",
                    expected="an instruction-tuned model with a chat template and an end token",
                    hint="name the '-Instruct' or '-it' form of the model",
                )
            if tokenizer.pad_token_id is None:
                tokenizer.pad_token = tokenizer.eos_token
            self._tokenizer = tokenizer
        return self._tokenizer

    def render(self, chat: Chat) -> str:
        """The prompt's text, the assistant's turn opened.

        Raises:
            ModelError: the chat template refuses the chat, as some refuse a system prompt.
        """
        turns = [{"role": message.role, "content": message.content} for message in chat]
        try:
            text: str = self.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        except TemplateError as error:
            raise ModelError(
                "the model's chat template refuses the prompt",
                seen=f"{self.weights.name}: {error}",
                expected=f"a template that takes turns of {', '.join(message.role for message in chat)}",
                hint="name another model in the study file",
            ) from error
        return text

    def encode(self, chats: Sequence[Chat]) -> list[tuple[int, ...]]:
        """Token ids of each prompt."""
        if not chats:
            return []
        texts = [self.render(chat) for chat in chats]
        # The template writes the special tokens itself.
        # A prompt that is too long is refused by `generate`; the tokenizer need not warn of it.
        return [tuple(ids) for ids in self.tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]]

    def load(self) -> Any:
        """The base model (a transformers model, or the PEFT model around it once an adapter was used)."""
        if self._model is None:
            self._model = load_base(self.weights, self.settings, device=self.device)
            # Torch multiplies differently for weights that want gradients, and PEFT freezes them with the first
            # adapter: without this the base would answer otherwise after it than before.
            self._model.requires_grad_(False)
            # Of a prompt only the last position goes through the head, as a strided slice; torch would multiply it row
            # by row with a copy of the head for each: 3.4 GB for 60 rows of SmolLM2-135M.
            self._model.get_output_embeddings().register_forward_pre_hook(lambda _, args: (args[0].contiguous(),))
            self._end_ids = _end_ids(self.tokenizer.eos_token_id, self._model.generation_config.eos_token_id)
        return self._model

    def complete(
        self, prompts: Sequence[tuple[int, ...]], sampling: Sampling, adapter: Adapter | None
    ) -> list[RawCompletion]:
        """One batch, decoded greedily together."""
        import torch

        tokenizer = self.tokenizer
        self.load()
        padded = tokenizer.pad({"input_ids": [list(prompt) for prompt in prompts]}, return_tensors="pt").to(self.device)
        width = padded["input_ids"].shape[1]
        steps: list[torch.Tensor] = []

        def note(_written: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
            # Kept as one number a row: the logits of a whole batch would be gigabytes.
            steps.append(_greedy_logprob(logits))
            return logits

        with torch.inference_mode(), self._activate(adapter):
            # _activate may have wrapped the model, so it is read only now.
            sequences = self._model.generate(
                **padded,
                max_new_tokens=sampling.max_tokens,
                do_sample=False,
                logits_processor=[note],
                pad_token_id=tokenizer.pad_token_id,
                eos_token_id=sorted(self._end_ids),
            )
        written = sequences[:, width:]
        logprobs = torch.stack(steps, dim=1)
        return [self._row(ids, row) for ids, row in zip(written.tolist(), logprobs.tolist(), strict=True)]

    def _row(self, ids: list[int], logprobs: list[float]) -> RawCompletion:
        ends = [at for at, token in enumerate(ids, start=1) if token in self._end_ids]
        stopped = bool(ends)
        length = ends[0] if ends else len(ids)
        return RawCompletion(
            text=self.tokenizer.decode(ids[:length], skip_special_tokens=True).strip(),
            token_ids=tuple(ids[:length]),
            logprobs=tuple(logprobs[:length]),
            finish_reason="stop" if stopped else "length",
        )

    def _activate(self, adapter: Adapter | None) -> AbstractContextManager[object]:
        if adapter is None:
            disabled: AbstractContextManager[object] = (
                self._model.disable_adapter() if self._adapters else nullcontext()
            )
            return disabled
        name = adapter.digest[:16]
        if name not in self._adapters:
            self._load_adapter(adapter, name)
        self._model.set_adapter(name)
        return nullcontext()

    def _load_adapter(self, adapter: Adapter, name: str) -> None:
        with quiet_transformers():
            from peft import PeftModel

            try:
                if self._adapters:
                    self._model.load_adapter(adapter.folder, adapter_name=name)
                else:
                    self._model = PeftModel.from_pretrained(self._model, adapter.folder, adapter_name=name)
            except (ValueError, OSError, RuntimeError) as error:
                raise ModelError(
                    "the adapter cannot be loaded",
                    seen=f"{adapter.folder}: {' '.join(str(error).split())[:300]}",
                    expected=f"a PEFT adapter of {self.weights.name}",
                    hint="remove that folder and run the study again: it is tuned anew",
                ) from error
        self._adapters.add(name)
        self._model.eval()


def load_base(weights: Weights, settings: ModelSettings, *, device: str) -> Any:
    """The base model that every arm trains and answers on: resident, rounded to NF4 where the study says so.

    It decodes greedily and plainly: of the generation settings that come with a model only the end tokens are kept,
    so that no repetition penalty or the like stands between two models.

    Raises:
        ModelError: transformers cannot load it, its files lack weights, or nothing of it can be rounded.
    """
    import torch
    from safetensors import SafetensorError

    ensure_converted(weights)
    with quiet_transformers():
        from transformers import AutoModelForCausalLM, GenerationConfig

        try:
            model, found = AutoModelForCausalLM.from_pretrained(
                weights.folder,
                dtype=getattr(torch, settings.dtype),
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
                output_loading_info=True,
            )
        except (ValueError, OSError, RuntimeError, ImportError, SafetensorError) as error:
            _refuse(weights, error, expected="a causal language model that transformers knows, as safetensors")
        if found["missing_keys"]:
            # transformers fills them with random numbers.
            missing = sorted(found["missing_keys"])
            _refuse(
                weights,
                f"{len(missing)} weight(s) are missing, {missing[0]} among them",
                expected="files with every weight that config.json asks for",
            )
        model.generation_config = GenerationConfig(eos_token_id=model.generation_config.eos_token_id)
        if settings.quantisation == "nf4" and round_to_nf4(model) == 0:
            raise ModelError(
                "the model cannot be rounded to NF4",
                seen=f"{weights.name}: no torch.nn.Linear beside its output head",
                expected="a model made of linear layers",
                hint="set model.quantisation to none, or name another model",
            )
    return model.to(device).eval()


def _end_ids(of_tokenizer: int, of_model: int | list[int] | None) -> frozenset[int]:
    """Tokens that end an answer: a chat model may end a turn with another one than its text (Gemma, Llama 3)."""
    others = of_model if isinstance(of_model, list) else [of_model]
    return frozenset({of_tokenizer, *(token for token in others if token is not None)})


def _refuse(weights: Weights, error: object, *, expected: str) -> Never:
    raise ModelError(
        "the model cannot be loaded",
        seen=f"{weights.name}: {' '.join(str(error).split())[:300]}",
        expected=expected,
        hint="name another model in the study file",
    ) from (error if isinstance(error, Exception) else None)


def _greedy_logprob(logits: torch.Tensor) -> torch.Tensor:
    """Natural log-probabilities [B] of the likeliest ids, which greedy decoding writes, under logits [B, V]."""
    wide = logits.float()
    return wide.amax(dim=1) - wide.logsumexp(dim=1)
