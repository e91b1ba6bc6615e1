"""Searches that W4S is compared with: one interface, one budget, any policy."""
