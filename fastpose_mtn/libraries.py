"""Imports torchvision and timm without torch's compiler, which they ask for and the network does not need.

``torch._dynamo`` takes as long to import as torch itself. torchvision wants one function of it, for
deterministic algorithms; timm marks methods of a network that is not ours with ``torch.compiler.disable``.
Both get stand-ins that import the compiler when they are called. They are there during these imports only, and
where another version of a library cannot be imported with them, it is imported without.
"""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from types import ModuleType
from typing import Any

import torch

_COMPILER, _UTILS = "torch._dynamo", "torch._dynamo.utils"
_PUT_OFF = ("is_compile_supported",)  # functions of _UTILS that are imported but seldom called


def import_without_compiler(*names: str) -> None:
    """Imports modules within ``compiler_put_off``, or plainly those that raise an error there.

    Raises:
        ImportError: a module, or something that it needs, is not installed.
    """
    for name in names:
        try:
            with compiler_put_off():
                importlib.import_module(name)
        # whatever a version unknown to us stumbles over; what it needs anyway is raised again
        except Exception:
            importlib.import_module(name)


@contextmanager
def compiler_put_off() -> Iterator[None]:
    """Within the block modules can be imported that import parts of torch's compiler but do not use them.

    Whatever else they want of it is imported at once, so they work as they would without this.
    """
    if _COMPILER in sys.modules or not hasattr(torch.compiler, "disable"):
        yield
        return
    disable, watch = torch.compiler.disable, _Watch()
    sys.modules[_UTILS] = _Utils(_UTILS)
    sys.meta_path.insert(0, watch)
    torch.compiler.disable = functools.partial(_disable, disable)
    try:
        yield
    finally:
        torch.compiler.disable = disable
        sys.meta_path.remove(watch)
        _forget_stand_in()


class _Utils(ModuleType):
    """Stands in for ``torch._dynamo.utils``."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # the import machinery's own questions
            raise AttributeError(name)
        if name not in _PUT_OFF:
            _forget_stand_in()
            return getattr(importlib.import_module(_UTILS), name)

        def call(*args: Any, **kwargs: Any) -> Any:
            return getattr(importlib.import_module(_UTILS), name)(*args, **kwargs)

        return call


class _Watch(MetaPathFinder):
    """Takes the stand-in away when the compiler itself begins to be imported, whose parts must be whole."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        """Finds nothing; the finders behind it do."""
        if fullname == _COMPILER:
            _forget_stand_in()


def _forget_stand_in() -> None:
    if isinstance(sys.modules.get(_UTILS), _Utils):
        del sys.modules[_UTILS]


def _disable(real: Callable[..., Any], fn: Any = None, *args: Any, **kwargs: Any) -> Any:
    """Does what ``torch.compiler.disable`` does to a function when that is called first."""
    if fn is None:
        return lambda decorated: _disable(real, decorated, *args, **kwargs)
    if isinstance(fn, type):
        return real(fn, *args, **kwargs)

    @functools.wraps(fn)
    def disabled(*call_args: Any, **call_kwargs: Any) -> Any:
        return made()(*call_args, **call_kwargs)

    @functools.cache
    def made() -> Callable[..., Any]:
        return real(fn, *args, **kwargs)

    return disabled


import_without_compiler("torchvision", "timm")
