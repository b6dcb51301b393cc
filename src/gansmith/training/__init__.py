"""Training: the loop, one step of it, losses, optimisers; it knows no path and no console."""
