"""Baseline workflows: files that the same engine runs, each a technique of the literature.

They are read as text (`w4s.workflow.builtin_workflow`) and run in the sandbox only.
"""
