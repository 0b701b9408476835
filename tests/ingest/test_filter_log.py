from __future__ import annotations

from fourfold.ingest.filter_log import FilterCount, FilterLog


def test_a_filter_after_the_one_that_drops_does_not_see_the_item() -> None:
    log = FilterLog()
    assert log.first_refusal({"short": False, "doubtful": False}, "a") is None
    assert log.first_refusal({"short": True, "doubtful": True}, "b") == "short"
    assert log.first_refusal({"short": False, "doubtful": True}, "c") == "doubtful"
    assert log.counts() == (
        FilterCount(name="short", n_seen=3, n_dropped=1, examples=("b",)),
        FilterCount(name="doubtful", n_seen=2, n_dropped=1, examples=("c",)),
    )


def test_the_first_three_dropped_are_examples_cut_to_160_characters() -> None:
    log = FilterLog()
    for text in ("a" * 160, "b" * 161, "c", "d"):
        log.first_refusal({"x": True}, text, prefix="p: ")
    (count,) = log.counts()
    assert (count.name, count.n_dropped) == ("p: x", 4)
    assert count.examples == ("a" * 160, "b" * 159 + "…", "c")
