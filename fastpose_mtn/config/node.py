"""The configuration tree: YAML with ``_BASE_``, overrides, and errors that name file, key and nearest key."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import yaml
from fvcore.common.config import CfgNode as _CfgNode


class CfgNode(_CfgNode):
    """fvcore's configuration tree (YAML with ``_BASE_``) whose errors name the nearest key."""

    def merge_from_file(self, cfg_filename: str, allow_unsafe: bool = False) -> None:
        """Merges a YAML file.

        Raises:
            ValueError: the file is missing, is not YAML, or sets a key that does not exist or a
                value of the wrong type; the message names the file, the key and the nearest one.
        """
        path = Path(cfg_filename)
        if not path.is_file():
            raise ValueError(f"configuration file not found: {path}")
        try:
            loaded = self.load_yaml_with_base(str(path), allow_unsafe=False)
        except (yaml.YAMLError, UnicodeDecodeError, FileNotFoundError) as error:
            raise ValueError(f"{path}: not a readable YAML configuration: {error}") from error
        except (TypeError, AttributeError) as error:  # fvcore looks for _BASE_ before it looks at the type
            raise ValueError(
                f"{path}: expected a mapping of keys at the top level, got nothing or a list"
            ) from error
        if not isinstance(loaded, dict):
            raise ValueError(
                f"{path}: expected a mapping of keys at the top level, got {type(loaded).__name__}"
            )
        self._check_keys(loaded, "", str(path))
        self._merge(lambda: self.merge_from_other_cfg(type(self)(loaded)), str(path))

    def merge_from_list(self, cfg_list: list[str]) -> None:
        """Merges ``[KEY, VALUE, KEY, VALUE, ...]``, as given on a command line.

        Raises:
            ValueError: a key does not exist, a value has the wrong type, or one is left over.
        """
        if len(cfg_list) % 2:
            raise ValueError(
                f"configuration overrides come as KEY VALUE pairs; {cfg_list[-1]!r} has no value"
            )
        for key, value in zip(cfg_list[::2], cfg_list[1::2], strict=True):
            self._check_key_exists(key.split("."), key, "command line")
            self._check_list(key, value)
        self._merge(lambda: super(CfgNode, self).merge_from_list(cfg_list), "command line")

    def _check_list(self, key: str, value: Any) -> None:
        """A lone word where a list belongs is the commonest slip, and a shell takes the brackets' quotes away."""
        node: Any = self
        for part in key.split("."):
            node = node.get(part) if isinstance(node, dict) else None
        if isinstance(node, (list, tuple)) and isinstance(self._decode_cfg_value(value), str):
            raise ValueError(f"command line: {key}: expected a list, got {value}; write \"['{value}']\"")

    @staticmethod
    def _merge(merge: Any, where: str) -> None:
        try:
            merge()
        except (AssertionError, KeyError, ValueError, TypeError) as error:
            raise ValueError(f"{where}: {error.args[0] if error.args else error}") from error

    def _check_keys(self, loaded: dict[str, Any], prefix: str, where: str) -> None:
        for name, value in loaded.items():
            key = f"{prefix}{name}"
            self._check_key_exists(key.split("."), key, where)
            if isinstance(value, dict):
                self._check_keys(value, f"{key}.", where)

    def _check_key_exists(self, parts: list[str], key: str, where: str) -> None:
        node: Any = self
        for part in parts:
            if not isinstance(node, dict) or part not in node:
                close = difflib.get_close_matches(key, _leaves(self), n=1, cutoff=0.0)
                raise ValueError(f"{where}: unknown configuration key {key}; did you mean {close[0]}?")
            node = node[part]
            if isinstance(node, CfgNode) and node.is_new_allowed():
                return


def _leaves(node: CfgNode, prefix: str = "") -> list[str]:
    """All keys, inner ones included, with dots."""
    keys: list[str] = []
    for name, value in node.items():
        keys.append(prefix + name)
        if isinstance(value, dict):
            keys += _leaves(value, f"{prefix}{name}.")  # type: ignore[arg-type]
    return keys
