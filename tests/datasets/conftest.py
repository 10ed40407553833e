"""Makes the scripts in ``datasets/`` importable."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "datasets"))
sys.path.insert(0, str(Path(__file__).parent))
