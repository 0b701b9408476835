from __future__ import annotations

import pytest

from fourfold.ingest.captions import is_caption


@pytest.mark.parametrize(
    "text",
    ["Figure 3. Yields", "Fig. 2: roots", "Table 10: ANOVA Table", "Table 1 Sample file", "Figure 1.—(a) An example",
     "Table A.1 Rates", "TABLE IV", "Tabelle 2: Erträge", "Figure 3"],
)  # fmt: skip
def test_captions_begin_with_what_they_number(text: str) -> None:
    assert is_caption(text)


@pytest.mark.parametrize(
    "text", ["Table 3 shows that oats", "Figures are in tonnes.", "Figure 2 of the guide", "Tables", "Figure 1. " * 90]
)
def test_sentences_about_a_table_are_no_captions(text: str) -> None:
    assert not is_caption(text)
