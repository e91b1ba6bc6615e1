"""A finished workflow as a folder that needs nothing of this project: only `openai`."""
