"""``fastpose keys``: the configuration's keys, their defaults and what they mean (docs/configuration.md)."""

from __future__ import annotations

from collections.abc import Sequence

from fastpose_mtn.command_line import ArgumentParser
from fastpose_mtn.errors import InputError, did_you_mean, exit_on_error


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the keys that the words are found in, or all."""
    parser = ArgumentParser(
        "fastpose keys",
        "Lists the configuration's keys with their defaults and meanings.",
        examples=(
            "fastpose keys TRACKER",
            "fastpose keys size",
            "fastpose keys --markdown > docs/configuration.md",
        ),
    )
    parser.add_argument("words", nargs="*", metavar="WORD", help="list keys with it in their name or meaning")
    parser.add_argument("--markdown", action="store_true", help="print tables instead of lines")
    with exit_on_error():
        args = parser.parse_args(arguments)
        from fastpose_mtn.config import get_cfg
        from fastpose_mtn.config.reference import markdown, reference

        keys = reference(get_cfg())
        shown = [
            key
            for key in keys
            if all(w.casefold() in f"{key.name} {key.meaning}".casefold() for w in args.words)
        ]
        if not shown:
            hint = did_you_mean(args.words[0], [key.name for key in keys]) or "; fastpose keys lists all"
            raise InputError(f"no configuration key has {' and '.join(args.words)}{hint}")
        if args.markdown:
            print(markdown(shown), end="")
            return
        for key in shown:
            if key.default is not None:
                print(f"{key.name} {key.default}  # {key.meaning}")


if __name__ == "__main__":
    main()
