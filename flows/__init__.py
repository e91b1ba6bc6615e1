"""Prefect flows, one for each stage, and the command line."""
