"""Contrastive examples: the tuning questions nearest to a question, each with a correct and an incorrect answer.

Source: Li et al. 2025 (arXiv 2501.07391), contrastive in-context learning. Their pool is the test set with one row
masked; ours is the tuning split, and holding a question that is asked stops the study.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fourfold.digest import digest_of
from fourfold.embed.port import Vectors
from fourfold.errors import FairnessError, QuestionError
from fourfold.prompts import Contrast
from fourfold.retrieval.modules.ports import Embed
from fourfold.text import contains_run, squad_tokens
from fourfold.types import Question


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrasts:
    """What one question is shown, nearest example last, and the ids of the tuning questions it comes from."""

    examples: tuple[Contrast, ...]
    example_ids: tuple[str, ...]


def choose_contrasts(
    asked: Sequence[Question],
    tuning: Sequence[Question],
    *,
    held_out: Sequence[Question],
    embed: Embed,
    n: int,
) -> Mapping[str, Contrasts]:
    """The `n` nearest tuning questions of each question, by the cosine of their vectors.

    The incorrect answer is the reference of the tuning question nearest to the example that states none of its key
    facts, and whose own key facts the example's reference does not state: right in form, of the same subject, and
    written by nobody for this purpose.

    Args:
        asked: the questions; a tuning question among them is never its own example.
        tuning: the pool.
        held_out: test and validation questions: none of them may stand in the pool, in whatever capitals or spaces.
        embed: of questions.
        n: examples, at least 1.

    Raises:
        FairnessError: the pool holds a question that is held out.
        QuestionError: fewer tuning questions than examples, or one to which no other gives an incorrect answer.
    """
    require_apart(tuning, held_out)
    pool = sorted(tuning, key=lambda question: question.question_id)
    vectors = embed([question.question for question in pool])
    wrong: dict[int, str] = {}
    found: dict[str, Contrasts] = {}
    for question, query in zip(asked, embed([question.question for question in asked]), strict=True):
        near = [at for at in _nearest(vectors, query) if _hash(pool[at]) != _hash(question)][:n]
        _require_enough(len(near), n, len(pool))
        for at in near:
            if at not in wrong:
                wrong[at] = _incorrect(pool, vectors, at)
        examples = [
            Contrast(question=pool[at].question, correct=pool[at].reference, incorrect=wrong[at]) for at in near[::-1]
        ]
        found[question.question_id] = Contrasts(
            examples=tuple(examples), example_ids=tuple(pool[at].question_id for at in near[::-1])
        )
    return found


def require_apart(tuning: Sequence[Question], held_out: Sequence[Question]) -> None:
    """Refuse a pool that holds a question of the test or validation split.

    Raises:
        FairnessError: it does.
    """
    taken = {_hash(question) for question in held_out}
    repeated = [question.question for question in tuning if _hash(question) in taken]
    if repeated:
        raise FairnessError(
            "the pool of contrastive examples holds questions that are asked",
            seen=f"{len(repeated)} of {len(tuning)} tuning question(s), {repeated[0]!r} among them",
            expected="examples from the tuning questions only",
            hint="report this: the leak check should have taken them out; set answer.shots to drawn meanwhile",
        )


def _hash(question: Question) -> str:
    return digest_of(" ".join(question.question.lower().split()))


def _nearest(vectors: Vectors, query: Vectors) -> list[int]:
    # Stable: equally near ones stay in the order of their ids.
    return [int(at) for at in np.argsort(-(vectors @ query), kind="stable")]


def _require_enough(n_near: int, n: int, n_pool: int) -> None:
    if n_near < n:
        raise QuestionError(
            "there are fewer tuning questions than examples",
            seen=f"{n_pool} tuning question(s), answer.n_shots = {n}",
            expected="at least as many, beside the question itself",
            hint="lower answer.n_shots, or raise questions.n_tuning",
        )


def _incorrect(pool: Sequence[Question], vectors: Vectors, at: int) -> str:
    example = pool[at]
    for other in _nearest(vectors, vectors[at]):
        one = pool[other]
        if not _states(one.reference, example) and not _states(example.reference, one):
            return one.reference
    raise QuestionError(
        "no incorrect answer was found for a contrastive example",
        seen=f"{len(pool)} tuning question(s), and each shares an answer with {example.question!r}",
        expected="a tuning question with another answer",
        hint="raise questions.n_tuning, or set answer.shots to drawn",
    )


def _states(answer: str, question: Question) -> bool:
    """Whether an answer states any of a question's key facts; without any, its reference."""
    tokens = squad_tokens(answer)
    facts = question.key_facts or ((question.reference,),)
    return any(contains_run(tokens, squad_tokens(string)) for fact in facts for string in fact)
