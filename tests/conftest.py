"""What all tests share."""

from hypothesis import settings

# a deadline for one example would fail on a machine that is busy with something else
settings.register_profile("w4s", deadline=None)
settings.load_profile("w4s")
