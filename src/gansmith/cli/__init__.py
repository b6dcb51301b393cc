"""The command line: each verb parses, calls the library and prints; it decides nothing."""

from gansmith.cli.app import main

__all__ = ["main"]
