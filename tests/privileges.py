"""Programs that permissions stop, also when the tests run as root."""

import ctypes
import os

_PR_CAPBSET_DROP = 24  # prctl(2)
_DAC_OVERRIDE, _DAC_READ_SEARCH = 1, 2  # capabilities(7)


def respect_permissions() -> None:
    """Called in a child before it runs a program: root then keeps no right to pass over modes."""
    if os.geteuid() == 0:
        library = ctypes.CDLL(None, use_errno=True)
        for capability in (_DAC_OVERRIDE, _DAC_READ_SEARCH):
            if library.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0):
                raise OSError(ctypes.get_errno(), "prctl")
