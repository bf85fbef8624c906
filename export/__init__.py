"""From PyTorch weights to ONNX, manifest and engine.

Runs on a workstation (torch) and on the box (TensorRT); never while cameras are watched.
What it hands on is a file with a manifest beside it.
"""
