"""The small model that designs workflows."""

import os

# Two idle OpenMP threads that spin take the processor from llama.cpp and from each other: on two
# busy cores sampling slows down fifteenfold. OpenMP reads this once, when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
