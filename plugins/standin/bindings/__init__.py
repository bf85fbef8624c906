"""The functions of pyds, by kind; pyds_stand_in.py makes one module of them."""
