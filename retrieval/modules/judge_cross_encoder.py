"""Entailment by a small cross-encoder: sentence-transformers' CrossEncoder, one number for a pair."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fourfold.errors import ModelError, QuestionError
from fourfold.llm.quiet import quiet_transformers
from fourfold.retrieval.modules.knowledge_filter import Judgement, LabelledPair, Pair

# Tokens of passage and question together. MiniLM reads 512; chunks and abstracts are seldom longer than half of it.
MAX_TOKENS = 320
# What BERT's family is usually tuned with (Devlin et al. 2019, appendix A.3), MiniLM being a distilled BERT.
LEARNING_RATE = 5e-5
WARMUP_SHARE = 0.1
BATCH = 16

Progress = Callable[[int, int], None]


class CrossEncoderScorer:
    """Scores pairs with a trained model; loads at first use.

    Args:
        folder: what `train_cross_encoder` wrote, or any CrossEncoder with one output.
        device: 'cpu', 'cuda' or 'cuda:N'.
    """

    def __init__(self, folder: Path, *, device: str) -> None:
        self._folder = folder
        self._device = device
        self._model: Any = None

    def score(self, pairs: Sequence[Pair]) -> list[Judgement]:
        """One judgement for each pair, in order; the score is the sigmoid of the model's number.

        Raises:
            ModelError: the model has more than one output.
        """
        import torch

        if not pairs:
            return []
        scores = self._load().predict(
            [(pair.hypothesis, pair.premise) for pair in pairs],
            batch_size=BATCH,
            show_progress_bar=False,
            activation_fn=torch.nn.Sigmoid(),
        )
        return [Judgement(entailed=float(score) >= 0.5, score=float(score)) for score in scores]

    def _load(self) -> Any:
        if self._model is None:
            model = _open(self._folder, self._device)
            if model.num_labels != 1:
                raise ModelError(
                    "the cross-encoder cannot filter",
                    seen=f"{self._folder}: {model.num_labels} outputs",
                    expected="one output, trained on whether the passage answers",
                    hint="name another folder in retrieval.knowledge_filter.model, or leave it out to train one",
                )
            self._model = model
        return self._model


def train_cross_encoder(  # noqa: PLR0913 (what is trained on what, and how)
    folder: Path,
    pairs: Sequence[LabelledPair],
    base: Path,
    *,
    epochs: int,
    seed: int,
    device: str,
    progress: Progress = lambda _done, _total: None,
) -> float:
    """Tune a model's encoder with a new one-number head on labelled pairs and save it under `folder`.

    Binary cross-entropy, the positives weighted so that both classes count alike; AdamW with warm-up and linear decay.
    The caller's random state is left as it was.

    Args:
        folder: where the model goes.
        pairs: labelled pairs, in any order.
        base: folder of the encoder in transformers' form, such as all-MiniLM-L6-v2's.
        epochs: passes over the pairs.
        seed: the head's first weights, dropout and the order of pairs.
        device: 'cpu', 'cuda' or 'cuda:N'.
        progress: told (steps done, steps in all).

    Returns:
        The mean loss of the last tenth of the steps.

    Raises:
        QuestionError: labels of one kind only.
    """
    import torch

    require_both_labels(pairs)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = _open(base, device, n_labels=1)
        order = [at for _ in range(epochs) for at in torch.randperm(len(pairs)).tolist()]
        losses = _train(model, [pairs[at] for at in order], _positive_weight(pairs), progress)
    model.eval()
    with quiet_transformers():
        model.save_pretrained(str(folder))
    last = losses[-max(1, len(losses) // 10) :]
    return sum(last) / len(last)


def require_both_labels(pairs: Sequence[LabelledPair]) -> None:
    """Refuse labels from which nothing can be learnt.

    Raises:
        QuestionError: not one pair is entailed, or every one is.
    """
    n_entailed = sum(pair.entailed for pair in pairs)
    if n_entailed in {0, len(pairs)}:
        raise QuestionError(
            "the knowledge filter has nothing to learn from",
            seen=f"{n_entailed} of {len(pairs)} labelled passages hold the answer",
            expected="passages with the answer and passages without it",
            hint="raise questions.n_tuning or retrieval.knowledge_filter.candidates, or name a trained model",
        )


def _positive_weight(pairs: Sequence[LabelledPair]) -> float:
    n_entailed = sum(pair.entailed for pair in pairs)
    return (len(pairs) - n_entailed) / n_entailed


def _open(folder: Path, device: str, *, n_labels: int | None = None) -> Any:
    with quiet_transformers():
        from sentence_transformers import CrossEncoder

        return CrossEncoder(
            str(folder), num_labels=n_labels, max_length=MAX_TOKENS, device=device, local_files_only=True
        )


def _train(model: Any, ordered: Sequence[LabelledPair], weight: float, progress: Progress) -> list[float]:
    import torch
    from transformers import get_linear_schedule_with_warmup

    n_steps = -(-len(ordered) // BATCH)
    optimiser = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.01)
    schedule = get_linear_schedule_with_warmup(optimiser, round(WARMUP_SHARE * n_steps), n_steps)
    loss_of = torch.nn.BCEWithLogitsLoss(pos_weight=torch.tensor(weight, device=model.device))
    model.train()
    losses = []
    for step in range(n_steps):
        batch = ordered[step * BATCH : (step + 1) * BATCH]
        features = model.preprocess([(one.pair.hypothesis, one.pair.premise) for one in batch])
        moved = {name: value.to(model.device) if hasattr(value, "to") else value for name, value in features.items()}
        logits = model(moved)["scores"].view(-1)
        loss = loss_of(logits, torch.tensor([float(one.entailed) for one in batch], device=model.device))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        optimiser.zero_grad()
        losses.append(loss.item())
        progress(step + 1, n_steps)
    return losses
