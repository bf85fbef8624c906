"""A synthetic building site: renderer, ground truth, training and the demo itself.

Everything is deterministic by seed; the truth comes from the renderer alone.
Demo weights are trained by train.py here and judged on held-out seeds.
"""
