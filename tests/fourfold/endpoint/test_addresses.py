from __future__ import annotations

from fourfold.llm.endpoint.addresses import SET_ASIDE_S, Addresses


def chosen(addresses: Addresses, now: float, n: int) -> list[str]:
    return [addresses.choose(now)[0] for _ in range(n)]


def test_addresses_take_turns() -> None:
    assert chosen(Addresses("abc"), 0, 7) == list("abcabca")


def test_one_that_was_not_reached_is_left_out_for_a_while() -> None:
    addresses = Addresses("abc")
    addresses.set_aside("b", 0)
    assert chosen(addresses, 1, 4) == list("acac")
    assert "b" in chosen(addresses, SET_ASIDE_S, 3)


def test_one_that_answers_again_is_back_at_once() -> None:
    addresses = Addresses("ab")
    addresses.set_aside("b", 0)
    addresses.restore("b")
    assert sorted(chosen(addresses, 1, 2)) == ["a", "b"]


def test_where_none_was_reached_the_one_left_out_longest_is_asked_without_a_wait() -> None:
    addresses = Addresses("ab")
    addresses.set_aside("b", 0)
    addresses.set_aside("a", 5)
    assert addresses.choose(6) == ("b", 0)


def test_a_pause_is_kept_and_the_others_go_on() -> None:
    addresses = Addresses("ab")
    addresses.pause("a", 20)
    assert chosen(addresses, 1, 3) == list("bbb")
    addresses.pause("b", 10)
    assert addresses.choose(1)[1] == 9
    assert addresses.choose(10) == ("b", 0)


def test_a_shorter_pause_does_not_end_a_longer_one() -> None:
    addresses = Addresses("a")
    addresses.pause("a", 20)
    addresses.pause("a", 5)
    assert addresses.choose(6) == ("a", 14)


def test_a_dead_address_is_not_asked_over_and_over_while_the_other_is_paused() -> None:
    addresses = Addresses("ab")
    addresses.set_aside("a", 0)
    addresses.pause("b", 10)
    assert addresses.choose(1)[1] == 9
