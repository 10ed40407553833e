"""The assignment solver is SciPy's, whichever way it is found."""

import subprocess
import sys

import numpy as np
import pytest

from fastpose_mtn.ops import assignment


@pytest.fixture(autouse=True)
def forget():
    assignment._solver.cache_clear()
    yield
    assignment._solver.cache_clear()


@pytest.mark.parametrize("found", [True, False])
def test_it_is_scipys(monkeypatch, found):
    if not found:  # another SciPy, which has it elsewhere
        monkeypatch.setattr(assignment, "_MODULE", "scipy.optimize._elsewhere")
    from scipy.optimize import linear_sum_assignment

    rng = np.random.default_rng(0)
    for shape in ((3, 3), (2, 5), (5, 2), (0, 3)):
        costs = rng.integers(0, 4, shape).astype(float)
        for maximize in (False, True):
            ours = assignment.linear_sum_assignment(costs, maximize=maximize)
            theirs = linear_sum_assignment(costs, maximize)
            assert [a.tolist() for a in ours] == [a.tolist() for a in theirs]


def test_it_does_not_load_the_rest_of_scipy_and_goes_with_it():
    code = (
        "import sys, numpy as np\n"
        "from fastpose_mtn.ops.assignment import linear_sum_assignment\n"
        "print(linear_sum_assignment(np.eye(2), maximize=True)[1].tolist(), 'scipy.optimize' in sys.modules)\n"
        "import scipy.optimize\n"
        "print(scipy.optimize.linear_sum_assignment(np.eye(2), maximize=True)[1].tolist())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[0, 1] False", "[0, 1]"]
