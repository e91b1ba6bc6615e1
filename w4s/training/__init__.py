"""Offline training on trajectories."""
