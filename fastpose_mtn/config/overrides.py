"""Overrides of a configuration, ``[KEY, VALUE, ...]``, that have to be known before there is a configuration."""

from __future__ import annotations

from collections.abc import Sequence

from fastpose_mtn.errors import InputError


def taken_out(options: Sequence[str], key: str) -> tuple[str | None, list[str]]:
    """What the last of a key's overrides says, None without one, and the options without them."""
    pairs = list(zip(options[::2], options[1::2], strict=False))
    values = [value for name, value in pairs if name == key]
    if not values:
        return None, list(options)  # a key without a value too, which merging tells of
    return str(values[-1]), [word for pair in pairs if pair[0] != key for word in pair] + list(
        options[2 * len(pairs) :]
    )


def asked(flag: str, value: str | None, options: Sequence[str], key: str) -> tuple[str | None, list[str]]:
    """What a flag or the key that it sets asks for.

    Args:
        flag: as it was given, for messages.
        value: that it gives the key; None: the flag is not given.
        options: ``[KEY, VALUE, ...]``.
        key: that it sets.

    Returns:
        The value, None where neither gives any, and the options without the key.

    Raises:
        InputError: they give different ones.
    """
    overriding, rest = taken_out(options, key)
    if value and overriding and value != overriding:
        raise InputError(f"{flag}: {key} {overriding} says otherwise; give one of them")
    return value or overriding or None, rest


def asked_weights(weights: str | None, options: Sequence[str]) -> tuple[str | None, list[str]]:
    """The weights that ``--weights`` or ``MODEL.WEIGHTS`` names, which bring their configuration either way; see ``asked``."""
    return asked(f"--weights {weights}", weights, options, "MODEL.WEIGHTS")


def with_flag(flag: str, value: str | None, options: Sequence[str], key: str) -> list[str]:
    """The options with what a flag sets; see ``asked``."""
    if value is None:
        return list(options)
    return [key, value, *asked(flag, value, options, key)[1]]
