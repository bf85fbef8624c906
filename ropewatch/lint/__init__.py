"""The linter of nvinfer configurations and sites: what is wrong, where, why, and what to do.

Pure: it reads text files and manifests and needs neither GStreamer nor a GPU.
"""
