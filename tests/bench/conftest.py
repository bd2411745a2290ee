"""The benchmarks are a separate program, whose modules are in the directory of ``run.py``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
