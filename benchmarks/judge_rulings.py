"""What judges and their rivals say of the items of `judge_agreement.py`, as rulings."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

from fourfold.embed.sentence import SentenceEmbedder
from fourfold.evals.groundedness.overlap import words
from fourfold.evals.judge.pairwise import PairItem, judge_pairs, settle
from fourfold.evals.judge.pointwise import judge_items
from fourfold.evals.judge.port import JudgeItem
from fourfold.evals.judge.rubric import Rubric
from fourfold.evals.judge.threshold import best_threshold
from fourfold.evals.judge_sets.item import Label, LabelledItem
from fourfold.llm.generate import too_long
from fourfold.llm.port import Adapter, Chat, Completion, Engine, Refusal, Sampling
from fourfold.llm.weights import find_embedder
from fourfold.text import contains_run, squad_tokens

# Prompts whose ratings are read together; each is a few hundred tokens.
BATCH = 64


class ScoringJudge:
    """A model in this process as a judge that is read by the probabilities of its ratings."""

    has_probabilities = True

    def __init__(self, engine: Engine, adapter: Adapter | None = None) -> None:
        self._engine = engine
        self._adapter = adapter
        self.name = "judge"

    def weigh(self, chats: Sequence[Chat], labels: Sequence[str]) -> list[tuple[float, ...] | Refusal]:
        """Log-probability of each label; a prompt that is too long is refused."""
        prompts = self._engine.prepare(chats)
        found: list[tuple[float, ...] | Refusal | None] = [
            too_long(self._engine, prompt, Sampling(max_tokens=1)) for prompt in prompts
        ]
        fits = [at for at, refusal in enumerate(found) if refusal is None]
        for start in range(0, len(fits), BATCH):
            places = fits[start : start + BATCH]
            scored = self._engine.score([prompts[at] for at in places], [list(labels)] * len(places), self._adapter)
            for at, of_prompt in zip(places, scored, strict=True):
                found[at] = tuple(sum(one.logprobs) for one in of_prompt)
        assert all(one is not None for one in found)
        return [one for one in found if one is not None]

    def write(self, chats: Sequence[Chat]) -> list[Completion | Refusal]:
        """Never asked: it has probabilities."""
        raise NotImplementedError


def judge_scores(judge: ScoringJudge, rubric: Rubric, items: Sequence[LabelledItem]) -> list[float | None]:
    """The judge's score of each single answer; None where it failed."""
    asked = [
        JudgeItem(
            item_id=one.item_id,
            question=one.question,
            answer=one.answers[0],
            reference=" / ".join(one.references),
            passage="",
        )
        for one in items
    ]
    return [opinion.value for opinion in judge_items(judge, rubric, asked)]


def to_rulings(
    scores: Sequence[float | None], known: Sequence[float | None], labelled: Sequence[LabelledItem]
) -> list[Label | None]:
    """Right or wrong by the threshold that suits other items' labels best."""
    usable = [(score, one.label == "right") for score, one in zip(known, labelled, strict=True) if score is not None]
    threshold = best_threshold([score for score, _ in usable], [label for _, label in usable])
    return [None if score is None else "right" if score >= threshold else "wrong" for score in scores]


def pair_rulings(judge: ScoringJudge, items: Sequence[LabelledItem]) -> list[Label | None]:
    """The answer preferred in both orders; a tie where the orders disagree."""
    pairs = [
        PairItem(
            question_id=one.item_id,
            question=one.question,
            reference=" / ".join(one.references),
            a="base",
            b="rag",
            answer_a=one.answers[0],
            answer_b=one.answers[1],
        )
        for one in items
    ]
    settled = settle(judge_pairs(judge, pairs))
    told: dict[float | None, Label | None] = {1.0: "first", 0.0: "second", 0.5: "tie", None: None}
    return [told[settled[one.item_id, "base", "rag"]] for one in items]


def rival_rulings(name: str, train: Sequence[LabelledItem], held: Sequence[LabelledItem]) -> list[Label | None]:
    """A rival's rulings on held-out answers, by the threshold of the others."""
    known = [scores[0] for scores in rival_scores(name, train)]
    return to_rulings([scores[0] for scores in rival_scores(name, held)], known, train)


def rival_scores(name: str, items: Sequence[LabelledItem]) -> list[tuple[float, ...]]:
    """A rival's score, in [0, 1], of each answer of each item: of the reference that suits it best."""
    if name == "embedding similarity":
        texts = list(dict.fromkeys(text for one in items for text in (*one.answers, *one.references)))
        places = {text: at for at, text in enumerate(texts)}
        vectors = _embedder().embed(texts, kind="passage")
        return _best(items, lambda answer, reference: float(vectors[places[answer]] @ vectors[places[reference]]))
    return _best(items, {"containment": _containment, "word recall": _word_recall}[name])


def _best(items: Sequence[LabelledItem], score: Callable[[str, str], float]) -> list[tuple[float, ...]]:
    return [
        tuple(max(score(answer, reference) for reference in one.references) for answer in one.answers) for one in items
    ]


def _containment(answer: str, reference: str) -> float:
    return float(contains_run(squad_tokens(answer), squad_tokens(reference)))


def _word_recall(answer: str, reference: str) -> float:
    wanted, said = words(reference), set(words(answer))
    return sum(word in said for word in wanted) / len(wanted) if wanted else 0.0


@functools.cache
def _embedder() -> SentenceEmbedder:
    return SentenceEmbedder(find_embedder("embedded"), device="cpu")
