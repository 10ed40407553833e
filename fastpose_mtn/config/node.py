"""The configuration tree: YAML with ``_BASE_``, overrides, and errors that name file, key and nearest key."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TypeGuard

import yaml
from fvcore.common.config import BASE_KEY
from fvcore.common.config import CfgNode as _CfgNode

from fastpose_mtn.config.files import find_config, read_yaml
from fastpose_mtn.config.values import convert, decode
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
        with _in(path):
            self.merge_from_other_cfg(loaded)

    def _load(self, path: str, derived: tuple[str, ...] = ()) -> dict[str, object]:
        """Reads a file's keys on top of those of its bases.

        Args:
            path: the file.
            derived: the files that it is a base of.
        """
        if path in derived:
            raise ValueError(f"{derived[-1]}: _BASE_: {path} is based on this file itself")
        with self._open_cfg(path) as file:
            loaded = read_yaml(file)
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

    def merge_from_other_cfg(self, cfg_other: Mapping[str, object]) -> None:
        """Merges another configuration, or a mapping; see ``merge_from_file`` for what is replaced as a whole.

        Raises:
            ValueError: it sets a key that does not exist, or to a value of the wrong type; the message names the key.
        """
        _merge(self, cfg_other, "")

    def merge_from_list(self, cfg_list: list[str]) -> None:
        """Merges ``[KEY, VALUE, KEY, VALUE, ...]``, as given on a command line.

        Raises:
            ValueError: a key does not exist, a value has the wrong type, or one is left over.
        """
        if len(cfg_list) % 2:
            raise ValueError(
                f"configuration overrides come as KEY VALUE pairs; {cfg_list[-1]!r} has no value"
            )
        with _in("command line"):
            for key, value in zip(cfg_list[::2], cfg_list[1::2], strict=True):
                self._check_key_exists(key.split("."), key)
                *inside, name = key.split(".")
                node: _CfgNode = self
                for part in inside:
                    if not isinstance(node.get(part), _CfgNode):  # below a mapping of any names
                        raise ValueError(f"unknown configuration key {key}")
                    node = node[part]
                written = _mapping(key, value) if _is_open(node.get(name)) else value
                _merge(node, {name: written}, "".join(f"{part}." for part in inside))

    def keys_with_dots(self) -> list[str]:
        """All keys, sections included, as they are written on a command line."""
        keys: list[str] = []
        for name, value in self.items():
            keys.append(name)
            if isinstance(value, CfgNode):
                keys += [f"{name}.{inner}" for inner in value.keys_with_dots()]
        return keys

    def _check_keys(self, loaded: dict[str, object], prefix: str, where: str) -> None:
        for name, value in loaded.items():
            key = f"{prefix}{name}"
            with _in(where):
                self._check_key_exists(key.split("."), key)
            if isinstance(value, dict):
                self._check_keys(value, f"{key}.", where)

    def _check_key_exists(self, parts: list[str], key: str) -> None:
        node: object = self
        for part in parts:
            if not isinstance(node, dict) or part not in node:
                hint = did_you_mean(key, self.keys_with_dots(), cutoff=0.0)
                raise ValueError(f"unknown configuration key {key}{hint}")
            node = node[part]
            if _is_open(node):
                return

    def __setattr__(self, name: str, value: object) -> None:
        if type(self.get(name)) is float and type(value) is int:
            value = float(value)  # else it would refuse a number with a fraction from here on
        super().__setattr__(name, value)


@contextmanager
def _in(where: str) -> Iterator[None]:
    """Puts the name of a file or of the command line before what is wrong in it."""
    try:
        yield
    except (AssertionError, KeyError, ValueError, TypeError) as error:
        raise ValueError(f"{where}: {error.args[0] if error.args else error}") from error


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
        if value is None and isinstance(inner, dict):
            continue  # a section without keys
        if isinstance(value, dict) and isinstance(below, dict) and not _is_open(inner):
            _put_on_top(value, below, inner)
        else:
            base[name] = value


def _merge(node: _CfgNode, values: Mapping[str, object], prefix: str) -> None:
    """Merges values into a part of the configuration, in place.

    Args:
        node: the part.
        values: by its keys; not changed.
        prefix: of the keys: those above the part, with dots.
    """
    for name, value in values.items():
        inner = node.get(name)
        if node.is_new_allowed():
            node.update(type(node)({name: decode(value)}))
        elif name not in node:
            raise ValueError(f"unknown configuration key {prefix}{name}")
        elif isinstance(inner, _CfgNode) and value is None:
            continue  # a section without keys
        elif isinstance(inner, _CfgNode) and isinstance(value, dict):
            if _is_open(inner):
                inner.clear()
            _merge(inner, value, f"{prefix}{name}.")
        elif isinstance(value, dict):
            raise ValueError(f"{prefix}{name}: expected a value such as {inner}, got a mapping")
        else:
            node[name] = convert(f"{prefix}{name}", copy.deepcopy(value), inner)


def _mapping(key: str, value: object) -> dict[str, object]:
    try:
        mapping = read_yaml(value) if isinstance(value, str) else value
    except yaml.constructor.ConstructorError as error:
        raise ValueError(f"{key}: {error.problem}, got {value}") from None
    except yaml.YAMLError:
        mapping = None
    if not isinstance(mapping, dict):
        raise ValueError(f'{key}: expected a mapping such as "{{name: value}}", got {value}')
    return mapping
