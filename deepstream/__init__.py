"""The runtime: builds the one graph, reads its metadata and publishes incidents.

app.py runs what compose.py joins; gst.py, meta.py and publisher.py are the only doors to gi,
pyds and MQTT. Decisions are made in the core; this folder only carries them.
"""
