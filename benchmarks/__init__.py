"""What measures gansmith; each module says what it measures and how to start it."""
