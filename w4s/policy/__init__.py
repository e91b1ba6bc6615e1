"""The small model that designs workflows."""
