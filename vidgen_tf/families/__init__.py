"""Families of generators, one file each; the contract that they keep is in `video_model.py`."""
