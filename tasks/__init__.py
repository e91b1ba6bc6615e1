"""Prefect tasks: one call into w4s, its effects, a cache key and a retry policy."""
