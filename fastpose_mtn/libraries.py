"""Imports torchvision and timm without torch's compiler, which they ask for and the network does not need.

``torch._dynamo`` takes as long to import as torch itself. torchvision wants one function of it, for
deterministic algorithms; timm marks methods of a network that is not ours with ``torch.compiler.disable``.
Both get stand-ins that import the compiler when they are called.
"""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import torch

_COMPILER, _UTILS = "torch._dynamo", "torch._dynamo.utils"
_PUT_OFF = ("is_compile_supported",)  # functions of _UTILS that are imported but seldom called


@contextmanager
def compiler_put_off() -> Iterator[None]:
    """Within the block modules can be imported that import parts of torch's compiler but do not use them.

    Whatever else they want of it is imported at once, so they work as they would without this.
    """
    if _COMPILER in sys.modules:
        yield
        return
    disable = torch.compiler.disable
    sys.modules[_UTILS] = _Utils(_UTILS)
    torch.compiler.disable = functools.partial(_disable, disable)
    try:
        yield
    finally:
        torch.compiler.disable = disable
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


with compiler_put_off():
    import timm  # noqa: F401
    import torchvision  # noqa: F401
