"""Reports: a run's folder -> one HTML file that needs no network; it reads and never computes."""
