"""How fast training and sampling are, beside the same networks in plain PyTorch and in Keras on TensorFlow.

    python -m benchmarks.speed            # all of it, under 15 minutes on 2 quiet cores; `make bench` installs first
    python -m benchmarks.speed --quick    # about 3 minutes: fewer rounds, without the second DCGAN and the growth

Every peer is a process of its own that holds one recipe; they take turns, round after round, so that whatever else the
machine does meets all of them. See :mod:`benchmarks.speed.measure` for what is measured.
"""
