"""Data sets with scorers."""
