"""Synthetic building sites, deterministic by seed: pixels and ground truth.

Belongs here: drawing and staging. Does not belong here: models, thresholds, video files.
"""
