"""Photographs in HEIC, as phones take them: pillow-heif reads them, where it is installed."""

from __future__ import annotations

import importlib.util

HEIF_SUFFIXES = frozenset((".heic", ".heif", ".hif"))
HEIF_REMEDY = "pip install pillow-heif, which reads HEIC, or convert it to JPEG"
# ISO 23008-12's: of pictures in HEVC, and of any codec.
_BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"))
_OF_AVIF = frozenset((b"avif", b"avis"))  # which lists mif1 too, and is read without


def is_heif(head: bytes) -> bool:
    """Whether a file that begins with ``head``, 64 bytes or more, is a HEIC."""
    if head[4:8] != b"ftyp":
        return False
    end = min(int.from_bytes(head[:4], "big"), len(head))
    brands = {head[8:12], *(head[at : at + 4] for at in range(16, end, 4))}
    return bool(brands & _BRANDS) and not brands & _OF_AVIF


def heif_is_read() -> bool:
    """Whether pillow-heif is installed."""
    return importlib.util.find_spec("pillow_heif") is not None


def teach_pillow() -> bool:
    """Has Pillow open HEIC, upright and in 8 bits; returns whether it does."""
    if not heif_is_read():
        return False
    import pillow_heif

    pillow_heif.register_heif_opener()
    return True
