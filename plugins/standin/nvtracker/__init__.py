"""The nvtracker stand-in: the plugin's contract around an association by boxes.

The contract follows the plugin's source. The low-level library is closed: association.py behaves
as its documentation says, for trackers without pixels (IOU).
"""
