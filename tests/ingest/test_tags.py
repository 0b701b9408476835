from __future__ import annotations

from support.manual import manual

from fourfold.ingest.tags import tag_sections

_, BLOCKS = manual(
    {
        "Iowa": ["Winter\nwheat is sown in IOWA.", "Maize follows."],
        "Other": ["The cornfield is not maizelike, wheaten or winter-wheat."],
    }
)
TAGS = {"location": ("Iowa", "Ohio"), "crop": ("maize", "winter wheat", "corn")}


def test_a_section_has_the_tags_of_the_words_it_holds_in_the_studys_order() -> None:
    assert tag_sections(BLOCKS, TAGS) == {
        ("manual", ("Manual", "Iowa")): ("location: Iowa", "crop: maize", "crop: winter wheat")
    }


def test_no_tags_are_no_tags() -> None:
    assert tag_sections(BLOCKS, {}) == {}


def test_signs_in_a_word_are_taken_as_they_are() -> None:
    _, blocks = manual({"A": ["Written in C++ for .NET (4.0)."]})
    assert tag_sections(blocks, {"l": ("C++", ".NET", "C", "4x0")}) == {
        ("manual", ("Manual", "A")): ("l: C++", "l: .NET", "l: C")
    }
