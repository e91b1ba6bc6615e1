"""Offline training of a policy: samples, trees of tokens, the loss, the loop.

The ways in are `w4s.training.train.train` and `clone`; most modules here import torch.
"""
