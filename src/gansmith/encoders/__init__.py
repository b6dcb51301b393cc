"""Encoders: networks whose features images are measured by; shipped, untrained, or of one's own."""
