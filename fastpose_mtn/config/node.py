"""The configuration tree: YAML with ``_BASE_``, overrides, and errors that name file, key and nearest key."""

from __future__ import annotations

import ast
import contextlib
import functools
import os
from collections.abc import Callable
from typing import TypeGuard

import yaml
from fvcore.common.config import BASE_KEY
from fvcore.common.config import CfgNode as _CfgNode

from fastpose_mtn.config.files import find_config
from fastpose_mtn.errors import did_you_mean


class CfgNode(_CfgNode):
    """A node of the configuration tree: fvcore's, with errors that name the file, the key and the nearest key."""

    def merge_from_file(self, cfg_filename: str, allow_unsafe: bool = False) -> None:
        """Merges a YAML file: its keys on top of those of its ``_BASE_``, a path or several, relative to the file.

        Files are found by ``find_config``: those that come with the package by their names alone.

        A mapping for a key that may hold any names (``MODEL.TIMM.ARGS``) takes the place of the one that was there;
        all others are merged key by key.

        Raises:
            ValueError: the file is missing, is not YAML, or sets a key that does not exist or a
                value of the wrong type; the message names the file, the key and the nearest one.
        """
        path = find_config(str(cfg_filename))
        try:
            loaded = self._load(path)
        except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
            raise ValueError(f"{path}: not a readable YAML configuration: {error}") from error
        self._check_keys(loaded, "", path)
        self._merge(lambda: self.merge_from_other_cfg(type(self)(loaded)), path)

    def _load(self, path: str, derived: tuple[str, ...] = ()) -> dict[str, object]:
        """Reads a file's keys on top of those of its bases.

        Args:
            path: the file.
            derived: the files that it is a base of.
        """
        if path in derived:
            raise ValueError(f"{derived[-1]}: _BASE_: {path} is based on this file itself")
        with self._open_cfg(path) as file:
            loaded = yaml.safe_load(file)
        if not isinstance(loaded, dict):
            kind = "nothing" if loaded is None else type(loaded).__name__
            raise ValueError(f"{path}: expected a mapping of keys at the top level, got {kind}")
        bases = loaded.pop(BASE_KEY, [])
        merged: dict[str, object] = {}
        for base in [bases] if isinstance(bases, str) else bases:
            if "://" not in base:
                try:
                    base = find_config(base, os.path.dirname(path))
                except ValueError as error:
                    raise ValueError(f"{path}: _BASE_: {error}") from error
            _put_on_top(self._load(base, (*derived, path)), merged, self)
        _put_on_top(loaded, merged, self)
        return merged

    def merge_from_other_cfg(self, cfg_other: _CfgNode) -> None:
        """Merges another configuration; see ``merge_from_file`` for what is replaced as a whole."""
        _clear_replaced(self, cfg_other)
        super().merge_from_other_cfg(cfg_other)

    def merge_from_list(self, cfg_list: list[str]) -> None:
        """Merges ``[KEY, VALUE, KEY, VALUE, ...]``, as given on a command line.

        Raises:
            ValueError: a key does not exist, a value has the wrong type, or one is left over.
        """
        if len(cfg_list) % 2:
            raise ValueError(
                f"configuration overrides come as KEY VALUE pairs; {cfg_list[-1]!r} has no value"
            )
        pairs = list(zip(cfg_list[::2], cfg_list[1::2], strict=True))
        for key, value in pairs:
            self._check_key_exists(key.split("."), key, "command line")
            if isinstance(self._at(key), (list, tuple)):
                _check_list(key, value)
        for key, value in pairs:
            node = self._at(key)
            if _is_open(node):
                mapping = type(self)(_mapping(key, value))
                node.clear()
                node.update(mapping)
            else:
                self._merge(functools.partial(super().merge_from_list, [key, value]), "command line")

    def keys_with_dots(self) -> list[str]:
        """All keys, sections included, as they are written on a command line."""
        keys: list[str] = []
        for name, value in self.items():
            keys.append(name)
            if isinstance(value, CfgNode):
                keys += [f"{name}.{inner}" for inner in value.keys_with_dots()]
        return keys

    def _at(self, key: str) -> object:
        """What a key holds, or None."""
        node: object = self
        for part in key.split("."):
            node = node.get(part) if isinstance(node, dict) else None
        return node

    @staticmethod
    def _merge(merge: Callable[[], object], where: str) -> None:
        try:
            merge()
        except (AssertionError, KeyError, ValueError, TypeError) as error:
            raise ValueError(f"{where}: {error.args[0] if error.args else error}") from error

    def _check_keys(self, loaded: dict[str, object], prefix: str, where: str) -> None:
        for name, value in loaded.items():
            key = f"{prefix}{name}"
            self._check_key_exists(key.split("."), key, where)
            if isinstance(value, dict):
                self._check_keys(value, f"{key}.", where)

    def _check_key_exists(self, parts: list[str], key: str, where: str) -> None:
        node: object = self
        for part in parts:
            if not isinstance(node, dict) or part not in node:
                hint = did_you_mean(key, self.keys_with_dots(), cutoff=0.0)
                raise ValueError(f"{where}: unknown configuration key {key}{hint}")
            node = node[part]
            if _is_open(node):
                return


def _is_open(node: object) -> TypeGuard[_CfgNode]:
    """Whether it is a mapping of any names."""
    return isinstance(node, _CfgNode) and node.is_new_allowed()


def _put_on_top(derived: dict[str, object], base: dict[str, object], node: object) -> None:
    """Merges the keys of a file into those of its base, in place.

    Args:
        derived: the file's keys.
        base: its base's keys.
        node: the part of the configuration that they are for, which knows what is replaced as a whole.
    """
    for name, value in derived.items():
        inner = node.get(name) if isinstance(node, dict) else None
        below = base.get(name)
        if isinstance(value, dict) and isinstance(below, dict) and not _is_open(inner):
            _put_on_top(value, below, inner)
        else:
            base[name] = value


def _clear_replaced(cfg: dict[str, object], other: dict[str, object]) -> None:
    """Empties, in place, the mappings of any names for which ``other`` has one."""
    for name, value in other.items():
        node = cfg.get(name)
        if isinstance(node, dict) and isinstance(value, dict):
            if _is_open(node):
                node.clear()
            else:
                _clear_replaced(node, value)


def _check_list(key: str, value: object) -> None:
    """A lone word where a list belongs is the commonest slip, and a shell takes the brackets' quotes away."""
    if isinstance(value, str):
        with contextlib.suppress(ValueError, SyntaxError):
            value = ast.literal_eval(value)
    if isinstance(value, str):
        raise ValueError(f"command line: {key}: expected a list, got {value}; write \"['{value}']\"")


def _mapping(key: str, value: object) -> dict[str, object]:
    try:
        mapping = yaml.safe_load(value) if isinstance(value, str) else value
    except yaml.YAMLError:
        mapping = None
    if not isinstance(mapping, dict):
        raise ValueError(f'command line: {key}: expected a mapping such as "{{name: value}}", got {value}')
    return mapping
