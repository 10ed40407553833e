"""What a person looks like: body, skin, hair, clothes and belongings, drawn from a rich space."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass, replace

import numpy as np

Colour = tuple[int, int, int]  # RGB

_SKINS: tuple[Colour, ...] = (
    (250, 222, 202), (241, 203, 173), (229, 184, 150), (214, 163, 124), (192, 138, 98),
    (166, 112, 75), (138, 90, 60), (110, 70, 47), (84, 54, 38), (64, 42, 32),
)  # fmt: skip
_HAIRS: tuple[Colour, ...] = (
    (24, 20, 20), (42, 30, 24), (68, 46, 32), (96, 64, 40), (130, 88, 52), (176, 132, 78),
    (216, 180, 118), (148, 70, 36), (178, 84, 44), (140, 138, 136), (208, 206, 202),
)  # fmt: skip
_NEUTRALS: tuple[Colour, ...] = (
    (28, 28, 32), (58, 60, 66), (110, 112, 116), (176, 176, 178), (236, 234, 228), (34, 42, 74),
    (58, 84, 128), (96, 126, 164), (196, 178, 146), (122, 98, 70), (84, 92, 58), (104, 34, 42),
)  # fmt: skip
TOPS = ("tee", "long", "vest", "coat", "hoodie", "dress")
PATTERNS = ("plain", "stripes", "logo", "two_tone", "halves", "band", "open_front", "checks")
BOTTOMS = ("trousers", "trousers", "shorts", "skirt", "leggings")
HAIR_STYLES = ("short", "short", "bob", "long", "ponytail", "bun", "bald", "afro", "scarf")
HATS = ("none", "none", "none", "none", "cap", "beanie", "brim")


@dataclass(frozen=True)
class Appearance:
    """One person's looks; colours are RGB, lengths metres, the others factors around 1."""

    height: float
    build: float
    shoulders: float
    hips: float
    skin: Colour
    hair: Colour
    hair_style: str
    hat: str
    hat_colour: Colour
    beard: bool
    glasses: bool
    top: str
    pattern: str
    top_colour: Colour
    second_colour: Colour
    third_colour: Colour
    contrast_sleeves: bool
    bottom: str
    bottom_colour: Colour
    side_stripe: bool
    shoes: Colour
    bag: str
    bag_colour: Colour
    box_colour: Colour
    pattern_scale: float


def _cloth(rng: np.random.Generator, vivid: float = 0.65) -> Colour:
    if rng.random() > vivid:
        base = np.array(_NEUTRALS[rng.integers(len(_NEUTRALS))], float)
        red, green, blue = np.clip(base + rng.normal(0, 8, 3), 8, 245)
    else:
        hue, saturation, value = rng.random(), rng.uniform(0.35, 0.92), rng.uniform(0.32, 0.97)
        red, green, blue = (255 * c for c in colorsys.hsv_to_rgb(hue, saturation, value))
    return int(red), int(green), int(blue)


def _jitter(rng: np.random.Generator, colour: Colour, amount: float) -> Colour:
    red, green, blue = (int(v) for v in np.clip(np.array(colour) + rng.normal(0, amount, 3), 5, 250))
    return red, green, blue


def _contrasting(rng: np.random.Generator, colour: Colour) -> Colour:
    other = colour
    for _ in range(8):
        other = _cloth(rng)
        if abs(sum(other) - sum(colour)) > 150:
            break
    return other


def draw_appearance(rng: np.random.Generator) -> Appearance:
    """A new person."""
    child = rng.random() < 0.08
    top_colour = _cloth(rng, 0.75)
    second = _contrasting(rng, top_colour)
    top = TOPS[rng.choice(len(TOPS), p=[0.32, 0.26, 0.08, 0.14, 0.12, 0.08])]
    return Appearance(
        height=float(rng.uniform(1.05, 1.4) if child else np.clip(rng.normal(1.71, 0.09), 1.48, 1.98)),
        build=float(np.clip(rng.normal(1.0, 0.13), 0.78, 1.4)),
        shoulders=float(rng.uniform(0.9, 1.12)),
        hips=float(rng.uniform(0.9, 1.15)),
        skin=_jitter(rng, _SKINS[rng.integers(len(_SKINS))], 5),
        hair=_jitter(rng, _HAIRS[rng.integers(len(_HAIRS))], 6),
        hair_style=HAIR_STYLES[rng.integers(len(HAIR_STYLES))],
        hat=HATS[rng.integers(len(HATS))],
        hat_colour=_cloth(rng, 0.8),
        beard=bool(rng.random() < 0.15 and not child),
        glasses=bool(rng.random() < 0.2),
        top=top,
        pattern=PATTERNS[rng.choice(len(PATTERNS), p=[0.28, 0.16, 0.14, 0.09, 0.07, 0.09, 0.1, 0.07])],
        top_colour=top_colour,
        second_colour=second,
        third_colour=_cloth(rng),
        contrast_sleeves=bool(rng.random() < 0.15),
        bottom=BOTTOMS[rng.integers(len(BOTTOMS))],
        bottom_colour=_cloth(rng, 0.35),
        side_stripe=bool(rng.random() < 0.15),
        shoes=_cloth(rng, 0.4),
        bag=str(rng.choice(["none", "backpack", "shoulder", "hand"], p=[0.56, 0.18, 0.12, 0.14])),
        bag_colour=_cloth(rng, 0.6),
        box_colour=_jitter(rng, (178, 134, 86), 18),
        pattern_scale=float(rng.uniform(0.7, 1.5)),
    )


def draw_look_alike(rng: np.random.Generator, original: Appearance) -> Appearance:
    """Another person in similar, but not equal, clothes."""
    other = draw_appearance(rng)
    return replace(
        original,
        height=float(np.clip(original.height * rng.uniform(0.96, 1.04), 1.05, 1.98)),
        build=float(np.clip(original.build * rng.uniform(0.92, 1.08), 0.78, 1.4)),
        skin=_jitter(rng, original.skin, 9),
        hair=other.hair if rng.random() < 0.6 else original.hair,
        hair_style=other.hair_style if rng.random() < 0.6 else original.hair_style,
        hat="none" if rng.random() < 0.5 else original.hat,
        top_colour=_jitter(rng, original.top_colour, 9),
        second_colour=_jitter(rng, original.second_colour, 14),
        bottom_colour=other.bottom_colour if rng.random() < 0.5 else _jitter(rng, original.bottom_colour, 12),
        shoes=other.shoes,
        bag=other.bag,
        bag_colour=other.bag_colour,
        side_stripe=False,
        glasses=other.glasses,
    )


def draw_cast(seed: int, people: int) -> list[Appearance]:
    """The looks of all persons of a scene; about one in six is another's look-alike."""
    cast: list[Appearance] = []
    for person in range(people):
        rng = np.random.default_rng([seed, 1, person])
        if cast and rng.random() < 0.18:
            cast.append(draw_look_alike(rng, cast[rng.integers(len(cast))]))
        else:
            cast.append(draw_appearance(rng))
    return cast
