"""Runs untrusted programs: workflows, and the code that executors write."""
