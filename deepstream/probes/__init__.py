"""Pad probes of the graph: expand, restore and smooth.

A probe never raises, never waits and never returns None.
The first line of each says whether it observes or operates.
"""
