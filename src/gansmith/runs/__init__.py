"""Runs: the folder that a training leaves, and all that is in it; the only room that knows its file names."""

from gansmith.runs.run import DataFacts, Run, create, every, exported, find, name_of, point_last, pretrained, rows

__all__ = ["DataFacts", "Run", "create", "every", "exported", "find", "name_of", "point_last", "pretrained", "rows"]
