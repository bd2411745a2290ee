"""The benchmarks are a program of their own; its modules are found beside ``run.py``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
