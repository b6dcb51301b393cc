"""Experiments: from names and options to a finished run; the one room where all others meet."""
