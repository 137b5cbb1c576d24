"""The sheet's colours keep their contrast, whoever changes one."""

import re

import pytest

from services.kit.http.html import STATIC

STYLE = (STATIC / "style.css").read_text()
COLOURS = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{3,6});", STYLE))

PAIRS = [
    ("ink", "ground"), ("ink", "paper"), ("soft", "ground"), ("soft", "paper"), ("link", "ground"), ("link", "paper"),
    ("paper", "brand"), ("brand", "paper"), ("paper", "bad"), ("good", "good-ground"), ("warn", "warn-ground"),
    ("bad", "bad-ground"), ("bad", "paper"),
]  # fmt: skip


def luminance(colour: str) -> float:
    digits = colour.removeprefix("#")
    if len(digits) == 3:
        digits = "".join(digit * 2 for digit in digits)
    parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """WCAG 2.2, relative luminance and contrast ratio."""
    light, dark = sorted((luminance(COLOURS[one]), luminance(COLOURS[other])), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize(("text", "ground"), PAIRS)
def test_text_stands_out_from_its_ground(text: str, ground: str) -> None:
    assert contrast(text, ground) >= 4.5


def test_the_mark_of_focus_stands_out() -> None:
    assert min(contrast("focus", "ground"), contrast("focus", "paper")) >= 3
