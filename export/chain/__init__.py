"""Parity across the chain: PyTorch, ONNX, the graph and an engine on the same pictures.

The graph is started as `ropewatch run` and read by its recording, so that nothing here imports it.
"""
