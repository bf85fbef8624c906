"""The stand-in elements, one module each; activate.py imports them after gst.init()."""
