"""Weak-for-Strong Harnessing: a small model learns to write workflows for a large one."""
