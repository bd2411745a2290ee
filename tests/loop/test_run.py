"""What the loop does with a folder that changes, and a store that others write to."""

import signal
from pathlib import Path

import pytest
