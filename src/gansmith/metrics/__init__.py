"""Measuring: encoders turn images into features, and pure functions turn features into figures."""
