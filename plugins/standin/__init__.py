"""CPU elements under DeepStream's names, and pyds in Python.

For machines without DeepStream: activation refuses where NVIDIA's elements exist.
README.md says where they differ from NVIDIA's on purpose.
"""
