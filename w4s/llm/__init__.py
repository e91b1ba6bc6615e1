"""The executor: client, record, budget, and the embedded server."""
