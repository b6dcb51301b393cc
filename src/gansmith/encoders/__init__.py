"""Encoders: networks whose features images are measured by; shipped, untrained, or trained by the user."""
