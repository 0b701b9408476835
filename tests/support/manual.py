"""Documents and blocks made of sentences, for tests of question generation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fourfold.types import Block, Document


def manual(sections: Mapping[str, Sequence[str]], *, name: str = "manual") -> tuple[list[Document], list[Block]]:
    """One document of one page a section, one block a sentence."""
    blocks: list[Block] = []
    start = 0
    for page, (title, sentences) in enumerate(sections.items(), start=1):
        for text in sentences:
            blocks.append(
                Block(
                    doc_id=name, position=len(blocks), kind="text", page=page, bbox=(0, 0, 1, 1), start=start,
                    end=start + len(text), section=("Manual", title), text=text,
                )
            )  # fmt: skip
            start += len(text) + len("\n\n")
    document = Document(
        doc_id=name, name=f"{name}.pdf", title=name, status="read", reason=None, n_pages=len(sections), n_chars=start
    )
    return [document], blocks
