"""The paper's experiments by name: what each runs, and the tables made of it. Runs nothing."""
