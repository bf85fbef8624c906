"""The pure core: what ropewatch knows about boxes, scores, people and incidents.

Data and functions only: no GStreamer, no MQTT, no threads, no clock.
cli.py alone reaches outward, and only when a command runs.
"""
