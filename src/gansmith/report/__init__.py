"""Reports: a run's folder -> one HTML file that needs no network; it reads and never computes.

`contents` reads a folder into plain values, `page` renders those with the templates beside it.
"""
