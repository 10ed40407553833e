"""What fitted when weights were loaded into a network, name by name, and the words that say so."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from fastpose_mtn.skeletons import get_skeleton

_REMEDY = "; give the configuration that they were trained with, or other weights"


@dataclass(frozen=True)
class LoadReport:
    """Which of a network's tensors a weights file gave values, name by name, and which it did not.

    Attributes:
        loaded: names that got a value.
        missing: of the network, not in the file; they keep their initial values.
        unexpected: in the file, not of the network.
        mismatched: in both with different shapes: (name, the file's shape, the network's shape).
        skeletons: names of the file's and of the network's, where they differ in the number of joints.
        advice: what the network says to set for a file of another architecture; "" where it has nothing to say.
    """

    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    mismatched: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...]
    skeletons: tuple[str, str] | None = None
    advice: str = ""

    def __str__(self) -> str:
        lines = [f"{len(self.loaded)} loaded"]
        for title, names in (("missing", self.missing), ("unexpected", self.unexpected)):
            if names:
                lines.append(f"{len(names)} {title}: {_few(names)}")
        if self.mismatched:
            texts = [f"{name} {file} in the file, {own} here" for name, file, own in self.mismatched]
            lines.append(f"{len(texts)} of another shape: {_few(texts)}")
        if self.skeletons:
            lines.append(self.joints())
        if self.advice:
            lines.append(self.advice)
        return "\n".join(lines)

    def joints(self) -> str:
        """What is wrong with the number of joints and how to mend it; "" if nothing is."""
        if self.skeletons is None:
            return ""
        file, own = self.skeletons
        return (
            f"the file's joints are {file}'s {len(get_skeleton(file))}, the network's {own}'s "
            f"{len(get_skeleton(own))}: set MODEL.SKELETON {file} MODEL.ROI_KEYPOINT_HEAD.NUM_KEYPOINTS "
            f"{len(get_skeleton(file))} to use them; in training the layers that give joints begin anew otherwise"
        )

    def fills(self, part: str) -> bool:
        """Whether every tensor whose name has ``part`` in it got a value, and there are such."""
        without = [*self.missing, *(name for name, _, _ in self.mismatched)]
        return any(part in name for name in self.loaded) and not any(part in name for name in without)

    def account(self) -> str:
        """For each part of the network how much of it was loaded, and why the rest was not; then what was not used."""
        parts: dict[str, Counter[str]] = {}
        reasons: dict[str, list[str]] = {}
        mismatched = [name for name, _, _ in self.mismatched]
        for kind, names in (("loaded", self.loaded), ("missing", self.missing), ("mismatched", mismatched)):
            for name in names:
                parts.setdefault(_part(name), Counter())[kind] += 1
        for part, counts in parts.items():
            if counts["missing"]:
                own = [name for name in self.missing if _part(name) == part]
                reasons.setdefault(part, []).append(f"not in the file: {_few(own)}")
            other = [f"{n} is {file}, here {own}" for n, file, own in self.mismatched if _part(n) == part]
            if other:
                reasons.setdefault(part, []).append(f"of another shape in the file: {_few(other)}")
        lines = []
        for part, counts in parts.items():
            why = "".join(f"; {reason}" for reason in reasons.get(part, []))
            lines.append(f"{part}: {counts['loaded']} of {counts.total()} tensors loaded{why}")
        if self.unexpected:
            lines.append(f"not used, as the network has no such tensors: {_few(self.unexpected)}")
        if self.advice:
            lines.append(self.advice)
        return "\n".join(lines)

    def check(self, source: str | Path, *, strict: bool) -> None:
        """Raises an error where the weights do not fit the network.

        Args:
            source: where the weights come from, for the message.
            strict: accept no weight that is missing, left over or of another shape.

        Raises:
            ValueError: nothing was loaded, or ``strict`` and not everything fitted; names the first keys.
        """
        if strict and (self.missing or self.mismatched or self.unexpected):
            told = self.skeletons or self.advice
            raise ValueError(
                f"{source}: weights of another architecture; {'; '.join(str(self).splitlines()[1:])}"
                f"{'' if told else _REMEDY}"
            )
        if not self.loaded:
            raise ValueError(
                f"{source}: none of its weights fit the network; {_few(self.unexpected)}{_REMEDY}"
            )


def _part(name: str) -> str:
    """The part of the network that a tensor belongs to, such as ``roi_heads.box_head``."""
    first, _, rest = name.partition(".")
    second = "fpn" if rest.startswith("fpn_") else rest.partition(".")[0]
    return f"{first}.{second}".rstrip(".")


def _few(names: tuple[str, ...] | list[str], count: int = 3) -> str:
    more = f" and {len(names) - count} more" if len(names) > count else ""
    return ", ".join(names[:count]) + more
