from __future__ import annotations

from collections.abc import Sequence

import pytest

from fourfold.tuning.order import like_contexts, order_rows
from fourfold.tuning.rows import Form, TuningRow

HEAD = tuple(range(20))


def row(name: str, n_tokens: int) -> TuningRow:
    return TuningRow(question_id=name, form="with contexts", prompt_ids=tuple(range(n_tokens)), answer_ids=(1,))


def test_order_holds_every_row_once_per_epoch_and_batches_run_longest_first() -> None:
    rows = [row(str(n), n) for n in range(10)]
    ordered = order_rows(rows, epochs=2, batch_rows=4, seed=1)
    assert sorted(ordered[:10], key=lambda row: row.n_tokens) == rows
    assert sorted(ordered[10:], key=lambda row: row.n_tokens) == rows
    for start in (0, 4, 10, 14):
        lengths = [row.n_tokens for row in ordered[start : start + 4]]
        assert lengths == sorted(lengths, reverse=True)
    assert ordered[:10] != ordered[10:]


def test_order_follows_from_the_seed() -> None:
    rows = [row(str(n), n) for n in range(10)]
    assert order_rows(rows, epochs=1, batch_rows=4, seed=1) == order_rows(rows, epochs=1, batch_rows=4, seed=1)
    assert order_rows(rows, epochs=1, batch_rows=4, seed=1) != order_rows(rows, epochs=1, batch_rows=4, seed=2)


def asked(name: str, context: int | None, question: int = 0) -> TuningRow:
    """20 tokens of instructions, 60 of a context where there is one, 5 of a question."""
    form: Form = "without contexts" if context is None else "with contexts"
    shown = () if context is None else tuple(range(1000 * context, 1000 * context + 60))
    own = tuple(range(500 + 10 * question, 505 + 10 * question))
    return TuningRow(question_id=name, form=form, prompt_ids=HEAD + shown + own, answer_ids=(1,))


def mixture() -> list[TuningRow]:
    """Six contexts with 1 to 6 questions, each also asked without."""
    places = [(context, n) for context in range(1, 7) for n in range(context)]
    return [asked(f"{context}.{n}", shown, 10 * context + n) for context, n in places for shown in (None, context)]


def steps(rows: Sequence[TuningRow], n: int) -> list[Sequence[TuningRow]]:
    return [rows[start : start + n] for start in range(0, len(rows), n)]


def contexts_in(rows: Sequence[TuningRow]) -> list[str]:
    return [row.question_id.partition(".")[0] for row in rows if row.form == "with contexts"]


def test_rows_of_one_set_of_contexts_are_alike_and_those_without_are_not() -> None:
    groups = like_contexts(mixture())
    assert sorted(len(group) for group in groups) == [1] * (21 + 1) + [2, 3, 4, 5, 6]
    assert all(len(set(contexts_in(group))) <= 1 for group in groups)


def test_half_of_the_shorter_prompt_in_common_is_alike() -> None:
    base = TuningRow(question_id="a", form="with contexts", prompt_ids=tuple(range(40)), answer_ids=(1,))
    for n_common, n_groups in ((20, 1), (19, 2)):
        other = TuningRow(
            question_id="b", form="with contexts", prompt_ids=(*range(n_common), *range(100, 200)), answer_ids=(1,)
        )
        assert len(like_contexts([base, other])) == n_groups


@pytest.mark.parametrize("batch_rows", [1, 4, 8])
def test_shared_order_holds_every_row_once_per_epoch(batch_rows: int) -> None:
    rows = mixture()
    ordered = order_rows(rows, epochs=2, batch_rows=batch_rows, seed=3, shared=True)
    names = sorted((row.question_id, row.form) for row in rows)
    for epoch in (ordered[: len(rows)], ordered[len(rows) :]):
        assert sorted((row.question_id, row.form) for row in epoch) == names
    assert ordered[: len(rows)] != ordered[len(rows) :]
    assert ordered == order_rows(rows, epochs=2, batch_rows=batch_rows, seed=3, shared=True)
    assert ordered != order_rows(rows, epochs=2, batch_rows=batch_rows, seed=4, shared=True)


# 42 rows of an epoch are no multiple of 8: the second epoch begins within a step.
@pytest.mark.parametrize("seed", range(5))
def test_one_set_of_contexts_stays_in_one_step_where_it_fits(seed: int) -> None:
    rows = mixture()
    ordered = order_rows(rows, epochs=2, batch_rows=8, seed=seed, shared=True)
    plain = order_rows(rows, epochs=2, batch_rows=8, seed=seed)
    n_pairs = {name: sum(len(set(contexts_in(step))) for step in steps(found, 8)) for name, found in
               (("shared", ordered), ("plain", plain))}  # fmt: skip
    # 12 pairs of a context and an epoch: a cut where the epochs meet, and one at the end of each at the most.
    assert 12 <= n_pairs["shared"] <= 15
    assert n_pairs["plain"] > 20


def test_a_set_of_contexts_larger_than_a_step_fills_steps() -> None:
    rows = [asked(f"1.{n}", 1, n) for n in range(10)]
    ordered = order_rows(rows, epochs=1, batch_rows=4, seed=0, shared=True)
    assert sorted(row.question_id for row in ordered) == sorted(row.question_id for row in rows)
    assert [row.question_id for row in ordered] != [row.question_id for row in rows]
