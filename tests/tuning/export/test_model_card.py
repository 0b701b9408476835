from __future__ import annotations

import dataclasses

import yaml

from fourfold.tuning.export.model_card import Card, Licences, model_card

CARD = Card(
    study="pumps",
    base="Tiny",
    record={
        "base": {"name": "Tiny", "quantisation": "nf4"},
        "tuning": {"method": "lora", "rank": 4, "seed": 0},
        "result": {"n_rows": 24, "n_tokens": 12345, "n_steps": 3, "loss_first": 2.5, "loss_last": 1.25},
    },
    documents=["pump.pdf", "valve.pdf"],
    n_questions=12,
    licences=Licences(base="Apache-2.0", documents=None),
    forms={"peft": "the adapter"},
    verdict="Both.",
    scores={"token f1": {"base": "0.1", "tuned": "0.2"}, "refusals": {"tuned": "0"}},
    limits=["merged: share of identical greedy tokens: 1 (limit 0.95)"],
    made_by={"fourfold": "0.1.0", "commit": "unknown"},
)


def test_the_card_names_base_data_settings_scores_and_licences() -> None:
    text = model_card(CARD)
    _, head, body = text.split("---\n", 2)
    assert yaml.safe_load(head) == {
        "base_model": "Tiny", "library_name": "peft", "license": "apache-2.0", "tags": ["fourfold", "lora"]
    }  # fmt: skip
    assert "12 tuning questions over 2 document(s), 24 rows, 12,345 tokens in 3 steps; loss 2.500 to 1.250" in body
    assert "- pump.pdf\n- valve.pdf" in body
    assert "- quantisation: nf4" in body
    assert "- rank: 4" in body
    assert "| token f1 | 0.1 | 0.2 |\n| refusals | – | 0 |" in body
    assert "- merged: share of identical greedy tokens: 1 (limit 0.95)" in body


def test_what_nobody_stated_is_said_so() -> None:
    unknown = dataclasses.replace(
        CARD, licences=Licences(base=None, documents=None), verdict=None, scores={}, limits=[]
    )
    text = model_card(unknown)
    assert yaml.safe_load(text.split("---\n")[1])["license"] == "other"
    assert "Base: not stated. Documents: not stated." in text
    assert "Not scored" in text
    assert "| figure |" not in text
