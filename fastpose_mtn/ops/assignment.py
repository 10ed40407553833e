"""SciPy's assignment solver, without the rest of ``scipy.optimize``.

``scipy.optimize`` loads SciPy's linear algebra, FFT and statistics first, which takes longer than to evaluate ten
sequences. The solver is a compiled module of its own in SciPy's package; where a version of SciPy has it elsewhere,
it comes the usual way. Either is the same code.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from types import ModuleType

import numpy as np

Solver = Callable[..., tuple[np.ndarray, np.ndarray]]

_MODULE = "scipy.optimize._lsap"


def linear_sum_assignment(costs: np.ndarray, maximize: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """The one-to-one pairs of rows and columns with the least sum of costs (N, M), or the greatest; by rows."""
    return _solver()(costs, maximize)


@functools.cache
def _solver() -> Solver:
    solver = getattr(sys.modules.get(_MODULE) or _compiled_module(), "linear_sum_assignment", None)
    return _public_solver() if solver is None else solver


def _public_solver() -> Solver:
    from scipy.optimize import linear_sum_assignment as solver

    return solver


def _compiled_module() -> ModuleType | None:
    scipy = find_spec("scipy")
    places = (
        [] if scipy is None else [str(Path(p) / "optimize") for p in scipy.submodule_search_locations or ()]
    )
    spec = PathFinder.find_spec(_MODULE, places)
    if spec is None or spec.loader is None:
        return None
    try:
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
    except ImportError:
        return None
    return module
