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


def asked_weights(weights: str | None, options: Sequence[str]) -> tuple[str | None, list[str]]:
    """The weights that are asked for by name or by ``MODEL.WEIGHTS``, which bring their configuration either way.

    Returns:
        Them, None where neither names any, and the options without ``MODEL.WEIGHTS``.

    Raises:
        InputError: both name weights, and not the same.
    """
    overriding, rest = taken_out(options, "MODEL.WEIGHTS")
    if weights and overriding and weights != overriding:
        raise InputError(
            f"the weights are {weights} by name and MODEL.WEIGHTS {overriding} among the overrides; give one of them"
        )
    return weights or overriding or None, rest
