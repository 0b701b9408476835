"""Preference tuning through TRL: the reference preferred to a wrong answer of the base, on the same prompt.

Source: Rafailov et al. 2023 (DPO, arXiv 2305.18290, eq. 7); the loss is TRL's. Our part is the pairs: prompts are the
arms' token ids as they are, and a rejected answer is one that the base itself gave from a passage beside the gold, or
from memory, where it does not state the key facts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fourfold.errors import ModelError, QuestionError
from fourfold.llm.load import load_tokenizer
from fourfold.llm.weights import Weights
from fourfold.study import TuningSettings
from fourfold.tuning.rows import ChatTokenizer, TuningRow
from fourfold.tuning.trainer import on_one_device
from fourfold.types import Question


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    """A row whose answer is preferred to `rejected_ids`, end token included."""

    row: TuningRow
    rejected_ids: tuple[int, ...]


def wrong_answers(
    engine: ChatTokenizer,
    questions: Sequence[Question],
    answers: Mapping[str, str],
    is_correct: Callable[[str, Question], bool],
) -> dict[str, tuple[int, ...]]:
    """By question id, token ids of the answers that are wrong; others cannot be rejected.

    Args:
        engine: encodes as the arms do.
        questions: tuning questions.
        answers: what the base said, by question id.
        is_correct: whether an answer states the question's key facts.

    Raises:
        QuestionError: there is none.
    """
    wrong = {
        q.question_id: answers[q.question_id]
        for q in questions
        if answers.get(q.question_id, "") and not is_correct(answers[q.question_id], q)
    }
    if not wrong:
        raise QuestionError(
            "there is no pair to prefer in",
            seen=f"{len(questions)} tuning question(s), none with a wrong answer of the base",
            expected="at least one answer that does not state its question's key facts",
            hint="set tuning.dpo_rejected to the other source, or tuning.objective to sft",
        )
    ids = engine.tokenizer(list(wrong.values()), add_special_tokens=False, split_special_tokens=True)["input_ids"]
    end = engine.tokenizer.eos_token_id
    return {name: (*one, end) for name, one in zip(wrong, ids, strict=True)}


def preference_trainer(
    peft_model: Any,
    pairs: Sequence[Preference],
    weights: Weights,
    *,
    tuning: TuningSettings,
    arguments: Mapping[str, Any],
) -> Any:
    """TRL's trainer over our token ids, in the order given; the reference model is the base without the adapter.

    Args:
        peft_model: the base with its adapter.
        pairs: in training order, every epoch written out.
        weights: whose tokenizer TRL asks for; it encodes nothing here.
        tuning: batch sizes and beta.
        arguments: see `tuning.trainer`.

    Raises:
        ModelError: TRL is not installed.
    """
    ordered_trainer, config = _of_trl()
    from datasets import Dataset

    encoded = [
        {
            "prompt_ids": list(pair.row.prompt_ids),
            "chosen_ids": list(pair.row.answer_ids),
            "rejected_ids": list(pair.rejected_ids),
        }
        for pair in pairs
    ]
    return ordered_trainer(
        model=peft_model,
        args=on_one_device(
            config(
                **arguments,
                beta=tuning.dpo_beta,
                max_length=None,
                per_device_train_batch_size=tuning.micro_batch_rows,
                gradient_accumulation_steps=tuning.batch_rows // tuning.micro_batch_rows,
                activation_checkpointing=False,
                bf16=False,
                disable_dropout=False,
            )
        ),
        train_dataset=Dataset.from_list(encoded),
        processing_class=load_tokenizer(weights),
    )


def _of_trl() -> tuple[Any, Any]:
    """TRL's trainer, made to take our rows as they are, and its arguments; imported where they are used."""
    import torch

    try:
        from trl import DPOConfig, DPOTrainer
    except ModuleNotFoundError as error:
        raise ModelError(
            "objective dpo cannot be trained",
            seen=f"the package {error.name} is not installed",
            expected="trl, which holds the loss",
            hint="pip install 'fourfold[preference]', or set tuning.objective to sft",
        ) from error

    class OrderedTrainer(DPOTrainer):  # type: ignore[misc]
        """Takes token ids as they are, in order, and writes no card."""

        def _prepare_dataset(self, dataset: object, *_: object) -> object:
            return dataset

        def _get_train_sampler(self, train_dataset: Any = None) -> object:
            return torch.utils.data.SequentialSampler(train_dataset or self.train_dataset)

        def create_model_card(self, *_: object, **__: object) -> None:
            pass

    return OrderedTrainer, DPOConfig
