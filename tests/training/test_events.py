"""Events can be received by what must start fast: importing them loads neither torch nor NumPy."""

import subprocess
import sys


def test_events_need_no_torch() -> None:
    code = "import sys, gansmith.training.events; sys.exit(any(name in sys.modules for name in ('torch', 'numpy')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
