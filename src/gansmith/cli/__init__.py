"""The command line: each verb parses, calls the library and prints; it decides nothing."""

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command line and returns its exit code: 0, 2 for what the user can mend, 130 when interrupted."""
    try:  # a quarter of a second of imports, in which somebody may press Ctrl-C
        from gansmith.cli import app
    except KeyboardInterrupt:
        sys.stderr.write("gansmith: interrupted\n")
        return 130
    return app.main(argv)
