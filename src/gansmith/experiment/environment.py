"""What computed a run: versions and machine, for environment.json and `gansmith info`."""

from typing import Any

from gansmith import hardware


def environment(choice: Any) -> dict[str, Any]:
    """What computed a run: versions and machine, for environment.json."""
    import platform

    import numpy
    import torch

    from gansmith._version import __version__

    return {
        "gansmith": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "system": platform.platform(),
        "processor": hardware.processor(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "device": choice.device,
        "precision": choice.precision,
        "threads": choice.threads,
        "layers": choice.layers,
        "why": choice.why,
    }
